"""Load one source table: extract, check, deduplicate and commit, batch by batch. Loads are idempotent."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import duckdb
from deltalake.exceptions import CommitFailedError

from flows.config.connections import Connection
from flows.config.contract import Contract
from flows.core.clock import utc_now
from flows.core.errors import SourceFailed, WarehouseError
from flows.core.names import TableName, identifier
from flows.core.redaction import scrub, without_values
from flows.core.relation import Relation
from flows.core.storage import recording, storage_failure
from flows.core.unforeseen import describe_unforeseen, exceptions_named
from flows.ingest.batch import check_batch, commit_batch
from flows.ingest.plan import LoadPlan, plan_load, take_contract, working_connection
from flows.ingest.progress import Progress
from flows.ingest.recheck import clear_quarantine
from flows.lake.check import Checked
from flows.lake.counts import Counts
from flows.lake.damage import damage_named
from flows.lake.file_ledger import known_files
from flows.lake.null_spikes import describe_null_spikes
from flows.lake.ops import LoadRecord, earlier_loads, record_load
from flows.lake.raw import plain
from flows.sources import connect, usable_watermark
from flows.sources.batches import Batch, Connector, Request
from flows.sources.lookups import load_lookups
from flows.sources.mapping import expect_columns, identity_of, mapped_cursor

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadResult:
    """The result of a load: counts, seconds, the last committed batch, and messages for the user.

    `earlier` is what failed tries of the same run had committed before it. A load that failed is not complete.
    """

    table: TableName
    load_id: str
    counts: Counts
    seconds: float
    batch: int
    notes: tuple[str, ...] = ()
    earlier: Counts = field(default_factory=Counts)
    is_complete: bool = True

    @property
    def total(self) -> Counts:
        """The counts of the run for the table, over all tries."""
        return self.counts + self.earlier


def load_table(
    connection: Connection,
    contract: Contract,
    lake: Path,
    *,
    run_id: str,
    connector: Connector | None = None,
    is_enough: Callable[[], bool] = lambda: False,
) -> LoadResult:
    """Bring one table of the lake up to date with its source, and record the load, failed or not.

    The source is read by the connector given, or the one for the connection's URL. A topic is read until that
    `is_enough`, and no further than its ends.

    Raises SourceFailed, SchemaMismatch, or GateFailed if more records are rejected than the contract allows. Batches
    that were committed before stay, and the next load continues after them.
    """
    plan = plan_load(connection, contract, lake)
    return run_recorded(plan, run_id, _load(plan, connector, is_enough))


def run_recorded(plan: LoadPlan, run_id: str, steps: Iterator[Progress]) -> LoadResult:
    """Go through the steps of a load or replay, and record it when it ends, failed or not; no error quotes a value.

    After each step comes what was done up to then.
    """
    name, lake, raw = plan.contract.name, plan.raw.lake, plan.raw
    started_at, clock = utc_now(), time.monotonic()
    progress = Progress()
    error: str | None = "interrupted"
    try:
        with exceptions_named(str(name), partial(_failure, name)), damage_named(lake, [name]):
            for progress in steps:  # noqa: B007 - the last one counts, also if a later step fails
                pass
        error = None
    except WarehouseError as failure:
        error = scrub(str(failure))
        failure.committed = _committed(plan, run_id, progress, time.monotonic() - clock)
        raise
    finally:
        seconds, counts = time.monotonic() - clock, progress.counts
        with recording(error), damage_named(lake, [name]):
            standing = progress.standing(name) if progress.is_checked else None
            earlier = earlier_loads(lake, run_id, name)
            load = plan.load_id, run_id, str(name), started_at, seconds, counts, raw.batch
            record_load(lake, LoadRecord(*load, error, standing, progress.nulls, progress.newest_at))
    messages = tuple(progress.describe(name, earlier.standing_notes))
    return LoadResult(name, plan.load_id, counts, seconds, raw.batch, messages, earlier.tries)


def _committed(plan: LoadPlan, run_id: str, progress: Progress, seconds: float) -> LoadResult:
    """Return what a load that failed, and earlier tries of the run, had committed, with messages for the user."""
    name, lake = plan.contract.name, plan.raw.lake
    with suppress(Exception):  # the failure itself is the one to tell
        earlier = earlier_loads(lake, run_id, name)
        messages = tuple(progress.describe(name, earlier.standing_notes))
        return LoadResult(
            name, plan.load_id, progress.counts, seconds, plan.raw.batch, messages, earlier.tries, is_complete=False
        )
    return LoadResult(name, plan.load_id, progress.counts, seconds, 0, is_complete=False)


def _load(plan: LoadPlan, connector: Connector | None, is_enough: Callable[[], bool]) -> Iterator[Progress]:
    """Take the contract, load all batches, then look at what the load as a whole shows."""
    with working_connection(plan) as (duck, work):
        plan, progress = take_contract(plan, duck)
        raw, committed = plan.raw, plan.raw.batch
        request = replace(_request(plan, work, duck), is_enough=is_enough)
        if plan.mapping.lookups:
            load_lookups(duck, plan.connection, plan.mapping, work)
        connector = connector or connect(plan.connection, plan.mapping)
        load = _load_full if plan.contract.load == "full" else _load_batches
        for step in load(plan, connector.batches(duck, request), connector.runs_query):
            progress += step
            if raw.batch > committed:
                committed = raw.batch
                logger.info("%s: %s records read", raw.name, f"{progress.counts.read:,}")
            yield progress
        nulls = Counter({column: count for column, count in progress.nulls.items() if column not in progress.missing})
        spikes = describe_null_spikes(duck, raw, plan.load_id, progress.counts.accepted, nulls)
        progress += Progress(messages=tuple(spikes))
    if plan.is_config_changed:
        progress += clear_quarantine(plan)
    yield progress


def _request(plan: LoadPlan, work: Path, duck: duckdb.DuckDBPyConnection) -> Request:
    """Ask for what is new by watermark and files; a full load asks for all."""
    contract, mapping = plan.contract, plan.mapping
    identity = identity_of(mapping, contract.key, contract.cursor)
    columns = expect_columns(duck, mapping, contract.required)
    if contract.load == "full":
        return Request(None, None, identity, contract.lookback, lambda _file: None, work, columns)
    known = known_files(plan.raw, plan.config_hash)
    return Request(
        watermark=usable_watermark(plan.connection, plan.watermark),
        cursor=mapped_cursor(mapping, contract.cursor),
        identity=identity,
        lookback=contract.lookback,
        known_rows=lambda file: known.get(file.sha256),
        work=work,
        columns=columns,
    )


def _load_batches(plan: LoadPlan, batches: Iterator[Batch], query_in_source: bool) -> Iterator[Progress]:
    """Commit each batch on its own."""
    for batch in batches:
        messages = Progress(messages=batch.notes)
        if batch.known_rows:
            yield messages + Progress(Counts(read=batch.read, known=batch.known_rows))
            continue
        checked, seen = check_batch(plan, batch, query_in_source=query_in_source)
        has_records = checked.read + len(batch.rejected) > 0
        if has_records or batch.files or batch.watermark != plan.watermark:
            seen += commit_batch(plan, batch, checked)
        yield messages + seen


def _load_full(plan: LoadPlan, batches: Iterator[Batch], query_in_source: bool) -> Iterator[Progress]:
    """Gather the whole copy, on disk where memory is short, then commit it as one batch."""
    copy = Batch(None, read=0)
    gathered: Checked | None = None
    progress = Progress()
    for batch in batches:
        checked, seen = check_batch(plan, batch, query_in_source=query_in_source)
        gathered = _gather(gathered, checked, copy.read)
        copy = replace(
            copy,
            read=copy.read + checked.read + len(batch.rejected),
            rejected=copy.rejected + batch.rejected,
            is_whole=copy.is_whole and batch.is_whole,
        )
        progress += Progress(messages=batch.notes) + seen
    if gathered is not None:
        yield progress + commit_batch(plan, copy, gathered)


def _gather(gathered: Checked | None, checked: Checked, rows: int) -> Checked:
    """Add checked records after so many rows; an extra column that only some batches have is null for the others.

    An extra column of unlike types becomes text, and each value is written as its own type writes it.
    """
    connection, records = checked.records.connection, checked.records
    if gathered is None:
        return replace(checked, records=Relation.table(connection, "gathered_records", f"from {records}"))
    kinds = {name.casefold(): kind for name, kind in gathered.records.types.items()}
    known, added = {name.casefold() for name in gathered.extras}, []
    texts: list[str] = []
    for name in checked.extras:
        kind = records.types[name]
        if name.casefold() not in known:
            connection.execute(f"alter table {gathered.records} add column {identifier(name)} {kind}")
            added.append(name)
        elif kinds[name.casefold()] != kind:
            as_text = f"cast({plain(name, kinds[name.casefold()])} as varchar)"
            column = f"alter column {identifier(name)} type varchar using {as_text}"
            connection.execute(f"alter table {gathered.records} {column}")
            texts.append(f", cast({plain(name, kind)} as varchar) as {identifier(name)}")
    connection.execute(
        f"insert into {gathered.records} by name "
        f"select * replace (_row + {rows} as _row{''.join(texts)}) from {records}"
    )
    widened = Relation(connection, str(gathered.records))
    return Checked(widened, (*gathered.extras, *added), gathered.read + checked.read)


def _failure(name: TableName, error: Exception) -> WarehouseError:
    """Return the error of a load for any exception, without the values that it may quote."""
    if isinstance(error, duckdb.Error):
        return SourceFailed(str(name), without_values(error), "Run again; if it stays, fix the source or mapping.")
    if isinstance(error, CommitFailedError) and "os error" not in str(error):  # another writer was faster
        cause = "the lake could not be written, others write to it too"
        return SourceFailed(str(name), cause, "Run again.", is_transient=True)
    return storage_failure(error, f"{name}: the lake could not be written") or SourceFailed(
        str(name),
        describe_unforeseen(error),
        "Run again; if it stays, look at the source and its mapping, and report the kind and the place.",
    )
