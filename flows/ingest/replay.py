"""Replay: what is in quarantine is checked again, after a contract or mapping was fixed, and what passes is moved."""

import json
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

import duckdb

from flows.config.connections import Connection, Connections
from flows.config.contract import Contract
from flows.core.clock import utc_now
from flows.core.errors import UsageError
from flows.core.names import TableName
from flows.ingest.load import LoadResult, TableLoad, recorded, working_connection
from flows.ingest.recheck import RECHECKED, QuarantinedRecords, keep_passed, quarantined_records
from flows.lake.deduplicate import NEW_ROWS, deduplicate
from flows.lake.ops import was_loaded
from flows.lake.quarantine_report import quarantined_tables
from flows.lake.reconcile import require_reconciliation
from flows.lake.tables import FILES, QUARANTINE, BatchMetadata, Counts


def replay_quarantine(
    sources: Connections, contracts: Mapping[TableName, Contract], table: TableName | None = None
) -> list[LoadResult]:
    """Replay one table, or all that have a quarantine and are in the set of connections.

    Raises UsageError for a table that the set or the contracts do not have.
    """
    if table is not None and (table not in contracts or table.source not in sources.sources):
        raise UsageError(
            f"{table} is no table of the set {sources.name}, or has no contract.",
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
    """Check a table's quarantine again, move what passes to its history, and record that as a load is recorded.

    Of the counts, `read` is what was checked again and `quarantined` what stays. The source is not asked, and where it
    stands does not change. Killed at any point and begun again, it leaves what an undisturbed one leaves.
    Raises GateFailed if a recount finds another number of records than it counted.
    """
    load = TableLoad.begin(connection, contract, lake)
    with recorded(load, run_id), working_connection(connection, load.mapping) as (duck, _):
        if was_loaded(lake, contract.name):
            load.take_contract(duck)
            for quarantined in quarantined_records(duck, load.table, load.contract.key[0]):
                _replay(load, duck, quarantined)
        else:
            load.messages.append(f"{contract.name}: its first load is not complete, nothing was replayed")
        require_reconciliation(lake, {contract.name: (load.load_id, load.counts)})
    return load.result(run_id)


def _replay(load: TableLoad, duck: duckdb.DuckDBPyConnection, quarantined: QuarantinedRecords) -> None:
    """Commit what passes as a batch of its own, then take it out of quarantine: killed in between, it is known."""
    extras = load.recheck(duck, quarantined)
    if extras is None:
        return
    read, stays = duck.execute(f"select count(*), count(_reasons) from {RECHECKED}").fetchall()[0]
    keep_passed(duck)
    table, contract = load.table, load.contract
    stored = table.stored([*contract.types, *extras], contract.types)
    conflicts = deduplicate(duck, contract, extras, stored, all_keys_seen=False)
    accepted = duck.execute(f"select count(*) from {NEW_ROWS} where not _deleted").fetchall()[0][0]
    counts = Counts(read, accepted, stays, read - accepted - stays, conflicts)
    if accepted:
        stamp = BatchMetadata(table.batch + 1, load.load_id, utc_now(), quarantined.is_backfill)
        table.quarantine(QUARANTINE.empty_table(), stamp.batch)  # what a batch that died left under this number
        table.record_files(FILES.empty_table(), stamp.batch)
        last = table.last_commit()
        watermark, config_hash = json.loads(last["watermark"]), last.get("config_hash", "")
        table.append(duck, contract, extras, stamp, counts, watermark, config_hash, load.contract_version)
    table.resolve(duck, RECHECKED, load.load_id)
    load.counts += counts
