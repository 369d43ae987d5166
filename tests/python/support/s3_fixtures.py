"""An S3 server, and a proxy that fails; a module requests them by `pytest_plugins = ["support.s3_fixtures"]`."""

import http.client
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from flows.core import object_store
from tests.services.s3 import S3Server, s3

Answer = tuple[int, str]
Rule = Callable[[str, str], Answer | None]
"""Takes method and path of a request; returns status and code of the answer, or None to let the request through."""


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    with s3() as running:
        yield running


@pytest.fixture
def s3_environment(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Lead this process to the server, and back afterwards."""
    for name in ("AWS_CONDITIONAL_PUT", "AWS_ALLOW_HTTP", "AWS_PROFILE", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    object_store._store.cache_clear()
    yield s3_server
    object_store._store.cache_clear()


class Proxy:
    """Hands requests on to a server, but those for which its `rule` has another answer."""

    def __init__(self, server: S3Server) -> None:
        self.rule: Rule = lambda _method, _path: None
        self.refused: list[str] = []
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = proxy.rule(self.command, self.path)
                if answer is not None:
                    proxy.refused.append(f"{self.command} {self.path}")
                    content = f"<Error><Code>{answer[1]}</Code><Message>for a test</Message></Error>".encode()
                    self.reply(answer[0], {"Content-Type": "application/xml"}, content)
                    return
                link = http.client.HTTPConnection("127.0.0.1", server.port)
                link.request(self.command, self.path, body, dict(self.headers))
                found = link.getresponse()
                self.reply(found.status, dict(found.getheaders()), found.read())
                link.close()

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815

            def reply(self, status: int, headers: dict[str, str], content: bytes) -> None:
                self.send_response_only(status)
                length = headers.get("Content-Length") if self.command == "HEAD" else str(len(content))
                for name, value in headers.items():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Content-Length", length or "0")
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_arguments: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def s3_proxy(s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """Lead this process to the server through a proxy; the pauses between tries are short."""
    proxy = Proxy(s3_environment)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
    monkeypatch.setattr(object_store, "RETRIES", 4)
    monkeypatch.setattr(object_store, "LONGEST_PAUSE", 0.3)
    object_store._store.cache_clear()
    yield proxy
    proxy.close()
