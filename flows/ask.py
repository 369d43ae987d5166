"""Questions to the published warehouse."""

import csv
import io
import json
import shutil
from contextlib import redirect_stdout
from typing import Literal

import duckdb

from flows.errors import StorageFailed, WrongUse
from flows.names import identifier, literal
from flows.redaction import without_values
from flows.settings import DataFolder
from flows.storage import DAMAGED, REBUILD, open_database

Form = Literal["table", "csv", "json"]


def ask(folder: DataFolder, sql: str, form: Form, limit: int) -> str:
    """Run SQL on the published release, opened for reading; models are found by name, whatever their schema.

    Raises WrongUse if nothing is published yet, or the SQL cannot be run; StorageFailed if the release is damaged.
    """
    if not folder.warehouse.exists():
        raise WrongUse(f"Nothing is published in {folder.path.name} yet.", "Publish first: make run")
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
            if form == "table":
                return _as_table(relation, limit)
            names, rows = relation.columns, relation.fetchall()
        except duckdb.Error as error:
            if DAMAGED.search(str(error)):
                raise StorageFailed(f"the release {release.parent.name}", without_values(error), REBUILD) from None
            raise WrongUse(str(error), 'See what there is: python -m flows query "show all tables"') from None
    if form == "json":
        return "\n".join(json.dumps(dict(zip(names, row, strict=True)), default=str) for row in rows)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([names, *rows])
    return text.getvalue().rstrip("\n")


def _as_table(relation: duckdb.DuckDBPyRelation, limit: int) -> str:
    """Draw rows as wide as the terminal is, and whole where there is none."""
    width = shutil.get_terminal_size((10_000, 0)).columns
    drawn = io.StringIO()
    with redirect_stdout(drawn):
        relation.show(max_width=width, max_rows=limit)
    return drawn.getvalue().rstrip()
