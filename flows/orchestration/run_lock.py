"""One run at a time on a data folder; a run that died there is shown as crashed, not as running for ever."""

import fcntl
import json
import logging
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any
from uuid import UUID

from flows.config.settings import DataFolder
from flows.core.errors import RunLocked
from flows.core.object_store import S3Path
from flows.core.storage import set_aside
from flows.lake.lease import WATCHED, Held, holder, lease, new_token

if TYPE_CHECKING:  # the replay command does without Prefect
    from prefect.client.orchestration import SyncPrefectClient

logger = logging.getLogger(__name__)

LONGEST_OWNER = 10_000
"""Characters of a lock that are read; an owner has a few hundred."""

LAKE_LOCK = "run.lock"
"""The object that is the lock of a lake on S3."""

LONGEST_BRIEF_SECONDS, NAMELESS_SECONDS, POLL_SECONDS = 60, 2, 0.02
"""How long an owner that is brief is waited for, and one without a name, which is just starting or ending.

The last is how often the lock is tried meanwhile.
"""


@dataclass(frozen=True)
class Owner:
    """The run that holds a data folder: its process, command, start, and flow run in Prefect.

    One that `is_brief` holds it for seconds, so that others wait for it. If the lake is on S3, machines share it:
    `host` names this one. `token` is in the lake's lock too, and `earlier` is that of the dead run whose lock is being
    taken over.
    """

    process: int
    command: str
    since: str
    flow_run: str | None = None
    host: str | None = None
    token: str | None = None
    earlier: str | None = None
    is_brief: bool = False

    def __str__(self) -> str:
        place = f" on {self.host}" if self.host else ""
        return f"process {self.process}{place}, {self.command or 'a flow'}, since {self.since}"


@contextmanager
def run_lock(folder: DataFolder, flow_run: str | None = None, *, is_brief: bool = False) -> Iterator[None]:
    """Hold a data folder for one run; raises RunLocked with the owner's name if another run has it.

    A run that holds it for seconds only, `is_brief`, is waited for. The kernel frees the lock when its owner dies,
    however that happens. Then this run takes over the folder, and, if it is a flow run itself, closes the dead run in
    Prefect. A lake on S3 has a lock of its own, which other machines see.
    """
    folder.path.mkdir(parents=True, exist_ok=True)
    if folder.lock.is_dir():
        set_aside(folder.lock, "is a folder")
    with folder.lock.open("a+", encoding="utf-8", errors="replace") as file:
        _take(file, folder.path.name)
        file.seek(0)
        left = file.read(LONGEST_OWNER)
        dead = _owner(left)
        if dead is not None:
            logger.warning("took over the lock of a run that died: %s", dead)
        elif left:
            logger.warning("%s names no run, and is written again", folder.lock)
        if folder.work.exists() and not folder.work.is_dir():
            set_aside(folder.work, "is no folder")
        shutil.rmtree(folder.work, ignore_errors=True)  # what the dead run had spilled and unpacked
        owner = _this_process(flow_run, is_brief=is_brief)
        with ExitStack() as ending, _lake_lock(folder, file.fileno(), owner, dead):
            # Last of all: if this run dies before the lake's lock is gone, the file says whose that is.
            ending.callback(os.ftruncate, file.fileno(), 0)
            if flow_run is not None and dead is not None and dead.flow_run is not None:
                _close_in_prefect(dead)
            yield


@contextmanager
def _lake_lock(folder: DataFolder, file: int, owner: Owner, dead: Owner | None) -> Iterator[None]:
    """Write the owner into the lock file, and hold the lock of a lake on S3; a refusal leaves the file as it was."""
    lake = folder.lake
    if not isinstance(lake, S3Path):
        _write(file, owner)
        yield
        return
    owner = replace(owner, host=socket.gethostname(), token=new_token(), earlier=dead.token if dead else None)
    died = {dead.token, dead.earlier} - {None} if dead is not None else set()
    _write(file, owner)
    try:
        with lease(lake / LAKE_LOCK, asdict(owner), str(owner.token), died):
            _write(file, replace(owner, earlier=None))
            yield
    except Held as held:
        if dead is not None:
            _write(file, dead)
        else:
            os.ftruncate(file, 0)
        who = _owner(json.dumps(held.owner)) or "a run that is just starting"
        raise RunLocked(str(lake), f"{who}; it was alive {held.age:.0f} s ago") from None


@contextmanager
def ingest_lock(folder: DataFolder) -> Iterator[None]:
    """Hold the right to ingest into a set, from one round to the next; raises RunLocked if another ingest has it."""
    folder.path.mkdir(parents=True, exist_ok=True)
    with (folder.path / "ingest.lock").open("a+", encoding="utf-8", errors="replace") as file:
        _take(file, folder.path.name)
        _write(file.fileno(), _this_process())
        try:
            yield
        finally:
            os.ftruncate(file.fileno(), 0)


def _take(file: IO[str], name: str) -> None:
    """Lock a file, after waiting for an owner that is brief; raises RunLocked with the name of its owner."""
    started = time.monotonic()
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = _owner(file.read(LONGEST_OWNER))
            patience = NAMELESS_SECONDS if owner is None else LONGEST_BRIEF_SECONDS if owner.is_brief else 0
            if time.monotonic() - started >= patience:
                raise RunLocked(name, str(owner or "a run that is just starting")) from None
            time.sleep(POLL_SECONDS)


def find_owner(folder: DataFolder) -> tuple[Owner | None, bool]:
    """Return the run that a data folder's lock names, if any, and whether it is going on; no run is disturbed.

    The lock itself is tried only if a run is named: a run that starts just then would be refused.
    """
    try:
        with folder.lock.open(encoding="utf-8", errors="replace") as file:
            owner = _owner(file.read(LONGEST_OWNER))
            if owner is None:
                return _find_on_other_machine(folder)
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return owner, True
            return owner, False
    except (FileNotFoundError, IsADirectoryError):
        return _find_on_other_machine(folder)


def _find_on_other_machine(folder: DataFolder) -> tuple[Owner | None, bool]:
    found = holder(folder.lake / LAKE_LOCK) if isinstance(folder.lake, S3Path) else None
    return (None, False) if found is None else (_owner(json.dumps(found[0])), found[1] < WATCHED)


def _close_in_prefect(dead: Owner) -> None:
    """Show a dead run as crashed, if Prefect knows of it; the new run goes on either way."""
    from prefect.client.orchestration import get_client

    try:
        with get_client(sync_client=True) as client:
            _show_crashed(client, UUID(dead.flow_run), f"It died without an error: {dead}.")
    except Exception as error:  # noqa: BLE001 - another server's run, or no server any more
        logger.warning("Prefect still shows the run that died as it was: %s", type(error).__name__)


def _write(handle: int, owner: Owner) -> None:
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(asdict(owner)).encode(), 0)


def _owner(text: str) -> Owner | None:
    """Read the owner of a lock; None if it is free, or if its owner is just starting."""
    try:
        found: dict[str, Any] = json.loads(text)
        owner = Owner(**{name: found[name] for name in found.keys() & {field.name for field in fields(Owner)}})
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
    return owner if isinstance(owner.process, int) and isinstance(owner.command, str) else None


def _this_process(flow_run: str | None = None, *, is_brief: bool = False) -> Owner:
    return Owner(os.getpid(), " ".join(sys.argv[1:4]), _now(), flow_run, is_brief=is_brief)


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _show_crashed(client: "SyncPrefectClient", flow_run_id: UUID, message: str) -> None:
    """Close a flow run with its task runs, and the flow run in whose process it ran."""
    from prefect.client.schemas.filters import (
        FlowRunFilter,
        FlowRunFilterId,
        TaskRunFilter,
        TaskRunFilterState,
        TaskRunFilterStateType,
    )
    from prefect.client.schemas.objects import TERMINAL_STATES, StateType
    from prefect.states import Crashed

    still_open = TaskRunFilterStateType(any_=[kind for kind in StateType if kind not in TERMINAL_STATES])
    run = client.read_flow_run(flow_run_id)
    if run.state is None or not run.state.is_final():
        client.set_flow_run_state(run.id, Crashed(message=message), force=True)
    still_running = TaskRunFilter(state=TaskRunFilterState(type=still_open))
    within = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
    for task in client.read_task_runs(flow_run_filter=within, task_run_filter=still_running):
        client.set_task_run_state(task.id, Crashed(message=message), force=True)
    if run.parent_task_run_id is not None and run.deployment_id is None:  # a deployment has a process of its own
        parent = client.read_task_run(run.parent_task_run_id)
        if parent.flow_run_id is not None:
            _show_crashed(client, parent.flow_run_id, message)
