"""One way to join features to a spine, in a process of its own: feature_joins NAME FOLDER. Needs the environment of
`.venv/bench`.

FOLDER has spine.parquet and a Parquet file for each table of events. NAME is a library, or a file with SQL for DuckDB.
Prints as JSON the seconds without imports, the largest resident memory of the process, and sums by which results can
be compared.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from tests.python.support.memory import largest_resident_mb

TABLES = ("clicks", "payments", "calls")
DAYS = 30
LIMIT = "1GB"
ROOM = "8GB"
"""The memory of Feast's DuckDB. Within the limit of the others it takes nearly twice as long."""

Sums = tuple[float, ...]


def run_sql(folder: Path, name: str) -> Callable[[], Sums]:
    """Return a function that runs SQL in DuckDB within the limit of memory, and writes the result into a table."""
    import duckdb

    sql, place = (folder / name).read_text(), folder / f"{name}.duckdb"
    place.unlink(missing_ok=True)
    settings: dict[str, Any] = {"threads": 2, "memory_limit": LIMIT, "preserve_insertion_order": False}
    connection = duckdb.connect(str(place), config=settings)
    connection.execute("set TimeZone = 'UTC'")
    for table in ("spine", *TABLES):
        connection.execute(f"create view {table} as from '{folder / table}.parquet'")

    def run() -> Sums:
        connection.execute(f"create table found as {sql}")
        names = [name for (name, *_) in connection.execute("describe found").fetchall()][3:]
        return connection.execute(f"select {', '.join(f'sum({name})' for name in names)} from found").fetchone() or ()

    return run


def run_pandas(folder: Path, _: str) -> Callable[[], Sums]:
    """Return a function that looks up running totals by pandas, at the moment and at the begin of the window."""
    import pandas as pd

    def run() -> Sums:
        spine = pd.read_parquet(folder / "spine.parquet").sort_values("as_of")
        spine = spine.astype({"as_of": "datetime64[us]"})
        sums: list[float] = []
        for table in TABLES:
            events = pd.read_parquet(folder / f"{table}.parquet", columns=["customer_id", "happened_at", "amount"])
            events = events.astype({"amount": float, "happened_at": "datetime64[us]"}).sort_values("happened_at")
            by_key = events.groupby("customer_id")
            totals = events.assign(number=by_key.cumcount() + 1, amount=by_key.amount.cumsum())
            found = []
            for days in (0, DAYS):
                moments = spine.assign(happened_at=(spine.as_of - pd.Timedelta(days=days)).astype("datetime64[us]"))
                found.append(
                    pd.merge_asof(moments, totals, on="happened_at", by="customer_id", allow_exact_matches=False)[
                        ["number", "amount"]
                    ].fillna(0)
                )
            sums += (found[0] - found[1]).sum().tolist()
        return tuple(sums)

    return run


def run_polars(folder: Path, _: str) -> Callable[[], Sums]:
    """Return a function that looks up running totals by Polars, at the moment and at the begin of the window."""
    import polars as pl

    def run() -> Sums:
        spine = pl.read_parquet(folder / "spine.parquet").sort("as_of")
        sums: list[float] = []
        for table in TABLES:
            events = pl.scan_parquet(folder / f"{table}.parquet").select(
                "customer_id", "happened_at", pl.col("amount").cast(pl.Float64)
            )
            totals = (
                events.sort("happened_at")
                .with_columns(
                    pl.int_range(1, pl.len() + 1).over("customer_id").alias("number"),
                    pl.col("amount").cum_sum().over("customer_id"),
                )
                .collect()
            )
            found = []
            for days in (0, DAYS):
                moment = pl.col("as_of") - pl.duration(days=days, microseconds=1)
                moments = spine.with_columns(happened_at=moment).set_sorted("happened_at")
                joined = moments.join_asof(totals, on="happened_at", by="customer_id", check_sortedness=False)
                found.append(joined.select("number", "amount").fill_null(0))
            sums += [(found[0][name] - found[1][name]).sum() for name in ("number", "amount")]
        return tuple(sums)

    return run


def run_feast(folder: Path, _: str) -> Callable[[], Sums]:
    """Return a function that joins the last amount of each table by Feast's DuckDB offline store, as it was known."""
    os.environ["FEAST_USAGE"] = "False"
    import ibis
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig
    from feast.types import Float64
    from feast.value_type import ValueType

    ibis.set_backend(ibis.duckdb.connect(threads=2, memory_limit=ROOM, temp_directory=str(folder / "feast")))
    store = FeatureStore(
        config=RepoConfig(
            project="bench",
            provider="local",
            registry=str(folder / "registry.db"),
            offline_store={"type": "duckdb"},
            online_store={"type": "sqlite", "path": str(folder / "online.db")},
            entity_key_serialization_version=3,
        )
    )
    customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.INT64)
    views = [
        FeatureView(
            name=table,
            entities=[customer],
            ttl=timedelta(0),
            schema=[Field(name="amount", dtype=Float64)],
            source=FileSource(
                path=str(folder / f"{table}.parquet"),
                timestamp_field="happened_at",
                created_timestamp_column="arrived_at",
            ),
            online=False,
        )
        for table in TABLES
    ]
    store.apply([customer, *views])

    def run() -> Sums:
        spine = pd.read_parquet(folder / "spine.parquet").rename(columns={"as_of": "event_timestamp"})
        joined = store.get_historical_features(
            entity_df=spine,
            features=[f"{table}:amount" for table in TABLES],
            full_feature_names=True,
            filter_by_created_timestamp=True,
        ).to_arrow()
        return tuple(float(joined[f"{table}__amount"].to_pandas().sum()) for table in TABLES)

    return run


def main(name: str, folder: Path) -> None:
    """Prepare, run, and print."""
    ways = {"pandas": run_pandas, "polars": run_polars, "feast": run_feast}
    run = ways.get(name, run_sql)(folder, name)
    started = time.perf_counter()
    sums = run()
    found = {"seconds": time.perf_counter() - started, "resident_mb": largest_resident_mb()}
    sys.stdout.write(json.dumps({**found, "sums": list(map(float, sums))}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
    sys.stdout.flush()
    os._exit(0)
