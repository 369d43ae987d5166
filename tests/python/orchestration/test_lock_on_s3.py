"""The lock of a set whose lake is on S3: seen by all machines, taken over from the dead alone, and lost for certain."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from flows.config.settings import PROJECT, DataFolder
from flows.core.errors import RunLocked, StorageFailed
from flows.lake import lease
from flows.lake.delta import open_table, write_rows
from flows.orchestration.run_lock import find_owner, run_lock
from tests.services.s3 import BUCKET, Fault, S3Server

pytest_plugins = ["support.s3_fixtures"]
pytestmark = pytest.mark.services

HOLD = """
import sys, time
from flows.config.settings import DataFolder
from flows.orchestration.run_lock import run_lock
with run_lock(DataFolder.of("tea")):
    print("held", flush=True)
    time.sleep(60)
"""

DIE_AT_THE_END = """
import os, signal
from flows.config.settings import DataFolder
from flows.lake.lease import Lease
from flows.orchestration.run_lock import run_lock
Lease.release = lambda _lease: os.kill(os.getpid(), signal.SIGKILL)
with run_lock(DataFolder.of("tea")):
    print("held", flush=True)
"""


@pytest.fixture(autouse=True)
def lake(s3_environment: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lake of its own for each test, and a lock whose times are tenths of what they are."""
    monkeypatch.setenv("ML_WAREHOUSE_LAKE", f"s3://{BUCKET}/{tmp_path.name}")
    for name, seconds in {"RENEWED": 0.2, "VALID": 1.0, "WATCHED": 2.0, "STEP": 0.1}.items():
        monkeypatch.setattr(lease, name, seconds)


@pytest.fixture
def machines(tmp_path: Path) -> tuple[DataFolder, DataFolder]:
    """The same set on two machines, whose data folders differ."""
    return DataFolder(tmp_path / "one" / "tea"), DataFolder(tmp_path / "two" / "tea")


@contextmanager
def run_elsewhere(machine: DataFolder, code: str = HOLD) -> Iterator["subprocess.Popen[str]"]:
    """Hold the lock in another process."""
    environment = {**os.environ, "ML_WAREHOUSE_DATA": str(machine.path.parent), "PYTHONUNBUFFERED": "1"}
    path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, env={**environment, "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True, cwd=PROJECT
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_a_second_run_is_refused_and_told_whose_lock_it_is(machines: tuple[DataFolder, DataFolder]) -> None:
    # Given a run on one machine, which goes on for longer than a lock is valid without a renewal
    one, two = machines
    with run_lock(one):
        time.sleep(lease.VALID * 1.5)

        # When another machine begins a run of the same set, then it is refused, and told of process, host and command
        with pytest.raises(RunLocked, match=rf"s3://.*/tea: process {os.getpid()} on \S+, .*; it was alive \d s ago"):
            run_lock(two).__enter__()
        owner, is_running = find_owner(two)
        assert owner is not None
        assert (owner.process, is_running) == (os.getpid(), True)
        lease.require_lease(one.lake)

    # And once the first has ended, the other can run
    assert find_owner(two) == (None, False)
    with run_lock(two):
        pass


def test_of_runs_that_begin_at_the_same_time_one_gets_the_lock(tmp_path: Path) -> None:
    def run(number: int) -> bool:
        try:
            with run_lock(DataFolder(tmp_path / str(number) / "tea")):
                time.sleep(1)
            return True
        except RunLocked:
            return False

    with ThreadPoolExecutor(8) as workers:
        assert list(workers.map(run, range(8))).count(True) == 1


def test_a_killed_run_is_taken_over_at_once_on_its_own_machine(
    machines: tuple[DataFolder, DataFolder], caplog: pytest.LogCaptureFixture
) -> None:
    with run_elsewhere(machines[0]) as process:
        process.kill()
        process.wait()
    started = time.monotonic()
    with run_lock(machines[0]):
        assert time.monotonic() - started < lease.WATCHED
    assert "took over the lock of a run that died" in caplog.text


def test_a_run_that_dies_while_it_gives_the_lock_back_is_taken_over_at_once(
    machines: tuple[DataFolder, DataFolder],
) -> None:
    with run_elsewhere(machines[0], DIE_AT_THE_END) as process:
        assert process.wait() == -signal.SIGKILL
    started = time.monotonic()
    with run_lock(machines[0]):
        assert time.monotonic() - started < lease.WATCHED


def test_a_killed_run_is_taken_over_on_another_machine_once_it_was_watched(
    machines: tuple[DataFolder, DataFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a run that was killed just now on another machine
    one, two = machines
    with run_elsewhere(one) as process:
        process.kill()
        process.wait()
        monkeypatch.setattr(lease, "WATCHED", 4.0)
        with pytest.raises(RunLocked, match=f"process {process.pid} on"):
            run_lock(two).__enter__()

    # When it has been silent for longer, then it is watched for as long, and taken over
    monkeypatch.setattr(lease, "WATCHED", 1.5)
    time.sleep(2.5)
    started = time.monotonic()
    with run_lock(two):
        assert time.monotonic() - started >= lease.WATCHED


def test_a_run_whose_clock_is_wrong_is_not_taken_over(
    machines: tuple[DataFolder, DataFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock of the second machine the lock is hours old, but it is renewed under its eyes."""
    with run_lock(machines[0]):
        read = lease._read

        def read_old(path: lease.S3Path) -> object:
            found = read(path)
            return found and lease._Written(found.owner, found.token, found.tag, 9999.0)

        monkeypatch.setattr(lease, "_read", read_old)
        with pytest.raises(RunLocked):
            run_lock(machines[1]).__enter__()


def test_a_run_that_slept_while_another_took_over_writes_no_more(
    machines: tuple[DataFolder, DataFolder], s3_server: S3Server, caplog: pytest.LogCaptureFixture
) -> None:
    # Given a run that cannot renew its lock
    one, two = machines
    path = one.lake / "raw" / "sales" / "orders"
    with run_lock(one):
        write_rows(open_table(path), path, pa.table({"id": [1]}), mode="append")
        s3_server.refuse(Fault("PUT .*run.lock", 500, "InternalError"))
        time.sleep(lease.VALID + 1)

        # When it writes on, then it is refused, though no other run is there yet
        with pytest.raises(StorageFailed, match="the lock could not be renewed for"):
            write_rows(open_table(path), path, pa.table({"id": [2]}), mode="append")

        # And when another run has the lock, it stays with that one, whatever the first does
        s3_server.refuse(Fault("PUT .*run.lock", 500, "InternalError", times=0))
        mine = lease._held[one.lake]
        mine._stopped.set()
        time.sleep(lease.WATCHED)
        with run_lock(two):
            with pytest.raises(StorageFailed, match="lock"):
                mine.require()
            mine.release()
            assert find_owner(two)[1]
    table = open_table(path)
    assert table is not None
    assert table.version() == 0


def test_a_stopped_process_finds_its_lock_taken(machines: tuple[DataFolder, DataFolder]) -> None:
    """A laptop was closed in mid-run: after it is opened again, the other run keeps the lock."""
    one, two = machines
    with run_elsewhere(one) as process:
        process.send_signal(signal.SIGSTOP)
        time.sleep(lease.WATCHED + 1.5)
        with run_lock(two):
            mine = lease._held[two.lake]
            process.send_signal(signal.SIGCONT)
            time.sleep(6)
            mine.require()
            found = lease._read(two.lake / "run.lock")
            assert found is not None
            assert found.token == mine.token


def test_an_answer_that_was_lost_does_not_lose_the_lock(
    machines: tuple[DataFolder, DataFolder], s3_server: S3Server
) -> None:
    """The server had written the lock, and the connection was cut: the next try finds its own words."""
    s3_server.refuse(Fault("PUT .*run.lock", 0, "", times=3))
    with run_lock(machines[0]):
        time.sleep(lease.VALID * 2)
        lease.require_lease(machines[0].lake)
    assert len(s3_server.refused()) == 3
