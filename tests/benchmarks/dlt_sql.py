"""Load a table of PostgreSQL into a Delta table by dlt, and print the seconds: dlt_sql.py URL FOLDER BACKEND.

Needs the environment of dlt. BACKEND is `sqlalchemy`, which is its default, or `pyarrow`, which is faster.
"""

import os
import sys
import time
from pathlib import Path

import dlt
from dlt.sources.sql_database import sql_table

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"

if __name__ == "__main__":
    url, work, backend = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    started = time.perf_counter()
    pipeline = dlt.pipeline(
        f"bench_{backend}",
        pipelines_dir=str(work / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=(work / "lake").as_uri()),
        dataset_name="sales",
    )
    table = sql_table(url, table="order_lines", backend=backend, chunk_size=100_000)  # type: ignore[arg-type]
    pipeline.run(table, table_format="delta", loader_file_format="parquet")
    sys.stdout.write(f"{time.perf_counter() - started:.3f}\n")
