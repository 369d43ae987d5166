"""Killing a process at a step: a child is forked where nothing was started yet, runs something, and dies where told.

A step is named by the steps around it, such as `publish/flip/replace`. Functions are named as `module:name` and looked
up in the child, where hooks stand around them.
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
    "publish": "flows.warehouse.release:publish_candidate",
    "prune": "flows.warehouse.release:prune_releases",
    "snapshots": "flows.lake.snapshot_backup:keep_snapshots",
    "docs": "flows.warehouse.docs:write_docs",
    "record_run": "flows.lake.ops:record_run",
}
"""What a run goes through, in its order."""

PARTS = {
    "seal": "flows.warehouse.release:_seal",
    "flip": "flows.warehouse.release:_flip",
    "sync": "flows.warehouse.release:_sync",
    "copy": "flows.warehouse.build:copy_file",
    "write": "deltalake:write_deltalake",
    "rename": "os:rename",
    "replace": "os:replace",
    "mkdir": "pathlib:Path.mkdir",
    "symlink": "pathlib:Path.symlink_to",
    "unlink": "pathlib:Path.unlink",
    "copyfile": "shutil:copyfile",
    "bytes": "shutil:copyfileobj",
    "delete": "shutil:rmtree",
}
"""What changes something on disk; each counts only within a step."""

PATIENCE_SECONDS = 300
"""A child that takes longer hangs."""

context = multiprocessing.get_context("forkserver")


def preload(*modules: str) -> None:
    """Say what children find imported; call it before the first of them."""
    context.set_forkserver_preload(list(modules))


preload(
    "flows.ingest.load", "flows.sources.files.table", "flows.warehouse.release", "pyarrow.parquet", "pyarrow.compute"
)


@dataclass(frozen=True)
class Point:
    """Where a child dies: before or after a step, or so many seconds after it began; its first, second … time."""

    step: str
    when: When
    time: int = 1
    seconds: float = 0.0

    def __str__(self) -> str:
        number = f" {self.time}" if self.time > 1 else ""
        return f"{self.when} {self.step}{number}" + (f" +{self.seconds:.3f} s" if self.when == "within" else "")


class Countdown:
    """Counts the calls of what it stands around, once before and once behind each, and dies at the count it is told."""

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
    """A step that a child went through; `seconds` is None if it did not come to its end."""

    step: str
    began: float
    seconds: float | None


@dataclass(frozen=True)
class Ended:
    """How a child ended: killed, with an error (its traceback), or well; the steps are in the order of their begin."""

    was_killed: bool
    error: str | None
    visits: tuple[Visit, ...]
    seconds: float

    @property
    def steps(self) -> Counter[str]:
        """How often it came to each step."""
        return Counter(visit.step for visit in self.visits)

    @property
    def last(self) -> str:
        """Where it was: the innermost step that was begun and not ended, else the last one that was ended."""
        unended = [visit.step for visit in self.visits if visit.seconds is None]
        if unended:
            return f"in {unended[-1]}"
        ended = max(self.visits, key=lambda visit: visit.began + (visit.seconds or 0), default=None)
        return f"behind {ended.step}" if ended else "at the start"


@dataclass(frozen=True)
class Child:
    """What a child runs: a function by name, what it is called with, and what is done to the child before."""

    target: str
    arguments: Sequence[Any] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    preparations: Sequence[Callable[[], None]] = ()
    output: str = os.devnull

    def run(self, at: Point | None = None, after_seconds: float | None = None) -> Ended:
        """Run it to its end, or to its death at a point or after some seconds."""
        with NamedTemporaryFile(prefix="steps-") as trace:
            mine, its = context.Pipe()
            started = time.monotonic()
            process = context.Process(target=_live, args=(self, at, trace.name, dict(os.environ), its))
            process.start()
            its.close()
            try:
                error = _watch(process, mine, at, after_seconds)
            except BaseException:  # who is interrupted here leaves no child behind
                process.kill()
                raise
            process.join()
            visits = tuple(_read(Path(trace.name)))
            return Ended(process.exitcode == -signal.SIGKILL, error, visits, time.monotonic() - started)


def _watch(process: Any, child: Connection, at: Point | None, after_seconds: float | None) -> str | None:
    """Wait for a child's end, and kill it when its time has come; return its error."""
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
    except BaseException:  # noqa: BLE001 - whatever it is, the parent judges it
        parent.send(traceback.format_exc())
        os._exit(1)
    os._exit(0)  # Prefect's and DuckDB's threads are not waited for


class Hooks:
    """Writes down each step as it begins and ends, and kills the process at one of them."""

    def __init__(self, trace: int, at: Point | None, call: Callable[[], None]) -> None:
        self.trace, self.at, self.call = trace, at, call
        self.times: Counter[str] = Counter()
        self.lock = threading.Lock()
        self.around = threading.local()

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
        """A source is read whenever its next batch is asked for."""

        def connect_hooked(*arguments: Any) -> Any:
            connector = connect(*arguments)
            return HookedConnector(connector.runs_query, connector.batches, self)

        return connect_hooked

    def step(self, name: str, action: Callable[[], Any]) -> Any:
        """Go through a step; a part that is not within a step is just done."""
        path: tuple[str, ...] = getattr(self.around, "path", ())
        if not path and name in PARTS:
            return action()
        path = (*path, name)
        step = "/".join(path)
        with self.lock:
            self.times[step] += 1
            number = self.times[step]
        is_here = self.at is not None and (self.at.step, self.at.time) == (step, number)
        self._die_or_call(is_here, "before", "within")
        begun = self._note("+", step, number)
        self.around.path = path
        try:
            result = action()
        finally:
            self.around.path = path[:-1]
        self._note("-", step, number, begun)
        self._die_or_call(is_here, "after")
        return result

    def _die_or_call(self, is_here: bool, *when: str) -> None:
        if not is_here or self.at is None or self.at.when not in when:
            return
        if self.at.when == "within":
            self.call()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, sign: str, step: str, number: int, begun: float | None = None) -> float:
        now = time.monotonic()
        os.write(self.trace, f"{sign}\t{step}\t{number}\t{now if begun is None else now - begun}\n".encode())
        return now


@dataclass(frozen=True)
class HookedConnector:
    """A connector each batch of which is a step."""

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
    """Return the owner and the attribute's name of what `module:name` or `module:Class.name` says."""
    module, _, path = place.partition(":")
    *classes, attribute = path.split(".")
    owner: Any = importlib.import_module(module)
    for name in classes:
        owner = getattr(owner, name)
    return owner, attribute


def replace_everywhere(owner: Any, attribute: str, value: Any) -> None:
    """Put something else in the place of a function, wherever the project has imported it by its name."""
    original = getattr(owner, attribute)
    setattr(owner, attribute, value)
    for name, module in list(sys.modules.items()):
        if name.startswith("flows.") and getattr(module, attribute, None) is original:
            setattr(module, attribute, value)


def set_constants(values: Mapping[str, Any]) -> None:
    """Give constants, named as `module:NAME`, other values: such as batches of two files."""
    for place, value in values.items():
        setattr(*find(place), value)
