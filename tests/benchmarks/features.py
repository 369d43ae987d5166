"""Training sets of declared features against as-of SQL by hand, Polars, pandas and Feast, and the growth with events.

The spine has a row for every twentieth event of three tables. Counts and sums of 30 days are compared with look-ups of
running totals, by SQL by hand, Polars and pandas. These know nothing of arrivals, repeats or late events. Feast's
DuckDB offline store has no windows: it joins one given value of each table, the last that had arrived. Ours joins
that too, as a second measure; in the first, its values count as given aggregates, whose making is not measured.
All read the same Parquet files, each in a process of its own. DuckDB has 1 GB, and Feast's 8 GB.
`BENCH_FEATURES_ROWS=1000000` takes the full size: one million rows and twenty million events.
"""

import json
import os
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from flows.config.declared_features import features_of
from flows.config.settings import PROJECT, DataFolder
from flows.warehouse.dbt import Dbt
from tests.benchmarks.measures import Measure, report

ROWS = int(os.environ.get("BENCH_FEATURES_ROWS", "100000"))
EVENTS = {"clicks": 12 * ROWS, "payments": 6 * ROWS, "calls": 2 * ROWS}
KEYS = {"clicks": ROWS // 2, "payments": ROWS // 4, "calls": ROWS // 10}
"""Tens of events a key, as a shop's customers have."""
FEW_KEYS = dict.fromkeys(EVENTS, ROWS // 200)
"""Four thousand events a key in all, as terminals and cards of companies have."""
REPEATS = 3

YEAR_US, MINUTE_US = 365 * 86_400_000_000, 60_000_000
TYPES = {
    **{"event_id": "bigint", "customer_id": "bigint", "happened_at": "timestamp", "arrived_at": "timestamp"},
    "amount": "decimal(18, 2)",
}
IN_WINDOWS = {
    "event_count": {"agg": "count", "windows": ["30d"], "description": "Events."},
    "amount_sum": {"agg": "sum", "of": "amount", "windows": ["30d"], "description": "Amount."},
}
LAST = {"last_amount": {"agg": "last", "of": "amount", "closed": "right", "description": "The last amount."}}
PYTHON = PROJECT / ".venv" / "bench" / "bin" / "python"


@dataclass(frozen=True)
class Taken:
    """The medians of one way's runs: seconds, and the largest resident memory in megabytes; sums of its result."""

    seconds: float
    resident_mb: float
    sums: tuple[float, ...]


def main() -> None:
    """Report seconds and memory against each reference, and the growth with the events."""
    dbt = Dbt.parse(DataFolder.of("demo"))
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        tens, thousands, fewer = (Path(place) / name for name in ("tens", "thousands", "fewer"))
        for folder, keys, parts in ((tens, KEYS, 1), (thousands, FEW_KEYS, 1), (fewer, KEYS, 10)):
            make_events(folder, keys, parts)
        ours = compile_features(dbt, Path(place) / "range", IN_WINDOWS, "range_join")
        for folder in (tens, fewer):
            (folder / "ours").write_text(ours)
        (thousands / "ours").write_text(compile_features(dbt, Path(place) / "sums", IN_WINDOWS, "prefix_sums"))
        (tens / "last").write_text(compile_features(dbt, Path(place) / "last", LAST, "range_join"))
        for folder in (tens, thousands):
            (folder / "by_hand").write_text(write_by_hand())
        what = f"{len(EVENTS)} tables of features, {ROWS:,} rows × {sum(EVENTS.values()):,} events"
        for folder in (tens, thousands):
            number = "tens" if folder == tens else "thousands"
            compare(f"{what}, {number} a key", folder, ("ours", "by_hand"), "as-of SQL by hand", at_most=1.3)
        for name in ("polars", "pandas"):
            compare(what, tens, ("ours", name), f"as-of joins of {name}", repeats=1, at_least=1, needs_less_memory=True)
        compare(f"{what}: last values", tens, ("last", "feast"), "Feast", repeats=1, at_least=5, needs_less_memory=True)
        many, few = run_alternately((tens, "ours"), (fewer, "ours"))
        report(Measure("Ten times the events", "a tenth", many.seconds, few.seconds, at_most=12))


def compare(
    what: str,
    folder: Path,
    names: tuple[str, str],
    reference: str,
    repeats: int = REPEATS,
    needs_less_memory: bool = False,
    **bar: float,
) -> None:
    """Run two ways, require that they agree up to events that had not arrived, and report seconds and memory."""
    ours, theirs = run_alternately(*((folder, name) for name in names), repeats=repeats)
    for one, other in zip(ours.sums, theirs.sums, strict=True):
        if abs(one - other) > 1e-3 * abs(other):
            raise AssertionError(f"{what}: sums are {ours.sums}, and of {reference} {theirs.sums}")
    report(Measure(what, reference, ours.seconds, theirs.seconds, **bar))
    if needs_less_memory:
        report(Measure(f"{what}, memory", reference, ours.resident_mb, theirs.resident_mb, at_most=1, unit="MB"))


def run_alternately(ours: tuple[Path, str], theirs: tuple[Path, str], repeats: int = REPEATS) -> tuple[Taken, Taken]:
    """Run two ways alternately, each run in a process of its own; return medians."""
    runs: tuple[list[Taken], list[Taken]] = ([], [])
    for _ in range(repeats):
        for taken, (folder, name) in zip(runs, (ours, theirs), strict=True):
            command = [str(PYTHON), "-W", "ignore", "-m", "tests.benchmarks.feature_joins", name, str(folder)]
            done = subprocess.run(command, cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout.splitlines()[-1])
            taken.append(Taken(found["seconds"], found["resident_mb"], tuple(found["sums"])))
    first, second = (
        Taken(
            statistics.median(one.seconds for one in taken),
            statistics.median(one.resident_mb for one in taken),
            taken[0].sums,
        )
        for taken in runs
    )
    return first, second


def make_events(folder: Path, keys: dict[str, int], parts: int) -> None:
    """Write the spine, and the events or a part of them, in an order that no join likes."""
    folder.mkdir()
    with duckdb.connect(config={"threads": 2, "memory_limit": "1GB"}) as connection:
        at = "timestamp '2026-01-01' + to_microseconds(cast(hash({n}, 1) % {year} as bigint))".format
        delay = f"to_microseconds(cast(hash(range, 2) % {MINUTE_US} as bigint))"
        for table, number in EVENTS.items():
            happened = at(n="range", year=YEAR_US)
            connection.execute(
                f"copy (select range as event_id, cast(hash(range) % {keys[table]} as bigint) as customer_id, "
                f"{happened} as happened_at, {happened} + {delay} as arrived_at, "
                f"cast(range % 9973 as decimal(18, 2)) as amount from range({number // parts})) "
                f"to '{folder / table}.parquet'"
            )
        spine = at(n="range + 7", year=YEAR_US)
        connection.execute(
            f"copy (select range as row_id, cast(hash(range, 3) % {min(keys.values())} as bigint) as "
            f"customer_id, {spine} as as_of from range({ROWS})) to '{folder / 'spine'}.parquet'"
        )


def compile_features(dbt: Dbt, folder: Path, values: dict[str, dict[str, Any]], strategy: str) -> str:
    """Return the SQL of the declared features, compiled by dbt as in a project."""
    manifest = dbt.manifest.deepcopy()
    base = manifest.nodes["model.ml_warehouse.fct_payments"]
    for table in EVENTS:
        declared = {
            **{"name": table, "entity": ["customer_id"], "event_id": "event_id", "event_time": "happened_at"},
            **{"available_at": "arrived_at", "values": values},
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
        f"{{{{ join_features('spine', 'as_of', groups, strategy='{strategy}') }}}}"
    )
    place = DataFolder(folder)
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


if __name__ == "__main__":
    main()
