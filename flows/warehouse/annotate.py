"""Comments on the tables and columns of a release, and a view in `main` for each table."""

from collections import Counter
from collections.abc import Iterable, Mapping

import duckdb

from flows.core.names import identifier, literal
from flows.warehouse.descriptions import PublishedModel

OWN = "not internal and database_name = current_database()"
INTERMEDIATE = "int_"
"""The beginning of the names of tables that are steps of others: they get no view in `main`."""

Place = tuple[str, str, str]
"""Schema, table or function, and column; the column is empty for the comment of the whole."""


def annotate(database: duckdb.DuckDBPyConnection, models: Iterable[PublishedModel]) -> None:
    """Write the comments of tables, columns and functions that are not in the file yet as they are now."""
    written = _comments(database)
    statements = []
    for model in models:
        for column, text in {"": model.description.comment, **model.columns}.items():
            place = (model.schema, model.name, column)
            if text and place in written and written[place] != text:
                statements.append(_comment_on("macro table" if model.is_function else "table", place, text))
    _execute_all(database, statements)


def create_main_views(database: duckdb.DuckDBPyConnection) -> None:
    """Make a view in `main` for every table, and a function for every function: any client finds them by name alone.

    The views do not hold the name of the database, so the file may be attached under any name. Comments are those of
    the tables. Intermediate tables have no view, and neither has a name that several schemas have.
    """
    parameters = functions_in(database)
    kinds = dict.fromkeys(tables_in(database), "view") | dict.fromkeys(parameters, "macro table")
    counts = Counter(name.lower() for _, name in kinds)
    kinds = {
        (schema, name): kind
        for (schema, name), kind in kinds.items()
        if schema != "main" and counts[name.lower()] == 1 and not name.startswith(INTERMEDIATE)
    }
    statements = []
    for (schema, name), kind in kinds.items():
        place = f"{identifier(schema)}.{identifier(name)}"
        if kind == "view":
            statements.append(f"create view main.{identifier(name)} as from {place}")
        else:
            given = ", ".join(map(identifier, parameters[schema, name]))
            statements.append(f"create macro main.{identifier(name)}({given}) as table from {place}({given})")
    for (schema, name, column), text in _comments(database).items():
        if text and (schema, name) in kinds:
            statements.append(_comment_on(kinds[schema, name], ("main", name, column), text))
    _execute_all(database, statements)


def drop_main_views(database: duckdb.DuckDBPyConnection) -> None:
    """Drop what `create_main_views` has made: a build begins with tables alone."""
    views = database.execute(f"select view_name from duckdb_views() where {OWN} and schema_name = 'main'").fetchall()
    functions = [name for schema, name in functions_in(database) if schema == "main"]
    statements = [f"drop view main.{identifier(name)}" for (name,) in views]
    _execute_all(database, statements + [f"drop macro table main.{identifier(name)}" for name in functions])


def _comment_on(kind: str, place: Place, text: str) -> str:
    named = ".".join(identifier(part) for part in place if part)
    return f"comment on {'column' if place[-1] else kind} {named} is {literal(text)}"


def _comments(database: duckdb.DuckDBPyConnection) -> dict[Place, str | None]:
    """Return the comment of each of the file's tables, columns and functions, or None."""
    rows = database.execute(
        f"select schema_name, table_name, '', comment from duckdb_tables() where {OWN} union all "
        f"select schema_name, table_name, column_name, comment from duckdb_columns() where {OWN} union all "
        f"select schema_name, function_name, '', comment from duckdb_functions() where {OWN}"
    ).fetchall()
    return {(schema, name, column): comment for schema, name, column, comment in rows}


def tables_in(database: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    """Return schema and name of each table."""
    return database.execute(
        f"select schema_name, table_name from duckdb_tables() where {OWN} and not temporary order by all"
    ).fetchall()


def functions_in(database: duckdb.DuckDBPyConnection) -> Mapping[tuple[str, str], list[str]]:
    """Return the parameters of each table function by schema and name."""
    rows = database.execute(
        "select schema_name, function_name, parameters from duckdb_functions() "
        f"where {OWN} and function_type = 'table_macro' order by all"
    ).fetchall()
    return {(schema, name): parameters for schema, name, parameters in rows}


def _execute_all(database: duckdb.DuckDBPyConnection, statements: list[str]) -> None:
    """Execute statements as one transaction, since each of its own writes to the log."""
    if statements:
        database.execute("begin")
        for statement in statements:
            database.execute(statement)
        database.execute("commit")
