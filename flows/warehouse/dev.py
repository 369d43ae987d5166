"""The dev database begins as a copy of the release, so that a single model can be built at once."""

import os

import duckdb

from flows.config.settings import DataFolder
from flows.core.files import copy_file
from flows.core.names import literal
from flows.warehouse.annotate import drop_main_views

TRIGGERS_FROM = "v2.0.0"
"""The format from which on a database holds triggers; people write to the dev database by hand, too."""


def begin_dev_database(folder: DataFolder) -> None:
    """Copy the release to a set's dev database, unless there is one or nothing is released.

    The copy shares its blocks with the release where the file system can.
    """
    if folder.dev.exists() or not folder.warehouse.exists():
        return
    begun = folder.dev.with_name(f"{folder.dev.name}.{os.getpid()}.new")
    copy_file(folder.warehouse.resolve(), begun)
    with duckdb.connect() as connection:
        connection.execute(f"attach {literal(str(begun))} as dev (storage_version {literal(TRIGGERS_FROM)}); use dev")
        drop_main_views(connection)
        connection.execute("drop table if exists main.release; drop table if exists main.node_state; checkpoint dev")
    os.replace(begun, folder.dev)
