"""Questions to the published warehouse: a table on the terminal, or CSV, JSON and Parquet that are never held whole."""

import fcntl
import io
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import BinaryIO, Literal

import duckdb

from flows.config.settings import DataFolder, shown_path
from flows.core.errors import StorageFailed, UsageError
from flows.core.names import identifier, literal
from flows.core.object_store import SCHEME
from flows.core.redaction import without_values
from flows.core.storage import DAMAGED, REBUILD, open_release_file
from flows.warehouse.clones import attach_release, database_of
from flows.warehouse.copies import fetch_release

OutputFormat = Literal["table", "csv", "json"]

ENDINGS = {".csv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json", ".parquet": "parquet"}
"""The format of a file by the ending of its name."""

APOSTROPHE = "'"
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Signs that begin a formula in a spreadsheet; a text that begins with one gets an apostrophe before it."""

MISLEADING = {
    ord(sign): f"\\u{ord(sign):04x}"
    for sign in "\0\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
}
"""NUL, which ends a text for many programs, and the marks that turn the direction in which a text is shown."""

MISLEADING_BYTES = re.compile(b"|".join(re.escape(chr(sign).encode()) for sign in MISLEADING))
ESCAPED = {chr(sign).encode(): escape.encode() for sign, escape in MISLEADING.items()}

ROWS = "_rows_of_the_query"
"""The name under which DuckDB finds the relation of a query: that of a parameter of `_copy`."""

PIPE_BYTES = 1024 * 1024


def run_query(folder: DataFolder, sql: str, output_format: OutputFormat, limit: int, release: str | None = None) -> str:
    """Run SQL on the published release, or another release or clone, read-only, and return its rows as text.

    Models are found by their name alone.

    Raises UsageError if nothing is published yet, or the SQL cannot be run; StorageFailed if the release is damaged.
    """
    if output_format != "table":
        text = io.BytesIO()
        stream_query(folder, sql, output_format, text.write, release)
        return text.getvalue().decode().rstrip("\n")
    with open_release(folder, release) as connection, errors_told(folder):
        relation = connection.sql(sql)
        return "" if relation is None else _as_table(relation, limit)


def print_query(
    folder: DataFolder, sql: str, output_format: Literal["csv", "json"], output: BinaryIO, release: str | None = None
) -> None:
    """Write the rows of a query to an open output; end in silence if its reader has gone, as `head` does."""
    try:
        stream_query(folder, sql, output_format, output.write, release)
        output.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def stream_query(
    folder: DataFolder,
    sql: str,
    output_format: Literal["csv", "json"],
    write: Callable[[bytes], object],
    release: str | None = None,
) -> int:
    """Hand the rows of a query to `write` as UTF-8, some at a time, and return their number.

    In CSV, texts cannot run as formulas. JSON has one object a line, times in ISO 8601 and null for NaN. Marks that
    mislead the eye are escaped in both; in JSON the escape means the same text.
    """
    with open_release(folder, release) as connection, errors_told(folder):
        relation = connection.sql(sql)
        return 0 if relation is None else _stream(connection, relation, output_format, write)


def export_query(folder: DataFolder, sql: str, file: Path, release: str | None = None) -> str:
    """Write the rows of a query to a file, in the format of its ending, and return what there is to say.

    The file is there when it is complete. Raises UsageError for another ending and for a folder that is not there.
    """
    output_format = ENDINGS.get(file.suffix.lower())
    if output_format is None:
        raise UsageError(
            f"{file.name} ends in {file.suffix or 'nothing'}.", f"Name a file that ends in {', '.join(ENDINGS)}."
        )
    if not file.parent.is_dir():
        raise UsageError(f"There is no folder {file.parent}.", "Make it first, or name another file.")
    started = time.monotonic()
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        with open_release(folder, release) as connection, errors_told(folder):
            relation = connection.sql(sql)
            if relation is None:
                raise UsageError("The SQL gives no rows.", "Ask for some: from customer_360")
            if output_format == "parquet":
                rows = _copy(connection, relation, f"from {ROWS}", str(part), "format parquet, compression zstd")
            else:
                with part.open("wb") as output:
                    rows = _stream(connection, relation, output_format, output.write)
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
    seconds, size = time.monotonic() - started, file.stat().st_size / 1e6
    return f"  {rows:,} rows are in {shown_path(file)}: {size:,.1f} MB, {seconds:.1f} s"


@contextmanager
def open_release(folder: DataFolder, name: str | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the published release, or another release or clone, or one that was copied to S3, read-only and in UTC.

    Its tables and functions are found by their names alone. Raises UsageError if nothing is published yet, or if there
    is nothing of that name, StorageFailed if the release is damaged.
    """
    if name is not None and name.startswith(SCHEME):
        file = fetch_release(folder, name)
    elif not folder.warehouse.exists():
        raise UsageError(f"Nothing is published in {folder.path.name} yet.", "Publish first: make run")
    else:
        file = folder.warehouse.resolve() if name is None else database_of(folder, name)
    with open_release_file(file) as connection:
        attach_release(connection, file)
        found = connection.execute(
            "select schema_name from duckdb_tables() where database_name = current_database() union "
            "select schema_name from duckdb_views() where database_name = current_database() and not internal"
        ).fetchall()
        schemas = sorted(name for (name,) in found)
        connection.execute(f"set search_path = {literal(','.join(map(identifier, schemas)))}")
        connection.execute("set TimeZone = 'UTC'")
        yield connection


@contextmanager
def errors_told(folder: DataFolder) -> Iterator[None]:
    """Turn DuckDB's errors into UsageError for SQL that cannot be run, and into StorageFailed for a damaged file."""
    try:
        yield
    except duckdb.Error as error:
        if DAMAGED.search(str(error)):
            name = folder.warehouse.resolve().parent.name
            raise StorageFailed(f"the release {name}", without_values(error), REBUILD) from None
        raise UsageError(str(error), "See what there is: python -m flows tables") from None


def _stream(
    connection: duckdb.DuckDBPyConnection,
    relation: duckdb.DuckDBPyRelation,
    output_format: str,
    write: Callable[[bytes], object],
) -> int:
    """Copy rows through a pipe: DuckDB writes into it, and a thread hands on what it reads, escaped.

    One thread of DuckDB writes a row as soon as it has it. Several would gather 100,000 rows each to keep the order.
    """
    connection.execute("set threads = 1")
    express, options = (_in_csv, "format csv, header true") if output_format == "csv" else (_in_json, "format json")
    places = [f"c{number}" for number in range(len(relation.columns))]
    columns = ", ".join(
        f"{express(place, str(kind))} as {identifier(_harmless(name) if output_format == 'csv' else name)}"
        for place, name, kind in zip(places, relation.columns, relation.types, strict=True)
    )
    select = f"select {columns} from {ROWS} as given({', '.join(places)})"
    reading, writing = os.pipe()
    with suppress(OSError, AttributeError):  # a small pipe does as well, and more slowly
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    with ThreadPoolExecutor(1) as executor:
        handed_on = executor.submit(_hand_on, reading, write)
        try:
            return _copy(connection, relation, select, f"/dev/fd/{writing}", f"use_tmp_file false, {options}")
        finally:
            os.close(writing)
            handed_on.result()  # raises why the pipe was not read to its end, if that was the cause


def _copy(
    connection: duckdb.DuckDBPyConnection,
    _rows_of_the_query: duckdb.DuckDBPyRelation,
    select: str,
    place: str,
    options: str,
) -> int:
    """Copy what is selected of a relation to a place, and return the number of rows; DuckDB streams them."""
    copied = connection.execute(f"copy ({select}) to {literal(place)} ({options})").fetchall()
    return int(copied[0][0])


def _hand_on(reading: int, write: Callable[[bytes], object]) -> None:
    """Read a pipe to its end; marks that mislead are escaped, and none of them is cut in two."""
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        rest = b""
        while chunk := pipe.read(PIPE_BYTES):
            whole, newline, rest = (rest + chunk).rpartition(b"\n")
            write(_escape(whole + newline))
        write(_escape(rest))


def _escape(text: bytes) -> bytes:
    return MISLEADING_BYTES.sub(lambda found: ESCAPED[found[0]], text)


def _in_csv(column: str, kind: str) -> str:
    """Return SQL for a column in CSV: a text that begins like a formula gets an apostrophe."""
    if not kind.startswith(("VARCHAR", "JSON", "ENUM")) or kind.endswith("]"):
        return column
    text = f"cast({column} as varchar)"
    begins = f"regexp_matches({text}, '^[=+@\\t\\r-]')"  # a list of signs would become a join, which mixes the rows
    return f"case when {begins} then chr({ord(APOSTROPHE)}) || {text} else {text} end"


def _in_json(column: str, kind: str) -> str:
    """Return SQL for a column in JSON: times with a T, and null for the numbers that JSON does not have."""
    if kind.startswith("TIMESTAMP") and not kind.endswith("]"):
        written = f"replace(cast({column} as varchar), ' ', 'T')"
        return f"regexp_replace({written}, '[+]00$', 'Z')" if kind.endswith("ZONE") else written
    if kind in ("DOUBLE", "FLOAT"):
        return f"case when isfinite({column}) then {column} end"
    if re.fullmatch(r"(DOUBLE|FLOAT)\[\d*\]", kind):
        return f"list_transform({column}, lambda number: case when isfinite(number) then number end)"
    return column


def _as_table(relation: duckdb.DuckDBPyRelation, limit: int) -> str:
    """Draw rows as wide as the terminal is; without a terminal, draw them whole."""
    width = shutil.get_terminal_size((10_000, 0)).columns
    drawn = io.StringIO()
    with redirect_stdout(drawn):
        relation.show(max_width=width, max_rows=limit)
    return drawn.getvalue().rstrip().translate(MISLEADING)


def _harmless(name: str) -> str:
    return f"{APOSTROPHE}{name}" if name.startswith(FORMULA) else name
