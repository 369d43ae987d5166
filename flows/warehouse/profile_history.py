"""The history of profiles: each release adds those of its tables, and a later test compares with it.

The history is in two models that are kept from release to release, as snapshots are: `table_profiles` and
`column_profiles`. A candidate is a copy of the last release, so its history is that of the releases that readers saw.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa

from flows.core.clock import utc_now
from flows.core.files import FileState
from flows.core.names import identifier
from flows.warehouse.annotate import INTERMEDIATE
from flows.warehouse.build import Build
from flows.warehouse.dbt import Dbt
from flows.warehouse.descriptions import CLASSES, HISTORIES, PROFILES
from flows.warehouse.node_states import WITH_ROWS, present_relations
from flows.warehouse.profiles import Place, Profile, profile_table

TABLES, COLUMNS = PROFILES

HISTORY_DAYS = 60
"""A profile is kept for so many days: each weekday then occurs eight times."""

ORDER = "left(release_name, 10) desc, cast(substr(release_name, 12) as integer) desc"
"""The newest release first: a day's tenth comes after its ninth."""

KEPT = ("table_schema", "table_name", "before")

NEWEST_RELEASES = 20
"""Besides the newest releases, the last one of each day is kept: hourly ones would outgrow the tables."""

TABLE_SCHEMA = pa.schema(
    {
        **dict.fromkeys(("release_name", "table_schema", "table_name", "rows_hash"), pa.string()),
        "row_count": pa.int64(),
        **dict.fromkeys(("newest_at", "profiled_at"), pa.timestamp("us")),
    }
)
COLUMN_SCHEMA = pa.schema(
    {
        **dict.fromkeys(("release_name", "table_schema", "table_name", "column_name", "data_type"), pa.string()),
        **dict.fromkeys(("minimum", "maximum"), pa.string()),
        **dict.fromkeys(("row_count", "null_count", "distinct_count"), pa.int64()),
        **dict.fromkeys(("mean", "standard_deviation"), pa.float64()),
        "quantiles": pa.list_(pa.float64()),
        "histogram": pa.list_(pa.struct({"label": pa.string(), "row_count": pa.int64()})),
        "profiled_at": pa.timestamp("us"),
    }
)


def with_profiles(dbt: Dbt, build: Build, release: str) -> Build:
    """Append the profiles of a release to its candidate; return the build with the state of its file.

    Only tables are read whose rows are not those of the release before. A candidate that was changed after its tests
    stays as it is, so that it is refused.
    """
    tables = {
        (node.schema, node.alias): node
        for node in dbt.manifest.nodes.values()
        if node.config.materialized in WITH_ROWS
        and node.name not in HISTORIES
        and not node.name.startswith(INTERMEDIATE)
    }
    there = present_relations(dbt.folder.candidate)
    history = history_tables(dbt, build, PROFILES, there)
    if not history:
        return build
    wanted = {place: node for place, node in sorted(tables.items()) if place in there}
    hashes = {place: _rows_hash(build, node) for place, node in wanted.items()}
    with duckdb.connect(str(dbt.folder.candidate)) as candidate:
        candidate.execute("set TimeZone = 'UTC'")
        now = utc_now()
        carried = _carry_over(candidate, history, release, now, hashes)
        found = {
            place: profile_table(candidate, place, now=now, **_declared(node))
            for place, node in wanted.items()
            if place not in carried
        }
        _append(candidate, history, release, now, found, hashes)
        _thin_out(candidate, history)
        candidate.execute("checkpoint")
    return replace(build, file=FileState.of(dbt.folder.candidate))


def history_tables(dbt: Dbt, build: Build, names: Collection[str], there: Collection[Place]) -> dict[str, str]:
    """Return the tables of models in SQL, by the model's name, to which a release adds rows of itself.

    `there` are the relations of the candidate. Returns none if a table is missing, or the file was changed after its
    tests.
    """
    homes = {node.name: (node.schema, node.alias) for node in dbt.manifest.nodes.values() if node.name in names}
    is_as_tested = FileState.of(dbt.folder.candidate) == build.file
    if not is_as_tested or len(homes) < len(names) or not set(there).issuperset(homes.values()):
        return {}
    return {name: ".".join(map(identifier, place)) for name, place in homes.items()}


def _declared(node: Any) -> Mapping[str, Any]:
    """Return what a model declares of its profile: its columns of personal data, and the time of its events."""
    personal = [
        name
        for name, column in node.columns.items()
        if any(column.config.meta.get(tag, "none") != "none" for tag in CLASSES)
    ]
    features = node.config.meta.get("features") or {}
    sets = features if isinstance(features, list) else [features]
    times = [one["event_time"] for one in sets if isinstance(one, Mapping) and "event_time" in one]
    return {"personal": personal, "event_time": node.config.event_time or next(iter(times), None)}


def _rows_hash(build: Build, node: Any) -> str | None:
    """Return the hash of a table's rows; None where others write to the table after it is built."""
    state = build.states.get(node.unique_id)
    return None if state is None or node.config.meta.get("kept") else state.output


def _carry_over(
    candidate: duckdb.DuckDBPyConnection,
    history: Mapping[str, str],
    release: str,
    now: datetime,
    hashes: Mapping[Place, str | None],
) -> set[Place]:
    """Copy the profiles of the release before to a release, of tables whose rows are the same; return these tables."""
    last = candidate.execute(
        f"select table_schema, table_name, rows_hash, release_name from {history[TABLES]} qualify "
        f"dense_rank() over (order by {ORDER}) = 1"
    ).fetchall()
    kept = {
        (schema, name): before
        for schema, name, rows_hash, before in last
        if rows_hash and hashes.get((schema, name)) == rows_hash
    }
    rows = [{"table_schema": schema, "table_name": name, "before": before} for (schema, name), before in kept.items()]
    candidate.register("kept", pa.Table.from_pylist(rows, pa.schema(dict.fromkeys(KEPT, pa.string()))))
    for table in history.values():
        candidate.execute(
            f"insert into {table} by name select $release as release_name, $now as profiled_at, "
            f"profiles.* exclude (release_name, profiled_at) from {table} as profiles inner join kept on "
            "profiles.table_schema = kept.table_schema and profiles.table_name = kept.table_name "
            "and profiles.release_name = kept.before",
            {"release": release, "now": now},
        )
    candidate.unregister("kept")
    return set(kept)


def _append(
    candidate: duckdb.DuckDBPyConnection,
    history: Mapping[str, str],
    release: str,
    now: datetime,
    found: Mapping[Place, Profile],
    hashes: Mapping[Place, str | None],
) -> None:
    """Append the profiles of tables that were read."""
    tables, columns = [], []
    for (schema, name), profile in found.items():
        place = {"release_name": release, "table_schema": schema, "table_name": name, "profiled_at": now}
        sizes = {"row_count": profile.row_count, "newest_at": profile.newest_at}
        tables.append(place | sizes | {"rows_hash": hashes[schema, name]})
        columns += [place | dict(row) for row in profile.columns]
    for name, rows, shape in ((TABLES, tables, TABLE_SCHEMA), (COLUMNS, columns, COLUMN_SCHEMA)):
        candidate.register("profiles", pa.Table.from_pylist(rows, shape))
        candidate.execute(f"insert into {history[name]} by name from profiles")
        candidate.unregister("profiles")


def _thin_out(candidate: duckdb.DuckDBPyConnection, history: Mapping[str, str]) -> None:
    """Delete profiles of releases that are neither among the newest, nor the last of one of the days of the history."""
    for table in history.values():
        candidate.execute(
            f"delete from {table} where release_name in (with releases as (select distinct release_name, "
            f"cast(left(release_name, 10) as date) as day from {table}) select release_name from releases qualify "
            f"row_number() over (order by {ORDER}) > {NEWEST_RELEASES} and (max(day) over () - day >= {HISTORY_DAYS} "
            f"or row_number() over (partition by day order by {ORDER}) > 1))"
        )
