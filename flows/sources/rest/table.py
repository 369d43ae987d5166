"""REST sources: endpoints that list records as JSON, page by page."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import ClassVar

import duckdb
import pyarrow as pa

from flows.config.connections import Connection, TableMapping
from flows.core.relation import Relation
from flows.sources.batches import Batch, Request
from flows.sources.json_records import RECORDS, land_json
from flows.sources.rest.client import ApiRequest, RestClient
from flows.sources.rest.page_reader import PageReader
from flows.sources.rest.paginator import EMPTY, Page, Paginator
from flows.sources.rest.since import EPOCH_UNITS, not_past_now, since
from flows.sources.watermark import advance_watermark

ROWS_A_BATCH = 200_000
BYTES_A_BATCH = 64 * 1024 * 1024
LANDED = "landed_pages"


@dataclass(frozen=True)
class RestTable:
    """A table that an endpoint lists."""

    runs_query: ClassVar[bool] = False

    connection: Connection
    mapping: TableMapping

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield batches of pages, from the watermark if the endpoint takes one.

        Pages come in the API's own order, so only the last batch moves the watermark: a read that fails begins again.
        """
        with RestClient(self.connection, self.mapping.name, is_look=request.look is not None) as client:
            reader = PageReader(connection, self.mapping, request.identity)
            pages = Paginator(
                first=self._first_request(client, request),
                paging=self.mapping.paging,
                read=lambda page_request: reader.page(client.fetch(page_request)),
                link=lambda page_request, link: replace(page_request, url=client.join(page_request.url, link)),
                failed=client.failed,
                is_path_proven=request.watermark is not None,  # it waits until a load has shown the list's end
            )
            watermark, buffer = request.watermark, PageBuffer()
            if request.look is not None:
                yield self._look(connection, request, pages)
                return
            for page in pages:
                buffer.add(page, self.mapping.origin)
                if buffer.rows >= ROWS_A_BATCH or buffer.bytes >= BYTES_A_BATCH:
                    batch = self._land(connection, buffer, request, watermark)
                    watermark, buffer = batch.watermark, buffer.emptied()
                    yield replace(batch, watermark=request.watermark)
            last = self._land(connection, buffer, request, watermark)
            is_end_shown = self._is_end_shown(buffer, pages)
            has_total = buffer.total is not None or not self.mapping.total
            yield replace(
                last,
                watermark=last.watermark if is_end_shown else request.watermark,
                notes=tuple(self._notes(buffer, pages)),
                is_whole=is_end_shown and has_total and not pages.shifts,
            )

    def _look(self, connection: duckdb.DuckDBPyConnection, request: Request, pages: Paginator) -> Batch:
        """Return the first page, with a note on a path of the paging that it does not have."""
        buffer, reader = PageBuffer(), iter(pages)
        page = next(reader, EMPTY)
        buffer.add(page, self.mapping.origin)
        at, notes = self.mapping.paging.at, []
        is_last = page.has_more is False or (not page.following and not pages.is_counted and page.elsewhere is None)
        if not is_last and not page.is_following_stated and not pages.is_counted and page.elsewhere is not None:
            missing = f"no answer has anything at {at}, and " if at else "its mapping has no paging, and "
            notes.append(f"{self.mapping.name}: {missing}{page.elsewhere}. Fix `paging` in {self.mapping.place}")
        batch = self._land(connection, buffer, replace(request, cursor=None), None)
        return replace(batch, notes=tuple(notes), is_whole=is_last, has_all_columns=is_last)

    def _first_request(self, client: RestClient, request: Request) -> ApiRequest:
        mapping, paging = self.mapping, self.mapping.paging
        first = ApiRequest(client.url(self.mapping.origin), self.connection.body(self.mapping.name.table))
        if request.watermark is not None and mapping.since:
            start = since(request.watermark, request.lookback, mapping.since_format, self.mapping.zone)
            first = first.having(mapping.since, start)
        return first if paging.size is None else first.having(paging.limit, paging.size)

    def _land(
        self, connection: duckdb.DuckDBPyConnection, buffer: "PageBuffer", request: Request, watermark: str | None
    ) -> Batch:
        records, rejected = land_json(Relation.from_arrow(connection, LANDED, buffer.table()), str(self.mapping.name))
        mapping, cursor = self.mapping, request.cursor
        if mapping.since and cursor in records.types:
            lookback = None if mapping.since_format in EPOCH_UNITS else request.lookback  # it applies to either
            watermark = advance_watermark(records, cursor, watermark, lookback, mapping)
            watermark = not_past_now(watermark, mapping.since_format)
        return Batch(records, read=buffer.rows, rejected=rejected, watermark=watermark)

    def _is_end_shown(self, buffer: "PageBuffer", pages: Paginator) -> bool:
        """Tell whether all records were read, by the API's own total if it states one, else by its last page."""
        return pages.is_end_shown if buffer.total is None else buffer.total <= buffer.count

    def _notes(self, buffer: "PageBuffer", pages: Paginator) -> Iterator[str]:
        """Yield reasons to doubt that all records were read; pages that were read again count twice."""
        name, path, total, count = self.mapping.name, self.mapping.total, buffer.total, buffer.count
        if pages.shifts:
            yield f"{name}: its pages shifted while they were read; the reader stepped back {pages.shifts:,} times"
        if path and total is None:
            yield f"{name}: the API states no total at {path}"
        elif total is not None and (total > count or (total < count and not pages.shifts)):
            yield f"{name}: the API states a total of {total:,}, and {count:,} were read"
        if not count or total == count:
            return
        missing = "".join(f"no answer has anything at {path}; " for path in pages.unstated)
        if not pages.is_end_shown:
            found = f"{pages.last.elsewhere}; " if pages.last and pages.last.elsewhere else ""
            yield (
                f"{name}: {missing}{found}the API does not show that its {count:,} records are all. "
                "The next load reads them again. Fix `paging` in its mapping, or map `total` or `has_more`"
            )
        elif missing:
            yield f"{name}: {missing}fix `paging` in its mapping"


@dataclass
class PageBuffer:
    """Records of several pages on their way into one batch; `count` and `total` are of all pages so far."""

    first: int = 1
    rows: int = 0
    bytes: int = 0
    total: int | None = None
    pieces: list[pa.Table] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many records came, over all batches."""
        return self.first - 1 + self.rows

    def add(self, page: Page, endpoint: str) -> None:
        """Take a page's records."""
        start, length = self.first + self.rows, len(page.records)
        columns = [
            page.records.cast(pa.string()),
            pa.array([endpoint] * length, pa.string()),
            pa.array(range(start, start + length), pa.int64()),
        ]
        self.pieces.append(pa.table(columns, schema=RECORDS))
        self.rows += length
        self.bytes += page.records.nbytes
        self.total = self.total if page.total is None else page.total

    def table(self) -> pa.Table:
        """Return all records."""
        return pa.concat_tables([RECORDS.empty_table(), *self.pieces])

    def emptied(self) -> "PageBuffer":
        """Return the buffer for the records after these."""
        return PageBuffer(first=self.first + self.rows, total=self.total)
