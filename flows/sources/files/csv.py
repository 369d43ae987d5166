"""CSV files: the header decides the dialect; DuckDB reads them, and Python those that DuckDB refuses."""

import csv
import io
import re
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa

from flows.core.names import identifier, literal
from flows.core.relation import Relation
from flows.sources.batches import Rejected, SourceFile
from flows.sources.files.archives import opened
from flows.sources.files.landing import LANDED, insert_arrow, land, number_and_name, paths_of
from flows.sources.json_records import refuse_colliding_names

DELIMITERS = ",;\t|"
QUOTED = re.compile(r'"(?:[^"]|"")*"')
HEADER_BYTES = 256 * 1024
USUAL_HEADER_BYTES = 4 * 1024
RECORDS_A_PIECE = 50_000
LINES_A_RECORD = 1_000
"""A record of more lines has lost a closing quote."""

LARGEST_RECORD = 16 * 1024 * 1024
"""A longer record is a mistake, and is quarantined, so that memory stays bounded for any file."""

LARGEST_KEPT = 6 * LARGEST_RECORD
"""The quarantine keeps the beginning of a line that is longer still; a load needs some seven times its memory."""


@dataclass(frozen=True)
class Dialect:
    """The delimiter and columns of a file, the number of blank lines before its header, and of lines of the header."""

    delimiter: str
    columns: tuple[str, ...]
    blank_lines: int = 0
    lines: int = 1


def read_csv(
    connection: duckdb.DuckDBPyConnection, files: Sequence[SourceFile], table: str
) -> tuple[Relation, tuple[Rejected, ...]]:
    """Return the records of CSV files, every column as text, and those that are malformed.

    Files of the same header are read in one statement with explicit columns; a file that DuckDB refuses is read again
    record by record. Columns that only some files have are null for the others.
    """
    connection.execute(f"create or replace temp table {LANDED} (_at bigint, _row bigint)")
    rejected: list[Rejected] = []
    landed: list[SourceFile] = []
    for dialect, alike in _by_dialect(files, table).items():
        for column in dialect.columns:
            connection.execute(f"alter table {LANDED} add column if not exists {identifier(column)} varchar")
        insert = partial(_insert, connection, dialect)
        rejected += land(alike, len(landed), insert, partial(_read_again, connection, dialect))
        landed += alike
    return number_and_name(connection, landed), tuple(rejected)


def _by_dialect(files: Sequence[SourceFile], table: str) -> dict[Dialect, list[SourceFile]]:
    groups: dict[Dialect, list[SourceFile]] = {}
    for file in files:
        dialect = read_dialect(file.path)
        if dialect.columns:
            refuse_colliding_names(table, list(dialect.columns))
            groups.setdefault(dialect, []).append(file)
    return groups


def _insert(connection: duckdb.DuckDBPyConnection, dialect: Dialect, files: Sequence[SourceFile], first: int) -> None:
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in dialect.columns)
    connection.execute(
        f"insert into {LANDED} by name select *, file_index + {first} as _at from read_csv({paths_of(files)}, "
        f"auto_detect = false, header = true, delim = {literal(dialect.delimiter)}, quote = '\"', escape = '\"', "
        f"nullstr = '', strict_mode = true, skip = {dialect.blank_lines}, "
        f"hive_partitioning = false, columns = {{{columns}}})"
    )


def _read_again(connection: duckdb.DuckDBPyConnection, dialect: Dialect, file: SourceFile, at: int) -> list[Rejected]:
    """Read a file in which some record is malformed, record by record."""
    good: list[pa.Table] = [_to_table(dialect, [])]
    rejected: list[Rejected] = []
    numbered = enumerate(_records(file.path, dialect), start=1)
    while piece := list(islice(numbered, RECORDS_A_PIECE)):
        good.append(_to_table(dialect, [(number, fields) for number, (_, fields, _) in piece if fields is not None]))
        rejected += [
            Rejected(raw, reason, f"{file.name}:{number}") for number, (raw, fields, reason) in piece if fields is None
        ]
    insert_arrow(connection, pa.concat_tables(good), at)
    return rejected


def read_dialect(path: Path) -> Dialect:
    """Return a file's dialect by the delimiter that its header has most often; an empty file has no columns."""
    with opened(path) as stream:
        start = stream.read(USUAL_HEADER_BYTES)
        if b"\n" not in start or b'"' in start or not start.lstrip().partition(b"\n")[1]:
            start += stream.read(HEADER_BYTES)  # the header may be longer
    lines = io.StringIO(start.decode("utf-8-sig", errors="replace"), newline=None).readlines()
    return max((_header(lines, sign) for sign in DELIMITERS), key=lambda counted: counted[0])[1]


def _header(lines: list[str], delimiter: str) -> tuple[int, Dialect]:
    """Read the first record that is not empty; return how many delimiters it has outside quotes, and a dialect."""
    reader = csv.reader(lines, delimiter=delimiter)
    before = 0
    try:
        for fields in reader:
            names = [field.strip() for field in fields]
            if any(names):
                columns = tuple(name or f"column{at}" for at, name in enumerate(names))
                unquoted = QUOTED.sub("", "".join(lines[before : reader.line_num]))
                return unquoted.count(delimiter), Dialect(delimiter, columns, before, reader.line_num - before)
            before = reader.line_num
    except csv.Error:
        pass
    return -1, Dialect(delimiter, ())


def _to_table(dialect: Dialect, records: list[tuple[int, list[str]]]) -> pa.Table:
    columns = {
        name: pa.array([fields[at] or None for _, fields in records], pa.string())
        for at, name in enumerate(dialect.columns)
    }
    return pa.table({**columns, "_row": pa.array([number for number, _ in records], pa.int64())})


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[bytes, list[str] | None, str]]:
    """Yield each record's bytes with its fields, or with None and a reason."""
    csv.field_size_limit(LARGEST_RECORD)
    with opened(path) as stream:
        lines = _lines(stream)
        deque(islice(lines, dialect.blank_lines + dialect.lines), maxlen=0)  # the header
        following = NextLines(lines)
        while (first := next(iter(following), None)) is not None:
            if not first.strip() and len(dialect.columns) > 1:
                following.take(1)
                continue
            fields, used, reason = _parse(first, following, dialect)
            raw = following.take(used).rstrip(b"\r\n")
            if fields is not None and len(fields) == len(dialect.columns) + 1 and not fields[-1]:
                fields.pop()  # a delimiter at the end of the line
            if fields is None or len(fields) == len(dialect.columns):
                yield raw, fields, reason
            else:
                yield raw, None, f"has {len(fields)} fields, the header {len(dialect.columns)}"


def _parse(first: bytes, following: "NextLines", dialect: Dialect) -> tuple[list[str] | None, int, str]:
    """Parse the record that the next lines begin with; return its fields, its number of lines, and any reason."""
    if len(first) > LARGEST_RECORD:
        cut = f": of {first.length:,} the first {len(first):,} are kept" if isinstance(first, CutLine) else ""
        return None, 1, f"is longer than {LARGEST_RECORD:,} bytes{cut}"
    used = 0

    def decoded() -> Iterator[str]:
        nonlocal used
        for line in following:
            used += 1
            yield line.decode("utf-8")

    try:
        fields = next(csv.reader(decoded(), delimiter=dialect.delimiter, strict=True)) or [""]
    except UnicodeDecodeError:
        return None, 1, "is no UTF-8"
    except (csv.Error, StopIteration):
        return None, 1, "has a quote that is not closed, or text behind one"
    return fields, used, ""


class NextLines:
    """The lines of a stream that come next; no more of them are in memory than a record may have."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines, self._buffer = lines, deque[bytes]()

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for at in range(LINES_A_RECORD):
            if at == len(self._buffer):
                line = next(self._lines, None)
                if line is None:
                    return
                self._buffer.append(line)
            yield self._buffer[at]
            size += len(self._buffer[at])
            if size > LARGEST_RECORD:
                return

    def take(self, count: int) -> bytes:
        """Remove some lines, and return them."""
        return b"".join([self._buffer.popleft() for _ in range(count)])


class CutLine(bytes):
    """The beginning of a line that is too long for memory; `length` is that of the whole line, in bytes."""

    length = 0


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    while line := stream.readline(LARGEST_KEPT):
        if len(line) == LARGEST_KEPT and not line.endswith(b"\n"):
            line = CutLine(line)
            line.length = LARGEST_KEPT
            while rest := stream.readline(1024 * 1024):
                line.length += len(rest)
                if rest.endswith(b"\n"):
                    break
        yield line
