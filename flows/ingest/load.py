"""Load one source table: extract, check, deduplicate and commit, batch by batch. Loads are idempotent."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb
from deltalake.exceptions import CommitFailedError, DeltaError

from flows.config.connections import Connection
from flows.config.contract import Contract
from flows.core.clock import utc_now
from flows.core.errors import SourceFailed, WarehouseError
from flows.core.names import TableName, identifier
from flows.core.redaction import scrub, without_values
from flows.core.relation import Relation
from flows.core.storage import recording, storage_failure
from flows.ingest.batch import check_batch, commit_batch
from flows.ingest.plan import LoadPlan, plan_load, take_contract, working_connection
from flows.ingest.progress import Progress
from flows.ingest.recheck import clear_quarantine
from flows.lake.check import Checked
from flows.lake.counts import Counts
from flows.lake.file_ledger import known_files
from flows.lake.null_spikes import describe_null_spikes
from flows.lake.ops import LoadRecord, earlier_tries, record_load, standing_notes
from flows.sources import connect
from flows.sources.batches import Batch, Connector, Request
from flows.sources.mapping import identity_of, mapped_cursor

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadResult:
    """The result of a completed load: counts, seconds, the last committed batch, and messages for the user.

    `earlier` is what failed tries of the same run had committed before it.
    """

    table: TableName
    load_id: str
    counts: Counts
    seconds: float
    batch: int
    notes: tuple[str, ...] = ()
    earlier: Counts = field(default_factory=Counts)

    @property
    def total(self) -> Counts:
        """The counts of the run for the table, over all tries."""
        return self.counts + self.earlier


def load_table(
    connection: Connection, contract: Contract, lake: Path, *, run_id: str, connector: Connector | None = None
) -> LoadResult:
    """Bring one table of the lake up to date with its source, and record the load, failed or not.

    The source is read by the connector given, or the one for the connection's URL.

    Raises SourceFailed, SchemaMismatch, or GateFailed if more records are rejected than the contract allows. Batches
    that were committed before stay, and the next load continues after them.
    """
    plan = plan_load(connection, contract, lake)
    return run_recorded(plan, run_id, _load(plan, connector))


def run_recorded(plan: LoadPlan, run_id: str, steps: Iterator[Progress]) -> LoadResult:
    """Go through the steps of a load or replay, and record it when it ends, failed or not; no error quotes a value.

    After each step comes what was done up to then.
    """
    name, lake, raw = plan.contract.name, plan.raw.lake, plan.raw
    started_at, clock = utc_now(), time.monotonic()
    progress = Progress()
    error: str | None = "interrupted"
    try:
        with _values_hidden(name):
            for progress in steps:  # noqa: B007 - the last one counts, also if a later step fails
                pass
        error = None
    except WarehouseError as failure:
        error = scrub(str(failure))
        raise
    finally:
        seconds, counts = time.monotonic() - clock, progress.counts
        with recording(error):
            standing = progress.standing(name) if progress.is_checked else None
            known = standing_notes(lake, name)
            record = LoadRecord(
                plan.load_id, run_id, str(name), started_at, seconds, counts, raw.batch, error, standing
            )
            record_load(lake, record)
    messages = tuple(progress.describe(name, known))
    return LoadResult(name, plan.load_id, counts, seconds, raw.batch, messages, earlier_tries(lake, run_id, name))


def _load(plan: LoadPlan, connector: Connector | None) -> Iterator[Progress]:
    """Take the contract, load all batches, then look at what the load as a whole shows."""
    with working_connection(plan) as (duck, work):
        plan, progress = take_contract(plan, duck)
        raw, committed, request = plan.raw, plan.raw.batch, _request(plan, work)
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


def _request(plan: LoadPlan, work: Path) -> Request:
    """Ask for what is new by watermark and files; a full load asks for all."""
    contract, mapping = plan.contract, plan.mapping
    identity = identity_of(mapping, contract.key, contract.cursor)
    if contract.load == "full":
        return Request(None, None, identity, contract.lookback, lambda _file: None, work)
    known = known_files(plan.raw, plan.config_hash)
    return Request(
        watermark=plan.raw.watermark(plan.config_hash),
        cursor=mapped_cursor(mapping, contract.cursor),
        identity=identity,
        lookback=contract.lookback,
        known_rows=lambda file: known.get(file.sha256),
        work=work,
    )


def _load_batches(plan: LoadPlan, batches: Iterator[Batch], query_in_source: bool) -> Iterator[Progress]:
    """Commit each batch on its own."""
    for batch in batches:
        messages = Progress(messages=batch.notes)
        if batch.known_rows:
            yield messages + Progress(Counts(read=batch.read, duplicate=batch.known_rows))
            continue
        checked, seen = check_batch(plan, batch, query_in_source=query_in_source)
        has_records = checked.read + len(batch.rejected) > 0
        if has_records or batch.files or batch.watermark != plan.raw.watermark(plan.config_hash):
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
    """Add checked records after so many rows; an extra column that only some batches have is null for the others."""
    connection, records = checked.records.connection, checked.records
    if gathered is None:
        return replace(checked, records=Relation.table(connection, "gathered_records", f"from {records}"))
    kinds = {name.casefold(): kind for name, kind in gathered.records.types.items()}
    known, added = {name.casefold() for name in gathered.extras}, []
    for name in checked.extras:
        kind = records.types[name]
        if name.casefold() not in known:
            connection.execute(f"alter table {gathered.records} add column {identifier(name)} {kind}")
            added.append(name)
        elif kinds[name.casefold()] != kind:
            connection.execute(f"alter table {gathered.records} alter column {identifier(name)} type varchar")
    connection.execute(
        f"insert into {gathered.records} by name select * replace (_row + {rows} as _row) from {records}"
    )
    widened = Relation(connection, str(gathered.records))
    return Checked(widened, (*gathered.extras, *added), gathered.read + checked.read)


@contextmanager
def _values_hidden(name: TableName) -> Iterator[None]:
    """Turn the errors of DuckDB, Delta and the system into errors of ours, without the values that they may quote."""
    try:
        yield
    except duckdb.Error as error:
        raise SourceFailed(
            str(name), without_values(error), "Run again; if it stays, fix the source or mapping."
        ) from None
    except (DeltaError, OSError) as error:
        if isinstance(error, CommitFailedError) and "os error" not in str(error):  # another writer was faster
            raise SourceFailed(
                str(name), "the lake could not be written, others write to it too", "Run again.", is_transient=True
            ) from None
        raise storage_failure(error, f"{name}: the lake could not be written") or error from None
