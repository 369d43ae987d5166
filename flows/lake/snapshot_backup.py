"""Backups of dbt snapshots in the lake: nothing else can restore their rows after the warehouse is lost."""

from collections.abc import Collection, Iterable
from pathlib import Path

import duckdb
from deltalake import CommitProperties

from flows.core.names import identifier
from flows.lake.delta import open_table, relation_of, write_rows

RELEASE = "release"
"""The metadata of a commit that name the release whose snapshot it holds."""


def keep_snapshots(lake: Path, database: Path, snapshots: Iterable[tuple[str, str]], release: str) -> None:
    """Write each snapshot (schema, name) of a published database to the lake, as a version that names the release."""
    with duckdb.connect(str(database), read_only=True) as connection:
        for schema, name in snapshots:
            rows = connection.sql(f"select * from {identifier(schema)}.{identifier(name)}").to_arrow_reader(100_000)
            path = _path(lake, name)
            write_rows(
                open_table(path),
                path,
                rows,
                mode="overwrite",
                schema_mode="overwrite",
                commit_properties=CommitProperties(custom_metadata={RELEASE: release}),
            )


def kept_snapshots(lake: Path, database: Path) -> list[tuple[str, str]]:
    """Return schema and name of the snapshots that the lake keeps and a database has."""
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables() where schema_name <> 'main'")
        return [(schema, name) for schema, name in tables.fetchall() if _path(lake, name).is_dir()]


def are_kept(lake: Path, snapshots: Iterable[tuple[str, str]], release: str) -> bool:
    """Tell whether the lake keeps each snapshot as of a release; a killed run may not have got there."""
    return all(snapshot_versions(_path(lake, name), {release}) for _, name in snapshots)


def snapshot_versions(path: Path, releases: Collection[str]) -> dict[str, int]:
    """Return the newest version of a snapshot's table that names each of some releases, by the release."""
    table = open_table(path)
    found: dict[str, int] = {}
    for commit in table.history() if table is not None else ():
        if commit.get(RELEASE) in releases:
            found.setdefault(commit[RELEASE], commit["version"])
    return found


def restore_snapshots(
    lake: Path, database: Path, snapshots: Iterable[tuple[str, str]], release: str | None = None
) -> list[str]:
    """Put the snapshots that the lake keeps into a database that has none; return their names.

    They are the newest, or those of a `release`, as far as the lake has a version that names it.
    """
    restored = []
    for schema, name in snapshots:
        path = _path(lake, name)
        version = snapshot_versions(path, {release}).get(release) if release is not None else None
        if release is not None and version is None:
            continue
        relation = relation_of(open_table(path, version))
        if relation is None:
            continue
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"create schema if not exists {identifier(schema)}")
            connection.execute(f"create or replace table {identifier(schema)}.{identifier(name)} as from {relation}")
        restored.append(name)
    return restored


def _path(lake: Path, name: str) -> Path:
    return lake / "ops" / "snapshots" / name
