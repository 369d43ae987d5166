"""A server on loopback that records the alerts which Apprise's json:// sends to it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class AlertServer:
    """Its port, and what came: the path of the URL, and the message."""

    port: int
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def url(self, path: str) -> str:
        """Return the URL of a place in Apprise's form."""
        return f"json://user:s3cret-of-{path}@127.0.0.1:{self.port}/{path}"

    def messages(self, path: str) -> list[str]:
        """Return title and text of what came to a place, and empty the record."""
        found = [f"{one['title']}\n{one['message']}" for where, one in self.taken if where == f"/{path}"]
        self.taken = [(where, one) for where, one in self.taken if where != f"/{path}"]
        return found


@contextmanager
def alert_server() -> Iterator[AlertServer]:
    """Serve until the context ends."""
    server = AlertServer(0)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.taken.append((self.path, json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as serving:
        server.port = serving.server_address[1]
        threading.Thread(target=serving.serve_forever, daemon=True).start()
        yield server
        serving.shutdown()
