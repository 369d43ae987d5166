"""CSV as files have it: the header decides the dialect, and what DuckDB refuses is read record by record."""

import csv
import gzip
import io
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import pyarrow as pa

from flows.sources.batches import Rejected, SourceFile

DELIMITERS = ",;\t|"
QUOTED = re.compile(r'"(?:[^"]|"")*"')
HEADER_BYTES = 256 * 1024
USUAL_HEADER_BYTES = 4 * 1024
LARGEST_FIELD = 100_000_000
RECORDS_A_PIECE = 50_000
LINES_A_RECORD = 1_000
"""A record that goes on for longer has lost a closing quote."""


@dataclass(frozen=True)
class Dialect:
    """How a file's header was written: after how many blank lines, and over how many lines."""

    delimiter: str
    columns: tuple[str, ...]
    blank_lines: int = 0
    lines: int = 1


def read_dialect(path: Path) -> Dialect:
    """Read a file's header, and the delimiter that stands in it most often; a file without one has no columns."""
    with opened(path) as stream:
        start = stream.read(USUAL_HEADER_BYTES)
        if b"\n" not in start or b'"' in start or not start.lstrip().partition(b"\n")[1]:
            start += stream.read(HEADER_BYTES)  # a header that may go on for longer
    lines = io.StringIO(start.decode("utf-8-sig", errors="replace"), newline=None).readlines()
    return max((_header(lines, sign) for sign in DELIMITERS), key=lambda found: found[0])[1]


def _header(lines: list[str], delimiter: str) -> tuple[int, Dialect]:
    """Read the first record that says anything; return how many delimiters it has outside of quotes, and a dialect."""
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


def read_record_by_record(file: SourceFile, dialect: Dialect) -> tuple[pa.Table, list[Rejected]]:
    """Read a file in which some record is malformed: its good records as text columns, the others as they came."""
    good: list[pa.Table] = [_to_table(dialect, [])]
    rejected: list[Rejected] = []
    numbered = enumerate(_records(file.path, dialect), start=1)
    while piece := list(islice(numbered, RECORDS_A_PIECE)):
        good.append(_to_table(dialect, [(number, fields) for number, (_, fields, _) in piece if fields is not None]))
        rejected += [
            Rejected(raw, reason, f"{file.name}:{number}") for number, (raw, fields, reason) in piece if fields is None
        ]
    return pa.concat_tables(good), rejected


def _to_table(dialect: Dialect, records: list[tuple[int, list[str]]]) -> pa.Table:
    columns = {
        name: pa.array([fields[at] or None for _, fields in records], pa.string())
        for at, name in enumerate(dialect.columns)
    }
    return pa.table({**columns, "_row": pa.array([number for number, _ in records], pa.int64())})


def _records(path: Path, dialect: Dialect) -> Iterator[tuple[bytes, list[str] | None, str]]:
    """Yield each record's bytes with its fields, or with None and a reason."""
    lines = _lines(path)
    deque(islice(lines, dialect.blank_lines + dialect.lines), maxlen=0)  # the header
    ahead: deque[bytes] = deque(islice(lines, LINES_A_RECORD))
    while ahead:
        if not ahead[0].strip() and len(dialect.columns) > 1:
            used = 1
        else:
            fields, used, reason = _parse(ahead, dialect)
            raw = b"".join(islice(ahead, used)).rstrip(b"\r\n")
            if fields is not None and len(fields) == len(dialect.columns) + 1 and not fields[-1]:
                fields.pop()  # a delimiter at the end of the line
            if fields is None or len(fields) == len(dialect.columns):
                yield raw, fields, reason
            else:
                yield raw, None, f"has {len(fields)} fields, the header {len(dialect.columns)}"
        for _ in range(used):
            ahead.popleft()
        ahead.extend(islice(lines, used))


def _parse(ahead: deque[bytes], dialect: Dialect) -> tuple[list[str] | None, int, str]:
    """Parse the record that the lines ahead begin with; return its fields and how many lines it took."""
    used = 0

    def fed() -> Iterator[str]:
        nonlocal used
        for line in ahead:
            used += 1
            yield line.decode("utf-8")

    csv.field_size_limit(LARGEST_FIELD)
    try:
        fields = next(csv.reader(fed(), delimiter=dialect.delimiter, strict=True)) or [""]
    except UnicodeDecodeError:
        return None, 1, "is no UTF-8"
    except (csv.Error, StopIteration):
        return None, 1, "has a quote that is not closed, or text behind one"
    return fields, used, ""


def _lines(path: Path) -> Iterator[bytes]:
    with opened(path) as stream:
        yield from stream


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading, uncompressed if its name says that it is compressed."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]
