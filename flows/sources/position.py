"""How far a source was read: the largest cursor value, kept as JSON in the lake's commit log."""

import json
from datetime import date, datetime, timedelta
from typing import Any

import duckdb

from flows.names import identifier

Cursor = str | int | float | datetime | date


def largest_cursor(connection: duckdb.DuckDBPyConnection, relation: str, column: str) -> Cursor | None:
    """Return the largest value of a cursor column, texts that are times compared as times; None if all are null."""
    name = identifier(column)
    as_time = f"try_cast(cast({name} as varchar) as timestamptz)"
    newest, count, times, last = connection.execute(
        f"select arg_max({name}, {as_time}), count({name}), count({as_time}), max({name}) from {relation}"
    ).fetchall()[0]
    return newest if count == times else last


def to_position(cursor: Cursor) -> str:
    """Write a cursor value as a position."""
    if isinstance(cursor, datetime | date):
        return json.dumps({"time": cursor.isoformat()})
    return json.dumps({"value": cursor})


def from_position(position: str, overlap: timedelta) -> Cursor:
    """Read a position as the cursor value to read from: times step back by the overlap, in the source's own form."""
    entry: dict[str, Any] = json.loads(position)
    if "time" in entry:
        return datetime.fromisoformat(entry["time"]) - overlap
    value: Cursor = entry["value"]
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return _in_the_form_of(value, moment - overlap)


def later(one: str | None, other: str | None) -> str | None:
    """Return the position that is further on, so that a source whose clock goes back never moves it back."""
    if one is None or other is None:
        return one or other
    none = timedelta(0)
    first, second = from_position(one, none), from_position(other, none)
    try:
        if isinstance(first, str) and isinstance(second, str):
            return other if _moment(second) >= _moment(first) else one
        return other if second >= first else one  # type: ignore[operator]
    except (TypeError, ValueError):
        return other if str(second) >= str(first) else one


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _in_the_form_of(example: str, moment: datetime) -> str:
    if len(example) == len("2026-01-01"):
        return moment.date().isoformat()
    fraction = example.partition(".")[2].partition("+")[0].rstrip("Z")
    precision = {0: "seconds", 3: "milliseconds"}.get(len(fraction), "microseconds")
    text = moment.isoformat(sep="T" if "T" in example else " ", timespec=precision)
    return text.replace("+00:00", "Z") if example.endswith("Z") else text
