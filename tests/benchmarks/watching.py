"""The cost of watching: profiles, tests of anomalies and the check of the gates, against the build that they watch.

`python -m tests.benchmarks.watching 1` measures another scale than `make bench`.
"""

import logging
import os
import sys
import tempfile
import time
from pathlib import Path

from flows.warehouse.build import build_candidate, prepare_candidate
from flows.warehouse.gates import is_of_anomalies, require_sound_build
from flows.warehouse.profile_history import with_profiles
from tests.benchmarks.full_build import Shop
from tests.benchmarks.measures import Measure, report

SCALE = 10.0


def measure(work: Path, scale: float) -> None:
    """Build everything once, and report what the watching took of it; dbt's two threads share the tests' seconds."""
    shop = Shop.open(work, scale)
    prepare_candidate(shop.folder, empty=True)
    build = build_candidate(shop.dbt, full_refresh=True, select=None)
    tests = [result for result in build.results if result.node.resource_type == "test"]
    watching = sum(result.execution_time for result in tests if is_of_anomalies(result.node)) / 2
    started = time.perf_counter()
    require_sound_build(shop.dbt, build)
    with_profiles(shop.dbt, build, "2026-01-01.1")
    after = time.perf_counter() - started
    what = f"Profiles, tests of anomalies and the gates' check, scale {scale:g}"
    rest = build.seconds - watching
    report(
        Measure(what, "the build without them", watching + after, rest, at_most=0.25),
        Measure(f"All data tests, scale {scale:g}", "the build", sum(one.execution_time for one in tests) / 2, rest),
    )


if __name__ == "__main__":
    logging.getLogger("flows").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        measure(Path(folder), float(sys.argv[1]) if len(sys.argv) > 1 else SCALE)
    sys.stdout.flush()
    os._exit(0)  # otherwise DuckDB lists the objects of Prefect's threads
