"""Topics of Kafka as tables: messages up to the offsets seen at the start; offsets are kept in the lake alone."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
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
from flows.sources.kafka.records import Buffer, Decoder, present_fields, whole_record

ROWS_A_BATCH = 200_000
MESSAGES_A_FETCH, FETCH_SECONDS = 10_000, 0.1
MEAN_SIZE = 4_096
"""The bytes that a message is taken to have at least, before any was read."""

CONNECT_SECONDS, STALLED_SECONDS = 20, 60
LANDED = "landed_messages"
REGISTRIES = ("http://", "https://")
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


def client_properties(url: str) -> dict[str, Any]:
    """Return the properties of a client by a URL such as kafka://host:9092, whose query names those of librdkafka.

    Raises ValueError with what is wrong, such as "is not valid".
    """
    parts = urlsplit(url)
    userinfo, _, servers = parts.netloc.rpartition("@")
    named: dict[str, Any] = dict(parse_qsl(parts.query))
    if userinfo:
        user, _, password = userinfo.partition(":")
        remember_secret(unquote(password))
        named |= {"sasl.username": unquote(user), "sasl.password": unquote(password)}
    if not servers or parts.path.strip("/"):
        raise ValueError("is not valid")
    if fixed := FIXED.keys() & named.keys():
        raise ValueError(f"sets {', '.join(sorted(fixed))}")
    return {**named, "bootstrap.servers": servers, "log_level": 0}


@dataclass(frozen=True, repr=False)
class KafkaTable:
    """A topic; its URL may hold a password and is never shown."""

    runs_query: ClassVar[bool] = False

    mapping: TableMapping
    properties: Mapping[str, Any]
    message_schema: str | Mapping[int, str] | None = None
    megabytes: int = 64

    @classmethod
    def of(cls, connection: Connection, mapping: TableMapping) -> "KafkaTable":
        """Read a URL such as kafka://host:9092; its query names properties of librdkafka. Raises UsageError."""
        try:
            properties = client_properties(connection.url())
        except ValueError as error:
            raise UsageError(
                f"{connection.file}: the url of {connection.title} {error}.",
                "Write kafka://HOST:PORT, and the topic under `from`. Properties of the client follow a question mark.",
            ) from None
        return cls(mapping, properties, connection.message_schema(mapping.name.table), connection.ingest.megabytes)

    @property
    def has_schema_ids(self) -> bool:
        """Whether values begin with the id of their schema (Confluent's wire format)."""
        schema = self.message_schema
        return schema is not None and (not isinstance(schema, str) or schema.startswith(REGISTRIES))

    def decoder(self) -> Decoder | None:
        """Return what makes JSON of a message's value; None if it is JSON. Raises UsageError for an unusable schema."""
        schema = self.message_schema
        if schema is None:
            return None
        from flows.sources.kafka.registry import Registry
        from flows.sources.kafka.schemas import framed, read_schema

        if isinstance(schema, str) and self.has_schema_ids:
            return framed(Registry(schema, partial(self.failed, is_transient=True)).find)
        try:
            return (
                read_schema(schema).to_json
                if isinstance(schema, str)
                else framed({number: read_schema(place) for number, place in schema.items()}.get)
            )
        except ValueError as error:
            remedy = "Fix it; CONTRIBUTING.md, «Topics of Kafka», has an example."
            raise UsageError(f"{self.mapping.place}: its schema {error}.", remedy) from None

    def table_names(self) -> list[str]:
        """Return the topics that are not Kafka's own; raises SourceFailed."""
        with self._failures():
            topics = AdminClient(dict(self.properties)).list_topics(timeout=LOOK_SECONDS).topics
            return sorted(name for name in topics if not name.startswith("__"))

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield batches of messages from the watermark on, up to the ends that the partitions have now.

        Each batch moves the watermark, since messages of a partition come in the order of their offsets.
        """
        with self._reading(request.watermark, is_look=request.look is not None) as reading:
            yield from reading.batches(connection, request)

    def lag(self, watermark: str | None) -> dict[int, int]:
        """Return how many offsets each partition has after a watermark; raises SourceFailed."""
        with self._reading(watermark) as reading:
            return reading.lag()

    def failed(self, cause: str, *, is_transient: bool = False, is_unreachable: bool = False) -> SourceFailed:
        """Return the error of this table."""
        remedy = f"Fix the topic, or its url or mapping in {self.mapping.place}, then run again."
        return SourceFailed(str(self.mapping.name), scrub(cause), remedy, is_transient, is_unreachable)

    @contextmanager
    def _reading(self, watermark: str | None, *, is_look: bool = False) -> Iterator["_Reading"]:
        """Open a reading of the topic from a watermark on; raises SourceFailed for errors within the context."""
        with self._failures():
            consumer = Consumer({**self.properties, **FIXED})
            try:
                yield _Reading(self, consumer, Watermark.parse(watermark), is_look=is_look)
            finally:
                consumer.close()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn errors of the client into SourceFailed; their texts hold names of brokers and topics alone."""
        try:
            yield
        except KafkaException as raised:
            error = raised.args[0]
            is_unreachable = error.code() in UNREACHABLE
            what = f"no broker answers at {self.properties['bootstrap.servers']}" if is_unreachable else "Kafka"
            raise self.failed(
                f"{what}: {error.str()}",
                is_transient=is_unreachable or error.retriable(),
                is_unreachable=is_unreachable,
            ) from None


class _Reading:
    """One read of a topic: from which offset to which, by partition, and what was read."""

    def __init__(self, table: KafkaTable, consumer: Consumer, watermark: Watermark, *, is_look: bool) -> None:
        self._table, self._consumer = table, consumer
        self._topic = table.mapping.origin
        self._seconds, self._patience = (LOOK_SECONDS,) * 2 if is_look else (CONNECT_SECONDS, STALLED_SECONDS)
        self._notes: list[str] = []
        self._decode = table.decoder()
        self._bytes = table.megabytes * 1024 * 1024
        self._buffer = self._new_buffer()
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
            if start > self._ends[partition]:
                raise self._lost(partition, start)
            self._next[partition] = max(start, low)

    def _lost(self, partition: int, start: int) -> SourceFailed:
        """Return the error of a partition that ends before an offset which was read: new messages would be skipped."""
        cause = (
            f"{self._topic}/{partition} ends at offset {self._ends[partition]:,}, and was read up to {start:,} "
            "already. Kafka has lost messages, or was restored from an older copy"
        )
        remedy = (
            "Run again once Kafka has them. If they are gone for good, change the table's mapping, for example to "
            "`where: 'true'`: then all of the topic is read again, and messages that the lake has are known."
        )
        return SourceFailed(str(self._table.mapping.name), cause, remedy, is_transient=True)

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield batches, the last of which may have no records but moves the watermark."""
        most = ROWS_A_BATCH if request.look is None else request.look + 1
        for messages in self._messages(most):
            self._buffer.add(messages)
            if self._buffer.read >= most or self._buffer.size >= self._bytes:
                yield self._land(connection, request)
                if request.look is not None or request.is_enough():
                    return
        yield self._land(connection, request)

    def lag(self) -> dict[int, int]:
        """Return how many offsets each partition has that were not read."""
        return {one: end - self._next[one] for one, end in self._ends.items()}

    def _new_buffer(self) -> Buffer:
        return Buffer(self._decode, has_schema_ids=self._table.has_schema_ids)

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

    def _messages(self, most: int) -> Iterator[list[Message]]:
        """Yield messages below the ends, as many at a time as the batch has room for.

        An offset of a transaction that was aborted has none.
        """
        waiting = {one for one, end in self._ends.items() if self._next[one] < end}
        self._consumer.assign([TopicPartition(self._topic, one, self._next[one]) for one in sorted(waiting)])
        moved = time.monotonic()
        while waiting:
            found = self._consumer.consume(self._room(most), FETCH_SECONDS)
            if found:
                moved = time.monotonic()
            elif time.monotonic() - moved > self._patience:
                raise self._table.failed(f"no message of {self._topic} came for a while", is_transient=True)
            if taken := self._below_ends(found, waiting):
                yield taken

    def _room(self, most: int) -> int:
        """Return how many messages to fetch next: of large ones few, so that a batch stays within its size."""
        read, size = self._buffer.read, self._buffer.size
        mean = max(size // max(read, 1), MEAN_SIZE)
        return max(1, min(MESSAGES_A_FETCH, most - read, (self._bytes - size) // mean))

    def _below_ends(self, found: list[Message], waiting: set[int]) -> list[Message]:
        """Return the messages below the ends, move the offsets, and take partitions from those that are waited for."""
        following, ends, taken = self._next, self._ends, list[Message]()
        last = {message.partition() or 0: message.offset() or 0 for message in found}
        is_plain = last.keys() <= waiting and all(message.error() is None for message in found)
        if is_plain and all(offset < ends[partition] - 1 for partition, offset in last.items()):
            following.update({partition: offset + 1 for partition, offset in last.items()})
            return found
        for message in found:
            error, partition, offset = message.error(), message.partition(), message.offset()
            if error is not None and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if partition is None or offset is None or partition not in waiting:
                continue
            end = ends[partition]
            if error is None and offset < end:
                taken.append(message)
                offset += 1
            following[partition] = min(offset, end)
            if error is not None or offset >= end:  # an open transaction may hide the rest
                waiting.discard(partition)
        return taken

    def _land(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Batch:
        """Return what was gathered as a batch, and begin the next one."""
        buffer, self._buffer = self._buffer, self._new_buffer()
        messages = buffer.table()
        fields = present_fields(messages)
        landed = Relation.from_arrow(connection, LANDED, messages)
        records, rejected = land_json(landed, str(self._table.mapping.name), fields, whole_record(fields))
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
            may_lack_columns=True,
        )
