"""The shop on real servers: people in PostgreSQL, order lines in a topic of Kafka, orders on S3, and the lake on S3."""

import json
import os
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
from flows.lake.delta import open_table, relation_of
from flows.lake.quarantine import quarantined_rows
from flows.lake.raw import RawTable
from flows.sources.kafka.table import Watermark
from tests.services.kafka import KafkaBroker, kafka
from tests.services.postgresql import PostgresqlServer, postgresql
from tests.services.s3 import BUCKET, S3Server, s3

PARTITIONS = 2
TOPIC_TABLE = TableName("sales", "order_lines")
COPIES = f"s3://{BUCKET}/copies"
"""Where releases are copied to."""


class ServedSources(Sources):
    """The shop, of which only products and pictures are files of a folder."""

    small: ClassVar[Mapping[str, Any]] = SMALL | {
        "flows.sources.kafka.table:ROWS_A_BATCH": 10,
        "flows.sources.sql.postgresql:BYTES_A_FETCH": 200,
    }

    def __init__(self, folder: Path, database: PostgresqlServer, broker: KafkaBroker, store: S3Server) -> None:
        super().__init__(folder)
        self._database, self._broker, self._store = database, broker, store
        self._topic = ""
        self._sent: dict[int, list[int]] = defaultdict(list)
        self._producer = Producer({"bootstrap.servers": broker.address, "transactional.id": "torture"})
        self._producer.init_transactions()

    def clear(self, number: int) -> None:
        """Begin with an empty database, a new topic, and an empty bucket, in which the lake has a place of its own."""
        self._store.empty()
        os.environ[settings.LAKE_VARIABLE] = f"s3://{BUCKET}/lake-{number}"
        if self._topic:
            delete(self._broker, self._topic)
        self._topic = f"lines-{number}"
        self._sent.clear()
        create(self._broker, self._topic, PARTITIONS)
        super().clear(number)

    def place_of(self, name: str) -> tuple[str, dict[str, Any]]:
        """Return the URL of a table's source, and what differs from its mapping in TABLES."""
        places: dict[str, tuple[str, dict[str, Any]]] = {
            "crm.customers": (self._database.url(), {}),
            "sales.orders": (f"s3://{BUCKET}/sales", {}),
            "sales.order_lines": (
                f"kafka://{self._broker.address}",
                {"from": self._topic, "columns": {name: name for name in LINES.split(",")}},
            ),
        }
        return places.get(name) or super().place_of(name)

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

    def send_lines(self, day: int, part: Part, records: Sequence[str]) -> None:
        """Send lines of orders in one transaction, after one that is aborted."""
        moment = datetime(2026, 1, day, 8 + 8 * PARTS.index(part), tzinfo=UTC)
        for is_kept, some in ((False, records[:3]), (True, records)):
            self._producer.begin_transaction()
            for number, record in enumerate(some):
                self._producer.produce(
                    self._topic,
                    as_message(record),
                    partition=number % PARTITIONS,
                    timestamp=int(moment.timestamp() * 1000) + number,
                    on_delivery=self._note if is_kept else None,
                )
            self._producer.flush()
            (self._producer.commit_transaction if is_kept else self._producer.abort_transaction)()

    def write_orders(self, name: str, content: str) -> None:
        """Write an object of orders."""
        self._store.put(f"sales/{name}", content.encode())

    def unlike_offsets(self, folder: DataFolder) -> Iterator[str]:
        """Yield differences between the offsets that the lake has, and the messages of which it has a trace."""
        table = RawTable(folder.lake, TOPIC_TABLE)
        delta = open_table(table.path)
        if delta is None:
            return
        offsets = Watermark.parse(json.loads(table.last_commit().get("watermark", "null"))).offsets
        read = sum(json.loads(one["counts"])[0] for one in delta.history() if "counts" in one)
        due = sum(offset < offsets.get(partition, 0) for partition, sent in self._sent.items() for offset in sent)
        if read != due:
            yield f"{TOPIC_TABLE}: its offsets {offsets} come after {due} messages, and its commits read {read}"
        places = [
            place
            for relation in (relation_of(delta), quarantined_rows(table))
            for (place,) in ask(f"select _position from {relation}")
        ]
        known = {f"{self._topic}/{partition}:{offset}" for partition, sent in self._sent.items() for offset in sent}
        if strange := set(places) - known:
            yield f"{TOPIC_TABLE}: it has messages that were never committed, such as {min(strange)}"
        if len(places) != len(set(places)):
            yield f"{TOPIC_TABLE}: {len(places) - len(set(places))} messages are there twice"

    def _note(self, _error: object, message: Message) -> None:
        self._sent[message.partition() or 0].append(message.offset() or 0)


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
