"""REST sources: requests from a watermark, and missing, late or wrong answers, with a server on loopback."""

import time
from email.utils import formatdate
from itertools import pairwise
from typing import Any

import pytest
from support.rest_api import COLUMNS, RESET, SILENCE, TOKEN, Answer, Asked, Serve, connect, page, people, person
from support.shop import Shop

from flows.core.errors import SourceFailed
from flows.sources.rest import client as rest_client
from flows.sources.rest import table as rest

pytest_plugins = ["support.rest_fixtures"]


def test_only_what_changed_since_the_position_is_asked_for(shop: Shop, serve: Serve) -> None:
    # Given an API with a parameter for the first time of change
    known = [person(1), person(2, "2026-03-02T10:00:00Z")]
    api = serve(lambda asked: page([one for one in known if one["updated_at"] >= asked.params.get("since", "")]))
    connect(shop, api, since="since")
    assert shop.load().counts.accepted == 2

    # When a person changes
    known[0] = {**person(1, "2026-03-03T10:00:00Z"), "name": "another"}
    load = shop.load()

    # Then the request includes the lookback, and the change is read
    assert (load.counts.read, load.counts.accepted) == (2, 1)
    assert api.asked[1] == "/v1/people?since=2026-03-02T09%3A00%3A00Z"

    # And when there are no records, then the load succeeds, and the watermark is unchanged
    known.clear()
    assert shop.load().counts.read == 0
    known.append(person(3, "2026-03-03T11:00:00Z"))
    assert shop.load().counts.accepted == 1
    assert api.asked[-1] == "/v1/people?since=2026-03-03T09%3A00%3A00Z"


def test_fault_90_an_api_is_joined_with_files_and_read_again_when_they_change(shop: Shop, serve: Serve) -> None:
    """A query joined an API with a file, which changed after the load: I."""
    # Given an API, and a file that its query joins
    api = serve(lambda asked: page([] if "since" in asked.params else [person(1), person(2)]))
    query = "select id, nick as name, updated_at from source left join lookup.nicks using (id)"
    nicks = shop.drop("nicks.csv", "id,nick\n1,Ada\n")
    connect(shop, api, since="since", query=query, lookups={"nicks": f"file:{nicks}"})
    shop.load()
    assert shop.rows("name") == ["Ada", None]

    # When the file changes, then the API is read again from the beginning
    assert shop.load().counts.read == 0
    shop.drop("nicks.csv", "id,nick\n1,Ada\n2,Bob\n")
    assert shop.load().counts.read == 2
    assert "since" not in api.asked[-1]


def test_numbers_as_cursor_are_compared_as_numbers(shop: Shop, serve: Serve) -> None:
    # Given an API whose cursor is a number
    api = serve(lambda _: page([{"id": "1", "updated_at": 999}, {"id": "2", "updated_at": 1000}]))
    connect(shop, api, since="since", lookback=10)
    shop.declare("crm.people", {**COLUMNS, "updated_at": "bigint"}, key=["id"], load="upsert", cursor="updated_at")
    shop.load()

    # When it is loaded again, then 1000 is after 999
    shop.load()
    assert api.asked[-1] == "/v1/people?since=990"


@pytest.mark.parametrize(
    ("updated_at", "since_format", "asked_for"),
    [
        ("2026-03-02T10:00:00Z", "iso", "2026-03-02T09:00:00Z"),
        ("2026-03-02 11:00:00", "iso", "2026-03-02T09:00:00Z"),  # the time of Berlin
        ("2026-03-02T00:30:00Z", "date", "2026-03-01"),
        ("2026-03-02T10:00:00Z", "epoch", "1772442000"),
        ("2026-03-02T10:00:00.500Z", "epoch_ms", "1772442000500"),
        (1772445600, "epoch", "1772442000"),
        (4070908800, "epoch", None),
    ],
)
def test_the_position_is_written_as_the_api_reads_times(
    shop: Shop, serve: Serve, updated_at: str | int, since_format: str, asked_for: str | None
) -> None:
    # Given records with one format of times, and an API whose parameter has another one
    api = serve(lambda _: page([{"id": "1", "updated_at": updated_at}]))
    connect(shop, api, since="since", since_format=since_format, time_zone="Europe/Berlin")
    shop.declare("crm.people", {**COLUMNS, "updated_at": "varchar"}, key=["id"], load="upsert", cursor="updated_at")
    shop.load()

    # When it is loaded again, then the parameter is one hour before the watermark, and never in the future
    shop.load()
    since = api.requests[1].params["since"]
    assert since == asked_for or (asked_for is None and time.time() - 3700 < int(since) < time.time() - 3500)


def test_fault_01_a_read_that_breaks_off_between_its_batches_begins_again(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API failed after the first batch; the next load read all of it again, and lost no record (I)."""
    # Given an API whose pages are not in the order of time, and that fails after the first batch
    monkeypatch.setattr(rest, "ROWS_A_BATCH", 2)
    monkeypatch.setattr(rest_client, "ATTEMPTS", 1)
    pages = [[person(1, "2026-03-09T10:00:00Z"), person(2)], [person(3), person(4)], [person(5)]]
    is_broken = [True]

    def answer(asked: Asked) -> Answer:
        number = int(asked.params.get("page", 0))
        if number == 1 and is_broken[0]:
            return 500, {}, b""
        found = [one for one in pages[number] if one["updated_at"] >= asked.params.get("since", "")]
        since = f"&since={asked.params['since']}" if "since" in asked.params else ""
        return page(found, next=f"?page={number + 1}{since}" if number < 2 else None)

    api = serve(answer)
    connect(shop, api, paging={"next": "next"}, since="since")
    with pytest.raises(SourceFailed):
        shop.load()
    assert len(shop.rows()) == 2

    # When it is loaded again
    is_broken[0] = False
    load = shop.load()

    # Then older records of later pages are read, although a newer record was read before
    assert (load.counts.accepted, load.counts.known) == (3, 2)
    assert shop.load().counts.read == 1
    assert "since=2026-03-09" in api.asked[-1]


@pytest.mark.parametrize(
    "patience",
    [
        (429, lambda: {"Retry-After": "1"}),
        (429, lambda: {"Retry-After": formatdate(time.time() + 2, usegmt=True)}),
        (503, lambda: {"Retry-After": "1"}),
        (429, lambda: {"RateLimit-Remaining": "0", "RateLimit-Reset": "1"}),
        (403, lambda: {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time() + 2))}),
    ],
    ids=["seconds", "date", "unavailable", "reset in seconds", "reset at a time"],
)
def test_fault_41_a_server_that_asks_for_patience_gets_it(shop: Shop, serve: Serve, patience: Any) -> None:
    """A busy API said when to ask again; the request came at that time and no earlier, and all was read (I)."""
    # Given an API that is busy twice, and says for how long
    times: list[float] = []
    status, headers = patience

    def answer(_: Asked) -> Answer:
        times.append(time.monotonic())
        return (status, headers(), b"busy") if len(times) < 3 else page([person(1)])

    connect(shop, serve(answer))

    # When it is loaded
    assert shop.load().counts.accepted == 1

    # Then each request came after the time that the API gave, and no earlier
    assert len(times) == 3
    assert all(later - earlier >= 1 / 20 for earlier, later in pairwise(times))


def test_fault_41_patience_has_bounds(shop: Shop, serve: Serve) -> None:
    """An API asked for a wait of one day, and another one was always busy; both loads failed and said so (F)."""
    # Given an API that asks to wait for a day
    api = serve(lambda _: (429, {"Retry-After": "86400"}, b""))
    connect(shop, api)

    # When it is loaded, then the error comes at once, and no other request is sent
    with pytest.raises(SourceFailed, match="HTTP status 429, and asks to wait for 86,400 seconds") as failure:
        shop.load()
    assert len(api.asked) == 1
    assert not failure.value.is_transient

    # And an API that is always busy gets a few requests
    api.answer = lambda _: (429, {"Retry-After": "0"}, b"")
    with pytest.raises(SourceFailed, match=f"429.* after {rest_client.ATTEMPTS} attempts") as failure:
        shop.load()
    assert len(api.asked) == 1 + rest_client.ATTEMPTS
    assert failure.value.is_transient


def test_fault_41_a_rate_limit_that_is_used_up_is_waited_out_before_it_is_broken(shop: Shop, serve: Serve) -> None:
    """An API allowed no request for two seconds; the next page was requested after that time (I)."""
    # Given an API whose first page says that no request is left for some time
    times: list[float] = []

    def answer(_: Asked) -> Answer:
        times.append(time.monotonic())
        status, headers, body = page(people(len(times)), next="?page=2" if len(times) == 1 else None)
        return status, {**headers, "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "2"}, body

    connect(shop, serve(answer), paging={"next": "next"})

    # When it is loaded, then the second page is requested after that time
    assert shop.load().counts.accepted == 2
    assert times[1] - times[0] >= 2 / 20


def test_requests_keep_the_pace_that_is_set(shop: Shop, serve: Serve) -> None:
    # Given an API of four pages, with a limit of forty requests per minute
    times: list[float] = []

    def answer(_: Asked) -> Answer:
        times.append(time.monotonic())
        return page(people(len(times)), next=f"?page={len(times)}" if len(times) < 4 else None)

    connect(shop, serve(answer), paging={"next": "next"})
    shop.connection["rate"] = {"count": 40, "period": "minute"}

    # When it is loaded, then there are 1.5 seconds between two requests
    assert shop.load().counts.accepted == 4
    assert all(later - earlier >= 1.45 / 20 for earlier, later in pairwise(times))


def test_fault_42_a_server_that_fails_for_a_while_is_asked_again(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API failed with status 500, hung, disconnected and truncated an answer; the load read all of it (I)."""
    # Given an API that fails in four ways, and then answers
    answers = [(500, {}, b""), SILENCE, RESET, (200, {"Content-Length": "999"}, b'{"data": ['), page([person(1)])]
    api = serve(lambda _: answers.pop(0))
    monkeypatch.setattr(rest_client, "TIMEOUT_SECONDS", 0.5)
    connect(shop, api)

    # When it is loaded, then the request is repeated until the answer
    assert shop.load().counts.accepted == 1
    assert len(api.asked) == 5


@pytest.mark.parametrize("answer", [(500, {}, b""), RESET, (200, {"Content-Length": "99"}, b"[")])
def test_fault_42_44_a_server_that_goes_on_failing_fails_the_load(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    """An API always failed; the load failed, stored no record, and can be repeated later (F)."""
    # Given an API that always fails
    monkeypatch.setattr(rest_client, "ATTEMPTS", 2)
    connect(shop, serve(lambda _: answer))

    # When it is loaded, then it fails with a transient error
    with pytest.raises(SourceFailed, match="after 2 attempts") as failure:
        shop.load()
    assert failure.value.is_transient
    assert shop.rows() == []


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        pytest.param((401, {}, b"no"), "/v1/people answered with HTTP status 401", id="token refused"),
        pytest.param((404, {}, b"no"), "/v1/people answered with HTTP status 404", id="not there"),
        pytest.param((302, {"Location": "http://127.0.0.1:1/"}, b""), "HTTP status 302", id="sent elsewhere"),
        pytest.param((200, {"Content-Type": "text/html"}, b"<html>log in</html>"), "its answer is no JSON", id="HTML"),
        pytest.param((200, {}, b'{"error": "no"}'), "no list of records at data", id="an error as an answer"),
        pytest.param((200, {}, b'{"data": [], "errors": [{"code": 7}]}'), "an error, at errors", id="and a list"),
        pytest.param((200, {}, b'{"data": {"id": 1}}'), "no list of records at data", id="no list"),
        pytest.param((200, {}, b'{"data": [{"id": "1"}, {"id": "2'), "its answer is no JSON", id="cut short"),
        pytest.param((200, {}, b'{"data": [{"id": "\xff"}]}'), "bytes that are no text", id="no UTF-8"),
        pytest.param((200, {"Content-Encoding": "gzip"}, b"nonsense"), "after 2 attempts", id="damaged"),
    ],
)
def test_fault_43_44_an_answer_that_is_none_fails_the_load(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, answer: Answer, says: str
) -> None:
    """An API answered with an error, HTML, or half a page; the load failed, said how, and stored no record (F)."""
    # Given an API that answers wrongly
    monkeypatch.setattr(rest_client, "ATTEMPTS", 2)
    monkeypatch.setenv("PEOPLE_TOKEN", TOKEN)
    connect(shop, serve(lambda _: answer), {"bearer": "{{ env_var('PEOPLE_TOKEN') }}"}, error="errors")

    # When it is loaded, then the error describes the answer without the token, and no record is stored
    with pytest.raises(SourceFailed, match=says) as failure:
        shop.load()
    assert TOKEN not in str(failure.value)
    assert shop.rows() == []


@pytest.mark.parametrize("errors", [None, []])
def test_an_error_that_is_none_is_none(shop: Shop, serve: Serve, errors: Any) -> None:
    # Given an API whose answers always have a field for errors
    connect(shop, serve(lambda _: page(people(1), errors=errors)), error="errors")

    # When it is loaded, then the load succeeds
    assert shop.load().counts.accepted == 1


def test_fault_32_an_entry_that_is_no_object_is_quarantined(shop: Shop, serve: Serve) -> None:
    """A page had entries that are not objects; they are quarantined, once, and the valid one was loaded (Q)."""
    # Given a page with entries that are not objects
    connect(shop, serve(lambda _: page([person(1), "text", None, [1]])))

    # When it is loaded, twice
    load, again = shop.load(), shop.load()

    # Then they are quarantined, once, and the valid one is loaded
    assert (load.counts.accepted, load.counts.quarantined, again.counts.known) == (1, 3, 4)
    assert sorted(raw for raw, _ in shop.quarantine()) == [b'"text"', b"[1]", b"null"]


def test_numbers_of_an_api_keep_their_digits(shop: Shop, serve: Serve) -> None:
    # Given an amount that does not fit a double
    body = b'{"data": [{"id": 1, "amount": 99999999999999.9999}]}'
    connect(shop, serve(lambda _: (200, {}, body)))
    shop.declare("crm.people", {"id": "varchar", "amount": "decimal(18, 4)"}, key=["id"], load="append")

    # When it is loaded, then it is exact
    shop.load()
    assert [str(amount) for amount in shop.rows("amount")] == ["99999999999999.9999"]
