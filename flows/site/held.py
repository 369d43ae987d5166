"""The part of a release that is held back: tables, and the views and tests that stayed as they were with them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Set

from flows.warehouse.node_states import NodeState
from flows.warehouse.releases import release_order


def held_in(stated: Mapping[str, str], states: Mapping[str, NodeState], views: Set[str]) -> dict[str, str]:
    """Return the release that each held source, table, view and test comes from, by unique id.

    `stated` is what the release says of its tables and sources. It lists neither views nor tests.
    """
    found, readers = dict(stated), _readers(states)
    while found and (new := dict(_further(found, states, {key: readers[key] for key in views & readers.keys()}))):
        found |= new
    return found


def _readers(states: Mapping[str, NodeState]) -> dict[str, list[NodeState]]:
    """Return what is made of each node, by unique id."""
    readers: dict[str, list[NodeState]] = defaultdict(list)
    for state in states.values():
        for parent in state.inputs if state.kind != "test" else ():
            readers[parent].append(state)
    return readers


def _further(
    found: Mapping[str, str], states: Mapping[str, NodeState], read_views: Mapping[str, list[NodeState]]
) -> Iterator[tuple[str, str]]:
    """Yield what reads something held, and each view that all its readers are held with, as they saw it.

    Such a view may be the one whose test failed.
    """
    for key, state in states.items():
        if key in found:
            continue
        releases = [found[parent] for parent in state.inputs if parent in found]
        readers = read_views.get(key, [])
        if not releases and all(reader.unique_id in found for reader in readers):
            releases = [found[reader.unique_id] for reader in readers if reader.inputs[key] == state.output]
        if releases:
            yield key, min(releases, key=release_order)
