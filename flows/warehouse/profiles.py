"""The profile of a table: rows, nulls, distinct values and distributions. Of personal data values are only counted."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import floor, isfinite, log10
from typing import Any

import duckdb

from flows.core.names import identifier, literal

QUANTILES = [0.05, 0.25, 0.5, 0.75, 0.95]
BINS = 12
FEW_ROWS = 100_000
"""Up to so many rows distinct values are counted exactly."""

CATEGORIES = 50
"""A text of more distinct values is free text, a name or a key, of which no value is kept."""

NUMBERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "DECIMAL")
UNSIGNED = ("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
FLOATS = ("FLOAT", "DOUBLE")
TIMES = ("DATE", "TIMESTAMP")
FLOAT_RANGE = 1e38
"""Bounds of bins are floats, whose few digits can be read, unless they are beyond them."""

Place = tuple[str, str]
"""Schema and name of a table."""


@dataclass(frozen=True)
class Column:
    """A column as it is profiled; of a personal one, or one of another type than these, values are only counted."""

    name: str
    data_type: str
    is_personal: bool = False

    @property
    def kind(self) -> str:
        """Return number, time, text, or counted."""
        plain = self.data_type.partition("(")[0]
        if self.is_personal or self.data_type.endswith("]"):
            return "counted"
        if plain in (*NUMBERS, *UNSIGNED, *FLOATS):
            return "number"
        if plain.startswith(TIMES):
            return "time"
        return "text" if plain in ("VARCHAR", "BOOLEAN") or plain.startswith("ENUM") else "counted"

    @property
    def sql(self) -> str:
        """Return the column in SQL; a number as a double; null if a number or time is infinite."""
        if self.kind not in ("number", "time"):
            return identifier(self.name)
        if self.data_type in FLOATS or self.kind == "time":
            return f"if(isfinite({identifier(self.name)}), {identifier(self.name)}, null)"
        return f"cast({identifier(self.name)} as double)"


@dataclass(frozen=True)
class Profile:
    """The profile of a table: rows of its columns for `column_profiles`, its number of rows, and its newest event."""

    row_count: int
    newest_at: datetime | None
    columns: Sequence[Mapping[str, Any]]


def profile_table(
    database: duckdb.DuckDBPyConnection,
    place: Place,
    personal: Collection[str] = (),
    event_time: str | None = None,
    *,
    now: datetime,
) -> Profile:
    """Profile a table in two scans: one for counts and quantiles, one for histograms.

    Of the `personal` columns values are only counted. `event_time` is the column of the newest event. Without
    one it is the latest time in any column that is not after `now`, the present moment. The database's zone is UTC.
    """
    table = ".".join(map(identifier, place))
    described = database.execute(f"describe {table}").fetchall()
    hidden = {name.lower() for name in personal}
    columns = [Column(name, str(kind), name.lower() in hidden) for name, kind, *_ in described]
    (row_count,) = database.execute(f"select count(*) from {table}").fetchall()[0]
    parts = [part for column in columns for part in _measures(column, row_count, now)]
    values = iter(database.execute(f"select {', '.join(parts)} from {table}").fetchall()[0])
    rows, newest = [], {}
    for column in columns:
        non_null, distinct, minimum, maximum, newest[column.name], mean, deviation, quantiles = (
            next(values) for _ in range(8)
        )
        rows.append(
            {
                "column_name": column.name,
                "data_type": column.data_type,
                "row_count": row_count,
                "null_count": row_count - non_null,
                "distinct_count": min(distinct, non_null),
                "minimum": minimum,
                "maximum": maximum,
                "mean": mean,
                "standard_deviation": deviation,
                "quantiles": quantiles,
            }
        )
    _add_histograms(database, table, columns, rows)
    declared = newest.get(event_time) if event_time else None
    known = [declared] if declared else list(newest.values())
    return Profile(row_count, max(filter(None, known), default=None), rows)


def _measures(column: Column, row_count: int, now: datetime) -> list[str]:
    """Return the aggregates of a column, in the order in which they are read; those that it lacks are null."""
    name, value = identifier(column.name), column.sql
    distinct = f"count(distinct {name})" if row_count <= FEW_ROWS else f"approx_count_distinct({name})"
    texts = [f"cast(min({value}) as varchar)", f"cast(max({value}) as varchar)"]
    newest = mean = deviation = quantiles = "null"
    if column.kind == "number":
        exact = value if column.data_type in FLOATS else name
        texts = [f"cast(min({exact}) as varchar)", f"cast(max({exact}) as varchar)"]
        mean, deviation = f"avg({value})", f"stddev_samp({value})"
        quantiles = f"approx_quantile({value}, {QUANTILES})"
    elif column.kind == "time":
        moment = f"try_cast({value} as timestamp)"
        newest = f"max({moment}) filter ({moment} between timestamp '0001-01-01' and timestamp {literal(str(now))})"
    else:
        texts = ["null", "null"]
    return [f"count({name})", distinct, *texts, newest, mean, deviation, quantiles]


def _add_histograms(
    database: duckdb.DuckDBPyConnection, table: str, columns: Sequence[Column], rows: Sequence[dict[str, Any]]
) -> None:
    """Add the histograms of columns that have one, and the smallest and largest category, in one scan of a table."""
    wanted = [(column, row, _bins(column, row)) for column, row in zip(columns, rows, strict=True)]
    wanted = [(column, row, bins) for column, row, bins in wanted if bins is not None]
    if not wanted:
        return
    sql = f"select {', '.join(f'histogram({bins})' for *_, bins in wanted)} from {table}"
    counted = database.execute(sql).fetchall()[0]
    for (column, row, _), counts in zip(wanted, counted, strict=True):
        found = dict(counts or {})
        if column.kind == "text":
            labels = sorted(map(_label, found))
            row["minimum"], row["maximum"] = (labels[0], labels[-1]) if labels else (None, None)
            largest = sorted(found.items(), key=lambda one: (-one[1], _label(one[0])))[:BINS]
            found = dict(largest)
        else:
            found = dict(sorted(found.items()))
        bars: Counter[str] = Counter()
        for value, count in found.items():
            bars[_label(value)] += count
        row["histogram"] = [{"label": label, "row_count": count} for label, count in bars.items()]


def _bins(column: Column, row: Mapping[str, Any]) -> str | None:
    """Return SQL of the value or the lower bound by which a column's rows are counted; None if it has no histogram."""
    distinct = row["distinct_count"]
    if column.kind == "text":
        return column.sql if 0 < distinct <= CATEGORIES else None
    if column.kind == "counted" or row["minimum"] is None:  # no value at all, or none that is finite
        return None
    if column.kind == "time":  # as text: Python knows neither infinity nor years before the first
        if distinct <= BINS:
            return f"cast({column.sql} as varchar)"
        width = _width_of_time(row)
        if width is None:
            return None
        return f"cast(time_bucket({width}, try_cast({column.sql} as timestamp)) as varchar)"
    if distinct <= BINS:
        return column.sql
    low, high = _ends(row)
    if not (high > low and isfinite(high - low)):
        return None
    step = _round_up((high - low) / (BINS - 1))
    first, last = floor(low / step), floor(low / step) + BINS - 1
    kind = "float" if max(-low, high) < FLOAT_RANGE else "double"
    return f"cast({step!r} * least({last}, greatest({first}, floor({column.sql} / {step!r}))) as {kind})"


def _round_up(width: float) -> float:
    """Return the next larger width of 1, 2 or 5 times a power of ten, so that the bounds are read easily."""
    power = 10.0 ** floor(log10(width))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= width)


def _ends(row: Mapping[str, Any]) -> tuple[float, float]:
    """Return the ends of the equal intervals of a number: far outliers are counted in the first and last one."""
    low, *_, high = row["quantiles"]
    spread = high - low
    return max(float(row["minimum"]), low - spread), min(float(row["maximum"]), high + spread)


def _width_of_time(row: Mapping[str, Any]) -> str | None:
    """Return an interval of which at most twelve reach from the first time of a column to the last."""
    try:
        first, last = (datetime.fromisoformat(row[end]).replace(tzinfo=None) for end in ("minimum", "maximum"))
    except ValueError:  # a year that Python does not know
        return None
    seconds = (last - first).total_seconds() / (BINS - 1)
    steps = (("minutes", 60), ("hours", 3600), ("days", 86400))
    unit, size = next((one for one in steps if seconds / one[1] < 48), steps[-1])
    return f"interval {int(seconds // size) + 1} {unit}"


def _label(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
