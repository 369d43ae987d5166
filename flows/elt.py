"""The main job: extract, check, load, build, test, publish."""

import logging
import time
from collections.abc import Collection, Mapping
from functools import partial

import duckdb
from prefect import flow

from flows.config.connections import Connections, read_connections
from flows.config.contract import Contract, contracts_of
from flows.config.parameters import ConnectionsFile, FullRefresh, Selection, SetName
from flows.config.settings import PROJECT, DataFolder
from flows.config.slas import read_slas
from flows.core.errors import GateFailed, SchemaMismatch, SourceFailed
from flows.core.names import TableName
from flows.core.redaction import without_values
from flows.core.storage import storage_faults_named
from flows.ingest.derived_tables import derive_table, derived_of, derived_tables
from flows.ingest.load import LoadResult, load_table
from flows.ingest.tables import tables_to_load
from flows.lake.catalog import Pin, Verified, pin_catalog
from flows.lake.damage import damage_named, require_known_batches, require_whole, tables_of
from flows.lake.ops import require_lake
from flows.lake.quarantine_report import count_quarantine
from flows.lake.raw import raw_path
from flows.lake.reconcile import require_reconciliation
from flows.lake.reload import finish_reloads
from flows.lake.snapshot_backup import are_kept, keep_snapshots, restore_snapshots
from flows.lake.verify import verify_new_files
from flows.orchestration.artifacts import failed_run_told, failure_listed, show_changes, show_outcome
from flows.orchestration.dbt_task_runs import shown_models
from flows.orchestration.events import emit_rows_accepted
from flows.orchestration.failures import failure_shown, result_of
from flows.orchestration.loads import load, run_loads
from flows.orchestration.steps import RUNNER, RecordedRun, flow_lock, step
from flows.outcome import Outcome
from flows.publish import follow_release, publish
from flows.sources.served import served
from flows.warehouse.build import (
    Build,
    build_candidate,
    drop_orphaned_relations,
    example_query,
    has_news,
    prepare_candidate,
    take_over_candidate,
    with_warnings,
)
from flows.warehouse.dbt import Dbt
from flows.warehouse.gates import Verdict, require_freshness, require_sound_build
from flows.warehouse.hold import Held, failed_roots
from flows.warehouse.journal import Journal
from flows.warehouse.pseudonyms import require_pseudonym_key
from flows.warehouse.release import (
    last_verified,
)
from flows.warehouse.releases import newest_release, read_made_of

logger = logging.getLogger(__name__)


@flow(name="elt", flow_run_name="elt {connection_set}", log_prints=False, task_runner=RUNNER)
@failure_shown
def elt(
    connection_set: SetName = None,
    connections: ConnectionsFile = "connections.yml",
    full_refresh: FullRefresh = False,
    select: Selection = None,
) -> Outcome:
    """Bring the warehouse up to date and publish it, if every gate passes.

    Raises GateFailed, SourceFailed (after retries) or StorageFailed: nothing is published; RunLocked: nothing is done.
    A set that is published by dependency holds back what depends on a failed source or gate, and raises HeldBack then.
    """
    started = time.monotonic()
    sources = read_connections(PROJECT / connections, connection_set)
    folder = sources.folder
    require_lake(folder)
    with (
        served(sources),
        storage_faults_named(),
        flow_lock(folder),
        RecordedRun(sources, is_whole=select is None) as run,
        failed_run_told(run) as loads,
        failure_listed(folder),
    ):
        dbt = parse_project(sources)
        contracts = contracts_of(dbt.manifest.sources.values())
        made_up = check_key(dbt, sources, contracts)
        check_lake(folder, contracts)
        held = Held(dbt, sources.holding == "by_dependency" and select is None and not full_refresh)
        load_tables(sources, contracts, run.run_id, loads, held)
        loads += derive_tables(sources, contracts, run.run_id)
        check_reconciliation(folder, loads)
        pins = pin_versions(folder, contracts)
        verified = verify_contents(folder, pins)
        journal = start_candidate(dbt, empty=full_refresh and select is None, goes_on=not (full_refresh or select))
        with damage_named(folder.lake, contracts, of=(GateFailed, duckdb.Error)):
            stale = check_ages(dbt, contracts, pins, held)
            if held.tables:
                pins = pin_versions(folder, contracts, held.tables)
            build, verdict = build_what_can_be(dbt, full_refresh, select, held, journal)
        run.saw(build, verdict)
        release = None
        if select is None and has_news(dbt, build, sources.formats):
            build = with_warnings(build, verdict.told)
            release = publish(dbt, build, pins, verified, sources.formats, held.since)
            run.release = release.name
            show_changes(folder, release.name)
            follow_release(dbt, sources, release)
        notes = tuple(text for load in loads for text in load.notes) + stale + made_up
        outcome = Outcome(
            *(folder, tuple(loads), build, verdict, release, notes),
            example_query(dbt, folder.candidate if release is None else release.path),
            time.monotonic() - started,
            count_quarantine(folder.lake),
            sources.options,
            select is None,
        )
        show_outcome(outcome)
        held.require_none(outcome, release.name if release is not None else None)
    return outcome


@step("parse project")
def parse_project(sources: Connections) -> Dbt:
    """Read contracts, models and tests from dbt's manifest, with the set's own vars; refuse promises that are wrong."""
    dbt = Dbt.parse(sources.folder, sources.variables)
    read_slas(exposure.to_dict() for exposure in dbt.manifest.exposures.values())
    return dbt


def load_tables(
    sources: Connections, contracts: Mapping[TableName, Contract], run_id: str, loads: list[LoadResult], held: Held
) -> None:
    """Load every table that the set names, several at a time, and add what each has loaded, failed ones too.

    Raises the first failure once all have ended, unless what depends on the table can be held back.
    """
    wanted = tables_to_load(sources, contracts)
    loading = partial(load_table, lake=sources.folder.lake, run_id=run_id)
    try:
        for name, failure in run_loads(wanted, contracts, loading, loads).items():
            if not isinstance(failure, SourceFailed | SchemaMismatch | GateFailed):
                raise failure
            held.take_tables(failure, derived_of(name, contracts))
    finally:
        emit_rows_accepted(sources.folder, [load for load in loads if load.is_complete])


def derive_tables(sources: Connections, contracts: Mapping[TableName, Contract], run_id: str) -> list[LoadResult]:
    """Make what is new in the tables that are made of others, once those are loaded."""
    folder = sources.folder
    return [
        result_of(load(str(contract.name), partial(derive_table, contract, contracts, folder, run_id=run_id)))
        for contract in derived_tables(contracts)
        if contract.derivation and raw_path(folder.lake, contract.derivation.of).exists()
    ]


def check_key(dbt: Dbt, sources: Connections, contracts: Mapping[TableName, Contract]) -> tuple[str, ...]:
    """Require a key for pseudonyms if the set has ids that become some; return a note if the key is made up."""
    wanted = {name for name, _ in tables_to_load(sources, contracts)}
    notes = require_pseudonym_key(dbt.folder, dbt.manifest, wanted)
    for note in notes:
        logger.warning(note)
    return notes


@step("check lake")
def check_lake(folder: DataFolder, contracts: Mapping[TableName, Contract]) -> None:
    """Complete a reload that was interrupted; require that tables are whole and no older than records and release."""
    finish_reloads(folder.lake)
    for path in tables_of(folder.lake, contracts):
        require_whole(path)
    released = {name: state.batch for name, state in last_verified(folder).items()}
    with damage_named(folder.lake, ()):
        require_known_batches(folder.lake, contracts, released)


@step("check reconciliation")
def check_reconciliation(folder: DataFolder, loads: list[LoadResult]) -> None:
    """Recount the records that were read, accepted, quarantined, known and duplicate."""
    require_reconciliation(folder.lake, {load.table: (load.load_id, load.counts) for load in loads})


@step("pin catalog")
def pin_versions(
    folder: DataFolder, contracts: Mapping[TableName, Contract], held: Collection[TableName] = ()
) -> dict[TableName, Pin]:
    """Point the catalog's views at the newest version of each table; at that of the last release, if it is held."""
    released = read_made_of(folder.warehouse.resolve()).versions if held else {}
    stay = {name: released.get(name) for name in held}
    return pin_catalog(folder.catalog, folder.lake, contracts, stay=stay)


@step("verify contents")
def verify_contents(folder: DataFolder, pins: Mapping[TableName, Pin]) -> dict[TableName, Verified]:
    """Compare the rows in files that no release was built from yet with the hashes of their commits."""
    before = last_verified(folder)
    found = {name: verify_new_files(folder.lake, name, pin, before.get(name)) for name, pin in pins.items()}
    return {name: verified for name, verified in found.items() if verified is not None}


@step("prepare candidate")
def start_candidate(dbt: Dbt, *, empty: bool, goes_on: bool = False) -> Journal:
    """Copy the last release; a candidate that starts without one gets its snapshots back from the lake.

    If it `goes_on`, the candidate of a run that did not end is taken over, with the nodes that it had finished.
    """
    folder, snapshots = dbt.folder, dbt.snapshots()
    if folder.warehouse.exists() and (empty or not are_kept(folder.lake, snapshots, newest_release(folder))):
        save_snapshots(dbt)
    journal = take_over_candidate(dbt) if goes_on else None
    if journal is not None:
        logger.info("the candidate of the run before is taken over: it had finished %d nodes", len(journal.finished))
    else:
        prepare_candidate(folder, empty=empty)
    if dropped := drop_orphaned_relations(dbt):
        logger.info("dropped %s: no model makes them any more", ", ".join(dropped))
    if journal is None and (empty or not folder.warehouse.exists()):
        restored = restore_snapshots(folder.lake, folder.candidate, snapshots)
        if restored:
            logger.info("snapshots were restored from the lake: %s", ", ".join(restored))
    return journal or Journal(folder)


def save_snapshots(dbt: Dbt) -> None:
    """Write the last release's snapshots to the lake, should the run that published it have died before it did so."""
    try:
        file = dbt.folder.warehouse.resolve()
        keep_snapshots(dbt.folder.lake, file, dbt.snapshots(), file.parent.name)
    except duckdb.Error as error:
        logger.warning(
            "the last release cannot be read, the lake keeps its earlier snapshots: %s", without_values(error)
        )


def check_ages(
    dbt: Dbt, contracts: Mapping[TableName, Contract], pins: Mapping[TableName, Pin], held: Held
) -> tuple[str, ...]:
    """Check the freshness of what is not held back yet; what is too old is held back, if that is allowed."""
    while True:
        try:
            return check_freshness(dbt, {name: pin for name, pin in pins.items() if name not in held.tables})
        except GateFailed as failure:
            old = [TableName.parse(finding.where) for finding in failure.findings]
            held.take_tables(failure, {name for one in old for name in derived_of(one, contracts)})


@step("check freshness")
def check_freshness(dbt: Dbt, pins: Mapping[TableName, Pin]) -> tuple[str, ...]:
    """Compare the age of the loaded sources with what their contracts promise."""
    return require_freshness(dbt, [name for name, pin in pins.items() if pin.version is not None])


def build_what_can_be(
    dbt: Dbt, full_refresh: bool, select: str | None, held: Held, journal: Journal
) -> tuple[Build, Verdict]:
    """Build and test the candidate; after a failure that can be held back, begin again without what depends on it.

    The candidate begins with the last release then, since held tables stay as they are in it.
    """
    while True:
        if held.roots and not journal.is_clean:
            journal = start_candidate(dbt, empty=False)
        try:
            return build_models(dbt, full_refresh, select, held.roots, journal)
        except GateFailed as failure:
            held.take(failure, failure.roots)


@step("build")
def build_models(
    dbt: Dbt, full_refresh: bool, select: str | None, held: Collection[str] = (), journal: Journal | None = None
) -> tuple[Build, Verdict]:
    """Build and test the candidate; each model is a task run of its own, its tests with it.

    A build that the gates stop has failed itself.
    """
    with shown_models(dbt.manifest) as show:
        build = build_candidate(
            dbt, full_refresh=full_refresh, select=select, on_event=[show], held=held, journal=journal
        )
    try:
        return build, check_gates(dbt, build)
    except GateFailed as failure:
        if journal is not None:
            journal.end()
        failure.roots, failure.results = failed_roots(dbt, build), build.results
        raise


@step("check gates")
def check_gates(dbt: Dbt, build: Build) -> Verdict:
    """Stop the run if a test failed."""
    return require_sound_build(dbt, build)
