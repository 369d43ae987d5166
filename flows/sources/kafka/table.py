"""Topics of Kafka as tables: messages up to the offsets seen at the start; offsets are kept in the lake alone."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

import duckdb
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient

from flows.config.connections import Connection, TableMapping
from flows.core.errors import SourceFailed, UsageError
from flows.core.redaction import remember_secret, scrub
from flows.core.relation import Relation
from flows.sources.batches import LOOK_SECONDS, Batch, Request
from flows.sources.json_records import land_json
from flows.sources.kafka.records import Buffer

ROWS_A_BATCH = 200_000
BYTES_A_BATCH = 64 * 1024 * 1024
MESSAGES_A_FETCH, FETCH_SECONDS = 10_000, 0.1
CONNECT_SECONDS, STALLED_SECONDS = 20, 60
LANDED = "landed_messages"
UNREACHABLE = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE)
FIXED = {
    "group.id": "ml-warehouse",  # the client requires one; it commits nothing and joins no group
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "enable.partition.eof": True,
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    "allow.auto.create.topics": False,
    "queued.max.messages.kbytes": 32 * 1024,
}
"""Properties of the client that a URL cannot change."""


@dataclass(frozen=True)
class Watermark:
    """The id of a topic, and by partition the offset of the next message to read."""

    topic_id: str = ""
    offsets: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str | None) -> "Watermark":
        """Read a stored watermark; without one, a topic is read from its beginning."""
        if text is None:
            return cls()
        stored = json.loads(text)
        return cls(stored["topic_id"], {int(partition): offset for partition, offset in stored["offsets"].items()})

    def __str__(self) -> str:
        offsets = {str(partition): offset for partition, offset in sorted(self.offsets.items())}
        return json.dumps({"topic_id": self.topic_id, "offsets": offsets})


@dataclass(frozen=True, repr=False)
class KafkaTable:
    """A topic; its URL may hold a password and is never shown."""

    runs_query: ClassVar[bool] = False

    mapping: TableMapping
    properties: Mapping[str, Any]

    @classmethod
    def of(cls, connection: Connection, mapping: TableMapping) -> "KafkaTable":
        """Read a URL such as kafka://host:9092; its query names properties of librdkafka. Raises UsageError."""
        parts = urlsplit(connection.url())
        userinfo, _, servers = parts.netloc.rpartition("@")
        named = dict(parse_qsl(parts.query))
        if userinfo:
            user, _, password = userinfo.partition(":")
            remember_secret(unquote(password))
            named |= {"sasl.username": unquote(user), "sasl.password": unquote(password)}
        if not servers or parts.path.strip("/") or (fixed := FIXED.keys() & named.keys()):
            what = f"sets {', '.join(sorted(fixed))}" if servers and not parts.path.strip("/") else "is not valid"
            raise UsageError(
                f"{connection.file}: the url of {connection.title} {what}.",
                "Write kafka://HOST:PORT, and the topic under `from`. Properties of the client follow a question mark.",
            )
        return cls(mapping, {**named, "bootstrap.servers": servers, "log_level": 0})

    def table_names(self) -> list[str]:
        """Return the topics that are not Kafka's own; raises SourceFailed."""
        with self._failures():
            topics = AdminClient(dict(self.properties)).list_topics(timeout=CONNECT_SECONDS).topics
            return sorted(name for name in topics if not name.startswith("__"))

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield batches of messages from the watermark on, up to the ends that the partitions have now.

        Each batch moves the watermark, since messages of a partition come in the order of their offsets.
        """
        with self._failures():
            consumer = Consumer({**self.properties, **FIXED})
            try:
                reading = _Reading(self, consumer, Watermark.parse(request.watermark), is_look=request.look is not None)
                yield from reading.batches(connection, request)
            finally:
                consumer.close()

    def failed(self, cause: str, *, is_transient: bool = False, is_unreachable: bool = False) -> SourceFailed:
        """Return the error of this table."""
        remedy = f"Fix the topic, or its url or mapping in {self.mapping.place}, then run again."
        return SourceFailed(str(self.mapping.name), scrub(cause), remedy, is_transient, is_unreachable)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn errors of the client into SourceFailed; their texts hold names of brokers and topics alone."""
        try:
            yield
        except KafkaException as raised:
            error = raised.args[0]
            is_unreachable = error.code() in UNREACHABLE
            raise self.failed(
                f"Kafka: {error.str()}", is_transient=is_unreachable or error.retriable(), is_unreachable=is_unreachable
            ) from None


class _Reading:
    """One read of a topic: from which offset to which, by partition, and what was read."""

    def __init__(self, table: KafkaTable, consumer: Consumer, watermark: Watermark, *, is_look: bool) -> None:
        self._table, self._consumer = table, consumer
        self._topic = table.mapping.origin
        self._seconds, self._patience = (LOOK_SECONDS,) * 2 if is_look else (CONNECT_SECONDS, STALLED_SECONDS)
        self._notes: list[str] = []
        self._topic_id, partitions = self._describe()
        if watermark.topic_id not in ("", self._topic_id):
            self._notes.append(
                f"{table.mapping.name}: {self._topic} is another topic of that name, and is read from its beginning"
            )
            watermark = Watermark()
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        for partition in partitions:
            place = TopicPartition(self._topic, partition)
            low, self._ends[partition] = consumer.get_watermark_offsets(place, timeout=self._seconds, cached=False)
            start = watermark.offsets.get(partition, low)
            if start < low:
                self._notes.append(
                    f"{table.mapping.name}: Kafka had deleted {low - start:,} messages of {self._topic}/{partition} "
                    "before they were read; its retention is shorter than the time between two loads"
                )
            self._next[partition] = max(start, low)

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield batches, the last of which may have no records but moves the watermark."""
        buffer, most = Buffer(), ROWS_A_BATCH if request.look is None else request.look + 1
        for message in self._messages():
            buffer.add(message)
            if buffer.read >= most or buffer.size >= BYTES_A_BATCH:
                yield self._land(connection, buffer, request)
                if request.look is not None:
                    return
                buffer = Buffer()
        yield self._land(connection, buffer, request)

    def _describe(self) -> tuple[str, list[int]]:
        """Return the id and the partitions of the topic, by its own description."""
        admin = AdminClient(dict(self._table.properties))  # it ends its requests when it is dropped
        described = admin.describe_topics(TopicCollection([self._topic]), request_timeout=self._seconds)
        try:
            found = described[self._topic].result()
        except KafkaException as error:
            if error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise self._table.failed(f"there is no topic {self._topic}") from None
            raise
        return str(found.topic_id), sorted(one.id for one in found.partitions)

    def _messages(self) -> Iterator[Message]:
        """Yield messages below the ends; an offset of a transaction that was aborted has none."""
        waiting = {one for one, end in self._ends.items() if self._next[one] < end}
        self._consumer.assign([TopicPartition(self._topic, one, self._next[one]) for one in sorted(waiting)])
        moved = time.monotonic()
        while waiting:
            for message in self._consumer.consume(MESSAGES_A_FETCH, FETCH_SECONDS):
                error, partition, offset = message.error(), message.partition() or 0, message.offset() or 0
                if error is not None and error.code() != KafkaError._PARTITION_EOF:
                    raise KafkaException(error)
                moved = time.monotonic()
                if partition not in waiting:
                    continue
                end = self._ends[partition]
                is_message = error is None and offset < end
                self._next[partition] = min(offset + 1 if is_message else offset, end)
                if error is not None or self._next[partition] >= end:  # an open transaction may hide the rest
                    waiting.discard(partition)
                if is_message:
                    yield message
            if time.monotonic() - moved > self._patience:
                raise self._table.failed(f"no message of {self._topic} came for a while", is_transient=True)

    def _land(self, connection: duckdb.DuckDBPyConnection, buffer: Buffer, request: Request) -> Batch:
        records, rejected = land_json(
            Relation.from_arrow(connection, LANDED, buffer.table()), str(self._table.mapping.name)
        )
        notes, self._notes = tuple(self._notes), []
        is_whole = all(self._next[one] >= end for one, end in self._ends.items())
        return Batch(
            records,
            read=buffer.read,
            rejected=(*buffer.rejected, *buffer.as_they_came(rejected)),
            watermark=str(Watermark(self._topic_id, dict(self._next))),
            notes=notes,
            is_whole=is_whole and request.look is not None,
            has_all_columns=is_whole,
        )
