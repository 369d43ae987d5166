"""Backups of dbt snapshots in the lake: nothing else can restore their rows after the warehouse is lost."""

from collections.abc import Iterable
from pathlib import Path

import duckdb
from deltalake import write_deltalake

from flows.core.names import identifier
from flows.lake.delta import KEEP_LOG, open_table, relation_of


def keep_snapshots(lake: Path, database: Path, snapshots: Iterable[tuple[str, str]]) -> None:
    """Write each snapshot (schema, name) of a published database to the lake, as a version of its own."""
    with duckdb.connect(str(database), read_only=True) as connection:
        for schema, name in snapshots:
            rows = connection.sql(f"select * from {identifier(schema)}.{identifier(name)}").to_arrow_reader(100_000)
            path = _path(lake, name)
            write_deltalake(
                str(path),
                rows,
                mode="overwrite",
                schema_mode="overwrite",
                configuration=None if open_table(path) else KEEP_LOG,
            )


def restore_snapshots(lake: Path, database: Path, snapshots: Iterable[tuple[str, str]]) -> list[str]:
    """Put the snapshots that the lake keeps into a database that has none; return their names."""
    restored = []
    for schema, name in snapshots:
        relation = relation_of(open_table(_path(lake, name)))
        if relation is None:
            continue
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"create schema if not exists {identifier(schema)}")
            connection.execute(f"create or replace table {identifier(schema)}.{identifier(name)} as from {relation}")
        restored.append(name)
    return restored


def _path(lake: Path, name: str) -> Path:
    return lake / "ops" / "snapshots" / name
