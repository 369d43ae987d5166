"""The commands that list and describe what is published, from the file and its comments alone."""

import re
import shlex
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import duckdb

from flows.cli.query import errors_told, open_release
from flows.cli.report import draw_table
from flows.config.settings import DataFolder, command
from flows.core.errors import UsageError
from flows.core.names import did_you_mean, identifier
from flows.lake.ops import newest_loads
from flows.warehouse.annotate import INTERMEDIATE
from flows.warehouse.descriptions import Description, split_class

NARROWEST, WIDEST = 60, 100
"""Characters of a line of text."""


@dataclass(frozen=True)
class Published:
    """A table or function of a release."""

    schema: str
    name: str
    description: Description
    is_function: bool
    parameters: tuple[str, ...]

    @property
    def full_name(self) -> str:
        """Its schema and name, as they are typed."""
        return f"{self.schema}.{self.name}"

    @property
    def place(self) -> str:
        """Its schema and name, quoted for SQL."""
        return f"{identifier(self.schema)}.{identifier(self.name)}"


def list_tables(folder: DataFolder) -> str:
    """Return one line for each table and function: schema, name, rows, owner, and the question that it answers.

    Those that answer a question come first; of the others the first sentence says what a row is.
    Raises UsageError if nothing is published yet.
    """
    with open_release(folder) as connection, errors_told(folder):
        published = [one for one in _published(connection) if not one.name.startswith(INTERMEDIATE)]
        published.sort(key=lambda one: (not one.description.question.endswith("?"), one.full_name))
        counts = _count(connection, [one for one in published if not one.is_function])
    sizes = {one: "function" if one.is_function else f"{counts[one.full_name]:,}" for one in published}
    width = max(map(len, sizes.values()), default=0)
    rows = [
        (one.schema, one.name, size.rjust(width), ", ".join(one.description.owner), one.description.question)
        for one, size in sizes.items()
    ]
    lines = draw_table(("schema", "name", "rows".rjust(width), "owner", "question"), rows)
    return "\n".join([*lines, "", f"  more:   {command()} describe NAME"])


def describe_table(folder: DataFolder, name: str) -> str:
    """Return all that the release says of a table or function: question, key, owner, age, columns, an example.

    The name may have its schema before it. Raises UsageError for one that the release does not have.
    """
    with open_release(folder) as connection, errors_told(folder):
        table = _find(_published(connection), name)
        columns = _columns(connection, table)
        rows = None if table.is_function else _count(connection, [table])[table.full_name]
        release, built_at = connection.execute("select release_name, built_at from main.release").fetchall()[0]
    about = table.description
    facts = {
        "owner": ", ".join(about.owner),
        "given": ", ".join(table.parameters),
        "key": ", ".join(about.key),
        "rows": "" if rows is None else f"{rows:,}",
        "release": f"{release}, built {built_at:%Y-%m-%d %H:%M} UTC",
        "sources": ", ".join(_loads(folder, about.sources, built_at)),
        "used by": ", ".join(about.used_by),
    }
    lines = [table.full_name, "", *_wrapped(about.text or "It has no description.", ""), ""]
    for label, text in facts.items():
        if text:
            lines += _wrapped(text, f"  {label:<9}")
    if columns:
        lines += ["", *draw_table(("column", "type", "personal data", "description"), columns)]
    example = about.example or f"from {table.name} limit 5"
    return "\n".join([*lines, "", "  example:", f"{command()} query {_quoted(example)}"])


def _quoted(sql: str) -> str:
    """Quote a query for a shell, over several lines if it has several."""
    if re.search(r'["$`\\!]', sql):
        return shlex.quote(sql)
    return f'"\n{sql}\n"' if "\n" in sql else f'"{sql}"'


def _published(connection: duckdb.DuckDBPyConnection) -> list[Published]:
    """Return what is published, without the bookkeeping and the views of `main`."""
    rows = connection.execute(
        "select schema_name, table_name, comment, false, [] from duckdb_tables() where schema_name <> 'main' union all "
        "select schema_name, function_name, comment, true, parameters from duckdb_functions() "
        "where function_type = 'table_macro' and not internal and schema_name <> 'main' "
        "order by 1, 2"
    ).fetchall()
    return [
        Published(schema, name, Description.parse(comment or ""), is_function, tuple(parameters))
        for schema, name, comment, is_function, parameters in rows
    ]


def _find(published: Sequence[Published], name: str) -> Published:
    wanted = name.casefold()
    found = [one for one in published if wanted in (one.name.casefold(), one.full_name.casefold())]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"{name} is in several schemas: {', '.join(one.full_name for one in found)}.", "Name one with its schema."
        )
    hint = did_you_mean(name, [one.full_name if "." in name else one.name for one in published])
    raise UsageError(f"There is no {name} in the release.{hint}", "See what there is: python -m flows tables")


def _columns(connection: duckdb.DuckDBPyConnection, table: Published) -> list[tuple[str, str, str, str]]:
    """Return name, type, class of personal data and description of a table's columns."""
    rows = connection.execute(
        "select column_name, data_type, coalesce(comment, '') from duckdb_columns() "
        "where schema_name = ? and table_name = ? order by column_index",
        [table.schema, table.name],
    ).fetchall()
    found = []
    for name, kind, comment in rows:
        text, personal = split_class(comment)
        found.append((name, kind.lower(), personal, text))
    return found


def _count(connection: duckdb.DuckDBPyConnection, tables: Sequence[Published]) -> dict[str, int]:
    """Return the rows of tables by their full names; DuckDB takes the numbers from its metadata."""
    if not tables:
        return {}
    counted = ", ".join(f"(select count(*) from {one.place})" for one in tables)
    (counts,) = connection.execute(f"select {counted}").fetchall()
    return dict(zip((one.full_name for one in tables), counts, strict=True))


def _loads(folder: DataFolder, sources: Sequence[str], built_at: datetime) -> Iterator[str]:
    """Return each source table with the time of its newest load in the release; those never loaded come last."""
    loads = newest_loads(folder.lake, built_at) if folder.lake.is_dir() else {}
    for name in sorted(sources, key=lambda one: (one not in loads, one)):
        yield f"{name} ({loads[name]:%Y-%m-%d %H:%M} UTC)" if name in loads else f"{name} (never loaded)"


def _wrapped(text: str, label: str) -> list[str]:
    """Return a text in lines of the terminal's width, at most a hundred characters; the first has a label."""
    width = min(max(shutil.get_terminal_size((WIDEST, 0)).columns, NARROWEST), WIDEST)
    lines: list[str] = []
    for line in text.split("\n"):
        lines += textwrap.wrap(line, width, initial_indent=label, subsequent_indent=" " * len(label)) or [""]
        label = " " * len(label)
    return lines
