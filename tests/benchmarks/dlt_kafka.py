"""Load a topic into a Delta table by dlt, and print the seconds: dlt_kafka.py ADDRESS TOPIC PARTITIONS FOLDER.

Needs the environment of dlt. Its resource yields what a bare consumer parses, a list of messages at a time.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
from confluent_kafka import Consumer, TopicPartition

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"


@dlt.resource(name="order_lines", write_disposition="append")
def messages(address: str, topic: str, partitions: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the parsed values of a topic, up to the ends that it has now."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "dlt", "enable.auto.commit": False})
    places = [TopicPartition(topic, partition, 0) for partition in range(partitions)]
    left = sum(consumer.get_watermark_offsets(place, timeout=20)[1] for place in places)
    consumer.assign(places)
    while left > 0:
        found = consumer.consume(10_000, 0.1)
        left -= len(found)
        yield [json.loads(message.value()) for message in found]
    consumer.close()


if __name__ == "__main__":
    work = Path(sys.argv[4])
    started = time.perf_counter()
    pipeline = dlt.pipeline(
        "bench_kafka",
        pipelines_dir=str(work / "pipelines"),
        destination=dlt.destinations.filesystem(bucket_url=(work / "lake").as_uri()),
        dataset_name="sales",
    )
    rows = messages(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    pipeline.run(rows, table_format="delta", loader_file_format="parquet")
    sys.stdout.write(f"{time.perf_counter() - started:.3f}\n")
