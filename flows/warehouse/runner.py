"""dbt, run in this process: the manifest is parsed once and handed on; an ended command leaves no connection open."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from dbt_common.events.base_types import EventMsg

from flows import settings
from flows.errors import WarehouseError, WrongUse
from flows.redaction import without_values
from flows.settings import DataFolder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dbt:
    """The project's dbt, with artifacts in a folder of the flows' own."""

    folder: DataFolder
    manifest: Manifest

    @classmethod
    def parse(cls, folder: DataFolder) -> "Dbt":
        """Parse the project for a set; raises WrongUse if it does not parse."""
        settings.export(**{settings.DATA_VARIABLE: str(folder.path.parent), settings.SET_VARIABLE: folder.path.name})
        result = _invoke(dbtRunner(), folder, ["parse"], "candidate")
        if not isinstance(result.result, Manifest):
            raise WrongUse(
                f"The dbt project does not parse: {settings.scrub(str(result.exception))}", "Mend it: dbt parse"
            )
        return cls(folder, result.result)

    def run(
        self, *arguments: str, target: str = "candidate", on_event: Callable[[EventMsg], None] | None = None
    ) -> list[Any]:
        """Run a dbt command; return its results, one a node. Raises WarehouseError if the command itself fails."""
        runner = dbtRunner(manifest=self.manifest, callbacks=[on_event] if on_event else [])
        try:
            result = _invoke(runner, self.folder, list(arguments), target)
        finally:
            DuckDBConnectionManager.close_all_connections()
        if isinstance(result.exception, WarehouseError):
            raise result.exception
        if result.exception is not None:
            raise WarehouseError(f"dbt {arguments[0]} failed: {without_values(str(result.exception))}")
        return list(getattr(result.result, "results", None) or [])


def _invoke(runner: dbtRunner, folder: DataFolder, arguments: list[str], target: str) -> dbtRunnerResult:
    """Keep dbt's own output off the terminal and its results out of files: both may quote values."""
    project = str(settings.PROJECT)
    places = ["--project-dir", project, "--profiles-dir", project, "--target", target]
    outputs = ["--target-path", str(folder.target), "--log-path", str(folder.target)]
    quiet = ["--log-level", "none", "--log-level-file", "none", "--no-use-colors"]
    artifacts = [] if arguments[0] in ("parse", "docs") else ["--no-write-json"]
    return runner.invoke([*quiet, *artifacts, *arguments, *places, *outputs])
