"""SQLite for ADBC: any column may hold values of several types, and each keeps its own text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

import adbc_driver_sqlite.dbapi
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_manager.dbapi import Connection as Database

from flows.core.names import literal
from flows.sources.sql import pieces
from flows.sources.watermark import Cursor

MIXED_COLUMN = re.compile(r"(?:Type mismatch in |JSON path: ')column (\d+)")
"""Errors of the driver, and of our own expressions, on a value of another type than its column's."""

STORAGE_CLASSES = {"int64": "integer", "double": "real", "string": "text", "binary": "blob"}
"""SQLite's own types, by the driver's Arrow types."""

MARK = "="
"""Begins every value that is read as text."""


@dataclass(frozen=True)
class Sqlite:
    """A SQLite file, opened for reading only."""

    sample_rows: ClassVar[int] = pieces.ROWS_A_FETCH

    path: Path

    def connect(self, seconds: int | None = None) -> Database:
        """Open the file; raises OSError if it does not exist."""
        if not self.path.exists():
            raise FileNotFoundError(f"there is no SQLite file {self.path.name}")
        return adbc_driver_sqlite.dbapi.connect(f"file:{quote(str(self.path))}?mode=ro")

    def share_snapshot(self) -> None:
        """Return nothing: each session of SQLite has its own snapshot."""

    def in_snapshot(self, snapshot: object) -> "Sqlite":
        """Return the file as it is."""
        return self

    def statement_options(self) -> Mapping[str, str]:
        """Return how many rows a fetch has."""
        return {"adbc.sqlite.query.batch_rows": str(pieces.ROWS_A_FETCH)}

    def table_exists(self, *parts: str) -> str:
        """Return SQL for a row if there is a table or view of that name."""
        name = parts[-1] if len(parts) == 1 or parts[0].lower() == "main" else ""
        return f"select 1 from sqlite_master where type in ('table', 'view') and lower(name) = lower({literal(name)})"

    def all_tables(self) -> str:
        """Return SQL for the names of all tables and views."""
        return (
            "select name from sqlite_master where type in ('table', 'view') and name not like 'sqlite\\_%' escape '\\' "
            "order by name"
        )

    def text_columns(self, table: str) -> str:
        """Return SQL for the columns whose type makes a text of every number that is stored; blobs stay blobs.

        A virtual table stores what it likes, and a view has what its query yields.
        """
        return (
            f"select columns.name from pragma_table_list as tables, pragma_table_xinfo(tables.name) as columns "
            f"where tables.schema = 'main' and tables.type = 'table' and lower(tables.name) = lower({literal(table)}) "
            "and columns.type not like '%int%' "
            "and (columns.type like '%char%' or columns.type like '%clob%' or columns.type like '%text%')"
        )

    def expression(self, field: pa.Field, column: str, at: int, *, as_text: bool, has_no_numbers: bool) -> str:
        """Return a column, or its text after a mark; a value that the column's type would change raises instead.

        The driver takes a column for numbers if its first rows are all null, so every text needs a mark.
        """
        exact = f"case typeof({column}) when 'real' then {_digits(column)} else cast({column} as text) end"
        if as_text:
            return f"coalesce('{MARK}' || {exact}, '')"
        if pa.types.is_string(field.type) and has_no_numbers:
            return column
        if pa.types.is_string(field.type):  # the driver writes a number of its first rows with six digits
            return f"case when typeof({column}) in ('real', 'blob') then {exact} else {column} end"
        refuse = f"json_extract('{{}}', 'column {at}' || typeof({column}))"
        if pa.types.is_floating(field.type):  # the driver rounds integers past 2^53, and 17 is not 17.0
            return f"case when typeof({column}) = 'integer' then {refuse} else {column} end"
        if pa.types.is_binary(field.type):
            return f"case when typeof({column}) in ('null', 'blob') then {column} else {refuse} end"
        return column  # for any other type than integer, the driver raises

    def widen(self, planned: pa.Schema, found: pa.Schema) -> pa.Schema:
        """Return the types to read columns by, after the driver looked at the first rows in their order."""
        fields = zip(planned, found, strict=True)
        return pa.schema([one if pa.types.is_integer(other.type) else other for one, other in fields])

    def mixed_column(self, error: Exception) -> int | None:
        """Return the number of the column whose values are of several types, if that is the error."""
        found = MIXED_COLUMN.search(str(error))
        return int(found[1]) if found else None

    def is_mixed(self, field: pa.Field, column: str) -> str:
        """Return SQL for whether any of all rows has another type than the column's."""
        return f"max(typeof({column}) not in ('null', '{STORAGE_CLASSES[str(field.type)]}'))"

    def decode(self, column: pa.Array, *, as_text: bool) -> pa.Array:
        """Return a fetched column without marks."""
        return _without_marks(column) if as_text and pa.types.is_string(column.type) else column

    def since(self, column: str, cursor: Cursor) -> str:
        """Return SQL for rows from a value on; digits become a number, since every text sorts after all numbers."""
        text = str(cursor)
        if isinstance(cursor, str | date) and not _is_number(text):
            return f"{column} >= {literal(text)} or {column} < {literal(pieces.least_text(text))}"
        return f"{column} >= {text.replace('inf', '9e999')}"

    def explain(self, error: Exception) -> tuple[str, bool]:
        """Return the driver's own message, and whether another process holds the file."""
        cause = "a value that the driver cannot read" if isinstance(error, pa.ArrowInvalid) else str(error)
        return cause, "locked" in cause or "busy" in cause


def _is_number(text: str) -> bool:
    """Tell whether SQLite would write a number like this text, so that it compares with both numbers and texts."""
    is_whole = re.fullmatch(r"0|-?[1-9]\d{0,17}", text) is not None
    return is_whole or (re.fullmatch(r"-?\d+\.\d+", text) is not None and f"{float(text):.15g}" == text)


def _digits(column: str) -> str:
    """Write 15 digits of a real number, which is short and mostly exact, or 17 where it is not; DuckDB writes 1e+20."""
    short, long = f"printf('%!.15g', {column})", f"printf('%!.17g', {column})"
    digits = f"case when cast({short} as real) = {column} then {short} else {long} end"
    return f"lower(replace({digits}, '.0e', 'e'))"


def _without_marks(column: pa.Array) -> pa.Array:
    raw = column.view(pa.binary())  # a text need not be valid UTF-8
    marked = pc.if_else(pc.equal(raw, b""), pa.scalar(None, pa.binary()), raw)
    return pc.binary_replace_slice(marked, 0, 1, b"").view(pa.string())
