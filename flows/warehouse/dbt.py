"""dbt, run in this process: the manifest is parsed once and handed on; an ended command leaves no connection open."""

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.constants import PARTIAL_PARSE_FILE_NAME
from dbt.contracts.graph.manifest import Manifest
from dbt_common.events.base_types import EventMsg

from flows.config import settings
from flows.config.declared_features import describe_training_sets, features_of
from flows.config.publications import publications_of
from flows.config.settings import DataFolder, template_folder
from flows.core.errors import UsageError, WarehouseError
from flows.core.redaction import scrub, without_values

logger = logging.getLogger(__name__)

TESTS = ("test", "unit_test")
CHOSEN = "chosen_for_this_run"
OF_SOURCE = re.compile(r"""source\(\s*['"]([^'"]+)['"]\s*,\s*['"]([^'"]+)['"]\s*\)""")
OnEvent = Callable[[EventMsg], None]
GOOD = {"success", "pass", "warn", "no-op"}
"""The states of a node with which a build may be published."""


@dataclass(frozen=True)
class Dbt:
    """The project's dbt, with artifacts in a folder of the flows' own."""

    folder: DataFolder
    manifest: Manifest
    variables: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, folder: DataFolder, variables: Mapping[str, Any] | None = None) -> "Dbt":
        """Parse the project with a set's own vars; raises UsageError for what does not parse, and for wrong metadata.

        A new set begins with what the template's parse knows; dbt parses again only what differs.
        """
        variables = variables or {}
        bring_parsed(template_folder(), folder)
        result = _invoke(dbtRunner(), folder, ["parse"], "candidate", variables)
        if not isinstance(result.result, Manifest):
            raise UsageError(f"The dbt project does not parse: {scrub(str(result.exception))}", "Fix it: dbt parse")
        describe_training_sets(result.result, features_of(result.result))
        publications_of(result.result.nodes.values())
        return cls(folder, result.result, variables)

    def run(self, *arguments: str, target: str = "candidate", on_event: Sequence[OnEvent] = ()) -> list[Any]:
        """Run a dbt command; return its results, one a node that does something; an exposure does nothing.

        Raises WarehouseError if the command itself fails, and lets through what interrupts it.
        """
        runner = dbtRunner(manifest=self.manifest, callbacks=list(on_event))
        try:
            result = _invoke(runner, self.folder, list(arguments), target, self.variables)
        finally:
            DuckDBConnectionManager.close_all_connections()
        if isinstance(result.exception, WarehouseError):
            raise result.exception
        if interruption := _interruption(result.exception):
            raise interruption
        if result.exception is not None:
            raise WarehouseError(f"dbt {arguments[0]} failed: {without_values(str(result.exception))}")
        results = getattr(result.result, "results", None) or []
        return [one for one in results if one.node.resource_type != "exposure"]

    def run_nodes(
        self,
        command: str,
        keys: Iterable[str],
        *arguments: str,
        target: str = "candidate",
        on_event: Sequence[OnEvent] = (),
    ) -> list[Any]:
        """Run a dbt command on these nodes alone, given by unique id; return and raise like `run`.

        A tag selects them: dbt would compare each name with each node.
        """
        with _tagged([self.node(key) for key in keys]):
            selected = ["--select", f"tag:{CHOSEN}", "--indirect-selection", "empty"]
            return self.run(command, *arguments, *selected, target=target, on_event=on_event)

    def node(self, unique_id: str) -> Any:
        """Return a model, seed, snapshot, data test or unit test."""
        return self.manifest.nodes.get(unique_id) or self.manifest.unit_tests[unique_id]

    def kept_models(self) -> list[Any]:
        """Return the models whose rows are kept from release to release; others write to them after they are built."""
        return [node for node in self.manifest.nodes.values() if node.config.meta.get("kept")]

    def snapshots(self) -> list[tuple[str, str]]:
        """Return schema and name of every snapshot, and of the models that cannot be computed again either."""
        return [
            (node.schema, node.alias)
            for node in self.manifest.nodes.values()
            if node.resource_type == "snapshot" or (node.resource_type == "model" and node.config.meta.get("kept"))
        ]


def bring_parsed(known: DataFolder, folder: DataFolder) -> None:
    """Copy the parsed project of another folder into one that has none."""
    parsed, there = folder.target / PARTIAL_PARSE_FILE_NAME, known.target / PARTIAL_PARSE_FILE_NAME
    if there.exists() and not parsed.exists():
        folder.target.mkdir(parents=True, exist_ok=True)
        copied = parsed.with_suffix(f".{os.getpid()}")
        shutil.copy(there, copied)
        copied.replace(parsed)


@contextmanager
def _tagged(nodes: Sequence[Any]) -> Iterator[None]:
    """Give nodes a tag of their own while the context lasts."""
    holders = [node.config if node.resource_type == "unit_test" else node for node in nodes]
    before = [holder.tags for holder in holders]
    for holder, tags in zip(holders, before, strict=True):
        holder.tags = [*([tags] if isinstance(tags, str) else tags), CHOSEN]
    try:
        yield
    finally:
        for holder, tags in zip(holders, before, strict=True):
            holder.tags = tags


def without_tests(manifest: Manifest) -> Manifest:
    """Return a project without its tests: a build then makes rows, and proves nothing of them."""
    part = manifest.deepcopy()
    part.nodes = {key: node for key, node in part.nodes.items() if node.resource_type != "test"}
    part.unit_tests = {}
    part.build_parent_and_child_maps()
    return part


def _interruption(error: BaseException | None) -> BaseException | None:
    """Find the signal that caused an error: dbt reports other errors when a signal interrupts it."""
    while isinstance(error, Exception):
        error = error.__cause__ or error.__context__
    return error


def _invoke(
    runner: dbtRunner, folder: DataFolder, arguments: list[str], target: str, variables: Mapping[str, Any]
) -> dbtRunnerResult:
    """Keep dbt's own output off the terminal and its results out of files: both may quote values.

    profiles.yml reads the folder from the environment.
    """
    project = str(settings.PROJECT)
    places = ["--project-dir", project, "--profiles-dir", project, "--target", target]
    own = ["--vars", json.dumps(variables)] if variables else []
    outputs = ["--target-path", str(folder.target), "--log-path", str(folder.target)]
    quiet = ["--log-level", "none", "--log-level-file", "none", "--no-use-colors"]
    artifacts = [] if arguments[0] in ("parse", "docs") else ["--no-write-json"]
    data = {settings.DATA_VARIABLE: str(folder.path.parent), settings.SET_VARIABLE: folder.path.name}
    if arguments[0] == "parse":  # dbt parses all again if a variable of the profile differs; parsing opens no database
        data = {settings.DATA_VARIABLE: "data", settings.SET_VARIABLE: settings.TEMPLATE}
    with settings.exported(**data):
        return runner.invoke([*quiet, *artifacts, *arguments, *places, *outputs, *own])


def tested_node(manifest: Manifest, node: Any) -> Any | None:
    """Return the model or source that a test is about; None if it reads none, or if the node is no test."""
    if node.resource_type not in TESTS:
        return None
    unique_id = declared_under(manifest, node) or next(iter(node.depends_on_nodes), None)
    return manifest.nodes.get(unique_id) or manifest.sources.get(unique_id)


def declared_under(manifest: Manifest, test: Any) -> str | None:
    """Return the unique id of the model or source under which a test is declared; None for a test of its own.

    dbt attaches a test to a model alone. The test of a source names it in its arguments, and may read others, too.
    """
    if attached := getattr(test, "attached_node", None) or getattr(test, "tested_node_unique_id", None):
        return str(attached)
    arguments = getattr(getattr(test, "test_metadata", None), "kwargs", {})
    found = OF_SOURCE.search(str(arguments.get("model", "")))
    named = {(source.source_name, source.name): key for key, source in manifest.sources.items()} if found else {}
    return named.get(found.groups()) if found else None  # type: ignore[arg-type]
