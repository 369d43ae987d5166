"""Backfill: read an interval of days again, build what follows from it, and show what differs from the release."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import duckdb
from prefect import flow

from flows.config.connections import Connections, read_connections
from flows.config.contract import Contract, contracts_of
from flows.config.parameters import ConnectionsFile, EndDay, FirstDay, IsPublished, SetName, Tables
from flows.config.settings import PROJECT, DataFolder
from flows.core.errors import GateFailed
from flows.core.names import TableName
from flows.core.storage import storage_faults_named
from flows.elt import (
    build_models,
    check_freshness,
    check_key,
    check_lake,
    check_reconciliation,
    derive_tables,
    parse_project,
    pin_versions,
    start_candidate,
    verify_contents,
)
from flows.ingest.backfill import backfill_table, tables_to_backfill, zone_of
from flows.ingest.derived_tables import derived_tables
from flows.ingest.load import LoadResult
from flows.ingest.tables import tables_to_load
from flows.lake.damage import damage_named
from flows.lake.ops import require_lake
from flows.lake.overlay import overlay_lake
from flows.lake.quarantine_report import count_quarantine
from flows.orchestration.artifacts import failed_run_told, failure_listed, show_comparison, show_outcome
from flows.orchestration.events import emit_rows_accepted
from flows.orchestration.failures import failure_shown
from flows.orchestration.loads import run_loads
from flows.orchestration.steps import RUNNER, RecordedRun, flow_lock, step
from flows.outcome import Outcome
from flows.publish import follow_release, publish
from flows.sources.interval import Interval
from flows.sources.served import served
from flows.trial import begin_trial, compare_candidate, end_trial
from flows.warehouse.build import Build, example_query, has_news, with_warnings
from flows.warehouse.dbt import Dbt
from flows.warehouse.diff import Comparison
from flows.warehouse.releases import newest_release

CLONE = "last_backfill"
UNPUBLISHED = "nothing is published; lake and release are as they were"


@dataclass(frozen=True)
class Backfilled:
    """The outcome of a backfill, and what differs between the release before it and what was built.

    `left_out` says of each table that was not asked for the interval why it was not.
    """

    outcome: Outcome
    interval: Interval
    before: str
    found: Comparison
    left_out: Sequence[str]


@flow(name="backfill", flow_run_name="backfill {connection_set}", log_prints=False, task_runner=RUNNER)
@failure_shown
def backfill(
    first_day: FirstDay,
    end_day: EndDay,
    connection_set: SetName = None,
    connections: ConnectionsFile = "connections.yml",
    select: Tables = None,
    is_published: IsPublished = False,
) -> Backfilled:
    """Read an interval of days of the set's time zone again, without the last one, and publish what follows if asked.

    If nothing is to be published, all is done in an overlay of the lake, and the candidate is kept as a clone. Raises
    UsageError for what cannot be asked for; GateFailed, SourceFailed and StorageFailed as `elt` does.
    """
    started = time.monotonic()
    sources = read_connections(PROJECT / connections, connection_set)
    interval = Interval.parse(first_day, end_day, zone_of(sources))
    own, before = sources.folder, newest_release(sources.folder)
    require_lake(own)
    with served(sources), storage_faults_named(), flow_lock(own):
        dbt = parse_project(sources)
        contracts = contracts_of(dbt.manifest.sources.values())
        check_key(dbt, sources, contracts)
        check_lake(own, contracts)
        names, left_out = tables_to_backfill(sources, contracts, (select or "").split())
        folder = own if is_published else begin_overlay(own, contracts, names)
        sources, dbt = replace(sources, folder=folder), replace(dbt, folder=folder)
        with (
            RecordedRun(sources, loads_all=False) as run,
            failed_run_told(run) as loads,
            failure_listed(folder),
        ):
            read_again(sources, contracts, names, interval, run.run_id, loads, is_published=is_published)
            check_reconciliation(folder, loads)
            pins = pin_versions(folder, contracts)
            verified = verify_contents(folder, pins)
            start_candidate(dbt, empty=False)
            with damage_named(folder.lake, contracts, of=(GateFailed, duckdb.Error)):
                stale = check_freshness(dbt, pins) if is_published else ()
                build, verdict = build_models(dbt, False, None)
            run.saw(build, verdict)
            found = compare_with_release(dbt, build, before)
            release = None
            if is_published and has_news(dbt, build, sources.formats):
                release = publish(dbt, with_warnings(build, verdict.told), pins, verified, sources.formats)
                run.release = release.name
                follow_release(dbt, sources, release)
        outcome = Outcome(
            *(own, tuple(loads), build, verdict, release),
            notes=(*(text for load in loads for text in load.notes), *stale),
            example=example_query(dbt, folder.candidate if release is None else release.path),
            seconds=time.monotonic() - started,
            quarantine=count_quarantine(folder.lake),
            options=sources.options,
            is_whole=is_published,
            unpublished=UNPUBLISHED,
        )
        show_outcome(outcome)
        if not is_published:
            end_trial(own, folder, CLONE)
    return Backfilled(outcome, interval, before, found, left_out)


def begin_overlay(
    folder: DataFolder, contracts: Mapping[TableName, Contract], names: Sequence[TableName]
) -> DataFolder:
    """Return a folder for a trial, in whose lake these tables and all derived ones can be written."""
    trial = begin_trial(folder)
    overlay_lake(folder.lake, trial.lake, [*names, *(one.name for one in derived_tables(contracts))])
    return trial


def read_again(
    sources: Connections,
    contracts: Mapping[TableName, Contract],
    names: Sequence[TableName],
    interval: Interval,
    run_id: str,
    loads: list[LoadResult],
    *,
    is_published: bool,
) -> None:
    """Read an interval of some tables again, and make what follows in derived ones; raises the first failure."""
    wanted = [(name, one) for name, one in tables_to_load(sources, contracts) if name in names]
    loading = partial(backfill_table, lake=sources.folder.lake, run_id=run_id, interval=interval)
    try:
        for failure in run_loads(wanted, contracts, loading, loads).values():
            raise failure
    finally:
        if is_published:
            emit_rows_accepted(sources.folder, [load for load in loads if load.is_complete])
    reached = set(names)
    for contract in derived_tables(contracts):
        if contract.derivation is not None and contract.derivation.of in reached:
            reached.add(contract.name)
    loads += derive_tables(sources, {name: contracts[name] for name in contracts if name in reached}, run_id)


@step("compare with release")
def compare_with_release(dbt: Dbt, build: Build, before: str) -> Comparison:
    """Compare the candidate with the release before it, and show what differs."""
    found = compare_candidate(dbt.folder, build)
    show_comparison(dbt.folder, before, "backfill", found)
    return found
