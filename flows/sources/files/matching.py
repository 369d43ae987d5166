"""Which files a path, folder or glob names, in the natural order of their names."""

import re
import unicodedata
from collections.abc import Callable
from glob import escape
from pathlib import Path, PurePosixPath

DIGITS = re.compile(r"([0-9]+)")
PATTERN = "*?["


def natural_key(name: str) -> tuple[object, ...]:
    """Return what files are ordered by: numbers in a name count as numbers, so `export-9` is before `export-10`.

    A name is before a longer one that begins with it: `export.csv` is before `export-2.csv`.
    """
    parts: list[tuple[str | int, ...]] = []
    for part in PurePosixPath(unicodedata.normalize("NFC", name).casefold()).parts:
        for pieces in map(DIGITS.split, part.partition(".")[::2]):
            parts.append(tuple(int(piece) if at % 2 else piece for at, piece in enumerate(pieces)))
    return tuple(parts), name


def matching_files(root: Path, origin: str, is_known: Callable[[str], bool]) -> list[Path]:
    """Return the files below a root that a path, folder or glob names; without an extension, those of a known format.

    A file of that very name comes first: a sign of a pattern may be a part of its name.
    """
    place = root / origin
    if place.is_file():
        return [place]
    if place.is_dir():
        found = (path for path in place.rglob("*") if is_known(path.name))
    elif any(sign in origin for sign in PATTERN):
        base = Path(place.anchor) if Path(origin).is_absolute() else root
        found = base.glob(origin.removeprefix(place.anchor) if base is not root else origin)
    else:
        found = (path for path in place.parent.glob(f"{escape(place.name)}.*") if is_known(path.name))
    return sorted((path for path in found if path.is_file()), key=lambda path: natural_key(path.as_posix()))
