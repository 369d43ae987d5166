"""The format of the published file: every DuckDB client from 1.2 on opens it, and so do BI tools.

A file keeps the format in which it was made. The candidate is made in that of releases, and so needs no copy at its
publication. The format holds no triggers: the macro watch_changes does without them there.
"""

import logging
from pathlib import Path

import duckdb

from flows.core.names import literal

logger = logging.getLogger(__name__)

FORMAT = "v1.2.0"
OLDEST_CLIENT = "1.2"
"""The oldest client that is promised to open a release; tests/python/warehouse/test_clients.py opens one with it."""


def create_database(path: Path) -> None:
    """Make an empty database in the format of releases."""
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(path))} as made (storage_version {literal(FORMAT)})")


def open_to_close(path: Path) -> duckdb.DuckDBPyConnection:
    """Open a database for its last changes: closing it writes the metadata of all tables as old clients read them.

    DuckDB reuses the metadata of tables that did not change. They may point to blocks that hold something else by now.
    Clients before 1.4.2 follow such a pointer, and then cannot open the file.
    """
    return duckdb.connect(str(path), config={"experimental_metadata_reuse": "false"})


def has_release_format(database: duckdb.DuckDBPyConnection) -> bool:
    """Tell whether an open database has the format of releases."""
    found = database.execute(
        "select tags['storage_version'] from duckdb_databases() where database_name = current_database()"
    ).fetchall()
    return str(found[0][0]).removesuffix("+") == FORMAT


def convert_database(source: Path, target: Path) -> None:
    """Copy a database into a new file in the format of releases: all tables, constraints, comments and functions.

    Triggers are left out. The copy takes some 8 CPU seconds for 100 MB, once for a release of an earlier version.
    """
    logger.info("the release is converted to format %s, which all clients from %s on open", FORMAT, OLDEST_CLIENT)
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(source))} as before (read_only)")
        connection.execute(f"attach {literal(str(target))} as made (storage_version {literal(FORMAT)})")
        connection.execute("copy from database before to made")
