"""A build of what has changed, against a full build with all tests of data: nothing new, one source, all sources."""

import logging
import sys
import tempfile
import time
from pathlib import Path

from flows.warehouse.build import Build, build_candidate, prepare_candidate, with_warnings
from flows.warehouse.gates import require_gates
from flows.warehouse.release import publish_candidate
from tests.benchmarks.full_build import Shop
from tests.benchmarks.measures import Measure, report

SCALE = 10.0
NEWS = (
    ("nothing new", (), 0.03),
    ("a day of sales alone", ("sales",), 0.25),
    ("a day of crm alone", ("crm",), 0.15),
    ("a day of all sources", (), 0.4),
)


def build(shop: Shop, *, full_refresh: bool = False) -> tuple[float, Build]:
    """Build and publish; return the seconds of the build, without those of the copy and of the publishing."""
    prepare_candidate(shop.folder, empty=full_refresh)
    started = time.perf_counter()
    built = build_candidate(shop.dbt, full_refresh=full_refresh, select=None)
    seconds = time.perf_counter() - started
    verdict = require_gates(shop.dbt, built)
    publish_candidate(shop.folder, with_warnings(built, verdict.told), {})
    return seconds, built


def measure(work: Path, scale: float) -> None:
    """Measure each kind of news in turn; the tests of code alone have run before."""
    shop = Shop.open(work, scale)
    build(shop)
    whole, built = build(shop, full_refresh=True)
    nodes = len(built.states)
    for what, sources, at_most in NEWS:
        if what != "nothing new":
            shop.move_on(*sources)
        seconds, built = build(shop)
        said = f"Build of {what}, {len(built.ran)} of {nodes} nodes, scale {scale:g}"
        report(Measure(said, "a full build", seconds, whole, at_most=at_most))


def main() -> None:
    """Measure at the scale that is given, or at 10."""
    logging.disable()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        measure(Path(folder), float(sys.argv[1]) if len(sys.argv) > 1 else SCALE)


if __name__ == "__main__":
    main()
