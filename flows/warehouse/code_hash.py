"""A hash of all the code that makes a release."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flows.config.settings import PROJECT

DECLARING = ("models", "macros", "seeds", "snapshots", "tests/dbt", "flows/warehouse")
ENGINES = ("dbt-core", "dbt-duckdb", "duckdb")


def hash_code(variables: Mapping[str, Any]) -> str:
    """Return a hash of the dbt project's files, of the plugin that it loads, of a set's vars and of the engines."""
    digest = hashlib.sha256(" ".join(f"{engine} {version(engine)}" for engine in ENGINES).encode())
    digest.update(json.dumps(variables, sort_keys=True).encode())
    for path in sorted(_files()):
        content = path.read_bytes()
        digest.update(f"\n{path.relative_to(PROJECT).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    yield PROJECT / "dbt_project.yml"
    yield PROJECT / "profiles.yml"
    for folder in DECLARING:
        yield from (path for path in (PROJECT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc")
