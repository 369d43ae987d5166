"""A bare consumer of a topic; dlt's environment reads it too, so it needs nothing of the project."""

import json
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, TopicPartition


def parsed(address: str, topic: str, partitions: int) -> Iterator[list[dict[str, Any]]]:
    """Yield the parsed values of a topic, up to the ends that it has now."""
    consumer = Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "bare",
            "enable.auto.commit": False,
            "isolation.level": "read_committed",
            "queued.max.messages.kbytes": 32 * 1024,
        }
    )
    places = [TopicPartition(topic, partition, 0) for partition in range(partitions)]
    left = sum(consumer.get_watermark_offsets(place, timeout=20)[1] for place in places)
    consumer.assign(places)
    while left > 0:
        found = consumer.consume(10_000, 0.1)
        left -= len(found)
        yield [json.loads(message.value()) for message in found]
    consumer.close()
