"""Archives and packed files: members are content under a name, never a path, and unpack to a bounded size."""

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

from flows.sources.files.matching import is_hidden, natural_key

LARGEST_RATIO = 200
"""How many times its size a file may unpack to; text unpacks to 5 to 50 times its size."""

ALWAYS_FINE = 1024**3
"""Bytes that a file of any size may unpack to: a small file of zeros does no harm."""

LARGEST_UNPACKED = 64 * 1024**3
"""The most bytes that any file or archive may unpack to."""

DEFLATE_RATIO = 1032
"""The best ratio of deflate: a gzip file that is small enough needs no check."""

PIECE = 1024 * 1024


class RefusedError(RuntimeError):
    """A packed file that would unpack to too many bytes, or an archive with a member outside it."""


@dataclass
class Budget:
    """How many bytes a packed file may still unpack to."""

    left: int

    @classmethod
    def of(cls, packed: int) -> "Budget":
        """Return the budget of a file, by its size in bytes."""
        return cls(min(max(packed * LARGEST_RATIO, ALWAYS_FINE), LARGEST_UNPACKED))

    def spend(self, size: int) -> None:
        """Take bytes from the budget; raises RefusedError if there are too few."""
        self.left -= size
        if self.left < 0:
            raise RefusedError(
                f"unpacks to more than {LARGEST_RATIO} times its size and {ALWAYS_FINE:,} bytes, "
                f"or than {LARGEST_UNPACKED:,} bytes: refused"
            )


def members(archive: Path, pattern: str, work: Path, most: int | None = None) -> Iterator[tuple[str, Path]]:
    """Yield the names of an archive's files that match, in natural order, each with a copy under a name of our own.

    With `most`, only so many are looked for and unpacked.

    Raises RefusedError for a link, a device, a path outside the archive, or too many bytes to unpack.
    """
    budget = Budget.of(archive.stat().st_size)
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            wanted = [one for one in zipped.infolist() if not one.is_dir() and _matches(one.filename, pattern)]
            for info in wanted:
                _require_plain(info.filename, is_file=not stat.S_ISLNK(info.external_attr >> 16))
            for info in sorted(wanted, key=lambda one: natural_key(one.filename))[:most]:
                with zipped.open(info) as stream:
                    yield info.filename, _copy(stream, info.filename, work, budget)
        return
    copies = []  # a tar archive can be read in its own order alone
    with tarfile.open(archive) as tarred:
        for member in tarred:
            if member.isdir() or not _matches(member.name, pattern):
                budget.spend(member.size)  # reading the next member unpacks this one too
                continue
            _require_plain(member.name, is_file=member.isfile())
            content = tarred.extractfile(member)
            assert content is not None, "a regular file has content"
            copies.append((member.name, _copy(content, member.name, work, budget)))
            if len(copies) == most:
                break
    yield from sorted(copies, key=lambda one: natural_key(one[0]))


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or (fnmatch(name, pattern) and not is_hidden(name, pattern))


def require_bounded(path: Path) -> None:
    """Raise RefusedError for a gzip or Parquet file that would unpack to too many bytes."""
    packed = path.stat().st_size
    budget = Budget.of(packed)
    if is_packed(path) and packed * DEFLATE_RATIO > budget.left:
        with gzip.open(path) as stream:
            while piece := stream.read(PIECE):
                budget.spend(len(piece))
    if path.suffix.lower() == ".parquet":
        try:
            footer = parquet.read_metadata(path)
        except ArrowInvalid:  # its reader raises an error with a cause
            return
        encoded = sum(footer.row_group(at).total_byte_size for at in range(footer.num_row_groups))
        budget.spend(max(encoded, footer.num_rows * footer.num_columns))


def is_packed(path: Path) -> bool:
    """Tell whether a file's name says that it is compressed by gzip."""
    return path.suffix.lower() == ".gz"


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading, uncompressed if its name says that it is compressed."""
    return gzip.open(path, "rb") if is_packed(path) else path.open("rb")  # type: ignore[return-value]


def _require_plain(name: str, *, is_file: bool) -> None:
    if not is_file:
        raise RefusedError(f"{name} in it is a link or device: refused")
    if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        raise RefusedError(f"{name} in it is a path that leads out of it: refused")


def _copy(stream: IO[bytes], name: str, work: Path, budget: Budget) -> Path:
    extension = re.search(r"(\.\w+)?(\.gz)?$", name, re.IGNORECASE)
    with NamedTemporaryFile(dir=work, prefix="member-", suffix=extension[0] if extension else "", delete=False) as copy:
        while piece := stream.read(PIECE):
            budget.spend(len(piece))
            copy.write(piece)
    return Path(copy.name)
