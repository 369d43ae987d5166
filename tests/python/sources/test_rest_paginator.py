"""REST sources page by page: every kind of pagination, lists that change during the read, and wrong answers."""

import random
from collections.abc import Callable
from typing import Any

import httpx
import pyarrow as pa
import pytest
from support.rest_api import Answer, Asked, Serve, connect, page, people, person
from support.shop import Shop

from flows.config.rest_options import Paging
from flows.core.errors import SourceFailed
from flows.sources.rest.client import ApiRequest
from flows.sources.rest.paginator import Page, Paginator

pytest_plugins = ["support.rest_fixtures"]

OFFSET = {"offset": "offset", "limit": "limit", "size": 3}
NUMBER = {"page": "page", "limit": "size", "size": 3}


def listing(records: list[Any], meanwhile: Callable[[int], None] = lambda _: None, cap: int = 100) -> Any:
    """Answer by offset or page number, like a database; the list may change before each request is answered."""
    count = [0]

    def answer(asked: Asked) -> Answer:
        count[0] += 1
        meanwhile(count[0])
        given = {**asked.params, **(asked.posted if asked.body else {})}
        size = min(int(given.get("limit", given.get("size", cap))), cap)
        first = int(given["offset"]) if "offset" in given else (int(given["page"]) - 1) * size
        return page(records[first : first + size], total=len(records), more=first + size < len(records))

    return answer


def names(shop: Shop) -> set[int]:
    return {int(one) for one in shop.rows("id")}


def test_pages_are_followed_by_their_next_link(shop: Shop, serve: Serve) -> None:
    # Given an API of three pages, whose links are relative, absolute, and null
    api = serve(lambda _: page([]))

    def answer(asked: Asked) -> Answer:
        number = int(asked.params.get("page", 1))
        links = {1: "?page=2", 2: f"{api.url}/v1/people?page=3", 3: None}
        return page(people(number), links={"next": links[number]})

    api.answer = answer
    connect(shop, api, paging={"next": "links.next"})

    # When it is loaded, twice, then all pages are read
    assert shop.load().counts.accepted == 3
    assert shop.load().counts.known == 3
    assert api.asked[:3] == ["/v1/people", "/v1/people?page=2", "/v1/people?page=3"]


def test_pages_are_followed_by_their_link_header(shop: Shop, serve: Serve) -> None:
    # Given an API with links in its headers, also to the first page
    def answer(asked: Asked) -> Answer:
        number = int(asked.params.get("page", 1))
        status, headers, body = page(people(number))
        following = f'</v1/people?page={number + 1}>; rel="next", ' if number < 3 else ""
        return status, {**headers, "Link": following + '</v1/people>; rel="first"'}, body

    connect(shop, serve(answer), paging={"link_header": "next"})

    # When it is loaded, then all pages are read
    assert shop.load().counts.accepted == 3


def test_pages_are_followed_by_their_cursor(shop: Shop, serve: Serve) -> None:
    # Given an API that gives a cursor, once a number
    following = {None: "a/b?c&d", "a/b?c&d": 7, "7": ""}

    def answer(asked: Asked) -> Answer:
        cursor = asked.params.get("after")
        return page(people(len(cursor or "")), meta={"after": following[cursor]})

    connect(shop, serve(answer), paging={"cursor": "meta.after", "param": "after"})

    # When it is loaded, then all pages are read
    assert shop.load().counts.accepted == 3


def test_an_api_that_always_gives_a_cursor_ends_where_it_stands_or_says_so(shop: Shop, serve: Serve) -> None:
    # Given an API whose last cursor leads to an empty page
    api = serve(lambda asked: page(people(1) if "after" not in asked.params else [], after="end"))
    connect(shop, api, paging={"cursor": "after", "param": "after"})

    # When it is loaded, then it ends there
    assert shop.load().counts.accepted == 1

    # And an API that says whether there is more ends when it says so, with any page sizes
    api.answer = lambda asked: page([], after="b", more=1) if not asked.params else page(people(2), after="c", more=0)
    connect(shop, api, paging={"cursor": "after", "param": "after", "has_more": "more"})
    assert shop.load().counts.accepted == 1

    # And an API that says that there is more, but not where, fails
    api.answer = lambda _: page(people(1), more=True)
    with pytest.raises(SourceFailed, match="there is more, and not where"):
        shop.load()


@pytest.mark.parametrize("paging", [OFFSET, NUMBER, {"offset": "offset"}])
@pytest.mark.parametrize("count", [0, 1, 3, 7])
def test_pages_are_counted_to_the_end(shop: Shop, serve: Serve, paging: dict[str, Any], count: int) -> None:
    # Given a list, and a server that sends at most two records per page
    connect(shop, serve(listing(people(*range(count)), cap=2)), paging=paging, total="total")

    # When it is loaded, then all records are read, once
    load = shop.load()
    assert (load.counts.read, load.counts.accepted, load.notes) == (count, count, ())


def test_pages_may_be_counted_from_another_number(shop: Shop, serve: Serve) -> None:
    # Given APIs whose offsets begin at 1, or whose page numbers begin at 0
    api = serve(lambda asked: page(people(*range(8))[int(asked.params["start"]) - 1 :][:3]))
    connect(shop, api, paging={"offset": "start", "first": 1})
    assert shop.load().counts.accepted == 8
    api.answer = lambda asked: page(people(*range(10, 18))[int(asked.params["page"]) * 3 :][:3])
    connect(shop, api, paging={"page": "page", "first": 0})

    # When they are loaded, then all are read
    assert shop.load().counts.accepted == 8


def test_an_api_that_sends_one_record_a_page_is_read(shop: Shop, serve: Serve) -> None:
    # Given such an API, whose pages have no record in common
    connect(shop, serve(listing(people(1, 2, 3), cap=1)), paging=OFFSET)

    # When it is loaded, then all are read
    assert shop.load().counts.accepted == 3


def test_an_api_that_says_there_is_no_more_is_not_asked_again(shop: Shop, serve: Serve) -> None:
    # Given an API that says whether there is more
    api = serve(listing(people(1, 2)))
    connect(shop, api, paging={**OFFSET, "has_more": "more"})

    # When it is loaded, then one page is enough
    assert shop.load().counts.accepted == 2
    assert api.asked == ["/v1/people?limit=3&offset=0"]


def test_a_search_is_posted_with_all_that_it_needs_in_its_body(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a search with region, offset, size and cursor in nested fields, and a list for its start
    monkeypatch.setenv("PEOPLE_REGION", "north")
    found = {None: people(1, 2), 2: people(3)}

    def answer(asked: Asked) -> Answer:
        cursor = asked.posted["page"].get("after")
        return page(found[cursor], next={"after": 2 if cursor is None else None})

    api = serve(answer)
    body = {"filters": [{"name": "region", "value": "{{ env_var('PEOPLE_REGION') }}"}, {"name": "changed", "value": 0}]}
    connect(
        shop,
        api,
        method="post",
        body=body,
        since="filters.1.value",
        since_format="epoch",
        paging={"cursor": "next.after", "param": "page.after", "limit": "page.size", "size": 2},
    )

    # When it is loaded, twice
    assert shop.load().counts.accepted == 3
    assert shop.load().counts.known == 3

    # Then each request contained these values
    north, first = {"name": "region", "value": "north"}, {"name": "changed", "value": 0}
    changed = {"name": "changed", "value": 1772355600}
    assert [one.posted for one in api.requests] == [
        {"filters": [north, first], "page": {"size": 2}},
        {"filters": [north, first], "page": {"size": 2, "after": 2}},
        {"filters": [north, changed], "page": {"size": 2}},
        {"filters": [north, changed], "page": {"size": 2, "after": 2}},
    ]
    assert set(api.headers("Content-Type")) == {"application/json"}


def test_a_search_is_posted_page_by_page(shop: Shop, serve: Serve) -> None:
    # Given a search by offset, with numbers in its body
    api = serve(listing(people(*range(7))))
    connect(shop, api, method="post", paging=OFFSET)

    # When it is loaded, then all are read
    assert shop.load().counts.accepted == 7
    assert api.requests[0].posted == {"limit": 3, "offset": 0}


# Mistakes of servers


def test_fault_44_a_total_that_differs_from_what_was_read_is_told(shop: Shop, serve: Serve) -> None:
    """An API stated a larger total than it sent; the load was read and its notes say so, and no row is deleted (A)."""
    # Given a full copy of three, and then one without a person whom its total counts
    api = serve(lambda _: page(people(1, 2, 3), meta={"total": 3}))
    connect(shop, api, total="meta.total")
    shop.change(load="full", cursor=None)
    assert shop.load().notes == ()
    api.answer = lambda _: page(people(1, 2), meta={"total": "3"})

    # When it is loaded, then that is reported, and no row is deleted
    load = shop.load()
    assert "crm.people: the API states a total of 3, and 2 were read" in load.notes
    assert (load.counts.deleted, names(shop)) == (0, {1, 2, 3})

    # And a missing total is reported as well
    api.answer = lambda _: page(people(1, 2, 3))
    assert "crm.people: the API states no total at meta.total" in shop.load().notes


@pytest.mark.parametrize("paging", [{"next": "next"}, {"page": "page"}])
def test_fault_45_a_page_that_comes_twice_counts_as_duplicate(shop: Shop, serve: Serve, paging: dict[str, Any]) -> None:
    """An API sent its second page again as its third; no record is lost, and the records count as duplicates (I)."""
    # Given an API that sends its second page again as its third
    pages = {1: people(1, 2), 2: people(3, 4), 3: people(5, 6), 4: []}
    is_stale = [True]

    def answer(asked: Asked) -> Answer:
        number = int(asked.params.get("page", 1))
        shown = 2 if number == 3 and is_stale.pop(0) else number
        is_stale.append(False)
        following = f"?page={number if shown != number else number + 1}&again={shown != number}"
        return page(pages[shown], next=following if number < 4 else None)

    connect(shop, serve(answer), paging=paging)

    # When it is loaded, then each record is there, and repeated ones are counted
    load = shop.load()
    assert (load.counts.accepted, names(shop)) == (6, {1, 2, 3, 4, 5, 6})
    assert load.counts.duplicate >= 2


@pytest.mark.parametrize(
    ("paging", "following"),
    [
        ({"next": "next"}, lambda _: "/v1/people"),
        ({"next": "next"}, lambda _: "?page=2"),
        ({"next": "next"}, lambda asked: f"?page={int(asked.params.get('page', 0)) + 1}"),
        ({"cursor": "next", "param": "after"}, lambda _: "a"),
        ({"cursor": "next", "param": "after"}, lambda asked: asked.params.get("after", "") + "a"),
        ({"offset": "offset"}, lambda _: None),
        ({"page": "page"}, lambda _: None),
    ],
    ids=["itself", "the second", "new links", "a cursor", "new cursors", "no offset", "no numbers"],
)
def test_fault_45_pages_that_go_round_in_a_circle_fail_the_load(
    shop: Shop, serve: Serve, paging: dict[str, Any], following: Callable[[Asked], str | None]
) -> None:
    """An API repeated pages for ever, or ignored the parameters; the load failed after a few requests (F)."""
    # Given an API that always sends the same page
    api = serve(lambda asked: page(people(1, 2), next=following(asked)))
    connect(shop, api, paging=paging)

    # When it is loaded, then the loop is detected after a few requests
    with pytest.raises(SourceFailed, match="pagination loop"):
        shop.load()
    assert len(api.asked) <= 4
    assert shop.rows() == []


@pytest.mark.parametrize("paging", [OFFSET, NUMBER])
@pytest.mark.parametrize("change", ["deleted", "inserted", "moved"])
def test_fault_46_what_shifts_while_it_is_read_is_reconciled(
    shop: Shop, serve: Serve, paging: dict[str, Any], change: str
) -> None:
    """A list shifted between two pages; each person who stayed was read, at most twice, and it was reported (I, A)."""
    # Given a list from which a person is removed, to which one is added, or in which one moves to the end
    listed = people(*range(10))

    def meanwhile(request: int) -> None:
        if request == 2 and change == "inserted":
            listed.insert(0, person(99))
        elif request == 2:
            gone = listed.pop(0)
            listed.extend([gone] if change == "moved" else [])

    connect(shop, serve(listing(listed, meanwhile)), paging=paging, total="total")

    # When it is loaded, then no person is missing
    load = shop.load()
    assert names(shop) >= set(range(10))
    assert load.counts.accepted == 10
    note = "crm.people: its pages shifted while they were read; the reader stepped back 1 times"
    assert (note in load.notes) == (change != "inserted")


def test_fault_46_a_full_copy_that_shifted_deletes_nothing(shop: Shop, serve: Serve) -> None:
    """A full copy shifted while it was read; a missing person may have moved, and is not deleted (A)."""
    # Given a list that was read, and then shifts during a read
    listed = people(*range(10))
    api = serve(listing(listed))
    connect(shop, api, paging=OFFSET)
    shop.change(load="full", cursor=None)
    shop.load()
    api.answer = listing(listed, lambda request: listed.pop(0) and None if request == 2 else None)

    # When it is loaded, then only the next copy, which does not shift, deletes
    load = shop.load()
    assert load.counts.deleted == 0
    assert "crm.people: the full copy may lack records that the source has; nothing was deleted" in load.notes
    assert shop.load().counts.deleted == 1


def test_fault_46_a_list_that_never_stands_still_fails_the_load(shop: Shop, serve: Serve) -> None:
    """A list changed with each request; the load failed after a bounded number of requests (F)."""
    # Given such a list
    count = [0]

    def answer(_: Asked) -> Answer:
        count[0] += 3
        return page(people(*range(count[0], count[0] + 3)))

    api = serve(answer)
    connect(shop, api, paging=OFFSET)

    # When it is loaded, then the load fails
    with pytest.raises(SourceFailed, match="shift faster than they can be read"):
        shop.load()
    assert len(api.asked) < 50


def read_while_it_changes(way: str, size: int, listed: list[int], change: Callable[[int], None]) -> list[int]:
    """Return the records of a list that is read page by page, and changes before each request."""
    count = [0]

    def read(ask: ApiRequest) -> Page:
        count[0] += 1
        change(count[0])
        place = int(ask.url.params["at"])
        first = place if way == "offset" else (place - 1) * size
        found = [str(one) for one in listed[first : first + size]]
        return Page(pa.array(found, pa.string()), tuple(found))

    first = ApiRequest(httpx.URL("http://127.0.0.1/"))
    failed = lambda cause, remedy: SourceFailed("crm.people", cause, remedy)  # noqa: E731
    pages = Paginator(first, Paging(**{way: "at"}), read, lambda ask, _: ask, failed)
    return [int(one) for page in pages for one in page.records.to_pylist()]


def test_fault_46_offsets_lose_nothing_however_a_list_changes() -> None:
    """A list changed between any two requests; those that stayed were read (I), or it was reported (F)."""
    given_up = 0
    for seed in range(300):
        # Given a list, and changes of several records before some of the requests
        dice = random.Random(seed)
        listed = list(range(dice.randint(0, 60)))
        stayed, size, fresh = set(listed), dice.randint(3, 12), iter(range(1_000, 100_000))

        def change(_: int) -> None:
            for _ in range(dice.choice([0, 0, 0, 0, 0, 1, 2, 5])):  # noqa: B023
                if listed and dice.random() < 0.5:  # noqa: B023
                    stayed.discard(listed.pop(dice.randrange(len(listed))))  # noqa: B023
                else:
                    listed.insert(dice.randint(0, len(listed)), next(fresh))  # noqa: B023

        # When it is read, then all records that stayed in the list are read
        try:
            assert stayed <= set(read_while_it_changes("offset", size, listed, change)), seed
        except SourceFailed:
            given_up += 1
    assert given_up < 60


@pytest.mark.parametrize("way", ["offset", "page"])
@pytest.mark.parametrize("size", [1, 3])
def test_fault_46_no_shift_between_two_requests_goes_unseen(way: str, size: int) -> None:
    """Records were removed or added, before each request and at each place; each record that stayed was read (I)."""
    # Given every change of one place by one or more records, at every request
    for count in (1, 2, 6, 7):
        for when in range(2, 16):
            for where in range(count):
                for shift in (-5, -2, -1, 1, 4):
                    listed = list(range(count))

                    def change(request: int) -> None:
                        if request == when and shift < 0:  # noqa: B023
                            del listed[where : where - shift]  # noqa: B023
                        elif request == when:  # noqa: B023
                            listed[where:where] = range(100, 100 + shift)  # noqa: B023

                    # When it is read, then all records that stayed in the list are read
                    read = set(read_while_it_changes(way, size, listed, change))
                    stayed = set(range(count)) & set(listed)
                    assert stayed <= read, (count, when, where, shift)


def test_fault_46_a_record_that_moved_is_no_proof_that_nothing_lies_between() -> None:
    """The last record that was read moved to the end, onto the next page; no record was skipped (I)."""

    # Given a list that loses its first record, while the third moves to its end
    def change(request: int) -> None:
        if request == 2:
            listed[:] = [1, 3, 4, 5, 2]

    # When it is read, then the fourth does not count as read
    listed = [0, 1, 2, 3, 4, 5]
    assert {3, 4, 5} <= set(read_while_it_changes("offset", 3, listed, change))


@pytest.mark.parametrize("way", ["next", "link_header"])
def test_fault_48_a_link_to_another_host_is_not_followed(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """An API linked to another server; the other server got no request, and the load failed (F)."""
    # Given an API that links to another server
    monkeypatch.setenv("PEOPLE_TOKEN", "c4nary-t0ken")
    other = serve(lambda _: page(people(9)))
    link = f"{other.url}/v1/people"
    api = serve(lambda _: (200, {"Link": f'<{link}>; rel="next"'}, page(people(1), next=link)[2]))
    connect(shop, api, {"bearer": "{{ env_var('PEOPLE_TOKEN') }}"}, paging={way: "next"})

    # When it is loaded, then the other server gets no request
    with pytest.raises(SourceFailed, match="another host, 127"):
        shop.load()
    assert other.asked == []


def test_fault_48_a_redirect_to_another_host_is_not_followed(
    shop: Shop, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An API redirected to another server; the other server got no request, and the load failed (F)."""
    # Given an API that redirects
    monkeypatch.setenv("PEOPLE_KEY", "c4nary-k3y")
    other = serve(lambda _: page(people(9)))
    api = serve(lambda _: (307, {"Location": f"{other.url}/v1/people"}, b""))
    connect(shop, api, {"key": {"header": "X-Api-Key", "value": "{{ env_var('PEOPLE_KEY') }}"}})

    # When it is loaded, then the other server gets no request
    with pytest.raises(SourceFailed, match="HTTP status 307"):
        shop.load()
    assert (len(api.asked), other.asked) == (1, [])
