"""One batch on its way into the lake: mapped, checked, deduplicated and committed."""

import json
from collections import Counter
from collections.abc import Collection, Iterator

from flows.config.contract import Contract
from flows.core.errors import SchemaMismatch
from flows.core.names import identifier
from flows.ingest.plan import LoadPlan
from flows.ingest.progress import Progress
from flows.lake.check import Checked, check, check_nothing
from flows.lake.counts import Counts
from flows.lake.deduplicate import deduplicate
from flows.lake.file_ledger import record_files
from flows.lake.new_rows_profile import profile_new_rows
from flows.lake.null_spikes import require_filled
from flows.lake.quarantine import quarantine_rejected, require_contract, require_kept
from flows.lake.schema_evolution import fit_extras
from flows.sources.batches import RECORD, TOMBSTONE, Batch, SourceFile, source_columns
from flows.sources.mapping import map_batch
from flows.sources.suggestions import did_you_mean


def check_batch(plan: LoadPlan, batch: Batch, *, query_in_source: bool) -> tuple[Checked, Progress]:
    """Map a batch and check it against the contract; return what it showed of the source as well.

    With `query_in_source`, the mapping's query was run already, so the records have the contract's own columns.
    """
    assert batch.records is not None, "files that were loaded before are counted, not checked"
    if batch.read == len(batch.rejected) and not source_columns(batch.records):
        return check_nothing(batch.records.connection, plan.contract), Progress()
    contract = plan.contract
    mapped = map_batch(
        batch.records,
        plan.mapping,
        contract.required,
        contract.on_extra_column,
        query_in_source=query_in_source,
        is_file=bool(batch.files),
        may_lack=batch.may_lack_columns,
        was_used=plan.raw.last_commit().get("config_hash") == plan.config_hash,
    )
    _require_cursor(plan, batch, mapped.missing)
    return check(mapped, contract), Progress(
        ignored=frozenset(mapped.ignored),
        missing=frozenset(mapped.missing),
        absent=frozenset((name, did_you_mean(name, batch.records)) for name in mapped.absent),
        is_checked=True,
    )


def _require_cursor(plan: LoadPlan, batch: Batch, missing: tuple[str, ...]) -> None:
    """Refuse rows without the cursor that orders a history: they would sort before all stored rows."""
    contract, cursor, records = plan.contract, plan.contract.cursor, batch.records
    if contract.load != "upsert" or cursor not in missing or records is None:
        return
    if TOMBSTONE in records.types or (batch.may_lack_columns and RECORD in records.types):
        return  # each message has its own fields
    stored = plan.raw.stored([cursor])
    if stored and records.connection.execute(f"select count({identifier(cursor)}) from {stored}").fetchall() != [(0,)]:
        raise SchemaMismatch(
            str(contract.name),
            f"its history is ordered by {cursor!r}",
            tuple(source_columns(records)),
            f"Map {cursor} in {plan.mapping.place}, or set load: full there.",
        )


def commit_batch(plan: LoadPlan, batch: Batch, checked: Checked) -> Progress:
    """Write quarantine and files under the next batch number, then the rows: that commit makes all of it count."""
    raw, contract = plan.raw, plan.contract
    metadata = plan.next_batch()
    checked = fit_extras(raw, contract, checked)
    stored_names = {name.casefold() for name in raw.types()}
    undeleted = tuple(_reasons_not_to_delete(batch, checked, contract)) if contract.load == "full" else ()
    new = deduplicate(checked, contract, plan.stored(checked), plan.last_batch, all_keys_seen=not undeleted)
    accepted, deleted = new.count()
    require_kept(contract, deleted, new.current)
    passed = checked.records.count("_reasons is null")
    quarantined, known_rejects, repeated = quarantine_rejected(raw, checked, batch.rejected, metadata, plan.last_batch)
    require_contract(checked, contract, accepted, quarantined)
    nulls, newest_at = profile_new_rows(new, contract)
    require_filled(contract, accepted, nulls)
    record_files(raw, metadata, _rows_by_file(batch, checked), plan.config_hash)
    read = checked.read + len(batch.rejected)
    duplicate = passed - accepted - new.known + repeated
    counts = Counts(read, accepted, quarantined, duplicate, new.conflicts, deleted, new.known + known_rejects)
    carry = {"watermark": json.dumps(batch.watermark), "config_hash": plan.config_hash, "cursor": contract.cursor or ""}
    raw.append(new, contract, metadata, counts, carry | {"contract_version": str(plan.contract_version)})
    added = frozenset(name for name in checked.extras if stored_names and name.casefold() not in stored_names)
    return Progress(counts, nulls, newest_at, new=added, undeleted=undeleted)


def _reasons_not_to_delete(batch: Batch, checked: Checked, contract: Contract) -> Iterator[str]:
    """Say why a key that a full copy lacks may still be in the source."""
    has_no_key = " or ".join(f"{identifier(name)} is null" for name in contract.key)
    if not batch.is_whole:
        yield "the full copy may lack records that the source has"
    elif batch.rejected or checked.records.count(has_no_key):
        yield "some records of the full copy have no readable key"
    if checked.read + len(batch.rejected) == 0:
        yield "the full copy of the source was empty"


def _rows_by_file(batch: Batch, checked: Checked) -> Iterator[tuple[SourceFile, int]]:
    """Yield a batch's files with the rows that each counts for: those that its mapping yielded, and malformed ones."""
    sql = f"select _file, count(*) from {checked.records} where _file is not null group by _file"
    rows = Counter(dict(checked.records.connection.execute(sql).fetchall()))
    rows.update(reject.position.rpartition(":")[0] for reject in batch.rejected)
    names = {file.name for file in batch.files}
    for part in rows.keys() - names:  # a sheet of a workbook
        rows[_file_of(part, names)] += rows.pop(part)
    yield from ((file, rows[file.name]) for file in batch.files)


def _file_of(part: str, names: Collection[str]) -> str:
    """Return the file of which a name such as `prices.xlsx!March` is a part."""
    while part not in names and "!" in part:
        part = part.rpartition("!")[0]
    return part
