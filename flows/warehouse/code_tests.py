"""Tests that depend on code alone, unit tests above all: once the same code has passed them, they need not run again.

Their results are kept for the project, beside the data of its sets, so a new set does not run them again.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from flows.config.settings import DataFolder
from flows.warehouse.dbt import Dbt
from flows.warehouse.fingerprints import Fingerprints
from flows.warehouse.rebuild import is_code_test, views_read

RESULTS_KEPT = 5_000
"""Results beyond these are deleted, the oldest first."""


def code_tests(dbt: Dbt) -> dict[str, str]:
    """Return the fingerprints of the tests that read no data, by unique id; they run with the project's own vars."""
    manifest = dbt.manifest
    prints = Fingerprints(manifest, {})
    found = [*manifest.unit_tests, *(key for key, node in manifest.nodes.items() if is_code_test(node))]
    return {key: prints.of(key) for key in found}


def run_code_tests(dbt: Dbt, wanted: Mapping[str, str]) -> list[Any]:
    """Run these tests on the candidate with the views that they need the columns of; return dbt's results of tests."""
    if not wanted:
        return []
    if views := views_read(dbt.manifest, (key for test in wanted for key in dbt.node(test).depends_on_nodes)):
        dbt.run_nodes("run", views)
    return dbt.run_nodes("test", wanted)


def read_passed(folder: DataFolder) -> dict[str, str]:
    """Return the names of the tests that passed before, by fingerprint; a file that cannot be read tells of none."""
    with suppress(OSError, ValueError):
        found = json.loads(_place(folder).read_text())
        if isinstance(found, dict):
            return {str(key): str(name) for key, name in found.items()}
    return {}


def write_passed(folder: DataFolder, passed: Iterable[tuple[str, str]]) -> None:
    """Add tests that have passed, as pairs of fingerprint and name."""
    new = dict(passed)
    if not new:
        return
    kept = {key: name for key, name in read_passed(folder).items() if key not in new} | new
    place = _place(folder)
    newest = place.with_name(f"{place.name}.{os.getpid()}.new")
    newest.write_text(json.dumps(dict(list(kept.items())[-RESULTS_KEPT:]), indent=0))
    os.replace(newest, place)


def bring_passed(folder: DataFolder, trial: DataFolder) -> None:
    """Let the tests that passed before count in a folder of which nothing is kept."""
    if _place(folder).exists():
        shutil.copyfile(_place(folder), _place(trial))


def _place(folder: DataFolder) -> Path:
    return folder.path.parent / "code_tests.json"
