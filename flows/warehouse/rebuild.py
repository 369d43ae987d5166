"""The nodes that a build must run: those whose code or inputs are not those of the last release.

A build goes in waves. Suppose a node reads a table of this wave, and is itself as it was. Then it waits for the next
wave: the table may come out with the rows that it had, and the node is kept (early cut-off).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from typing import Any
from uuid import uuid4

from dbt.contracts.graph.manifest import Manifest

from flows.warehouse.dbt import GOOD, TESTS
from flows.warehouse.node_states import WITH_ROWS, NodeState
from flows.warehouse.volatile import is_volatile

BUILT = ("model", "seed", "snapshot", "test")
"""Resource types of the nodes that a build runs."""


@dataclass
class Rebuild:
    """Decides wave by wave which nodes run, and knows the state of each node that is decided.

    `code_of` gives the fingerprint of a node's code. `sources` and `before` are the states of the source tables and of
    the last release's nodes. `present` lists the relations of its file by schema and name. `held` are nodes and sources
    that are held back, by unique id. They and all that depends on them stay as the last release has them.
    """

    manifest: Manifest
    code_of: Callable[[str], str]
    sources: Mapping[str, str]
    before: Mapping[str, NodeState]
    present: set[tuple[str, str]]
    held: set[str] = field(default_factory=set)
    states: dict[str, NodeState] = field(default_factory=dict)
    ran: set[str] = field(default_factory=set)
    blocked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        nodes = self.manifest.nodes
        graph = {key: [parent for parent in node.depends_on_nodes if parent in nodes] for key, node in nodes.items()}
        order = TopologicalSorter(graph).static_order()
        self._order = [key for key in order if nodes[key].resource_type in BUILT and not is_code_test(nodes[key])]
        self._made_views: set[str] = set()

    @property
    def undecided(self) -> set[str]:
        """The nodes of which this wave or a later one decides whether they run."""
        return set(self._order) - self.states.keys() - self.blocked

    def next_wave(self) -> list[str]:
        """Return the nodes to run next, each after what it reads, with the views that they need; empty at the end."""
        wave: set[str] = set()
        within: set[str] = set()  # views whose rows this wave decides
        for key in self._order:
            if key in self.states or key in self.blocked:
                continue
            node = self.manifest.nodes[key]
            parents = self._parents(node)
            if key in self.held or any(parent in self.held for parent in parents):
                self._hold(key)
                continue
            if any(parent in self.blocked for parent in parents):
                self.blocked.add(key)
                continue
            open_parents = [parent for parent in parents if self._output(parent) is None]
            if not open_parents:
                self._settle(node, wave)
            elif all(parent in wave or parent in within for parent in open_parents):
                if is_view(node):
                    within.add(key)
                elif node.resource_type in TESTS or self._must_run(node):
                    wave.add(key)
        views = views_read(self.manifest, wave) - self._made_views
        self._made_views |= views
        return [key for key in self._order if key in wave or key in views]

    def record(self, results: Iterable[Any], contents: Callable[[list[Any]], Mapping[str, str]]) -> None:
        """Take dbt's results of a wave; `contents` gives the hash of the rows of tables, by unique id."""
        done = {result.node.unique_id: result for result in results if result.node.unique_id in self.manifest.nodes}
        tables = [self.manifest.nodes[key] for key, result in done.items() if self._has_rows(key, result)]
        hashes = contents(tables)
        for key in self._order:
            node = self.manifest.nodes[key]
            if is_view(node) and key not in self.states and key not in self.held and self._is_known(node):
                self._settle(node, set())
            if key not in done or key in self.states:
                continue
            result = done[key]
            if result.status == "skipped":
                self.blocked.add(key)
                continue
            self.ran.add(key)
            if result.status not in GOOD:
                self.blocked |= {key, *(node.depends_on_nodes if node.resource_type in TESTS else ())}
                continue
            state = self._state(key).without_rows()
            failures = getattr(result, "failures", None)
            state = replace(state, status=str(result.status), failures=failures)
            self.states[key] = replace(state, output=hashes.get(key, state.output))

    @property
    def not_built(self) -> int:
        """The number of nodes that were not run, since what they read has failed."""
        return len(self.blocked - self.states.keys() - self.ran - self.held)

    def _hold(self, key: str) -> None:
        """Leave a node as the last release has it; a new view or test, which it does not have, waits."""
        self.held.add(key)
        if key in self.before:
            self.states[key] = self.before[key]
        else:
            self.blocked.add(key)

    def _settle(self, node: Any, wave: set[str]) -> None:
        """Decide on a node whose inputs are known: it is kept, is a view, or runs."""
        key = node.unique_id
        state, before = self._state(key), self.before.get(key)
        if is_view(node):
            state = replace(state.without_rows(), status="success")
            self.states[key] = replace(state, output=uuid4().hex) if is_volatile(node) else state
            if before is None or not before.is_of(state.code, state.inputs):
                self.ran.add(key)
        elif before is not None and before.is_of(state.code, state.inputs) and self._is_whole(node):
            self.states[key] = before
        else:
            wave.add(key)

    def _must_run(self, node: Any) -> bool:
        """Tell whether a node runs whatever the open inputs turn out to be."""
        before = self.before.get(node.unique_id)
        if before is None or not before.is_good or not self._is_whole(node):
            return True
        known = {parent: output for parent in self._parents(node) if (output := self._output(parent)) is not None}
        return before.code != self.code_of(node.unique_id) or any(
            before.inputs.get(parent) != output for parent, output in known.items()
        )

    def _is_known(self, node: Any) -> bool:
        """Tell whether all inputs of a node are decided, so that it can be, and none of them has failed."""
        parents = self._parents(node)
        return all(self._output(parent) is not None and parent not in self.blocked for parent in parents)

    def _is_whole(self, node: Any) -> bool:
        """Tell whether the last release holds what a node made, and whether that can be relied on."""
        if is_volatile(node):
            return False
        return node.resource_type in TESTS or (node.schema, node.alias) in self.present

    def _has_rows(self, key: str, result: Any) -> bool:
        node = self.manifest.nodes[key]
        return result.status in GOOD and node.config.materialized in WITH_ROWS

    def _state(self, key: str) -> NodeState:
        node = self.manifest.nodes[key]
        inputs = {parent: self._output(parent) or "" for parent in self._parents(node)}
        return NodeState(key, node.name, str(node.resource_type), self.code_of(key), inputs)

    def _parents(self, node: Any) -> list[str]:
        return sorted(set(node.depends_on_nodes))

    def _output(self, key: str) -> str | None:
        """Return a text that changes with the rows of a node or source; None if it is not known yet."""
        if key in self.states:
            return self.states[key].output
        return None if key in self.manifest.nodes else self.sources.get(key, "absent")


def views_read(manifest: Manifest, keys: Iterable[str]) -> set[str]:
    """Return the views that nodes read, directly or through other views."""
    found: set[str] = set()
    open_nodes = list(keys)
    while open_nodes:
        for parent in manifest.nodes[open_nodes.pop()].depends_on_nodes:
            node = manifest.nodes.get(parent)
            if node is not None and is_view(node) and parent not in found:
                found.add(parent)
                open_nodes.append(parent)
    return found


def is_code_test(node: Any) -> bool:
    """Tell whether a data test reads no model and no source: it proves macros."""
    return bool(node.resource_type == "test" and not node.depends_on_nodes)


def is_view(node: Any) -> bool:
    """Tell whether a node is a view, which a release does not hold."""
    return bool(node.resource_type == "model" and node.config.materialized == "view")
