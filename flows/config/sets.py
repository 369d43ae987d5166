"""The sets of a connections file. The module imports no pydantic, since every command needs to know the set."""

import re
from pathlib import Path
from typing import Any

import yaml

from flows.config import settings
from flows.core.errors import UsageError
from flows.core.names import did_you_mean
from flows.core.object_store import S3Path

DEFAULT_FILE = "connections.yml"
SET_NAME = r"^[A-Za-z0-9_-]+$"


def shown(path: Path) -> str:
    """Return a path as messages name it: relative to the working directory, if it is below it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def sets_with_data() -> list[str]:
    """Return the names of the sets that have a lake or a release; S3 is not asked, where a lake has left a catalog."""
    root = settings.data_root()
    folders = [settings.DataFolder(path) for path in sorted(root.iterdir())] if root.is_dir() else []
    folders = [folder for folder in folders if folder.path.is_dir() and folder.path.name not in settings.RESERVED]
    return [folder.path.name for folder in folders if folder.warehouse.exists() or _has_lake(folder)]


def _has_lake(folder: settings.DataFolder) -> bool:
    return folder.catalog.exists() if isinstance(folder.lake, S3Path) else folder.lake.is_dir()


def read_set(path: Path, connection_set: str | None = None) -> tuple[str, Any]:
    """Return a set's name and its unparsed value; without a name, the environment's or the first.

    Raises UsageError for a file that cannot be read, and for a set that does not exist or has an invalid name.
    """
    sets = read_sets(path)
    chosen = connection_set or settings.chosen_set() or next(iter(sets))
    if chosen not in sets:
        raise UsageError(
            f"{shown(path)} holds no set {chosen!r}; it holds {', '.join(sets)}.{did_you_mean(chosen, sets)}",
            f"Name one of them: --set NAME, or {settings.SET_VARIABLE}; or name another file: --connections PATH.",
        )
    return chosen, sets[chosen]


def read_sets(path: Path) -> dict[str, Any]:
    """Return the unparsed sets of a file by name.

    Raises UsageError for a file that cannot be read, and for a set that has an invalid name.
    """
    try:
        sets = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UsageError(f"There is no connections file {shown(path)}.", "Name one: --connections PATH") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{shown(path)} cannot be read as UTF-8 text ({type(error).__name__}).", "Fix the file."
        ) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise UsageError(
            f"{shown(path)} is no YAML{where}: {getattr(error, 'problem', None)}.", "Fix the file."
        ) from None
    if not isinstance(sets, dict) or not sets:
        raise UsageError(f"{shown(path)} holds no set of connections.", "Write one as CONTRIBUTING.md shows.")
    for name in sets:
        if not (isinstance(name, str) and re.fullmatch(SET_NAME, name)) or name in settings.RESERVED:
            raise UsageError(
                f"{shown(path)} holds a set called {name!r}.",
                "A set has a folder of its own: name it by letters, digits, - and _, in quotes, and not "
                f"{' or '.join(settings.RESERVED)}.",
            )
    return sets
