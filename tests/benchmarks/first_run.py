"""`make run` at scale 1 after set-up, from the demo's sources to the release, against its limit of one minute."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flows.config.settings import PROJECT
from tests.benchmarks.measures import Measure, report

ALLOWED_SECONDS = 60.0
PARSING = (
    "from flows.config.settings import DataFolder; from flows.warehouse.dbt import Dbt; "
    "Dbt.parse(DataFolder.of('demo'))"
)
"""The same steps as in the Makefile's `setup`."""


def main() -> None:
    """Time the command in a new data folder, after the steps of set-up."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        data = Path(folder) / "data"
        environment = os.environ | {"ML_WAREHOUSE_DATA": str(data), "PREFECT_HOME": str(data / "prefect")}
        (data / "prefect").mkdir(parents=True)
        run(["-m", "prefect", "server", "database", "upgrade", "--yes"], environment)
        run(["-c", PARSING], environment)
        started = time.perf_counter()
        run(["-m", "flows", "demo"], environment)
        seconds = time.perf_counter() - started
    report(Measure("make run, scale 1, after set-up", "what it may take", seconds, ALLOWED_SECONDS, at_most=1))


def run(arguments: list[str], environment: dict[str, str]) -> None:
    """Run Python with arguments in the project; raises CalledProcessError after its output was written."""
    subprocess.run([sys.executable, *arguments], cwd=PROJECT, env=environment, stdout=sys.stderr, check=True)


if __name__ == "__main__":
    main()
