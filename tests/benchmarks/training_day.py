"""Training sets with one new day, against building them in full, in seconds without dbt's start.

`python -m tests.benchmarks.training_day 1` measures another scale.
"""

import logging
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from flows.warehouse.build import prepare_candidate
from tests.benchmarks.full_build import Shop
from tests.benchmarks.measures import Measure, report

SCALE = 10.0
REPEATS = 3


def main(scale: float) -> None:
    """Build, bring the next day to what training sets read, then build them by day and in full, alternately."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        shop = Shop.open(Path(folder), scale)
        nodes = shop.dbt.manifest.nodes.values()
        kept = [
            node.name
            for node in nodes
            if node.config.materialized == "incremental" and "delete_changed_rows" in str(node.config.pre_hook)
        ]
        prepare_candidate(shop.folder, empty=True)
        models = ("--resource-type", "model", "--resource-type", "seed")
        shop.build(*models, "--select", *(f"+{name}" for name in kept))
        shop.move_on()
        shop.build(*models, "--select", *(f"+{name}" for name in kept), "--exclude", *kept)
        before = Path(folder) / "before.duckdb"
        shutil.copy(shop.folder.candidate, before)
        by_day, in_full = [], []
        for _ in range(REPEATS):
            for taken, options in ((by_day, ()), (in_full, ("--full-refresh",))):
                shutil.copy(before, shop.folder.candidate)
                start = shop.build(*models, "--select", "resource_type:seed")
                taken.append(shop.build(*models, *options, "--select", *kept) - start)
    what = f"{len(kept)} training sets with one new day, scale {scale:g}"
    report(Measure(what, "in full", statistics.median(by_day), statistics.median(in_full), at_most=0.1))


if __name__ == "__main__":
    logging.getLogger("flows").setLevel(logging.WARNING)
    main(float(sys.argv[1]) if sys.argv[1:] else SCALE)
    sys.stdout.flush()
    os._exit(0)  # otherwise DuckDB lists the objects of Prefect's threads
