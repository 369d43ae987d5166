"""Entries of `connections.yml`, and what is said of one that cannot be followed."""

from collections.abc import Collection, Mapping
from typing import Any

from flows.core.errors import UsageError


def require_map(where: str, value: Any) -> dict[str, Any]:
    """Return a map of names; raises UsageError for anything else."""
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise UsageError(f"{where} is no map of names.", "See CONTRIBUTING.md, «Bring a source».")
    return value


def require_known(where: str, entry: Mapping[str, Any], known: Collection[str]) -> None:
    """Raise UsageError for keys that are not known."""
    unknown = sorted(entry.keys() - set(known))
    if unknown:
        raise UsageError(f"{where} has unknown keys: {', '.join(unknown)}.", f"Known are {', '.join(sorted(known))}.")


def require_texts(where: str, entry: Mapping[str, Any], keys: Collection[str]) -> None:
    """Raise UsageError for one of these keys whose value is no text, or an empty one."""
    for key in sorted(entry.keys() & set(keys)):
        if not isinstance(entry[key], str) or not entry[key].strip():
            raise UsageError(f"{where}.{key} is no text.", "Write it in quotes.")


def require_one(where: str, entry: Mapping[str, Any], ways: Collection[str]) -> str:
    """Return the one of these keys that an entry has; raises UsageError if it has none, or several."""
    found = sorted(entry.keys() & set(ways))
    if len(found) != 1:
        what = f"has {' and '.join(found)}" if found else "says no way"
        raise UsageError(f"{where} {what}.", f"It has exactly one of {', '.join(ways)}.")
    return found[0]
