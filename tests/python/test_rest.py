"""REST sources, against a server on loopback that misbehaves."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import Shop

from flows.errors import SourceFailed
from flows.sources import rest

TOKEN = "c4nary-t0ken"
COLUMNS = {"id": "varchar not null", "name": "varchar", "updated_at": "timestamp"}
Answer = tuple[int, dict[str, str], bytes]


@dataclass
class Api:
    """A server whose answers are a function of path and parameters; it notes who asked for what."""

    answer: Callable[[str, dict[str, str]], Answer]
    url: str = ""
    asked: list[str] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)


def page(records: list[Any], status: int = 200, **further: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, json.dumps({"data": records, **further}).encode()


def person(number: int, at: str = "2026-03-01T10:00:00Z") -> dict[str, str]:
    return {"id": str(number), "name": f"name {number}", "updated_at": at}


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[str, dict[str, str]], Answer]], Api]]:
    servers = []

    def start(answer: Callable[[str, dict[str, str]], Answer]) -> Api:
        api = Api(answer)

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.asked.append(self.path)
                api.tokens.append(self.headers.get("Authorization"))
                parts = urlsplit(self.path)
                status, headers, body = api.answer(parts.path, {k: v[0] for k, v in parse_qs(parts.query).items()})
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        api.url = f"http://127.0.0.1:{server.server_port}"
        return api

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


Serve = Callable[[Callable[[str, dict[str, str]], Answer]], Api]


@pytest.fixture(autouse=True)
def no_time_to_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait a twentieth of what the client would; what it would have waited is its own affair."""
    slept = time.sleep
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda seconds: slept(min(seconds, 60) / 20))


def connect(shop: Shop, api: Api, monkeypatch: pytest.MonkeyPatch, **mapping: str) -> None:
    monkeypatch.setenv("PEOPLE_TOKEN", TOKEN)
    shop.declare("crm.people", COLUMNS, key=["id"], load="upsert", cursor="updated_at")
    shop.connect(api.url + "/v1", bearer="{{ env_var('PEOPLE_TOKEN') }}")
    shop.map(**{"from": "/people", "records": "data", **mapping})


def test_pages_are_followed_by_their_next_link_with_the_token(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an API of three pages, whose links are relative, absolute, and null
    api = serve(lambda _path, _asked: page([]))

    def answer(_path: str, asked: dict[str, str]) -> Answer:
        number = int(asked.get("page", 1))
        links = {1: "?page=2", 2: f"{api.url}/v1/people?page=3", 3: None}
        return page([person(number)], links={"next": links[number]})

    api.answer = answer
    connect(shop, api, monkeypatch, next="links.next")

    # When it is loaded, twice, then all pages are read, each with the token
    assert shop.load().counts.accepted == 3
    assert shop.load().counts.duplicate == 3
    assert api.asked[:3] == ["/v1/people", "/v1/people?page=2", "/v1/people?page=3"]
    assert set(api.tokens) == {f"Bearer {TOKEN}"}


def test_pages_are_followed_by_their_cursor(shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an API that gives a cursor, a number among them
    following = {None: "a/b?c&d", "a/b?c&d": 7, "7": ""}

    def answer(_path: str, asked: dict[str, str]) -> Answer:
        cursor = asked.get("cursor")
        return page([person(len(cursor or ""))], meta={"after": following[cursor]})

    api = serve(answer)
    connect(shop, api, monkeypatch, next_cursor="meta.after")

    # When it is loaded, then all pages are read
    assert shop.load().counts.accepted == 3


def test_only_what_changed_since_the_position_is_asked_for(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an API that takes a time to begin from
    people = [person(1), person(2, "2026-03-02T10:00:00Z")]

    def answer(_path: str, asked: dict[str, str]) -> Answer:
        since = asked.get("since", "")
        return page([one for one in people if one["updated_at"] >= since])

    api = serve(answer)
    connect(shop, api, monkeypatch, since="since")
    assert shop.load().counts.accepted == 2

    # When a person changes
    people[0] = {**person(1, "2026-03-03T10:00:00Z"), "name": "another"}
    load = shop.load()

    # Then the overlap and the change are read
    assert (load.counts.read, load.counts.accepted) == (2, 1)
    assert api.asked[1] == "/v1/people?since=2026-03-02T09%3A00%3A00Z"

    # And when nothing at all is there, that is no failure, and the position stays
    people.clear()
    assert shop.load().counts.read == 0
    people.append(person(3, "2026-03-03T11:00:00Z"))
    assert shop.load().counts.accepted == 1
    assert api.asked[-1] == "/v1/people?since=2026-03-03T09%3A00%3A00Z"


def test_numbers_as_cursor_are_compared_as_numbers(shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an API whose cursor is a number
    api = serve(lambda _path, _asked: page([{"id": "1", "updated_at": 999}, {"id": "2", "updated_at": 1000}]))
    connect(shop, api, monkeypatch, since="since")
    shop.declare("crm.people", {**COLUMNS, "updated_at": "bigint"}, key=["id"], load="upsert", cursor="updated_at")
    shop.load()

    # When it is loaded again, then 1000 is further on than 999
    shop.load()
    assert api.asked[-1] == "/v1/people?since=1000"


def test_fault_1_a_read_that_breaks_off_between_its_batches_begins_again(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given an API whose pages do not come in the order of time, and that fails behind the first batch
    monkeypatch.setattr(rest, "ROWS_A_BATCH", 2)
    monkeypatch.setattr(rest, "ATTEMPTS", 1)
    pages = [[person(1, "2026-03-09T10:00:00Z"), person(2)], [person(3), person(4)], [person(5)]]
    is_broken = [True]

    def answer(_path: str, asked: dict[str, str]) -> Answer:
        number = int(asked.get("page", 0))
        if number == 1 and is_broken[0]:
            return 500, {}, b""
        found = [one for one in pages[number] if one["updated_at"] >= asked.get("since", "")]
        since = f"&since={asked['since']}" if "since" in asked else ""
        return page(found, next=f"?page={number + 1}{since}" if number < 2 else None)

    api = serve(answer)
    connect(shop, api, monkeypatch, next="next", since="since")
    with pytest.raises(SourceFailed):
        shop.load()
    assert len(shop.rows()) == 2

    # When it is loaded again
    is_broken[0] = False
    load = shop.load()

    # Then what lay behind is not passed over because something newer was read before it
    assert (load.counts.accepted, load.counts.duplicate) == (3, 2)
    assert shop.load().counts.read == 1
    assert "since=2026-03-09" in api.asked[-1]


@pytest.mark.parametrize("retry_after", ["1", "date"])
def test_fault_41_a_server_that_asks_for_patience_gets_it(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, retry_after: str
) -> None:
    # Given an API that is busy twice, and says for how long
    times: list[float] = []

    def answer(_path: str, _asked: dict[str, str]) -> Answer:
        times.append(time.monotonic())
        if len(times) < 3:
            asked = formatdate(time.time() + 2, usegmt=True) if retry_after == "date" else retry_after
            return 429, {"Retry-After": asked}, b"busy"
        return page([person(1)])

    connect(shop, serve(answer), monkeypatch)

    # When it is loaded
    assert shop.load().counts.accepted == 1

    # Then it was asked again when it had said, and no earlier
    assert len(times) == 3
    assert all(later - earlier >= 1 / 20 for earlier, later in pairwise(times))


def test_fault_41_patience_has_bounds(shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an API that asks to wait for a day
    api = serve(lambda _path, _asked: (429, {"Retry-After": "86400"}, b""))
    connect(shop, api, monkeypatch)

    # When it is loaded, then that is told at once, and it is not asked again
    with pytest.raises(SourceFailed, match="HTTP status 429, and asks to wait for 86,400 seconds") as failure:
        shop.load()
    assert len(api.asked) == 1
    assert not failure.value.is_transient

    # And one that is always busy is asked a few times
    api.answer = lambda _path, _asked: (429, {"Retry-After": "0"}, b"")
    with pytest.raises(SourceFailed, match=f"429.* after {rest.ATTEMPTS} attempts") as failure:
        shop.load()
    assert len(api.asked) == 1 + rest.ATTEMPTS
    assert failure.value.is_transient


def test_a_server_that_fails_once_is_asked_again(shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an API that fails, then cuts its answer short, then answers
    answers = [(500, {}, b""), (200, {"Content-Length": "999"}, b'{"data": ['), page([person(1)])]
    api = serve(lambda _path, _asked: answers.pop(0))
    monkeypatch.setattr(rest, "TIMEOUT_SECONDS", 1.0)
    connect(shop, api, monkeypatch)

    # When it is loaded, then it was asked three times
    assert shop.load().counts.accepted == 1
    assert len(api.asked) == 3


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param((401, {}, b"no"), "/v1/people answered with HTTP status 401", id="token refused"),
        pytest.param((404, {}, b"no"), "/v1/people answered with HTTP status 404", id="not there"),
        pytest.param((302, {"Location": "http://127.0.0.1:1/"}, b""), "HTTP status 302", id="sent elsewhere"),
        pytest.param((200, {"Content-Type": "text/html"}, b"<html>log in</html>"), "its answer is no JSON", id="HTML"),
        pytest.param((200, {}, b'{"error": "no"}'), "no list of records at data", id="an error as an answer"),
        pytest.param((200, {}, b'{"data": {"id": 1}}'), "no list of records at data", id="no list"),
        pytest.param((200, {}, b'{"data": [{"id": "\xff"}]}'), "bytes that are no text", id="no UTF-8"),
        pytest.param((200, {"Content-Encoding": "gzip"}, b"nonsense"), "after 2 attempts", id="damaged"),
    ],
)
def test_an_answer_that_is_none_fails_the_load(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, answer: Answer, says: str
) -> None:
    # Given an API that answers wrongly
    monkeypatch.setattr(rest, "ATTEMPTS", 2)
    connect(shop, serve(lambda _path, _asked: answer), monkeypatch)

    # When it is loaded, then the error says how, without the token, and nothing is kept
    with pytest.raises(SourceFailed, match=says) as failure:
        shop.load()
    assert TOKEN not in str(failure.value)
    assert shop.rows() == []


@pytest.mark.parametrize("next_page", ["/v1/people", "?page=2"])
def test_pages_that_go_round_in_a_circle_fail_the_load(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, next_page: str
) -> None:
    # Given an API whose last page links to one that was read
    api = serve(lambda _path, _asked: page([person(1)], next=next_page))
    connect(shop, api, monkeypatch, next="next")

    # When it is loaded, then it is asked no more often than there are pages
    with pytest.raises(SourceFailed, match="circle"):
        shop.load()
    assert len(api.asked) <= 2


def test_a_link_to_another_host_gets_no_token(shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an API that links to another server
    other = serve(lambda _path, _asked: page([person(9)]))
    connect(
        shop, serve(lambda _path, _asked: page([person(1)], next=other.url + "/v1/people")), monkeypatch, next="next"
    )

    # When it is loaded, then the other is not asked at all
    with pytest.raises(SourceFailed, match="another host, 127"):
        shop.load()
    assert other.asked == []


def test_fault_32_an_entry_that_is_no_object_is_quarantined(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a page with entries that are no objects
    connect(shop, serve(lambda _path, _asked: page([person(1), "text", None, [1]])), monkeypatch)

    # When it is loaded, twice
    load, again = shop.load(), shop.load()

    # Then they are in quarantine, once, and the good one is read
    assert (load.counts.accepted, load.counts.quarantined, again.counts.duplicate) == (1, 3, 4)
    assert sorted(raw for raw, _ in shop.quarantine()) == [b'"text"', b"[1]", b"null"]


def test_numbers_of_an_api_keep_their_digits(shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given an amount that a double cannot hold
    body = b'{"data": [{"id": 1, "amount": 99999999999999.9999}]}'
    connect(shop, serve(lambda _path, _asked: (200, {}, body)), monkeypatch)
    shop.declare("crm.people", {"id": "varchar", "amount": "decimal(18, 4)"}, key=["id"], load="append")

    # When it is loaded, then it is exact
    shop.load()
    assert [str(amount) for amount in shop.rows("amount")] == ["99999999999999.9999"]
