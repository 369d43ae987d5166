"""Watermarks: the largest cursor value that was read, as JSON in the lake's commit log."""

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation, localcontext
from typing import Any, NamedTuple

from flows.config.connections import TableMapping
from flows.config.validation import Lookback
from flows.core.errors import UsageError
from flows.core.names import identifier
from flows.core.relation import Relation

Cursor = str | int | float | Decimal | datetime | date

DAY, HALF_A_DAY = timedelta(days=1), timedelta(hours=12)
"""The least lookback of a date, and how much later than in UTC a local day may begin."""

EXACT_DIGITS = 200
"""More than any number of a source has."""

FINITE = {
    **dict.fromkeys(("DOUBLE", "FLOAT"), "isfinite({0})"),
    **dict.fromkeys(
        ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE"),
        "{0} between '0001-01-01' and '9999-12-31'",
    ),
}
"""By type: SQL that is false for infinity, NaN and years that Python lacks, which must not hide all later rows."""

IS_DATED = "{0} like '____-__-__%'"
AS_TIME = f"case when {IS_DATED} then try_cast({{0}} as timestamptz) end"
AS_NUMBER = "try_cast({0} as decimal(38, 9))"
FORMAT = (
    f"case when {IS_DATED} and length({{0}}) > 15 then substr({{0}}, 11, 1) || "
    "case when right({0}, 1) = 'Z' then 'Z' when right({0}, 6)[1] in ('+', '-') then right({0}, 6) "
    "when right({0}, 5)[1] in ('+', '-') then right({0}, 5) else '' end end"
)
"""SQL for a text as a time or number, and for what makes texts sort otherwise than their times: sign and offset."""

IS_OF_ONE_FORMAT = (
    "min(strlen({0})) = max(strlen({0})) "
    "and not bool_or(contains({0}, '+')) and not bool_or(contains(substr({0}, 12), '-')) "
    "and bool_or(contains({0}, 'T')) = bool_and(contains({0}, 'T')) "
    "and bool_or(suffix({0}, 'Z')) = bool_and(suffix({0}, 'Z'))"
)
"""SQL that is true if texts, should they be times, sort as texts; it is quick, and false in case of doubt."""

OFFSET = re.compile(r"(Z|[+-]\d{2}(:?\d{2})?)$")
FRACTION = re.compile(r"[.,](\d+)")


class Largest(NamedTuple):
    """The largest value of a cursor column, and whether it is a text that sorts otherwise than the times it states."""

    value: Cursor | None
    is_mixed: bool = False


def largest_cursor(records: Relation, column: str, *, in_source_order: bool = False) -> Largest:
    """Return the largest value of a cursor column; texts compare as times or as numbers.

    Texts of another kind are ignored beside them: a cell such as n/a must not hide all later rows. With
    `in_source_order`, raises ValueError for numbers that the source keeps, and so sorts, as text.
    """
    name, kind = identifier(column), records.types[column]
    if kind == "BLOB":
        raise ValueError("holds bytes")
    is_finite = FINITE.get(kind, "true").format(name)
    is_plain = IS_OF_ONE_FORMAT.format(name) if kind == "VARCHAR" else "true"
    largest, sorts_as_text = records.connection.execute(
        f"select max({name}) filter ({is_finite}), {is_plain} from {records}"
    ).fetchall()[0]
    if not isinstance(largest, str) or kind != "VARCHAR":
        return Largest(largest if largest is None or isinstance(largest, Cursor) else str(largest))
    if sorts_as_text and moment_of(largest) is not None:
        return Largest(largest)
    as_time, as_number, written = AS_TIME.format(name), AS_NUMBER.format(name), FORMAT.format(name)
    as_time = f"case when {FINITE['TIMESTAMP WITH TIME ZONE'].format(as_time)} then {as_time} end"
    latest, greatest, is_sorted, is_mixed = records.connection.execute(
        f"select arg_max({name}, {as_time}), arg_max({name}, {as_number}), "
        f"arg_max({as_number}, _row) = max({as_number}), "
        f"count(distinct {written}) > 1 or coalesce(max({written})[2:], '') not in ('', 'Z', '+00:00') from {records}"
    ).fetchall()[0]
    if latest is not None:
        return Largest(latest, is_mixed)
    if greatest is not None and in_source_order and not is_sorted:
        raise ValueError("holds numbers as text, which sorts 10 before 9")
    return Largest(largest if greatest is None else greatest)


def to_watermark(cursor: Cursor, *, is_mixed: bool = False) -> str:
    """Write a cursor value as a watermark, exactly."""
    if isinstance(cursor, datetime | date):
        return json.dumps({"time": cursor.isoformat()})
    if isinstance(cursor, Decimal):
        return json.dumps({"number": str(cursor)})
    return json.dumps({"value": cursor, **({"mixed": True} if is_mixed else {})})


def is_of_offsets(watermark: str) -> bool:
    """Tell whether a watermark holds the offsets of a topic, and no value of a cursor."""
    stored = json.loads(watermark)  # that of a derived table is no object
    return isinstance(stored, dict) and "offsets" in stored


def stored_cursor(watermark: str) -> Cursor:
    """Return the cursor value of a watermark."""
    stored: dict[str, Any] = json.loads(watermark)
    if "time" in stored:
        text = stored["time"]
        return date.fromisoformat(text) if len(text) == len("2026-01-01") else datetime.fromisoformat(text)
    value: Cursor = Decimal(stored["number"]) if "number" in stored else stored["value"]
    return value


def from_watermark(watermark: str, lookback: Lookback) -> Cursor:
    """Return the cursor value to read from: the watermark less the lookback, texts in the source's own format.

    Raises UsageError for a lookback that does not apply to such a value.
    """
    cursor = stored_cursor(watermark)
    if mistake := lookback_mistake(cursor, lookback):
        raise UsageError(f"The lookback of a table cannot be used: {mistake}.", LOOKBACK_REMEDY)
    if _is_time(cursor):
        lookback = lookback if isinstance(lookback, timedelta) else timedelta(0)
        if json.loads(watermark).get("mixed"):
            moment = moment_of(str(cursor)) or datetime.min
            utc = moment.astimezone(UTC) if moment.tzinfo and 1 < moment.year < 9999 else moment
            return _earlier(utc, lookback + HALF_A_DAY).date().isoformat()
        return _less_time(cursor, lookback)
    return cursor if isinstance(lookback, timedelta) or isinstance(cursor, date) else _less_number(cursor, lookback)


LOOKBACK_REMEDY = (
    "Write it in the cursor's own units, such as lookback: 1000, or lookback: 0 if rows never come late, "
    "or name a cursor that is a time."
)


def lookback_mistake(cursor: Cursor, lookback: Lookback) -> str:
    """Say why a lookback does not apply to a cursor value; empty if it does."""
    if _is_time(cursor):
        return "" if isinstance(lookback, timedelta) or not lookback else "it is a number, and the cursor is a time"
    is_number = not isinstance(cursor, str) or _number(cursor) is not None
    if isinstance(lookback, timedelta):
        return f"it is a time, and the cursor is {'a number' if is_number else 'a text that is no time'}"
    return "" if is_number or not lookback else "it is a number, and the cursor is a text that is none"


def _is_time(cursor: Cursor) -> bool:
    return isinstance(cursor, date) or (isinstance(cursor, str) and moment_of(cursor) is not None)


def _less_time(cursor: Cursor, lookback: timedelta) -> Cursor:
    if isinstance(cursor, datetime):
        return _earlier(cursor, lookback)
    if isinstance(cursor, date):
        return _earlier(datetime.combine(cursor, datetime.min.time()), max(lookback, DAY)).date()
    text = str(cursor)
    moment = moment_of(text) or datetime.min
    is_date = len(text) == len("2026-01-01")
    return in_format_of(text, _earlier(moment, max(lookback, DAY) if is_date else lookback))


def _less_number(cursor: str | float | Decimal, lookback: float) -> Cursor:
    if not lookback:
        return cursor
    if isinstance(cursor, int | float):
        return cursor - lookback
    with localcontext(prec=EXACT_DIGITS):
        number = Decimal(str(cursor)) - Decimal(str(lookback))
    return number if isinstance(cursor, Decimal) else f"{number:f}".zfill(len(cursor) if cursor[0] == "0" else 0)


def _earlier(moment: datetime, lookback: timedelta) -> datetime:
    try:
        return moment - lookback
    except OverflowError:  # year 1
        return datetime.min.replace(tzinfo=moment.tzinfo)


def advance_watermark(
    records: Relation,
    column: str | None,
    watermark: str | None,
    lookback: Lookback | None,
    mapping: TableMapping,
    *,
    in_source_order: bool = False,
) -> str | None:
    """Return the watermark after some records; it never moves back, and never past now.

    Otherwise a row whose time lies in the future would hide all rows until then. A lookback of None applies to any
    cursor. Raises UsageError for a cursor that cannot be one, or a lookback that does not apply to it.
    """
    if column is None:
        return watermark
    mistake = ""
    try:
        largest = largest_cursor(records, column, in_source_order=in_source_order)
        if largest.value is None:
            return watermark
        mistake = "" if lookback is None else lookback_mistake(largest.value, lookback)
    except ValueError as error:
        raise UsageError(
            f"{mapping.place}: the cursor {column} {error}.",
            "Cast it to a number, by a query in its mapping.",
        ) from None
    if mistake:
        raise UsageError(
            f"{mapping.place}: the lookback cannot be used for the cursor {column}: {mistake}.",
            LOOKBACK_REMEDY,
        )
    is_mixed = largest.is_mixed or bool(watermark and json.loads(watermark).get("mixed"))
    return later(watermark, to_watermark(_not_past_now(largest.value), is_mixed=is_mixed), is_mixed=is_mixed)


def _not_past_now(cursor: Cursor) -> Cursor:
    """Return a cursor value, at the latest now; a local time may be half a day earlier than UTC."""
    now = datetime.now(UTC)
    if isinstance(cursor, str):
        moment = moment_of(cursor)
        if moment is None or not _is_past(moment, now):
            return cursor if moment is None else in_format_of(cursor, _now_like(moment, now))
        return cursor
    if isinstance(cursor, datetime):
        return cursor if _is_past(cursor, now) else _now_like(cursor, now)
    if isinstance(cursor, date):
        return min(cursor, now.date())
    return cursor


def _is_past(moment: datetime, now: datetime) -> bool:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) <= now


def _now_like(moment: datetime, now: datetime) -> datetime:
    return now.astimezone(moment.tzinfo) if moment.tzinfo else _naive(now - HALF_A_DAY)


def _naive(moment: datetime) -> datetime:
    return moment.replace(tzinfo=None)


def later(one: str | None, other: str | None, *, is_mixed: bool = False) -> str | None:
    """Return the larger watermark, so that a source whose clock goes back never moves it back."""
    if one is None or other is None:
        return one or other
    first, second = _comparable(one), _comparable(other)
    try:
        is_later = second >= first
    except TypeError:
        is_later = str(second) >= str(first)
    return other if is_later else to_watermark(stored_cursor(one), is_mixed=is_mixed)


def _comparable(watermark: str) -> Any:
    value = stored_cursor(watermark)
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, datetime.min.time(), UTC)
    if isinstance(value, str):
        value = next((one for one in (moment_of(value), _number(value)) if one is not None), value)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return value


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def moment_of(text: str) -> datetime | None:
    """Read a text with dashes as a time, as DuckDB does: 20260101 is a number."""
    try:
        return datetime.fromisoformat(text) if text[4:5] == "-" else None
    except ValueError:
        return None


def _offset(text: str) -> str:
    found = OFFSET.search(text[11:])
    return found[0] if found else ""


def in_format_of(example: str, moment: datetime) -> str:
    """Write a time as an example writes its own: separator, fraction and offset."""
    if len(example) == len("2026-01-01"):
        return moment.date().isoformat()
    clock = example[11:]
    fraction, offset = FRACTION.search(clock), _offset(example)
    timespec = "seconds" if clock.count(":") - offset.count(":") > 1 else "minutes"
    text = _naive(moment).isoformat(sep=example[10], timespec=timespec)
    if fraction is not None:
        digits = len(fraction[1])
        text += fraction[0][0] + f"{moment.microsecond:06}".ljust(digits, "0")[:digits]
    return text + offset
