"""The commands that compare releases, and that begin an experiment over one."""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.arguments import DEFAULT_CONNECTIONS, ConnectionSet, ConnectionsFile, published_folder, say
from flows.cli.report import draw_table
from flows.config.settings import CLONE_VARIABLE, DataFolder, command, shown_path
from flows.core.errors import UsageError

if TYPE_CHECKING:
    from flows.warehouse.clones import Clone
    from flows.warehouse.diff import Comparison, Difference

KEYS = 10
"""Keys of each kind of row that are shown of a single table."""

LONGEST_LIST = 60
"""Characters of a list of columns that are shown."""


def diff(
    before: Annotated[str | None, typer.Argument(help="Release; default: the one before.", metavar="BEFORE")] = None,
    after: Annotated[
        str | None, typer.Argument(help="Release or clone; default: the published one.", metavar="AFTER")
    ] = None,
    table: Annotated[
        str | None, typer.Option("--table", help="Compare this table alone, and show more keys.", metavar="NAME")
    ] = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Compare two releases: columns that are new or gone, and rows and values that changed, by table and column."""
    folder = published_folder(connection_set, connections)
    say(compare(folder, before, after, table))


def clone(
    name: Annotated[str, typer.Argument(help="Name of the experiment, such as other_segments.")],
    release: Annotated[str | None, typer.Option("--release", help="Release; default: the published one.")] = None,
    select: Annotated[
        str | None,
        typer.Option(
            "--select", help="Tables, schemas or folders of models alone, such as marts.marketing.", metavar="NAMES"
        ),
    ] = None,
    connection_set: ConnectionSet = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Make an experiment's own database over a release: nothing is copied, and its writes are its own."""
    from flows.warehouse.clones import clone_release
    from flows.warehouse.releases import newest_release, require_release

    folder = published_folder(connection_set, connections)
    started = time.monotonic()
    wanted = release or newest_release(folder)
    require_release(folder, wanted)
    made = clone_release(folder, name, wanted, None if select is None else chosen_by(folder, select))
    say(summarise_clone(folder, made, time.monotonic() - started))


def compare(folder: DataFolder, before: str | None, after: str | None, table: str | None = None) -> str:
    """Return the differences of two databases as text, or that there is one alone; raises UsageError for unknown names.

    Alone, a clone is compared with its release, and another name with the published release.
    """
    from flows.warehouse.clones import clone_names, database_of
    from flows.warehouse.diff import compare_databases, has_table
    from flows.warehouse.releases import clones_of, newest_release, previous_release

    if after is None and before in clone_names(folder):
        before, after = clones_of(folder).get(before) or newest_release(folder), before
    after = after or newest_release(folder)
    before = before or previous_release(folder, after)
    if before is None:
        return f"  {after} is the earliest release that is kept; the next one will be compared with it"
    files = database_of(folder, before), database_of(folder, after)
    if table is not None and not any(has_table(file, table) for file in files):
        raise UsageError(f"Neither {before} nor {after} has a table {table}.", f"See what there is: {command()} tables")
    found = compare_databases(*files, only=table, keys=0 if table is None else KEYS)
    lines = [f"  {before} → {after}", "", *list_differences(found, in_full=table is not None)]
    if table is None and found.differences:
        lines.append(f"  keys:   {command()} diff {before} {after} --table {found.differences[0].name}")
    return "\n".join(lines)


def list_differences(found: "Comparison", *, in_full: bool = False) -> list[str]:
    """Return the lines that show differences: one row a table; `in_full` all columns and some keys of each table."""
    shown, lines = found if in_full else found.without_steps, []
    if shown.differences:
        rows = [[*one.row.values()] for one in shown.differences]
        widths = [max(len(row[at]) for row in rows) for at in range(1, 6)]
        table = [
            [row[0], *(text.rjust(width) for text, width in zip(row[1:6], widths, strict=True)), _cut(row[6])]
            for row in rows
        ]
        columns = [*shown.differences[0].row]
        lines += draw_table([columns[0], *map(str.rjust, columns[1:6], widths), columns[6]], table)
        for one in shown.differences if in_full else ():
            lines += ["", *(f"  {text}" for text in _details(one))]
        lines.append("")
    steps = len(found.differences) - len(shown.differences)
    lines.append(f"  {found.equal:,} tables are equal" + (f", {steps} intermediate tables differ" if steps else ""))
    return lines


def chosen_by(folder: DataFolder, select: str) -> Any:
    """Return what tells whether a table is selected, by its name, schema, or the folder of its model."""
    from flows.learning.project import DbtProject

    wanted = select.split()
    places: Mapping[tuple[str, str], str] = {
        (node["schema"], node.get("alias") or node["name"]): ".".join(node["fqn"][1:])
        for node in DbtProject.read(folder).nodes.values()
    }

    def is_chosen(schema: str, name: str) -> bool:
        place = places.get((schema, name), "")
        return any(one in (name, schema, f"{schema}.{name}") or f"{place}.".startswith(f"{one}.") for one in wanted)

    return is_chosen


def summarise_clone(folder: DataFolder, made: "Clone", seconds: float) -> str:
    """Return where a clone is, how it holds the tables, and how it is read, built, compared and deleted."""
    how = (
        "shares the blocks of the release until it writes them"
        if made.is_copy
        else "has views of the release; a model that is built there becomes a table of its own"
    )
    dbt = f"{CLONE_VARIABLE}={made.name} {command().removesuffix('python -m flows')}dbt build --target clone"
    return "\n".join(
        [
            f"  clone {made.name} of {made.release}: {made.tables:,} tables, {seconds:.1f} s; it {how}",
            f"  file:     {shown_path(made.file)}",
            f'  look:     {command()} query --release {made.name} "from customer_360 limit 5"',
            f"  build:    {dbt} --select MODEL",
            f"  compare:  {command()} diff {made.name}",
            f"  delete:   rm -r {shown_path(made.file.parent)}",
        ]
    )


def _details(one: "Difference") -> list[str]:
    """Return the sentences on a table: how many values of each column changed, and keys of rows."""
    changed = sorted(one.columns.items(), key=lambda item: -item[1])
    details = [*one.shape, *(f"{name}: {count:,} values" for name, count in changed)]
    details += [f"{kind}: {key}" for kind, keys in one.keys.items() for key in keys]
    if one.changed is None and None not in one.rows and (one.added or one.removed):
        details.append("No key is declared that is unique, so a changed row counts as removed and added.")
    return details


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_LIST else f"{text[: text.rindex(', ', 0, LONGEST_LIST)]}, …"
