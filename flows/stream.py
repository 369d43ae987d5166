"""The endless job: take what comes from topics, a commit every few seconds, until it is stopped."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

from flows.config.connections import Connection, Connections
from flows.config.contract import Contract
from flows.config.settings import DataFolder
from flows.core.errors import RunLocked, SourceFailed, UsageError
from flows.core.names import TableName
from flows.core.redaction import scrub
from flows.core.storage import storage_faults_named
from flows.ingest.load import LoadResult, load_table
from flows.ingest.plan import plan_load
from flows.ingest.tables import tables_to_load
from flows.lake.delta import open_table
from flows.lake.maintenance import compact_table
from flows.lake.ops import require_lake, was_loaded
from flows.lake.quarantine import quarantine_path
from flows.lake.raw import raw_path
from flows.lake.reload import finish_reloads
from flows.orchestration.run_lock import ingest_lock, run_lock
from flows.sources import is_stream, usable_watermark
from flows.sources.kafka.table import KafkaTable

logger = logging.getLogger(__name__)

AT_ONCE = 2
PAUSE_SECONDS, WAIT_SECONDS = 0.3, 1.0
"""How long the lock is free between two rounds at least, so that another run can take it; how often it is tried."""

ROUNDS_A_COMPACTION = 32
GROWING_ROUNDS = 3
"""After so many rounds in a row in which the lag has grown, a person should know."""

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 30.0
"""How long an unreachable source is left alone: twice as long after each failure."""


class Stopped(BaseException):
    """A first load was stopped: it is recorded as interrupted, so that what follows still counts as a backfill."""


@dataclass
class Stream:
    """A topic's table, and what its rounds showed: the lag by partition, and in how many in a row that has grown."""

    connection: Connection
    contract: Contract
    lags: Mapping[int, int] = field(default_factory=dict)
    growths: int = 0
    rounds: int = 0

    @property
    def name(self) -> TableName:
        """The table's name."""
        return self.contract.name

    def look(self, folder: DataFolder) -> bool:
        """Report the lag, and tell whether there is any; raises SourceFailed.

        Raises UsageError if another run has loaded the table under another mapping or contract since.
        """
        plan = plan_load(self.connection, self.contract, folder.lake)
        if self.rounds and plan.raw.last_commit() and not plan.is_of_last_load:
            raise UsageError(
                f"{self.name}: another run loaded it under another mapping or contract.",
                "Nothing was lost. Start ingest again: it reads both when it starts.",
            )
        watermark = usable_watermark(self.connection, plan.watermark)
        self._report(KafkaTable.of(self.connection, plan.mapping).lag(watermark))
        return any(self.lags.values())

    def _report(self, lags: Mapping[int, int]) -> None:
        before, total = sum(self.lags.values()), sum(lags.values())
        if lags != self.lags:
            listed = ", ".join(f"{partition}: {lag:,}" for partition, lag in sorted(lags.items()))
            logger.info("%s: lag by partition %s", self.name, listed)
        self.growths = self.growths + 1 if self.rounds and total > before > 0 else 0
        self.lags = lags
        if self.growths >= GROWING_ROUNDS:
            grown = f"the lag grew {self.growths} rounds in a row, to {total:,} offsets"
            logger.warning("%s: messages come faster than they are committed; %s", self.name, grown)

    def load(self, folder: DataFolder, stop: threading.Event) -> LoadResult:
        """Load what has come, for about as long as the source's entry says; a first load goes to the ends."""
        until = time.monotonic() + self.connection.ingest.seconds
        is_first = not was_loaded(folder.lake, self.name)

        def is_enough() -> bool:
            if is_first and stop.is_set():
                raise Stopped
            return stop.is_set() or (not is_first and time.monotonic() > until)

        run_id = f"ingest-{uuid4()}"
        done = load_table(self.connection, self.contract, folder.lake, run_id=run_id, is_enough=is_enough)
        self.rounds += 1
        return done


def streams_of(sources: Connections, contracts: Mapping[TableName, Contract]) -> list[Stream]:
    """Return the tables of a set that are topics.

    Only what topics need has to be there: other sources are not read. Raises UsageError for a set without topics.
    """
    unknown = []
    topics = set()
    for connection in sources:
        try:
            if is_stream(connection):
                topics.add(connection.source)
        except UsageError as error:
            unknown.append(error.what)
    wanted = [(name, one) for name, one in tables_to_load(sources, contracts) if one.source in topics]
    for source in topics:
        sources.sources[source].require_environment()
    if not wanted:
        raise UsageError(
            "\n".join([f"The set {sources.name} has no topic to ingest.", *unknown]),
            "Name one, such as url: kafka://localhost:9092. Other sources are loaded by elt.",
        )
    return [Stream(connection, contracts[name]) for name, connection in wanted]


def keep_loading(folder: DataFolder, streams: Sequence[Stream], stop: threading.Event) -> None:
    """Load topics until `stop` is set; what was read is then committed.

    The set's lock is held for each round alone, so that another run can work between two. Offsets are in the lake, so
    each continues where the other ended. Raises RunLocked if another ingest is at work, and what a load raises; a
    source that cannot be reached is waited for.
    """
    require_lake(folder)
    pace = min(stream.connection.ingest.seconds for stream in streams)
    wait = 0.0
    with storage_faults_named(), ingest_lock(folder):
        for number in _until(stop):
            started = time.monotonic()
            try:
                if waiting := [stream for stream in streams if stream.look(folder)]:
                    compacts = number % ROUNDS_A_COMPACTION == 0
                    _take_turn(folder, stop, partial(_run_round, folder, waiting, stop, compacts=compacts))
                wait = 0.0
            except SourceFailed as failure:
                if not failure.is_transient:
                    raise
                wait = min(max(FIRST_WAIT_SECONDS, 2 * wait), LONGEST_WAIT_SECONDS)
                logger.warning("%s; trying again in %.0f s", scrub(str(failure).partition("\n")[0]), wait)
            stop.wait(max(PAUSE_SECONDS, wait, started + pace - time.monotonic()))
    logger.info("stopped; what was read is committed")


def _until(stop: threading.Event) -> Iterator[int]:
    number = 0
    while not stop.is_set():
        number += 1
        yield number


def _take_turn(folder: DataFolder, stop: threading.Event, work: Callable[[], None]) -> None:
    """Work while the set's lock is held, after waiting for the run that has it, unless stopped meanwhile."""
    owner = ""
    while not stop.is_set():
        try:
            with run_lock(folder, is_brief=True):
                finish_reloads(folder.lake)
                return work()
        except RunLocked as locked:
            if locked.owner != owner:
                owner = locked.owner
                logger.info("waiting for %s; messages wait in Kafka", owner)
            stop.wait(WAIT_SECONDS)


def _run_round(folder: DataFolder, streams: Sequence[Stream], stop: threading.Event, *, compacts: bool) -> None:
    """Load each stream, several at a time, say what came, and merge small files now and then."""
    failures: list[BaseException] = []
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="ingest") as pool:
        futures = [(stream, pool.submit(partial(stream.load, folder, stop))) for stream in streams]
        for stream, future in futures:
            error = future.exception()
            if error is not None:
                failures += [] if isinstance(error, Stopped) else [error]
                continue
            loaded = future.result()
            for note in loaded.notes:
                logger.info("%s", note)
            logger.info("%s: %s read = %s", stream.name, f"{loaded.counts.read:,}", loaded.counts)
    if failures:
        raise failures[0]
    if compacts:
        paths = [place(folder.lake, stream.name) for stream in streams for place in (raw_path, quarantine_path)]
        for path in (*paths, folder.lake / "ops" / "loads"):
            table = open_table(path)
            if table is not None and (merged := compact_table(table)):
                logger.info("%s: %s small files were merged", path.relative_to(folder.lake), merged)
