"""The tables of the kept releases, as their files hold them: rows, types, safe example rows, results of tests."""

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import duckdb

from flows.config.settings import DataFolder
from flows.core.names import identifier
from flows.core.storage import open_release_file
from flows.lake.quarantine_report import shape
from flows.site.facts import FAILED, GOOD, HELD, WARNED, Change, Check, Column, Gates, Table
from flows.site.held import held_in
from flows.warehouse.node_states import read_states
from flows.warehouse.releases import kept_releases, release_file

EXAMPLES, LONGEST = 3, 60
"""Example rows of a table, and the characters of a value that are shown."""

LIKE_AN_ADDRESS = re.compile(r"\S@\S")
HOLDS_STRUCTURE = re.compile(r"\s*[\[{]")
PLAIN = re.compile(r"u?(big|small|tiny|huge)?int(eger)?|decimal.*|double|float|boolean|date|time.*")
"""Types whose values hold no text."""

Place = tuple[str, str]
"""Schema and name of a table."""


@dataclass(frozen=True)
class ReleaseFacts:
    """A release, as its file describes it: when it was built, the rows of its tables, and the results of its tests.

    `held` are the releases that held sources, tables and views come from, by unique id; `held_tests` those of tests.
    """

    name: str
    built_at: datetime
    commit: str
    previous: str
    rows: Mapping[Place, int]
    tests: Mapping[str, str]
    warnings: Mapping[str, tuple[int | None, Sequence[str]]] = field(default_factory=dict)
    contents: Mapping[str, str] = field(default_factory=dict)
    held: Mapping[str, str] = field(default_factory=dict)
    held_tests: Mapping[str, str] = field(default_factory=dict)

    @property
    def gates(self) -> Gates:
        """Its tests, counted."""
        results = [result for name, result in self.tests.items() if name not in self.held_tests]
        passed, warned = results.count(GOOD), results.count(WARNED)
        failed = len(results) - passed - warned
        rows, held = sum(self.rows.values()), len(self.tests) - len(results)
        return Gates(self.name, self.built_at, passed, warned, failed, rows, len(self.rows), held)


def read_releases(folder: DataFolder, newest: str, tables: Mapping[str, Table]) -> list[ReleaseFacts]:
    """Return what the kept releases up to `newest` say, the oldest first; one that cannot be read is left out."""
    views = {key for key, table in tables.items() if table.kind == "view"}
    names = kept_releases(folder)
    found = []
    for name in names[: names.index(newest) + 1] if newest in names else [newest]:
        try:
            found.append(read_one(release_file(folder, name), views))
        except duckdb.Error:
            if name == newest:
                raise
    return found


def read_one(file: Path, views: Set[str]) -> ReleaseFacts:
    """Read a release's file; `views` are the unique ids of the project's views."""
    with open_release_file(file) as connection:
        stated = dict(connection.sql("from main.release").to_arrow_table().to_pylist()[0])
        places = connection.execute(
            "select schema_name, table_name from duckdb_tables() where not internal and schema_name <> 'main'"
        ).fetchall()
        rows = _count(connection, places)
        warned = connection.execute(
            "select name, failures, warnings from main.node_state where kind = 'test' and status <> 'pass'"
        ).fetchall()
    stated_held = dict(stated.get("held_back") or ())
    states = read_states(file) if stated_held else {}
    held = held_in(stated_held, states, views)
    return ReleaseFacts(
        stated["release_name"],
        stated["built_at"],
        stated.get("git_commit") or "",
        stated.get("previous_release") or "",
        rows,
        dict(stated["tests"]),
        {name: (failures, tuple(warnings or ())) for name, failures, warnings in warned},
        dict(stated.get("contents") or ()),
        held,
        {states[key].name: since for key, since in held.items() if key in states and states[key].kind == "test"},
    )


def _count(connection: duckdb.DuckDBPyConnection, places: Sequence[Place]) -> dict[Place, int]:
    """Return the rows of tables; DuckDB takes the numbers from its metadata."""
    if not places:
        return {}
    counted = ", ".join(f"(select count(*) from {_quoted(place)})" for place in places)
    (counts,) = connection.execute(f"select {counted}").fetchall()
    return dict(zip(places, counts, strict=True))


def with_release(tables: Mapping[str, Table], file: Path, releases: Sequence[ReleaseFacts]) -> dict[str, Table]:
    """Return the tables with what the newest release holds of them, and with their rows and tests in the others."""
    found, last = {}, releases[-1]
    with open_release_file(file) as connection:
        types = _types(connection)
        parameters = _parameters(connection)
        for key, table in tables.items():
            place = (table.schema, table.name)
            if table.layer == "sources":
                found[key] = replace(table, checks=_results(table.checks, releases), held_since=last.held.get(key, ""))
                continue
            found[key] = replace(
                table,
                columns=_typed(table.columns, types.get(place, {})),
                checks=_results(table.checks, releases),
                rows=last.rows.get(place),
                history=[(one.name, one.rows[place]) for one in releases if place in one.rows],
                parameters=parameters.get(place, ()),
                held_since=last.held.get(key, ""),
            )
    return found


def with_examples(tables: Mapping[str, Table], file: Path) -> dict[str, Table]:
    """Return the tables with example rows of those that the release holds; classes of personal data must be known."""
    with open_release_file(file) as connection:
        connection.execute("set TimeZone = 'UTC'")
        return {
            key: table
            if table.rows is None
            else replace(table, examples=example_rows(connection, _quoted((table.schema, table.name)), table))
            for key, table in tables.items()
        }


def _types(connection: duckdb.DuckDBPyConnection) -> dict[Place, dict[str, str]]:
    found: dict[Place, dict[str, str]] = {}
    for schema, table, column, kind in connection.execute(
        "select schema_name, table_name, column_name, data_type from duckdb_columns() "
        "where not internal and schema_name <> 'main' order by schema_name, table_name, column_index"
    ).fetchall():
        found.setdefault((schema, table), {})[column] = kind.lower()
    return found


def _parameters(connection: duckdb.DuckDBPyConnection) -> dict[Place, Sequence[str]]:
    rows = connection.execute(
        "select schema_name, function_name, parameters from duckdb_functions() "
        "where function_type = 'table_macro' and not internal"
    ).fetchall()
    return {(schema, name): tuple(given) for schema, name, given in rows}


def _typed(columns: Sequence[Column], types: Mapping[str, str]) -> list[Column]:
    """Return the columns that the release has, in its order and with its types; else the declared ones."""
    if not types:
        return list(columns)
    known = {column.name.casefold(): column for column in columns}
    return [
        replace(known.get(name.casefold(), Column(name, kind)), name=name, data_type=kind)
        for name, kind in types.items()
    ]


def _results(checks: Sequence[Check], releases: Sequence[ReleaseFacts]) -> list[Check]:
    last = releases[-1]
    found = []
    for check in checks:
        failures, warnings = last.warnings.get(check.name, (None, ()))
        ran = (one for one in releases if check.name in one.tests and check.name not in one.held_tests)
        history = [(one.name, one.tests[check.name]) for one in ran]
        status, since = last.tests.get(check.name, ""), last.held_tests.get(check.name, "")
        check = replace(check, failures=failures, warnings=warnings, history=history)
        if since:  # the release repeats the result of an earlier one
            found.append(replace(check, status=HELD, held_since=since, before=status))
        else:
            found.append(replace(check, status=status))
    order = {FAILED: 0, "error": 0, WARNED: 1}
    return sorted(found, key=lambda check: (order.get(check.status, 2), check.kind, check.name))


def example_rows(connection: duckdb.DuckDBPyConnection, relation: str, table: Table) -> list[list[str]]:
    """Return the first rows of a table by its key as safe texts, in the order of its columns.

    Of a column of personal data only the class is read; a text that looks like an address or a record shows its shape.
    """
    names = [column.name for column in table.columns]
    if not names:
        return []
    listed = ", ".join(_shown_sql(column) for column in table.columns)
    order = ", ".join(identifier(name) for name in table.unique if name in names)
    ordered = f" order by {order}" if order else ""
    try:
        rows = connection.execute(f"select {listed} from {relation}{ordered} limit {EXAMPLES}").fetchall()
    except duckdb.Error:  # the declared columns are not those that are there
        return []
    return [[safe_text(value, column) for value, column in zip(row, table.columns, strict=True)] for row in rows]


def _shown_sql(column: Column) -> str:
    """Return SQL for a value as text; values of personal data, and bytes, are never read."""
    name = identifier(column.name)
    if column.personal or column.data_type.startswith("blob"):
        return f"if({name} is null, null, '')"
    return f"cast({name} as varchar)[:{2 * LONGEST}]"


def safe_text(value: str | None, column: Column) -> str:
    """Return a value as it may be shown: the class of personal data, the shape of what looks like it, else its text."""
    if value is None:
        return "null"
    if column.personal:
        return f"‹{column.personal}›"
    if column.data_type.startswith("blob"):
        return "‹bytes›"
    text = " ".join((shape(value) if _is_unknown(value, column.data_type) else value).split())
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _is_unknown(value: str, kind: str) -> bool:
    """Tell whether a value looks like an address or a record, or holds one as an element of a list."""
    element, is_list = kind.partition("[")[0], kind.endswith("]")
    if PLAIN.fullmatch(element):
        return False
    is_record = "{" in value if is_list and element == "varchar" else HOLDS_STRUCTURE.match(value)
    return bool(is_record or LIKE_AN_ADDRESS.search(value))


def changes_between(before: ReleaseFacts | None, after: ReleaseFacts, tables: Mapping[str, Table]) -> list[Change]:
    """Return the tables whose rows differ from those of the release before."""
    if before is None:
        return []
    found = []
    for key, table in tables.items():
        place = (table.schema, table.name)
        counts = before.rows.get(place), after.rows.get(place)
        if counts != (None, None) and (before.contents.get(key), counts[0]) != (after.contents.get(key), counts[1]):
            found.append(Change(key, *counts))
    return sorted(found, key=lambda one: tables[one.key].full_name)


def _quoted(place: Place) -> str:
    return ".".join(map(identifier, place))
