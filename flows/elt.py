"""The main job: extract, check, load, build, test, publish."""

import atexit
import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

import duckdb
from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.futures import wait
from prefect.runtime import flow_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from flows.config.connections import Connection, Connections, read_connections
from flows.config.contract import Contract, contracts_of
from flows.config.settings import PROJECT, DataFolder
from flows.core.clock import utc_now
from flows.core.errors import SourceFailed, StorageFailed, UsageError, WarehouseError
from flows.core.names import TableName, identifier
from flows.core.redaction import scrub, without_values
from flows.core.storage import recording, storage_faults_named
from flows.ingest.derived_tables import derive_table, derived_tables
from flows.ingest.load import LoadResult, load_table
from flows.lake.catalog import Pin, pin_catalog, read_pins
from flows.lake.maintenance import compact_and_vacuum_lake
from flows.lake.ops import record_run
from flows.lake.reconcile import require_reconciliation
from flows.lake.snapshot_backup import keep_snapshots, restore_snapshots
from flows.lake.tables import raw_path
from flows.orchestration.artifacts import failed_gate_shown, show_outcome
from flows.orchestration.dbt_task_runs import shown_models
from flows.orchestration.events import emit_release_published, emit_rows_accepted
from flows.orchestration.sole_run import sole_run
from flows.warehouse.build import Build, build_candidate, drop_orphaned_relations, prepare_candidate
from flows.warehouse.dbt import Dbt
from flows.warehouse.docs import write_docs
from flows.warehouse.gates import Verdict, require_freshness, require_gates
from flows.warehouse.pseudonyms import require_pseudonym_key
from flows.warehouse.release import Release, named_versions, prune_releases, publish_candidate
from flows.warehouse.unkeyed_hashes import require_no_unkeyed_hashes

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

RUNNER: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=2)
"""Loads wait for each other's disk more than for a core: two at a time is what two cores gain from."""


def step(name: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function a task that the UI shows by this name.

    Its arguments are bound before Prefect sees them: it would hash them and walk through all of dbt's manifest.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @task(name=name, task_run_name=name, cache_policy=NO_CACHE)
        def run(call: Callable[[], R]) -> R:
            return call()

        @wraps(function)
        def bound(*args: P.args, **options: P.kwargs) -> R:
            return run(partial(function, *args, **options))

        return bound

    return decorate


@dataclass(frozen=True)
class Outcome:
    """What a run did; `release` is None if a selection was built and tested only, `example` a query on what it made."""

    loads: tuple[LoadResult, ...]
    build: Build
    verdict: Verdict
    release: Release | None
    notes: tuple[str, ...]
    example: str
    seconds: float


@flow(
    name="elt",
    flow_run_name="elt {connection_set}",
    log_prints=False,
    task_runner=RUNNER,
)
def elt(
    connection_set: str | None = None,
    connections: str = "connections.yml",
    full_refresh: bool = False,
    select: str | None = None,
) -> Outcome:
    """Bring the warehouse up to date and publish it, if every gate passes.

    Raises GateFailed, SourceFailed (after retries) or StorageFailed: nothing is published; RunLocked: nothing is done.
    """
    started = time.monotonic()
    sources = read_connections(PROJECT / connections, connection_set)
    folder = sources.folder
    require_lake(folder)
    with storage_faults_named(), sole_run(folder), RecordedRun(folder) as note, failed_gate_shown(folder):
        dbt = parse_project(folder)
        contracts = contracts_of(dbt.manifest.sources.values())
        made_up = check_key(dbt, sources, contracts)
        loads = load_tables(sources, contracts, note.run_id)
        loads += derive_tables(sources, contracts, note.run_id)
        check_reconciliation(folder, loads)
        pins = pin_versions(folder, contracts)
        start_candidate(dbt, anew=full_refresh and select is None)
        stale = check_freshness(dbt, pins)
        build = build_models(dbt, full_refresh, select)
        verdict = check_gates(dbt, build)
        release = None
        if select is None:
            release = publish(dbt, build, pins)
            note.release = release.name
            keep_history(dbt, release)
            generate_docs(dbt, build)
            compact_and_vacuum(folder)
    notes = tuple(text for load in loads for text in load.notes) + stale + made_up
    example = example_of(dbt, folder.candidate if release is None else release.path)
    outcome = Outcome(tuple(loads), build, verdict, release, notes, example, time.monotonic() - started)
    show_outcome(folder, outcome)
    return outcome


def require_lake(folder: DataFolder) -> None:
    """Refuse to begin a new lake while a release stands that was made of another: its volume may be missing."""
    if folder.warehouse.exists() and not (folder.lake / "ops").is_dir():
        raise StorageFailed(
            str(folder.lake),
            "the lake is not there, and the published release was made of one",
            f"Mount it, or say where it is: ML_WAREHOUSE_LAKE. To begin without it, move {folder.warehouse} away.",
        )


@step("parse project")
def parse_project(folder: DataFolder) -> Dbt:
    """Read contracts, models and tests from dbt's manifest."""
    return Dbt.parse(folder)


def load_tables(sources: Connections, contracts: Mapping[TableName, Contract], run_id: str) -> list[LoadResult]:
    """Load every table that the set names, several at a time; raises the first failure once all have ended."""
    wanted = tables_of(sources, contracts)
    for connection in sources:
        connection.require_environment()
    lake = sources.folder.lake
    futures = [
        load.submit(str(name), partial(load_table, connection, contracts[name], lake, run_id=run_id))
        for name, connection in wanted
    ]
    wait(futures)
    emit_rows_accepted(sources.folder, (future.result() for future in futures if future.state.is_completed()))
    failures = [future.state.result(raise_on_failure=False) for future in futures if not future.state.is_completed()]
    for failure in failures[1:]:
        logger.error("%s", scrub(str(failure)))
    if failures:
        raise failures[0] if isinstance(failures[0], BaseException) else RuntimeError(str(failures[0]))
    return [future.result() for future in futures]


def derive_tables(sources: Connections, contracts: Mapping[TableName, Contract], run_id: str) -> list[LoadResult]:
    """Make what is new in the tables that are made of others, once those are loaded."""
    lake = sources.folder.lake
    return [
        load(str(contract.name), partial(derive_table, contract, contracts, lake, run_id=run_id))
        for contract in derived_tables(contracts)
        if contract.derivation and raw_path(lake, contract.derivation.of).exists()
    ]


def tables_of(sources: Connections, contracts: Mapping[TableName, Contract]) -> list[tuple[TableName, Connection]]:
    """Return the contract tables to load: those that a source's connection names, or all of the source's.

    Raises UsageError for a source or table without a contract.
    """
    wanted = []
    for connection in sources:
        declared = {
            name.table: name
            for name, contract in contracts.items()
            if name.source == connection.source and contract.derivation is None
        }
        named = list(connection.tables) or list(declared)
        for table in named:
            if table not in declared:
                known = ", ".join(str(name) for name, contract in contracts.items() if contract.derivation is None)
                raise UsageError(
                    f"connections.yml: {sources.name}.{connection.source}.{table} has no contract; there are {known}.",
                    f"Declare it in models/staging/{connection.source}/_{connection.source}__sources.yml.",
                )
            wanted.append((declared[table], connection))
        if not named:
            raise UsageError(
                f"connections.yml: {sources.name}.{connection.source} is no declared source.",
                f"Declare it in models/staging/{connection.source}/_{connection.source}__sources.yml.",
            )
    return wanted


def is_transient(_task: object, _run: TaskRun, state: State[Any]) -> bool:
    """Tell whether a failed load is worth another try: only the outside heals by itself."""
    failure = state.result(raise_on_failure=False)
    return isinstance(failure, SourceFailed) and failure.is_transient


@task(
    name="load",
    task_run_name="load {table}",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=[2, 10],
    retry_condition_fn=is_transient,
)
def load(table: str, call: Callable[[], LoadResult]) -> LoadResult:
    """Extract a table, check it against its contract and commit what is new to the lake."""
    result = call()
    total = result.total
    logger.info(
        "%s: %s read = %s accepted + %s quarantined + %s duplicate",
        table,
        *(f"{count:,}" for count in (total.read, total.accepted, total.quarantined, total.duplicate)),
    )
    return result


def check_key(dbt: Dbt, sources: Connections, contracts: Mapping[TableName, Contract]) -> tuple[str, ...]:
    """Require a key for pseudonyms if the set has ids that become some; return a note if the key is made up."""
    wanted = {name for name, _ in tables_of(sources, contracts)}
    notes = require_pseudonym_key(dbt.folder, dbt.manifest, wanted)
    for note in notes:
        logger.warning(note)
    return notes


@step("check reconciliation")
def check_reconciliation(folder: DataFolder, loads: list[LoadResult]) -> None:
    """Recount what was read, accepted, quarantined and duplicate."""
    require_reconciliation(folder.lake, {load.table: (load.load_id, load.counts) for load in loads})


@step("pin catalog")
def pin_versions(folder: DataFolder, contracts: Mapping[TableName, Contract]) -> dict[TableName, Pin]:
    """Point the catalog's views at the newest version of each table."""
    return pin_catalog(folder.catalog, folder.lake, contracts)


@step("prepare candidate")
def start_candidate(dbt: Dbt, *, anew: bool) -> None:
    """Copy the last release; if there is none, or all is built anew, put back the snapshots that the lake keeps."""
    if anew and dbt.folder.warehouse.exists():
        save_snapshots(dbt)
    prepare_candidate(dbt.folder, anew=anew)
    if dropped := drop_orphaned_relations(dbt):
        logger.info("no model makes %s any more: dropped", ", ".join(dropped))
    if anew or not dbt.folder.warehouse.exists():
        restored = restore_snapshots(dbt.folder.lake, dbt.folder.candidate, snapshots_of(dbt))
        if restored:
            logger.info("snapshots were restored from the lake: %s", ", ".join(restored))


def save_snapshots(dbt: Dbt) -> None:
    """Write the last release's snapshots to the lake, should the run that published it have died before it did so."""
    try:
        keep_snapshots(dbt.folder.lake, dbt.folder.warehouse.resolve(), snapshots_of(dbt))
    except duckdb.Error as error:
        logger.warning("the last release cannot be read, the lake's snapshots stand: %s", without_values(error))


@step("check freshness")
def check_freshness(dbt: Dbt, pins: Mapping[TableName, Pin]) -> tuple[str, ...]:
    """Compare the age of the loaded sources with what their contracts promise."""
    return require_freshness(dbt, [name for name, pin in pins.items() if pin.version is not None])


@step("build")
def build_models(dbt: Dbt, full_refresh: bool, select: str | None) -> Build:
    """Build and test the candidate; each model is a task run of its own, its tests with it."""
    with shown_models(dbt.manifest) as show:
        return build_candidate(dbt, full_refresh=full_refresh, select=select, on_event=[show])


@step("check gates")
def check_gates(dbt: Dbt, build: Build) -> Verdict:
    """Let nothing on while a test fails."""
    verdict = require_gates(dbt, build)
    require_no_unkeyed_hashes(
        dbt.manifest, [result.node for result in build.results if result.node.resource_type == "model"]
    )
    return verdict


@step("publish")
def publish(dbt: Dbt, build: Build, pins: Mapping[TableName, Pin]) -> Release:
    """Flip the readers to the candidate, and keep the newest releases."""
    release = publish_candidate(dbt.folder, build, {name: pin.version for name, pin in pins.items()})
    logger.info("release %s is published", release.name)
    emit_release_published(dbt.folder, release)
    if gone := prune_releases(dbt.folder):
        logger.info("older releases were deleted: %s", ", ".join(gone))
    return release


@step("keep snapshots")
def keep_history(dbt: Dbt, release: Release) -> None:
    """Write what the release's snapshots hold to the lake, from which a lost warehouse gets them back."""
    keep_snapshots(dbt.folder.lake, release.path, snapshots_of(dbt))


@step("write docs")
def generate_docs(dbt: Dbt, build: Build) -> None:
    """Generate the docs site of the published release, if its code is not that of the site which stands."""
    write_docs(dbt, build.code)


@step("compact_and_vacuum lake")
def compact_and_vacuum(folder: DataFolder) -> None:
    """Compact what many small commits left, and delete what no release, catalog or run can still name."""
    try:
        named = named_versions(folder)
    except duckdb.Error as error:
        logger.warning("the lake was not compacted, a release cannot be read: %s", type(error).__name__)
        return
    for name, pin in read_pins(folder.catalog).items():
        if pin.version is not None:
            named.setdefault(name, set()).add(pin.version)
    housekeeping = compact_and_vacuum_lake(folder.lake, named)
    if housekeeping.compacted or housekeeping.deleted:
        logger.info(
            "the lake is housekeeping: %s files compacted, %s deleted", housekeeping.compacted, housekeeping.deleted
        )


def example_of(dbt: Dbt, database: Path) -> str:
    """Return a query that shows some rows of what was built: of the first mart that has any."""
    marts = sorted(
        (node.alias, node.schema)
        for node in dbt.manifest.nodes.values()
        if node.resource_type == "model" and node.fqn[1] == "marts" and node.config.materialized == "table"
    )
    with duckdb.connect(str(database), read_only=True) as built:
        for name, schema in marts:
            with suppress(duckdb.Error):  # it was not in the selection
                if built.execute(f"from {identifier(schema)}.{identifier(name)} limit 1").fetchall():
                    return f"from {name} limit 5"
    return "from release"


def snapshots_of(dbt: Dbt) -> list[tuple[str, str]]:
    """Return schema and name of every snapshot, and of the models that cannot be computed again either."""
    return [
        (node.schema, node.alias)
        for node in dbt.manifest.nodes.values()
        if node.resource_type == "snapshot" or (node.resource_type == "model" and node.config.meta.get("kept"))
    ]


class RecordedRun:
    """Records a run in the lake when it ends, failed or not."""

    def __init__(self, folder: DataFolder) -> None:
        self.folder, self.run_id = folder, str(flow_run.id or uuid4())
        self.release: str | None = None

    def __enter__(self) -> "RecordedRun":
        self.started_at = utc_now()
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        text = None
        if error is not None:
            text = scrub(str(error)) if isinstance(error, WarehouseError) else type(error).__name__
        with recording(text):
            record_run(
                self.folder.lake,
                run_id=self.run_id,
                started_at=self.started_at,
                ended_at=utc_now(),
                release=self.release,
                error=text,
            )


@atexit.register
def end_quietly() -> None:
    """Close the standard error at the very end, where DuckDB's bindings list what Prefect's threads still hold.

    The command line leaves before that; the process of a scheduled run is Prefect's own.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
