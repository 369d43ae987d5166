"""REST sources: endpoints that list records as JSON, page by page."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import duckdb
import httpx
import pyarrow as pa

from flows.config.connections import Connection, TableMapping
from flows.config.rest_options import Endpoint
from flows.core.errors import SourceFailed
from flows.core.names import literal
from flows.sources.batches import SOURCE, Batch, Request
from flows.sources.json_records import RECORDS, json_pointer, keep_digits, land_arrow, land_json
from flows.sources.rest.client import ApiRequest, RestClient
from flows.sources.rest.paginator import Page, Paginator
from flows.sources.rest.since import not_past_now, since
from flows.sources.watermark import reached

ROWS_A_BATCH = 200_000
BYTES_A_BATCH = 64 * 1024 * 1024


@dataclass(frozen=True)
class RestTable:
    """A table that an endpoint lists."""

    runs_query: ClassVar[bool] = False

    connection: Connection
    mapping: TableMapping

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield pages gathered into batches, from the watermark on where the endpoint takes one.

        Pages come in the API's own order, so the watermark moves with the last batch: a read that dies begins again.
        """
        with RestClient(self.connection, self.mapping.name) as client:
            reader = PageReader(connection, self.mapping, request.identity)
            pages = Paginator(
                first=self._first(client, request),
                paging=self.mapping.endpoint.paging,
                read=lambda ask: reader.page(client.fetch(ask)),
                link=lambda ask, link: replace(ask, url=client.join(ask.url, link)),
                failed=client.failed,
            )
            reached, gathered = request.watermark, PageBuffer()
            for page in pages:
                gathered.add(page, self.mapping.origin)
                if gathered.rows >= ROWS_A_BATCH or gathered.bytes >= BYTES_A_BATCH:
                    batch = self._land(connection, gathered, request, reached)
                    reached, gathered = batch.watermark, gathered.emptied()
                    yield replace(batch, watermark=request.watermark)
            last = self._land(connection, gathered, request, reached)
            is_whole = not pages.shifts and (gathered.total or 0) <= gathered.count
            yield replace(last, notes=tuple(self._notes(gathered, pages.shifts)), is_whole=is_whole)

    def _first(self, client: RestClient, request: Request) -> ApiRequest:
        endpoint, paging = self.mapping.endpoint, self.mapping.endpoint.paging
        ask = ApiRequest(client.url(self.mapping.origin), self.connection.body(self.mapping.name.table))
        if request.watermark is not None and endpoint.since:
            start = since(request.watermark, request.lookback, endpoint.since_format or "", self.mapping.time_zone)
            ask = ask.having(endpoint.since, start)
        return ask if paging.size is None else ask.having(paging.limit, paging.size)

    def _land(
        self, connection: duckdb.DuckDBPyConnection, gathered: "PageBuffer", request: Request, watermark: str | None
    ) -> Batch:
        rejected = land_json(connection, land_arrow(connection, gathered.table()), str(self.mapping.name))
        columns = {name for name, *_ in connection.execute(f"describe {SOURCE}").fetchall()}
        cursor = request.cursor if request.cursor in columns else None
        watermark = not_past_now(
            reached(connection, SOURCE, cursor, watermark), self.mapping.endpoint.since_format or ""
        )
        return Batch(read=gathered.rows, rejected=rejected, watermark=watermark)

    def _notes(self, gathered: "PageBuffer", shifts: int) -> Iterator[str]:
        """Yield what someone should know who relies on having all records; pages that were read again count twice."""
        name, stated, total, count = self.mapping.name, self.mapping.endpoint.total, gathered.total, gathered.count
        if shifts:
            yield f"{name}: its pages shifted while they were read; {shifts:,} times it was stepped back"
        if stated and total is None:
            yield f"{name}: the API states no total at {stated}"
        elif total is not None and (total > count or (total < count and not shifts)):
            yield f"{name}: the API states a total of {total:,}, and {count:,} were read"


@dataclass(frozen=True)
class PageReader:
    """Reads answers as pages; `identity` are the columns that tell a record from others, else all of it does."""

    connection: duckdb.DuckDBPyConnection
    mapping: TableMapping
    identity: tuple[str, ...]

    def page(self, answer: httpx.Response) -> Page:
        """Return what an answer holds; raises SourceFailed for one that is cut short, an error, or has no records."""
        text, endpoint = self._text(answer), self.mapping.endpoint
        try:
            said = self._said(text, endpoint)
            if said.get(endpoint.error):
                raise self._failed(
                    f"{answer.url.path} answered with an error, at {endpoint.error}", "Ask the API's owner."
                )
            records = self._records(text)
        except duckdb.Error:
            raise self._failed("its answer is no JSON", "Check the url and the endpoint.") from None
        following = said.get(endpoint.paging.at)
        if endpoint.paging.kind == "link_header":
            following = answer.links.get(endpoint.paging.at, {}).get("url")
        return Page(
            records=records.column("_record").combine_chunks(),
            identities=tuple(records.column("_identity").to_pylist()),
            following=following,
            has_more=_truth(said.get(endpoint.paging.has_more)),
            total=_count(said.get(endpoint.total)),
        )

    def _text(self, answer: httpx.Response) -> str:
        try:
            return keep_digits(answer.content.decode(answer.charset_encoding or "utf-8-sig"))
        except (UnicodeDecodeError, LookupError):
            raise self._failed(
                f"{answer.url.path} answered with bytes that are no text", "Ask the API's owner."
            ) from None

    def _said(self, text: str, endpoint: Endpoint) -> dict[str, Any]:
        """Return what an answer says beside its records, by dotted path."""
        paging = endpoint.paging
        at = paging.at if paging.kind in ("next", "cursor") else ""
        wanted = [dotted for dotted in {endpoint.error, endpoint.total, paging.has_more, at} if dotted]
        paths = ", ".join(map(_json_path, wanted))
        found = self.connection.execute(f"select json_extract($page, [{paths}]::varchar[])", {"page": text}).fetchall()
        values = [None if value is None else json.loads(value) for value in found[0][0]]
        return dict(zip(wanted, values, strict=True))

    def _records(self, text: str) -> pa.Table:
        path = _json_path(self.mapping.endpoint.records)
        kind = self.connection.execute(f"select json_type($page, {path})", {"page": text}).fetchall()[0][0]
        if kind != "ARRAY":
            where = self.mapping.endpoint.records or "the body itself"
            raise self._failed(f"its answer has no list of records at {where}", "Fix `records` in its mapping.")
        columns = ", ".join(literal(json_pointer([column])) for column in self.identity)
        key = f"json_extract_string(_record, [{columns}])" if columns else "null"
        return self.connection.sql(
            "select _record, "
            f"if(list_count(_key) = {len(self.identity)}, cast(_key as varchar), _record) as _identity "
            f"from (select _record, {key} as _key from ("
            f"select coalesce(unnest(from_json(json_extract($page, {path}), '[\"json\"]'))::varchar, 'null') as _record"
            "))",
            params={"page": text},
        ).to_arrow_table()

    def _failed(self, cause: str, remedy: str) -> SourceFailed:
        return SourceFailed(str(self.mapping.name), cause, remedy)


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
        self.pieces.append(
            pa.table(
                {
                    "_record": page.records.cast(pa.string()),
                    "_file": pa.array([endpoint] * length, pa.string()),
                    "_row": pa.array(range(start, start + length), pa.int64()),
                }
            )
        )
        self.rows += length
        self.bytes += page.records.nbytes
        self.total = self.total if page.total is None else page.total

    def table(self) -> pa.Table:
        """Return all of them."""
        return pa.concat_tables([RECORDS.empty_table(), *self.pieces])

    def emptied(self) -> "PageBuffer":
        """Return what is gathered once these have become a batch."""
        return PageBuffer(first=self.first + self.rows, total=self.total)


def _json_path(dotted: str) -> str:
    return literal(json_pointer([part for part in dotted.split(".") if part]) or "$")


def _truth(said: Any) -> bool | None:
    """Read whether there is more, as APIs say it; None if they do not."""
    return None if said is None else str(said).strip().lower() not in ("false", "0", "no", "")


def _count(said: Any) -> int | None:
    return int(said) if str(said).isdecimal() else None
