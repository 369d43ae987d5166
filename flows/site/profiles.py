"""The profiles of tables and columns, as the release keeps their history."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.core.storage import open_release_file
from flows.site.facts import Bar, Column, Profile, Table
from flows.site.released import safe_text
from flows.warehouse.releases import release_order

RELEASES = 20
"""The newest releases whose rows a chart shows."""

COLUMNS = "table_schema, table_name, column_name, row_count, null_count, distinct_count, minimum, maximum, mean, "
COLUMNS += "standard_deviation, quantiles, histogram"


def with_profiles(tables: Mapping[str, Table], file: Path, release: str) -> dict[str, Table]:
    """Return the tables with the profile of each column in the release, and with their rows in earlier ones.

    Of a column of personal data values are only counted, also if it has its class from the column that it is made of.
    """
    with open_release_file(file) as connection:
        connection.execute("set TimeZone = 'UTC'")
        there = connection.execute("select table_name from duckdb_tables() where schema_name = 'core'").fetchall()
        if not {("table_profiles",), ("column_profiles",)} <= set(there):
            return dict(tables)
        found = connection.execute(
            "select table_schema, table_name, release_name, row_count, newest_at from core.table_profiles"
        ).fetchall()
        columns = connection.execute(
            f"select {COLUMNS} from core.column_profiles where release_name = ?", [release]
        ).fetchall()
    counts: dict[tuple[str, str], dict[str, int]] = {}
    newest = {(schema, name): moment for schema, name, of, _, moment in found if of == release}
    for schema, name, of, rows, _ in found:
        counts.setdefault((schema, name), {})[of] = rows
    profiles = {(schema, name, column): values for schema, name, column, *values in columns}
    return {
        key: replace(
            table,
            columns=[_profiled(one, profiles.get((table.schema, table.name, one.name))) for one in table.columns],
            history=_joined(table.history, counts.get((table.schema, table.name), {})),
            newest_at=newest.get((table.schema, table.name), table.newest_at),
        )
        if table.layer != "sources"
        else table
        for key, table in tables.items()
    }


def _joined(history: Sequence[tuple[str, int]], counts: Mapping[str, int]) -> list[tuple[str, int]]:
    whole = {**counts, **dict(history)}
    return sorted(whole.items(), key=lambda one: release_order(one[0]))[-RELEASES:]


def _profiled(column: Column, values: Sequence[Any] | None) -> Column:
    if values is None:
        return column
    rows, nulls, distinct, minimum, maximum, mean, deviation, quantiles, histogram = values
    if column.personal:
        return replace(column, profile=Profile(rows, nulls, distinct))
    bars = [Bar(safe_text(one["label"], column), one["row_count"]) for one in histogram or ()]
    profile = Profile(
        *(rows, nulls, distinct),
        minimum=None if minimum is None else safe_text(minimum, column),
        maximum=None if maximum is None else safe_text(maximum, column),
        mean=mean,
        deviation=deviation,
        quantiles=quantiles or (),
        histogram=bars,
    )
    return replace(column, profile=profile)
