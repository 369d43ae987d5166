"""A schema registry; a module requests it by `pytest_plugins = ["support.registry_fixtures"]`."""

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def registry() -> Iterator[tuple[str, dict[str, Any]]]:
    """A registry that answers by path as Confluent's does; it is no real one, and asks for a password."""
    answers: dict[str, Any] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.headers["Authorization"] == f"Basic {base64.b64encode(b'me:geheim').decode()}"
            status = answers.get("status", 200 if self.path in answers else 404) if is_known else 401
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answers.get(self.path, {"error_code": 40403})).encode())

        def log_message(self, *_arguments: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://me:geheim@127.0.0.1:{server.server_port}", answers
    server.shutdown()
    thread.join()
