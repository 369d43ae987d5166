"""Which files a path, folder or glob names, in the natural order of their names."""

import re
import unicodedata
from collections.abc import Callable
from glob import escape
from pathlib import Path, PurePosixPath

from flows.config.settings import prepare_s3
from flows.core.object_store import SCHEME, S3Path

DIGITS = re.compile(r"([0-9]+)")
PATTERN = "*?["
HIDDEN = re.compile(r"(?:^|/)(?:\.[^./]|~\$|__MACOSX/)")


def natural_key(name: str) -> tuple[object, ...]:
    """Return what files are ordered by: numbers in a name count as numbers, so `export-9` is before `export-10`.

    A name is before a longer one that begins with it: `export.csv` is before `export-2.csv`.
    """
    parts: list[tuple[str | int, ...]] = []
    for part in PurePosixPath(unicodedata.normalize("NFC", name).casefold()).parts:
        for pieces in map(DIGITS.split, part.partition(".")[::2]):
            parts.append(tuple(int(piece) if at % 2 else piece for at, piece in enumerate(pieces)))
    return tuple(parts), name


def root_of(url: str) -> Path:
    """Return the folder or file that a URL names: on this machine, or on S3."""
    if url[: len(SCHEME)].lower() == SCHEME:
        prepare_s3()
        return S3Path(url)
    return Path(url.removeprefix("file:").removeprefix("//")).expanduser()


def matching_files(root: Path, origin: str, is_known: Callable[[str], bool]) -> list[Path]:
    """Return the files below a root that a path, folder or glob names; without an extension, those of a known format.

    A file of that very name comes first: a sign of a pattern may be a part of its name. On S3 all lies below the root.
    """
    if isinstance(root, S3Path):
        origin = origin.strip("/")
    place, base = root / origin, root
    if place.is_file():
        return [place]
    if place.is_dir():
        base = place
        found = (path for path in place.rglob("*") if is_known(path.name))
    elif any(sign in origin for sign in PATTERN):
        base = Path(place.anchor) if Path(origin).is_absolute() else root
        found = base.glob(origin.removeprefix(place.anchor) if base is not root else origin)
    else:
        base = place.parent
        found = (path for path in base.glob(f"{escape(place.name)}.*") if is_known(path.name))
    files = (path for path in found if path.is_file() and not is_hidden(path.relative_to(base).as_posix(), origin))
    return sorted(files, key=lambda path: natural_key(path.as_posix()))


def is_hidden(name: str, pattern: str) -> bool:
    """Tell whether a pattern leaves a file out, as in a shell: some part of its name begins with a dot.

    The folder that macOS adds to a zip archive, and the file ~$… of an open workbook, hold no data either. A pattern
    that names hidden files finds them.
    """
    return HIDDEN.search(name) is not None and HIDDEN.search(pattern) is None
