"""The warehouse's own files and folders, should they be full, read-only, gone, damaged or of a newer engine."""

import errno
import logging
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
from deltalake.exceptions import DeltaError

from flows.core.errors import StorageFailed
from flows.core.object_store import S3Path, describe_s3
from flows.core.redaction import without_values

logger = logging.getLogger(__name__)

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
OUT_OF_REACH = {errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ESTALE}
OF_STORAGE = FULL | OUT_OF_REACH | {errno.EIO}
"""Error numbers of a volume that is full, read-only, broken or gone."""

DAMAGED = re.compile(r"Corrupt database|not a valid DuckDB|not read enough bytes|storage version number|Serialization")
"""DuckDB's errors for a file that was cut, overwritten, or written by a newer version."""

REBUILD = "Build it again from the lake: python -m flows elt --full-refresh"
TRY_AGAIN = "Look at the volume: room, rights, whether it is mounted. Then run again."


OF_THE_SYSTEM = "os error"
"""The words of the Delta library for an error that the system told: of a volume, not of what is written on it."""


def lake_table_name(path: Path) -> str:
    """Return the name of the table at a Delta table's path in a lake, such as crm.customers or ops/loads."""
    if path.parent.parent.name in ("raw", "quarantine"):
        return f"{path.parent.name}.{path.name}"
    depth = 2 if path.parent.parent.name == "ops" else 1  # ops/snapshots/customer_segments, ops/loads
    return str(path.relative_to(path.parents[depth]))


def lake_table_damaged(path: Path, cause: str) -> StorageFailed:
    """Return the error of a Delta table of the lake that cannot be read as it was written, and the way back."""
    name = lake_table_name(path)
    remedy = f"Restore that folder from a backup, or bring the table back: python -m flows reload {name}"
    if isinstance(path, S3Path):
        remedy = f"Restore the objects below {path} from the bucket's versions, or from a backup."
    return StorageFailed(f"{name}: the lake's table {path} is damaged", cause, remedy)


def storage_failure(error: BaseException, what: str = "the data folder") -> StorageFailed | None:
    """Return the error to tell if a failure is one of storage, else None."""
    if isinstance(error, StorageFailed):
        return error
    if failure := s3_failure(error, what):
        return failure
    if isinstance(error, OSError) and error.errno in OF_STORAGE:
        return StorageFailed(str(error.filename or what), error.strerror or type(error).__name__, TRY_AGAIN)
    if isinstance(error, DeltaError):
        return StorageFailed(what, of_delta(error), TRY_AGAIN)
    if isinstance(error, duckdb.Error) and (isinstance(error, duckdb.IOException) or DAMAGED.search(str(error))):
        return StorageFailed(what, without_values(error), TRY_AGAIN)
    return None


def s3_failure(error: BaseException, what: str = "the lake") -> StorageFailed | None:
    """Return the error to tell if S3 failed, else None."""
    failed = describe_s3(error, what) if isinstance(error, DeltaError | OSError) else None
    return None if failed is None else StorageFailed(failed.place, failed.cause, failed.remedy)


def open_database(path: Path, what: str, remedy: str) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file for reading; raises StorageFailed if it is damaged, cut short, or of a newer version."""
    try:
        connection = duckdb.connect(str(path), read_only=True)
        used = connection.execute("select block_size * used_blocks from pragma_database_size()").fetchall()[0][0]
    except duckdb.Error as error:
        raise StorageFailed(what, without_values(error), remedy) from None
    if (size := path.stat().st_size) < used:
        connection.close()
        raise StorageFailed(what, f"the file has {size:,} bytes of at least {used:,}", remedy)
    return connection


def open_release_file(file: Path) -> duckdb.DuckDBPyConnection:
    """Open the file of a release for reading; raises StorageFailed that names the release, with its remedy."""
    return open_database(file, f"the release {file.parent.name} cannot be read", REBUILD)


def sync_path(path: Path) -> None:
    """Wait until a file, or the entries of a folder, have reached the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def set_aside(path: Path, why: str) -> Path | None:
    """Rename a damaged file or folder that can be made again, with a note; None if another process was faster."""
    place = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.getpid()}")
    try:
        path.rename(place)
    except FileNotFoundError:
        return None
    logger.warning("%s %s; it was set aside as %s, and is made again", path, why, place.name)
    return place


@contextmanager
def storage_faults_named(what: str = "the data folder") -> Iterator[None]:
    """Turn what systems and libraries raise of storage into StorageFailed; all else passes."""
    try:
        yield
    except Exception as error:
        failure = storage_failure(error, what)
        if failure is None:
            raise
        raise failure from None


@contextmanager
def recording(failed: str | None) -> Iterator[None]:
    """Write down how something ended; if that cannot be written either, the first failure is the one to tell."""
    try:
        with storage_faults_named("the lake"):
            yield
    except StorageFailed as second:
        if failed is None:
            raise
        logger.error("it could not be recorded in the lake either: %s", second)


def of_delta(error: Exception) -> str:
    """Return what is known to name no value: the system's own words, and features that the library lacks."""
    found = re.search(r"[A-Z][^:()\n]* \(os error \d+\)|(?<=message: \")[^\"]+|Unsupported: [^\n]*", str(error))
    return found[0] if found else type(error).__name__
