"""REST sources: JSON pages by next link or cursor, a bearer token, and patience with servers that ask for it."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import ClassVar
from urllib.parse import urljoin

import duckdb
import httpx
import pyarrow as pa
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from flows.errors import SourceFailed
from flows.names import literal
from flows.settings import scrub
from flows.sources.batches import SOURCE, Batch, Request
from flows.sources.connections import Connection, TableMapping
from flows.sources.json_records import RECORDS, json_pointer, keep_digits, land_arrow, land_json
from flows.sources.position import from_position, reached

ROWS_A_BATCH = 200_000
BYTES_A_BATCH = 64 * 1024 * 1024
ATTEMPTS = 5
LONGEST_WAIT_SECONDS = 60.0
TIMEOUT_SECONDS = 30.0


class NotNow(Exception):
    """A response that asks to be tried again: 429, or a server's own failure."""

    def __init__(self, status: int, seconds: float | None) -> None:
        asked = "" if seconds is None else f", and asks to wait for {seconds:,.0f} seconds"
        super().__init__(f"HTTP status {status}{asked}")
        self.seconds = seconds

    @property
    def is_worth_waiting(self) -> bool:
        """Tell whether the wait that it asks for, if any, is within bounds; to ask again earlier would be rude."""
        return self.seconds is None or self.seconds <= LONGEST_WAIT_SECONDS


@dataclass(frozen=True)
class RestEndpoint:
    """An endpoint that lists records as JSON, page by page."""

    runs_query: ClassVar[bool] = False

    connection: Connection
    mapping: TableMapping

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield pages gathered into batches, from the position on where the endpoint takes one.

        Pages come in the API's own order, so the position moves with the last batch: a read that dies begins again.
        """
        reached, gathered = request.position, Gathered()
        for page in self._pages(connection, request):
            gathered.add(self._records(connection, page), self.mapping.origin)
            if gathered.rows >= ROWS_A_BATCH or gathered.bytes >= BYTES_A_BATCH:
                batch = self._land(connection, gathered, request, reached)
                reached, gathered = batch.position, Gathered(first=gathered.first + gathered.rows)
                yield replace(batch, position=request.position)
        yield self._land(connection, gathered, request, reached)

    def _pages(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[str]:
        paging, seen = self.mapping.paging, set()
        base = self.connection.url().rstrip("/") + "/"
        url = httpx.URL(urljoin(base, self.mapping.origin.lstrip("/")))
        if request.position is not None and paging.since:
            since = from_position(request.position, request.overlap)
            text = since.isoformat() if isinstance(since, datetime) else str(since)
            url = url.copy_merge_params({paging.since: text})
        headers = {"Accept": "application/json"}
        if token := self.connection.bearer():
            headers["Authorization"] = f"Bearer {token}"
        with httpx.Client(headers=headers, timeout=TIMEOUT_SECONDS) as client:
            following: httpx.URL | None = url
            while following is not None:
                if str(following) in seen:
                    raise self._failed("its pages go round in a circle", "Ask the API's owner.")
                seen.add(str(following))
                page = self._get(client, following)
                yield page
                following = self._following(connection, page, following)

    def _get(self, client: httpx.Client, url: httpx.URL) -> str:
        try:
            for attempt in Retrying(
                retry=retry_if_exception(_is_worth_another_try),
                stop=stop_after_attempt(ATTEMPTS),
                wait=_wait,
                reraise=True,
            ):
                with attempt:
                    response = client.get(url)
                    if response.status_code == 429 or response.status_code >= 500:
                        raise NotNow(response.status_code, _retry_after(response))
                    if response.status_code != 200:
                        raise self._failed(
                            f"{url.path} answered with HTTP status {response.status_code}",
                            "Check the url, the endpoint and the token in connections.yml.",
                        )
                    return self._text(response)
        except (NotNow, httpx.RequestError) as error:
            is_patient = not isinstance(error, NotNow) or error.is_worth_waiting
            raise SourceFailed(
                str(self.mapping.name),
                scrub(f"{url.path}: {error}" + (f" after {ATTEMPTS} attempts" if is_patient else "")),
                "Run again once the API answers.",
                is_transient=is_patient,
            ) from None
        raise AssertionError("a retry either returns or raises")

    def _text(self, response: httpx.Response) -> str:
        try:
            return keep_digits(response.content.decode(response.charset_encoding or "utf-8-sig"))
        except (UnicodeDecodeError, LookupError):
            raise self._failed(
                f"{response.url.path} answered with bytes that are no text", "Ask the API's owner."
            ) from None

    def _records(self, connection: duckdb.DuckDBPyConnection, page: str) -> pa.Array:
        path = _json_path(self.mapping.paging.records)
        try:
            kind = connection.execute(f"select json_type($page, {path})", {"page": page}).fetchall()[0][0]
            if kind != "ARRAY":
                where = self.mapping.paging.records or "the body itself"
                raise self._failed(f"its answer has no list of records at {where}", "Mend `records` in its mapping.")
            listed = connection.sql(
                f"select coalesce(unnest(from_json(json_extract($page, {path}), '[\"json\"]'))::varchar, 'null') "
                "as _record",
                params={"page": page},
            ).to_arrow_table()
        except duckdb.Error:
            raise self._failed("its answer is no JSON", "Check the url and the endpoint.") from None
        return listed.column("_record").combine_chunks()

    def _following(self, connection: duckdb.DuckDBPyConnection, page: str, current: httpx.URL) -> httpx.URL | None:
        paging = self.mapping.paging
        dotted = paging.next or paging.next_cursor
        if not dotted:
            return None
        sql = f"select json_extract_string($page, {_json_path(dotted)})"
        link = connection.execute(sql, {"page": page}).fetchall()[0][0]
        if not link:
            return None
        if paging.next:
            try:
                following = current.join(link)
            except httpx.InvalidURL:
                raise self._failed("the link to its next page is none", "Ask the API's owner.") from None
            if (following.scheme, following.host, following.port) != (current.scheme, current.host, current.port):
                raise self._failed(
                    f"its next page is on another host, {following.host}; it was not asked, and no token was sent",
                    "Ask the API's owner.",
                )
            return following
        return current.copy_set_param("cursor", link)

    def _land(
        self, connection: duckdb.DuckDBPyConnection, gathered: "Gathered", request: Request, position: str | None
    ) -> Batch:
        rejected = land_json(connection, land_arrow(connection, gathered.table()), str(self.mapping.name))
        columns = {name for name, *_ in connection.execute(f"describe {SOURCE}").fetchall()}
        cursor = request.cursor if request.cursor in columns else None
        return Batch(read=gathered.rows, rejected=rejected, position=reached(connection, SOURCE, cursor, position))

    def _failed(self, cause: str, remedy: str) -> SourceFailed:
        return SourceFailed(str(self.mapping.name), cause, remedy)


@dataclass
class Gathered:
    """Records of several pages on their way into one batch."""

    first: int = 1
    rows: int = 0
    bytes: int = 0
    pieces: list[pa.Table] = field(default_factory=list)

    def add(self, records: pa.Array, endpoint: str) -> None:
        """Take a page's records."""
        start = self.first + self.rows
        self.pieces.append(
            pa.table(
                {
                    "_record": records.cast(pa.string()),
                    "_file": pa.array([endpoint] * len(records), pa.string()),
                    "_row": pa.array(range(start, start + len(records)), pa.int64()),
                }
            )
        )
        self.rows += len(records)
        self.bytes += records.nbytes

    def table(self) -> pa.Table:
        """Return all of them."""
        return pa.concat_tables([RECORDS.empty_table(), *self.pieces])


def _json_path(dotted: str) -> str:
    return literal(json_pointer([part for part in dotted.split(".") if part]) or "$")


def _is_worth_another_try(error: BaseException) -> bool:
    return error.is_worth_waiting if isinstance(error, NotNow) else isinstance(error, httpx.RequestError)


def _retry_after(response: httpx.Response) -> float | None:
    text = response.headers.get("Retry-After", "")
    if text.isdigit():
        return float(text)
    try:
        asked: float = (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
        return asked
    except (TypeError, ValueError):
        return None


def _wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.seconds if isinstance(error, NotNow) else None
    if asked is not None:
        return max(asked, 0.0)
    return wait_exponential_jitter(multiplier=0.5, max=20)(state)
