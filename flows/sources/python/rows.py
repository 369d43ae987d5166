"""Rows that the user's code yields, as Arrow tables, from dicts, Arrow tables and batches, data frames."""

import json
import math
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import pyarrow as pa

from flows.core.unforeseen import type_name
from flows.sources.python_values import as_text, text_of, to_array

ROWS_A_PIECE = 50_000
EXPECTED = "a dict, an Arrow table or batch, or a data frame of pandas or Polars"
KNOWN = {type(None), str, bool, int, Decimal, bytes, date, datetime}
"""Types that are taken as they are."""

PERIOD = "pandas.period"
NO_VALUE = ("NAType", "NaTType")
"""Types of pandas that mean null, by name, since pandas need not be imported."""


class NotRows(Exception):
    """A thing that is not rows; its text is the cause, without values."""


def is_table(item: object) -> bool:
    """Tell whether a thing is many rows with columns, and no collection of such things."""
    return isinstance(item, pa.RecordBatch) or _is_pandas(item) or hasattr(item, "__arrow_c_stream__")


def named(value: object) -> str:
    """Return the type of a value: the value itself may be personal."""
    return "None" if value is None else f"a value of type {type_name(value)}"


def to_tables(item: Any) -> Iterator[pa.Table]:
    """Yield the rows of an Arrow table, a batch or a data frame, with types that DuckDB reads exactly.

    Raises NotRows.
    """
    try:
        for batch in _record_batches(item):
            for at in range(0, batch.num_rows, ROWS_A_PIECE):
                piece = batch.slice(at, ROWS_A_PIECE)
                columns = [_exact(pa.chunked_array([column])) for column in piece.columns]
                yield pa.Table.from_arrays(columns, names=piece.schema.names)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise NotRows(f"yields {named(item)} that cannot be read as Arrow ({type(error).__name__})") from None


def to_table(rows: Sequence[Any]) -> pa.Table:
    """Return dicts as a table; a key that a dict does not have is null. Raises NotRows for anything else."""
    names: dict[str, None] = {}
    for row in rows:
        if not isinstance(row, dict):
            raise NotRows(f"yields {named(row)}, and {EXPECTED} is expected")
        names.update(dict.fromkeys(row))
    if not names:
        raise NotRows("yields a dict without keys")
    for name in names:
        if not isinstance(name, str):
            raise NotRows(f"yields a dict with {named(name)} as key, and a text is expected")
    try:
        return pa.table({name: _column([row.get(name) for row in rows], name) for name in names})
    except (TypeError, ValueError, RecursionError) as error:
        raise NotRows(f"yields a dict that cannot be read as a row ({type(error).__name__})") from None


def _record_batches(item: Any) -> Iterator[pa.RecordBatch]:
    if isinstance(item, pa.RecordBatch):
        yield item
    elif _is_pandas(item):
        names = list(map(str, item.columns))
        columns = [_of_series(item.iloc[:, at], name) for at, name in enumerate(names)]
        yield from pa.Table.from_arrays(columns, names=names).to_batches()
    else:
        yield from pa.RecordBatchReader.from_stream(item)


def _of_series(series: Any, name: str) -> pa.Array | pa.ChunkedArray:
    """Return a column of pandas; one of objects may hold values of several types."""
    if series.dtype != object:
        return pa.array(series, from_pandas=True)
    return _column(series.tolist(), name)


def _exact(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column as a type that DuckDB takes without a loss."""
    kind = column.type
    if getattr(kind, "extension_name", "") == PERIOD:  # DuckDB would read the number that pandas counts it by
        return pa.chunked_array([_column(column.to_pandas().tolist(), PERIOD)])
    if pa.types.is_float16(kind):
        return column.cast(pa.float32())
    if pa.types.is_dictionary(kind):
        return pa.chunked_array(
            [_exact(pa.chunked_array([one.dictionary])).combine_chunks().take(one.indices) for one in column.chunks]
        )
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) or pa.types.is_decimal256(kind):
        return column.cast(pa.string())
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return column.cast(pa.binary())
    if pa.types.is_timestamp(kind) and kind.tz is not None and kind.unit == "ns":
        try:
            return column.cast(pa.timestamp("us", kind.tz))
        except pa.ArrowInvalid:  # DuckDB would cut its nanoseconds
            return as_text(column.cast(pa.timestamp("ns", "UTC")))
    return as_text(column) if _is_foreign(kind) else column


def _is_foreign(kind: pa.DataType) -> bool:
    """Tell whether DuckDB lacks a type, or that of a part of it."""
    parts = (kind.field(at).type for at in range(kind.num_fields))
    is_lacking = pa.types.is_float16(kind) or pa.types.is_decimal256(kind) or pa.types.is_union(kind)
    return is_lacking or any(map(_is_foreign, parts))


def _column(values: Sequence[Any], name: str) -> pa.Array:
    """Return values as a column; most columns hold values of one type that need no look at each of them."""
    is_known = set(map(type, values)) <= KNOWN
    return to_array(values if is_known else [_plain(value, name) for value in values])


def _plain(value: Any, column: str) -> Any:
    """Return a value as one of Python's own types, or as one that has a text; NaN is null, as pandas means it.

    Raises NotRows for a value that has no text.
    """
    match value:
        case float() if math.isnan(value):
            return None
        case Enum():
            return _plain(value.value, column)
        case dict() | list() | tuple() | set() | frozenset():
            return json.dumps(value, default=lambda one: _json(one, column), ensure_ascii=False)
        case datetime() if type(value) is not datetime and not getattr(value, "nanosecond", 0):
            return None if type(value).__name__ in NO_VALUE else datetime.combine(value.date(), value.timetz())
        case str() | bytes() | memoryview():
            return value
    if type(value).__name__ in NO_VALUE:
        return None
    if _is_of_numpy(value):
        is_short = type(value).__name__ == "float32"  # whose 0.1 is 0.10000000149 as a float of Python
        return _plain(float(str(value)) if is_short else value.tolist(), column)
    if not any({"__str__", "__repr__"} & vars(kind).keys() for kind in type(value).__mro__ if kind is not object):
        raise NotRows(f"yields {named(value)} in {column!r}, which has no text of its own")
    return value


def _json(value: Any, column: str) -> Any:
    """Return a value within a nested one as what JSON has; a set has no order of its own."""
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    if _is_of_numpy(value):
        return value.tolist()
    plain = _plain(value, column)
    if isinstance(plain, bytes | memoryview):
        return text_of(bytes(plain))
    return plain if plain is None or isinstance(plain, int | float | str) else str(plain)


def _is_of_numpy(value: Any) -> bool:
    """Tell whether a value is an array or scalar that knows its value in Python, which a time need not."""
    return hasattr(value, "tolist") and type(value).__name__ not in ("datetime64", "timedelta64", "memoryview")


def _is_pandas(item: object) -> bool:
    return type(item).__module__.partition(".")[0] == "pandas" and type(item).__name__ == "DataFrame"
