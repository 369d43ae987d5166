"""Tables that are held back: what depends on a failure stays as the last release has it, and the rest is new."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dbt.contracts.graph.manifest import Manifest

from flows.config.settings import DataFolder, command
from flows.core.errors import GateFailed, HeldBack, WarehouseError
from flows.core.names import TableName
from flows.warehouse.build import Build
from flows.warehouse.dbt import GOOD, TESTS, Dbt, declared_under
from flows.warehouse.node_states import present_relations, read_trusted_states
from flows.warehouse.rebuild import is_view
from flows.warehouse.releases import newest_release, read_held

BUILT = ("model", "seed", "snapshot")


@dataclass
class Held:
    """The failures of a run, and the source tables and nodes that they hold back, by unique id.

    `is_allowed` tells whether the set is published by dependency. Else, and where the last release lacks a table that
    would have to be held back, `take` raises the failure.
    """

    dbt: Dbt
    is_allowed: bool
    causes: list[WarehouseError] = field(default_factory=list)
    roots: set[str] = field(default_factory=set)

    def take(self, failure: WarehouseError, roots: Collection[str]) -> None:
        """Hold back what depends on these nodes and source tables; raises the failure if that cannot be done."""
        new = {*roots} - self.roots
        if not (self.is_allowed and new and self._are_released(new)):
            raise failure
        if isinstance(failure, GateFailed) and failure.gate == "build":
            # its candidate is not set aside, but becomes the release
            again = f"{command()} elt --set {self.dbt.folder.path.name}"
            failure.remedy = f"These tables stay as they were until a run passes. Fix source or model, and run: {again}"
        self.causes.append(failure)
        self.roots |= new

    def take_tables(self, failure: WarehouseError, tables: Collection[TableName]) -> None:
        """Hold back what depends on these source tables, as `take` does."""
        self.take(failure, source_keys(self.dbt.manifest, tables))

    def require_none(self, outcome: Any, release: str | None) -> None:
        """Raise HeldBack with a run's outcome and its release, if something is held back."""
        if self.causes:
            error = HeldBack(tuple(self.causes), self.names, release, self._named_roots)
            error.summary = outcome
            raise error

    @property
    def tables(self) -> set[TableName]:
        """The source tables that are held back."""
        sources = self.dbt.manifest.sources
        return {TableName(sources[key].source_name, sources[key].name) for key in self.roots & sources.keys()}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tables and functions that are held back, sorted."""
        return tuple(sorted(node.name for node in held_relations(self.dbt.manifest, self.roots)))

    @property
    def _named_roots(self) -> tuple[str, ...]:
        """The names of the source tables and nodes that the failures are about, as findings use them, sorted."""
        nodes = self.dbt.manifest.nodes
        return tuple(sorted([*map(str, self.tables), *(nodes[key].name for key in self.roots & nodes.keys())]))

    @property
    def since(self) -> Mapping[str, str]:
        """The release of which each held source table, table and function is, by unique id."""
        if not self.roots:
            return {}
        last, earlier = newest_release(self.dbt.folder), read_held(self.dbt.folder.warehouse)
        held = {node.unique_id for node in held_relations(self.dbt.manifest, self.roots)}
        return {key: earlier.get(key, last) for key in held | (self.roots & self.dbt.manifest.sources.keys())}

    def _are_released(self, roots: Collection[str]) -> bool:
        """Tell whether the last release has all that would be held back."""
        folder: DataFolder = self.dbt.folder
        if not folder.warehouse.exists():
            return False
        release = folder.warehouse.resolve()
        manifest = self.dbt.manifest
        states, present = read_trusted_states(release, manifest.nodes), present_relations(release)
        nodes = held_relations(manifest, roots)
        return all(node.unique_id in states and (node.schema, node.alias) in present for node in nodes)


def source_keys(manifest: Manifest, tables: Collection[TableName]) -> set[str]:
    """Return the unique ids of source tables."""
    named = {TableName(source.source_name, source.name): key for key, source in manifest.sources.items()}
    return {named[table] for table in tables if table in named}


def failed_roots(dbt: Dbt, build: Build) -> set[str]:
    """Return the nodes and sources that the failures of a build are about; empty if one is about none of them.

    A test that is declared under a model or source is about that one, also if it reads others. Any other is about all
    that it reads.
    """
    roots: set[str] = set()
    for result in build.results:
        if result.status in GOOD or result.status == "skipped":
            continue
        node = result.node
        about = _about(dbt.manifest, node) if node.resource_type in TESTS else [node.unique_id]
        if not about:
            return set()
        roots |= {*about}
    return roots


def _about(manifest: Manifest, test: Any) -> list[str]:
    one = declared_under(manifest, test)
    return [one] if one is not None else list(test.depends_on_nodes)


def held_relations(manifest: Manifest, roots: Iterable[str]) -> list[Any]:
    """Return the models, seeds and snapshots that a release holds, and that are roots or depend on one."""
    return [
        manifest.nodes[key]
        for key in _descendants(manifest, roots)
        if key in manifest.nodes and manifest.nodes[key].resource_type in BUILT and not is_view(manifest.nodes[key])
    ]


def _descendants(manifest: Manifest, roots: Iterable[str]) -> set[str]:
    """Return roots and all that depends on them, directly or not, by unique id."""
    children: dict[str, list[str]] = defaultdict(list)
    for key, node in manifest.nodes.items():
        for parent in node.depends_on_nodes:
            children[parent].append(key)
    found: set[str] = set()
    waiting = [*roots]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting += children[key]
    return found
