"""The dialect of a CSV file, from its header and from what the mapping says of its format."""

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from flows.config.file_format import FileFormat
from flows.core.errors import SchemaMismatch, SourceFailed
from flows.core.names import folded
from flows.sources.batches import SourceFile
from flows.sources.files.archives import opened
from flows.sources.files.landing import Reading
from flows.sources.json_records import refuse_colliding_names
from flows.sources.suggestions import count_like_data

DELIMITERS = ",;\t|"
HEADER_BYTES = 256 * 1024
USUAL_HEADER_BYTES = 4 * 1024
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
SEPARATOR_LINE = re.compile(r"sep=([^\r\n])[\r\n]+", re.IGNORECASE)
"""A first line by which spreadsheets name the delimiter."""


@dataclass(frozen=True)
class Dialect:
    """How a file is written: its delimiter and columns, and how many bytes are before its first record.

    `skip` counts the lines before the header. `widths` are those of the columns of a file of fixed width.
    """

    delimiter: str
    columns: tuple[str, ...]
    skip: int = 0
    quote: str = '"'
    has_header: bool = True
    widths: tuple[int, ...] = ()
    start: int = 0


def read_dialect(file: SourceFile, reading: Reading) -> Dialect:
    """Return a file's dialect; an empty file has no columns.

    Raises SourceFailed for a header that is no text, SchemaMismatch for one that is not that of the table.
    """
    with opened(file.path) as stream:
        start = stream.read(USUAL_HEADER_BYTES)
        mark = len(BYTE_ORDER_MARK) if start.startswith(BYTE_ORDER_MARK) else 0
        dialect, used, lines = _read_start(start[mark:], reading.format)
        is_plain = reading.format.quote.encode() not in start and not reading.format.skip
        if not is_plain or used >= len(lines) or not dialect.columns:
            start += stream.read(HEADER_BYTES)  # the header may be longer
            dialect, used, lines = _read_start(start[mark:], reading.format)
        if (used >= len(lines) or not dialect.columns) and stream.read(1):
            cause = f"{file.name}: its header does not end within the first {HEADER_BYTES:,} bytes"
            raise SourceFailed(reading.table, cause, f"Fix the file, or describe it in {reading.place}.format.")
    dialect = replace(dialect, start=mark + sum(map(len, lines[:used])))
    if dialect.has_header and re.search("[\0\ud800-\udfff]", "".join(dialect.columns)):
        raise SourceFailed(reading.table, f"{file.name}: its header is no UTF-8", reading.name_encoding)
    if not dialect.columns and start[mark:].strip(b" \t\r\n,;|"):
        raise SourceFailed(
            reading.table,
            f"{file.name}: its header cannot be read as CSV",
            f"Fix the file, or describe it in {reading.place}.format.",
        )
    if dialect.columns:
        require_columns(file, dialect.columns, reading, reading.name_columns)
        if count_like_data(dialect.columns) and len(set(map(folded, dialect.columns))) < len(dialect.columns):
            raise SchemaMismatch(
                reading.table, f"two names in the header of {file.name} are alike", (), reading.name_columns
            )
        refuse_colliding_names(reading.table, list(dialect.columns))
    return dialect


def require_columns(
    file: SourceFile, names: Sequence[str], reading: Reading, remedy: str, *, shown: Sequence[str] = ()
) -> None:
    """Raise SchemaMismatch if a file has none of the columns that the mapping reads, or lacks a required one.

    The error holds no name of the file, apart from those `shown`: without a header, names are values.
    """
    found, wanted = set(map(folded, names)), reading.columns
    missing = next((name for name in wanted.required if folded(name) not in found), None)
    is_other = wanted.read is not None and not found & wanted.read
    if missing is not None:
        raise SchemaMismatch(
            reading.table,
            f"the contract requires column {missing!r}, which {file.name} does not have",
            tuple(shown),
            remedy,
        )
    if is_other:
        raise SchemaMismatch(reading.table, f"{file.name} has no column that the mapping reads", tuple(shown), remedy)


def split_widths(line: str, widths: Sequence[int]) -> list[str]:
    """Split a line of fixed width into cells without their padding."""
    cells, at = [], 0
    for width in widths:
        cells.append(line[at : at + width].strip())
        at += width
    return cells


def _read_start(start: bytes, wanted: FileFormat) -> tuple[Dialect, int, list[bytes]]:
    """Return the dialect of a file, how many lines are before its first record, and the lines of its start."""
    lines = start.splitlines(keepends=True)
    return *_read([line.decode(errors="surrogateescape") for line in lines], wanted), lines


def _read(lines: Sequence[str], wanted: FileFormat) -> tuple[Dialect, int]:
    """Return a dialect from the first lines of a file, and how many of them are before its first record."""
    skip, signs = wanted.skip, wanted.delimiter or DELIMITERS
    if not skip and lines and (named := SEPARATOR_LINE.fullmatch(lines[0])):
        skip, signs = 1, wanted.delimiter or named[1]
    if wanted.header:
        first = next(filter(str.strip, lines[skip:]), "")
        sign = max(signs, key=first.count)
        return Dialect(sign, wanted.header, skip, wanted.quote, has_header=False, widths=wanted.widths), skip
    if wanted.widths:
        at = next((at for at, line in enumerate(lines) if at >= skip and line.strip()), None)
        names = [] if at is None else split_widths(lines[at], wanted.widths)
        return Dialect("", _named(names), skip, wanted.quote, widths=wanted.widths), 0 if at is None else at + 1
    found = [_header(lines, skip, sign, wanted.quote) for sign in signs]
    _, dialect, used = max(found, key=lambda counted: counted[0])
    return dialect, used


def _header(lines: Sequence[str], skip: int, delimiter: str, quote: str) -> tuple[int, Dialect, int]:
    """Read the first record that is not empty; return how many delimiters it has outside quotes, and a dialect."""
    reader = csv.reader(lines[skip:], delimiter=delimiter, quotechar=quote, strict=True)
    before, sign = skip, re.escape(quote)
    quoted = re.compile(f"{sign}(?:[^{sign}]|{sign}{sign})*{sign}")
    try:
        for fields in reader:
            used = skip + reader.line_num
            if any(field.strip() for field in fields):
                unquoted = quoted.sub("", "".join(lines[before:used]))
                columns = _named([field.strip() for field in fields])
                return unquoted.count(delimiter), Dialect(delimiter, columns, before, quote), used
            before = used
    except csv.Error:
        pass
    return -1, Dialect(delimiter, ()), 0


def _named(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name or f"column{at}" for at, name in enumerate(names))
