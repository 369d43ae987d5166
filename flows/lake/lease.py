"""The lock of a set whose lake is on S3: an object that names its owner, written on conditions only.

The owner renews it every few seconds, and without a renewal it soon writes no more. Another run watches the lock for
longer than that before it takes it over. So no clocks of two machines are compared.
"""

import json
import logging
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from flows.core.errors import StorageFailed
from flows.core.object_store import Changed, S3Failed, S3Path

logger = logging.getLogger(__name__)

RENEWED, VALID, WATCHED = 5.0, 20.0, 30.0
"""Seconds between two renewals, for which a renewal lets its owner write, and for which another run watches a lock."""

STEP = 2.0

_held: dict[S3Path, "Lease"] = {}


class Held(Exception):
    """Another run holds the lock: what it says of itself, and the seconds since it last wrote it."""

    def __init__(self, owner: Mapping[str, Any], age: float) -> None:
        super().__init__(owner, age)
        self.owner, self.age = owner, age


@dataclass(frozen=True)
class _Written:
    """The lock as it is: its owner's words, the owner's token, and its tag."""

    owner: Mapping[str, Any]
    token: str
    tag: str
    age: float


class Lease:
    """A lock that this process holds."""

    def __init__(self, path: S3Path, owner: Mapping[str, Any], token: str) -> None:
        self.path, self.token = path, token
        self._owner, self._count, self._tag = owner, 0, ""
        self._renewed_at, self._is_lost = 0.0, False
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True, name="lease")

    def require(self) -> None:
        """Raise StorageFailed if another run may have taken over the lock: this one must write no more."""
        silent = _now() - self._renewed_at
        if self._is_lost or silent > VALID:
            raise StorageFailed(
                str(self.path),
                "another run has taken over the lock of this one"
                if self._is_lost
                else f"the lock could not be renewed for {silent:.0f} s, so another run may have taken it over",
                "Run again: what this run has committed stays, and the next one continues after it.",
            )

    def acquire(self, before: str | None) -> None:
        """Write a new lock, or in place of the one of a tag; raises Changed if another run was faster."""
        self._write(before)
        self._thread.start()
        _held[self.path.parent] = self

    def release(self) -> None:
        """Delete the lock, unless another run may have it."""
        _held.pop(self.path.parent, None)
        self._stopped.set()
        self._thread.join()
        with suppress(StorageFailed, S3Failed):  # else it is taken over once it is old
            self.require()
            self.path.unlink(missing_ok=True)

    def _write(self, before: str | None) -> None:
        started = _now()
        self._count += 1
        content = json.dumps({**self._owner, "token": self.token, "renewed": self._count}).encode()
        try:
            self._tag = self.path.put(content, before=before)
        except Changed:
            found = _read(self.path)  # a try whose answer was lost may have written it
            if found is None or found.token != self.token:
                raise
            self._tag = found.tag
        self._renewed_at = started

    def _renew(self) -> None:
        while not self._stopped.wait(RENEWED):
            try:
                self._write(self._tag)
            except Changed:
                self._is_lost = True
                logger.error("another run has taken over the lock %s", self.path)
                return
            except (OSError, ValueError) as error:
                logger.warning("the lock %s could not be renewed: %s", self.path, type(error).__name__)


@contextmanager
def lease(path: S3Path, owner: Mapping[str, Any], token: str, died: Collection[str | None] = ()) -> Iterator[None]:
    """Hold a lock; raises Held if another run has it.

    `token` names this run, `died` those that are known to be dead, whose lock is taken over at once.
    """
    held = Lease(path, owner, token)
    found = _read(path)
    if found is not None and found.token not in died:
        found = _watch(path, found)
        logger.warning("took over the lock of a run that died: %s", path)
    try:
        held.acquire(found.tag if found is not None else None)
    except Changed:
        faster = _read(path)
        raise Held(faster.owner if faster is not None else {}, 0.0) from None
    try:
        yield
    finally:
        held.release()


def require_lease(path: Path) -> None:
    """Raise StorageFailed before a write to a lake whose lock this process has lost."""
    if isinstance(path, S3Path):
        for place, held in list(_held.items()):
            if path.is_relative_to(place):
                held.require()


def holder(path: S3Path) -> tuple[Mapping[str, Any], float] | None:
    """Return what the run that holds a lock says of itself, and the seconds since it last did; None without one."""
    found = _read(path)
    return None if found is None else (found.owner, found.age)


def new_token() -> str:
    """Return a name for a run that no other has."""
    return uuid4().hex


def _watch(path: S3Path, first: _Written) -> _Written | None:
    """Return a lock that stays as it is for so long that its owner writes no more; None if it is deleted meanwhile.

    Raises Held if it is renewed.

    A young one, by the clocks of this machine and of the server, is not watched: its owner is most likely alive.
    """
    if first.age < WATCHED:
        raise Held(first.owner, first.age)
    logger.info("a lock is %.0f s old; watching for %.0f s whether its run is alive", first.age, WATCHED)
    end = _now() + WATCHED
    while _now() < end:
        time.sleep(STEP)
        found = _read(path)
        if found is None:
            return None
        if found.tag != first.tag:
            raise Held(found.owner, 0.0)
    return first


def _read(path: S3Path) -> _Written | None:
    """Read a lock, of which only the tag is needed if it is damaged; None if there is no lock."""
    try:
        content, found = path.read()
    except FileNotFoundError:
        return None
    try:
        owner = dict(json.loads(content))
    except (ValueError, TypeError):
        owner = {}
    age = (datetime.now(UTC) - found.changed_at).total_seconds()
    return _Written(owner, str(owner.get("token", "")), found.etag, max(0.0, age))


def _now() -> float:
    """Return seconds that pass also while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
