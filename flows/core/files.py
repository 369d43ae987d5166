"""Copies of files, and whether a file has changed."""

import fcntl
import mmap
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

FICLONE = 0x40049409
"""The ioctl of Linux that shares a file's blocks until one side is written."""

DIRECT = getattr(os, "O_DIRECT", 0)
LARGE, CHUNK, BLOCK = 1024**3, 4 * 1024**2, 4096
"""Bytes from which on a copy goes past the page cache, bytes of one write, and what a direct write is a multiple of."""


@dataclass(frozen=True)
class FileState:
    """Tells whether a file is still the one that was looked at: inode, bytes, nanoseconds of its last write."""

    inode: int
    size: int
    written_ns: int

    @classmethod
    def of(cls, path: Path) -> "FileState":
        """Take the state of a file."""
        status = path.stat()
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks where the file system can.

    The copy of a large file goes to the disk past the page cache, which would take memory from the build after it.
    """
    if share_blocks(source, target):
        return
    if DIRECT and source.stat().st_size >= LARGE:
        try:
            _copy_past_cache(source, target)
            return
        except OSError:  # not every file system can; if the disk is full, the plain copy says so
            target.unlink(missing_ok=True)
    with source.open("rb") as reading, target.open("wb") as writing:
        shutil.copyfileobj(reading, writing, 16 * 1024 * 1024)


def _copy_past_cache(source: Path, target: Path) -> None:
    """Copy a file by direct writes, each from memory at a page's start; the last one is cut to the file's size."""
    chunk = memoryview(mmap.mmap(-1, CHUNK))
    writing = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | DIRECT, 0o666)
    try:
        with source.open("rb", buffering=0) as reading:
            while found := reading.readinto(chunk):
                whole = -(-found // BLOCK) * BLOCK
                if os.write(writing, chunk[:whole]) != whole:
                    raise OSError("a direct write was cut short")
            os.ftruncate(writing, reading.tell())
    finally:
        os.close(writing)


def share_blocks(source: Path, target: Path) -> bool:
    """Copy a file without copying a byte, if the file system can; tell whether it did. If not, no copy is left."""
    with source.open("rb") as reading, target.open("wb") as writing:
        try:
            fcntl.ioctl(writing.fileno(), FICLONE, reading.fileno())
        except OSError:
            target.unlink()
            return False
    return True


def bytes_of(folder: Path) -> int:
    """Return the bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
