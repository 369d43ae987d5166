"""The flow that trains models: training sets of the last release, fits, comparisons, registry."""

import logging
import time
from collections.abc import Sequence
from functools import partial
from uuid import UUID, uuid4

from prefect import flow
from prefect.runtime import flow_run

from flows.config.connections import Connections, read_connections
from flows.config.parameters import Again, ConnectionsFile, Models, SetName
from flows.config.settings import PROJECT, DataFolder, lineage_place
from flows.core.clock import utc_now
from flows.core.errors import NotInstalled, TooFewRows, WarehouseError
from flows.core.redaction import scrub
from flows.core.storage import storage_faults_named
from flows.learning.exposures import MlExposure, require_exposures
from flows.learning.project import DbtProject
from flows.learning.promotion import TrainOutcome, train_and_register
from flows.learning.registry import Registry
from flows.learning.report import ScoreReport, TrainReport
from flows.orchestration.artifacts import failure_listed, show_rows
from flows.orchestration.failures import failure_shown
from flows.orchestration.incidents import job_watched
from flows.orchestration.open_lineage import Lineage, send_lineage
from flows.orchestration.steps import flow_lock, step
from flows.publish import generate_docs
from flows.warehouse.dbt import Dbt
from flows.warehouse.project_map import ProjectMap
from flows.warehouse.releases import newest_release

logger = logging.getLogger(__name__)


@flow(name="train", flow_run_name="train {connection_set}", log_prints=False)
@failure_shown
def train(
    connection_set: SetName = None,
    connections: ConnectionsFile = "connections.yml",
    names: Models = (),
    again: Again = False,
) -> TrainReport:
    """Train the models that exposures declare, all or those named, on the published release.

    Raises UsageError for a wrong declaration: nothing is trained. One model that fails does not keep the others from
    being trained; its error is raised in the end.
    """
    started = time.monotonic()
    sources = read_connections(PROJECT / connections, connection_set)
    folder = sources.folder
    watched = job_watched(folder, "training", sources.options, is_whole=not names)
    with storage_faults_named(), flow_lock(folder), watched, failure_listed(folder):
        release = newest_release(folder)
        project = parse_exposures(sources)
        exposures = require_exposures(project, tuple(names), folder.path)
        try:
            outcomes = train_models(folder, project, exposures, again=again, are_named=bool(names))
        except WarehouseError:  # of one model; the others are trained
            rewrite_model_cards(sources)
            raise
        rewrite_model_cards(sources)
    show_training(folder, exposures, outcomes)
    report = TrainReport(folder, release, tuple(outcomes), time.monotonic() - started)
    show_report("training", report)
    return report


@step("parse exposures")
def parse_exposures(sources: Connections) -> DbtProject:
    """Parse the project, and read exposures, label models and the classes of columns of its manifest."""
    Dbt.parse(sources.folder, sources.variables)
    return DbtProject.read(sources.folder)


def rewrite_model_cards(sources: Connections) -> None:
    """Write the docs site again: its model cards are those of the models just trained."""
    generate_docs(Dbt.parse(sources.folder, sources.variables), sources)


def train_models(
    folder: DataFolder, project: DbtProject, exposures: Sequence[MlExposure], *, again: bool, are_named: bool
) -> list[TrainOutcome]:
    """Train one model after the other, each with all cores; raises the first error once all were tried.

    A model that has too few rows is left out, since not every set has the data of every model. So is one whose packages
    are not installed. One that was asked for by name is an error.
    """
    registry, outcomes = Registry(folder), []
    failures: list[WarehouseError] = []
    for exposure in exposures:
        try:
            outcomes.append(_train(folder, project, exposure, registry, again=again))
        except (TooFewRows, NotInstalled) as error:
            logger.warning("%s is left out: %s", exposure.name, scrub(str(error)))
            failures += [error] if are_named else []
        except WarehouseError as error:
            logger.error("%s was not trained: %s", exposure.name, scrub(str(error)).partition("\n")[0])
            failures.append(error)
    if failures:
        raise failures[0]
    return outcomes


def _train(
    folder: DataFolder, project: DbtProject, exposure: MlExposure, registry: Registry, *, again: bool
) -> TrainOutcome:
    """Train a model as a task of its own."""
    run = step(f"train {exposure.name}")(partial(train_and_register, folder, project, exposure, registry, again=again))
    outcome = run()
    logger.info("%s: %s", outcome.name, outcome.verdict)
    return outcome


def show_training(folder: DataFolder, exposures: Sequence[MlExposure], outcomes: Sequence[TrainOutcome]) -> None:
    """Send the trainings as events of lineage, should a place for them be named."""
    if lineage_place() is None:
        return
    tables = {exposure.name: exposure.train for exposure in exposures}
    lineage = Lineage(folder, UUID(str(flow_run.id or uuid4())), utc_now(), ProjectMap.read(folder))
    trained = [one for one in outcomes if one.verdict != "unchanged"]
    events = [lineage.of_training(one.name, tables[one.name], one.version is not None, "train") for one in trained]
    send_lineage([*lineage.of_run("train", None), *events])


def show_report(kind: str, report: TrainReport | ScoreReport) -> None:
    """Show the row of each model in Prefect, below the headline and the reasons."""
    listed = "\n".join(f"- {reason}" for reason in report.reasons)
    rows = [one.row for one in report.outcomes]
    show_rows(f"{kind}-{report.folder.path.name}", rows, f"**{report.headline}**\n\n{listed}")
