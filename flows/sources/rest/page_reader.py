"""From an API's response to a page: its records as JSON texts, and the values beside them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import duckdb
import httpx
import pyarrow as pa

from flows.config.connections import TableMapping
from flows.config.rest_options import dotted_keys
from flows.core.errors import SourceFailed
from flows.core.names import literal
from flows.sources.json_records import json_pointer, keep_digits
from flows.sources.rest.paginator import EMPTY, OWNER, Elsewhere, Page

LINK_DEPTH = 4
"""How deep in a response, beside its records, something that leads to a further page is looked for."""

LEADS_ON = re.compile(
    r".*next(page|link|url|uri|href|cursor|token|continuation|offset|marker|start|key|set|batch|records)*"
    r"|(continuation|cursor|pagetoken|paginationtoken|scrollid)"
)
SAYS_MORE = re.compile(r"(has|is)?(more|next|truncated)(page|pages|results|records|data|items|available|exist|exists)?")
COUNTS_PAGES = re.compile(r"pages|(total|num|numberof|last)pages?|pages?(total|count)")
"""Names of keys, letters alone, whose value leads to a further page, or says that there is one: if true, or above 1."""


@dataclass(frozen=True)
class PageReader:
    """Reads responses as pages; `identity` names the columns that identify a record, if the whole record does not."""

    connection: duckdb.DuckDBPyConnection
    mapping: TableMapping
    identity: tuple[str, ...]

    def page(self, response: httpx.Response) -> Page:
        """Return a response's page; raises SourceFailed if it is cut short, an error, or has no records."""
        if response.status_code == httpx.codes.NO_CONTENT:
            return EMPTY
        text, mapping, paging = self._text(response), self.mapping, self.mapping.paging
        try:
            values = self._values(text)
            if values.get(mapping.error):
                raise self._failed(f"{response.url.path} answered with an error, at {mapping.error}", OWNER)
            records = self._records(text)
        except duckdb.Error:
            raise self._failed("its answer is no JSON", "Check the url and the endpoint.") from None
        following, is_stated = values.get(paging.at), paging.at in values
        if paging.kind == "link_header":
            following = _links(response).get(paging.at.lower())
            is_stated = following is not None
        is_counted = paging.kind in ("offset", "page")
        return Page(
            records=records.column("_record").combine_chunks(),
            identities=tuple(records.column("_identity").to_pylist()),
            following=following,
            is_following_stated=is_stated,
            has_more=_to_bool(values.get(paging.has_more)),
            total=_to_count(values.get(mapping.total)),
            elsewhere=None if is_stated or is_counted else self._elsewhere(response, text),
        )

    def _text(self, response: httpx.Response) -> str:
        content = response.content
        try:
            decoded = content.decode(response.charset_encoding or json.detect_encoding(content))
        except (ValueError, LookupError):
            raise self._failed(
                f"{response.url.path} answered with bytes that are no text of its charset", OWNER
            ) from None
        return keep_digits(decoded.removeprefix("\ufeff"))

    def _values(self, text: str) -> Mapping[str, Any]:
        """Return the values that a response holds beside its records, by dotted path; absent ones are left out."""
        mapping, paging = self.mapping, self.mapping.paging
        following = paging.at if paging.kind in ("next", "cursor") else ""
        wanted = {mapping.error, mapping.total, paging.has_more, following} - {""}
        found = {dotted: self._first(text, "json_extract", dotted) for dotted in wanted}
        return {dotted: json.loads(value) for dotted, (_, value) in found.items() if value is not None}

    def _first(self, text: str, function: str, dotted: str) -> tuple[str, str | None]:
        """Return the first reading of a dotted path that a response has, and what a function of DuckDB says of it."""
        pointers = [json_pointer(keys) or "$" for keys in dotted_keys(dotted)]
        listed = ", ".join(map(literal, pointers))
        values = self.connection.execute(f"select {function}($page, [{listed}]::varchar[])", {"page": text}).fetchall()
        found = zip(pointers, values[0][0], strict=True)
        return next(((pointer, value) for pointer, value in found if value is not None), (pointers[0], None))

    def _records(self, text: str) -> pa.Table:
        pointer, kind = self._first(text, "json_type", self.mapping.records)
        if kind == "NULL" and not self._states_errors(text):
            return pa.table({"_record": EMPTY.records, "_identity": EMPTY.records})
        if kind != "ARRAY":
            where = self.mapping.records or "the body itself"
            raise self._failed(f"its answer has no list of records at {where}", "Fix `records` in its mapping.")
        columns = ", ".join(literal(json_pointer([column])) for column in self.identity)
        key = f"json_extract_string(_record, [{columns}])" if columns else "null"
        listed = f"from_json(json_extract($page, {literal(pointer)}), '[\"json\"]')"
        return self.connection.sql(
            "select _record, "
            f"if(list_count(_key) = {len(self.identity)}, cast(_key as varchar), _record) as _identity "
            f"from (select _record, {key} as _key from ("
            f"select coalesce(unnest({listed})::varchar, 'null') as _record))",
            params={"page": text},
        ).to_arrow_table()

    def _states_errors(self, text: str) -> bool:
        """Tell whether an answer without a list states errors, as GraphQL does; such a list is not empty."""
        body = json.loads(text)
        return isinstance(body, dict) and any(body.get(name) for name in ("error", "errors"))

    def _elsewhere(self, response: httpx.Response, text: str) -> Elsewhere | None:
        """Return what seems to lead to a further page, at another place than the mapping says."""
        if "next" in _links(response):
            return Elsewhere("link_header", "next", is_link=True)
        try:
            body = json.loads(text)
        except (ValueError, RecursionError):
            return None
        base = response.request.url
        candidates = [
            Elsewhere("next", dotted, is_link=_is_other_page(base, value)) for dotted, value in _next_values(body)
        ]
        return max(candidates, key=lambda one: one.is_link, default=None)

    def _failed(self, cause: str, remedy: str) -> SourceFailed:
        return SourceFailed(str(self.mapping.name), cause, remedy)


def _next_values(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield values beside the records that seem to lead to a further page, such as links.next, by dotted path."""
    if not isinstance(node, dict) or len(path) >= LINK_DEPTH:
        return
    for key, value in node.items():
        words = ["".join(filter(str.isalpha, one)).lower() for one in (*path, key)]
        is_flag = value is True and SAYS_MORE.fullmatch(words[-1])
        is_flag = is_flag or (type(value) is int and value > 1 and COUNTS_PAGES.fullmatch(words[-1]))
        if is_flag or (isinstance(value, str | int) and value and any(map(LEADS_ON.fullmatch, words))):
            yield ".".join((*path, key)), value
        yield from _next_values(value, (*path, key))


def _links(response: httpx.Response) -> Mapping[str, str]:
    """Return the links of a Link header by their relation, which may be several words of any case."""
    return {
        relation: link["url"]
        for link in response.links.values()
        if link.get("url")
        for relation in link.get("rel", "").lower().split()
    }


def _is_other_page(base: httpx.URL, value: Any) -> bool:
    """Tell whether a value is a link to the same endpoint with other parameters."""
    if not isinstance(value, str) or not value.startswith(("http", "/", "?")):
        return False
    try:
        link = httpx.URL(urljoin(str(base), value))
    except (httpx.InvalidURL, ValueError):
        return False
    return (link.host, link.path) == (base.host, base.path) and link.query != base.query


def _to_bool(value: Any) -> bool | None:
    """Return whether there is more, however an API writes it; None if it does not say."""
    return None if value is None else str(value).strip().lower() not in ("false", "0", "no", "")


def _to_count(value: Any) -> int | None:
    return int(value) if str(value).isdecimal() else None
