"""One run at a time on a data folder."""

import fcntl
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from flows.config.settings import DataFolder
from flows.core.errors import RunLocked

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Owner:
    """Who holds a data folder: its process, what that was called with, since when, and its flow run in Prefect."""

    process: int
    command: str
    since: str
    flow_run: str | None = None

    def __str__(self) -> str:
        return f"process {self.process}, {self.command or 'a flow'}, since {self.since}"


@contextmanager
def run_lock(folder: DataFolder, flow_run: str | None = None) -> Iterator[Owner | None]:
    """Hold a data folder for one run; raises RunLocked with the owner's name if another has it.

    The kernel lets go of the lock when its owner dies, however that happens: what a dead run left is taken over, and
    that run is yielded.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RunLocked(folder.path.name, str(_owner(file.read()) or "a run that is just starting")) from None
        file.seek(0)
        dead = _owner(file.read())
        if dead is not None:
            logger.warning("took over the lock of a run that died: %s", dead)
        shutil.rmtree(folder.work, ignore_errors=True)  # what that run had spilled and unpacked
        _write(file.fileno(), Owner(os.getpid(), " ".join(sys.argv[1:4]), _now(), flow_run))
        try:
            yield dead
        finally:
            os.ftruncate(file.fileno(), 0)


def _write(handle: int, owner: Owner) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(asdict(owner)).encode(), 0)


def _owner(text: str) -> Owner | None:
    """Read who holds a lock; None for nobody, or for a run that is just starting."""
    try:
        return Owner(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
