"""The flow that scores: champions over the last release, predictions and drift into the lake, and what drift starts."""

import logging
import time
from collections.abc import Sequence

import pyarrow as pa
from prefect import flow
from prefect.runtime import flow_run

from flows.config.connections import Connection, Connections, TableOptions, read_connections
from flows.config.contract import Contract, contracts_of
from flows.config.parameters import ConnectionsFile, Models, SetName
from flows.config.settings import PROJECT, DataFolder, command
from flows.core.clock import utc_now
from flows.core.errors import Finding, GateFailed, UsageError, WarehouseError
from flows.core.names import TableName
from flows.core.redaction import scrub
from flows.core.storage import storage_faults_named
from flows.core.unforeseen import exceptions_named
from flows.ingest.load import LoadResult, load_table
from flows.learning.drift import DriftMeasure
from flows.learning.exposures import MlExposure, require_exposures
from flows.learning.project import DbtProject
from flows.learning.promotion import TrainOutcome
from flows.learning.registry import Registry
from flows.learning.report import ScoreOutcome, ScoreReport
from flows.learning.scoring import DRIFT, PREDICTIONS, RowsOfLearning, Scored, is_scored, score_release
from flows.orchestration.artifacts import failure_listed
from flows.orchestration.failures import failure_shown
from flows.orchestration.incidents import job_watched, settle_drift
from flows.orchestration.steps import flow_lock, step
from flows.train import parse_exposures, rewrite_model_cards, show_report, train_models
from flows.warehouse.releases import held_tables, newest_release

logger = logging.getLogger(__name__)


@flow(name="score", flow_run_name="score {connection_set}", log_prints=False)
@failure_shown
def score(
    connection_set: SetName = None, connections: ConnectionsFile = "connections.yml", names: Models = ()
) -> ScoreReport:
    """Score the published release by the champion of each model, all or those named.

    A release whose gates failed was never published, so it is never scored. Drift beyond a limit is reported; the
    exposure decides whether it also stops the scoring or starts a training. Raises GateFailed for a model that drift
    has stopped, once the others are scored.
    """
    started = time.monotonic()
    sources = read_connections(PROJECT / connections, connection_set)
    folder = sources.folder
    watched = job_watched(folder, "scoring", sources.options, is_whole=not names)
    with storage_faults_named(), flow_lock(folder), watched, failure_listed(folder):
        release = newest_release(folder)
        project = parse_exposures(sources)
        exposures = require_exposures(project, tuple(names), folder.path)
        report = score_models(sources, project, exposures, release, str(flow_run.id or "score"))
        if report.trained:
            rewrite_model_cards(sources)
    report = ScoreReport(folder, release, report.outcomes, report.trained, time.monotonic() - started)
    show_report("scoring", report)
    notify_of_drift(report)
    with failure_listed(folder):
        require_no_stop(report)
    return report


def score_models(
    sources: Connections, project: DbtProject, exposures: Sequence[MlExposure], release: str, run_id: str
) -> ScoreReport:
    """Score one model after the other, and write predictions and drift; raises the first error once all were tried."""
    folder, registry = sources.folder, Registry(sources.folder)
    outcomes: list[ScoreOutcome] = []
    trained: list[TrainOutcome] = []
    predictions: list[pa.Table] = []
    measures: list[pa.Table] = []
    failures: list[WarehouseError] = []
    for exposure in exposures:
        try:
            with exceptions_named(exposure.name):
                found = score_model(folder, exposure, registry)
            if isinstance(found, ScoreOutcome):
                outcomes.append(found)
                continue
            outcome, scored, again = act_on_drift(folder, project, exposure, registry, found, measures)
            trained += again
            outcomes.append(outcome)
            if scored is not None:
                predictions.append(scored.predictions(utc_now()))
        except WarehouseError as error:
            logger.error("%s was not scored: %s", exposure.name, scrub(str(error)).partition("\n")[0])
            failures.append(error)
    if newest_release(folder) != release:
        raise UsageError(f"Release {release} is not the newest any more. Nothing was written.", "Run again.")
    write_rows(folder, project, {PREDICTIONS: predictions, DRIFT: measures}, run_id)
    if failures:
        raise failures[0]
    return ScoreReport(folder, release, tuple(outcomes), tuple(trained))


def score_model(folder: DataFolder, exposure: MlExposure, registry: Registry) -> Scored | ScoreOutcome:
    """Score the rows of a model as a task of its own; an outcome says why there is nothing to score."""
    champion = registry.champion(exposure.name)
    if champion is None:
        return ScoreOutcome(
            exposure.name, "no champion", notes=(f"no model is registered; train it: {command()} train",)
        )
    if exposure.score is None:
        return ScoreOutcome(exposure.name, "not scored", champion.version, notes=("it names no model score_…",))
    if earlier := held_tables(folder.warehouse).get(exposure.score):
        note = f"{exposure.score} is held back, as release {earlier} had it: {command()} status"
        return ScoreOutcome(exposure.name, "held back", champion.version, notes=(note,))
    if is_scored(folder, exposure, champion, newest_release(folder)):
        return ScoreOutcome(
            exposure.name, "unchanged", champion.version, notes=("this release is scored by this version already",)
        )
    return step(f"score {exposure.name}")(score_release)(folder, exposure, champion)


def act_on_drift(
    folder: DataFolder,
    project: DbtProject,
    exposure: MlExposure,
    registry: Registry,
    scored: Scored,
    measures: list[pa.Table],
) -> tuple[ScoreOutcome, Scored | None, list[TrainOutcome]]:
    """Add the measures of drift, and do what the exposure declares if one is beyond its limit."""
    measures.append(scored.measures(utc_now()))
    version, drifted = scored.model.version, scored.drifted
    for measure in drifted:
        logger.warning("%s has drifted, %s", exposure.name, measure)
    action = exposure.declared.on_drift
    if drifted and action == "stop":
        return ScoreOutcome(exposure.name, "stopped", version, 0, drifted), None, []
    if drifted and action == "retrain":
        outcomes = train_models(folder, project, [exposure], again=False, are_named=True)
        trained = [outcome for outcome in outcomes if outcome.verdict != "unchanged"]
        champion = registry.champion(exposure.name)
        if champion is not None and champion.version != version:
            scored = score_release(folder, exposure, champion)
            measures.append(scored.measures(utc_now()))
        return _scored(scored, drifted, "trained again" if trained else "drifted"), scored, trained
    return _scored(scored, drifted, "drifted" if drifted else "scored"), scored, []


def _scored(scored: Scored, drifted: tuple[DriftMeasure, ...], verdict: str) -> ScoreOutcome:
    return ScoreOutcome(scored.exposure.name, verdict, scored.model.version, len(scored.frame), drifted)


@step("write predictions")
def write_rows(
    folder: DataFolder, project: DbtProject, tables: dict[TableName, list[pa.Table]], run_id: str
) -> list[LoadResult]:
    """Load predictions and measures of drift into the lake, by their contracts, like the rows of any source."""
    contracts = contracts_of(project.sources.values())
    return [
        load_table(_connection(folder, contracts[name]), contracts[name], folder.lake, run_id=run_id,
                   connector=RowsOfLearning(rows))
        for name, rows in tables.items()
        if rows
    ]  # fmt: skip


def _connection(folder: DataFolder, contract: Contract) -> Connection:
    name = contract.name
    return Connection(source=name.source, url="lake:", data=folder.lake, tables={name.table: TableOptions()})


def notify_of_drift(report: ScoreReport) -> None:
    """Notify the owners of models that have drifted, and of those that do not any more."""
    drifted = {
        one.name: ("; ".join(map(str, one.drifted)), one.verdict == "stopped") for one in report.outcomes if one.drifted
    }
    settle_drift(report.folder, drifted, [one.name for one in report.outcomes if one.rows or one.drifted])


def require_no_stop(report: ScoreReport) -> None:
    """Raise GateFailed for models whose scoring was stopped by drift; their earlier predictions stay."""
    stopped = [one for one in report.outcomes if one.verdict == "stopped"]
    findings = tuple(Finding(one.name, str(measure)) for one in stopped for measure in one.drifted)
    if findings:
        raise GateFailed(
            "drift",
            findings,
            "No predictions of these models were written; earlier ones stay. Look at the sources, then train again: "
            f"{command()} train {findings[0].where} --again",
        )
