"""Load JSON lines into a Delta table by dlt, and print the seconds: dlt_load.py FILE FOLDER. Needs the environment of
dlt.
"""

import os
import sys
import time
from pathlib import Path

import dlt
from dlt.sources.filesystem import filesystem, read_jsonl

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"

if __name__ == "__main__":
    source, work = Path(sys.argv[1]), Path(sys.argv[2])
    started = time.perf_counter()
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(work / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=(work / "lake").as_uri()),
        dataset_name="sales",
    )
    records = filesystem(bucket_url=source.parent.as_uri(), file_glob=source.name) | read_jsonl(chunksize=10_000)
    pipeline.run(records.with_name("order_lines"), table_format="delta", loader_file_format="parquet")
    sys.stdout.write(f"{time.perf_counter() - started:.3f}\n")
