"""A real Kafka broker: each message once, offsets with the data alone, tombstones, transactions, a topic made anew."""

import json
import sqlite3
import threading
import time
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from support.shop import Shop
from support.topics import COLUMNS, create, delete, produce

import flows.ingest.load as loading
from flows.core.errors import SourceFailed, UsageError
from flows.ingest.mistakes import inspect_table
from flows.ingest.preview import preview_table
from flows.ingest.replay import replay_table
from flows.sources.survey import survey
from tests.services.kafka import KafkaBroker

pytestmark = pytest.mark.services

MAPPING = {"id": "coalesce(id, kafka_key)"}


def payments(first: int, last: int) -> list[dict[str, Any]]:
    return [{"id": str(number), "amount": number} for number in range(first, last + 1)]


def test_each_message_is_read_once_up_to_the_ends_seen_at_the_start(
    shop: Shop, broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given batches of three messages, in two partitions
    monkeypatch.setattr("flows.sources.kafka.table.ROWS_A_BATCH", 3)
    produce(broker, topic, *payments(1, 7), partition=0)
    produce(broker, topic, *payments(8, 10), partition=1)

    # When it is loaded, and again, then each is there once, and nothing is read a second time
    first, again = shop.load(), shop.load()
    assert (first.counts.accepted, again.counts.read) == (10, 0)
    assert again.batch == first.batch
    assert sorted(map(int, shop.rows("id"))) == list(range(1, 11))
    assert set(shop.rows("_position")) == {f"{topic}/0:{at}" for at in range(7)} | {
        f"{topic}/1:{at}" for at in range(3)
    }

    # And later messages are read from there on
    produce(broker, topic, *payments(11, 12), partition=1)
    assert shop.load().counts.read == 2

    # And no offset is kept at the broker
    admin = AdminClient({"bootstrap.servers": broker.address})
    assert admin.list_consumer_groups().result().valid == []


def test_fault_51_another_consumer_of_the_group_takes_no_message(
    shop: Shop, broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A rebalance in mid-batch moved partitions to another consumer, which committed offsets: I."""
    # Given a consumer of the same group that joins it in mid-batch, and reads and commits half of the messages
    monkeypatch.setattr("flows.sources.kafka.table.ROWS_A_BATCH", 2)
    produce(broker, topic, *payments(1, 8))
    other = Consumer({"bootstrap.servers": broker.address, "group.id": "ml-warehouse", "auto.offset.reset": "earliest"})
    commit, joined = loading.commit_batch, list[Any]()

    def join_once(*arguments: Any) -> Any:
        if not joined:
            other.subscribe([topic])
            joined.extend(other.consume(4, 20))
            other.commit(asynchronous=False)
        return commit(*arguments)

    monkeypatch.setattr(loading, "commit_batch", join_once)

    # When the topic is loaded while that consumer is a member, then the offsets in the lake decide
    assert shop.load().counts.accepted == 8
    assert len(joined) == 4
    other.close()
    assert shop.load().counts.read == 0


def test_key_headers_and_time_are_kept_and_digits_are_the_message_s_own(
    shop: Shop, broker: KafkaBroker, topic: str
) -> None:
    shop.map(**{"from": topic, "columns": {"paid_at": "kafka_time"}})
    headers = [("trace", b"a"), ("trace", b"\xff"), ("shop", b"tea")]
    value = b' {"id": "1", "amount": 12345678901234.5678, "lines": [{"n": 1.5}]} '
    produce(broker, topic, value, key="K7", headers=headers, timestamp=1_772_359_200_123)
    shop.load()
    assert shop.rows("id", "amount", "paid_at", "kafka_key", "lines") == [
        ("1", Decimal("12345678901234.5678"), datetime(2026, 3, 1, 10, 0, 0, 123000), "K7", '[{"n":1.5}]')
    ]
    assert json.loads(shop.rows("kafka_headers")[0]) == {"trace": ["a", "0xff"], "shop": "tea"}


def test_fault_33_52_malformed_messages_wait_and_the_partition_goes_on(
    shop: Shop, broker: KafkaBroker, topic: str
) -> None:
    """A poison message, or one that has a key twice, stopped all that came after it: Q."""
    # Given texts that are no JSON object, bytes that are no text, an empty message, and one with a field of our own
    shop.change(quarantine_limit_pct=100.0)
    own, twice = b'{"id": "2", "kafka_key": "K2"}', b'{"id": "4", "amount": 1, "amount": 2}'
    malformed = [b"", b"[1]", b"no json", b'{"id": ', b"{bad}", b"\xff\x00", b'{"x": 1.12345678901234567890', own]
    malformed.append(twice)
    produce(broker, topic, {"id": "1"}, *malformed, {"id": "3"}, key="K")
    load = shop.load()

    # Then they wait in quarantine as they came, and the others are loaded
    assert shop.rows("id") == ["1", "3"]
    assert sorted(raw for raw, _ in shop.quarantine()) == sorted(malformed)
    assert (load.counts.read, load.counts.quarantined) == (11, 9)


def test_fault_29_a_message_whose_keys_cannot_be_columns_waits_and_the_topic_is_read_on(
    shop: Shop, broker: KafkaBroker, topic: str
) -> None:
    """A message had a key that no column can have, and each load of its topic failed from then on: Q."""
    # Given a topic that was read, then such a message alone, and more of them beside good ones
    shop.change(quarantine_limit_pct=100.0)
    produce(broker, topic, {"id": "0"}, key="K")
    shop.load()
    poor = [b'{"": 1}', b'{"_row": 2, "id": "7"}', b'{"id": "8", "ID": "9"}', b'{"Kafka_Key": 1, "id": "7"}']
    produce(broker, topic, poor[0], key="K")
    assert shop.load().counts.quarantined == 1
    produce(broker, topic, poor[1], {"id": "1"}, poor[2], {"id": "2"}, poor[3], key="K")

    # When the topic is loaded, then the good ones are there, and the others wait as they came
    load = shop.load()
    assert (load.counts.read, load.counts.accepted, load.counts.quarantined) == (5, 2, 3)
    assert shop.rows("id") == ["0", "1", "2"]
    assert sorted(raw for raw, _ in shop.quarantine()) == sorted(poor)
    assert shop.load().counts.read == 0


def test_fault_53_a_tombstone_deletes_the_key_of_its_message(shop: Shop, broker: KafkaBroker, topic: str) -> None:
    """A tombstone became a row of nulls, and the key was still there: I."""
    # Given states of three keys in two partitions, of which one is deleted, and one comes back
    shop.declare("sales.payments", COLUMNS, key=["id"], load="upsert", cursor="paid_at")
    shop.map(**{"from": topic, "columns": MAPPING})
    for key, value in (("1", {"amount": 1}), ("2", {"amount": 2}), ("2", None), ("3", None), ("3", {"amount": 3})):
        produce(broker, topic, value, key=key, partition=int(key) % 2, headers=[("by", b"test")])
    load = shop.load()
    assert (load.counts.read, load.counts.accepted) == (5, 5)
    produce(broker, topic, None, key="1", partition=1)

    # When a load brings a tombstone alone, then it is one row, which has the key and says that it is deleted
    load = shop.load()
    assert (load.counts.read, load.counts.accepted) == (1, 1)
    assert shop.rows("id", "amount", "_deleted", where="id = '1'") == [("1", 1, False), ("1", None, True)]
    assert shop.rows("amount", "_deleted", where="id = '2'") == [(2, False), (None, True)]
    assert shop.rows("amount", "_deleted", where="id = '3'") == [(None, True), (3, False)]
    assert json.loads(shop.rows("kafka_headers", where="_deleted and id = '2'")[0]) == {"by": "test"}
    assert shop.load().counts.read == 0


def test_keys_of_numbers_are_hexadecimal_and_a_mapping_reads_them(shop: Shop, broker: KafkaBroker, topic: str) -> None:
    shop.map(**{"from": topic, "columns": {"id": "cast(cast(kafka_key as bigint) as varchar)"}})
    produce(broker, topic, {"amount": 1}, key=(42).to_bytes(4, "big"))
    produce(broker, topic, {"amount": 2}, key=(2**40).to_bytes(8, "big"), partition=1)
    shop.load()
    assert sorted(shop.rows("id")) == [str(2**40), "42"]


def test_a_message_without_a_required_field_waits_also_if_it_is_alone(
    shop: Shop, broker: KafkaBroker, topic: str
) -> None:
    produce(broker, topic, {"id": "1", "amount": 1})
    shop.load()
    produce(broker, topic, {"amount": 2})
    load = shop.load()
    assert (load.counts.read, load.counts.quarantined) == (1, 1)
    produce(broker, topic, {"id": "3", "amount": 3})
    assert shop.load().counts.accepted == 1


def test_a_quarantined_message_keeps_its_key_for_a_replay(shop: Shop, broker: KafkaBroker, topic: str) -> None:
    shop.map(**{"from": topic, "columns": {"id": "kafka_key"}})
    produce(broker, topic, {"amount": 1}, key="K1")
    produce(broker, topic, {"amount": "1,50"}, key="K2")
    assert shop.load().counts.quarantined == 1
    shop.map(**{"from": topic, "columns": {"id": "kafka_key", "amount": "replace(amount, ',', '.')"}})
    replay_table(shop.read_connection(), shop.contract, shop.lake, run_id="replay")
    assert shop.rows("id", "amount") == [("K1", 1), ("K2", Decimal("1.5"))]


def test_fault_55_an_aborted_transaction_is_not_read_and_an_open_one_waits(
    shop: Shop, broker: KafkaBroker, topic: str
) -> None:
    """Messages of an aborted transaction were read, or their offsets were taken for a loss: I."""
    # Given a committed transaction, an aborted one, and one that is open
    producer = Producer({"bootstrap.servers": broker.address, "transactional.id": f"id-{topic}"})
    producer.init_transactions()
    for number, ends in ((1, producer.commit_transaction), (2, producer.abort_transaction), (3, None)):
        producer.begin_transaction()
        producer.produce(topic, json.dumps({"id": str(number)}).encode(), partition=0)
        producer.flush(10)
        if ends is not None:
            ends()

    # Then the first alone is read, and a load waits for no transaction
    assert shop.load().counts.accepted == 1
    assert shop.load().counts.read == 0

    # And when the open one is committed, it is read
    producer.commit_transaction()
    shop.load()
    assert shop.rows("id") == ["1", "3"]


def test_fault_54_another_topic_of_the_name_is_read_from_its_beginning(
    shop: Shop, broker: KafkaBroker, topic: str
) -> None:
    """The offsets of a topic that was made again hid its first messages: A."""
    produce(broker, topic, *payments(1, 3))
    shop.load()
    delete(broker, topic)
    create(broker, topic)
    produce(broker, topic, *payments(4, 9))
    load = shop.load()
    assert load.counts.accepted == 6
    assert "is another topic of that name, and is read from its beginning" in load.notes[0]
    assert shop.load().counts.read == 0


def test_fault_54_messages_that_kafka_deleted_before_they_were_read_are_counted(
    shop: Shop, broker: KafkaBroker, topic: str
) -> None:
    """The retention of a topic was shorter than a weekend without a load: A."""
    produce(broker, topic, *payments(1, 2))
    shop.load()
    produce(broker, topic, *payments(3, 6))
    admin, place = AdminClient({"bootstrap.servers": broker.address}), TopicPartition(topic, 0, 5)
    admin.delete_records([place])[place].result()
    load = shop.load()
    assert f"Kafka had deleted 3 messages of {topic}/0" in load.notes[0]
    assert shop.rows("id") == ["1", "2", "6"]


def test_fault_17_18_a_late_message_is_read_and_its_time_orders_it(shop: Shop, broker: KafkaBroker, topic: str) -> None:
    """Messages came out of order, or weeks late, after newer ones had been loaded: I."""
    shop.declare("sales.payments", COLUMNS, key=["id"], load="upsert", cursor="paid_at")
    newer, late = {"id": "1", "amount": 2, "paid_at": "2026-03-02"}, {"id": "2", "amount": 1, "paid_at": "2026-01-01"}
    produce(broker, topic, newer)
    shop.load()
    produce(broker, topic, late, newer | {"amount": 1, "paid_at": "2026-03-01"}, partition=1)
    assert shop.load().counts.accepted == 2
    assert sorted(shop.rows("id", "amount", "paid_at")) == [
        ("1", 1, datetime(2026, 3, 1)), ("1", 2, datetime(2026, 3, 2)), ("2", 1, datetime(2026, 1, 1))
    ]  # fmt: skip


def test_fault_54_a_partition_that_ends_before_what_was_read_is_refused(
    shop: Shop, broker: KafkaBroker, topic: str
) -> None:
    """The broker was restored from an older copy, so that new messages got offsets that had been read: F."""
    produce(broker, topic, *payments(1, 6))
    shop.load()
    broker.lose_messages(topic, 0)
    produce(broker, topic, *payments(7, 9))

    # When it is loaded, then it says so, and it does not wait for the old end in silence
    with pytest.raises(SourceFailed, match=rf"{topic}/0 ends at offset 3, and was read up to 6 already") as failure:
        shop.load()
    assert failure.value.is_transient

    # And with another mapping all that is left is read
    shop.map(**{"from": topic, "where": "true"})
    assert shop.load().counts.accepted == 3
    assert sorted(map(int, shop.rows("id"))) == list(range(1, 10))


def offsets_in(broker: KafkaBroker, topic: str) -> list[int]:
    """Return the offsets of all messages in the only partition of a topic."""
    reader = Consumer({"bootstrap.servers": broker.address, "group.id": "look", "auto.offset.reset": "earliest"})
    partition, found = TopicPartition(topic, 0, 0), list[int]()
    _, end = reader.get_watermark_offsets(partition, timeout=10)
    reader.assign([partition])
    while not found or found[-1] < end - 1:
        found += [message.offset() or 0 for message in reader.consume(100, 0.5)]
    reader.close()
    return found


def test_fault_55_gaps_of_a_compacted_topic_are_no_loss(shop: Shop, broker: KafkaBroker, topic: str) -> None:
    """Kafka's own compaction had left gaps between offsets, which were taken for a loss: I."""
    # Given a topic of which compaction leaves the last message of a key, in all segments but the newest
    compacted = f"compacted-{topic}"
    create(broker, compacted, 1, **{"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0"})
    shop.map(**{"from": compacted})
    offsets: list[int] = []
    for attempt in range(100):
        produce(broker, compacted, *(payments(1, 20) if attempt == 0 else payments(21, 21)), key=f"K{attempt > 0}")
        time.sleep(0.15)
        offsets = offsets_in(broker, compacted)
        if len(offsets) < offsets[-1] - 10:
            break
    assert 0 < len(offsets) < offsets[-1] - 10, "the broker has not compacted it"

    # When it is loaded, then what is left is there, without a note of a loss, and later messages follow
    load = shop.load()
    assert load.counts.read == len(offsets)
    assert not [note for note in load.notes if "deleted" in note]
    produce(broker, compacted, *payments(22, 23), key="K2")
    assert shop.load().counts.accepted == 2


def test_fault_51_a_broker_that_is_killed_in_mid_batch_costs_nothing(
    shop: Shop, broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker was killed while it was read, and came back some seconds later: I."""
    # Given a load whose broker is killed after the first batch, and comes back some seconds later
    monkeypatch.setattr("flows.sources.kafka.table.ROWS_A_BATCH", 100)
    monkeypatch.setattr("flows.sources.kafka.table.MESSAGES_A_FETCH", 100)
    produce(broker, topic, *[{"id": str(number), "filling": "x" * 100_000} for number in range(1_000)])
    commits, commit = list[threading.Thread](), loading.commit_batch

    def restart() -> None:
        broker.stop(is_kill=True)
        broker.start()

    def kill_once(*arguments: Any) -> Any:
        if not commits:
            commits.append(threading.Thread(target=restart))
            commits[0].start()
        return commit(*arguments)

    monkeypatch.setattr(loading, "commit_batch", kill_once)

    # Then the client waits for it, and each message is there once
    try:
        assert shop.load().counts.accepted == 1_000
    finally:
        commits[0].join()
    assert shop.load().counts.read == 0


def test_a_failure_between_two_batches_loses_and_doubles_nothing(
    shop: Shop, broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a load that dies when it commits its second batch
    monkeypatch.setattr("flows.sources.kafka.table.ROWS_A_BATCH", 4)
    produce(broker, topic, *payments(1, 10))
    commits, commit = [], loading.commit_batch

    def die(*arguments: Any) -> Any:
        commits.append(1)
        if len(commits) == 2:
            raise SourceFailed("sales.payments", "died", "Run again.")
        return commit(*arguments)

    monkeypatch.setattr(loading, "commit_batch", die)
    with pytest.raises(SourceFailed, match="died"):
        shop.load()
    assert len(shop.rows("id")) == 4
    load = shop.load()
    assert (load.counts.read, load.counts.accepted) == (6, 6)


def test_a_table_may_move_from_a_database_to_a_topic_and_back(shop: Shop, broker: KafkaBroker, topic: str) -> None:
    """The hash of a mapping does not cover the URL, and a watermark of the other kind means nothing."""
    shop.declare("sales.payments", COLUMNS, key=["id"], load="upsert", cursor="paid_at")
    database = shop.folder / "shop.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(f'create table "{topic}" (id text, amount text, paid_at text)')
        connection.execute(f"""insert into "{topic}" values ('1', '1', '2026-03-01')""")
    produce(broker, topic, *[one | {"paid_at": "2026-03-02"} for one in payments(2, 3)])
    for url in (f"sqlite:///{database}", f"kafka://{broker.address}", f"sqlite:///{database}"):
        shop.connect(url, tables={"payments": {"from": topic}})
        shop.load()
    assert shop.rows("id") == ["1", "2", "3"]


def test_a_look_reads_the_first_messages_and_init_lists_topics(shop: Shop, broker: KafkaBroker, topic: str) -> None:
    produce(broker, topic, *payments(1, 300))
    found, _ = inspect_table(shop.read_connection(), shop.contract)
    assert found.mistakes == ()
    assert preview_table(shop.read_connection(), shop.contract, 1).records[0].position == f"{topic}/0:0"
    tables = survey(f"kafka://{broker.address}", {}).tables
    assert {"id", "amount", "kafka_time"} <= set(next(one for one in tables if one.origin == topic).columns)


def test_what_cannot_be_reached_or_does_not_exist_is_told(
    shop: Shop, broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.map(**{"from": "no-such-topic"})
    with pytest.raises(SourceFailed, match="there is no topic no-such-topic"):
        shop.load()
    shop.connect("kafka://127.0.0.1:9")
    found, is_unreachable = inspect_table(shop.read_connection(), shop.contract)
    assert is_unreachable
    assert "sales.payments" in found.mistakes[0].what
    monkeypatch.setattr("flows.sources.kafka.table.LOOK_SECONDS", 0.5)
    with pytest.raises(SourceFailed, match=r"the source: no broker answers at 127\.0\.0\.1:9"):
        survey("kafka://127.0.0.1:9", {})


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("kafka://", "the url of test.sales is not valid"),
        ("kafka://one:9092/topic", "the url of test.sales is not valid"),
        ("kafka://one:9092?group.id=ours", "the url of test.sales sets group.id"),
    ],
)
def test_a_url_that_names_a_topic_or_a_fixed_property_is_refused(shop: Shop, url: str, message: str) -> None:
    shop.connect(url)
    with pytest.raises(UsageError, match=message):
        shop.load()
