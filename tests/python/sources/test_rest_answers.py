"""Answers of a REST API that nobody expects: charsets, waits, broken HTTP, redirects, and answers without an end."""

import gzip
import zlib
from typing import Any

import pytest
from support.rest_api import DRIPPING, Answer, Asked, Serve, connect, page, people, person, raw
from support.shop import Shop

from flows.core.errors import SourceFailed
from flows.sources.rest import answers as rest_answers
from flows.sources.rest import client as rest_client

pytest_plugins = ["support.rest_fixtures"]

CANARY = "c4nary-s3cret"
UMLAUT = page([{**person(1), "name": "Jürgen"}])[2].replace(b"J\\u00fcrgen", "Jürgen".encode())


def typed(charset: str, encoding: str) -> Answer:
    return 200, {"Content-Type": f"application/json{charset}"}, UMLAUT.decode().encode(encoding)


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [
        ("", "utf-8-sig"),
        ("; charset=utf-8", "utf-8-sig"),
        ("; charset=UTF8", "utf-8"),
        ('; charset="utf-8"', "utf-8"),
        ("; charset=iso-8859-1", "latin-1"),
        ("; charset=windows-1252", "cp1252"),
        ("; charset=utf-16", "utf-16"),
        ("", "utf-16"),
        ("", "utf-16-le"),
        ("", "utf-32"),
    ],
)
def test_an_answer_is_read_in_its_own_charset(shop: Shop, serve: Serve, charset: str, encoding: str) -> None:
    connect(shop, serve(lambda _: typed(charset, encoding)))
    shop.load()
    assert shop.rows("name") == ["Jürgen"]


@pytest.mark.parametrize("charset", ["undefined", "foo", "hex", "rot13", "idna", "utf-7\x00", "c4nary-s3cret"])
def test_fault_95_a_charset_that_nobody_knows_fails_the_load(shop: Shop, serve: Serve, charset: str) -> None:
    """A server named a codec that is undefined, or is none of texts: F."""
    connect(shop, serve(lambda _: typed(f"; charset={charset}".replace("\x00", ""), "utf-16")))
    with pytest.raises(SourceFailed, match=r"bytes that are no text of its charset|is no JSON") as failure:
        shop.load()
    assert CANARY not in str(failure.value)


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "-5"},
        {"Retry-After": "nan"},
        {"Retry-After": "1e999"},
        {"Retry-After": "\xb2"},
        {"Retry-After": "soon"},
        {"Retry-After": ""},
        {"Retry-After": "0.5"},
        {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {"Retry-After": "Wed, 21 Oct 2015 07:28:00 -0000"},
        {"Retry-After": "Wed, 99 Oct 99999 99:28:00 GMT"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "-7"},
        {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "inf"},
        {"X-RateLimit-Remaining": "nan", "X-RateLimit-Reset": "nan"},
    ],
)
def test_fault_95_a_wait_that_is_none_is_not_waited_for(shop: Shop, serve: Serve, headers: dict[str, str]) -> None:
    """A busy server asked for a wait that is negative, past, endless or no number; all was read: I."""
    answers = [(429, headers, b""), (503, headers, b""), (200, headers, page(people(1))[2])]
    connect(shop, serve(lambda _: answers.pop(0)))
    assert shop.load().counts.accepted == 1


OK = b"HTTP/1.1 200 OK\r\n"
BROKEN = {
    "status line": b"HTTP/1.1 c4nary-s3cret\r\n\r\n",
    "no HTTP": b"c4nary-s3cret " * 99,
    "header": OK + b"c4nary-s3cret\r\n\r\n",
    "header name": OK + b"c4nary s3cret\x01: c4nary-s3cret\r\n\r\n{}",
    "headers without an end": OK + b"X: c4nary-s3cret\r\n" * 99_999,
    "length": OK + b"Content-Length: c4nary-s3cret\r\n\r\n{}",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "chunk": OK + b"Transfer-Encoding: chunked\r\n\r\nc4nary-s3cret\r\n{}",
    "cut chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n99\r\n{}",
    "gzip": OK + b"Content-Encoding: gzip\r\nContent-Length: 13\r\n\r\nc4nary-s3cret",
    "cut gzip": OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(UMLAUT)[:-12],
    "other encoding": OK + b"Content-Encoding: c4nary-s3cret\r\nContent-Length: 2\r\n\r\n{}",
    "twice packed": OK + b"Content-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\n{}",
    "location": b"HTTP/1.1 302 Found\r\nLocation: http://[c4nary-s3cret\r\nContent-Length: 0\r\n\r\n",
    "location bytes": b"HTTP/1.1 302 Found\r\nLocation: //\xff\xfe:x/\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("content", [pytest.param(content, id=name) for name, content in BROKEN.items()])
def test_fault_95_broken_http_fails_the_load_and_is_not_quoted(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    """A server sent a status line, header, chunk or packed body that is none: F."""
    monkeypatch.setattr(rest_client, "ATTEMPTS", 2)
    monkeypatch.setattr(rest_client, "TIMEOUT_SECONDS", 2.0)
    connect(shop, serve(lambda _: raw(content)))
    with pytest.raises(SourceFailed, match=r"crm\.people: ") as failure:
        shop.load()
    assert CANARY not in str(failure.value)
    assert "unforeseen" not in str(failure.value)
    assert CANARY not in shop.loads()[-1]["error"]


def test_fault_95_cookies_of_any_kind_do_no_harm(shop: Shop, serve: Serve) -> None:
    """A server set cookies that are none: I."""
    further = OK + b"Set-Cookie: =;;\r\nSet-Cookie: a=\xff\xfe; Expires=never; Domain=..\r\nContent-Length: %d\r\n\r\n"
    body = page(people(1))[2]
    connect(shop, serve(lambda _: raw(further % len(body) + body)))
    assert shop.load().counts.accepted == 1


def bomb(size: int) -> bytes:
    """Pack so many spaces and then an empty list."""
    pack = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    pieces = [pack.compress(b" " * 1_000_000) for _ in range(size // 1_000_000)]
    return b"".join([*pieces, pack.compress(b'{"data": []}'), pack.flush()])


@pytest.mark.parametrize("way", ["bomb", "endless", "slow", "of a token"])
def test_fault_95_an_answer_without_an_end_is_cut(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """An answer unpacked to more than the bound, or did not end in the time that it has: F."""
    # Given bounds, and an answer past one of them
    monkeypatch.setattr(rest_answers, "BYTES_AN_ANSWER", 5_000_000)
    monkeypatch.setattr(rest_answers, "SECONDS_AN_ANSWER", 0.5 if way == "slow" else 60.0)
    packed = (200, {"Content-Encoding": "gzip"}, bomb(50_000_000))

    def answer(asked: Asked) -> Answer:
        if way == "endless":
            return 200, {"Content-Length": "99999999"}, b" " * 9_000_000
        return DRIPPING if way == "slow" else packed

    monkeypatch.setenv("PEOPLE_SECRET", CANARY)
    api = serve(answer)
    secret = {"token_url": f"{api.url}/token", "client_id": "me", "client_secret": "{{ env_var('PEOPLE_SECRET') }}"}
    connect(shop, api, {"oauth2": secret} if way == "of a token" else None)

    # When it is loaded, then it fails at the bound, and is not asked again
    with pytest.raises(SourceFailed, match=r"more than 5,000,000 bytes|did not end within") as failure:
        shop.load()
    assert not failure.value.is_transient
    assert len(api.asked) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_on_the_same_server_is_followed(shop: Shop, serve: Serve, status: int) -> None:
    # Given an API that moved its endpoint, whose pages are links
    def answer(asked: Asked) -> Answer:
        if asked.endpoint == "/v1/people":
            return status, {"Location": "/v2/people?" + asked.path.partition("?")[2]}, b""
        number = int(asked.params.get("page", 1))
        return page(people(number), next=f"?page={number + 1}" if number < 3 else None)

    connect(shop, serve(answer), {"basic": {"user": "me", "password": "open"}}, paging={"next": "next"})

    # When it is loaded, then all pages are read
    assert shop.load().counts.accepted == 3


@pytest.mark.parametrize(
    ("status", "location", "method", "says"),
    [
        (302, "/v1/people", "get", r"to http://127\.0\.0\.1:\d+/v1/people: it redirects more than 5 times"),
        (301, "https://127.0.0.1/v1/people?key=c4nary-s3cret", "get", r"to https://127\.0\.0\.1/v1/people: which is"),
        (301, "http://me:c4nary-s3cret@other.example/x", "get", r"to http://other\.example/x: which is another server"),
        (302, "/v2/people", "post", "a post is not repeated there as a get"),
        (308, "//other.example/", "post", "another server"),
    ],
)
def test_fault_48_a_redirect_that_is_not_followed_names_its_target(
    shop: Shop, serve: Serve, status: int, location: str, method: str, says: str
) -> None:
    """An API redirected to itself, to another server, or a post to a get: F."""
    api = serve(lambda _: (status, {"Location": location}, b""))
    connect(shop, api, method=method)
    with pytest.raises(SourceFailed, match=says) as failure:
        shop.load()
    assert f"HTTP status {status}" in str(failure.value)
    assert CANARY not in str(failure.value)


def test_a_post_is_repeated_where_it_is_redirected(shop: Shop, serve: Serve) -> None:
    def answer(asked: Asked) -> Answer:
        return page(people(asked.posted["number"])) if "v2" in asked.path else (307, {"Location": "/v2"}, b"")

    connect(shop, serve(answer), method="post", body={"number": 7})
    assert (shop.load().counts.accepted, shop.rows("id")) == (1, ["7"])


@pytest.mark.parametrize("auth", [{"header": "X Key", "value": "v"}, {"header": "X-Key:", "value": CANARY}])
def test_fault_95_a_header_that_cannot_be_sent_is_told(shop: Shop, serve: Serve, auth: dict[str, Any]) -> None:
    """A mapping named a header that HTTP cannot carry: F."""
    connect(shop, serve(lambda _: page(people(1))), {"key": auth})
    with pytest.raises(SourceFailed, match="no request can be sent") as failure:
        shop.load()
    assert CANARY not in str(failure.value)


def test_fault_98_a_source_on_loopback_is_not_asked_through_a_proxy(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY was set; a source on loopback was asked directly: I."""
    proxy = serve(lambda _: (502, {}, b"no"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("NO_PROXY", "intranet.example")
    monkeypatch.delenv("no_proxy", raising=False)
    connect(shop, serve(lambda _: page(people(1))))
    assert shop.load().counts.accepted == 1
    assert proxy.asked == []


def test_fault_95_an_exception_that_nobody_foresaw_quotes_nothing(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library raised what nobody foresaw, quoting a password; the error names table, kind and place: F."""

    def fail(_self: object, _request: object) -> None:
        raise UnicodeEncodeError("latin-1", CANARY, 0, 1, CANARY)

    monkeypatch.setattr(rest_client.RestClient, "fetch", fail)
    connect(shop, serve(lambda _: page(people(1))))
    with pytest.raises(SourceFailed, match=r"crm\.people: unforeseen UnicodeEncodeError at flows/") as failure:
        shop.load()
    assert CANARY not in str(failure.value)
    assert failure.value.__suppress_context__
