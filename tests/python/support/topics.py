"""A real broker for tests that are marked as services, and a topic that is a shop's source."""

import json
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from support.shop import Shop

if TYPE_CHECKING:
    from tests.services.kafka import KafkaBroker

COLUMNS = {"id": "varchar not null", "amount": "decimal(18, 4)", "paid_at": "timestamp"}


@pytest.fixture(scope="session")
def broker() -> Iterator["KafkaBroker"]:
    from tests.services.kafka import kafka

    with kafka() as running:
        yield running


@pytest.fixture
def topic(broker: "KafkaBroker", shop: Shop) -> str:
    """A new topic of two partitions, which is the shop's source."""
    name = f"payments-{uuid4().hex[:8]}"
    create(broker, name)
    shop.declare("sales.payments", COLUMNS, key=["id"], load="append")
    shop.connect(f"kafka://{broker.address}")
    shop.map(**{"from": name})
    return name


def create(broker: "KafkaBroker", name: str, partitions: int = 2, **config: str) -> None:
    """Create a topic that keeps messages of any age, unless its config says otherwise."""
    from confluent_kafka.admin import AdminClient, NewTopic

    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.create_topics([NewTopic(name, partitions, 1, config={"retention.ms": "-1", **config})])[name].result()


def delete(broker: "KafkaBroker", name: str) -> None:
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": broker.address})
    admin.delete_topics([name])[name].result()
    while name in admin.list_topics(timeout=5).topics:
        time.sleep(0.05)


def produce(broker: "KafkaBroker", topic: str, *values: Any, partition: int = 0, **further: Any) -> None:
    from confluent_kafka import Producer

    producer = Producer({"bootstrap.servers": broker.address})
    for value in values:
        raw = value if isinstance(value, bytes) or value is None else json.dumps(value).encode()
        producer.produce(topic, value=raw, partition=partition, **further)
    assert producer.flush(20) == 0
