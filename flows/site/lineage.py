"""The SQL of the models, and where each of their columns comes from; both are kept while the code stays the same."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flows.config.contract import SYSTEM_COLUMNS
from flows.config.settings import DataFolder, template_folder
from flows.core.errors import WarehouseError
from flows.core.redaction import scrub
from flows.site import column_lineage
from flows.site.column_lineage import ROWS, Place, schema_of, trace_columns
from flows.site.facts import UNRESOLVED, Column, ColumnRef, Origin, Table
from flows.site.memory import read_memory, write_memory
from flows.site.project import tables_of
from flows.site.released import read_releases, with_release
from flows.warehouse.code_hash import hash_code
from flows.warehouse.dbt import Dbt
from flows.warehouse.releases import newest_release, release_file

logger = logging.getLogger(__name__)

MEMORY = "site.json"
TRACING = hashlib.sha256(Path(column_lineage.__file__).read_bytes()).hexdigest()
"""The code that traces columns: what another one has found is traced again."""

BEGINNINGS = ("sources", "seeds")
"""Layers at which the way of a column begins."""

Traced = Mapping[str, Sequence[Sequence[str]]]
"""For each column of a table the columns that it reads, as pairs of a table's id and a column."""


def with_lineage(dbt: Dbt, tables: Mapping[str, Table]) -> dict[str, Table]:
    """Return the tables with their SQL and with the origin of each column.

    dbt compiles all models again if any code has changed. A model's columns are traced again if its own SQL, or the
    columns of what it reads, have changed.
    """
    place = dbt.folder.target / MEMORY
    memory = read_memory(place) or read_memory(template_folder().target / MEMORY)
    sql = compiled_sql(dbt, tables, memory)
    places = {_folded(_place(dbt, key)): key for key in tables}
    traced, kept = {}, memory.get("traced", {})
    for key, text in sql.items():
        table = tables[key]
        known = {_place(dbt, parent): _columns(tables[parent]) for parent in table.reads if parent in tables}
        read = [TRACING, text, sorted(map(repr, known.items()))]
        mark = hashlib.sha256(json.dumps(read).encode()).hexdigest()[:32]
        if kept.get(key, [""])[0] == mark:
            traced[key] = kept[key]
        else:
            traced[key] = [mark, _trace(text, known, places, table)]
    write_memory(place, {"code": hash_code(dbt.variables), "sql": sql, "traced": traced})
    ways = Ways(tables, {key: one[1] for key, one in traced.items()})
    return {key: ways.complete(table, sql.get(key, "")) for key, table in tables.items()}


def traced_columns(folder: DataFolder) -> dict[str, Traced]:
    """Return what was traced for the last docs site of a set, by a table's id; empty before there is one."""
    memory = read_memory(folder.target / MEMORY)
    return {key: traced for key, (_, traced) in memory.get("traced", {}).items()}


def trace_template(folder: DataFolder) -> None:
    """Trace the columns of a release without sources, so that no set has to, as long as it has the same code."""
    dbt = Dbt.parse(folder)
    name, tables = newest_release(folder), tables_of(dbt)
    with_lineage(dbt, with_release(tables, release_file(folder, name), read_releases(folder, name, tables)))


def compiled_sql(dbt: Dbt, tables: Mapping[str, Table], memory: Mapping[str, Any]) -> dict[str, str]:
    """Return the SQL of each model as a full refresh runs it, by its id; nothing if dbt cannot compile the project."""
    if memory.get("code") == hash_code(dbt.variables):
        return dict(memory["sql"])
    keys = [key for key in tables if key.partition(".")[0] in ("model", "snapshot")]
    try:
        results = dbt.run_nodes("compile", keys, "--full-refresh", target="release")
    except WarehouseError as error:
        logger.warning("the docs site has no SQL and no lineage of columns: %s", error)
        return {}
    found = {result.node.unique_id: result.node.compiled_code for result in results}
    return {key: scrub(text.strip()) for key, text in found.items() if key in tables and text}


def _trace(sql: str, known: Mapping[Place, Mapping[str, str]], places: Mapping[Place, str], table: Table) -> Traced:
    """Return what was traced, with names as they are written: sqlglot makes small letters of them."""
    found = trace_columns(sql, schema_of(known), table.parameters)
    own = {column.name.lower(): column.name for column in table.columns}
    written = {_folded(place): {name.lower(): name for name in columns} for place, columns in known.items()}
    return {
        own.get(column.lower(), column): sorted(
            [places.get(_folded(place), ""), written.get(_folded(place), {}).get(name.lower(), name)]
            for place, name in reads
        )
        for column, reads in found.items()
    }


def _folded(place: Place) -> Place:
    database, schema, name = place
    return database.lower(), schema.lower(), name.lower()


def _place(dbt: Dbt, key: str) -> Place:
    node = dbt.manifest.nodes.get(key) or dbt.manifest.sources[key]
    return node.database or "", node.schema, getattr(node, "alias", None) or getattr(node, "identifier", node.name)


def _columns(table: Table) -> dict[str, str]:
    own = {column.name: column.data_type or "varchar" for column in table.columns}
    return own | dict(SYSTEM_COLUMNS) if table.layer == "sources" else own


class Ways:
    """The ways of columns through the project, each followed once."""

    def __init__(self, tables: Mapping[str, Table], traced: Mapping[str, Traced]) -> None:
        self._tables = tables
        self._traced = traced
        self._found: dict[ColumnRef, frozenset[ColumnRef]] = {}
        self._classes: dict[ColumnRef, str] = {}

    def complete(self, table: Table, sql: str) -> Table:
        """Return a table with its SQL and the origins of its columns and rows."""
        if table.key not in self._traced:
            return table
        origins = {column.name: self._origin(table.key, column.name) for column in table.columns}
        columns = [self._inherited(replace(column, origin=origins[column.name])) for column in table.columns]
        return replace(table, sql=sql, columns=columns, chosen_by=self._origin(table.key, ROWS))

    def _origin(self, key: str, column: str) -> Origin:
        reads = self._traced[key].get(column)
        if reads is None:
            return Origin(note=UNRESOLVED)
        whole = [(table, name) for table, name in reads if table]
        sources = sorted(frozenset().union(*(self.sources(one) for one in whole)))
        return Origin(whole, sources, "" if len(whole) == len(reads) else UNRESOLVED)

    def sources(self, place: ColumnRef) -> frozenset[ColumnRef]:
        """Return the columns of sources and seeds from which the values of a column come."""
        if place not in self._found:
            self._found[place] = frozenset()  # of a way that leads to itself
            table = self._tables.get(place[0])
            if table is not None and (table.layer in BEGINNINGS or place[0] not in self._traced):
                self._found[place] = frozenset([place])
            else:
                reads = self._traced.get(place[0], {}).get(place[1], ())
                parts = [self.sources((key, name)) for key, name in reads if key]
                self._found[place] = frozenset().union(*parts)
        return self._found[place]

    def _inherited(self, column: Column) -> Column:
        """Return a column with the classes of what it is made of, if it says none, and all of that is personal."""
        reads = column.origin.reads if column.origin else ()
        if column.personal or column.is_classed or not reads:
            return column
        classes = {self._class_of(place, column.data_type) for place in reads}
        return column if "" in classes else replace(column, personal=", ".join(sorted(classes)))

    def _class_of(self, place: ColumnRef, kind: str) -> str:
        """Return the class of a column that another one of a type is made of; empty if that has a type of its own."""
        (key, name), wanted = place, kind.partition("(")[0]
        column = next((one for one in self._tables[key].columns if one.name == name), None)
        if column is None or column.data_type.partition("(")[0] != wanted:
            return ""
        if place not in self._classes:
            self._classes[place] = column.personal  # of a way that leads to itself
            origin = self._origin(key, name) if key in self._traced else None
            self._classes[place] = self._inherited(replace(column, origin=origin)).personal
        return self._classes[place]
