"""Questions to the published warehouse."""

import csv
import io
import json
import shutil
from collections.abc import Iterable, Sequence
from contextlib import redirect_stdout
from typing import Any, Literal

import duckdb

from flows.config.settings import DataFolder
from flows.core.errors import StorageFailed, UsageError
from flows.core.names import identifier, literal
from flows.core.redaction import without_values
from flows.core.storage import DAMAGED, REBUILD, open_database

OutputFormat = Literal["table", "csv", "json"]

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Signs that begin a formula in a spreadsheet; a text that begins with one gets an apostrophe before it."""

MISLEADING = {
    ord(sign): f"\\u{ord(sign):04x}"
    for sign in "\0\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
}
"""NUL, which ends a text for many programs, and the marks that turn the direction in which a text is shown."""


def run_query(folder: DataFolder, sql: str, output_format: OutputFormat, limit: int) -> str:
    """Run SQL on the published release, read-only; models are found by their name alone.

    Texts in tables and CSV cannot run as formulas or mislead the eye; JSON has every text exactly, in ASCII.

    Raises UsageError if nothing is published yet, or the SQL cannot be run; StorageFailed if the release is damaged.
    """
    if not folder.warehouse.exists():
        raise UsageError(f"Nothing is published in {folder.path.name} yet.", "Publish first: make run")
    release = folder.warehouse.resolve()
    with open_database(release, f"the release {release.parent.name} cannot be read", REBUILD) as connection:
        schemas = [
            name for (name,) in connection.execute("select distinct schema_name from duckdb_tables()").fetchall()
        ]
        connection.execute(f"set search_path = {literal(','.join(map(identifier, sorted(schemas))))}")
        connection.execute("set TimeZone = 'UTC'")
        try:
            relation = connection.sql(sql)
            if relation is None:
                return ""
            if output_format == "table":
                return _as_table(relation, limit)
            names, rows = relation.columns, relation.fetchall()
        except duckdb.Error as error:
            if DAMAGED.search(str(error)):
                raise StorageFailed(f"the release {release.parent.name}", without_values(error), REBUILD) from None
            raise UsageError(str(error), 'See what there is: python -m flows query "show all tables"') from None
    if output_format == "json":
        return "\n".join(json.dumps(dict(zip(names, row, strict=True)), default=str) for row in rows)
    return _as_csv([names, *rows])


def _as_csv(rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    usual = csv.writer(text, lineterminator="\n")
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = [_harmless(value) for value in row]
        has_return = any(isinstance(cell, str) and "\r" in cell for cell in cells)  # which the usual one leaves bare
        (quoting if has_return else usual).writerow(cells)
    return text.getvalue().rstrip("\n")


def _as_table(relation: duckdb.DuckDBPyRelation, limit: int) -> str:
    """Draw rows as wide as the terminal is; without a terminal, draw them whole."""
    width = shutil.get_terminal_size((10_000, 0)).columns
    drawn = io.StringIO()
    with redirect_stdout(drawn):
        relation.show(max_width=width, max_rows=limit)
    return drawn.getvalue().rstrip().translate(MISLEADING)


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return ("'" if value.startswith(FORMULA) else "") + value.translate(MISLEADING)
