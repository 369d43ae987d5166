"""The end of a list at a REST API: how an API shows it, and what comes of it if it does not."""

from typing import Any

import pytest
from support.rest_api import Answer, Asked, Serve, connect, people
from support.rest_api import page as page_of
from support.shop import Shop

from flows.core.errors import SourceFailed

pytest_plugins = ["support.rest_fixtures"]


def names(shop: Shop) -> set[int]:
    return {int(one) for one in shop.rows("id")}


def paged(paging: dict[str, Any]) -> dict[str, Any]:
    return {"paging": paging} if paging else {}


def answer_pages(*names: str, last: Any = "absent", page_of: Any = page_of) -> Any:
    """Answer six people on three pages; each leads to the next one at a path of keys, the last as `last` says."""

    def answer(asked: Asked) -> Answer:
        number = int(asked.params.get("page", 1))
        value: Any = f"/v1/people?page={number + 1}" if number < 3 else last
        further: Any = value
        for name in reversed(names):
            further = {name: further}
        return page_of(people(2 * number - 1, 2 * number), **(further if value != "absent" else {}))

    return answer


@pytest.mark.parametrize("last", ["absent", None, ""])
@pytest.mark.parametrize(
    ("keys", "path"),
    [
        (["@odata.nextLink"], "@odata.nextLink"),
        (["links", "next"], "links.next"),
        (["meta.page", "next.link"], "meta.page.next.link"),
        (["_links", "next", "href"], "_links.next.href"),
    ],
)
def test_fault_93_keys_that_hold_dots_are_paths_too(
    shop: Shop, serve: Serve, keys: list[str], path: str, last: Any
) -> None:
    """An API named its next page by a key with dots, as OData does; all pages were read: I."""
    # Given an API of three pages
    connect(shop, serve(answer_pages(*keys, last=last)), paging={"next": path})

    # When it is loaded, twice, then all is read, and there is nothing to say
    load = shop.load()
    assert (load.counts.accepted, load.notes, names(shop)) == (6, (), {1, 2, 3, 4, 5, 6})
    assert shop.load().counts.known == 6


def test_fault_93_every_path_may_hold_dots(shop: Shop, serve: Serve) -> None:
    """Records, total, flag, cursor, error and places in a posted body had dots in their keys: I."""
    import json

    # Given such an API, which posts
    def answer(asked: Asked) -> Answer:
        after = asked.posted["page.after"]
        body = {
            "d.results": {"rows.all": people(1, 2) if after is None else people(3)},
            "odata.count": 3,
            "more.data": after is None,
            "next.one": {"c.1": "x" if after is None else None},
            "odata.error": None,
        }
        return 200, {}, json.dumps(body).encode()

    paging = {"cursor": "next.one.c.1", "param": "page.after", "has_more": "more.data"}
    connect(shop, serve(answer), method="post", body={"page.after": None}, paging=paging, total="odata.count",
            records="d.results.rows.all", error="odata.error")  # fmt: skip

    # When it is loaded, then all is read
    load = shop.load()
    assert (load.counts.accepted, load.notes) == (3, ())


@pytest.mark.parametrize(
    "paging",
    [
        {},
        {"next": "odata.nextLink"},
        {"next": "links.next"},
        {"cursor": "meta.after", "param": "after"},
        {"link_header": "next"},
    ],
)
def test_fault_93_a_link_to_a_further_page_is_not_passed_over(shop: Shop, serve: Serve, paging: dict[str, Any]) -> None:
    """A mapping had no paging, or a typo in its path, and the answer linked to a further page: F."""
    # Given an API that links to its next page, and a mapping that looks elsewhere
    connect(shop, serve(answer_pages("@odata.nextLink")), **paged(paging))

    # When it is loaded, then the error names the place, and nothing is kept
    with pytest.raises(SourceFailed, match=r"there are further pages.*it has something at @odata\.nextLink"):
        shop.load()
    assert shop.rows() == []


@pytest.mark.parametrize("paging", [{}, {"link_header": "nxt"}, {"next": "next"}])
def test_fault_93_a_link_header_is_not_passed_over(shop: Shop, serve: Serve, paging: dict[str, Any]) -> None:
    """A mapping did not follow the standard Link header of an API: F."""
    headers = {"Link": '</v1/people?page=2>; rel="Next last"'}
    connect(shop, serve(lambda _: (200, headers, page_of(people(1))[2])), **paged(paging))
    with pytest.raises(SourceFailed, match="its Link header has rel=next"):
        shop.load()
    assert shop.rows() == []


@pytest.mark.parametrize(
    ("paging", "further", "says"),
    [
        ({"next": "links.nxt"}, {}, "no answer has anything at links.nxt; the API does not show"),
        ({"link_header": "next"}, {}, "no answer has anything at next; the API does not show"),
        ({"cursor": "aftr", "param": "after"}, {"after": "b"}, "no answer has anything at aftr; the API does not"),
        ({"cursor": "x", "param": "after"}, {"next_token": "b"}, "at x; it has something at next_token; the API"),
        ({}, {"meta": {"hasMore": True}}, "crm.people: it has something at meta.hasMore; the API does not show"),
        ({}, {"meta": {"page": 1, "total_pages": 2}}, "it has something at meta.total_pages; the API does not show"),
        ({}, {"page": 1, "pages": 3}, "crm.people: it has something at pages; the API does not show"),
        ({}, {"lastPage": 9}, "crm.people: it has something at lastPage; the API does not show"),
        ({"offset": "from", "has_more": "mor"}, {"more": False}, "no answer has anything at mor; fix `paging`"),
    ],
)
def test_fault_93_a_path_that_no_answer_has_is_told_and_deletes_nothing(
    shop: Shop, serve: Serve, paging: dict[str, Any], further: dict[str, Any], says: str
) -> None:
    """A path of the mapping was in no answer, so that the end of the list was not shown: A."""
    # Given a full copy that was read
    api = serve(lambda asked: page_of(people(1, 2), next=None))
    connect(shop, api)
    shop.change(load="full", cursor=None)
    shop.load()

    # When its mapping has a typo, and the answer lacks a person
    def answer(asked: Asked) -> Answer:
        return page_of(people(1)[int(asked.params.get("from", 0)) :], **further)

    api.answer = answer
    shop.map(**{"from": "/people", "records": "data", **paged(paging)})
    load = shop.load()

    # Then it is told, and nobody is deleted unless an empty page showed the end
    assert any(says in note for note in load.notes), load.notes
    assert load.counts.deleted == (1 if "offset" in paging else 0)


def test_news_of_one_page_end_where_earlier_loads_have_followed_links(shop: Shop, serve: Serve) -> None:
    # Given an API that leaves the link out on its last page, and a load that read two pages
    def answer(asked: Asked) -> Answer:
        if "since" in asked.params:
            return page_of(people(3))
        return (
            page_of(people(1), **{"@odata.nextLink": "/v1/people?page=2"}) if not asked.params else page_of(people(2))
        )

    connect(shop, serve(answer), paging={"next": "@odata.nextLink"}, since="since")
    assert shop.load().notes == ()

    # When one page of news comes, then it is all that there is
    load = shop.load()
    assert (load.counts.accepted, load.notes) == (1, ())


@pytest.mark.parametrize(
    ("paging", "further"),
    [
        ({}, {}),
        ({}, {"next": None, "next_update": "2026-03-01", "more_info": "https://example.org"}),
        ({"next": "next"}, {"next": None}),
        ({"next": "next", "has_more": "more"}, {"more": False}),
        ({"next": "next"}, {"meta": {"total": 1}}),
        ({"cursor": "after", "param": "after"}, {"after": ""}),
        ({"cursor": "after", "param": "after", "has_more": "more"}, {"more": 0}),
    ],
)
def test_a_copy_whose_end_is_shown_deletes(
    shop: Shop, serve: Serve, paging: dict[str, Any], further: dict[str, Any]
) -> None:
    # Given a full copy of two, whose end is shown in one way or another
    total = {"total": "meta.total"} if "meta" in further else {}
    api = serve(lambda _: page_of(people(1, 2), **({**further, "meta": {"total": 2}} if total else further)))
    connect(shop, api, **paged(paging), **total)
    shop.change(load="full", cursor=None)
    assert shop.load().notes == ()

    # When one of them is gone, then that counts
    api.answer = lambda _: page_of(people(1), **further)
    assert shop.load().counts.deleted == 1


def test_fault_93_a_watermark_waits_for_the_end_of_the_list(shop: Shop, serve: Serve) -> None:
    """A list with a watermark did not show its end; the next load asked from where this one had asked: I, A."""
    # Given an API whose only page leaves the next link out, so that it may be a typo
    api = serve(lambda _: page_of(people(1)))
    connect(shop, api, paging={"next": "nextLnk"}, since="since")
    assert shop.load().counts.accepted == 1
    shop.load()
    assert api.asked == ["/v1/people", "/v1/people"]

    # When its end is shown, then the watermark moves on
    api.answer = lambda _: page_of(people(1), nextLnk=None)
    shop.load()
    shop.load()
    assert api.asked[2:] == ["/v1/people", "/v1/people?since=2026-03-01T09%3A00%3A00Z"]


@pytest.mark.parametrize("link", [{"href": "?page=2"}, ["?page=2"], True, 2])
def test_fault_93_a_link_that_is_no_text_fails_the_load(shop: Shop, serve: Serve, link: Any) -> None:
    """The path of the next link led to an object, as in HAL, and not to its text: F."""
    connect(shop, serve(lambda _: page_of(people(1), next=link)), paging={"next": "next"})
    with pytest.raises(SourceFailed, match=r"no link at next, but a"):
        shop.load()


@pytest.mark.parametrize("status", [400, 404, 416])
@pytest.mark.parametrize("paging", [{"page": "page"}, {"offset": "offset"}])
def test_no_page_past_the_last_one_is_the_end_once_the_total_is_reached(
    shop: Shop, serve: Serve, paging: dict[str, Any], status: int
) -> None:
    # Given an API that answers with an error past its last page
    listed = people(*range(4))
    stated = [4]

    def answer(asked: Asked) -> Answer:
        first = int(asked.params["offset"]) if "offset" in asked.params else 2 * int(asked.params["page"]) - 2
        return page_of(listed[first : first + 2], total=stated[0]) if first < 4 else (status, {}, b"no such page")

    connect(shop, serve(answer), paging=paging, total="total")

    # When it is loaded, then all are read; and if its total says that some are left, it fails
    assert (shop.load().counts.accepted, names(shop)) == (4, {0, 1, 2, 3})
    stated[0] = 5
    with pytest.raises(SourceFailed, match=f"HTTP status {status}"):
        shop.load()


@pytest.mark.parametrize("answer", [(204, {}, b""), (200, {}, b'{"data": null}')])
def test_an_empty_list_may_be_no_content_or_null(shop: Shop, serve: Serve, answer: Answer) -> None:
    # Given an API that answers so when there is nothing
    connect(shop, serve(lambda _: answer), since="since", paging={"next": "next"})

    # When it is loaded, then that is no failure
    load = shop.load()
    assert (load.counts.read, load.notes) == (0, ())


def test_fault_44_null_beside_errors_is_no_empty_list(shop: Shop, serve: Serve) -> None:
    """An API answered with null for its list, and with errors beside it, as GraphQL does: F."""
    connect(shop, serve(lambda _: (200, {}, b'{"data": null, "errors": [{"message": "c4nary"}]}')))
    with pytest.raises(SourceFailed, match="no list of records at data") as failure:
        shop.load()
    assert "c4nary" not in str(failure.value)
