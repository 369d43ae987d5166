"""Load a topic into a Delta table by dlt, and print the seconds: dlt_kafka.py ADDRESS TOPIC PARTITIONS FOLDER.

Needs the environment of dlt. Its resource yields what a bare consumer parses, a list of messages at a time.
"""

import sys
from pathlib import Path

import dlt
from bare_consumer import parsed
from dlt_pipeline import time_pipeline

messages = dlt.resource(parsed, name="order_lines", write_disposition="append")

if __name__ == "__main__":
    address, topic, partitions, work = sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4])
    time_pipeline("bench_kafka", work, lambda: messages(address, topic, partitions))
