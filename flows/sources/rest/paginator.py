"""Pagination: by links and cursors as the API gives them, and by offset or page number so that no shift loses records.

A list that is read by offset or page number may change between two requests. If a record is deleted, all records after
it move up. One of them moves from the next page to a page that was read. So each page must join the page before.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import pyarrow as pa

from flows.config.rest_options import Paging
from flows.core.errors import SourceFailed
from flows.sources.rest.client import ApiRequest, NoSuchPage

TRIES = 10
"""How often in a row the reader steps back from pages that do not join, before it gives up."""

REPEATS, EMPTY_PAGES = 2, 1_000
"""How often the same page, and how often an empty page, may come before that is a pagination loop."""

OWNER = "Ask the API's owner."


class Elsewhere(NamedTuple):
    """A place in a response, or in its Link header, that seems to lead to a further page, and the paging to map."""

    kind: str
    at: str
    is_link: bool

    def __str__(self) -> str:
        return f"its Link header has rel={self.at}" if self.kind == "link_header" else f"it has something at {self.at}"


@dataclass(frozen=True)
class Page:
    """A response's records as JSON texts, their identities, and what the response states of further pages.

    `following` is the link or cursor of the next page, and `is_following_stated` tells null from absent.
    `has_more` and `total` are None if the API does not say. `elsewhere` seems to lead to a page that is not mapped.
    """

    records: pa.Array
    identities: tuple[str, ...]
    following: Any = None
    is_following_stated: bool = False
    has_more: bool | None = None
    total: int | None = None
    elsewhere: Elsewhere | None = None

    def without_first(self) -> "Page":
        """Return the page without its first record."""
        return replace(self, records=self.records[1:], identities=self.identities[1:])

    def joins(self, other: "Page | None") -> bool:
        """Tell whether this page begins within the other, so that no record lies between them.

        A later record that both share proves nothing: it may have changed, and moved to the end of the list.
        """
        return other is not None and bool(self.identities) and self.identities[0] in other.identities


EMPTY = Page(pa.array([], pa.string()), ())
"""A page without records."""


class Step(NamedTuple):
    """A page that joins the page before it, its offset or page number, and the page without records that were read."""

    place: int
    page: Page
    new: Page


@dataclass
class Paginator:
    """The pages of an endpoint, from the first.

    `shifts` counts how often they moved while they were read. `unstated` are paths of the mapping that no page has.
    `is_end_shown` tells whether the API itself showed that the `last` page that was read is the last one.
    `is_path_proven` tells that an earlier load saw the mapped path: where it is absent now, the list ends.
    """

    first: ApiRequest
    paging: Paging
    read: Callable[[ApiRequest], Page]
    link: Callable[[ApiRequest, str], ApiRequest]
    failed: Callable[[str, str], SourceFailed]
    is_path_proven: bool = False
    shifts: int = 0
    unstated: tuple[str, ...] = ()
    is_end_shown: bool = True
    last: Page | None = None
    _count: int = 0
    _total: int | None = None
    _stated: set[str] = field(default_factory=set)
    _seen: Counter[int] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[Page]:
        """Yield page after page; raises SourceFailed for a pagination loop, or a list that shifts too fast."""
        yield from self._by_place() if self.is_counted else self._by_link()
        wanted = (self.paging.has_more, "" if self.is_end_shown else self.paging.at)
        self.unstated = tuple(path for path in wanted if path and path not in self._stated)

    def _by_link(self) -> Iterator[Page]:
        """Follow links or cursors to the last page; an empty page that leads to itself is the last one too."""
        request: ApiRequest | None = self.first
        numbers: dict[str, int] = {}
        while request is not None:
            page = self._require_progress(self._read(request))
            self._require_followed(page)
            yield page
            numbers[request.text()] = len(numbers) + 1
            following = self._following(page, request)
            if following is not None and following.text() in numbers:
                if following == request and not page.identities:
                    return
                raise self._loop(f"page {len(numbers)} leads back to page {numbers[following.text()]}")
            request = following

    def _require_followed(self, page: Page) -> None:
        """Raise SourceFailed for a link to a further page that the mapping does not follow."""
        found, at = page.elsewhere, self.paging.at
        if found is None or not found.is_link or at in self._stated or page.has_more is False:
            return
        missing = f"no answer has anything at {at}, and" if at else "its mapping has no paging, and"
        raise self.failed(
            f"there are further pages: {missing} {found}", f"Map it: paging: {{{found.kind}: '{found.at}'}}"
        )

    def _following(self, page: Page, request: ApiRequest) -> ApiRequest | None:
        if page.has_more is False:
            return None
        if not page.following and not page.has_more:
            at = self.paging.at
            is_proven = self.is_path_proven or at in self._stated or not page.identities
            self.is_end_shown = is_proven or (not at and page.elsewhere is None)
            return None
        if not page.following:
            raise self.failed("it says that there is more, and not where", "Fix `paging` in its mapping.")
        if self.paging.kind == "cursor":
            return request.having(self.paging.param, page.following)
        if not isinstance(page.following, str):
            raise self.failed(
                f"it has no link at {self.paging.at}, but a {type(page.following).__name__}",
                "Fix `paging` in its mapping; the path leads to the link's text, such as _links.next.href.",
            )
        return self.link(request, page.following)

    def _by_place(self) -> Iterator[Page]:
        """Read by offset or page number to an empty page; a short page does not prove that it is the last one."""
        place, furthest, tries = self.paging.first, self.paging.first, 0
        last: Page | None = None
        while True:
            step = self._step_on(place, last)
            if step is None:
                tries += 1
                step = self._step_back(place, last, tries)
            has_new = bool(step.new.identities)
            self._count += len(step.new.identities)
            if has_new or last is None:
                yield step.new
            if not has_new and step.page.has_more:
                raise self.failed("it says that there is more, and shows none", OWNER)
            if not has_new or step.page.has_more is False:
                return
            place, last = step.place + self._length(step.page), step.page
            if place > furthest:
                furthest, tries = place, 0

    def _step_on(self, place: int, last: Page | None) -> Step | None:
        """Read the page at a place; return None if it does not join the last page."""
        if last is not None and self._is_by_offset:
            page = self._page_at(place - 1)
            if page.identities[:1] != last.identities[-1:]:
                return Step(place - 1, page, self._require_progress(page)) if page.joins(last) else None
            if len(page.identities) > 1 or page.has_more is False:
                return Step(place - 1, page, self._require_progress(page.without_first()))
        page = self._page_at(place)
        if last is None or page.joins(last) or self._is_unmoved(place, last):
            return Step(place, page, self._require_progress(page))
        return None

    def _is_unmoved(self, place: int, last: Page) -> bool:
        """Tell whether the last record that was read is still in front of a place."""
        again = self._page_at(place - 1).identities
        return (again[:1] if self._is_by_offset else again[-1:]) == last.identities[-1:]

    def _step_back(self, place: int, last: Page | None, tries: int) -> Step:
        """Step back to a page that begins within the last page, or to the beginning of the list."""
        self.shifts += 1
        distance = 1 if last is None or not self._is_by_offset else len(last.identities)
        while tries <= TRIES:
            start = max(place - distance, self.paging.first)
            page = self._page_at(start)
            if start == self.paging.first or page.joins(last):
                return Step(start, page, page)
            distance, tries = distance * 2, tries + 1
        raise self.failed("its pages shift faster than they can be read", "Run again, or use paging by cursor.")

    def _read(self, request: ApiRequest) -> Page:
        """Read a page, and note which paths of the mapping it has."""
        page = self.last = self.read(request)
        self._total = self._total if page.total is None else page.total
        self._stated |= {self.paging.at} if page.is_following_stated else set()
        self._stated |= {self.paging.has_more} if page.has_more is not None else set()
        return page

    @property
    def is_counted(self) -> bool:
        """Whether pages are read by offset or page number."""
        return self.paging.kind in ("offset", "page")

    @property
    def _is_by_offset(self) -> bool:
        return self.paging.kind == "offset"

    def _length(self, page: Page) -> int:
        return len(page.identities) if self._is_by_offset else 1

    def _page_at(self, place: int) -> Page:
        """Read the page at a place; an error past the last page is an empty page once the stated total was read."""
        try:
            return self._read(self.first.having(self.paging.at, place))
        except NoSuchPage:
            if self.shifts or self._total is None or self._count < self._total:
                raise
            return EMPTY

    def _require_progress(self, page: Page) -> Page:
        """Return a page; raises SourceFailed if the same one came too often."""
        content = hash(page.identities)
        self._seen[content] += 1
        if self._seen[content] > (REPEATS if page.identities else EMPTY_PAGES):
            raise self._loop(f"{self._seen[content]:,} pages are the same")
        return page

    def _loop(self, cause: str) -> SourceFailed:
        return self.failed(f"pagination loop: {cause}", f"Fix `paging` in its mapping. {OWNER}")
