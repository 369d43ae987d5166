"""From page to page: by links and cursors as the API gives them, by offset and number so that no shift goes unseen.

A list that is read by offset or number may change between two requests: where a record goes, those behind it move up,
and one slips from the page that comes next onto the one that was read. So each page must be joined to the one before.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from flows.config.rest_options import Paging
from flows.core.errors import SourceFailed
from flows.sources.rest.client import ApiRequest

TRIES = 10
"""How often in a row a page that does not join may be looked for before the read is given up."""

REPEATS, EMPTY_PAGES = 2, 1_000
"""How often one and the same page may come, and how many empty ones, before that is a circle."""


@dataclass(frozen=True)
class Page:
    """An answer's records as JSON texts, what tells each from others, and what it says of further pages.

    `following` is the link or cursor of the next page, `has_more` and `total` are None where the API does not say.
    """

    records: pa.Array
    identities: tuple[str, ...]
    following: Any = None
    has_more: bool | None = None
    total: int | None = None

    def behind(self, count: int) -> "Page":
        """Return the page without its first records."""
        return Page(self.records[count:], self.identities[count:], self.following, self.has_more, self.total)

    def joins(self, other: "Page | None") -> bool:
        """Tell whether this page begins within the other, so that nothing lies between them.

        That they share a later record would not do: it may be one that was changed, and moved to the list's end.
        """
        return other is not None and bool(self.identities) and self.identities[0] in other.identities


@dataclass
class Paginator:
    """The pages of an endpoint, from its first on; `shifts` counts how often they moved while they were read."""

    first: ApiRequest
    paging: Paging
    read: Callable[[ApiRequest], Page]
    link: Callable[[ApiRequest, str], ApiRequest]
    failed: Callable[[str, str], SourceFailed]
    shifts: int = 0
    _came: Counter[int] = field(default_factory=Counter)

    def __iter__(self) -> Iterator[Page]:
        """Yield page after page; raises SourceFailed if they circle, or shift faster than they can be read."""
        if self.paging.kind in ("offset", "page"):
            yield from self._counted()
        else:
            yield from self._linked()

    def _linked(self) -> Iterator[Page]:
        """Follow links or cursors until there is none; where one stands and nothing comes, the end is reached too."""
        ask: ApiRequest | None = self.first
        asked: set[str] = set()
        while ask is not None:
            page = self._progressing(self.read(ask))
            yield page
            asked.add(ask.text())
            following = self._following(page, ask)
            if following is not None and following.text() in asked:
                if following == ask and not page.identities:
                    return
                raise self._circle()
            ask = following

    def _following(self, page: Page, ask: ApiRequest) -> ApiRequest | None:
        if page.has_more is False or (not page.following and not page.has_more):
            return None
        if not page.following:
            raise self.failed("it says that there is more, and not where", "Fix `paging` in its mapping.")
        if self.paging.kind == "cursor":
            return ask.having(self.paging.param, page.following)
        return self.link(ask, str(page.following))

    def _counted(self) -> Iterator[Page]:
        """Read on from a place, an offset or a page's number, to an empty page; that one is short proves nothing."""
        place, furthest, tries = self.paging.first, self.paging.first, 0
        last: Page | None = None
        while True:
            found = self._ahead(place, last)
            if found is None:
                tries += 1
                found = self._back(place, last, tries)
            at, page, fresh = found
            if fresh.identities or last is None:
                yield fresh
            if not fresh.identities and page.has_more:
                raise self.failed("it says that there is more, and shows none", "Ask the API's owner.")
            if not fresh.identities or page.has_more is False:
                return
            place, last = at + self._length(page), page
            if place > furthest:
                furthest, tries = place, 0

    def _ahead(self, place: int, last: Page | None) -> tuple[int, Page, Page] | None:
        """Read the page at a place: where it begins, all of it, and what of it is new; None if it does not join."""
        if last is not None and self._overlaps:
            page = self._at(place - 1)
            if page.identities[:1] != last.identities[-1:]:
                return (place - 1, page, self._progressing(page)) if page.joins(last) else None
            if len(page.identities) > 1 or page.has_more is False:
                return place - 1, page, self._progressing(page.behind(1))
        page = self._at(place)
        if last is None or page.joins(last) or self._stands(place, last):
            return place, page, self._progressing(page)
        return None

    def _stands(self, place: int, last: Page) -> bool:
        """Tell whether the last record that was read is still where it was, right before a place."""
        again = self._at(place - 1).identities
        return (again[:1] if self._overlaps else again[-1:]) == last.identities[-1:]

    def _back(self, place: int, last: Page | None, tries: int) -> tuple[int, Page, Page]:
        """Step back until a page begins within the one before, or the list begins."""
        self.shifts += 1
        step = 1 if last is None or not self._overlaps else len(last.identities)
        while tries <= TRIES:
            at = max(place - step, self.paging.first)
            page = self._at(at)
            if at == self.paging.first or page.joins(last):
                return at, page, page
            step, tries = step * 2, tries + 1
        raise self.failed("its pages shift faster than they can be read", "Run again, or say paging by cursor.")

    @property
    def _overlaps(self) -> bool:
        return self.paging.kind == "offset"

    def _length(self, page: Page) -> int:
        return len(page.identities) if self._overlaps else 1

    def _at(self, place: int) -> Page:
        return self.read(self.first.having(self.paging.at, place))

    def _progressing(self, page: Page) -> Page:
        """Return a page that did not come too often."""
        came = hash(page.identities)
        self._came[came] += 1
        if self._came[came] > (REPEATS if page.identities else EMPTY_PAGES):
            raise self._circle()
        return page

    def _circle(self) -> SourceFailed:
        return self.failed("its pages go round in a circle", "Fix `paging` in its mapping, or ask the API's owner.")
