"""Files: CSV, JSON lines, JSON, Parquet, images and texts, by extension; folders, globs, gzip, members of archives."""

import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import ClassVar

import duckdb
import pyarrow as pa
from pyarrow import parquet

from flows.config.connections import Connection, TableMapping
from flows.core.errors import SourceFailed
from flows.core.names import identifier, literal
from flows.core.relation import Relation
from flows.sources.batches import Batch, Rejected, Request, SourceFile
from flows.sources.files.archives import members, require_bounded
from flows.sources.files.csv import Dialect, opened, read_dialect, read_record_by_record
from flows.sources.files.documents import IMAGES, TEXTS, read_images, read_texts
from flows.sources.json_records import LONG_NUMBER, has_long_fraction, keep_digits, land_json, refuse_colliding_names

BYTES_A_BATCH = 64 * 1024 * 1024
BYTES_A_BATCH_OF_CONTENTS = 16 * 1024 * 1024
"""Where a file is one record, its bytes are held several times on their way."""

FILES_A_BATCH = 500
KINDS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "lines", ".ndjson": "lines", ".json": "json"} | {
    ".parquet": "parquet",
    **IMAGES,
    **TEXTS,
}
LANDED = "landed_files"
LANDED_RECORDS = "landed_records"
LINES_A_PIECE = 50_000
RECORD_TEXTS = pa.schema([("_record", pa.string()), ("_row", pa.int64())])
ONE_COLUMN = (
    "auto_detect = false, header = false, delim = '\x01', quote = '', escape = '', nullstr = '\n', "
    "strict_mode = true, hive_partitioning = false, columns = {'_record': 'VARCHAR'}"
)
"""Makes a CSV reader split a file into lines, several threads at once: a line with such a delimiter is refused."""
BROKEN = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError)
"""What the standard library raises for a file or archive that is cut short, damaged, encrypted or out of reach."""


@dataclass(frozen=True)
class FileTable:
    """Files that together are one table, in the order of their names."""

    runs_query: ClassVar[bool] = False

    connection: Connection
    mapping: TableMapping

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield batches of whole files; those whose content is known already are counted, not read."""
        waiting: list[SourceFile] = []
        found = known_rows = 0
        for file in self._files(request.work):
            found += 1
            rows = request.known_rows(file)
            if rows is None:
                self._require_bounded(file)
                waiting.append(file)
            else:
                known_rows += rows
                _forget_copy(file, request.work)
            if len(waiting) >= FILES_A_BATCH or sum(one.size for one in waiting) >= _most_bytes(file):
                yield self._read(connection, waiting, request)
                waiting = []
        if not found:
            raise SourceFailed(
                str(self.mapping.name),
                f"no file matches {self.mapping.origin}",
                "Fix the url or `from` in connections.yml.",
            )
        if waiting:
            yield self._read(connection, waiting, request)
        if known_rows:
            yield Batch(None, read=known_rows, known_rows=known_rows)

    def _files(self, work: Path) -> Iterator[SourceFile]:
        root = Path(self.connection.url().removeprefix("file:").removeprefix("//")).expanduser()
        origin, bang, pattern = self.mapping.origin.partition("!")
        at = origin
        try:
            for path in _matching(root / origin):
                at = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
                if bang:
                    for name, copy in members(path, pattern, work):
                        yield _fingerprint(copy, f"{at}!{name}")
                else:
                    yield _fingerprint(path, at)
        except BROKEN as error:
            raise self._broken(at, error) from None

    def _require_bounded(self, file: SourceFile) -> None:
        try:
            require_bounded(file.path)
        except BROKEN as error:
            raise self._broken(file.name, error) from None

    def _broken(self, name: str, error: Exception) -> SourceFailed:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return SourceFailed(str(self.mapping.name), f"{name}: {cause}", "Fix the file, then run again.")

    def _read(self, connection: duckdb.DuckDBPyConnection, files: list[SourceFile], request: Request) -> Batch:
        table = str(self.mapping.name)
        kinds = {_kind(file.name) for file in files}
        if len(kinds) > 1 or None in kinds:
            names = ", ".join(sorted({Path(file.name).suffix for file in files}))
            raise SourceFailed(
                table, f"cannot read files of {names} as one table", f"One of {', '.join(sorted(KINDS))} is expected."
            )
        try:
            match kinds.pop():
                case "csv":
                    records, rejected = read_csv_files(connection, files, table)
                case "parquet":
                    records, rejected = _read_parquet(connection, files, table)
                case "image":
                    records, rejected = read_images(connection, files)
                case "text":
                    records, rejected = read_texts(connection, files)
                case kind:
                    records, rejected = _read_json(connection, files, table, as_lines=kind == "lines")
        except (*BROKEN, duckdb.Error):
            for file in files:
                if cause := _damage(file):
                    raise self._broken(file.name, cause) from None
            raise
        for file in files:
            _forget_copy(file, request.work)
        return Batch(records, read=records.count() + len(rejected), rejected=rejected, files=tuple(files))


def read_csv_files(
    connection: duckdb.DuckDBPyConnection, files: list[SourceFile], table: str
) -> tuple[Relation, tuple[Rejected, ...]]:
    """Read CSV files, every column as text; return their records, and those that are malformed.

    Files of the same header are read in one statement with explicit columns; those that DuckDB cannot read so are read
    again record by record. Columns that only some files have are null for the others.
    """
    connection.execute(f"create or replace temp table {LANDED} (_at bigint, _row bigint)")
    rejected: list[Rejected] = []
    landed: list[SourceFile] = []
    for dialect, alike in _by_dialect(files, table):
        _add_columns(connection, dialect.columns)
        try:
            _insert_csv(connection, dialect, alike, len(landed))
        except duckdb.Error:
            for at, file in enumerate(alike, start=len(landed)):
                rejected += _read_one_csv(connection, dialect, file, at)
        landed += alike
    return _number_and_name(connection, landed), tuple(rejected)


def _by_dialect(files: list[SourceFile], table: str) -> Iterator[tuple[Dialect, list[SourceFile]]]:
    groups: dict[Dialect, list[SourceFile]] = {}
    for file in files:
        dialect = read_dialect(file.path)
        if dialect.columns:
            refuse_colliding_names(table, list(dialect.columns))
            groups.setdefault(dialect, []).append(file)
    yield from groups.items()


def _add_columns(connection: duckdb.DuckDBPyConnection, columns: tuple[str, ...]) -> None:
    for column in columns:
        connection.execute(f"alter table {LANDED} add column if not exists {identifier(column)} varchar")


def _insert_csv(connection: duckdb.DuckDBPyConnection, dialect: Dialect, files: list[SourceFile], first: int) -> None:
    """Land files; `_at` is a file's place among all that are landed: a number is joined faster than a path."""
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in dialect.columns)
    names = ", ".join(literal(str(file.path)) for file in files)
    connection.execute(
        f"insert into {LANDED} by name select *, file_index + {first} as _at from read_csv([{names}], "
        f"auto_detect = false, header = true, delim = {literal(dialect.delimiter)}, quote = '\"', escape = '\"', "
        f"nullstr = '', strict_mode = true, skip = {dialect.blank_lines}, "
        f"hive_partitioning = false, columns = {{{columns}}})"
    )


def _read_one_csv(connection: duckdb.DuckDBPyConnection, dialect: Dialect, file: SourceFile, at: int) -> list[Rejected]:
    try:
        _insert_csv(connection, dialect, [file], at)
    except duckdb.Error:
        good, rejected = read_record_by_record(file, dialect)
        connection.register("arrow_csv", good)
        connection.execute(f"insert into {LANDED} by name select *, {at} as _at from arrow_csv")
        connection.unregister("arrow_csv")
        return rejected
    return []


def _number_and_name(connection: duckdb.DuckDBPyConnection, files: list[SourceFile]) -> Relation:
    """Return what was landed: rows numbered within their file as they came, files by the names that users know."""
    names = pa.table({"_at": pa.array(range(len(files)), pa.int64()), "_file": [file.name for file in files]})
    connection.register("arrow_names", names)
    connection.execute(
        "create or replace temp table landed_names as select _at, _file, first from arrow_names "
        f"inner join (select _at, min(rowid) as first from {LANDED} group by _at) using (_at)"
    )
    connection.unregister("arrow_names")
    return Relation.view(
        connection,
        LANDED_RECORDS,
        "select landed.* exclude (_at, _row), named._file, "
        "coalesce(landed._row, landed.rowid - named.first + 1) as _row "
        f"from {LANDED} as landed inner join landed_names as named on landed._at = named._at",
    )


def _read_parquet(
    connection: duckdb.DuckDBPyConnection, files: list[SourceFile], table: str
) -> tuple[Relation, tuple[Rejected, ...]]:
    names = ", ".join(literal(str(file.path)) for file in files)
    try:
        for file in files:
            refuse_colliding_names(table, parquet.read_schema(file.path).names)
        connection.execute(
            f"create or replace temp table {LANDED} as "
            "select *, file_index as _at, file_row_number + 1 as _row "
            f"from read_parquet([{names}], union_by_name = true, hive_partitioning = false)"
        )
    except (duckdb.Error, pa.ArrowInvalid) as error:
        raise SourceFailed(
            table,
            f"{file.name} or a file beside it cannot be read as Parquet: {type(error).__name__}",
            "Fix the file.",
        ) from None
    return _number_and_name(connection, files), ()


def _read_json(
    connection: duckdb.DuckDBPyConnection, files: list[SourceFile], table: str, *, as_lines: bool
) -> tuple[Relation, tuple[Rejected, ...]]:
    """Read JSON files; one that DuckDB cannot split into records is split in Python."""
    connection.execute(f"create or replace temp table {LANDED} (_record varchar, _at bigint, _row bigint)")
    rejected: list[Rejected] = []
    try:
        _insert_json(connection, files, 0, as_lines=as_lines)
    except duckdb.Error:
        for at, file in enumerate(files):
            rejected += _read_one_json(connection, file, at, as_lines=as_lines)
    records, no_objects = land_json(_number_and_name(connection, files), table)
    return records, (*rejected, *no_objects)


def _insert_json(connection: duckdb.DuckDBPyConnection, files: list[SourceFile], first: int, *, as_lines: bool) -> None:
    """Land records as texts; numbers that a double cannot hold become texts within them."""
    names = ", ".join(literal(str(file.path)) for file in files)
    if as_lines:
        read, record = f"read_csv([{names}], {ONE_COLUMN})", "_record"
    else:
        read, record = f"read_json_objects([{names}], format = 'array')", "cast(json as varchar)"
    if any(_has_long_fraction(file) for file in files):
        with suppress(duckdb.CatalogException):  # it was made for an earlier batch
            connection.create_function("keep_digits", keep_digits, ["VARCHAR"], "VARCHAR")
        record = (
            f"case when regexp_matches({record}, '{LONG_NUMBER.pattern}') then keep_digits({record}) else {record} end"
        )
    connection.execute(
        f"insert into {LANDED} by name "
        f"select coalesce({record}, '') as _record, file_index + {first} as _at from {read}"
    )


def _has_long_fraction(file: SourceFile) -> bool:
    with opened(file.path) as stream:
        return has_long_fraction(stream)


def _read_one_json(
    connection: duckdb.DuckDBPyConnection, file: SourceFile, at: int, *, as_lines: bool
) -> list[Rejected]:
    rejected: list[Rejected] = []
    try:
        _insert_json(connection, [file], at, as_lines=as_lines)
    except duckdb.Error:
        pieces = _json_pieces(file, rejected, as_lines=as_lines)
        connection.register("arrow_json", pa.RecordBatchReader.from_batches(RECORD_TEXTS, pieces))
        connection.execute(f"insert into {LANDED} by name select *, {at} as _at from arrow_json")
        connection.unregister("arrow_json")
    return rejected


def _json_pieces(file: SourceFile, rejected: list[Rejected], *, as_lines: bool) -> Iterator[pa.RecordBatch]:
    """Yield a file's records as texts, a bounded number at a time; those that are no text are rejected."""
    with opened(file.path) as stream:
        raws = stream if as_lines else _array_members(stream.read(), file, rejected)
        numbered = enumerate((raw for raw in raws if raw.strip()), start=1)
        while piece := list(islice(numbered, LINES_A_PIECE)):
            texts, rows = [], []
            for row, raw in piece:
                try:
                    texts.append(keep_digits(raw.decode("utf-8-sig" if row == 1 else "utf-8").rstrip("\r\n")))
                    rows.append(row)
                except UnicodeDecodeError:
                    rejected.append(Rejected(raw.rstrip(b"\r\n"), "is no UTF-8", f"{file.name}:{row}"))
            yield pa.RecordBatch.from_arrays(
                [pa.array(texts, pa.string()), pa.array(rows, pa.int64())], schema=RECORD_TEXTS
            )


def _array_members(content: bytes, file: SourceFile, rejected: list[Rejected]) -> list[bytes]:
    """Split a JSON document into its records: the members of a list, or the one object that it is.

    One that begins with an object on a line of its own holds JSON lines, whatever it is called.
    """
    with duckdb.connect() as connection:
        try:
            text = keep_digits(content.decode("utf-8-sig"))
            kind = _json_type(connection, text) or _json_type(connection, text.lstrip().partition("\n")[0])
        except UnicodeDecodeError:
            kind = None
        if kind == "OBJECT":
            is_one = _json_type(connection, text) == "OBJECT"
            return [text.replace("\n", " ").encode()] if is_one else content.splitlines()
        if kind != "ARRAY":
            rejected.append(Rejected(content, "is no JSON", f"{file.name}:1"))
            return []
        sql = "select coalesce(unnest(from_json($text, '[\"json\"]'))::varchar, 'null')"
        return [member.encode() for (member,) in connection.execute(sql, {"text": text}).fetchall()]


def _json_type(connection: duckdb.DuckDBPyConnection, text: str) -> str | None:
    sql = "select case when json_valid($text) then json_type($text) end"
    return connection.execute(sql, {"text": text}).fetchall()[0][0]  # type: ignore[no-any-return]


def _kind(name: str) -> str | None:
    return KINDS.get(Path(name.removesuffix(".gz")).suffix.lower())


def _most_bytes(file: SourceFile) -> int:
    return BYTES_A_BATCH_OF_CONTENTS if _kind(file.name) in ("image", "text") else BYTES_A_BATCH


def _matching(place: Path) -> list[Path]:
    """Return the files that a path, folder or glob names, by name; without an extension any known one is taken."""
    if place.is_file():
        return [place]
    if place.is_dir():
        return sorted(path for path in place.rglob("*") if path.is_file() and _kind(path.name))
    anchor = Path(place.anchor)
    pattern = str(place.relative_to(anchor)) if place.is_absolute() else str(place)
    if not any(sign in pattern for sign in "*?["):
        return sorted(path for path in place.parent.glob(f"{place.name}.*") if _kind(path.name))
    return sorted(path for path in (anchor if place.is_absolute() else Path()).glob(pattern) if path.is_file())


def _forget_copy(file: SourceFile, work: Path) -> None:
    if work in file.path.parents:
        file.path.unlink()


def _damage(file: SourceFile) -> Exception | None:
    try:
        with opened(file.path) as stream:
            while stream.read(1024 * 1024):
                pass
    except BROKEN as error:
        return error
    return None


def _fingerprint(path: Path, name: str) -> SourceFile:
    """Say what tells a file from another: its content, and the name too where that is part of its one record."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if _kind(name) in ("image", "text"):
        digest = hashlib.sha256(f"{digest} {name}".encode()).hexdigest()
    return SourceFile(name, digest, path, path.stat().st_size)
