"""A REST API on loopback that gives the answers of a test, and misbehaves on demand."""

import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support.shop import Shop

TOKEN = "c4nary-t0ken"
COLUMNS = {"id": "varchar not null", "name": "varchar", "updated_at": "timestamp"}
Answer = tuple[int, dict[str, str], bytes]

RESET: Answer = (0, {}, b"reset")
SILENCE: Answer = (0, {}, b"silence")
"""Missing answers: the connection breaks, or no answer arrives for two seconds."""


@dataclass(frozen=True)
class Asked:
    """A request: its path with the query, the query's parameters, its headers, and its body."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def endpoint(self) -> str:
        return urlsplit(self.path).path

    @property
    def params(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}

    @property
    def posted(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(self.body.decode()).items()}


Answering = Callable[[Asked], Answer]


@dataclass
class Api:
    """A server whose answers are a function of the request; it records all requests."""

    answer: Answering
    url: str = ""
    requests: list[Asked] = field(default_factory=list)

    @property
    def asked(self) -> list[str]:
        return [one.path for one in self.requests]

    def headers(self, name: str) -> list[str | None]:
        return [one.headers.get(name.lower()) for one in self.requests]


DRIPPING: Answer = (-2, {}, b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n")
"""An answer of which a byte comes each tenth of a second."""


def raw(content: bytes) -> Answer:
    """Answer with these very bytes, be they HTTP or not, and close the connection."""
    return -1, {}, content


Serve = Callable[[Answering], Api]


def page(records: list[Any], **further: Any) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps({"data": records, **further}).encode()


def person(number: int, at: str = "2026-03-01T10:00:00Z") -> dict[str, str]:
    return {"id": str(number), "name": f"name {number}", "updated_at": at}


def people(*numbers: int) -> list[dict[str, str]]:
    return [person(number) for number in numbers]


def connect(shop: Shop, api: Api, auth: dict[str, Any] | None = None, **mapping: Any) -> None:
    """Make the API the source of the shop's people."""
    shop.declare("crm.people", COLUMNS, key=["id"], load="upsert", cursor="updated_at")
    shop.connect(api.url + "/v1", **({} if auth is None else {"auth": auth}))
    shop.map(**{"from": "/people", "records": "data", **mapping})


def handler_of(api: Api) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            api.requests.append(asked)
            answer = api.answer(asked)
            if answer is SILENCE:
                threading.Event().wait(2)
            elif answer is RESET:
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif answer[0] < 0:
                self.wfile.write(answer[2])
                self.close_connection = True
                for _ in range(50 if answer is DRIPPING else 0):
                    self.wfile.write(b" ")
                    threading.Event().wait(0.1)
            else:
                self._send(*answer)

        def do_POST(self) -> None:
            self.do_GET()

        def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
