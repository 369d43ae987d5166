"""The shop on real servers: people in PostgreSQL, orders and their lines in topics of Kafka, files and lake on S3."""

import json
import os
import re
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from confluent_kafka import Message, Producer
from sources import LINES, PARTS, SMALL, Part, Person, Sources
from states import ask
from support.topics import create, delete

from flows.config import settings
from flows.config.settings import DataFolder
from flows.core.names import TableName, literal
from flows.lake.delta import commits, open_table, relation_of
from flows.lake.quarantine import quarantined_rows
from flows.lake.raw import RawTable
from flows.sources.kafka.table import Watermark
from tests.services.kafka import KafkaBroker, kafka
from tests.services.postgresql import PostgresqlServer, postgresql
from tests.services.s3 import BUCKET, S3Server, s3

PARTITIONS = 2
TOPICS = {TableName("sales", "orders"): "orders", TableName("sales", "order_lines"): "lines"}
FILES = "files"
"""The folder of the bucket with the shop's files."""


class ServedSources(Sources):
    """The shop, nothing of which is in files of this machine."""

    small: ClassVar[Mapping[str, Any]] = SMALL | {
        "flows.sources.kafka.table:ROWS_A_BATCH": 10,
        "flows.sources.sql.postgresql:BYTES_A_FETCH": 200,
    }

    def __init__(self, folder: Path, database: PostgresqlServer, broker: KafkaBroker, store: S3Server) -> None:
        super().__init__(folder)
        self._database, self._broker, self._store = database, broker, store
        self._number: int | None = None
        self._sent: dict[str, set[tuple[int, int]]] = defaultdict(set)
        properties = {"bootstrap.servers": broker.address, "transactional.id": "torture", "log_level": 0}
        self._producer = Producer(properties)
        self._producer.init_transactions()

    def clear(self, number: int) -> None:
        """Begin with an empty database, a new topic, and an empty bucket, in which the lake has a place of its own."""
        self._store.empty()
        os.environ[settings.LAKE_VARIABLE] = f"s3://{BUCKET}/lake-{number}"
        if self._number is not None:
            for name in TOPICS.values():
                delete(self._broker, f"{name}-{self._number}")
        self._number = number
        self._sent.clear()
        for name in TOPICS.values():
            create(self._broker, f"{name}-{number}", PARTITIONS)
        super().clear(number)

    def place_of(self, name: str) -> tuple[str, dict[str, Any]]:
        """Return the URL of a table's source, and what differs from its mapping in TABLES."""
        source, _, table = name.partition(".")
        if source == "crm":
            return self._database.url(), {}
        if source != "sales":
            return f"s3://{BUCKET}/{FILES}", {}
        columns = {"columns": {name: name for name in LINES.split(",")}} if table == "order_lines" else {}
        return f"kafka://{self._broker.address}", {"from": self._topic(TableName("sales", table)), **columns}

    def create_people(self) -> None:
        """Make the table of people, without rows."""
        self._database.execute(
            "drop table if exists people; "
            "create table people (number text primary key, mail text, land text, changed timestamp)"
        )

    def insert_people(self, rows: list[Person]) -> None:
        """Insert people, or change those that are there."""
        values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
        self._database.execute(
            f"insert into people values {values} on conflict (number) do update "
            "set mail = excluded.mail, land = excluded.land, changed = excluded.changed"
        )

    def send_orders(self, day: int, part: Part, files: Mapping[str, Sequence[str]]) -> None:
        """Send states of orders."""
        records = [record.encode() for some in files.values() for record in some]
        self._produce(TableName("sales", "orders"), day, part, records)

    def send_lines(self, day: int, part: Part, records: Sequence[str]) -> None:
        """Send lines of orders as JSON."""
        self._produce(TableName("sales", "order_lines"), day, part, [as_message(record) for record in records])

    def write(self, name: str, content: bytes) -> None:
        """Write an object."""
        self._store.put(f"{FILES}/{name}", content)

    def unlike_offsets(self, folder: DataFolder) -> Iterator[str]:
        """Yield differences between the offsets that the lake has, and the messages of which it has a trace."""
        for name in TOPICS:
            yield from self._unlike_offsets(RawTable(folder.lake, name), self._topic(name))

    def _unlike_offsets(self, table: RawTable, topic: str) -> Iterator[str]:
        delta = open_table(table.path)
        if delta is None:
            return
        offsets = Watermark.parse(json.loads(table.last_commit().get("watermark", "null"))).offsets
        read = sum(json.loads(one["counts"])[0] for one in commits(delta) if "counts" in one)
        due = sum(offset < offsets.get(partition, 0) for partition, offset in self._sent[topic])
        if read != due:
            yield f"{table.name}: its offsets {offsets} come after {due} messages, and its commits read {read}"
        places = [
            place
            for relation in (relation_of(delta), quarantined_rows(table))
            for (place,) in ask(f"select _position from {relation}")
        ]
        if strange := set(places) - {f"{topic}/{partition}:{offset}" for partition, offset in self._sent[topic]}:
            yield f"{table.name}: it has messages that were never committed, such as {min(strange)}"
        if len(places) != len(set(places)):
            yield f"{table.name}: {len(places) - len(set(places))} messages are there twice"

    def _topic(self, name: TableName) -> str:
        return f"{TOPICS[name]}-{self._number}"

    def _produce(self, name: TableName, day: int, part: Part, messages: Sequence[bytes]) -> None:
        """Produce messages in one transaction, after one that is aborted; their time depends on the day alone."""
        moment = int(datetime(2026, 1, day, 8 + 8 * PARTS.index(part), tzinfo=UTC).timestamp() * 1000)
        for is_kept, some in ((False, messages[:3]), (True, messages)):
            self._producer.begin_transaction()
            for number, message in enumerate(some):
                self._producer.produce(
                    self._topic(name),
                    message,
                    partition=partition_of(message),
                    timestamp=moment + number,
                    on_delivery=self._note if is_kept else None,
                )
            self._producer.flush()
            (self._producer.commit_transaction if is_kept else self._producer.abort_transaction)()

    def _note(self, _error: object, message: Message) -> None:
        self._sent[message.topic() or ""].add((message.partition() or 0, message.offset() or 0))


def partition_of(message: bytes) -> int:
    """Choose the partition by the order, as a key does: between two partitions, no record is the first one."""
    found = re.search(rb"O\d+-\d+", message)
    return zlib.crc32(found[0] if found else message) % PARTITIONS


def as_message(record: str) -> bytes:
    """Return a line of an order as JSON; a ragged one is cut short."""
    names, cells = LINES.split(","), record.split(",")
    text = json.dumps(dict(zip(names, cells, strict=False)))
    return text.encode() if len(cells) == len(names) else text[:-1].encode()


@contextmanager
def served_sources(folder: Path) -> Iterator[ServedSources]:
    """Start the servers, lead this process and its children to S3, and stop the servers afterwards."""
    with postgresql() as database, kafka() as broker, s3() as store:
        os.environ.update(store.environment)
        yield ServedSources(folder, database, broker, store)
