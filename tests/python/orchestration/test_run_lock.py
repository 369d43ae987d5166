"""Runs of a set that begin while another one has only just begun, or is about to end."""

import fcntl
import threading
from pathlib import Path

import pytest

from flows.config.settings import DataFolder
from flows.core.errors import RunLocked
from flows.orchestration import run_lock as locks
from flows.orchestration.run_lock import run_lock


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A set without data."""
    (tmp_path / "tea").mkdir()
    return DataFolder(tmp_path / "tea")


def test_a_run_that_is_about_to_end_is_waited_for(folder: DataFolder) -> None:
    """It has deleted its name, and still holds the lock for a moment."""
    with folder.lock.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        threading.Timer(0.2, lambda: fcntl.flock(file, fcntl.LOCK_UN)).start()
        with run_lock(folder):
            pass


def test_a_run_that_stays_without_a_name_is_not_waited_for_long(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "NAMELESS_SECONDS", 0.1)
    with folder.lock.open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(RunLocked, match="a run that is just starting"):
            run_lock(folder).__enter__()
