"""From an API's response to a page: its records as JSON texts, and the values beside them."""

import json
from dataclasses import dataclass
from typing import Any

import duckdb
import httpx
import pyarrow as pa

from flows.config.connections import TableMapping
from flows.core.errors import SourceFailed
from flows.core.names import literal
from flows.sources.json_records import json_pointer, keep_digits
from flows.sources.rest.paginator import OWNER, Page


@dataclass(frozen=True)
class PageReader:
    """Reads responses as pages; `identity` names the columns that identify a record, if the whole record does not."""

    connection: duckdb.DuckDBPyConnection
    mapping: TableMapping
    identity: tuple[str, ...]

    def page(self, response: httpx.Response) -> Page:
        """Return a response's page; raises SourceFailed if it is cut short, an error, or has no records."""
        text, mapping = self._text(response), self.mapping
        try:
            values = self._values(text)
            if values.get(mapping.error):
                raise self._failed(f"{response.url.path} answered with an error, at {mapping.error}", OWNER)
            records = self._records(text)
        except duckdb.Error:
            raise self._failed("its answer is no JSON", "Check the url and the endpoint.") from None
        following = values.get(mapping.paging.at)
        if mapping.paging.kind == "link_header":
            following = response.links.get(mapping.paging.at, {}).get("url")
        return Page(
            records=records.column("_record").combine_chunks(),
            identities=tuple(records.column("_identity").to_pylist()),
            following=following,
            has_more=_to_bool(values.get(mapping.paging.has_more)),
            total=_to_count(values.get(mapping.total)),
        )

    def _text(self, response: httpx.Response) -> str:
        try:
            return keep_digits(response.content.decode(response.charset_encoding or "utf-8-sig"))
        except (UnicodeDecodeError, LookupError):
            raise self._failed(f"{response.url.path} answered with bytes that are no text", OWNER) from None

    def _values(self, text: str) -> dict[str, Any]:
        """Return the values that a response holds beside its records, by dotted path."""
        mapping, paging = self.mapping, self.mapping.paging
        following = paging.at if paging.kind in ("next", "cursor") else ""
        wanted = [dotted for dotted in {mapping.error, mapping.total, paging.has_more, following} if dotted]
        paths = ", ".join(map(_json_path, wanted))
        found = self.connection.execute(f"select json_extract($page, [{paths}]::varchar[])", {"page": text}).fetchall()
        values = [None if value is None else json.loads(value) for value in found[0][0]]
        return dict(zip(wanted, values, strict=True))

    def _records(self, text: str) -> pa.Table:
        path = _json_path(self.mapping.records)
        kind = self.connection.execute(f"select json_type($page, {path})", {"page": text}).fetchall()[0][0]
        if kind != "ARRAY":
            where = self.mapping.records or "the body itself"
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


def _json_path(dotted: str) -> str:
    return literal(json_pointer([part for part in dotted.split(".") if part]) or "$")


def _to_bool(value: Any) -> bool | None:
    """Return whether there is more, however an API writes it; None if it does not say."""
    return None if value is None else str(value).strip().lower() not in ("false", "0", "no", "")


def _to_count(value: Any) -> int | None:
    return int(value) if str(value).isdecimal() else None
