"""The pharmacy's payments, clicks and messages of fridges as topics of Kafka, one message for each record."""

import csv
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from demo.pharmacy import FILES, SourceFiles
from flows.core.errors import SourceFailed, UsageError
from flows.core.redaction import scrub
from flows.sources.kafka.table import CONNECT_SECONDS, FIXED, client_properties

PARTITION = 0
"""All messages of a topic keep the order of the files."""

SEND_SECONDS = 120


@dataclass(frozen=True, repr=False)
class Kafka:
    """A broker that keeps the topics; its URL may hold a password and is never shown."""

    sources: ClassVar[tuple[str, ...]] = ("payments", "web", "equipment")

    url: str

    def entry(self, source: str, entry: Mapping[str, Any], url: str) -> Mapping[str, Any]:
        """Return an entry whose tables are topics, such as `web.events`."""
        tables = {name: {**options, "from": f"{source}.{name}"} for name, options in entry["tables"].items()}
        return {**entry, "url": url, "tables": tables}

    def feed(self, folder: Path, sources: Collection[str]) -> None:
        """Send each topic the records that it lacks, in the order of the files.

        Raises UsageError if a topic has other messages, and SourceFailed.
        """
        try:
            properties = client_properties(self.url)
        except ValueError as error:
            raise UsageError(f"The URL of Kafka after --into {error}.", "Write kafka://HOST:PORT.") from None
        with _failures_told():
            for files in FILES:
                if files.source in sources:
                    _send(properties, f"{files.source}.{files.name}", _records(folder, files))


def _records(folder: Path, files: SourceFiles) -> Iterator[bytes]:
    """Yield the records of files in the order in which they were sent; a row of a CSV file becomes a JSON object."""
    for path in sorted((folder / files.source / files.name).glob(f"*.{files.suffix}"), key=lambda path: path.stem):
        if files.suffix == "csv":
            with path.open(newline="", encoding="utf-8") as rows:
                for row in csv.DictReader(rows):
                    yield json.dumps({name: text or None for name, text in row.items()}).encode()
        else:
            with path.open("rb") as lines:
                yield from (line.rstrip(b"\n") for line in lines)


def _send(properties: Mapping[str, Any], topic: str, records: Iterator[bytes]) -> None:
    """Send the records after those that a topic has; the broker's count of messages is the only memory of it."""
    sent, last = _state(properties, topic)
    before = list(islice(records, max(sent - 1, 0), sent))
    if last is not None and before != [last]:
        raise UsageError(
            f"The topic {topic} holds messages that are not of this pharmacy.", "Delete it, or name another Kafka."
        )
    errors: list[KafkaError] = []
    producer = Producer({**properties, "enable.idempotence": True, "linger.ms": 20})

    def note(error: KafkaError | None, _message: object) -> None:
        if error is not None:
            errors.append(error)

    for record in records:
        while not errors:
            try:
                producer.produce(topic, record, partition=PARTITION, on_delivery=note)
                break
            except BufferError:
                producer.poll(0.1)
        if errors:
            break
        producer.poll(0)
    left = producer.flush(SEND_SECONDS)
    if errors or left:
        raise KafkaException(*(errors or [KafkaError(KafkaError._TIMED_OUT)]))


def _state(properties: Mapping[str, Any], topic: str) -> tuple[int, bytes | None]:
    """Return how many messages a topic ever had, and the last one; a topic that is not there is made."""
    admin = AdminClient(dict(properties))
    try:
        admin.create_topics([NewTopic(topic, 1, config={"retention.ms": "-1"})])[topic].result()
        return 0, None
    except KafkaException as failed:
        if failed.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    with closing(Consumer({**properties, **FIXED})) as consumer:
        first, end = consumer.get_watermark_offsets(TopicPartition(topic, PARTITION), timeout=CONNECT_SECONDS)
        if first == end:
            return end, None
        consumer.assign([TopicPartition(topic, PARTITION, end - 1)])
        found = consumer.consume(1, CONNECT_SECONDS)
        if not found:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        if (error := found[0].error()) is not None:
            raise KafkaException(error)
        return end, found[0].value()


@contextmanager
def _failures_told() -> Iterator[None]:
    """Turn an error of the client into SourceFailed; its text holds names of brokers and topics alone."""
    try:
        yield
    except KafkaException as raised:
        remedy = "Fix the URL after --into, or the broker; the user must be able to create topics and write to them."
        raise SourceFailed("demo", f"Kafka takes no messages: {scrub(raised.args[0].str())}", remedy) from None
