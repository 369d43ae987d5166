"""Ingest takes what comes from topics until it is stopped; no end of it loses or doubles a message."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.shop import Shop
from support.topics import COLUMNS, produce

from flows.config.connections import read_connections
from flows.config.declared import declared_contracts
from flows.config.settings import PROJECT, DataFolder
from flows.core.errors import RunLocked, UsageError
from flows.lake.counts import Counts
from flows.lake.delta import commits, open_table
from flows.lake.raw import raw_path
from flows.lake.verify import verify_table
from flows.orchestration.run_lock import run_lock
from flows.stream import Stream, keep_loading, streams_of
from tests.services.kafka import KafkaBroker

pytestmark = pytest.mark.services

CHILD = """
import logging, sys, time
from pathlib import Path
from support.shop import make_contract
from support.topics import COLUMNS
import flows.ingest.batch as batch
from flows.cli.ingest import stop_when_asked
from flows.config.connections import read_connections
from flows.config.declared import declared_contracts
from flows.stream import keep_loading, streams_of

write = batch.quarantine_rejected

def write_slowly(*arguments):
    written = write(*arguments)
    print("in mid-batch", flush=True)
    time.sleep(0.2)
    return written

batch.quarantine_rejected = write_slowly
logging.basicConfig(level="INFO", stream=sys.stdout, format="%(message)s")
contract = make_contract("sales.payments", COLUMNS, key=["id"], load="append")
sources = read_connections(Path(sys.argv[1]))
keep_loading(sources.folder, streams_of(sources, {contract.name: contract}), stop_when_asked())
"""
"""A process that ingests, and says when a batch is half written: its quarantine is, and its rows are not."""

MID_BATCH = "in mid-batch"


@pytest.fixture
def stream(shop: Shop, topic: str) -> Shop:
    """The shop of a topic, which is asked twice a second, with commits of a megabyte at most."""
    shop.connection["ingest"] = {"seconds": 0.5, "megabytes": 1}
    shop.read_connection()
    return shop


def start(shop: Shop) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(shop.connections_file)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sys.path, str(PROJECT / "tests" / "python")])}
    return subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=subprocess.PIPE, text=True)


def read_until(process: subprocess.Popen[str], text: str, times: int = 1) -> list[str]:
    """Return what a process writes, up to the line in which a text comes so many times."""
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        times -= text in line
        if not times:
            return lines
    raise AssertionError(f"it ended without {text!r}: {''.join(lines)}")


@contextmanager
def ingesting(shop: Shop) -> Iterator[list[Exception]]:
    """Ingest in a thread of this process; yield what it raises."""
    sources = read_connections(shop.connections_file)
    stop, raised = threading.Event(), list[Exception]()

    def run() -> None:
        try:
            keep_loading(sources.folder, streams_of(sources, {shop.name: shop.contract}), stop)
        except Exception as error:  # noqa: BLE001 - it is the test's to look at
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield raised
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def count(shop: Shop) -> int:
    return len(shop.rows("id")) if raw_path(shop.lake, shop.name).exists() else 0


def filled(first: int, last: int) -> list[dict[str, Any]]:
    return [{"id": str(number), "amount": number, "filling": "x" * 2_000} for number in range(first, last)]


def test_no_kill_in_mid_batch_loses_or_doubles_a_message(stream: Shop, broker: KafkaBroker, topic: str) -> None:
    # Given messages of several batches in two partitions, some of them malformed
    def produce_some(first: int) -> None:
        produce(broker, topic, *filled(first, first + 900), f"malformed {first}".encode(), partition=0)
        produce(broker, topic, *filled(first + 900, first + 1_500), partition=1)

    # When ingest is killed in the midst of a batch, some batches later each time, while more messages come
    for number in range(4):
        produce_some(number * 1_500)
        process = start(stream)
        read_until(process, MID_BATCH, number + 1)
        process.send_signal(signal.SIGKILL)
        process.wait()

    # And it is started again, and stopped in an orderly way when there is no lag any more
    process = start(stream)
    said = read_until(process, "lag by partition 0: 0, 1: 0")
    process.send_signal(signal.SIGTERM)
    said += list(process.stdout or ())
    assert process.wait() == 0
    assert said[-1] == "stopped; what was read is committed\n"

    # Then each message is there once, and every load can be recounted
    assert sorted(map(int, stream.rows("id"))) == list(range(6_000))
    assert sorted(raw for raw, _ in stream.quarantine()) == [f"malformed {n * 1_500}".encode() for n in range(4)]
    assert verify_table(stream.lake, stream.name).faults == ()
    table = open_table(raw_path(stream.lake, stream.name))
    assert table is not None
    committed = [Counts.stored(json.loads(one["counts"])) for one in commits(table) if "counts" in one]
    assert sum(committed, Counts()) == Counts(read=6_004, accepted=6_000, quarantined=4)
    assert stream.load().counts.read == 0


def test_elt_takes_its_turn_between_two_rounds_and_a_second_ingest_is_refused(
    stream: Shop, broker: KafkaBroker, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    produce(broker, topic, {"id": "1"})
    with ingesting(stream) as raised:
        wait_for(lambda: count(stream) == 1)

        # When another run takes the set while messages come, then it gets its turn, and ingest waits for it
        with run_lock(DataFolder.of("test")):
            produce(broker, topic, {"id": "2"})
            wait_for(lambda: f"waiting for process {os.getpid()}" in caplog.text)
            assert stream.load().counts.accepted == 1
        produce(broker, topic, {"id": "3"})
        wait_for(lambda: count(stream) == 3)

        # And a second ingest is told which process has the right
        with ingesting(stream) as second:
            wait_for(lambda: second)
        assert isinstance(second[0], RunLocked)
        assert f"process {os.getpid()}" in str(second[0])
    assert raised == []
    assert stream.rows("id") == ["1", "2", "3"]


def test_ingest_goes_on_when_a_broker_comes_back(
    stream: Shop, broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("flows.sources.kafka.table.CONNECT_SECONDS", 1)
    produce(broker, topic, {"id": "1"})
    with ingesting(stream) as raised:
        wait_for(lambda: count(stream) == 1)
        broker.stop(is_kill=True)
        wait_for(lambda: "trying again in" in caplog.text)
        broker.start()
        produce(broker, topic, {"id": "2"})
        wait_for(lambda: count(stream) == 2, 60)
    assert raised == []


def test_small_files_are_merged_and_offsets_stay(
    stream: Shop, broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.stream.ROUNDS_A_COMPACTION", 1)
    monkeypatch.setattr("flows.lake.maintenance.MANY", 4)
    with ingesting(stream) as raised:
        for number in range(5):
            produce(broker, topic, {"id": str(number)})
            wait_for(lambda number=number: count(stream) == number + 1)
    assert raised == []
    table = open_table(raw_path(stream.lake, stream.name))
    assert table is not None
    assert len(table.file_uris()) < 5
    assert stream.load().counts.read == 0


def test_a_first_load_that_is_stopped_stays_a_backfill(
    stream: Shop, broker: KafkaBroker, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.sources.kafka.table.ROWS_A_BATCH", 2)
    produce(broker, topic, *[{"id": str(number)} for number in range(6)])
    (found,) = streams_of(read_connections(stream.connections_file), {stream.name: stream.contract})
    stop = threading.Event()
    stop.set()
    with pytest.raises(BaseException) as raised:  # noqa: PT011 - it is no Exception
        found.load(DataFolder.of("test"), stop)
    assert type(raised.value).__name__ == "Stopped"
    assert (count(stream), stream.loads()[-1]["error"]) == (2, "interrupted")
    stream.load()
    assert stream.rows("_is_backfill") == [True] * 6


def test_ingest_ends_if_another_run_loads_under_another_mapping(stream: Shop, broker: KafkaBroker, topic: str) -> None:
    """Each would read the whole topic again after the other one."""
    produce(broker, topic, {"id": "1"})
    with ingesting(stream) as raised:
        wait_for(lambda: count(stream) == 1)
        with run_lock(DataFolder.of("test")):
            stream.map(**{"from": topic, "columns": {"amount": "7"}})
            stream.load()
        wait_for(lambda: raised)
    assert isinstance(raised[0], UsageError)
    assert "another run loaded it under another mapping or contract" in str(raised[0])


def test_a_set_without_topics_has_nothing_to_ingest(shop: Shop) -> None:
    shop.read_connection()
    with pytest.raises(UsageError, match="The set test has no topic to ingest"):
        streams_of(read_connections(shop.connections_file), {shop.name: shop.contract})


def test_only_what_topics_need_has_to_be_there(tmp_path: Path) -> None:
    # Given a set of a topic, and of an API whose address is not set
    connections = tmp_path / "connections.yml"
    api = {"url": "{{ env_var('NOT_SET_HERE') }}"}
    connections.write_text(json.dumps({"mixed": {"payments": {"url": "kafka://localhost:9092"}, "sales": api}}))

    # Then the tables of the topic alone are ingested
    streams = streams_of(read_connections(connections, "mixed"), declared_contracts())
    assert {stream.connection.source for stream in streams} == {"payments"}

    # And without topics, the message says which address is not known
    connections.write_text(json.dumps({"mixed": {"sales": api}}))
    with pytest.raises(UsageError, match=r"(?s)has no topic to ingest.*NOT_SET_HERE"):
        streams_of(read_connections(connections, "mixed"), declared_contracts())


def test_fault_57_a_burst_is_read_in_bounded_batches_and_a_clock_that_was_reset_waits(
    stream: Shop, broker: KafkaBroker, topic: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst of messages filled the memory, the lag grew unseen, and a clock that was reset spoilt the order: A, Q."""
    # Given a burst of messages, among them those of a device whose clock was reset, and of one that is ahead
    monkeypatch.setattr("flows.sources.kafka.table.ROWS_A_BATCH", 500)
    columns = {**COLUMNS, "paid_at": {"data_type": "timestamp", "config": {"meta": {"has_happened": True}}}}
    stream.declare("sales.payments", columns, key=["id"], load="append", earliest="2020-01-01")
    produce(broker, topic, *[{"id": str(number), "paid_at": "2026-03-01"} for number in range(3_000)])
    produce(broker, topic, {"id": "reset", "paid_at": "1970-01-01"}, {"id": "ahead", "paid_at": "2099-01-01"})
    with ingesting(stream) as raised:
        wait_for(lambda: count(stream) == 3_000)
    assert raised == []

    # Then no batch is larger than its limit, all messages are there, and the two wait in quarantine
    batches = stream.rows("_batch")
    assert max(map(batches.count, set(batches))) <= 500
    assert sorted(reason for _, (reason,) in stream.quarantine()) == [
        "paid_at: lies before 2020-01-01, the contract's earliest day",
        "paid_at: lies further ahead than future_tolerance allows",
    ]

    # And a lag that grows round by round is told
    found = Stream(stream.read_connection(), stream.contract, rounds=1)
    for lag in (10, 20, 30, 40):
        found._report({0: lag, 1: 0})
    assert "sales.payments: messages come faster than they are committed; the lag grew 3 rounds in a row" in caplog.text


def test_the_command_ingests_a_topic_of_the_project_until_it_is_interrupted(
    shop: Shop, broker: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    # Given a topic that a table of the project's own is mapped to
    url = f"kafka://{broker.address}"
    columns = "{transaction_id: id, amount: amount, currency: \"'EUR'\", transacted_at: kafka_time}"
    connections = tmp_path / "topics.yml"
    connections.write_text(
        f"topics:\n  payments: {{url: '{url}', ingest: {{seconds: 0.5}}, tables: {{transactions: "
        f"{{from: {topic}, columns: {columns}}}}}}}\n"
    )
    produce(broker, topic, *[{"id": str(number), "amount": 1} for number in range(3)])
    command = [sys.executable, "-m", "flows", "ingest", "--connections", str(connections)]
    process = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

    # When it has read what is there, and is interrupted, then it ends with 0
    lines = []
    for line in process.stderr or ():
        lines.append(line)
        if "lag by partition 0: 0, 1: 0" in line:
            break
    process.send_signal(signal.SIGTERM)
    lines += list(process.stderr or ())
    assert process.wait() == 0, "".join(lines)
    assert any("payments.transactions: 3 read = 3 accepted" in line for line in lines), "".join(lines)
