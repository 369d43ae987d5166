"""Copies of files: the same bytes, by whichever way."""

import os
from pathlib import Path

import pytest

from flows.core import files
from flows.core.files import copy_file, share_blocks

SIZES = (1, files.BLOCK, files.CHUNK, files.CHUNK + 1, 2 * files.CHUNK - files.BLOCK + 7)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Take every file for a large one on a file system that shares no blocks; note the sizes of direct writes."""
    monkeypatch.setattr(files, "LARGE", 0)
    monkeypatch.setattr(files, "share_blocks", lambda *_: False)
    sizes: list[int] = []

    def write(file: int, data: bytes) -> int:
        sizes.append(len(data))
        return os.pwrite(file, data, sum(sizes[:-1]))

    monkeypatch.setattr(files.os, "write", write)
    return sizes


@pytest.mark.skipif(not files.DIRECT, reason="the system has no direct writes")
@pytest.mark.parametrize("size", SIZES)
def test_a_large_file_is_copied_past_the_page_cache(tmp_path: Path, written: list[int], size: int) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(size))
    copy_file(source, target)
    assert target.read_bytes() == source.read_bytes()
    assert sum(written) - size in range(files.BLOCK)


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("fails_at", ["open", "write"])
def test_a_file_system_without_direct_writes_gets_a_plain_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: str
) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(os.urandom(files.CHUNK + 1))

    def fail(*_: object) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(files.os, fails_at, fail)
    copy_file(source, target)
    monkeypatch.undo()
    assert target.read_bytes() == source.read_bytes()


def test_no_copy_is_left_where_blocks_cannot_be_shared(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"text")
    shared = share_blocks(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").exists() is shared
