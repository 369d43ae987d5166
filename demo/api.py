"""The sales of the demo pharmacy as a REST API on loopback, like that of a shop's software."""

import base64
import hmac
import json
import logging
import secrets
import socket
import socketserver
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from flows.config.settings import shown_path
from flows.core.errors import UsageError

LARGEST_PAGE = 5_000
TABLES = ("orders", "order_lines")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = logging.getLogger(__name__)


@contextmanager
def serve_sales(folder: Path, token: str) -> Iterator[str]:
    """Serve the sales of the demo in `folder` while the context lasts, and yield the base URL.

    `GET /orders` and `GET /order_lines` require the bearer token. They take `updated_since` (an ISO time, inclusive)
    and `limit` (at most 5,000). A page is `{"data": [...], "next": URL or null}`, in the order of change. Each request
    reads the present state of the database.
    """
    if not token:
        raise ValueError("The sales API needs a token.")
    server = _Server((folder / "sales.sqlite").resolve(strict=True), token)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="demo-sales-api", daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        server.hang_up()
        server.server_close()
        thread.join()


@contextmanager
def serve_set(data: Path) -> Iterator[Mapping[str, str]]:
    """Serve the sales of the demo in a data folder, and yield the variables that connections.yml takes for them.

    Raises UsageError if the demo was not made yet.
    """
    folder, token = data / "source", secrets.token_urlsafe(24)
    if not (folder / "sales.sqlite").exists():
        raise UsageError(f"The demo pharmacy was not made yet in {shown_path(folder)}.", "Make it: make run")
    with serve_sales(folder, token) as url:
        yield {"DEMO_SALES_URL": url, "DEMO_SALES_TOKEN": token}


class _RefusedError(Exception):
    """A request that cannot be served, with the HTTP status of the reason."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class _PageRequest:
    """The rows of a table to send: those that changed since a time, after the last row of the previous page."""

    table: str
    limit: int
    since: int
    after: tuple[int, int] | None

    @classmethod
    def parse(cls, path: str) -> "_PageRequest":
        """Parse the path and query of a request; raises _RefusedError."""
        url = urlsplit(path)
        table = url.path.strip("/")
        if table not in TABLES:
            raise _RefusedError(HTTPStatus.NOT_FOUND, f"there are /{' and /'.join(TABLES)}")
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        try:
            limit = int(query.get("limit", LARGEST_PAGE))
            since = _to_seconds(query["updated_since"]) if "updated_since" in query else 0
            after = _read_cursor(query["after"]) if "after" in query else None
        except ValueError as error:
            raise _RefusedError(
                HTTPStatus.BAD_REQUEST,
                "limit must be a number, updated_since an ISO time, and after the value of a next link",
            ) from error
        if limit < 1:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "limit is at least 1")
        return cls(table=table, limit=min(limit, LARGEST_PAGE), since=since, after=after)

    def read(self, database: sqlite3.Connection) -> list[tuple[int, int, str]]:
        """Return the rows (updated_at, id, record) of the page, and the first row of the next page if there is one."""
        return database.execute(
            f"select updated_at, id, record from {self.table} where (updated_at, id) > (?, ?) "
            "order by updated_at, id limit ?",
            (*(self.after or (self.since, -1)), self.limit + 1),
        ).fetchall()

    def link(self, last_row: tuple[int, int, str]) -> str:
        """Return the path and query of the page after `last_row`."""
        return f"/{self.table}?{urlencode({'limit': self.limit, 'after': _write_cursor(last_row[:2])})}"


def _to_seconds(iso_time: str) -> int:
    """Convert an ISO time to whole seconds since 1970, rounded up; a time without an offset is UTC."""
    moment = datetime.fromisoformat(iso_time)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return -((EPOCH - aware) // timedelta(seconds=1))


def _write_cursor(position: tuple[int, int]) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


def _read_cursor(text: str) -> tuple[int, int]:
    match json.loads(base64.urlsafe_b64decode(text)):
        case [int(updated_at), int(row_id)]:
            return updated_at, row_id
    raise ValueError("not a cursor of this API")


class _Handler(BaseHTTPRequestHandler):
    """The connection of one client. It stays open between pages and has its own database connection."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "demo-sales", ""
    wbufsize = -1  # sends head and body together; otherwise the body waits until the client acknowledges the head
    server: "_Server"

    def setup(self) -> None:
        """Open the database read-only."""
        super().setup()
        self.database = sqlite3.connect(f"{self.server.database.as_uri()}?mode=ro", uri=True)

    def finish(self) -> None:
        """Close the database, even if the connection failed."""
        with closing(self.database):
            super().finish()

    def do_GET(self) -> None:
        """Answer with a page of rows, or with an error."""
        try:
            self._authorize()
            body = self._make_page(_PageRequest.parse(self.path))
        except _RefusedError as refused:
            self._send(refused.status, json.dumps({"error": str(refused)}))
        except sqlite3.Error:
            log.exception("The demo's sales database cannot be read.")
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, json.dumps({"error": "the database cannot be read"}))
        else:
            self._send(HTTPStatus.OK, body)

    def _authorize(self) -> None:
        given = self.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if not hmac.compare_digest(given, self.server.authorization):
            raise _RefusedError(HTTPStatus.UNAUTHORIZED, "a bearer token is needed")

    def _make_page(self, request: _PageRequest) -> str:
        rows = request.read(self.database)
        has_more = len(rows) > request.limit
        page = rows[: request.limit]
        next_url = json.dumps(f"{self.server.url}{request.link(page[-1])}") if has_more else "null"
        return f'{{"data": [{",".join(record for _, _, record in page)}], "next": {next_url}}}'

    def _send(self, status: HTTPStatus, body: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if status is HTTPStatus.UNAUTHORIZED:
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Log no requests."""


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    """A server with one thread per connection that can end all connections."""

    daemon_threads = False  # closing the server then waits for the threads
    request_queue_size = 64

    def __init__(self, database: Path, token: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.database = database
        self.authorization = f"Bearer {token}".encode()
        self._connections: set[socket.socket] = set()
        self._lock = Lock()

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def server_bind(self) -> None:
        """Bind without a look-up of the host's name: it takes seconds if no name server answers."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def hang_up(self) -> None:
        """End all connections that clients keep open."""
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Record a connection, so that `hang_up` can end it."""
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Remove a connection that ended."""
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a failure, unless the client only closed its connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            log.exception("The demo's sales API failed.")
