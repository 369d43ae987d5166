"""A hash of the code that makes a release. Unit tests depend on code alone: the same code need not run them again."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb

from flows.config.settings import PROJECT
from flows.warehouse.dbt import Dbt

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


def unit_tests_passed(dbt: Dbt, code: str) -> Mapping[str, str]:
    """Return the unit tests with their status if the last release passed all of them; the candidate is a copy of it.

    Empty if it was made by other code, or lacks a test: then they are to run.
    """
    declared = {test.name for test in dbt.manifest.unit_tests.values()}
    try:
        with duckdb.connect(str(dbt.folder.candidate), read_only=True) as candidate:
            found = candidate.execute("select tests from main.release where code_hash = ?", [code]).fetchall()
    except duckdb.Error:  # no release yet, or one of a version that did not record its code
        return {}
    passed = {name: status for name, status in (found[0][0] if found else {}).items() if status == "pass"}
    return {name: passed[name] for name in declared} if declared <= passed.keys() else {}


def _files() -> Iterator[Path]:
    yield PROJECT / "dbt_project.yml"
    yield PROJECT / "profiles.yml"
    for folder in DECLARING:
        yield from (path for path in (PROJECT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc")
