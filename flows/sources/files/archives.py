"""Archives and packed files: what they hold is content under a name, never a path, and may not grow without bounds."""

import gzip
import re
import stat
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from pyarrow import ArrowInvalid, parquet

LARGEST_RATIO = 200
"""How many times its size a file may unpack to; text packs 5 to 50 times."""

ALWAYS_FINE = 1024**3
"""Bytes that a file may unpack to whatever its size is: a small file of zeros does no harm."""

LARGEST_UNPACKED = 64 * 1024**3
"""Bytes that no file or archive may unpack to more of."""

DEFLATE_RATIO = 1032
"""What deflate packs at best: a gzip file that is small enough need not be looked into."""

PIECE = 1024 * 1024


class RefusedError(RuntimeError):
    """A packed file that would unpack to too much, or an archive with a member that leads out of it."""


@dataclass
class Budget:
    """How many bytes a packed file may still unpack to."""

    left: int

    @classmethod
    def of(cls, packed: int) -> "Budget":
        """Return the budget of a file of so many bytes."""
        return cls(min(max(packed * LARGEST_RATIO, ALWAYS_FINE), LARGEST_UNPACKED))

    def spend(self, size: int) -> None:
        """Take bytes from the budget; raises RefusedError if there are too few."""
        self.left -= size
        if self.left < 0:
            raise RefusedError(
                f"unpacks to more than {LARGEST_RATIO} times its size and {ALWAYS_FINE:,} bytes, "
                f"or than {LARGEST_UNPACKED:,} bytes: refused"
            )


def members(archive: Path, pattern: str, work: Path) -> Iterator[tuple[str, Path]]:
    """Yield the names of an archive's files that match, each with a copy under a name of our own.

    Raises RefusedError for a link, a device, a path that leads out of the archive, or too much to unpack.
    """
    budget = Budget.of(archive.stat().st_size)
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            wanted = [entry for entry in zipped.infolist() if not entry.is_dir() and fnmatch(entry.filename, pattern)]
            for entry in wanted:
                _require_plain(entry.filename, is_file=not stat.S_ISLNK(entry.external_attr >> 16))
            for entry in sorted(wanted, key=lambda one: one.filename):
                with zipped.open(entry) as stream:
                    yield entry.filename, _copied(stream, entry.filename, work, budget)
        return
    with tarfile.open(archive) as tarred:
        for member in tarred:
            if member.isdir() or not fnmatch(member.name, pattern):
                budget.spend(member.size)  # it is unpacked on the way to the next
                continue
            _require_plain(member.name, is_file=member.isfile())
            content = tarred.extractfile(member)
            assert content is not None, "a regular file has content"
            yield member.name, _copied(content, member.name, work, budget)


def require_bounded(path: Path) -> None:
    """Raise RefusedError for a gzip or Parquet file that would unpack to too much."""
    packed = path.stat().st_size
    budget = Budget.of(packed)
    if path.suffix == ".gz" and packed * DEFLATE_RATIO > budget.left:
        with gzip.open(path) as stream:
            while piece := stream.read(PIECE):
                budget.spend(len(piece))
    if path.suffix == ".parquet":
        try:
            footer = parquet.read_metadata(path)
        except ArrowInvalid:  # who reads it says so
            return
        encoded = sum(footer.row_group(at).total_byte_size for at in range(footer.num_row_groups))
        budget.spend(max(encoded, footer.num_rows * footer.num_columns))


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading, uncompressed if its name says that it is compressed."""
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _require_plain(name: str, *, is_file: bool) -> None:
    if not is_file:
        raise RefusedError(f"{name} in it is a link or device: refused")
    if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        raise RefusedError(f"{name} in it is a path that leads out of it: refused")


def _copied(stream: IO[bytes], name: str, work: Path, budget: Budget) -> Path:
    extension = re.search(r"(\.\w+)?(\.gz)?$", name)
    with NamedTemporaryFile(dir=work, prefix="member-", suffix=extension[0] if extension else "", delete=False) as copy:
        while piece := stream.read(PIECE):
            budget.spend(len(piece))
            copy.write(piece)
    return Path(copy.name)
