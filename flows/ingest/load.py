"""TableLoad one source table: extract, check, keep what is new, commit; a batch at a time, and again without harm."""

import logging
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from uuid import uuid4

import duckdb
import pyarrow as pa
from deltalake.exceptions import CommitFailedError, DeltaError

from flows.config.config_hash import hash_config
from flows.config.connections import Connection, TableMapping
from flows.config.contract import Contract
from flows.config.settings import DataFolder
from flows.core.clock import utc_now
from flows.core.errors import SchemaMismatch, SourceFailed, UsageError, WarehouseError
from flows.core.names import TableName, identifier, literal
from flows.core.redaction import scrub, without_values
from flows.core.storage import recording, storage_failure
from flows.ingest.recheck import RECHECKED, QuarantinedRecords, quarantined_records, recheck, restore
from flows.lake.check import CHECKED, Mapped, check_batch, check_nothing
from flows.lake.contract_versions import changes_since, record_contract_version
from flows.lake.deduplicate import NEW_ROWS, REPLACED, deduplicate
from flows.lake.null_spikes import count_nulls, describe_null_spikes, require_filled
from flows.lake.ops import earlier_tries, record_load, was_loaded
from flows.lake.quarantine import RecordSchema, quarantine_rejected, require_contract
from flows.lake.schema_evolution import evolve, fit_extras
from flows.lake.tables import FILES, BatchMetadata, Counts, LakeTable
from flows.sources import connect
from flows.sources.batches import RECORD, SOURCE, Batch, Connector, Rejected, Request, source_columns
from flows.sources.mapping import identity_of, map_batch, mapped_cursor, suggest_mapping

logger = logging.getLogger(__name__)

MEMORY_LIMIT = "400MB"
THREADS = min(os.cpu_count() or 1, 4)
"""For one load; more would take more memory each, and several loads share the cores."""


@dataclass(frozen=True)
class LoadResult:
    """What a completed load did: counts, seconds, the last batch that stands, and what someone should know.

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
        """What the run did to the table, over all tries."""
        return self.counts + self.earlier


def load_table(
    connection: Connection, contract: Contract, lake: Path, *, run_id: str, connector: Connector | None = None
) -> LoadResult:
    """Bring one table of the lake up to date with its source, and record the load, failed or not.

    The source is read by the connector given, or the one for the connection's URL.

    Raises SourceFailed, SchemaMismatch, or GateFailed if more records are rejected than the contract lets pass; batches
    that were committed before stay, and the next load goes on behind them.
    """
    load = TableLoad.begin(connection, contract, lake)
    if connector is not None:
        load.connector = connector
    with recorded(load, run_id):
        load.run(is_backfill=load.table.version is None or not was_loaded(lake, contract.name))
    return load.result(run_id)


@contextmanager
def recorded(load: "TableLoad", run_id: str) -> Iterator[None]:
    """Record a load or replay when it ends, failed or not, and let none of its errors quote a value."""
    started_at, clock = utc_now(), time.monotonic()
    error: str | None = "interrupted"
    try:
        with _values_hidden(load.contract.name):
            yield
        error = None
    except WarehouseError as failure:
        error = scrub(str(failure))
        raise
    finally:
        load.seconds = time.monotonic() - clock
        with recording(error):
            record_load(
                load.table.lake,
                load_id=load.load_id,
                run_id=run_id,
                table=load.contract.name,
                started_at=started_at,
                seconds=load.seconds,
                counts=load.counts,
                batch=load.table.batch,
                error=error,
            )


def as_mapped(contract: Contract, mapping: TableMapping) -> Contract:
    """Return a contract with what its mapping says of load, cursor and lookback.

    Raises UsageError for a cursor that the contract does not have.
    """
    contract = contract.model_copy(
        update={
            "load": mapping.load or contract.load,
            "cursor": mapping.cursor or contract.cursor,
            "lookback": contract.lookback if mapping.lookback is None else mapping.lookback,
        }
    )
    if contract.cursor is not None and contract.cursor not in contract.types:
        raise UsageError(
            f"connections.yml: the cursor {contract.cursor!r} of {contract.name} is not in its contract.",
            f"It is one of {', '.join(contract.types)}.",
        )
    return contract


class TableLoad:
    """A load on its way: what it has counted so far, and where it writes."""

    def __init__(
        self, connection: Connection, mapping: TableMapping, contract: Contract, table: LakeTable, load_id: str
    ) -> None:
        self.connection, self.mapping, self.contract = connection, mapping, contract
        self.table, self.load_id = table, load_id
        self.config_hash = hash_config(mapping, contract)
        self.counts = Counts()
        self.nulls: Counter[str] = Counter()
        self.seconds = 0.0
        self.ignored: set[str] = set()
        self.missing: set[str] = set()
        self.new: set[str] = set()
        self.messages: list[str] = []
        self.suggested: list[str] = []
        self.is_empty = self.is_partial = False
        self.is_whole = True

    @classmethod
    def begin(cls, connection: Connection, contract: Contract, lake: Path) -> "TableLoad":
        """Return a load of a table that has not read anything yet."""
        mapping = connection.mapping(contract.name.table)
        load_id = f"{utc_now():%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
        return cls(connection, mapping, as_mapped(contract, mapping), LakeTable(lake, contract.name), load_id)

    def result(self, run_id: str) -> LoadResult:
        """Return what the load did, once it is noted."""
        name = self.contract.name
        earlier = earlier_tries(self.table.lake, run_id, name)
        return LoadResult(name, self.load_id, self.counts, self.seconds, self.table.batch, tuple(self.notes()), earlier)

    @cached_property
    def connector(self) -> Connector:
        """What reads the source; a replay does without."""
        return connect(self.connection, self.mapping)

    def take_contract(self, duck: duckdb.DuckDBPyConnection) -> None:
        """Record the contract's version, and bring the stored rows to its types.

        Raises SchemaMismatch if they do not fit.
        """
        last = self.table.last_commit()
        self.is_config_changed = bool(last) and last.get("config_hash") != self.config_hash
        self.contract_version = record_contract_version(self.table.lake, self.contract)
        before = int(last.get("contract_version", self.contract_version))
        if before != self.contract_version:
            changes = changes_since(self.table.lake, self.contract, before)
            self.messages.append(f"{self.contract.name}: contract version {self.contract_version}: {changes}")
        evolve(duck, self.table, self.contract, is_known=not self.is_config_changed)

    def run(self, *, is_backfill: bool) -> None:
        """TableLoad batch after batch; a full load is compared with the lake once all of it was seen."""
        self.is_backfill = is_backfill
        with working_connection(self.connection, self.mapping) as (duck, work):
            self.take_contract(duck)
            known = self.table.known_files(duck, self.config_hash)
            request = Request(
                watermark=None if self.contract.load == "full" else self.table.watermark(self.config_hash),
                cursor=None if self.contract.load == "full" else mapped_cursor(self.mapping, self.contract.cursor),
                identity=identity_of(self.mapping, self.contract.key, self.contract.cursor),
                lookback=self.contract.lookback,
                known_rows=lambda file: None if self.contract.load == "full" else known.get(file.sha256),
                work=work,
            )
            batches = self._recording(self.connector.batches(duck, request))
            if self.contract.load == "full":
                self._load_full(duck, batches)
            else:
                for batch in batches:
                    self._load_batch(duck, batch)
            for name in self.missing:  # told already
                del self.nulls[name]
            self.messages += describe_null_spikes(duck, self.table, self.load_id, self.counts.accepted, self.nulls)
        if self.is_config_changed:
            self._clear_quarantine()

    def notes(self) -> Iterator[str]:
        """Yield what someone should know of this load."""
        counts, name = self.counts, self.contract.name
        yield from self.messages
        if counts.conflicts:
            yield f"{name}: {counts.conflicts:,} came again under the same key with another payload"
        if counts.deleted:
            yield f"{name}: {counts.deleted:,} disappeared from the full copy, and are noted as deleted"
        if self.ignored:
            yield f"{name}: the contract ignores the source's columns {', '.join(sorted(self.ignored))}"
        if self.missing:
            yield f"{name}: the source has no {', '.join(sorted(self.missing))}; taken as null"
            yield from (f"{name}: {text}" for text in self.suggested)
        if self.new:
            yield f"{name}: the source has new columns, which the lake keeps: {', '.join(sorted(self.new))}"
        if self.is_partial and not self.is_whole:
            yield f"{name}: the full copy may lack records that the source has; nothing was deleted"
        elif self.is_partial:
            yield f"{name}: some records of the full copy have no readable key; nothing was deleted"
        if self.is_empty:
            yield f"{name}: the full copy of the source was empty; nothing was deleted"

    def _recording(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass batches on, and keep what they say of their source."""
        for batch in batches:
            self.messages += batch.notes
            self.is_whole &= batch.is_whole
            yield batch

    def _load_batch(self, duck: duckdb.DuckDBPyConnection, batch: Batch) -> None:
        if batch.known_rows:
            self.counts += Counts(read=batch.read, duplicate=batch.known_rows)
            return
        read, extras = self.check(duck, batch, is_queried=self.connector.runs_query)
        if read == 0 and batch.watermark == self.table.watermark(self.config_hash) and not batch.files:
            return
        self._commit(duck, batch, read, extras, batch.rejected)

    def _load_full(self, duck: duckdb.DuckDBPyConnection, batches: Iterator[Batch]) -> None:
        """Gather the whole copy, on disk where memory is short, then compare."""
        read = 0
        extras: tuple[str, ...] = ()
        rejected: list[Rejected] = []
        for number, batch in enumerate(batches):
            seen, found = self.check(duck, batch, is_queried=self.connector.runs_query)
            if number == 0:
                duck.execute(f"create or replace temp table gathered as from {CHECKED}")
                extras = found
            else:
                extras += _widen(duck, extras, found)
                duck.execute(f"insert into gathered by name select * replace (_row + {read} as _row) from {CHECKED}")
            read += seen
            rejected += batch.rejected
        duck.execute(f"create or replace temp view {CHECKED} as from gathered")
        self.is_empty = read == 0
        self._commit(duck, Batch(read=read), read, extras, tuple(rejected))

    def check(self, duck: duckdb.DuckDBPyConnection, batch: Batch, *, is_queried: bool) -> tuple[int, tuple[str, ...]]:
        """Map and check a batch; return how many records there were, malformed ones included, and the extra columns.

        Of records that `is_queried`, the mapping's query was run already, so they have the contract's own columns.
        """
        if batch.read == len(batch.rejected) and not source_columns(duck):
            check_nothing(duck, self.contract, str(RecordSchema({}, is_queried=False)))
            return batch.read, ()
        mapped = map_batch(
            duck,
            self.mapping,
            self.contract.required,
            self.contract.on_extra_column,
            query_in_source=is_queried,
        )
        self._require_cursor(duck, mapped.missing)
        self.ignored.update(mapped.ignored)
        self.missing.update(mapped.missing)
        if mapped.missing and not self.suggested:
            self.suggested += suggest_mapping(mapped.missing, (*mapped.extras, *mapped.ignored))
        record, is_text = _record(duck, mapped.relation)
        form = str(RecordSchema(source_columns(duck, mapped.relation), is_queried=bool(self.mapping.query)))
        checkable = Mapped(mapped.relation, record, is_text, form, mapped.where, mapped.expressions, mapped.extras)
        return check_batch(duck, self.contract, checkable) + len(batch.rejected), mapped.extras

    def _commit(
        self,
        duck: duckdb.DuckDBPyConnection,
        batch: Batch,
        read: int,
        extras: tuple[str, ...],
        rejected: tuple[Rejected, ...],
    ) -> None:
        """Write quarantine and files under the next batch number, then the rows: that commit makes all of it count."""
        loaded_at = utc_now()
        stamp = BatchMetadata(self.table.batch + 1, self.load_id, loaded_at, self.is_backfill)
        fit_extras(duck, self.table, self.contract, extras)
        stored = self.table.stored([*self.contract.types, *extras], self.contract.types)
        self._record_new_columns(extras)
        if self.contract.load == "full":
            self.is_partial = not self.is_whole or bool(rejected) or _has_no_key(duck, self.contract)
        conflicts = deduplicate(duck, self.contract, extras, stored, all_keys_seen=not self.is_partial)
        accepted, deleted = duck.execute(
            "select count(*) filter (not _deleted), "
            f"count(*) filter (_deleted and _position is distinct from '{REPLACED}') from {NEW_ROWS}"
        ).fetchall()[0]
        passed = duck.execute(f"select count(*) from {CHECKED} where _reasons is null").fetchall()[0][0]
        malformed = [(reject.raw, [reject.reason], reject.position, None) for reject in rejected]
        quarantined, repeated = quarantine_rejected(duck, self.table, malformed, stamp)
        require_contract(duck, self.contract, accepted, quarantined)
        nulls = count_nulls(duck, self.contract)
        require_filled(self.contract, accepted, nulls)
        self.table.record_files(self._files(duck, batch, stamp), stamp.batch)
        counts = Counts(read, accepted, quarantined, passed - accepted + repeated, conflicts, deleted)
        self.table.append(
            duck, self.contract, extras, stamp, counts, batch.watermark, self.config_hash, self.contract_version
        )
        self.counts += counts
        self.nulls += nulls
        logger.info("%s: %s records read", self.contract.name, f"{self.counts.read:,}")

    def _files(self, duck: duckdb.DuckDBPyConnection, batch: Batch, stamp: BatchMetadata) -> pa.Table:
        """List a batch's files with the rows that each counts for: what its mapping yielded, and what was malformed."""
        by_file = dict(
            duck.execute(f"select _file, count(*) from {CHECKED} where _file is not null group by _file").fetchall()
        )
        for reject in batch.rejected:
            name = reject.position.rpartition(":")[0]
            by_file[name] = by_file.get(name, 0) + 1
        table, mapping = str(self.contract.name), self.config_hash
        rows = [
            (table, file.sha256, mapping, file.name, by_file.get(file.name, 0), stamp.batch, self.load_id)
            for file in batch.files
        ]
        columns = zip(list(zip(*rows, strict=True)) or [()] * len(FILES), FILES, strict=True)
        return pa.Table.from_arrays([pa.array(values, field.type) for values, field in columns], schema=FILES)

    def recheck(self, duck: duckdb.DuckDBPyConnection, quarantined: QuarantinedRecords) -> tuple[str, ...] | None:
        """Check records in quarantine again by today's contract and mapping; return their extra columns.

        None if they stay as they are: no contract helps what is malformed, nor a mapping what has other columns.
        """
        name = self.contract.name
        if quarantined.form is None:
            self.messages.append(f"{name}: {quarantined.records:,} in quarantine are malformed; fix them in the source")
            return None
        extras = self._restore(duck, quarantined) if quarantined.form.is_queried == bool(self.mapping.query) else None
        if extras is None:
            self.messages.append(
                f"{name}: {quarantined.records:,} in quarantine do not have the columns that the mapping reads"
            )
            return None
        fit_extras(duck, self.table, self.contract, extras)
        recheck(duck, self.contract, extras, self.table.stored([*self.contract.types, *extras], self.contract.types))
        return extras

    def _restore(self, duck: duckdb.DuckDBPyConnection, quarantined: QuarantinedRecords) -> tuple[str, ...] | None:
        """Check records as they came, and return their extra columns; None if they lack what the mapping reads."""
        try:
            restore(duck, self.table, quarantined)
            return self.check(duck, Batch(read=quarantined.records), is_queried=True)[1]
        except SchemaMismatch:
            return None

    def _clear_quarantine(self) -> None:
        """Let go of what a fixed contract or mapping has just read again: the lake holds it now."""
        name = self.contract.name
        again = TableLoad(self.connection, self.mapping, self.contract, self.table, self.load_id)
        with working_connection(self.connection, self.mapping) as (duck, _):
            for quarantined in quarantined_records(duck, self.table, self.contract.key[0]):
                if again.recheck(duck, quarantined) is None:
                    continue
                sql = f"select count(*) - count(_reasons), count(*) filter (is_known) from {RECHECKED}"
                passed, known = duck.execute(sql).fetchall()[0]
                if known:
                    self.table.resolve(duck, f"(from {RECHECKED} where is_known)", self.load_id)
                    self.messages.append(f"{name}: {known:,} left the quarantine, the lake holds them now")
                if passed > known:
                    self.messages.append(
                        f"{name}: {passed - known:,} in quarantine pass now, and the source did not show them again; "
                        f"python -m flows replay {name} moves them"
                    )

    def _require_cursor(self, duck: duckdb.DuckDBPyConnection, missing: tuple[str, ...]) -> None:
        """Refuse rows without the cursor that orders a history: they would sort before all that is known."""
        cursor = self.contract.cursor
        if self.contract.load != "upsert" or cursor not in missing:
            return
        stored = self.table.stored([cursor])
        if stored and duck.execute(f"select count({identifier(cursor)}) from {stored}").fetchall()[0][0]:
            raise SchemaMismatch(
                str(self.contract.name),
                f"its history is ordered by {cursor!r}",
                tuple(source_columns(duck)),
                f"Map {cursor} in connections.yml, or set load: full there.",
            )

    def _record_new_columns(self, extras: tuple[str, ...]) -> None:
        stored = {name.casefold() for name in self.table.types()}
        if stored:
            self.new.update(name for name in extras if name.casefold() not in stored)


def _record(duck: duckdb.DuckDBPyConnection, relation: str) -> tuple[str, bool]:
    """Return SQL for a record as it came, and whether that is a text already."""
    if relation == SOURCE and RECORD in {name for name, *_ in duck.execute(f"describe {SOURCE}").fetchall()}:
        return RECORD, True
    columns = map(identifier, source_columns(duck, relation))
    return f"struct_pack({', '.join(f'{column} := {column}' for column in columns)})", False


def _widen(duck: duckdb.DuckDBPyConnection, extras: tuple[str, ...], found: tuple[str, ...]) -> tuple[str, ...]:
    """Give `gathered` the extra columns of a further batch, and return those that it did not have."""
    kinds = {name.casefold(): kind for name, kind, *_ in duck.execute(f"describe {CHECKED}").fetchall()}
    gathered = {name.casefold(): kind for name, kind, *_ in duck.execute("describe gathered").fetchall()}
    known = {name.casefold() for name in extras}
    for name in found:
        kind = kinds[name.casefold()]
        if name.casefold() not in known:
            duck.execute(f"alter table gathered add column {identifier(name)} {kind}")
        elif gathered[name.casefold()] != kind:
            duck.execute(f"alter table gathered alter column {identifier(name)} type varchar")
    return tuple(name for name in found if name.casefold() not in known)


def _has_no_key(duck: duckdb.DuckDBPyConnection, contract: Contract) -> bool:
    """Tell whether some record of a batch has a key that cannot be read."""
    is_missing = " or ".join(f"{identifier(name)} is null" for name in contract.key)
    return bool(duck.execute(f"select count(*) from {CHECKED} where {is_missing}").fetchall()[0][0])


@contextmanager
def _values_hidden(name: TableName) -> Iterator[None]:
    """Turn what DuckDB, Delta or the system raise into an error of ours, without the values that theirs may quote."""
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


@contextmanager
def working_connection(
    connection: Connection, mapping: TableMapping
) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """Open a DuckDB that spills to a folder of its own, in the zone that naive times are read in.

    What it spills holds personal data, so it stays below the set's data folder; what a killed load leaves there is
    deleted by the next run.
    """
    work, time_zone = DataFolder(connection.data).work, mapping.time_zone
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="load-", dir=work) as folder:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": str(THREADS),
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": f"{folder}/spill",
        }
        with duckdb.connect(config=config) as duck:
            try:
                duck.execute(f"set TimeZone = {literal(time_zone)}")
            except duckdb.Error:
                raise UsageError(
                    f"connections.yml: {time_zone!r} is no time zone.", "Write one such as Europe/London."
                ) from None
            yield duck, Path(folder)
