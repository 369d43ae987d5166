"""Tables of a release as Arrow, in the order of a key."""

from collections.abc import Sequence

import duckdb
import pyarrow as pa

from flows.config.settings import DataFolder, command
from flows.core.errors import UsageError
from flows.core.names import did_you_mean, identifier
from flows.core.redaction import without_values
from flows.core.storage import open_release_file
from flows.learning.content_hash import lake_form
from flows.warehouse.releases import release_file


def read_table(folder: DataFolder, release: str, table: str, key: Sequence[str] = ()) -> pa.Table:
    """Return a table of a release in the types of the lake, in the order of its key.

    Raises UsageError if the release does not have the table, or if the key is not unique.
    """
    with open_release_file(release_file(folder, release)) as connection:
        connection.execute("set TimeZone = 'UTC'")
        place = _place(connection, release, table)
        order = f" order by {', '.join(map(identifier, key))}" if key else ""
        try:
            rows = connection.sql(f"from {place}{order}").to_arrow_table()
            if key:
                listed = ", ".join(map(identifier, key))
                distinct = connection.execute(
                    f"select count(*) from (select distinct {listed} from {place})"
                ).fetchall()
        except duckdb.Error as error:
            raise UsageError(
                f"{table} of release {release} cannot be read: {without_values(error)}.", f"See: {command()} tables"
            ) from None
    if key and distinct[0][0] != rows.num_rows:
        raise UsageError(
            f"{table} of release {release} has {rows.num_rows:,} rows, but {distinct[0][0]:,} keys ({', '.join(key)}).",
            "Name the columns of one row under `key` of the label model or the exposure.",
        )
    return lake_form(rows)


def count_rows(folder: DataFolder, release: str, table: str, predicate: str) -> int | None:
    """Count the rows of a table of a release for which a predicate is true; None if it has no such table or column."""
    with open_release_file(release_file(folder, release)) as connection:
        try:
            place = _place(connection, release, table)
            return int(connection.execute(f"select count(*) from {place} where {predicate}").fetchall()[0][0])
        except (UsageError, duckdb.BinderException):
            return None


def read_code(folder: DataFolder, release: str, names: Sequence[str]) -> dict[str, str]:
    """Return the hash of the code that made each model of a release, as far as the release says it."""
    listed = ", ".join("?" for _ in names)
    with open_release_file(release_file(folder, release)) as connection:
        try:
            sql = f"select name, code from main.node_state where kind = 'model' and name in ({listed})"
            return dict(connection.execute(sql, list(names)).fetchall())
        except duckdb.Error:  # an earlier version of this project published it
            return {}


def _place(connection: duckdb.DuckDBPyConnection, release: str, table: str) -> str:
    rows = connection.execute(
        "select schema_name, table_name from duckdb_tables() where not internal and schema_name <> 'main'"
    ).fetchall()
    for schema, name in rows:
        if name == table:
            return f"{identifier(schema)}.{identifier(name)}"
    raise UsageError(
        f"The release {release} has no table {table}.{did_you_mean(table, [name for _, name in rows])}",
        f"Build and publish it: {command()} elt",
    )
