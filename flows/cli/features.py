"""`python -m flows features`: what is declared, an entity's values at a time, and the check of the compiled SQL."""

import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.arguments import DEFAULT_CONNECTIONS, ConnectionSet, ConnectionsFile, say_step
from flows.cli.options import given_options, keep_options
from flows.core.errors import UsageError

if TYPE_CHECKING:  # dbt takes seconds to import
    from flows.config.settings import DataFolder
    from flows.warehouse.dbt import Dbt

app = typer.Typer(invoke_without_command=True, help="List declared features, look one up at a time, or check them.")


@app.callback()
def list_declared(
    context: typer.Context,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """List the declared features: entity, windows, source, owner, newest event, and the models that use them."""
    if context.invoked_subcommand is None:
        dbt = _parse(connection_set, connections)
        _say(list_features(dbt, dbt.folder))


@app.command("get")
def get_values(
    entity: Annotated[str, typer.Argument(help="Entity, such as customer, or a group of features.")],
    key: Annotated[str, typer.Argument(help="Its key; parts are joined with commas.")],
    at: Annotated[str | None, typer.Option("--at", help="Time in UTC; default: now.", metavar="TIME")] = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Show the features of an entity at a time, and from which events each came."""
    moment = read_moment(at)
    dbt = _parse(connection_set, connections)
    _say(show_values(dbt, dbt.folder, entity, key.split(","), moment))


@app.command("check")
def check_declared(
    values: Annotated[int, typer.Option(help="Values to compare, at least.", min=1)] = 20_000,
    seed: Annotated[int, typer.Option(help="Seed of the made-up events.")] = 0,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Compare the SQL of all declared features with their definition, on made-up events; no data is read."""
    dbt = _parse(connection_set, connections)
    say_step("making up events and comparing")
    _say(check_features(dbt, values, seed))


def list_features(dbt: "Dbt", folder: "DataFolder") -> str:
    """Return a line for each declared value; the newest event is that of the release, if there is one."""
    from flows.cli.report import draw_table
    from flows.config.declared_features import features_of

    groups = features_of(dbt.manifest)
    newest = dict(_newest(folder, groups))
    columns_of = {node.name: {*node.columns} for node in dbt.manifest.nodes.values() if node.resource_type == "model"}
    rows = []
    for group in groups:
        for value in dict.fromkeys(one.value for one in group.features):
            features = [one for one in group.features if one.value == value]
            names = {one.name for one in features}
            users = [name for name, columns in columns_of.items() if name != group.model and columns & names]
            windows = " ".join(one.window for one in features)
            own = (f"{group.name}__{value}", ", ".join(group.entity), windows or "-", group.model, group.owner)
            rows.append((*own, newest.get(group.model, "-"), ", ".join(users) or "-"))
    if not rows:
        return "No features are declared. CONTRIBUTING.md says how: declare a feature."
    columns = ("feature", "entity", "windows", "source", "owner", "newest", "used by")
    lines = draw_table(columns, rows)
    return "\n".join([*lines, "", f"  {sum(len(group.features) for group in groups)} features; one for each window"])


def show_values(dbt: "Dbt", folder: "DataFolder", entity: str, key: Sequence[str], at: datetime) -> str:
    """Return a line for each feature of an entity: its value, and the ids of the newest events that it counts."""
    from flows.cli.query import errors_told, open_release
    from flows.cli.report import draw_table
    from flows.config.declared_features import features_of, models_of
    from flows.learning.feature_values import LISTED, find_groups, values_at

    groups = find_groups(features_of(dbt.manifest), entity)
    models = models_of(dbt.manifest)
    rows = []
    with open_release(folder) as connection, errors_told(folder):
        for group in groups:
            for one in values_at(connection, group, models, key, at):
                newest = ", ".join(one.events[-LISTED:])
                counted = f"{len(one.events):,} events: {newest}" if one.events else "-"
                rows.append((one.feature, "null" if one.value is None else str(one.value), group.model, counted))
    lines = draw_table(("feature", "value", "source", "from, the newest last"), rows)
    return "\n".join([f"  {entity} {','.join(key)} at {at:%Y-%m-%d %H:%M:%S} UTC", "", *lines])


def check_features(dbt: "Dbt", values: int, seed: int) -> str:
    """Return how many values were compared; raises GateFailed for the first that differ."""
    from flows.config.declared_features import features_of, models_of, unique_columns
    from flows.learning import feature_check

    started = time.monotonic()
    groups = features_of(dbt.manifest)
    if not groups:
        return "No features are declared, so there is nothing to check."
    compiled = feature_check.compile_groups(
        groups, models_of(dbt.manifest), unique_columns(dbt.manifest), lambda inline: _compile(dbt, inline)
    )
    counted = feature_check.check_features(compiled, values, seed)
    seconds = time.monotonic() - started
    number = sum(len(group.features) for group in groups)
    return f"  {number} features: {counted:,} values compared, none differs from its definition, {seconds:.1f} s"


def read_moment(text: str | None) -> datetime:
    """Return a time in UTC; raises UsageError for a text that is not a time."""
    from datetime import UTC

    if text is None:
        return datetime.now(UTC).replace(tzinfo=None)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--at {text!r} is not a time.", "Write it as 2026-01-01 or 2026-01-01T12:00:00.") from None
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _compile(dbt: "Dbt", inline: str) -> str:
    """Compile a query by dbt, with a database of its own: it reads no table."""
    import duckdb

    from flows.config.settings import DataFolder
    from flows.warehouse.dbt import Dbt

    with TemporaryDirectory() as place:
        folder = DataFolder(Path(place) / "check")
        folder.candidate.parent.mkdir(parents=True)
        duckdb.connect(str(folder.catalog)).close()
        (compiled,) = Dbt(folder, dbt.manifest, dbt.variables).run("compile", "--inline", inline)
        return str(compiled.node.compiled_code)


def _newest(folder: "DataFolder", groups: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Yield for each model of features the time of its newest row in the release."""
    import duckdb

    from flows.cli.query import open_release
    from flows.core.names import identifier

    if not folder.warehouse.exists():
        return
    with open_release(folder) as connection:
        for model, column in {one.model: _time_column(one.declared) for one in groups}.items():
            try:
                found = f"select max({column}) from {identifier(model)} where isfinite({column})"
                ((newest,),) = connection.execute(found).fetchall()
            except duckdb.CatalogException:  # declared after the release
                continue
            if newest is not None:
                yield model, f"{newest:%Y-%m-%d %H:%M}"


def _time_column(declared: Any) -> str:
    from flows.config.features import StateGroup
    from flows.core.names import identifier

    return identifier(declared.valid_from if isinstance(declared, StateGroup) else declared.event_time)


def _parse(connection_set: str | None, connections: Path) -> "Dbt":
    from flows.config.connections import read_connections
    from flows.warehouse.dbt import Dbt

    sources = read_connections(connections.resolve(), connection_set)
    return Dbt.parse(sources.folder, sources.variables)


def _say(text: str) -> None:
    typer.echo(keep_options(text, given_options(sys.argv)))
