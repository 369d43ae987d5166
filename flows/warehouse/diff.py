"""The difference of two releases: columns, rows and values that changed, table by table."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from flows.core.names import identifier, literal
from flows.core.storage import open_release_file
from flows.warehouse.annotate import INTERMEDIATE, tables_in
from flows.warehouse.clones import attach_release, is_view_of_release, release_read_by
from flows.warehouse.descriptions import BOOKKEEPING, HISTORIES, Description, split_class
from flows.warehouse.node_states import is_as_published
from flows.warehouse.releases import read_made_of

BEFORE, AFTER = "before", "after"
SIDES = (BEFORE, AFTER)

EXCLUDED = re.compile(r"EXCLUDE \(([^()]*)\)")
"""A list that DuckDB writes in another order each time."""

Place = tuple[str, str]
"""Schema and name of a table or function."""

Columns = Mapping[str, str]
"""The types of a table's columns by their names, in their order."""


@dataclass(frozen=True)
class Difference:
    """The difference of one table or function.

    `rows` are counted before and after; None where there is no table. `shape` has a sentence for each column or
    definition that differs. With a declared `key` that is unique, `changed` counts its rows that have other values, and
    `columns` how many of them differ in each column. Without one, a changed row counts as removed and added.
    `keys` are some keys of added, removed and changed rows, without columns of personal data.
    """

    schema: str
    name: str
    rows: tuple[int | None, int | None]
    added: int = 0
    removed: int = 0
    changed: int | None = None
    columns: Mapping[str, int] = field(default_factory=dict)
    shape: Sequence[str] = ()
    key: Sequence[str] = ()
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """Its schema and name."""
        return f"{self.schema}.{self.name}"

    @property
    def row(self) -> dict[str, str]:
        """It as a row of text: rows before and after, and how many of them are new, gone and changed."""
        before, after = ("" if count is None else f"{count:,}" for count in self.rows)
        is_function = self.rows == (None, None)
        added, removed = ("" if is_function else f"{count:,}" for count in (self.added, self.removed))
        changed = "" if self.changed is None else f"{self.changed:,}"
        return {
            "table": self.full_name,
            "rows before": before,
            "rows after": after,
            "added": added,
            "removed": removed,
            "changed": changed,
            "what": ", ".join([*self.shape, *sorted(self.columns, key=lambda name: -self.columns[name])]),
        }


@dataclass(frozen=True)
class Comparison:
    """The differences of two databases, the marts as well as what they are made of, and the number of equal tables."""

    differences: Sequence[Difference]
    equal: int

    @property
    def without_steps(self) -> "Comparison":
        """It without the differences of intermediate tables, which are steps of others."""
        return replace(self, differences=[one for one in self.differences if not one.name.startswith(INTERMEDIATE)])


def compare_databases(
    before: Path, after: Path, *, only: str | None = None, keys: int = 3, known: Collection[str] = ()
) -> Comparison:
    """Compare the tables and functions of two releases, or of a release and a clone.

    `only` names one table, as `name` or `schema.name`. Of each kind of row so many `keys` are given. A table is not
    read that both releases hold under the same hash of its rows, or that a clone shows of the release before. So are
    tables whose rows are `known` to be equal, by name. Tables that a clone leaves out are no difference.
    """
    known = _equal_hashes(before, after).union(known)
    with _both(before, after) as connection:
        tables = [_tables(connection, BEFORE, release_read_by(before), ())]
        tables.append(_tables(connection, AFTER, release_read_by(after), tables[0]))
        functions = [_functions(connection, side) for side in SIDES]
        shown = _views_of(connection, before, after)
        if not _is_release(connection, AFTER):
            tables[0] = {place: columns for place, columns in tables[0].items() if place in tables[1]}
            functions[0] = {place: sql for place, sql in functions[0].items() if place in functions[1]}
        found: list[Difference] = []
        equal = 0
        for place in sorted(tables[0].keys() | tables[1].keys()):
            if only is not None and only.casefold() not in (place[1].casefold(), ".".join(place).casefold()):
                continue
            sides = tables[0].get(place), tables[1].get(place)
            if place in shown or (place[1] in known and sides[0] == sides[1]):
                equal += 1
                continue
            difference = _compare(connection, place, sides, keys)
            equal += difference is None
            found += [difference] if difference is not None else []
        for place in sorted(functions[0].keys() | functions[1].keys()):
            if only is None and functions[0].get(place) != functions[1].get(place):
                is_there = place in functions[0], place in functions[1]
                text = {(False, True): "new function", (True, False): "function is gone"}.get(is_there, "other SQL")
                found.append(Difference(*place, (None, None), shape=[text]))
    return Comparison(found, equal)


def _is_release(connection: duckdb.DuckDBPyConnection, side: str) -> bool:
    sql = "select count(*) from duckdb_tables() where schema_name = 'main' and table_name = 'release'"
    return bool(_one(connection, f"{sql} and database_name = '{side}'"))


def _views_of(connection: duckdb.DuckDBPyConnection, before: Path, after: Path) -> set[Place]:
    """Return the tables that a clone shows as they are in the release before; a view of other SQL is compared."""
    release = before.parent.name
    if release_read_by(after) != release:
        return set()
    sql = "select schema_name, view_name, sql from duckdb_views() where database_name = 'after'"
    found = connection.execute(sql).fetchall()
    return {(schema, name) for schema, name, text in found if is_view_of_release(text, release, schema, name)}


def has_table(database: Path, name: str) -> bool:
    """Tell whether a database has a table, named as `name` or `schema.name`."""
    with open_release_file(database) as connection:
        listed = tables_in(connection)
    return name.casefold() in {text for schema, table in listed for text in (table, f"{schema}.{table}")}


@contextmanager
def _both(before: Path, after: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open both databases for reading; what does not fit into memory is spilled beside the second one."""
    for file in (before, after):
        open_release_file(file).close()  # raises what it is, should one be damaged
    with TemporaryDirectory(prefix="diff-", dir=after.parent) as spill, duckdb.connect() as connection:
        connection.execute(f"set temp_directory = {literal(spill)}; set TimeZone = 'UTC'")
        for side, file in zip(SIDES, (before, after), strict=True):
            _attach(connection, file, side)
        yield connection


def _attach(connection: duckdb.DuckDBPyConnection, file: Path, side: str) -> None:
    connection.execute(f"attach {literal(str(file))} as {side} (read_only)")
    attach_release(connection, file)


def _equal_hashes(before: Path, after: Path) -> set[str]:
    """Return the names of nodes whose rows have the same hash in both releases, if both are as they were published."""
    if not (is_as_published(before) and is_as_published(after)):
        return set()
    hashes = [read_made_of(file).contents for file in (before, after)]
    return {key.rpartition(".")[2] for key, output in hashes[0].items() if hashes[1].get(key) == output}


def _tables(
    connection: duckdb.DuckDBPyConnection, side: str, release: str | None, known: Collection[Place]
) -> dict[Place, Columns]:
    """Return the columns of each table that a model, seed or snapshot made, or that a clone shows of its release.

    Other views of a clone, but those in place of `known` tables, read the lake. Profiles always differ.
    """
    found: dict[Place, dict[str, str]] = {}
    of_lake = connection.execute(
        "select schema_name, view_name from duckdb_views() where database_name = ? and not contains(sql, ?)",
        [side, f'"{release}".'],
    ).fetchall()
    rows = connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where database_name = ? and not internal and schema_name <> 'main' "
        "order by schema_name, table_name, column_index",
        [side],
    ).fetchall()
    for schema, table, column, kind in rows:
        is_of_lake = (schema, table) in of_lake and (schema, table) not in known
        if (schema, table) not in BOOKKEEPING and table not in HISTORIES and not is_of_lake:
            found.setdefault((schema, table), {})[column] = kind
    return dict(found)


def _functions(connection: duckdb.DuckDBPyConnection, side: str) -> dict[Place, str]:
    """Return the parameters and the SQL of each table function, as DuckDB writes what it has read once more.

    Its first writing of a text lacks brackets that the second one has.
    """
    rows = connection.execute(
        "select schema_name, function_name, parameters, "
        "coalesce(try(json_deserialize_sql(json_serialize_sql(macro_definition))), macro_definition) "
        "from duckdb_functions() "
        "where database_name = ? and function_type = 'table_macro' and schema_name <> 'main'",
        [side],
    ).fetchall()
    return {(schema, name): json.dumps([given, EXCLUDED.sub(_sort_list, sql)]) for schema, name, given, sql in rows}


def _sort_list(found: re.Match[str]) -> str:
    return f"EXCLUDE ({', '.join(sorted(found[1].split(', ')))})"


def _compare(
    connection: duckdb.DuckDBPyConnection, place: Place, sides: tuple[Columns | None, Columns | None], keys: int
) -> Difference | None:
    """Compare a table of both databases; None if it has the same columns and rows in both."""
    counts = tuple(
        None if columns is None else int(_one(connection, f"select count(*) from {_named(side, place)}"))
        for side, columns in zip(SIDES, sides, strict=True)
    )
    rows = counts[0], counts[1]
    before, after = sides
    if before is None or after is None:
        is_new = before is None
        text = "new table" if is_new else "table is gone"
        return Difference(*place, rows, added=rows[1] or 0, removed=rows[0] or 0, shape=[text])
    shape = [f"+ {name} {kind.lower()}" for name, kind in after.items() if name not in before]
    shape += [f"- {name}" for name in before if name not in after]
    shape += [
        f"{name}: {before[name].lower()} → {kind.lower()}"
        for name, kind in after.items()
        if before.get(name, kind) != kind
    ]
    common = [name for name in after if name in before]
    found: dict[str, Any] = {"removed": rows[0] or 0, "added": rows[1] or 0}
    key = _unique_key(connection, place, after, before)
    if key:
        found = _compare_by_key(connection, place, after, common, key, keys)
    elif common:
        found = _compare_whole_rows(connection, place, before, {name: after[name] for name in common})
    difference = Difference(*place, rows, shape=shape, key=key, **found)
    return difference if shape or difference.added or difference.removed or difference.changed else None


def _unique_key(connection: duckdb.DuckDBPyConnection, place: Place, types: Columns, old: Columns) -> list[str]:
    """Return the declared key of a table, if both have its columns, and it is unique in both in the types of after."""
    about = "database_name in ('before', 'after') and schema_name = $schema and {} = $name"
    comments = connection.execute(
        f"select comment from duckdb_tables() where {about.format('table_name')} union all "
        f"select comment from duckdb_views() where {about.format('view_name')}",
        dict(zip(("schema", "name"), place, strict=True)),
    ).fetchall()
    key = next((list(found) for (text,) in comments if (found := Description.parse(text or "").key)), [])
    if not key or not types.keys() & old.keys() >= set(key):
        return []
    parts = [_as(types[name], name) for name in key]
    for side in SIDES:
        table = f"{_named(side, place)} as b"
        present = " and ".join(f"{part} is not null" for part in parts)
        distinct = f"select distinct {', '.join(parts)} from {table} where {present}"
        if not _one(connection, f"select count(*) = (select count(*) from ({distinct})) from {table}"):
            return []
    return key


def _compare_by_key(
    connection: duckdb.DuckDBPyConnection,
    place: Place,
    types: Columns,
    common: Sequence[str],
    key: Sequence[str],
    keys: int,
) -> dict[str, Any]:
    """Count the keys that are new and gone, and the rows of the others whose values differ, in all and by column."""
    values = [name for name in common if name not in key]
    is_unlike = "({} is distinct from a.{name} or (b.{name} is null) <> (a.{name} is null))"
    unlike = [is_unlike.format(_as(types[name], name), name=identifier(name)) for name in values]
    kind = "case when b._here is null then 'added' when a._here is null then 'removed' "
    kind += f"when {' or '.join(unlike) or 'false'} then 'changed' end"
    shown = _shown_key(connection, place, types, key)
    whole = [f"coalesce(a.{identifier(name)}, {_as(types[name], name)}) as k{at}" for at, name in enumerate(key)]
    whole += [f"{sql} as c{at}" for at, sql in enumerate(unlike)]
    connection.execute(
        f"create or replace temp table compared as from (select {kind} as kind, {shown} as shown, {', '.join(whole)} "
        f"from (select *, true as _here from {_named(BEFORE, place)}) as b "
        f"full join (select *, true as _here from {_named(AFTER, place)}) as a "
        f"on {' and '.join(f'{_as(types[name], name)} = a.{identifier(name)}' for name in key)}) "
        "where kind is not null"
    )
    counted = dict(connection.execute("select kind, count(*) from compared group by kind").fetchall())
    sums = ", ".join(f"count(*) filter (c{at})" for at in range(len(values))) or "count(*)"
    by_column = connection.execute(f"select {sums} from compared where kind = 'changed'").fetchall()[0]
    order = ", ".join(f"k{at}" for at in range(len(key)))
    sample = f"select shown from compared where kind = ? and shown is not null order by {order} limit {keys}"
    samples = {kind: [text for (text,) in connection.execute(sample, [kind]).fetchall()] for kind in counted}
    return {
        "added": counted.get("added", 0),
        "removed": counted.get("removed", 0),
        "changed": counted.get("changed", 0),
        "columns": {name: count for name, count in zip(values, by_column, strict=False) if count},
        "keys": {kind: texts for kind, texts in samples.items() if texts},
    }


def _shown_key(connection: duckdb.DuckDBPyConnection, place: Place, types: Columns, key: Sequence[str]) -> str:
    """Return SQL for a key as text; null if a column of it is personal data in either, or in a clone's release."""
    comments = connection.execute(
        "select column_name, comment from duckdb_columns() where schema_name = ? and table_name = ?", [*place]
    ).fetchall()
    if any(split_class(text or "")[1] for name, text in comments if name in key):
        return "cast(null as varchar)"
    values = (f"coalesce(a.{identifier(name)}, {_as(types[name], name)})" for name in key)
    parts = ", ', ', ".join(f"{literal(f'{name}=')}, {value}" for name, value in zip(key, values, strict=True))
    return f"concat({parts})"


def _compare_whole_rows(
    connection: duckdb.DuckDBPyConnection, place: Place, before: Columns, after: Columns
) -> dict[str, Any]:
    """Count the rows that one database has more often than the other, in some columns; a failed cast is no null."""
    was_null = [f"b.{identifier(name)} is null" for name, kind in after.items() if kind != before[name]]
    listed = [_as(kind, name) for name, kind in after.items()], [f"b.{identifier(name)}" for name in after]
    rows = [
        f"select {', '.join(listed[at] + was_null)} from {_named(side, place)} as b" for at, side in enumerate(SIDES)
    ]
    more = [
        _one(connection, f"select count(*) from (({one}) except all ({other}))") for one, other in (rows, rows[::-1])
    ]
    return {"removed": more[0], "added": more[1]}


def _as(kind: str, name: str) -> str:
    """Return SQL for a value of before in the type of after."""
    return f"try_cast(b.{identifier(name)} as {kind})"


def _named(side: str, place: Place) -> str:
    return ".".join([side, *map(identifier, place)])


def _one(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    return int(connection.execute(sql).fetchall()[0][0])
