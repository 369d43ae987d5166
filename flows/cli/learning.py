"""The commands of models: train, score, and rebuild a training set."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.arguments import DEFAULT_CONNECTIONS, ConnectionSet, ConnectionsFile, published_folder, say
from flows.config.settings import command, shown_path
from flows.core.errors import UsageError

if TYPE_CHECKING:  # scikit-learn and Prefect take seconds to import
    from flows.learning.report import ScoreReport, TrainReport
    from flows.learning.training_sets import TrainingSet

Models = Annotated[list[str] | None, typer.Argument(help="Exposures of type ml; default: all.", metavar="[NAME …]")]


def train(
    names: Models = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
    again: Annotated[bool, typer.Option("--again", help="Train even if nothing is new since the last run.")] = False,
) -> None:
    """Train models on the published release; a model is registered only if it beats its baselines."""
    published_folder(connection_set, connections)
    from flows.orchestration.server import prefect_server, prepare_prefect, wait_for_server

    place = connections.resolve()
    prepare_prefect()
    with prefect_server() as url:
        from flows.train import train as run

        wait_for_server(url)
        report = run(connection_set, str(place), names or [], again)
    say(summarise_training(report))


def score(
    names: Models = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Score the published release by the champions; predictions and measures of drift go into the lake."""
    published_folder(connection_set, connections)
    from flows.orchestration.server import prefect_server, prepare_prefect, wait_for_server

    place = connections.resolve()
    prepare_prefect()
    with prefect_server() as url:
        from flows.score import score as run

        wait_for_server(url)
        report = run(connection_set, str(place), names or [])
    say(summarise_scoring(report))


def training_set(
    name: Annotated[str, typer.Argument(help="Exposure of type ml, such as customer_churn.")],
    release: Annotated[str | None, typer.Option("--release", help="Release; default: the published one.")] = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the rows to this .parquet file.")] = None,
) -> None:
    """Rebuild the training set of a release bit for bit, and verify it against the hash of its commit."""
    if output is not None and (output.suffix != ".parquet" or not output.parent.is_dir()):
        raise UsageError(f"{output} is no .parquet file in a folder that exists.", "Name one: -o churn.parquet")
    folder = published_folder(connection_set, connections)
    from flows.learning.exposures import read_exposures
    from flows.learning.project import DbtProject
    from flows.learning.training_sets import rebuild_training_set
    from flows.warehouse.releases import newest_release

    project = DbtProject.read(folder)
    (exposure,) = read_exposures(project, [name])
    rebuilt, origin = rebuild_training_set(folder, project, exposure, release or newest_release(folder))
    if output is not None:
        import pyarrow.parquet as pq

        part = output.with_name(f".{output.name}.{os.getpid()}.part")
        pq.write_table(rebuilt.to_arrow(), part)
        os.replace(part, output)
    say(summarise_training_set(rebuilt, origin, output))


def summarise_training(report: "TrainReport") -> str:
    """Return one row a model, then the reasons, and the next command."""
    return _summarise(report, f"  next:   {command()} score", "  look:   make ui")


def summarise_scoring(report: "ScoreReport") -> str:
    """Return one row a model, then drift and notes, and the next command."""
    return _summarise(report, f"  next:   {report.next_command}")


def _summarise(report: "TrainReport | ScoreReport", *last: str) -> str:
    from flows.cli.report import draw_table

    rows = [one.row for one in report.outcomes]
    columns = list(rows[0]) if rows else []
    lines = draw_table(columns, [tuple(row.values()) for row in rows])
    lines += ["", f"  {report.headline}", *(f"    {reason}" for reason in report.reasons)]
    return "\n".join([*lines, "", *last])


def summarise_training_set(found: "TrainingSet", origin: str, output: Path | None) -> str:
    """Return what a training set was made of, and its hash."""
    record = found.record
    immature = "" if record.immature_rows is None else f", {record.immature_rows:,} immature rows left out"
    lines = [
        f"  {found.name} of release {record.release}, from {origin}",
        f"  {record.rows:,} rows{immature}; label {record.label}, {len(record.features)} features",
        f"  definition  {record.definition}",
        f"  spine       {record.spine}",
        f"  content     {record.content}, verified",
    ]
    return "\n".join([*lines, *([f"  its rows are in {shown_path(output.resolve())}"] if output else [])])
