"""A run with one new day, against the first run with all days, in seconds without dbt's parsing."""

import os
import sys
import tempfile
import time
from pathlib import Path

from flows.config import settings
from flows.orchestration.server import prefect_server, prepare_prefect, wait_for_server
from tests.benchmarks.measures import Measure, report

SCALE = 10.0


def measure(work: Path, scale: float = SCALE) -> tuple[float, float, dict[str, int]]:
    """Return the seconds of a run with one new day and of the first run, and the bytes of source, lake and release."""
    settings.export(ML_WAREHOUSE_DATA=str(work / "data"))
    prepare_prefect()
    with prefect_server() as url:
        from demo.flow import SET, demo_day
        from flows.config.settings import DataFolder

        parsing = _time_parsing()
        wait_for_server(url)
        seconds = []
        for _ in range(2):
            parsing.clear()
            _, outcome = demo_day(scale)
            seconds.append(outcome.seconds - sum(parsing))
    folder = DataFolder.of(SET)
    sizes = {
        "source": bytes_of(folder.path / "source"),
        "lake": bytes_of(folder.lake),
        "release": folder.warehouse.resolve().stat().st_size,
    }
    return seconds[1], seconds[0], sizes


def _time_parsing() -> list[float]:
    """Record the seconds of dbt's parsing: it is start-up, not work on data."""
    from flows.warehouse.dbt import Dbt

    parse, taken = Dbt.parse, []

    def timed(folder: settings.DataFolder) -> Dbt:
        started = time.monotonic()
        try:
            return parse(folder)
        finally:
            taken.append(time.monotonic() - started)

    Dbt.parse = staticmethod(timed)  # type: ignore[assignment, method-assign]
    return taken


def bytes_of(folder: Path) -> int:
    """Return the number of bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    """Measure at scale, and report the bytes of source, lake and release."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        day, first, sizes = measure(Path(folder))
    report(Measure(f"A run with one new day, scale {SCALE:g}", "the first run", day, first, at_most=0.2))
    for name in ("lake", "release"):
        report(Measure(f"Bytes of the {name}", "of the source", sizes[name] / 1e6, sizes["source"] / 1e6, unit="MB"))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # otherwise DuckDB lists the objects of Prefect's threads
