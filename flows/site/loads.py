"""The set's sources, as the lake knows them: loads, watermarks, quarantine, runs, ages, and safe example rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import duckdb

from flows.config.connections import Connection, Connections
from flows.config.contract import SYSTEM_COLUMNS
from flows.config.settings import DataFolder
from flows.core.names import TableName, identifier, literal
from flows.core.redaction import scrub
from flows.lake.delta import open_table, query
from flows.lake.ops import COUNTED
from flows.lake.quarantine_report import quarantined_tables, reasons_of
from flows.lake.raw import RawTable, watermark_of
from flows.site.facts import BrokenRule, Column, Loaded, Promise, Run, Table
from flows.site.project import promised
from flows.site.released import example_rows
from flows.warehouse.dbt import Dbt

EXTRA = "The contract does not name it: the lake keeps it as the source has it."

RUNS = 20
"""The newest runs that are listed."""


def loads_of(dbt: Dbt, sources: Connections, tables: Mapping[str, Table]) -> list[Loaded]:
    """Return each source table that the set reads: its mapping, its watermark, and its last load."""
    lake, last = dbt.folder.lake, _last_loads(dbt.folder)
    keys = {f"{node.source_name}.{node.name}": key for key, node in dbt.manifest.sources.items()}
    found = []
    for name, key in sorted(keys.items()):
        table = TableName.parse(name)
        connection = sources.sources.get(table.source)
        if connection is None or (connection.tables and table.table not in connection.tables):
            if name not in last:
                continue
            connection = None
        raw = RawTable(lake, table)
        row = last.get(name, {})
        found.append(
            Loaded(
                name,
                key,
                _origin(connection, table.table) if connection else "made by the project",
                _mode(dbt, connection, key),
                _cursor(dbt, connection, key),
                _watermark(raw, tables[key], _cursor(dbt, connection, key)),
                row.get("started_at"),
                row.get("seconds") or 0.0,
                row.get("outcome") or "",
                {count: row.get(count) or 0 for count in COUNTED},
                raw.stored_rows(),
                notes=row.get("standing_notes") or (),
            )
        )
    return found


def _origin(connection: Connection, table: str) -> str:
    """Return where a table is read, as the connections file says it: variables are not filled in."""
    options = connection.tables.get(table)
    url = scrub(connection.url_template)
    return f"{url} · {scrub(options.origin)}" if options is not None and options.origin else url


def _mode(dbt: Dbt, connection: Connection | None, key: str) -> str:
    options = connection.tables.get(dbt.manifest.sources[key].name) if connection else None
    mapped = options.load if options is not None else None
    return str(mapped or dbt.manifest.sources[key].config.meta.get("load") or "append")


def _cursor(dbt: Dbt, connection: Connection | None, key: str) -> str:
    options = connection.tables.get(dbt.manifest.sources[key].name) if connection else None
    mapped = options.cursor if options is not None else ""
    return str(mapped or dbt.manifest.sources[key].config.meta.get("cursor") or "")


def _watermark(raw: RawTable, table: Table, cursor: str) -> str:
    """Return a watermark that is a time, a number or offsets; the value of a personal column is not shown."""
    text = watermark_of(raw.last_commit())
    if not text or any(column.personal for column in table.columns if column.name == cursor):
        return ""
    stored = json.loads(text)
    if not isinstance(stored, dict):
        return ""
    if "time" in stored:
        return str(stored["time"]).replace("T", " ")[:19]
    if "offsets" in stored:
        return "offsets"
    value = stored.get("number", stored.get("value"))
    return str(value)[:40] if isinstance(value, int | float) or _is_dated(str(value)) else ""


def _is_dated(text: str) -> bool:
    return text[:4].isdigit() and text[4:5] == "-"


def _last_loads(folder: DataFolder) -> dict[str, dict[str, Any]]:
    table = open_table(folder.lake / "ops" / "loads")
    present = {column.name for column in table.schema().fields} if table is not None else set()
    wanted = ["started_at", "seconds", "outcome", *COUNTED, "standing_notes"]
    names = [name for name in wanted if name in present]
    listed = ", ".join(f"max_by({name}, started_at)" for name in names)
    if not names:
        return {}
    rows = query(table, f"select table_name, {listed} from {{table}} group by table_name")
    return {name: dict(zip(names, values, strict=True)) for name, *values in rows}


def runs_of(folder: DataFolder) -> list[Run]:
    """Return the newest runs, the newest first."""
    sql = (
        "select started_at, ended_at, outcome, coalesce(release, ''), coalesce(error, '') from {table} "
        f"order by started_at desc limit {RUNS}"
    )
    rows = query(open_table(folder.lake / "ops" / "runs"), sql)
    return [Run(started, ended, outcome, release, scrub(error)) for started, ended, outcome, release, error in rows]


def quarantine_of(folder: DataFolder) -> list[BrokenRule]:
    """Return the rules that records in quarantine break, with the shapes of a few records."""
    return [
        BrokenRule(str(table), reason.reason, reason.records, [shape for _, shape in reason.sample])
        for table in quarantined_tables(folder.lake)
        for reason in reasons_of(folder.lake, table)
    ]


def with_sources(dbt: Dbt, tables: Mapping[str, Table], loads: Sequence[Loaded]) -> dict[str, Table]:
    """Return the tables with the promises of the sources that they descend from, and source tables with their rows."""
    own = {load.key: _promise(dbt, load) for load in loads}
    rows = {load.key: load.rows for load in loads}
    sources: dict[str, frozenset[str]] = {}

    def descend(key: str) -> frozenset[str]:
        if key not in sources:
            sources[key] = frozenset()
            parents = frozenset().union(*(descend(one) for one in tables[key].reads if one in tables))
            sources[key] = parents | ({key} if tables[key].layer == "sources" else frozenset())
        return sources[key]

    found = {}
    with duckdb.connect() as connection:
        is_open = _attach(connection, dbt.folder)
        for key, table in tables.items():
            promises = [own[one] for one in sorted(descend(key)) if one in own]
            table = replace(table, promises=promises)
            if table.layer == "sources" and key in rows:
                table = replace(table, rows=rows[key], newest_at=own[key].newest_at)
                if is_open and rows[key]:
                    table = replace(table, columns=[*table.columns, *_extras(connection, table)])
                    place = f"lake.{identifier(table.schema)}.{identifier(table.name)}"
                    table = replace(table, examples=example_rows(connection, place, table))
            found[key] = table
    return found


def _extras(connection: duckdb.DuckDBPyConnection, table: Table) -> list[Column]:
    """Return the columns that the lake keeps beyond the contract; their values may be personal, and are never shown."""
    rows = connection.execute(
        "select column_name, data_type from duckdb_columns() where database_name = 'lake' and schema_name = ? "
        "and table_name = ? order by column_index",
        [table.schema, table.name],
    ).fetchall()
    known = {column.name for column in table.columns} | SYSTEM_COLUMNS.keys()
    return [Column(name, kind.lower(), EXTRA, "not classified") for name, kind in rows if name not in known]


def _attach(connection: duckdb.DuckDBPyConnection, folder: DataFolder) -> bool:
    connection.execute("set TimeZone = 'UTC'; set threads = 2")
    try:
        connection.execute(f"attach {literal(str(folder.catalog))} as lake (read_only)")
    except duckdb.Error:
        return False
    return True


def _promise(dbt: Dbt, load: Loaded) -> Promise:
    node = dbt.manifest.sources[load.key]
    newest = _newest(dbt.folder, TableName.parse(load.table), node) if load.rows else None
    freshness = node.freshness
    return Promise(
        load.table,
        newest,
        promised(freshness.warn_after) if freshness else None,
        promised(freshness.error_after) if freshness else None,
    )


def _newest(folder: DataFolder, name: TableName, node: Any) -> datetime | None:
    relation = RawTable(folder.lake, name)
    if relation.version is None or not node.loaded_at_field:
        return None
    where = (node.freshness.filter if node.freshness else None) or "true"
    sql = f"select cast(max({node.loaded_at_field}) as timestamp) from {{table}} where {where}"
    rows = query(open_table(relation.path), sql)
    return rows[0][0] if rows else None
