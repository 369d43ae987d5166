"""Files: CSV, JSON lines, JSON and Parquet, by extension; globs, gzip, and members of archives."""

import gzip
import hashlib
import shutil
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa

from flows.errors import SourceFailed
from flows.names import identifier, literal
from flows.sources.batches import SOURCE, Batch, Rejected, Request, SourceFile
from flows.sources.connections import Connection, TableMapping
from flows.sources.csv_records import Dialect, read_dialect, read_record_by_record
from flows.sources.json_records import land_json, refuse_colliding_names

BYTES_A_BATCH = 64 * 1024 * 1024
FILES_A_BATCH = 500
KINDS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "lines", ".ndjson": "lines", ".json": "json"} | {
    ".parquet": "parquet"
}
LANDED = "landed_files"


@dataclass(frozen=True)
class FileTable:
    """Files that together are one table, in the order of their names."""

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
                waiting.append(file)
            else:
                known_rows += rows
                file.path.unlink() if request.work in file.path.parents else None
            if len(waiting) >= FILES_A_BATCH or sum(one.size for one in waiting) >= BYTES_A_BATCH:
                yield self._read(connection, waiting, request)
                waiting = []
        if not found:
            raise SourceFailed(
                str(self.mapping.name),
                f"no file matches {self.mapping.origin}",
                "Mend the url or `from` in connections.yml.",
            )
        if waiting:
            yield self._read(connection, waiting, request)
        if known_rows:
            yield Batch(read=known_rows, known_rows=known_rows)

    def _files(self, work: Path) -> Iterator[SourceFile]:
        root = Path(self.connection.url().removeprefix("file:").removeprefix("//")).expanduser()
        place, bang, members = str(root / self.mapping.origin).partition("!")
        try:
            for path in _matching(Path(place)):
                if bang:
                    yield from _members(path, members, work)
                else:
                    yield _stamp(path, path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name)
        except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
            cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise SourceFailed(
                str(self.mapping.name), f"{self.mapping.origin}: {cause}", "Mend the file, then run again."
            ) from None

    def _read(self, connection: duckdb.DuckDBPyConnection, files: list[SourceFile], request: Request) -> Batch:
        table = str(self.mapping.name)
        kinds = {_kind(file.name) for file in files}
        if len(kinds) > 1 or None in kinds:
            names = ", ".join(sorted({Path(file.name).suffix for file in files}))
            raise SourceFailed(
                table, f"cannot read files of {names} as one table", f"One of {', '.join(sorted(KINDS))} is expected."
            )
        match kinds.pop():
            case "csv":
                rejected = read_csv_files(connection, files, table)
            case "parquet":
                rejected = _read_parquet(connection, files, table)
            case kind:
                rejected = _read_json(connection, files, table, as_lines=kind == "lines")
        for file in files:
            file.path.unlink() if request.work in file.path.parents else None
        records = connection.execute(f"select count(*) from {SOURCE}").fetchall()[0][0]
        return Batch(read=records + len(rejected), rejected=rejected, files=tuple(files))


def read_csv_files(
    connection: duckdb.DuckDBPyConnection, files: list[SourceFile], table: str
) -> tuple[Rejected, ...]:
    """Make `source` from CSV files, every column as text; return the records that are malformed.

    Files of the same header are read in one statement with explicit columns; those that DuckDB cannot read so are read
    again record by record. Columns that only some files have are null for the others.
    """
    connection.execute(f"create or replace temp table {LANDED} (_path varchar, _row bigint)")
    rejected: list[Rejected] = []
    for dialect, alike in _by_dialect(files, table):
        _add_columns(connection, dialect.columns)
        try:
            _insert_csv(connection, dialect, [file.path for file in alike])
        except duckdb.Error:
            for file in alike:
                rejected += _read_one_csv(connection, dialect, file)
    _number_and_name(connection, files)
    return tuple(rejected)


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


def _insert_csv(connection: duckdb.DuckDBPyConnection, dialect: Dialect, paths: list[Path]) -> None:
    columns = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in dialect.columns)
    names = ", ".join(literal(str(path)) for path in paths)
    connection.execute(
        f"insert into {LANDED} by name select * from read_csv([{names}], auto_detect = false, header = true, "
        f"delim = {literal(dialect.delimiter)}, quote = '\"', escape = '\"', nullstr = '', filename = '_path', "
        f"strict_mode = true, max_line_size = 100000000, columns = {{{columns}}})"
    )


def _read_one_csv(connection: duckdb.DuckDBPyConnection, dialect: Dialect, file: SourceFile) -> list[Rejected]:
    try:
        _insert_csv(connection, dialect, [file.path])
    except duckdb.Error:
        good, rejected = read_record_by_record(file, dialect)
        good = good.append_column("_path", pa.array([str(file.path)] * good.num_rows, pa.string()))
        connection.register("arrow_csv", good)
        connection.execute(f"insert into {LANDED} by name select * from arrow_csv")
        connection.unregister("arrow_csv")
        return rejected
    return []


def _number_and_name(connection: duckdb.DuckDBPyConnection, files: list[SourceFile]) -> None:
    """Make `source`: rows numbered within their file as they were inserted, files by the names that users know."""
    names = pa.table({"_path": [str(file.path) for file in files], "_file": [file.name for file in files]})
    connection.register("arrow_names", names)
    connection.execute("create or replace temp table landed_names as select * from arrow_names")
    connection.unregister("arrow_names")
    connection.execute(
        f"create or replace temp view {SOURCE} as "
        f"select landed.* exclude (_path, _row), named._file, "
        "coalesce(landed._row, landed.rowid - first_rows.first + 1) as _row "
        f"from {LANDED} as landed "
        "inner join landed_names as named on landed._path = named._path "
        f"inner join (select _path, min(rowid) as first from {LANDED} group by _path) as first_rows "
        "on landed._path = first_rows._path"
    )


def _read_parquet(
    connection: duckdb.DuckDBPyConnection, files: list[SourceFile], table: str
) -> tuple[Rejected, ...]:
    names = ", ".join(literal(str(file.path)) for file in files)
    try:
        connection.execute(
            f"create or replace temp table {LANDED} as select * exclude (file_row_number), file_row_number + 1 as _row "
            f"from read_parquet([{names}], union_by_name = true, filename = '_path', file_row_number = true)"
        )
    except duckdb.Error as error:
        raise SourceFailed(table, f"cannot be read as Parquet: {type(error).__name__}", "Mend the file.") from None
    _number_and_name(connection, files)
    return ()


def _read_json(
    connection: duckdb.DuckDBPyConnection, files: list[SourceFile], table: str, *, as_lines: bool
) -> tuple[Rejected, ...]:
    pieces: list[pa.Table] = []
    rejected: list[Rejected] = []
    for file in files:
        records: list[str] = []
        rows: list[int] = []
        with _opened(file.path) as stream:
            raws = stream if as_lines else _array_members(connection, stream.read(), file, rejected)
            for row, raw in enumerate(raws, start=1):
                if not raw.strip():
                    continue
                try:
                    records.append(raw.decode("utf-8-sig" if row == 1 else "utf-8").rstrip("\r\n"))
                    rows.append(row)
                except UnicodeDecodeError:
                    rejected.append(Rejected(raw.rstrip(b"\r\n"), "is no UTF-8", f"{file.name}:{row}"))
        names = pa.array([file.name] * len(records), pa.string())
        pieces.append(
            pa.table({"_record": pa.array(records, pa.string()), "_file": names, "_row": pa.array(rows, pa.int64())})
        )
    return (*rejected, *land_json(connection, pa.concat_tables(pieces), table))


def _array_members(
    connection: duckdb.DuckDBPyConnection, content: bytes, file: SourceFile, rejected: list[Rejected]
) -> list[bytes]:
    """Split a JSON document into its records: the members of a list, or the one object that it is."""
    try:
        text = content.decode("utf-8-sig")
        is_list = connection.execute("select json_type($text) = 'ARRAY'", {"text": text}).fetchall()[0][0]
    except (UnicodeDecodeError, duckdb.Error):
        rejected.append(Rejected(content, "is no JSON", f"{file.name}:1"))
        return []
    if not is_list:
        return [text.replace("\n", " ").encode()]
    members = connection.execute("select unnest(from_json($text, '[\"json\"]'))::varchar", {"text": text}).fetchall()
    return [member.encode() for (member,) in members]


def _kind(name: str) -> str | None:
    return KINDS.get(Path(name.removesuffix(".gz")).suffix.lower())


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _matching(place: Path) -> list[Path]:
    """Return the files that a path or glob names, by name; a path without an extension takes any known one."""
    if place.is_file():
        return [place]
    anchor = Path(place.anchor)
    pattern = str(place.relative_to(anchor)) if place.is_absolute() else str(place)
    if not any(sign in pattern for sign in "*?["):
        return sorted(path for path in place.parent.glob(f"{place.name}.*") if _kind(path.name))
    return sorted(path for path in (anchor if place.is_absolute() else Path()).glob(pattern) if path.is_file())


def _members(archive: Path, pattern: str, work: Path) -> Iterator[SourceFile]:
    """Yield an archive's regular files that match, each copied under a name of our own: theirs is never a path."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for entry in sorted(zipped.infolist(), key=lambda one: one.filename):
                if not entry.is_dir() and fnmatch(entry.filename, pattern):
                    with zipped.open(entry) as stream:
                        yield _copied(stream, f"{archive.name}!{entry.filename}", work)
        return
    with tarfile.open(archive) as tarred:
        members = [member for member in tarred.getmembers() if member.isfile() and fnmatch(member.name, pattern)]
    with tarfile.open(archive) as tarred:
        wanted = {member.name for member in members}
        for member in tarred:
            if member.name in wanted and member.isfile():
                stream = tarred.extractfile(member)
                assert stream is not None, "a regular file has content"
                yield _copied(stream, f"{archive.name}!{member.name}", work)


def _copied(stream: IO[bytes], name: str, work: Path) -> SourceFile:
    work.mkdir(parents=True, exist_ok=True)
    inner = name.rpartition("!")[2]
    path = work / (hashlib.sha256(name.encode()).hexdigest()[:16] + "".join(Path(inner).suffixes[-2:]))
    with path.open("wb") as copy:
        shutil.copyfileobj(stream, copy)
    return _stamp(path, name)


def _stamp(path: Path, name: str) -> SourceFile:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return SourceFile(name, digest, path, path.stat().st_size)
