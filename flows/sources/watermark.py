"""Watermarks: the largest cursor value that was read, as JSON in the lake's commit log."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

from flows.core.names import identifier
from flows.core.relation import Relation

Cursor = str | int | float | Decimal | datetime | date

FINITE = {
    **dict.fromkeys(("DOUBLE", "FLOAT"), "isfinite({0})"),
    **dict.fromkeys(("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"), "{0} between '0001-01-01' and '9999-12-31'"),
}
"""By type: SQL that is false for infinity, NaN and years that Python lacks, which must not hide all later rows."""


def largest_cursor(records: Relation, column: str) -> Cursor | None:
    """Return the largest value of a cursor column, or None if all are null; texts compare as times or as numbers.

    Texts of another kind are ignored beside them: a cell such as n/a must not hide all later rows.
    """
    name = identifier(column)
    is_finite = FINITE.get(records.types[column], "true").format(name)
    largest, is_uniform = records.connection.execute(
        f"select max({name}) filter ({is_finite}), count(distinct length(cast({name} as varchar))) = 1 from {records}"
    ).fetchall()[0]
    if not isinstance(largest, str) or (is_uniform and _moment(largest) is not None):
        return cast(Cursor | None, largest)  # times of one format sort as texts
    as_time = f"try_cast(cast({name} as varchar) as timestamptz)"
    as_time = f"case when {FINITE['TIMESTAMP WITH TIME ZONE'].format(as_time)} then {as_time} end"
    as_number = f"try_cast(cast({name} as varchar) as decimal(38, 9))"
    candidates: tuple[Cursor | None, ...] = records.connection.execute(
        f"select arg_max({name}, {as_time}), arg_max({name}, {as_number}) from {records}"
    ).fetchall()[0]
    return next((value for value in candidates if value is not None), largest)


def to_watermark(cursor: Cursor) -> str:
    """Write a cursor value as a watermark."""
    if isinstance(cursor, datetime | date):
        return json.dumps({"time": cursor.isoformat()})
    if isinstance(cursor, str | int | float):
        return json.dumps({"value": cursor})
    return json.dumps({"value": float(cursor) if isinstance(cursor, Decimal) else str(cursor)})


def from_watermark(watermark: str, lookback: timedelta) -> Cursor:
    """Return the cursor value to read from: times less the lookback, texts in the source's own format."""
    stored: dict[str, Any] = json.loads(watermark)
    if "time" in stored:
        return datetime.fromisoformat(stored["time"]) - lookback
    value: Cursor = stored["value"]
    moment = _moment(value) if isinstance(value, str) else None
    return value if moment is None else _in_format_of(str(value), moment - lookback)


def advance_watermark(records: Relation, column: str | None, watermark: str | None) -> str | None:
    """Return the watermark after some records; it never moves back, and never past now.

    Otherwise a row whose time lies in the future would hide all rows until then.
    """
    largest = largest_cursor(records, column) if column is not None else None
    return watermark if largest is None else later(watermark, to_watermark(_not_past_now(largest)))


def _not_past_now(cursor: Cursor) -> Cursor:
    now = datetime.now(UTC)
    if isinstance(cursor, str):
        moment = _moment(cursor)
        return cursor if moment is None or _aware(moment) <= now else _in_format_of(cursor, now)
    if isinstance(cursor, datetime):
        return cursor if _aware(cursor) <= now else now if cursor.tzinfo else now.replace(tzinfo=None)
    if isinstance(cursor, date):
        return min(cursor, now.date())
    return cursor


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def later(one: str | None, other: str | None) -> str | None:
    """Return the larger watermark, so that a source whose clock goes back never moves it back."""
    if one is None or other is None:
        return one or other
    first, second = _comparable(one), _comparable(other)
    try:
        return other if second >= first else one
    except TypeError:
        return other if str(second) >= str(first) else one


def _comparable(watermark: str) -> Any:
    value = from_watermark(watermark, timedelta(0))
    if not isinstance(value, str):
        return value
    try:
        return _moment(value) or float(value)
    except ValueError:
        return value


def _moment(text: str) -> datetime | None:
    """Read a text with dashes as a time, as DuckDB does: 20260101 is a number."""
    try:
        return datetime.fromisoformat(text) if text[4:5] == "-" else None
    except ValueError:
        return None


def _in_format_of(example: str, moment: datetime) -> str:
    if len(example) == len("2026-01-01"):
        return moment.date().isoformat()
    fraction = example.partition(".")[2].partition("+")[0].rstrip("Z")
    precision = {0: "seconds", 3: "milliseconds"}.get(len(fraction), "microseconds")
    if "+" not in example and not example.endswith("Z"):
        moment = moment.replace(tzinfo=None)
    text = moment.isoformat(sep="T" if "T" in example else " ", timespec=precision)
    return text.replace("+00:00", "Z") if example.endswith("Z") else text
