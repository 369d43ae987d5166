"""Clones: an experiment's own database over a release. Its writes are its own, and no byte of the release is copied.

Where the file system shares blocks until they are written, a clone is a copy of the release's file. Elsewhere each of
its tables is a view of the release, which is attached for reading under its name, such as "2026-03-02.1".
"""

import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from flows.config.settings import DataFolder, command, shown_path
from flows.core.errors import UsageError
from flows.core.files import share_blocks
from flows.core.names import did_you_mean, identifier, literal
from flows.warehouse.annotate import drop_main_views, functions_in, tables_in
from flows.warehouse.descriptions import BOOKKEEPING
from flows.warehouse.dev import TRIGGERS_FROM
from flows.warehouse.releases import LINK, kept_releases, release_file

NAME = re.compile(r"[a-z][a-z0-9_]*")

OF_COMMANDS = ("last_backfill", "last_preview")
"""Clones that commands make of what they have tried, each in place of the one before."""

IsChosen = Callable[[str, str], bool]
"""Tells by schema and name whether a table or function is to be in a clone."""


@dataclass(frozen=True)
class Clone:
    """A clone of a release, with so many tables: a copy that shares blocks, or views of the release."""

    name: str
    file: Path
    release: str
    tables: int
    is_copy: bool


def clone_file(folder: DataFolder, name: str) -> Path:
    """Return the file of a clone, whether or not there is one."""
    return folder.clones / name / folder.warehouse.name


def clone_names(folder: DataFolder) -> list[str]:
    """Return the names of a set's clones."""
    found = (path.parent.name for path in folder.clones.glob(f"*/{folder.warehouse.name}"))
    return sorted(name for name in found if NAME.fullmatch(name))


def drop_unfinished(folder: DataFolder) -> None:
    """Delete what killed processes have left of clones; one that is just being made stays."""
    for begun in folder.clones.glob("*.*.new"):
        try:
            os.kill(int(begun.name.split(".")[1]), 0)
        except (ProcessLookupError, ValueError):
            shutil.rmtree(begun, ignore_errors=True)
        except PermissionError:  # somebody else's
            continue


def database_of(folder: DataFolder, name: str) -> Path:
    """Return the file of a release or of a clone; raises UsageError if there is neither."""
    clones = clone_names(folder)
    if name in clones:
        return clone_file(folder, name)
    if name in (known := kept_releases(folder)):
        return release_file(folder, name)
    raise UsageError(
        f"There is no release and no clone {name}.{did_you_mean(name, [*known, *clones])}",
        f"There are {', '.join([*known, *clones]) or 'none yet'}.",
    )


def clone_release(folder: DataFolder, name: str, release: str, is_chosen: IsChosen | None = None) -> Clone:
    """Make a clone of a release, of all its tables and functions or of the chosen ones.

    Raises UsageError for a name that is taken or cannot be one, and if nothing is chosen.
    """
    file = clone_file(folder, name)
    if not NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for a clone.", "Use lower-case letters, digits and _: my_experiment")
    if name in OF_COMMANDS:
        raise UsageError(f"{name} is the name that a command gives to what it has tried.", "Take another name.")
    if file.parent.exists():
        raise UsageError(
            f"There is a clone {name} already. Nothing was done.",
            f"Delete it: rm -r {shown_path(file.parent)}; or take another name.",
        )
    drop_unfinished(folder)
    begun = folder.clones / f"{name}.{os.getpid()}.new"
    begun.mkdir(parents=True)
    try:
        source = release_file(folder, release)
        (begun / LINK).symlink_to(os.path.relpath(source.parent, begun))  # from now on the release is kept
        is_copy = share_blocks(source, begun / file.name)
        make = _narrow_copy if is_copy else _make_views
        tables = make(begun / file.name, source, release, is_chosen or (lambda _schema, _name: True))
        if not tables:
            raise UsageError("The selection has no table of the release.", f"See: {command()} tables")
        if is_copy:
            (begun / LINK).unlink()
        os.rename(begun, file.parent)
    finally:
        shutil.rmtree(begun, ignore_errors=True)
    return Clone(name, file, release, tables, is_copy)


def keep_as_clone(folder: DataFolder, candidate: Path, name: str) -> Path:
    """Keep a candidate as a clone with all rows of its own, in place of an earlier one, and return its file."""
    kept = clone_file(folder, name)
    shutil.rmtree(kept.parent, ignore_errors=True)
    kept.parent.mkdir(parents=True)
    candidate.rename(kept)
    return kept


def release_read_by(database: Path) -> str | None:
    """Return the release that a clone reads; None for a clone with all rows of its own, and for any other database."""
    link = database.parent / LINK
    return link.readlink().name if link.is_symlink() else None


def attach_release(connection: duckdb.DuckDBPyConnection, database: Path) -> None:
    """Attach the release that a clone reads, if it reads one; nothing for any other database."""
    if release_read_by(database) is None:
        return
    release = (database.parent / LINK).resolve()
    if not release.exists():
        raise UsageError(
            f"The clone {database.parent.name} reads the release {release.name}, which is gone.",
            f"Delete the clone: rm -r {shown_path(database.parent)}",
        )
    connection.execute(
        f"attach if not exists {literal(str(release / database.name))} as {identifier(release.name)} (read_only)"
    )


def _narrow_copy(copy: Path, source: Path, release: str, is_chosen: IsChosen) -> int:
    """Drop from a copy of a release what is not chosen, and all that makes it a release; return its tables."""
    with duckdb.connect(str(copy)) as clone:
        drop_main_views(clone)
        tables = tables_in(clone)
        for kind, listed in (("macro table", [*functions_in(clone)]), ("table", tables)):
            for schema, name in listed:
                if schema == "main" or not is_chosen(schema, name):
                    clone.execute(f"drop {kind} {identifier(schema)}.{identifier(name)}")
    return sum(schema != "main" and is_chosen(schema, name) for schema, name in tables)


def _make_views(clone: Path, source: Path, release: str, is_chosen: IsChosen) -> int:
    """Make a database with a view of each chosen table of a release, and its functions; return the number of views.

    Tables that say of what others were built are left out: in the clone, dbt makes and writes its own.
    """
    of = identifier(release)
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(source))} as {of} (read_only)")
        connection.execute(f"attach {literal(str(clone))} as clone (storage_version {literal(TRIGGERS_FROM)})")
        tables = connection.execute(
            "select schema_name, table_name, comment from duckdb_tables() "
            "where database_name = ? and schema_name <> 'main'",
            [release],
        ).fetchall()
        functions = connection.execute(
            "select schema_name, function_name, parameters, macro_definition from duckdb_functions() "
            "where database_name = ? and function_type = 'table_macro' and schema_name <> 'main'",
            [release],
        ).fetchall()
        tables = [row for row in tables if is_chosen(*row[:2]) and row[:2] not in BOOKKEEPING]
        functions = [row for row in functions if is_chosen(*row[:2])]
        connection.execute("use clone; begin")
        for schema in {row[0] for row in (*tables, *functions)}:
            connection.execute(f"create schema if not exists {identifier(schema)}")
        for schema, name, comment in tables:
            place = f"{identifier(schema)}.{identifier(name)}"
            connection.execute(f"create view {place} as from {of}.{place}")
            if comment:
                connection.execute(f"comment on view {place} is {literal(comment)}")
        connection.execute("commit")
        _make_functions(connection, functions)
        connection.execute("use memory; detach clone")
    return len(tables)


def is_view_of_release(sql: str, release: str, schema: str, name: str) -> bool:
    """Tell whether the SQL of a view, as DuckDB states it, is that which a clone shows a table of its release by."""
    place = f"{schema}.{name}"
    expected = f"CREATE VIEW {place} AS SELECT * FROM {release}.{place};"
    return sql.replace('"', "") == expected.replace('"', "")  # DuckDB quotes only the names that need it


def _make_functions(
    connection: duckdb.DuckDBPyConnection, functions: Sequence[tuple[str, str, list[str], str]]
) -> None:
    """Make table functions, each after those that it calls; one that reads what was not chosen is left out."""
    waiting = list(functions)
    while waiting:
        failed = []
        for schema, name, given, sql in waiting:
            place = f"{identifier(schema)}.{identifier(name)}({', '.join(map(identifier, given))})"
            try:
                connection.execute(f"create macro {place} as table {sql}")
            except duckdb.CatalogException:
                failed.append((schema, name, given, sql))
        if len(failed) == len(waiting):
            return
        waiting = failed
