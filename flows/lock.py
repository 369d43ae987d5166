"""One run at a time on a data folder."""

import fcntl
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from flows.errors import RunLocked
from flows.settings import DataFolder

logger = logging.getLogger(__name__)


@contextmanager
def run_lock(folder: DataFolder) -> Iterator[None]:
    """Hold a data folder for one run; raises RunLocked with the owner's name if another has it.

    The kernel lets go of the lock when its owner dies, however that happens: what a dead run left is taken over.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    with folder.lock.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RunLocked(folder.path.name, _owner(file.read())) from None
        file.seek(0)
        if left := file.read():
            logger.warning("took over the lock of a run that died: %s", _owner(left))
        _write(file.fileno(), {"process": os.getpid(), "command": " ".join(sys.argv[1:4]), "since": _now()})
        try:
            yield
        finally:
            os.ftruncate(file.fileno(), 0)


def _write(handle: int, owner: dict[str, object]) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(owner).encode(), 0)


def _owner(text: str) -> str:
    try:
        owner = json.loads(text)
        return f"process {owner['process']}, {owner['command'] or 'a flow'}, since {owner['since']}"
    except (ValueError, KeyError):
        return "a run that is just starting"


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
