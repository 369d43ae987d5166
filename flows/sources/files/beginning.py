"""The beginning of files: a look at a source needs its columns and a few records, and reads no file to its end."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TypeVar

from flows.sources.batches import Rejected, SourceFile
from flows.sources.files.archives import opened

MOST_FILES = 20
"""The files that a look opens: half of them the first ones, half of them the last."""

BYTES, LEAST_BYTES, LONGEST_LINE = 128 * 1024, 16 * 1024, 1024 * 1024
"""The bytes that a look reads: of all files together, of each at least, and of one whose first line is longer."""

UNIT = 4
"""The bytes of the widest sign of an encoding: a file of any encoding can be cut after so many."""

One = TypeVar("One")


@dataclass(frozen=True)
class Beginning:
    """A file, or a copy of its beginning if it `is_cut`."""

    file: SourceFile
    is_cut: bool = False


def choose(found: Sequence[One]) -> list[One]:
    """Return the first and the last of many files: a source's columns change with time."""
    half = MOST_FILES // 2
    return list(found) if len(found) <= MOST_FILES else [*found[:half], *found[-half:]]


def cut_lines(file: SourceFile, work: Path, share: int, *, is_utf_8: bool) -> Beginning:
    """Return the first lines of a file; `share` is the number of files that are looked at."""
    most = max(BYTES // share, LEAST_BYTES)
    with opened(file.path) as stream:
        start = stream.read(most)
        if len(start) == most and b"\n" not in start:
            start += stream.read(LONGEST_LINE - most)
        if not stream.read(1):
            return Beginning(file)
    end = start.rfind(b"\n") + 1 if is_utf_8 else len(start) // UNIT * UNIT
    return _copy(file, start[: end or len(start)], work)


def cut_document(file: SourceFile, work: Path, records: int) -> Beginning:
    """Return the first records of a JSON document that is a list; lines are cut as lines, and one object is whole."""
    with opened(file.path) as stream:
        start = stream.read(LONGEST_LINE)
        if not stream.read(1):
            return Beginning(file)
    text = start.decode("utf-8-sig", errors="ignore").lstrip()
    if not text.startswith("["):
        return Beginning(file) if text[:1] != "{" else cut_lines(file, work, 1, is_utf_8=True)
    decoder, at, found = json.JSONDecoder(), 1, list[str]()
    while len(found) < records:
        at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n,"))
        try:
            _, end = decoder.raw_decode(text, at)
        except ValueError:
            break
        found.append(text[at:end])
        at = end
    return _copy(file, f"[{','.join(found)}]".encode(), work) if found else Beginning(file)


def without_cut_records(rejected: Sequence[Rejected], beginnings: Sequence[Beginning]) -> tuple[Rejected, ...]:
    """Return malformed records without the last one of each file that was cut: the cut made it malformed."""
    cut = {one.file.name for one in beginnings if one.is_cut}
    kept: list[Rejected] = []
    for name, group in groupby(rejected, key=lambda one: one.position.rpartition(":")[0]):
        records = list(group)
        kept += records[:-1] if name in cut else records
    return tuple(kept)


def _copy(file: SourceFile, content: bytes, work: Path) -> Beginning:
    extension = Path(file.name.lower().removesuffix(".gz")).suffix
    with NamedTemporaryFile(dir=work, prefix="beginning-", suffix=extension, delete=False) as copy:
        copy.write(content)
    return Beginning(replace(file, path=Path(copy.name), size=len(content)), is_cut=True)
