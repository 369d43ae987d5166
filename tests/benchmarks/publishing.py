"""Publishing of a large release: its copy for the next build, and its publishing, against one copy of the file.

`BENCH_RELEASE_GB=10` takes the full size. Where the file system shares blocks, no byte is copied.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import duckdb

from flows.config.settings import DataFolder
from flows.core.storage import sync_path
from flows.warehouse.build import Build, FileState, prepare_candidate
from flows.warehouse.release import prune_releases, publish_candidate
from flows.warehouse.release_format import create_database
from tests.benchmarks.measures import Measure, report, run_alternately

GIGABYTES = float(os.environ.get("BENCH_RELEASE_GB", "2"))
ROWS_A_GIGABYTE = 29_000_000
"""Rows of four numbers that do not compress."""

REPEATS = 3


def make_candidate(folder: DataFolder) -> None:
    """Make a candidate of one table that has the wanted size."""
    folder.candidate.parent.mkdir(parents=True)
    create_database(folder.candidate)
    numbers = ", ".join(f"hash(range, {column}) as number_{column}" for column in range(4))
    with duckdb.connect(str(folder.candidate), config={"threads": 2, "memory_limit": "1GB"}) as candidate:
        candidate.execute("set preserve_insertion_order = false")
        candidate.execute("create schema marts")
        candidate.execute(
            f"create table marts.numbers as select {numbers} from range({int(GIGABYTES * ROWS_A_GIGABYTE)})"
        )


def publish(folder: DataFolder) -> None:
    """Publish the candidate as it is, and keep two releases."""
    publish_candidate(folder, Build((), "", FileState.of(folder.candidate), 0.0, "code"), {})
    prune_releases(folder, keep=2)


def main() -> None:
    """Report the seconds of a release that changes nothing, and those of a copy that is on the disk."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        folder = DataFolder(Path(place) / "large")
        make_candidate(folder)
        publish(folder)
        copy = Path(place) / "copy"

        def release() -> None:
            prepare_candidate(folder)
            publish(folder)

        def copy_once() -> None:
            copy.unlink(missing_ok=True)
            shutil.copyfile(folder.warehouse.resolve(), copy)
            sync_path(copy)

        ours, theirs = run_alternately(release, copy_once, REPEATS)
        size = folder.warehouse.resolve().stat().st_size / 1e9
        report(Measure(f"Copy and publish a release of {size:.1f} GB", "one copy", ours, theirs, at_most=1.0))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
