"""Load a table of PostgreSQL into a Delta table by dlt, and print the seconds: dlt_sql.py URL FOLDER BACKEND.

Needs the environment of dlt. BACKEND is `sqlalchemy`, which is its default, or `pyarrow`, which is faster.
"""

import sys
from pathlib import Path

from dlt.sources.sql_database import sql_table
from dlt_pipeline import time_pipeline

if __name__ == "__main__":
    url, work, backend = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    time_pipeline(
        f"bench_{backend}",
        work,
        lambda: sql_table(url, table="order_lines", backend=backend, chunk_size=100_000),  # type: ignore[arg-type]
    )
