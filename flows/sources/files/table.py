"""Files as a table: which files it has, in which batches they are read, and by which format's reader."""

import hashlib
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import duckdb

from flows.config.connections import Connection, TableMapping
from flows.core.errors import SourceFailed
from flows.core.object_store import S3Failed, S3Path
from flows.sources.batches import Batch, Request, SourceFile
from flows.sources.files.archives import RefusedError, members, opened, require_bounded
from flows.sources.files.beginning import (
    MOST_FILES,
    Beginning,
    choose,
    cut_document,
    cut_lines,
    without_cut_records,
)
from flows.sources.files.csv import read_csv
from flows.sources.files.documents import IMAGES, TEXTS, read_images, read_texts
from flows.sources.files.encoding import as_utf_8
from flows.sources.files.excel import read_excel
from flows.sources.files.json import read_json_documents, read_json_lines
from flows.sources.files.landing import Reader, Reading
from flows.sources.files.matching import matching_files, root_of
from flows.sources.files.parquet import read_parquet
from flows.sources.files.sheets import WORKBOOK, split_origin

READERS: dict[str, Reader] = {
    **dict.fromkeys((".csv", ".tsv", ".txt"), read_csv),
    **dict.fromkeys((".jsonl", ".ndjson"), read_json_lines),
    ".json": read_json_documents,
    ".parquet": read_parquet,
    WORKBOOK: read_excel,
    **dict.fromkeys(IMAGES, read_images),
    **dict.fromkeys(TEXTS, read_texts),
}
DOCUMENT_READERS: tuple[Reader, ...] = (read_images, read_texts)
"""Readers of files that are one record each, with their name."""

TEXT_READERS: tuple[Reader, ...] = (read_csv, read_json_lines, read_json_documents, read_texts)
"""Readers of files that have an encoding."""

FILES_A_BATCH, NAMES_SHOWN = 500, 8
BYTES_A_BATCH = 64 * 1024 * 1024
BYTES_A_BATCH_OF_DOCUMENTS = 16 * 1024 * 1024
"""Memory holds the bytes of a document several times while it is read, and a workbook unpacks to ten times its size."""

FILE_ERRORS = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, RuntimeError)
"""Errors of the standard library for a file or archive that is cut short, damaged, encrypted or out of reach."""


@dataclass(frozen=True)
class FileTable:
    """Files that together are one table, in the order of their names."""

    runs_query: ClassVar[bool] = False

    connection: Connection
    mapping: TableMapping

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield batches of whole files; count those whose content was loaded before, and do not read them."""
        if request.look is not None:
            yield from self._look(connection, request, request.look)
            return
        waiting: list[SourceFile] = []
        found = known_rows = 0
        for file in self.files(request.work):
            found += 1
            rows = request.known_rows(file)
            if rows is None:
                file = self._fetched(file, request.work)
                self._require_bounded(file)
                waiting.append(file)
            else:
                known_rows += rows
                _remove_copy(file.path, request.work)
            if len(waiting) >= FILES_A_BATCH or sum(one.size for one in waiting) >= _most_bytes(file):
                yield from self._read(connection, waiting, request)
                waiting = []
        if not found:
            raise self._no_file()
        if waiting:
            yield from self._read(connection, waiting, request)
        if known_rows:
            yield Batch(None, read=known_rows, known_rows=known_rows)

    def files(self, work: Path) -> Iterator[SourceFile]:
        """Yield all files in the natural order of their names; members of archives are copied to a folder.

        A file on S3 stays there: its size and entity tag say whether its content was read before.
        """
        for path, name in self._named(work):
            yield _fingerprint(path, name)

    def _look(self, connection: duckdb.DuckDBPyConnection, request: Request, records: int) -> Iterator[Batch]:
        """Yield the first records of the first and last files, in one batch, with the columns of all these files."""
        found = list(self._named(request.work, MOST_FILES))
        files = [SourceFile(name, "", path, path.stat().st_size) for path, name in choose(found)]
        chosen = [self._fetched(file, request.work) for file in files]
        if not chosen:
            raise self._no_file()
        is_utf_8, cut = self.mapping.format.is_utf_8, list[Beginning]()
        for file in chosen:
            if reader_of(file.name) is read_json_documents and is_utf_8:
                cut.append(cut_document(file, request.work, records))
            elif reader_of(file.name) in (read_csv, read_json_lines):
                cut.append(cut_lines(file, request.work, len(chosen), is_utf_8=is_utf_8))
            else:
                cut.append(Beginning(file))
        is_whole = len(chosen) == len(found) < MOST_FILES and not any(one.is_cut for one in cut)
        names_columns = self._common_reader(chosen) in (read_csv, read_parquet, read_excel)
        for batch in self._read(connection, [one.file for one in cut], request):
            yield replace(
                batch,
                rejected=without_cut_records(batch.rejected, cut),
                is_whole=is_whole and len(batch.files) == len(chosen),
                has_all_columns=len(batch.files) == len(found) < MOST_FILES and (is_whole or names_columns),
            )
            return

    def _no_file(self) -> SourceFailed:
        """Return the error of a mapping that names no file; it shows the names of some that are there."""
        there = sorted(path.name for path in self._root.glob("*"))[:NAMES_SHOWN] if self._root.is_dir() else None
        names = ", ".join(one.encode(errors="replace").decode() for one in there or ())
        shown = "; its folder does not exist" if there is None else f"; its folder has {names or 'no file'}"
        return SourceFailed(
            str(self.mapping.name),
            f"no file matches {self.mapping.origin}{shown}",
            f"Fix the url or `from` in {self.mapping.place}.",
        )

    @property
    def _root(self) -> Path:
        return root_of(self.connection.url())

    def _fetched(self, file: SourceFile, work: Path) -> SourceFile:
        """Return a file that this machine has: a copy of one on S3."""
        if not isinstance(file.path, S3Path):
            return file
        try:
            return replace(file, path=_copy_to(file.path, work))
        except FILE_ERRORS as error:
            raise self._failed(file.name, error) from None

    def _named(self, work: Path, most: int | None = None) -> Iterator[tuple[Path, str]]:
        """Yield the paths and names of all files; of each archive `most` members at most."""
        root = self._root
        files, _ = split_origin(self.mapping.origin)
        origin, separator, pattern = files.partition("!")
        if separator and (root / files).is_file():
            origin, separator = files, ""
        name = origin
        try:
            for path in matching_files(root, origin, is_known=lambda name: reader_of(name) is not None):
                name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
                if not name.isascii() and not _is_utf_8(name):
                    raise RefusedError("its name is no UTF-8; rename it")
                if separator:
                    archive = _copy_to(path, work) if isinstance(path, S3Path) else path
                    for member, copy in members(archive, pattern, work, most):
                        yield copy, f"{name}!{member}"
                    _remove_copy(archive, work)
                else:
                    yield path, name
        except FILE_ERRORS as error:
            raise self._failed(name, error) from None

    def _require_bounded(self, file: SourceFile) -> None:
        try:
            require_bounded(file.path)
        except FILE_ERRORS as error:
            raise self._failed(file.name, error) from None

    def _failed(self, name: str, error: Exception) -> SourceFailed:
        if isinstance(error, S3Failed):
            cause = f"{error.place}: {error.cause}"
            return SourceFailed(str(self.mapping.name), cause, error.remedy, error.is_transient)
        cause = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        shown = name.encode(errors="replace").decode()
        return SourceFailed(str(self.mapping.name), f"{shown}: {cause}", "Fix the file, then run again.")

    def _read(
        self, connection: duckdb.DuckDBPyConnection, files: Sequence[SourceFile], request: Request
    ) -> Iterator[Batch]:
        reader = self._common_reader(files)
        mapping = self.mapping
        named = (str(mapping.name), mapping.place, mapping.format)
        reading = Reading(connection, *named, request.columns, request.look, split_origin(mapping.origin)[1])
        prepared: list[SourceFile] = []
        try:
            for file in files:
                prepared.append(as_utf_8(file, reading, request.work) if reader in TEXT_READERS else file)
            for found in reader(reading, prepared):
                read = found.records.count() + len(found.rejected)
                yield Batch(found.records, read, found.rejected, found.files, notes=found.notes)
        except (*FILE_ERRORS, duckdb.Error):
            for file in files:
                if cause := _damage(file):
                    raise self._failed(file.name, cause) from None
            raise
        for file in {*files, *prepared}:
            _remove_copy(file.path, request.work)

    def _common_reader(self, files: Sequence[SourceFile]) -> Reader:
        """Return the reader of all files; raises SourceFailed for several kinds, and for a format that does not fit."""
        table = str(self.mapping.name)
        readers = {reader_of(file.name) for file in files}
        reader = readers.pop()
        if readers or reader is None:
            names = ", ".join(sorted({Path(file.name).suffix for file in files}))
            raise SourceFailed(
                table, f"cannot read files of {names} as one table", f"One of {', '.join(sorted(READERS))} is expected."
            )
        given = self.mapping.format.model_fields_set
        fitting = {"header", "skip"} if reader is read_excel else {"encoding"} if reader in TEXT_READERS else set()
        if reader is not read_csv and not given <= fitting:
            raise SourceFailed(
                table,
                f"{files[0].name} is no CSV file, and its mapping has format: {', '.join(sorted(given))}",
                f"Fix {self.mapping.place}.format: encoding is for text, header and skip for workbooks, all for CSV.",
            )
        return reader


def reader_of(name: str) -> Reader | None:
    """Return the reader of a file by its name; None for a file of no known format."""
    return READERS.get(Path(name.lower().removesuffix(".gz")).suffix)


def _is_utf_8(name: str) -> bool:
    return name == name.encode(errors="replace").decode()


def _most_bytes(file: SourceFile) -> int:
    is_small = reader_of(file.name) in (*DOCUMENT_READERS, read_excel)
    return BYTES_A_BATCH_OF_DOCUMENTS if is_small else BYTES_A_BATCH


def _fingerprint(path: Path, name: str) -> SourceFile:
    """Return a file with the hash of its content; the name counts too for a document, whose record holds it."""
    size = path.stat().st_size
    if isinstance(path, S3Path):
        digest = f"{path.etag} {size}"
    else:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if reader_of(name) in DOCUMENT_READERS:
        digest = hashlib.sha256(f"{digest} {name}".encode()).hexdigest()
    return SourceFile(name, digest, path, size)


def _copy_to(path: S3Path, work: Path) -> Path:
    """Copy an object to a folder, under a name of our own with the endings of its own."""
    copy = work / f"object-{uuid4().hex}{''.join(path.suffixes[-2:])}"
    path.download(copy)
    return copy


def _remove_copy(path: Path, work: Path) -> None:
    if work in path.parents:
        path.unlink(missing_ok=True)


def _damage(file: SourceFile) -> Exception | None:
    """Return the error of reading a file to its end, if there is one."""
    try:
        with opened(file.path) as stream:
            while stream.read(1024 * 1024):
                pass
    except FILE_ERRORS as error:
        return error
    return None
