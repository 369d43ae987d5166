"""CSV files: the header decides the dialect; DuckDB reads them, and Python those that DuckDB refuses."""

import csv
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import groupby, islice

import duckdb
import pyarrow as pa

from flows.core.names import literal
from flows.sources.batches import Rejected, SourceFile
from flows.sources.files import lines
from flows.sources.files.archives import opened
from flows.sources.files.dialect import Dialect, read_dialect, split_widths
from flows.sources.files.encoding import NO_UTF_8
from flows.sources.files.landing import (
    LANDED,
    ColumnNames,
    FileRecords,
    Reading,
    bound_memory,
    insert_arrow,
    land,
    number_and_name,
    packed_paths_of,
)
from flows.sources.suggestions import count_like_data

RECORDS_A_PIECE = 50_000


def read_csv(reading: Reading, files: Sequence[SourceFile]) -> Iterator[FileRecords]:
    """Yield the records of CSV files, every column as text, and those that are malformed.

    Neighbours of the same header are read in one statement with explicit columns; a file that DuckDB refuses is read
    again record by record. Columns that only some files have are null for the others.
    """
    connection, columns = reading.connection, ColumnNames()
    dialects = [(read_dialect(file, reading), file) for file in files]
    written = [(dialect, file) for dialect, file in dialects if dialect.columns]
    own = {dialect: [columns.add(name) for name in dialect.columns] for dialect, _ in written}
    bound_memory(connection, sum(1 for _ in columns))
    listed = "".join(f", {name} varchar" for name, _ in columns)
    connection.execute(f"create or replace temp table {LANDED} (_at bigint, _row bigint{listed})")
    rejected: list[Rejected] = []
    at = 0
    for dialect, alike in groupby(written, key=lambda one: one[0]):
        neighbours = [file for _, file in alike]
        steps = (
            partial(_insert, connection, dialect, own[dialect]),
            partial(_read_again, connection, dialect, own[dialect]),
            partial(_count, dialect),
        )
        rejected += land(connection, neighbours, at, *steps)
        at += len(neighbours)
    records = number_and_name(connection, [file for _, file in written], columns)
    yield FileRecords(tuple(files), records, tuple(rejected), tuple(_describe(written, reading)))


def _describe(written: Sequence[tuple[Dialect, SourceFile]], reading: Reading) -> Iterator[str]:
    """Describe headers that look like records, without their names."""
    like_data = [(count_like_data(one.columns), file) for one, file in written if one.has_header]
    if found := [(count, file) for count, file in like_data if count]:
        count, file = found[0]
        others = f", and {len(found) - 1:,} further files" if len(found) > 1 else ""
        like_values = f"{count:,} names in the header of {file.name}{others} look like values"
        yield f"{reading.table}: {like_values}. {reading.name_columns}"


def _insert(
    connection: duckdb.DuckDBPyConnection, dialect: Dialect, own: list[str], files: Sequence[SourceFile], first: int
) -> None:
    if dialect.widths:
        raise duckdb.InvalidInputException("DuckDB reads no files of fixed width")
    columns = ", ".join(f"{name}: 'VARCHAR'" for name in own)
    connection.execute(
        f"insert into {LANDED} by name select *, file_index + {first} as _at from read_csv({packed_paths_of(files)}, "
        f"auto_detect = false, header = {dialect.has_header}, delim = {literal(dialect.delimiter)}, "
        f"quote = {literal(dialect.quote)}, escape = {literal(dialect.quote)}, nullstr = '', strict_mode = true, "
        f"skip = {dialect.skip}, hive_partitioning = false, columns = {{{columns}}})"
    )


def _count(dialect: Dialect, file: SourceFile) -> int:
    """Count a file's records: the lines that are not empty, or all lines if there is one column."""
    with opened(file.path) as stream:
        stream.read(dialect.start)
        found, empty = lines.count_lines(stream, dialect.quote.encode())
    return found if len(dialect.columns) == 1 else found - empty


def _read_again(
    connection: duckdb.DuckDBPyConnection, dialect: Dialect, own: list[str], file: SourceFile, at: int
) -> list[Rejected]:
    """Read a file in which some record is malformed, record by record."""
    good: list[pa.Table] = [_to_table(own, [])]
    rejected: list[Rejected] = []
    numbered = enumerate(_records(file, dialect), start=1)
    while piece := list(islice(numbered, RECORDS_A_PIECE)):
        good.append(_to_table(own, [(number, fields) for number, (_, fields, _) in piece if fields is not None]))
        rejected += [
            Rejected(raw, reason, f"{file.name}:{number}") for number, (raw, fields, reason) in piece if fields is None
        ]
    insert_arrow(connection, pa.concat_tables(good), at)
    return rejected


def _to_table(own: list[str], records: list[tuple[int, list[str]]]) -> pa.Table:
    cells = {name: [fields[at] or None for _, fields in records] for at, name in enumerate(own)}
    columns = {name: pa.array(values, pa.string()) for name, values in cells.items()}
    return pa.table({**columns, "_row": pa.array([number for number, _ in records], pa.int64())})


def _records(file: SourceFile, dialect: Dialect) -> Iterator[tuple[bytes, list[str] | None, str]]:
    """Yield each record's bytes with its fields, or with None and a reason."""
    csv.field_size_limit(lines.LARGEST_RECORD)
    with opened(file.path) as stream:
        stream.read(dialect.start)
        following = lines.NextLines(lines.split_lines(stream))
        while (first := next(iter(following), None)) is not None:
            if not first.strip() and len(dialect.columns) > 1 and dialect.delimiter.encode() not in first:
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


def _parse(first: bytes, following: lines.NextLines, dialect: Dialect) -> tuple[list[str] | None, int, str]:
    """Parse the record that the next lines begin with; return its fields, its number of lines, and any reason."""
    if len(first) > lines.LARGEST_RECORD:
        cut = f": of {first.length:,} the first {len(first):,} are kept" if isinstance(first, lines.CutLine) else ""
        return None, 1, f"is longer than {lines.LARGEST_RECORD:,} bytes{cut}"
    used = 0

    def decoded() -> Iterator[str]:
        nonlocal used
        for line in following:
            used += 1
            yield line.decode("utf-8")

    try:
        if dialect.widths:
            return _fixed(next(decoded()), dialect.widths)
        fields = next(csv.reader(decoded(), delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)) or [""]
    except UnicodeDecodeError:
        return None, 1, NO_UTF_8
    except (csv.Error, StopIteration):
        return None, 1, "has a quote that is not closed, or text behind one"
    return fields, used, ""


def _fixed(line: str, widths: Sequence[int]) -> tuple[list[str] | None, int, str]:
    text, width = line.rstrip(), sum(widths)
    if len(text) > width:
        return None, 1, f"has {len(text):,} characters, the widths {width:,}"
    return split_widths(text, widths), 1, ""
