"""How far a build is: the nodes that are done, the node at work, and an estimate of the seconds that are left."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from dbt_common.events.base_types import EventMsg

from flows.core.terminal import is_terminal, redrawn_line

logger = logging.getLogger(__name__)

EVERY_SECONDS = 10.0
"""The time from one line of a log to the next; a terminal has one line that is redrawn."""


class Progress:
    """Takes dbt's events of a build, in one command or in several after each other, and shows how far it is.

    `total` is the number of nodes that will run; it may be set again while they run. As long as it is None, each
    command's own number counts as soon as dbt says it. That number may hold unit tests twice.
    """

    def __init__(self, total: int | None = None) -> None:
        self.total = total
        self.invocations: list[str] = []
        self._done, self._done_before, self._told = 0, 0, 0
        self._at_work: dict[str, str] = {}
        self._name = ""
        self._started = self._last = time.monotonic()
        self._is_drawn, self._lock = False, Lock()

    @property
    def invocation_id(self) -> str:
        """The id of dbt's last command; empty before the first."""
        return self.invocations[-1] if self.invocations else ""

    @contextmanager
    def shown(self) -> Iterator["Progress"]:
        """Show the progress while a build runs: a redrawn line on a terminal, else a log line every ten seconds."""
        self._started = self._last = time.monotonic()
        if not is_terminal():
            yield self
            return
        self._is_drawn = True
        with redrawn_line(lambda: str(self)):
            yield self

    def see(self, event: EventMsg) -> None:
        """Take one of dbt's events, from any of its threads."""
        with self._lock:
            if event.info.invocation_id != self.invocation_id:
                self.invocations.append(event.info.invocation_id)
                self._done_before = self._done
            match event.info.name:
                case "LogStartLine":
                    self._told = max(self._told, self._done_before + event.data.total)
                case "NodeStart":
                    self._name = event.data.node_info.node_name
                    self._at_work[event.data.node_info.unique_id] = self._name
                case "NodeFinished":
                    self._done += 1
                    self._at_work.pop(event.data.node_info.unique_id, None)
                    self._log()

    def __str__(self) -> str:
        """Say how many nodes are done, the name of the one that has been at work longest, and the seconds left."""
        done, total = self._done, max(self.total or self._told, self._done)
        name = next(iter(self._at_work.values()), self._name)
        parts = [f"build: {done:,} of {total:,} nodes" if total else "build: starting", name]
        left = self.seconds_left()
        if left is not None:
            parts.append(f"about {left:.0f} s left")
        return ", ".join(part for part in parts if part)

    def seconds_left(self) -> float | None:
        """Estimate the seconds that are left, at the pace so far; None before there is a pace or a total."""
        total = self.total or self._told
        if not self._done or total <= self._done:
            return None
        return (time.monotonic() - self._started) / self._done * (total - self._done)

    def _log(self) -> None:
        if not self._is_drawn and time.monotonic() - self._last >= EVERY_SECONDS:
            self._last = time.monotonic()
            logger.info("%s", str(self))
