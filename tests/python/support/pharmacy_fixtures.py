"""The demo pharmacy's warehouse, made once for all tests; a module requests it by its `pytest_plugins`."""

import fcntl
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.flow_shop import bring_prefect_database, bring_template

from demo.pharmacy import read_truth

PROJECT = Path(__file__).parents[3]
SCALE = "0.1"

Row = dict[str, Any]


@dataclass(frozen=True)
class Pharmacy:
    """A release of the demo at scale 0.1 after two days, and the planted truth; tests only read it."""

    folder: Path
    said: str
    """The output of the last run."""
    left_running: list[str]
    """The command lines of processes that the runs left running."""

    def rows(self, query: str) -> list[Row]:
        """Return the rows of a query on the release, as dicts."""
        with duckdb.connect(str(self.folder / "warehouse.duckdb"), read_only=True) as release:
            release.execute("set TimeZone = 'UTC'")
            found = release.execute(query)
            names = [name for name, *_ in found.description or ()]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def planted(self, subject: str) -> list[Row]:
        """Return the rows of `demo/truth/<subject>.sql`."""
        names, rows = self._truth[subject]
        return [dict(zip(names, row, strict=True)) for row in rows]

    @cached_property
    def _truth(self) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
        return read_truth(self.folder / "source")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the pharmacy as slow: its two runs take minutes."""
    for item in items:
        if "pharmacy" in getattr(item, "fixturenames", ()) and item.get_closest_marker("slow") is None:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def pharmacy(tmp_path_factory: pytest.TempPathFactory) -> Pharmacy:
    """The pharmacy after two runs of `python -m flows demo`, shared by all parallel test processes."""
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent
    home = shared / "pharmacy"
    home.mkdir(exist_ok=True)
    with (home / "making").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = home / "done"
        if not done.exists():
            done.write_text(json.dumps(_make(home)))
    return Pharmacy(home / "data" / "demo", **json.loads(done.read_text()))


def _make(home: Path) -> dict[str, Any]:
    environment = os.environ | {"ML_WAREHOUSE_DATA": str(home / "data")}
    for variable in ("ML_WAREHOUSE_SET", "ML_WAREHOUSE_LAKE", "PREFECT_API_URL", "PREFECT_HOME"):
        environment.pop(variable, None)
    bring_prefect_database(home / "data")
    bring_template(home / "data")
    for _ in range(2):
        made = subprocess.run(
            [sys.executable, "-m", "flows", "demo", "--scale", SCALE],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stdout + made.stderr
    return {"said": made.stdout, "left_running": _processes_with(str(home))}


def _processes_with(text: str) -> list[str]:
    """Return the command lines of the processes whose environment contains a text."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if text.encode() in environment.read_bytes():
                found.append(environment.with_name("cmdline").read_text().replace("\0", " "))
        except OSError:  # the process has just ended, or belongs to another user
            continue
    return found
