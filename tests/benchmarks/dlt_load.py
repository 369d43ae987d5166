"""Load JSON lines into a Delta table by dlt, and print the seconds: dlt_load.py FILE FOLDER. Needs the environment of
dlt.
"""

import sys
from pathlib import Path

from dlt.sources.filesystem import filesystem, read_jsonl
from dlt_pipeline import time_pipeline

if __name__ == "__main__":
    source, work = Path(sys.argv[1]), Path(sys.argv[2])
    time_pipeline(
        "bench",
        work,
        lambda: (
            filesystem(bucket_url=source.parent.as_uri(), file_glob=source.name) | read_jsonl(chunksize=10_000)
        ).with_name("order_lines"),
    )
