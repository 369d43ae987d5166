"""The pipeline of dlt that the `dlt_…` scripts time; they run in dlt's own environment, without the project."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlt

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"


def time_pipeline(name: str, work: Path, rows: Callable[[], Any]) -> None:
    """Load rows into a Delta table, and print the seconds; the source of the rows is made within the time."""
    started = time.perf_counter()
    pipeline = dlt.pipeline(
        name,
        pipelines_dir=str(work / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=(work / "lake").as_uri()),
        dataset_name="sales",
    )
    pipeline.run(rows(), table_format="delta", loader_file_format="parquet")
    sys.stdout.write(f"{time.perf_counter() - started:.3f}\n")
