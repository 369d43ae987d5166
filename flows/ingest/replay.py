"""Replay: records in quarantine are checked again, after a contract or mapping was fixed, and move if they pass."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import duckdb

from flows.config.connections import Connection, Connections
from flows.config.contract import Contract
from flows.core.errors import UsageError
from flows.core.names import TableName, did_you_mean
from flows.ingest.load import LoadResult, run_recorded
from flows.ingest.plan import LoadPlan, plan_load, take_contract, working_connection
from flows.ingest.progress import Progress
from flows.ingest.recheck import QuarantinedRecords, quarantined_records, recheck
from flows.lake.counts import Counts
from flows.lake.deduplicate import deduplicate
from flows.lake.file_ledger import record_files
from flows.lake.ops import was_loaded
from flows.lake.quarantine import QUARANTINE, resolve, write_quarantine
from flows.lake.quarantine_report import quarantined_tables
from flows.lake.reconcile import require_reconciliation


def replay_quarantine(
    sources: Connections, contracts: Mapping[TableName, Contract], table: TableName | None = None
) -> list[LoadResult]:
    """Replay one table, or all that have a quarantine and are in the set of connections.

    Raises UsageError for a table that the set or the contracts do not have.
    """
    if table is not None and (table not in contracts or table.source not in sources.sources):
        raise UsageError(
            f"{table} is no table of the set {sources.name}, or has no contract."
            f"{did_you_mean(str(table), [str(name) for name in contracts if name.source in sources.sources])}",
            f"The quarantine holds {', '.join(map(str, quarantined_tables(sources.folder.lake))) or 'nothing'}.",
        )
    wanted = [table] if table else quarantined_tables(sources.folder.lake)
    run_id = f"replay-{uuid4()}"
    return [
        replay_table(sources.sources[name.source], contracts[name], sources.folder.lake, run_id=run_id)
        for name in wanted
        if name in contracts and name.source in sources.sources
    ]


def replay_table(connection: Connection, contract: Contract, lake: Path, *, run_id: str) -> LoadResult:
    """Check a table's quarantine again, move the records that pass to its history, and record that as a load.

    Of the counts, `read` is how many were checked again and `quarantined` how many stay. The source is not read, and
    its watermark does not change. A replay that was killed at any point is completed by the next one.
    Raises GateFailed if a recount finds another number of records than it counted.
    """
    plan = plan_load(connection, contract, lake)
    return run_recorded(plan, run_id, _replay(plan))


def _replay(plan: LoadPlan) -> Iterator[Progress]:
    name, lake = plan.contract.name, plan.raw.lake
    with working_connection(plan) as (duck, _):
        if was_loaded(lake, name):
            plan, progress = take_contract(plan, duck)
            for group in quarantined_records(duck, plan.raw, plan.contract.key[0]):
                progress += _replay_group(replace(plan, is_backfill=group.is_backfill), duck, group)
                yield progress
        else:
            progress = Progress(messages=(f"{name}: its first load is not complete, nothing was replayed",))
        require_reconciliation(lake, {name: (plan.load_id, progress.counts)})
    yield progress


def _replay_group(plan: LoadPlan, duck: duckdb.DuckDBPyConnection, group: QuarantinedRecords) -> Progress:
    """Commit the records that pass as a batch of their own, then take them out of quarantine.

    After a death in between, the next replay finds them in the lake.
    """
    rechecked, progress = recheck(plan, duck, group)
    if rechecked is None:
        return progress
    raw, contract, checked = plan.raw, plan.contract, rechecked.passed()
    read, stays = rechecked.outcomes.count(), rechecked.outcomes.count("_reasons is not null")
    new = deduplicate(checked, contract, plan.stored(checked), plan.last_batch, all_keys_seen=False)
    accepted, _ = new.count()
    known = rechecked.outcomes.count("is_known") + new.known
    counts = Counts(read, accepted, stays, read - accepted - stays - known, new.conflicts, known=known)
    if accepted:
        metadata = plan.next_batch()
        write_quarantine(raw, QUARANTINE.empty_table(), metadata.batch)  # a batch that died may have left some
        record_files(raw, metadata)
        carry = {"config_hash": "", **raw.last_commit(), "contract_version": str(plan.contract_version)}
        raw.append(new, contract, metadata, counts, carry)
    resolve(raw, rechecked.outcomes, plan.load_id)
    return progress + Progress(counts)
