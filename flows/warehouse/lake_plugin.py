"""A dbt-duckdb plugin: makes the data folder and the `lake` database before dbt attaches it, and brings the key.

So `dbt build` works at any time, right after set-up too: a declared source that was never loaded is typed and empty.
The key for pseudonyms is a variable of each session, so no SQL, artifact, log or database holds it.
"""

import json
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.events.logging import AdapterLogger
from dbt.flags import get_flags
from dbt_common.exceptions import DbtRuntimeError

from flows.config.contract import contracts_of
from flows.config.settings import DataFolder
from flows.core.errors import UsageError
from flows.lake.catalog import complete_catalog
from flows.warehouse.clones import attach_release, database_of
from flows.warehouse.dev import begin_dev_database
from flows.warehouse.pseudonyms import MADE_UP, hand_over_key


class Plugin(BasePlugin):  # type: ignore[misc]
    """Completes `catalog.duckdb` from the manifest that dbt has just written."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Make the folder of the database that dbt is about to open; a dev database begins as a copy of the release."""
        assert self.creds is not None, "dbt hands its credentials to every plugin"
        path = Path(self.creds.path)
        if self._is_clone:
            try:
                database_of(self._folder, path.parent.name)  # a misspelt name is refused, and no database is made
            except UsageError as error:
                raise DbtRuntimeError(str(error)) from None
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.resolve() == self._folder.dev:
            begin_dev_database(self._folder)

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Attach the release that a clone reads; add a view for each declared source that the catalog lacks."""
        if self._is_clone:
            attach_release(conn, Path(self.creds.path))
        if (key := self._folder.pseudonym_key) is not None and key.is_made_up:
            AdapterLogger("Warehouse").warning(MADE_UP)
        manifest = Path(getattr(get_flags(), "TARGET_PATH", None) or "target") / "manifest.json"
        if not manifest.exists():  # a manifest handed over in memory: the flow has pinned the catalog itself
            return
        nodes = json.loads(manifest.read_text())["sources"].values()
        complete_catalog(self._folder.catalog, self._folder.lake, contracts_of(nodes))

    def configure_cursor(self, cursor: duckdb.DuckDBPyConnection) -> None:
        """Give a session the key for pseudonyms."""
        hand_over_key(cursor, self._folder)

    @property
    def _is_clone(self) -> bool:
        assert self.creds is not None, "dbt hands its credentials to every plugin"
        return Path(self.creds.path).resolve().parent.parent == self._folder.clones

    @property
    def _folder(self) -> DataFolder:
        assert self.creds is not None, "dbt hands its credentials to every plugin"
        catalog = next(attached.path for attached in self.creds.attach if attached.alias == "lake")
        return DataFolder(Path(catalog).parent.resolve())
