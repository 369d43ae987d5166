"""Files beside dbt's artifacts that keep what takes long to find out, until it changes."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def read_memory(place: Path) -> dict[str, Any]:
    """Return what was kept; empty if there is nothing that can be read."""
    try:
        return dict(json.loads(place.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def write_memory(place: Path, memory: Mapping[str, Any]) -> None:
    """Keep values as JSON, in place of the earlier ones."""
    newest = place.with_name(f"{place.name}.{os.getpid()}")
    place.parent.mkdir(parents=True, exist_ok=True)
    newest.write_text(json.dumps(memory, ensure_ascii=False), encoding="utf-8")
    newest.replace(place)
