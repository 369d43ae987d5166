"""Generated series with one planted anomaly each, and what the detector finds of it, beside fixed limits."""

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from tests.benchmarks.anomalies.detector import MACROS, score

DAYS = 182
WARM_UP = 28
FIRST_PLANTED = 98
"""Anomalies begin in the second half: in the first one, series may tell what is usual."""

SERIES = ("weekly season", "trend", "small counts", "intermittent", "noisy amounts")
CASES = {
    "spike": ("+30 %", "+100 %", "+300 %"),
    "drop": ("-30 %", "-60 %", "-100 %"),
    "drift": ("+50 % in 28 days", "+150 % in 28 days"),
    "null burst": ("1 to 4 %", "1 to 15 %", "1 to 60 %"),
    "stuck values": ("3 days", "5 days", "10 days"),
}
DRIFT_DAYS = 28
"""A drift counts as found within so many days."""

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Case:
    """A series with an anomaly: its days, of counts or amounts, and the days on which it would be found."""

    name: str
    series: str
    anomaly: str
    size: str
    values: Array
    nulls: Array | None
    days: range


def generate(seed: int, repeats: int) -> Iterator[Case]:
    """Yield so many series for each kind of series, anomaly and size."""
    chance = np.random.default_rng(seed)
    for anomaly, sizes in CASES.items():
        for size in sizes:
            for series in SERIES:
                if (series, anomaly) == ("intermittent", "drop"):
                    continue  # most of its days have no rows anyway
                for repeat in range(repeats):
                    yield plant(chance, f"{series} {anomaly} {size} {repeat}", series, anomaly, size)


def usual(chance: np.random.Generator, series: str) -> Array:
    """Return a series without an anomaly: counts of rows a day, or an amount."""
    days = np.arange(DAYS)
    season = np.array([1.1, 1.0, 0.95, 1.05, 1.3, 0.6, 0.4])[days % 7]
    if series == "weekly season":
        return chance.poisson(400 * season * chance.lognormal(0, 0.05, DAYS))
    if series == "trend":
        return chance.poisson(200 * (1 + days / 90) * chance.lognormal(0, 0.04, DAYS))
    if series == "small counts":
        return chance.poisson(6, DAYS)
    if series == "intermittent":
        return np.where(chance.random(DAYS) < 0.25, chance.poisson(20, DAYS), 0)
    return np.round(500 * chance.lognormal(0, 0.35, DAYS), 2)


def plant(chance: np.random.Generator, name: str, series: str, anomaly: str, size: str) -> Case:
    """Plant an anomaly of a kind and size into a new series."""
    values = usual(chance, series)
    at = int(chance.integers(FIRST_PLANTED, DAYS - DRIFT_DAYS))
    nulls, days = None, range(at, at + 1)
    number = float(size.split(" ")[0]) / 100
    if anomaly in ("spike", "drop"):
        level = values[values > 0].mean() if series == "intermittent" else values[at]
        values = values.astype(float)
        values[at] = max(0, level * (1 + number))
    elif anomaly == "drift":
        days = range(at, at + DRIFT_DAYS)
        ramp = np.clip((np.arange(DAYS) - at + 1) / DRIFT_DAYS, 0, 1)
        values = values * (1 + number * ramp)
    elif anomaly == "null burst":
        rows = np.maximum(values, 1).astype(int)
        nulls = chance.binomial(rows, 0.01)
        nulls[at] = chance.binomial(rows[at], float(size.split(" ")[2]) / 100)
        values = rows
    else:
        days = range(at, at + int(size.split(" ")[0]))
        values = values.astype(float)
        values[at : days.stop] = values[at]
    if series != "noisy amounts" and anomaly != "null burst":
        values = np.round(values)
    return Case(name, series, anomaly, size, values, nulls, days)


def load(database: duckdb.DuckDBPyConnection, cases: list[Case]) -> None:
    """Put the series into a table `series`, transformed as the tests of the warehouse do."""
    days = np.tile(np.arange(DAYS), len(cases))
    table = {
        "series_name": np.repeat([case.name for case in cases], DAYS),
        "series": np.repeat([case.series for case in cases], DAYS),
        "day": days,
        "row_count": np.concatenate([case.values for case in cases]).astype(float),
        "null_count": np.concatenate(
            [np.full(DAYS, np.nan) if case.nulls is None else case.nulls for case in cases]
        ).astype(float),
        "is_planted": np.concatenate([np.isin(np.arange(DAYS), case.days) for case in cases]),
    }
    database.register("generated", pa.table(table))
    database.execute(
        f"""
        create table series as
        select
            *, timestamp '2026-01-05' + to_days(day::integer) as unit_at, day % 7 as phase,
            case
                when not isnan(null_count) then {MACROS["stabilise_share"]("null_count", "row_count")}
                when series = 'noisy amounts' then ln(greatest(row_count, 0.01))
                else {MACROS["stabilise_count"]("row_count")}
            end as value,
            case
                when not isnan(null_count) then 1 / (2 * sqrt(row_count))
                when series = 'noisy amounts' then 0
                else 1
            end as noise,
            case
                when not isnan(null_count) then 'share' when series = 'noisy amounts' then 'value' else 'count'
            end as kind
        from generated
        """
    )


def judge(database: duckdb.DuckDBPyConnection) -> None:
    """Make a table `found`: for each day whether the detector warns, and whether three standard deviations would."""
    score(database, "series").create("scored")
    volume, nulls = (
        MACROS["get_limits"](),
        MACROS["get_limits"](warn_score=3.5, warn_effect=0.02, error_effect=0.2),
    )
    restored = (
        f"case kind when 'count' then {MACROS['restore_count']('expected')} "
        f"when 'share' then {MACROS['restore_share']('expected')} else exp(expected) end"
    )
    database.execute(
        f"""
        create table found as
        with joined as (
            select series.*, scored.* exclude (series_name, unit_at, value), {restored} as expected_value,
                {restored.replace("expected", "(expected + shift)")} as shifted_value,
                if(kind = 'share', null_count / row_count, row_count) as raw_value
            from series inner join scored using (series_name, unit_at)
        ),
        measured as (
            select *, if(kind = 'share', raw_value - expected_value,
                (raw_value - expected_value) / nullif(greatest(abs(expected_value), abs(raw_value)), 0)) as effect,
                (shifted_value - expected_value) / nullif(greatest(abs(expected_value), abs(shifted_value)), 0)
                as shift_effect,
                avg(raw_value) over whole as mean_value, stddev_pop(raw_value) over whole as deviation_of_all
            from joined
            window whole as (partition by series_name)
        )
        select series_name, day, is_planted,
            case when kind = 'share' then {MACROS["class_anomaly"]("score", "effect", "history_count", 28, nulls)}
            else greatest({MACROS["class_anomaly"]("score", "effect", "history_count", 28, volume)},
                {MACROS["class_anomaly"]("shift_score", "shift_effect", "history_count", 42, volume)},
                if(stuck_score >= {volume["stuck_score"]} and history_count >= 28 and row_count > 0, 1, 0)) end
            > 0 as is_found,
            abs(raw_value - mean_value) > 3 * deviation_of_all as is_found_by_sigma
        from measured
        """
    )


@dataclass(frozen=True)
class Found:
    """Series with an anomaly, how many of them were found, and days of false alarms, by a detector; `days` are all."""

    series: int
    found: int
    false_alarms: int
    days: int


def count(database: duckdb.DuckDBPyConnection, cases: list[Case], by: str, detector: str) -> dict[str, Found]:
    """Count what was found from the end of the warm-up on, by the value of `by`: an attribute, or two joined by |."""
    groups = {case.name: " | ".join(str(getattr(case, one)) for one in by.split("|")) for case in cases}
    names = pa.table({"series_name": list(groups), "label": list(groups.values())})
    database.register("names", names)
    rows = database.execute(
        "select label, count(distinct series_name), count(distinct series_name) filter (is_planted and "
        f"{detector}), count(*) filter (not is_planted and {detector}), count(*) filter (not is_planted) "
        f"from found inner join names using (series_name) where day >= {WARM_UP} group by label"
    ).fetchall()
    return {label: Found(*counts) for label, *counts in rows}


def wilson(found: int, of: int) -> tuple[float, float]:
    """Return Wilson's interval of a share, at 95 percent."""
    if of == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(0.975)
    share, weight = found / of, z * z / of
    middle = (share + weight / 2) / (1 + weight)
    reach = z * np.sqrt(share * (1 - share) / of + weight / (4 * of)) / (1 + weight)
    return float(middle - reach), float(middle + reach)
