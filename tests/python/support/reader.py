"""A reader that opens the published file by its link, again and again, and reports what it saw."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
from support.flow_shop import comparable_tables
from support.kills import context


@dataclass
class Seen:
    """The observations of a reader: milliseconds per opening, releases by name with a digest of their tables, and
    errors.

    `failures` are openings or queries that failed. `mixtures` are files whose content is not that of the release that
    the link named, or that changed under one name.
    """

    milliseconds: list[float] = field(default_factory=list)
    releases: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    mixtures: list[str] = field(default_factory=list)

    def add(self, other: "Seen") -> None:
        """Add the observations of another reader."""
        self.milliseconds += other.milliseconds
        self.failures += other.failures
        self.mixtures += other.mixtures

    def __str__(self) -> str:
        if not self.milliseconds:
            return "the reader saw nothing"
        return (
            f"reader: {len(self.milliseconds):,} opens, median {statistics.median(self.milliseconds):.1f} ms, "
            f"longest {max(self.milliseconds):.1f} ms, {len(self.failures)} failures, {len(self.mixtures)} mixtures"
        )


class Reader:
    """The process of the reader, seen from its parent."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def ask(self) -> Seen:
        """Return the observations since the last call, after one more look."""
        self._pipe.send(True)
        seen: Seen = self._pipe.recv()
        return seen


@contextmanager
def reading(link: Path, pause_seconds: float = 0.0) -> Iterator[Reader]:
    """Run a reader process on a link until the block ends; ask for its observations within the block."""
    mine, its = context.Pipe()
    process = context.Process(target=_read_on, args=(link, pause_seconds, its))
    process.start()
    its.close()
    try:
        yield Reader(mine)
    finally:
        mine.close()
        process.join()


def _read_on(link: Path, pause_seconds: float, asked: Connection) -> None:
    seen, known = Seen(), dict[str, str]()
    while True:
        is_asked = asked.poll(pause_seconds)
        if is_asked:
            try:
                asked.recv()
            except EOFError:
                return
        _look(link, seen, known)
        if is_asked:
            asked.send(seen)
            seen = Seen()


def _look(link: Path, seen: Seen, known: dict[str, str]) -> None:
    """Open the file once; before the first release there is no file."""
    named = _named(link)
    if named is None and not known:
        return
    started = time.perf_counter()
    try:
        with duckdb.connect(str(link), read_only=True, config={"threads": "1"}) as database:
            name = database.execute("select release_name from main.release").fetchall()[0][0]
            seen.milliseconds.append((time.perf_counter() - started) * 1000)
            digest = digest_of(database)
    except (duckdb.Error, IndexError, OSError) as error:
        seen.failures.append(f"{named}: {type(error).__name__}: {str(error).splitlines()[0]}")
        return
    if name not in (named, _named(link)):
        seen.mixtures.append(f"the link names {named}, and its file says that it is {name}")
    if known.setdefault(name, digest) != digest:
        seen.mixtures.append(f"{name} holds something else than before")
    seen.releases[name] = digest


def _named(link: Path) -> str | None:
    return link.readlink().parent.name if link.is_symlink() else None


def digest_of(database: duckdb.DuckDBPyConnection) -> str:
    """Return a line for every table: its name, its row count and a hash of its rows that ignores their order."""
    return "\n".join(
        f"{table} {rows} {digest}"
        for table, told in comparable_tables(database)
        for rows, digest in database.execute(f"select count(*), sum(hash(alike)) from ({told}) as alike").fetchall()
    )
