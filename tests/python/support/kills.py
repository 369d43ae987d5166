"""Kill a process at a step: a child process is forked, runs a function, and dies at a given point.

The child is forked from a server in which no work has started. The name of a step contains the steps around it, such as
`publish/flip/replace`. A function is named `module:name`. The child looks it up and puts a hook around it.
"""

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import wraps
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Literal

When = Literal["before", "within", "after"]

STEPS = {
    "lock": "flows.lake.lease:Lease.acquire",
    "extract": "flows.sources:connect",
    "check": "flows.lake.check:check",
    "compare": "flows.lake.deduplicate:deduplicate",
    "quarantine": "flows.lake.quarantine:write_quarantine",
    "files": "flows.lake.file_ledger:record_files",
    "commit": "flows.lake.raw:RawTable.append",
    "record_load": "flows.lake.ops:record_load",
    "derive": "flows.ingest.derived_tables:derive_table",
    "reconcile": "flows.lake.reconcile:require_reconciliation",
    "catalog": "flows.lake.catalog:pin_catalog",
    "prepare": "flows.warehouse.build:prepare_candidate",
    "strangers": "flows.warehouse.build:drop_orphaned_relations",
    "freshness": "flows.warehouse.gates:require_freshness",
    "build": "flows.warehouse.build:build_candidate",
    "gates": "flows.warehouse.gates:require_gates",
    "record_release": "flows.lake.ops:record_release",
    "publish": "flows.warehouse.release:publish_candidate",
    "prune": "flows.warehouse.release:prune_releases",
    "unfinished": "flows.warehouse.clones:drop_unfinished",
    "clone": "flows.warehouse.clones:clone_release",
    "copy": "flows.warehouse.copies:copy_release",
    "record_rollback": "flows.lake.ops:record_rollback",
    "roll_back": "flows.warehouse.release:roll_back",
    "put_back": "flows.warehouse.release:put_back",
    "snapshots": "flows.lake.snapshot_backup:keep_snapshots",
    "docs": "flows.site.write:write_site",
    "compact": "flows.lake.maintenance:compact_table",
    "vacuum": "flows.lake.maintenance:_prune",
    "drop_copies": "flows.lake.copies:drop_copies",
    "record_run": "flows.lake.ops:record_run",
    "reload": "flows.lake.reload:take_place",
    "finish_reloads": "flows.lake.reload:finish_reloads",
    "unlock": "flows.lake.lease:Lease.release",
}
"""The steps of a run, in their order."""

PARTS = {
    "seal": "flows.warehouse.release:_seal",
    "flip": "flows.warehouse.release:_flip",
    "move_in": "flows.lake.reload:_move_in",
    "sync": "flows.warehouse.release:sync_path",
    "copy_file": "flows.warehouse.build:copy_file",
    "node": "dbt.task.runnable:GraphRunnableTask.call_runner",
    "write": "deltalake:write_deltalake",
    "merge": "deltalake.table:TableOptimizer.compact",
    "checkpoint": "deltalake:DeltaTable.create_checkpoint",
    "vacuum_files": "deltalake:DeltaTable.vacuum",
    "put": "flows.core.object_store:S3Path.put",
    "upload": "flows.core.object_store:S3Path.upload",
    "download": "flows.core.object_store:S3Path.download",
    "unlink_object": "flows.core.object_store:S3Path.unlink",
    "rename": "os:rename",
    "replace": "os:replace",
    "mkdir": "pathlib:Path.mkdir",
    "symlink": "pathlib:Path.symlink_to",
    "unlink": "pathlib:Path.unlink",
    "copyfile": "shutil:copyfile",
    "bytes": "shutil:copyfileobj",
    "delete": "shutil:rmtree",
}
"""The functions that change data on disk; each counts only within a step."""

OF_THREADS = ("node",)
"""The parts that other threads do within the step of the main thread."""

PATIENCE_SECONDS = 300
"""The limit in seconds after which a child counts as hung."""

context = multiprocessing.get_context("forkserver")


def preload(*modules: str) -> None:
    """Set the modules that children have imported already; call it before the first child."""
    context.set_forkserver_preload(list(modules))


preload(
    "flows.ingest.load", "flows.sources.files.table", "flows.warehouse.release", "pyarrow.parquet", "pyarrow.compute"
)


@dataclass(frozen=True)
class Point:
    """The point at which a child dies: before or after a step, or some seconds after its start.

    `time` is the repetition of the step: the first, the second and so on.
    """

    step: str
    when: When
    time: int = 1
    seconds: float = 0.0

    def __str__(self) -> str:
        number = f" {self.time}" if self.time > 1 else ""
        return f"{self.when} {self.step}{number}" + (f" +{self.seconds:.3f} s" if self.when == "within" else "")


class Countdown:
    """Counts each call of a function twice, before and after, and kills the process at a given count."""

    def __init__(self) -> None:
        self.taken = self.killed_at = 0

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def step(*args: Any, **options: Any) -> Any:
            self._count()
            result = function(*args, **options)
            self._count()
            return result

        return step

    def _count(self) -> None:
        self.taken += 1
        if self.taken == self.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class Visit:
    """A step of a child; `seconds` is None if the step did not end."""

    step: str
    began: float
    seconds: float | None


@dataclass(frozen=True)
class Ended:
    """The end of a child: killed, failed (with its traceback), or completed; steps are in the order of their start."""

    was_killed: bool
    error: str | None
    visits: tuple[Visit, ...]
    seconds: float

    @property
    def steps(self) -> Counter[str]:
        """The number of times that each step started."""
        return Counter(visit.step for visit in self.visits)

    @property
    def last(self) -> str:
        """The last known step: the innermost one that did not end, else the last one that ended."""
        unended = [visit.step for visit in self.visits if visit.seconds is None]
        if unended:
            return f"in {unended[-1]}"
        ended = max(self.visits, key=lambda visit: visit.began + (visit.seconds or 0), default=None)
        return f"after {ended.step}" if ended else "at the start"


@dataclass(frozen=True)
class Child:
    """A function for a child, by name, with its arguments and the preparations in the child."""

    target: str
    arguments: Sequence[Any] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    preparations: Sequence[Callable[[], None]] = ()
    output: str = os.devnull

    def run(self, at: Point | None = None, after_seconds: float | None = None) -> Ended:
        """Run the child to its end, or until it is killed at a point or after some seconds."""
        with NamedTemporaryFile(prefix="steps-") as trace:
            mine, its = context.Pipe()
            started = time.monotonic()
            process = context.Process(target=_live, args=(self, at, trace.name, dict(os.environ), its))
            process.start()
            its.close()
            try:
                error = _watch(process, mine, at, after_seconds)
            except BaseException:  # an interrupted parent leaves no child running
                process.kill()
                raise
            process.join()
            visits = tuple(_read(Path(trace.name)))
            return Ended(process.exitcode == -signal.SIGKILL, error, visits, time.monotonic() - started)


def _watch(process: Any, child: Connection, at: Point | None, after_seconds: float | None) -> str | None:
    """Wait for the end of a child, or kill it when its time is over; return its error."""
    deadline = time.monotonic() + (PATIENCE_SECONDS if after_seconds is None else after_seconds)
    while True:
        ready = wait([child, process.sentinel], max(0.0, deadline - time.monotonic()))
        if not ready:
            process.kill()
            return "it hung" if after_seconds is None else None
        if child not in ready:
            return None
        try:
            said = child.recv()
        except EOFError:
            return None
        if said is not None:
            return str(said)
        assert at is not None, "a child says where it is only if it was asked to"
        time.sleep(at.seconds)
        process.kill()
        return None


def _live(child: Child, at: Point | None, trace: str, environment: Mapping[str, str], parent: Connection) -> None:
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(child.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    try:
        Hooks(os.open(trace, os.O_WRONLY | os.O_APPEND), at, lambda: parent.send(None)).install()
        for prepare in child.preparations:
            prepare()
        owner, name = find(child.target)
        getattr(owner, name)(*child.arguments, **child.options)
    except BaseException:  # noqa: BLE001 - the parent checks any error
        parent.send(traceback.format_exc())
        os._exit(1)
    os._exit(0)  # does not wait for the threads of Prefect and DuckDB


class Hooks:
    """Records the start and the end of each step, and kills the process at one of them."""

    def __init__(self, trace: int, at: Point | None, call: Callable[[], None]) -> None:
        self.trace, self.at, self.call = trace, at, call
        self.times: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.around = threading.local()
        self.of_main: tuple[str, ...] = ()

    def install(self) -> None:
        """Put a hook around every step and part."""
        for name, place in (STEPS | PARTS).items():
            owner, attribute = find(place)
            original = getattr(owner, attribute)
            hooked = self._connect(original) if name == "extract" else self._hook(name, original)
            replace_everywhere(owner, attribute, hooked)

    def _hook(self, name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def hooked(*arguments: Any, **options: Any) -> Any:
            return self.step(name, lambda: original(*arguments, **options))

        return hooked

    def _connect(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        """Hook each batch: a source is read when its next batch is requested."""

        def connect_hooked(*arguments: Any) -> Any:
            connector = connect(*arguments)
            return HookedConnector(connector.runs_query, connector.batches, self)

        return connect_hooked

    def step(self, name: str, action: Callable[[], Any]) -> Any:
        """Run a step; a part outside of a step runs without a hook."""
        path: tuple[str, ...] = getattr(self.around, "path", self.of_main if name in OF_THREADS else ())
        if not path and name in PARTS:
            return action()
        path = (*path, name)
        step = "/".join(path)
        with self.lock:
            self.times[step] += 1
            number = self.times[step]
        is_here = self.at is not None and (self.at.step, self.at.time) == (step, number)
        self._die_or_call(is_here, "before", "within")
        begun = self._record("+", step, number)
        self._enter(path)
        try:
            result = action()
        finally:
            self._enter(path[:-1])
        self._record("-", step, number, begun)
        self._die_or_call(is_here, "after")
        return result

    def _enter(self, path: tuple[str, ...]) -> None:
        self.around.path = path
        if threading.current_thread() is threading.main_thread():
            self.of_main = path

    def _die_or_call(self, is_here: bool, *when: str) -> None:
        if not is_here or self.at is None or self.at.when not in when:
            return
        if self.at.when == "within":
            self.call()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def _record(self, sign: str, step: str, number: int, begun: float | None = None) -> float:
        now = time.monotonic()
        os.write(self.trace, f"{sign}\t{step}\t{number}\t{now if begun is None else now - begun}\n".encode())
        return now


@dataclass(frozen=True)
class HookedConnector:
    """A connector that makes each batch a step."""

    runs_query: bool
    original: Callable[..., Iterator[Any]]
    hooks: Hooks

    def batches(self, *arguments: Any) -> Iterator[Any]:
        """Yield what the connector yields."""
        batches = self.original(*arguments)
        while (batch := self.hooks.step("extract", lambda: next(batches, None))) is not None:
            yield batch


def _read(trace: Path) -> Iterator[Visit]:
    begun: dict[tuple[str, str], float] = {}
    seconds: dict[tuple[str, str], float] = {}
    for line in trace.read_text().splitlines():
        sign, step, number, moment = line.split("\t")
        (begun if sign == "+" else seconds)[step, number] = float(moment)
    for key, began in begun.items():
        yield Visit(key[0], began, seconds.get(key))


def find(place: str) -> tuple[Any, str]:
    """Return the owner and the attribute that `module:name` or `module:Class.name` names."""
    module, _, path = place.partition(":")
    *classes, attribute = path.split(".")
    owner: Any = importlib.import_module(module)
    for name in classes:
        owner = getattr(owner, name)
    return owner, attribute


def replace_everywhere(owner: Any, attribute: str, value: Any) -> None:
    """Replace a function in all modules of the project that have imported it by its name."""
    original = getattr(owner, attribute)
    setattr(owner, attribute, value)
    for name, module in list(sys.modules.items()):
        if name.startswith("flows.") and getattr(module, attribute, None) is original:
            setattr(module, attribute, value)


def set_constants(values: Mapping[str, Any]) -> None:
    """Set constants, named as `module:NAME`, to other values, such as batches of two files."""
    for place, value in values.items():
        setattr(*find(place), value)
