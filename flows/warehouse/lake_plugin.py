"""A dbt-duckdb plugin: makes the data folder and the `lake` database before dbt attaches it.

So `dbt build` works at any time, right after set-up too: a declared source that was never loaded is typed and empty.
"""

import json
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.flags import get_flags

from flows.lake.catalog import complete_catalog
from flows.lake.contract import contracts_of
from flows.settings import DataFolder


class Plugin(BasePlugin):  # type: ignore[misc]
    """Completes `catalog.duckdb` from the manifest that dbt has just written."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Make the folder of the database that dbt is about to open."""
        assert self.creds is not None, "dbt hands its credentials to every plugin"
        Path(self.creds.path).parent.mkdir(parents=True, exist_ok=True)

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Add a view for each declared source table that the catalog does not show yet."""
        assert self.creds is not None, "dbt hands its credentials to every plugin"
        catalog = Path(next(attached.path for attached in self.creds.attach if attached.alias == "lake"))
        manifest = Path(getattr(get_flags(), "TARGET_PATH", None) or "target") / "manifest.json"
        if not manifest.exists():  # a manifest handed over in memory: the flow has pinned the catalog itself
            return
        nodes = json.loads(manifest.read_text())["sources"].values()
        complete_catalog(catalog, DataFolder(catalog.parent.resolve()).lake, contracts_of(nodes))
