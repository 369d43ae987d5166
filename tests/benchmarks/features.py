"""Training sets of declared features against as-of SQL by hand, Polars and pandas, and with ten times the events.

Three tables of features, of one million rows of a spine and twenty million events in all. The hand-written SQL and the
as-of joins of Polars and pandas look up running totals; they know nothing of arrivals, repeats or late events.
DuckDB has 1 GB. Polars is measured if it is installed.
`BENCH_FEATURES_ROWS=100000` takes a smaller spine and as many fewer events.
"""

import os
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb

from flows.config.declared_features import features_of
from flows.config.settings import DataFolder
from flows.warehouse.dbt import Dbt
from tests.benchmarks.measures import Measure, report, run_alternately

ROWS = int(os.environ.get("BENCH_FEATURES_ROWS", "1000000"))
EVENTS = {"clicks": 12 * ROWS, "payments": 6 * ROWS, "calls": 2 * ROWS}
KEYS = {"clicks": ROWS // 2, "payments": ROWS // 4, "calls": ROWS // 10}
"""Tens of events a key, as a shop's customers have."""

YEAR_US, MINUTE_US = 365 * 86_400_000_000, 60_000_000
TYPES = {
    **{"event_id": "bigint", "customer_id": "bigint", "happened_at": "timestamp", "arrived_at": "timestamp"},
    "amount": "decimal(18, 2)",
}
VALUES = {
    "event_count": {"agg": "count", "windows": ["30d"], "description": "Events."},
    "amount_sum": {"agg": "sum", "of": "amount", "windows": ["30d"], "description": "Amount."},
}
MEMORY = "1GB"


def main() -> None:
    """Report seconds against each reference, within one limit of memory, and the growth with the events."""
    dbt = Dbt.parse(DataFolder.of("demo"))
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = Path(place)
        large, small = folder / "large.duckdb", folder / "small.duckdb"
        make_events(large, 1)
        make_events(small, 10)
        sql = compile_features(dbt, folder)
        ours = work(large, f"create or replace table found as {sql}")
        by_hand = work(large, f"create or replace table by_hand as {write_by_hand()}")
        what = f"{len(EVENTS)} tables of features for {ROWS:,} rows"
        report(Measure(what, "as-of SQL by hand", *run_alternately(ours, by_hand, repeats=3), at_most=1.3))
        for name, join in (("polars", join_by_polars), ("pandas", join_by_pandas)):
            if find_spec(name) is not None:
                seconds = run_alternately(ours, lambda join=join: join(large), repeats=1)
                report(Measure(what, f"as-of joins of {name}", *seconds, at_least=1))
        fewer = work(small, f"create or replace table found as {sql}")
        report(Measure("Ten times the events", "a tenth", *run_alternately(ours, fewer, repeats=3), at_most=12))


def make_events(place: Path, parts: int) -> None:
    """Write the spine, and the events or a part of them, in an order that no join likes."""
    with connect(place) as connection:
        at = "timestamp '2026-01-01' + to_microseconds(cast(hash({n}, 1) % {year} as bigint))".format
        delay = f"to_microseconds(cast(hash(range, 2) % {MINUTE_US} as bigint))"
        for table, number in EVENTS.items():
            happened = at(n="range", year=YEAR_US)
            connection.execute(
                f"create table {table} as select range as event_id, cast(hash(range) % {KEYS[table]} as bigint) as "
                f"customer_id, {happened} as happened_at, {happened} + {delay} as arrived_at, "
                f"cast(range % 9973 as decimal(18, 2)) as amount from range({number // parts})"
            )
        spine = at(n="range + 7", year=YEAR_US)
        connection.execute(
            f"create table spine as select range as row_id, cast(hash(range, 3) % {min(KEYS.values())} as bigint) as "
            f"customer_id, {spine} as as_of from range({ROWS})"
        )


def compile_features(dbt: Dbt, folder: Path) -> str:
    """Return the SQL of the declared features, compiled by dbt as in a project."""
    manifest = dbt.manifest.deepcopy()
    base = manifest.nodes["model.ml_warehouse.fct_payments"]
    for table in EVENTS:
        declared = {
            **{"name": table, "entity": ["customer_id"], "event_id": "event_id", "event_time": "happened_at"},
            **{"available_at": "arrived_at", "values": VALUES},
        }
        content = base.to_dict(omit_none=True) | {"name": table, "alias": table}
        content["unique_id"] = f"model.ml_warehouse.{table}"
        content["columns"] = {name: {"name": name, "data_type": kind} for name, kind in TYPES.items()}
        node = type(base).from_dict(content)
        node.config.meta["features"] = declared
        manifest.nodes[content["unique_id"]] = node
    features_of(manifest)
    manifest.build_flat_graph()
    patterns = ", ".join(f"'{table}.*'" for table in EVENTS)
    inline = (
        f"{{% set groups = select_features([{patterns}]) %}}{{% for group in groups %}}"
        "{% do group.update(relation=group.model, is_unique=true) %}{% endfor %}"
        "{{ join_features('spine', 'as_of', groups) }}"
    )
    place = DataFolder(folder / "compiled")
    place.candidate.parent.mkdir(parents=True)
    duckdb.connect(str(place.catalog)).close()
    (compiled,) = Dbt(place, manifest, {}).run("compile", "--inline", inline)
    return str(compiled.node.compiled_code)


def write_by_hand() -> str:
    """Return what an engineer would write: running totals, and their difference over a window by as-of joins."""
    parts, columns, joins = [], [], []
    for table in EVENTS:
        parts.append(
            f"{table}_totals as (select customer_id, happened_at, count(*) over totals as number, "
            f"sum(amount) over totals as amount from {table} window totals as (partition by customer_id "
            "order by happened_at rows between unbounded preceding and current row))"
        )
        for end, moment in (("end", "as_of"), ("begin", "as_of - interval 30 day")):
            parts.append(
                f"{table}_{end} as (select spine.row_id, totals.number, totals.amount from spine asof join "
                f"{table}_totals as totals on spine.customer_id = totals.customer_id and {moment} > totals.happened_at)"
            )
            joins.append(f"left join {table}_{end} on spine.row_id = {table}_{end}.row_id")
        columns += [
            f"coalesce({table}_end.{one}, 0) - coalesce({table}_begin.{one}, 0) as {table}_{one}"
            for one in ("number", "amount")
        ]
    return f"with {', '.join(parts)} select spine.*, {', '.join(columns)} from spine {' '.join(joins)}"


def connect(place: Path) -> duckdb.DuckDBPyConnection:
    """Open a file within the limit of memory."""
    settings: dict[str, Any] = {"threads": 2, "memory_limit": MEMORY, "preserve_insertion_order": False}
    connection = duckdb.connect(str(place), config=settings)
    connection.execute("set TimeZone = 'UTC'")
    return connection


def work(place: Path, sql: str) -> Callable[[], None]:
    """Return a function that runs SQL on a file."""

    def run() -> None:
        with connect(place) as connection:
            connection.execute(sql)

    return run


def join_by_pandas(place: Path) -> None:
    """Look up running totals by pandas, at the moment and at the begin of the window."""
    import pandas as pd

    with duckdb.connect(str(place), read_only=True) as connection:
        spine = connection.sql("from spine").df().sort_values("as_of")
        for table in EVENTS:
            events = connection.sql(
                f"select customer_id, happened_at, cast(amount as double) as amount from {table}"
            ).df()
            events = events.sort_values("happened_at")
            totals = events.assign(
                number=events.groupby("customer_id").cumcount() + 1,
                amount=events.groupby("customer_id").amount.cumsum(),
            )
            for back in (0, 30):
                moments = spine.assign(happened_at=spine.as_of - pd.Timedelta(days=back))
                on = {"on": "happened_at", "by": "customer_id", "allow_exact_matches": False}
                pd.merge_asof(moments, totals, **on)


def join_by_polars(place: Path) -> None:
    """Look up running totals by Polars, at the moment and at the begin of the window."""
    import polars as pl

    with duckdb.connect(str(place), read_only=True) as connection:
        spine = connection.sql("from spine").pl().sort("as_of")
        for table in EVENTS:
            query = f"select customer_id, happened_at, cast(amount as double) as amount from {table}"
            totals = (
                connection.sql(query)
                .pl()
                .sort("happened_at")
                .with_columns(
                    pl.int_range(1, pl.len() + 1).over("customer_id").alias("number"),
                    pl.col("amount").cum_sum().over("customer_id"),
                )
            )
            for days in (0, 30):
                moments = spine.with_columns(
                    (pl.col("as_of") - pl.duration(days=days, microseconds=1)).alias("happened_at")
                )
                moments.sort("happened_at").join_asof(totals, on="happened_at", by="customer_id")


if __name__ == "__main__":
    main()
