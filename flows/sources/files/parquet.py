"""Parquet files, read as they are typed; a file whose types differ from its neighbours' is read by itself."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import duckdb
import pyarrow as pa
from pyarrow import parquet

from flows.core.errors import SourceFailed
from flows.core.names import folded, identifier
from flows.sources.batches import SourceFile
from flows.sources.files.dialect import require_columns
from flows.sources.files.landing import (
    LANDED,
    ColumnNames,
    FileRecords,
    Reading,
    bound_memory,
    number_and_name,
    paths_of,
)
from flows.sources.json_records import refuse_colliding_names
from flows.sources.mapping import UNTYPED

VIRTUAL = {"file_index", "file_row_number", "filename"}
"""Columns that DuckDB gives every file, unless the file has a column of that name."""

ROWS_A_PIECE = 20_000


@dataclass(frozen=True)
class Columns:
    """The columns of a file with their DuckDB types, and whether DuckDB reads all of them as they are.

    `unit` is that of times of the old type INT96: Arrow would read the year 9999 wrong in nanoseconds.
    """

    types: Mapping[str, str]
    is_exact: bool
    unit: str = "us"


def read_parquet(reading: Reading, files: Sequence[SourceFile]) -> Iterator[FileRecords]:
    """Yield the records of Parquet files, in groups of neighbours whose common columns have the same types.

    Columns that only some files of a group have are null for the others. Raises SourceFailed if a file is no Parquet.
    """
    group: list[SourceFile] = []
    types: dict[str, tuple[str, str]] = {}
    for file in files:
        columns = _columns(file, reading)
        if group and not (columns.is_exact and _agree(types, columns.types)):
            yield _read(reading, group, types)
            group, types = [], {}
        if not columns.is_exact:
            yield _read_by_arrow(reading, file, columns.unit)
            continue
        group.append(file)
        for name, kind in columns.types.items():
            if types.get(folded(name), (name, UNTYPED))[1] == UNTYPED:
                types[folded(name)] = name, kind
    if group:
        yield _read(reading, group, types)


def _agree(types: Mapping[str, tuple[str, str]], found: Mapping[str, str]) -> bool:
    known = {name: types.get(folded(name), (name, UNTYPED))[1] for name in found}
    return all(UNTYPED in (known[name], kind) or known[name] == kind for name, kind in found.items())


def _columns(file: SourceFile, reading: Reading) -> Columns:
    """Return a file's columns; DuckDB cannot be given a path with a backslash, nor take a name of its own columns."""
    try:
        with parquet.ParquetFile(file.path) as opened:
            schema, physical = opened.schema_arrow, opened.schema
        refuse_colliding_names(reading.table, schema.names)
        require_columns(
            file, schema.names, reading, f"Map it in {reading.place}, or make it nullable.", shown=schema.names
        )
        is_odd = "\\" in str(file.path) or not VIRTUAL.isdisjoint(map(str.casefold, schema.names))
        old_times = [one.path for one in map(physical.column, range(len(physical))) if one.physical_type == "INT96"]
        is_fine = bool(old_times) and _has_nanoseconds(file, old_times, reading)
        if is_odd or is_fine or "decimal256" in str(schema.types):
            return Columns({}, is_exact=False, unit="ns" if is_fine else "us")
        sql = f"describe from read_parquet({paths_of([file])}, hive_partitioning = false)"
        found = reading.connection.execute(sql).fetchall()
    except (duckdb.Error, pa.ArrowException) as error:
        raise _unreadable(file, reading, error) from None
    return Columns({name: kind for name, kind, *_ in found}, is_exact=True)


def _has_nanoseconds(file: SourceFile, old_times: list[str], reading: Reading) -> bool:
    """Tell whether columns of the old type INT96 have nanoseconds, which DuckDB cuts.

    Raises SourceFailed if a file has years as well that nanoseconds do not reach: no type holds both.
    """
    found = is_too_far = False
    with (
        parquet.ParquetFile(file.path) as fine,
        parquet.ParquetFile(file.path, coerce_int96_timestamp_unit="us") as coarse,
    ):
        readers = (one.iter_batches(ROWS_A_PIECE, columns=old_times) for one in (fine, coarse))
        for exact, cut in zip(*readers, strict=True):
            whole = pa.Table.from_batches([cut])
            found |= not whole.cast(exact.schema, safe=False).equals(pa.Table.from_batches([exact]))
            try:
                whole.cast(exact.schema)
            except pa.ArrowInvalid:
                is_too_far = True
    if found and is_too_far:
        cause = f"{file.name}: its column {old_times[0]} has nanoseconds beside years that these do not reach"
        raise SourceFailed(reading.table, cause, "Write its times with microseconds, or as text.")
    return found


def _read(reading: Reading, files: Sequence[SourceFile], types: Mapping[str, tuple[str, str]]) -> FileRecords:
    columns = ColumnNames()
    bound_memory(reading.connection, len(types))
    listed = [f"{identifier(name)} as {columns.add(name)}" for name, kind in types.values() if kind != UNTYPED]
    try:
        reading.connection.execute(
            f"create or replace temp table {LANDED} as "
            f"select {', '.join([*listed, 'file_index::bigint as _at', 'file_row_number + 1 as _row'])} "
            f"from read_parquet({paths_of(files)}, union_by_name = true, hive_partitioning = false)"
            + ("" if reading.look is None else f" limit {reading.look + 1}")
        )
    except duckdb.Error as error:
        raise _unreadable(files[-1], reading, error) from None
    untyped = [name for name, kind in types.values() if kind == UNTYPED]
    return FileRecords(tuple(files), number_and_name(reading.connection, files, columns, untyped))


def _read_by_arrow(reading: Reading, file: SourceFile, unit: str) -> FileRecords:
    """Read a file whose columns have the names of DuckDB's own, or decimals that DuckDB would round."""
    columns = ColumnNames()
    with parquet.ParquetFile(file.path, coerce_int96_timestamp_unit=unit) as opened:
        found = opened.schema_arrow
        schema = pa.schema([(columns.add(field.name), _exact(field, file, reading)) for field in found])
        try:
            pieces = (
                piece
                for one in islice(opened.iter_batches(ROWS_A_PIECE), None if reading.look is None else 1)
                for piece in pa.Table.from_batches([one]).rename_columns(schema.names).cast(schema).to_batches()
            )
            rows = pa.RecordBatchReader.from_batches(schema, pieces)
            reading.connection.register("arrow_file", rows)
            reading.connection.execute(
                f"create or replace temp table {LANDED} as "
                "select *, 0::bigint as _at, null::bigint as _row from arrow_file"
            )
        except (duckdb.Error, pa.ArrowException) as error:
            raise _unreadable(file, reading, error) from None
        finally:
            reading.connection.unregister("arrow_file")
    return FileRecords((file,), number_and_name(reading.connection, [file], columns))


def _exact(field: pa.Field, file: SourceFile, reading: Reading) -> pa.DataType:
    """Return the type as which DuckDB takes a column from Arrow without a loss."""
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if not pa.types.is_decimal256(kind) and "decimal256" in str(kind):
        raise SourceFailed(
            reading.table,
            f"{file.name}: its column {field.name!r} holds decimals of more than 38 digits within nested values",
            "Write them as text.",
        )
    return pa.string() if pa.types.is_decimal256(kind) else kind


def _unreadable(file: SourceFile, reading: Reading, error: Exception) -> SourceFailed:
    return SourceFailed(
        reading.table,
        f"{file.name}, or a file that was read with it, cannot be read as Parquet: {type(error).__name__}",
        "Fix the file.",
    )
