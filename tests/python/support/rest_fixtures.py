"""Servers for the tests of REST sources; a module requests them by `pytest_plugins = ["support.rest_fixtures"]`."""

import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from support.rest_api import Answering, Api, Serve, handler_of


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers, which end with the test."""
    servers = []

    def start(answer: Answering) -> Api:
        api = Api(answer)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler_of(api))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        api.url = f"http://127.0.0.1:{server.server_port}"
        return api

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_time_to_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the client's waits to a twentieth; the full wait is still recorded.

    Pytest uses this fixture in every test of a run that reads this file, so it leaves `time.sleep` as it is.
    """
    shorter = SimpleNamespace(sleep=lambda seconds: time.sleep(min(seconds, 60) / 20))
    monkeypatch.setattr("tenacity.nap.time", shorter)
