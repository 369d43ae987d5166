"""Files of a lake that is on S3: DuckDB reads copies of them in the data folder, each fetched once.

A file of a Delta table is never changed under its name, so a copy that is there is right.
"""

from collections.abc import Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

from flows.config.settings import lake_copy
from flows.core.object_store import SCHEME, S3Path

AT_ONCE = 16
"""Requests to S3 at the same time: one alone waits for the network nearly all of its time."""


def place_of(uri: str) -> Path:
    """Return the path of a table or file by the Delta library's URI, in which signs are escaped as in URLs."""
    text = unquote(uri)
    return S3Path(text) if text.startswith(SCHEME) else Path(text.removeprefix("file://"))


def local_files(files: Iterable[Path], *, again: bool = False) -> list[Path]:
    """Return files that DuckDB can read: those of a folder as they are, copies of those on S3.

    `again` fetches also what has a copy. Raises S3Failed, and FileNotFoundError for one that is not there.
    """
    wanted = list(files)
    local = [lake_copy(file) if isinstance(file, S3Path) else file for file in wanted]
    missing = [
        (file, copy)
        for file, copy in zip(wanted, local, strict=True)
        if isinstance(file, S3Path) and (again or not copy.exists())
    ]
    if missing:
        with ThreadPoolExecutor(AT_ONCE) as workers:
            list(workers.map(lambda pair: pair[0].download(pair[1]), missing))
    return local


def drop_copies(path: Path, needed: Collection[Path]) -> None:
    """Delete the copies of a table's files that are no longer on S3."""
    if isinstance(path, S3Path):
        kept = {file.name for file in needed}
        for copy in lake_copy(path).glob("*.parquet"):
            if copy.name not in kept:
                copy.unlink(missing_ok=True)


def file_sizes(path: Path) -> dict[Path, int]:
    """Return the data files in a table's folder with their bytes, also those that its log does not name."""
    return {file: file.stat().st_size for file in path.glob("*.parquet")}


def contents(files: Iterable[Path]) -> Iterator[bytes]:
    """Yield what is in files that are there, in their order; those on S3 are read several at a time."""
    waiting = list(files)
    if not any(isinstance(file, S3Path) for file in waiting):
        yield from filter(None, map(_content, waiting))
        return
    with ThreadPoolExecutor(AT_ONCE) as workers:
        for at in range(0, len(waiting), AT_ONCE):
            yield from filter(None, workers.map(_content, waiting[at : at + AT_ONCE]))


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
