"""Python values as Arrow columns, so that no value's text depends on its neighbours."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

LARGEST_INTEGER = 2**63 - 1
DECIMAL_DIGITS = 38
WRITTEN_DIGITS = 100
"""The zeros that are written at most, rather than an exponent."""

TYPES = {
    str: pa.string(), bool: pa.bool_(), float: pa.float64(), bytes: pa.binary(), date: pa.date32(),
}  # fmt: skip
"""Types of which Arrow holds every value; for others, it depends on the value."""


def to_array(values: Sequence[Any]) -> pa.Array:
    """Return values as an array of their one type, or as the texts that DuckDB writes for each of them."""
    values = [bytes(value) if isinstance(value, memoryview | bytearray) else value for value in values]
    found = {type(value) for value in values} - {type(None)}
    if not found:
        return pa.nulls(len(values))
    kind = TYPES.get(next(iter(found))) if len(found) == 1 else None
    if kind is None:
        kinds = {_kind(value) for value in values if value is not None}
        kind = kinds.pop() if len(kinds) == 1 else None
    return _texts(values) if kind in (None, pa.string()) else pa.array(values, kind)


def as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column's values as the texts that DuckDB writes for them."""
    if pa.types.is_float32(column.type):  # 0.1 is 0.10000000149 as a float of Python
        column = pc.cast(pc.cast(column, pa.string()), pa.float64())
    return column if pa.types.is_string(column.type) else pa.chunked_array([_texts(column.to_pylist())])


def _kind(value: Any) -> pa.DataType | None:
    """Return the Arrow type that holds a value exactly, or None."""
    match value:
        case int() if type(value) is int and abs(value) <= LARGEST_INTEGER:
            return pa.int64()
        case datetime() if type(value) is datetime:
            return pa.timestamp("us", "UTC" if value.tzinfo else None)
        case time() if type(value) is time and value.tzinfo is None:
            return pa.time64("us")
        case Decimal() if value.is_finite():
            _, digits, exponent = value.as_tuple()
            scale = -int(exponent)
            is_held = scale >= 0 and max(len(digits), scale) <= DECIMAL_DIGITS
            return pa.decimal128(DECIMAL_DIGITS, scale) if is_held else None
    return TYPES.get(type(value))


def _texts(values: Sequence[Any]) -> pa.Array:
    """Return texts; one that is not UTF-8 keeps its bytes."""
    texts = [value if value is None or type(value) is str else text_of(value) for value in values]
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        raw = [None if text is None else _encode(text) for text in texts]
        return pa.array(raw, pa.binary()).view(pa.string())


def _encode(text: str) -> bytes:
    """Return the bytes of a text; half of a pair of UTF-16, as in a JSON text that was cut, has bytes too."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")


def text_of(value: Any) -> str:
    """Return the text that DuckDB writes for a value, with the texts of bytes as they are."""
    match value:
        case str():
            return str(value)
        case bool():
            return str(value).lower()
        case bytes():
            return value.decode(errors="surrogateescape")
        case Decimal() if value.is_finite() and abs(value.adjusted()) <= WRITTEN_DIGITS:
            return f"{value:f}"
        case datetime() if type(value) is datetime:
            text = _utc(value).isoformat(" ")
            fraction = re.sub(r"(\.\d*?)0+(?=$|\+)", r"\1", text)
            return fraction.replace("+00:00", "+00")
        case timedelta():
            return _duration(value)
        case dict() | list():
            return json.dumps(value, default=str, ensure_ascii=False)
    return str(value)


def _utc(moment: datetime) -> datetime:
    """Return a moment in UTC; one before the year 1 there, or after 9999, stays in its own zone."""
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment
    except OverflowError:
        return moment


def _duration(value: timedelta) -> str:
    """Write a time of more than a day, or less than none, in hours, as databases do."""
    seconds, microseconds = divmod(abs(value) // timedelta(microseconds=1), 1_000_000)
    minutes, hours = seconds // 60 % 60, seconds // 3600
    fraction = f".{microseconds:06}".rstrip("0") if microseconds else ""
    return f"{'-' if value < timedelta(0) else ''}{hours:02}:{minutes:02}:{seconds % 60:02}{fraction}"
