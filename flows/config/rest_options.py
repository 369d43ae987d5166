"""What a connection says of a REST API: who asks, how often, and how an endpoint's records and pages are read."""

import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from flows.config.entries import require_known, require_map, require_one, require_texts
from flows.core.errors import UsageError
from flows.core.names import PERIODS

AUTH = {
    "basic": {"user", "password"},
    "key": {"value"},
    "oauth2": {"token_url", "client_id", "client_secret"},
}
"""What an authentication needs, by its kind; `bearer` is a text. A key further says where it goes: header or param."""

OAUTH2_MORE = {"scope", "audience"}
SIZED = {"limit", "size", "has_more"}
PAGING = {
    "next": set[str](),
    "link_header": set[str](),
    "cursor": {"param", *SIZED},
    "offset": {"first", *SIZED},
    "page": {"first", *SIZED},
}
"""How pages may follow each other, and what each kind may further say."""

ENDPOINT_KEYS = {"records", "total", "error", "since", "since_format", "method", "body", "paging"}
SINCE_FORMATS = ("iso", "date", "epoch", "epoch_ms")


@dataclass(frozen=True)
class Auth:
    """Who asks: a kind of AUTH, `bearer`, or none; the values are templates until they are used."""

    kind: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Paging:
    """How pages follow each other: a kind of PAGING and what its key says; without one, there is one page."""

    kind: str = ""
    at: str = ""
    param: str = ""
    first: int = 0
    limit: str = ""
    size: int | None = None
    has_more: str = ""


@dataclass(frozen=True)
class Endpoint:
    """How an endpoint is asked and its JSON is read; paths are dotted, such as `links.next`.

    `body` is what is posted, None where the endpoint is asked by GET.
    """

    records: str = ""
    total: str = ""
    error: str = ""
    since: str = ""
    since_format: str = ""
    body: Mapping[str, Any] | None = None
    paging: Paging = Paging()


def read_auth(where: str, entry: Any) -> Auth:
    """Read `auth` of a connection; raises UsageError unless it says exactly one kind, and all that this needs."""
    if entry is None:
        return Auth()
    kind = require_one(where, require_map(where, entry), ("bearer", *AUTH))
    require_known(where, entry, {kind})
    if kind == "bearer":
        require_texts(where, entry, {kind})
        return Auth(kind, {"token": entry[kind]})
    place, values = f"{where}.{kind}", require_map(f"{where}.{kind}", entry[kind])
    needed = AUTH[kind] | ({require_one(place, values, ("header", "param"))} if kind == "key" else set())
    require_known(place, values, needed | (OAUTH2_MORE if kind == "oauth2" else set()))
    require_texts(place, values, values.keys())
    if missing := sorted(needed - values.keys()):
        raise UsageError(f"{place} lacks {', '.join(missing)}.", "Take secrets from env_var.")
    return Auth(kind, values)


def read_rate(where: str, entry: Any) -> float:
    """Read `rate` of a connection, and return the seconds from one request to the next."""
    if entry is None:
        return 0.0
    try:
        return PERIODS[entry["period"]] / _number(entry["count"], least=1)
    except (KeyError, TypeError, ValueError):
        raise UsageError(
            f"{where} is {entry!r}.", f"Write {{count: 5, period: second}}; periods are {', '.join(PERIODS)}."
        ) from None


def read_endpoint(where: str, entry: Mapping[str, Any]) -> Endpoint:
    """Read what a table's mapping says of its endpoint; raises UsageError for what cannot be followed."""
    method = entry.get("method", "get")
    if method not in ("get", "post"):
        raise UsageError(f"{where}.method is {method!r}.", "It is get or post.")
    if "body" in entry and method != "post":
        raise UsageError(
            f"{where} has a body and no method: post.", "What is asked by get stands behind `from`, as ?…."
        )
    if entry.get("since_format", "iso") not in SINCE_FORMATS or ("since_format" in entry and "since" not in entry):
        raise UsageError(
            f"{where}.since_format is {entry['since_format']!r}.",
            f"It is one of {', '.join(SINCE_FORMATS)}, and says how `since` is written.",
        )
    body = require_map(f"{where}.body", entry.get("body", {})) if method == "post" else None
    paging = read_paging(f"{where}.paging", entry["paging"]) if "paging" in entry else Paging()
    if body is not None:
        _require_room(where, body, paging, entry.get("since", ""))
    texts = {key: entry[key] for key in ("records", "total", "error", "since", "since_format") if key in entry}
    return Endpoint(**texts, body=body, paging=paging)


def read_paging(where: str, entry: Any) -> Paging:
    """Read `paging`; raises UsageError unless it says exactly one kind, and what belongs to that."""
    kind = require_one(where, require_map(where, entry), PAGING)
    require_known(where, entry, {kind, *PAGING[kind]})
    require_texts(where, entry, {kind, "param", "limit", "has_more"})
    if kind == "cursor" and "param" not in entry:
        raise UsageError(
            f"{where} has no param.", "Say where the cursor goes: the query parameter, or its path in body."
        )
    if ("limit" in entry) != ("size" in entry):
        raise UsageError(f"{where} has only one of limit and size.", "Say both, such as limit: per_page, size: 500.")
    try:
        size = _number(entry["size"], least=1) if "size" in entry else None
        first = _number(entry.get("first", 1 if kind == "page" else 0), least=0)
    except (TypeError, ValueError):
        raise UsageError(f"{where} has a size or first page that is no number.", "Write it without quotes.") from None
    texts = {key: entry[key] for key in ("param", "limit", "has_more") if key in entry}
    return Paging(kind, entry[kind], first=first, size=size, **texts)


def placed(body: Mapping[str, Any], dotted: str, value: Any) -> dict[str, Any]:
    """Return a copy of a request's body with a value at a dotted path, through maps, and lists by number.

    Raises ValueError where something else is in the way.
    """
    whole: dict[str, Any] = deepcopy(dict(body))
    *above, last = (part for part in dotted.split(".") if part)
    node: Any = whole
    for part in above:
        node = node[_index(node, part)] if isinstance(node, list) else _in_map(node).setdefault(part, {})
    if isinstance(node, list):
        node[_index(node, last)] = value
    else:
        _in_map(node)[last] = value
    return whole


def _require_room(where: str, body: Mapping[str, Any], paging: Paging, since: str) -> None:
    """Raise UsageError unless all that goes into a body has a place there."""
    if paging.kind in ("next", "link_header"):
        raise UsageError(f"{where} posts, and a link cannot be posted to.", "Say paging by cursor, offset or page.")
    try:
        json.dumps(body)
    except TypeError:
        raise UsageError(f"{where}.body holds what JSON has no word for.", "Write dates in quotes.") from None
    places = [since, paging.limit, paging.param if paging.kind == "cursor" else paging.at]
    for place in filter(None, places):
        try:
            body = placed(body, place, "")
        except ValueError:
            raise UsageError(f"{where}.body has no place for {place!r}.", "Its path leads through maps.") from None


def _index(node: Sequence[Any], part: str) -> int:
    if part.isdecimal() and int(part) < len(node):
        return int(part)
    raise ValueError(part)


def _in_map(node: Any) -> dict[str, Any]:
    if isinstance(node, dict):
        return node
    raise ValueError(node)


def _number(value: Any, *, least: int) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise ValueError(value)
