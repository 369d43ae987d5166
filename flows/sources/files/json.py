"""JSON files: DuckDB splits them into records; Python splits those that DuckDB refuses."""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice

import duckdb
import pyarrow as pa

from flows.sources.batches import Rejected, SourceFile
from flows.sources.files.archives import opened
from flows.sources.files.encoding import NO_UTF_8
from flows.sources.files.landing import (
    LANDED,
    ColumnNames,
    FileRecords,
    Reading,
    insert_arrow,
    land,
    number_and_name,
    packed_paths_of,
)
from flows.sources.files.lines import count_lines, split_lines
from flows.sources.json_records import LONG_NUMBER, LONGEST_NUMBER, keep_digits, land_json, may_lose_digits

LINES_A_PIECE = 50_000
ONE_COLUMN = (
    "auto_detect = false, header = false, delim = '\x01', quote = '', escape = '', nullstr = '\n', "
    "strict_mode = true, hive_partitioning = false, columns = {'_record': 'VARCHAR'}"
)
"""Makes a CSV reader split a file into lines, several threads at once: a line with such a delimiter is refused."""

FIRST_LINE = re.compile(r"[\r\n]")
CHUNK_BYTES = 1024 * 1024


def read_json_lines(reading: Reading, files: Sequence[SourceFile]) -> Iterator[FileRecords]:
    """Yield the records of files with one JSON object a line, and those that are malformed."""
    yield _read(reading, files, as_lines=True)


def read_json_documents(reading: Reading, files: Sequence[SourceFile]) -> Iterator[FileRecords]:
    """Yield the records of files that are a JSON list or object each, and those that are malformed."""
    yield _read(reading, files, as_lines=False)


def _read(reading: Reading, files: Sequence[SourceFile], *, as_lines: bool) -> FileRecords:
    connection, columns = reading.connection, ColumnNames()
    text = columns.add("_record")
    connection.execute(f"create or replace temp table {LANDED} (_at bigint, _row bigint, {text} varchar)")
    insert = partial(_insert, connection, text, as_lines=as_lines)
    read_again = partial(_read_again, connection, text, as_lines=as_lines)
    count = _count_lines if as_lines else _count_unknown
    rejected = land(connection, files, 0, insert, read_again, count)
    records, no_objects = land_json(number_and_name(connection, files, columns), reading.table, is_file=True)
    return FileRecords(tuple(files), records, (*rejected, *no_objects))


def _insert(
    connection: duckdb.DuckDBPyConnection, text: str, files: Sequence[SourceFile], first: int, *, as_lines: bool
) -> None:
    """Land records as texts; numbers that a double cannot hold become texts within them."""
    if as_lines:
        read, record = f"read_csv({packed_paths_of(files)}, {ONE_COLUMN})", "_record"
    else:
        read, record = f"read_json_objects({packed_paths_of(files)}, format = 'array')", "cast(json as varchar)"
    if any(map(_has_long_fraction, files)):
        with suppress(duckdb.CatalogException):  # it was made for an earlier batch
            connection.create_function("keep_digits", keep_digits, ["VARCHAR"], "VARCHAR")
        record = (
            f"case when regexp_matches({record}, '{LONG_NUMBER.pattern}') then keep_digits({record}) else {record} end"
        )
    connection.execute(
        f"insert into {LANDED} by name select coalesce({record}, '') as {text}, file_index + {first} as _at from {read}"
    )


def _count_lines(file: SourceFile) -> int:
    with opened(file.path) as stream:
        found, empty = count_lines(stream)
    return found - empty


def _count_unknown(_file: SourceFile) -> None:
    return None


def _has_long_fraction(file: SourceFile) -> bool:
    """Tell whether a file may hold a number that `keep_digits` would change; most have none, and need no regex."""
    before = b""
    with opened(file.path) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            if may_lose_digits(chunk) or may_lose_digits(before + chunk[:LONGEST_NUMBER]):
                return True
            before = chunk[-LONGEST_NUMBER:]
    return False


def _read_again(
    connection: duckdb.DuckDBPyConnection, text: str, file: SourceFile, at: int, *, as_lines: bool
) -> list[Rejected]:
    rejected: list[Rejected] = []
    schema = pa.schema([(text, pa.string()), ("_row", pa.int64())])
    with opened(file.path) as stream:
        texts = split_lines(stream) if as_lines else _split_document(stream.read(), file, rejected)
        pieces = _decode(texts, file, rejected, schema)
        insert_arrow(connection, pa.RecordBatchReader.from_batches(schema, pieces), at)
    return rejected


def _decode(
    texts: Iterable[bytes], file: SourceFile, rejected: list[Rejected], schema: pa.Schema
) -> Iterator[pa.RecordBatch]:
    """Yield records as texts, a bounded number at a time; reject those that are no UTF-8."""
    numbered = enumerate((text for text in texts if text.strip()), start=1)
    while piece := list(islice(numbered, LINES_A_PIECE)):
        decoded, rows = [], []
        for row, text in piece:
            try:
                decoded.append(keep_digits(text.decode("utf-8-sig" if row == 1 else "utf-8").rstrip("\r\n")))
                rows.append(row)
            except UnicodeDecodeError:
                rejected.append(Rejected(text.rstrip(b"\r\n"), NO_UTF_8, f"{file.name}:{row}"))
        arrays = [pa.array(decoded, pa.string()), pa.array(rows, pa.int64())]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _split_document(content: bytes, file: SourceFile, rejected: list[Rejected]) -> list[bytes]:
    """Split a JSON document into its records: the members of a list, or the one object that it is.

    A document whose first line is an object holds JSON lines, whatever its extension.
    """
    with duckdb.connect() as connection:
        try:
            text = keep_digits(content.decode("utf-8-sig"))
            kind = _json_type(connection, text)
            is_lines = kind is None and _json_type(connection, FIRST_LINE.split(text.lstrip(), 1)[0]) == "OBJECT"
        except UnicodeDecodeError:
            kind, is_lines = None, False
        if is_lines:
            return content.splitlines()
        if kind == "OBJECT":
            return [text.replace("\n", " ").encode()]
        if kind != "ARRAY":
            rejected.append(Rejected(content, "is no JSON", f"{file.name}:1"))
            return []
        sql = "select coalesce(unnest(from_json($text, '[\"json\"]'))::varchar, 'null')"
        return [member.encode() for (member,) in connection.execute(sql, {"text": text}).fetchall()]


def _json_type(connection: duckdb.DuckDBPyConnection, text: str) -> str | None:
    sql = "select case when json_valid($text) then json_type($text) end"
    return connection.execute(sql, {"text": text}).fetchall()[0][0]  # type: ignore[no-any-return]
