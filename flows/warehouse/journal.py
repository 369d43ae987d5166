"""The journal of a build: with it, a build that died goes on from the node at which it ended.

It lies beside the candidate. Its first line says what the build began with; each later line names a node that ended
well. The next run takes over the candidate with these nodes, and builds the others.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

import duckdb
from dbt_common.events.base_types import EventMsg

from flows.config.settings import DataFolder
from flows.core.files import FileState
from flows.core.names import identifier, literal
from flows.warehouse.annotate import drop_main_views
from flows.warehouse.dbt import Dbt
from flows.warehouse.node_states import WITH_ROWS, NodeState, hash_tables, present_relations, read_trusted_states
from flows.warehouse.rebuild import Rebuild
from flows.warehouse.release_format import has_release_format

logger = logging.getLogger(__name__)

NAME = "journal.jsonl"
TAKEN_OVER = {"success", "pass"}
"""Only these ends are noted: the sentences of a warning are not, so a test that warned runs again."""

UPDATED = {"incremental", "snapshot"}
"""Materializations that begin with the rows that are there; the others write all rows again."""


@dataclass
class Journal:
    """The journal of one build of a candidate.

    `taken_over` are the states of all nodes in the candidate of a build that died, by unique id. They are empty if
    this build begins with the last release. `finished` are the nodes that the last release does not have so.
    """

    folder: DataFolder
    taken_over: Mapping[str, NodeState] = field(default_factory=dict)
    finished: frozenset[str] = frozenset()
    has_begun: bool = False
    _lock: Lock = field(default_factory=Lock)

    @property
    def is_clean(self) -> bool:
        """Whether the candidate is still as the last release."""
        return not self.taken_over and not self.has_begun

    def begin(self, release: Path | None, rebuild: Rebuild) -> None:
        """Note what the build begins with: the file that the candidate is a copy of, sources, code, and states."""
        first = {
            "release": _place_of(release),
            "sources": dict(rebuild.sources),
            "codes": {key: rebuild.code_of(key) for key in rebuild.undecided},
            "states": [asdict(state) for state in self.taken_over.values()],
        }
        part = self._path.with_suffix(".part")
        part.write_text(f"{json.dumps(first)}\n")
        part.replace(self._path)
        self.has_begun = True

    def see(self, event: EventMsg) -> None:
        """Note a node that ended well, by one of dbt's events, from any of its threads."""
        if self.has_begun and event.info.name == "NodeFinished":
            status = str(event.data.run_result.status)
            if status in TAKEN_OVER:
                self._add([event.data.node_info.unique_id, status])

    def end(self) -> None:
        """Note the candidate as the build has left it, should a gate stop the run: a later change is then seen."""
        if self.has_begun and self.folder.candidate.exists():
            self._add(asdict(FileState.of(self.folder.candidate)))

    def _add(self, line: object) -> None:
        with self._lock, self._path.open("a") as journal:
            journal.write(f"{json.dumps(line)}\n")

    @property
    def _path(self) -> Path:
        return self.folder.candidate.with_name(NAME)


def take_over(dbt: Dbt, release: Path | None) -> Journal | None:
    """Prepare the candidate of a build that died, so that the next build goes on with it.

    `release` is the file that a candidate is a copy of. Returns None if there is nothing to go on with: no journal, or
    another release since. So it does for a candidate that was changed, that is damaged, or in which a table was half
    updated, and for a damaged release. A line of the journal follows the commit, so it is never ahead of it.
    """
    candidate = dbt.folder.candidate
    noted = _read(candidate.with_name(NAME))
    if noted is None or not candidate.exists():
        return None
    try:
        if noted.first["release"] != _place_of(release):
            raise NotAsLeft("another release was published since")
        if noted.end is not None and noted.end != asdict(FileState.of(candidate)):
            raise NotAsLeft("it was changed since")
        with duckdb.connect(str(candidate)) as opened:  # which completes what the log beside it holds
            if not has_release_format(opened):
                raise NotAsLeft("its format is another one")
            drop_main_views(opened)
        before = read_trusted_states(release, dbt.manifest.nodes) if release is not None else {}
        states, finished = _states_left(dbt, release, before, noted)
    except (duckdb.Error, NotAsLeft, KeyError, TypeError) as error:  # the last two: a journal of another version
        reason = str(error) if isinstance(error, NotAsLeft) else type(error).__name__
        logger.info("the candidate of the run before is not taken over: %s", reason)
        return None
    taken = frozenset(key for key in finished if states.get(key) != before.get(key))
    return Journal(dbt.folder, states, taken) if taken else None


class NotAsLeft(Exception):
    """The candidate is not what a run has left, or may not be; the message says why."""


@dataclass(frozen=True)
class _Noted:
    first: Mapping[str, Any]
    finished: Mapping[str, str]
    end: Mapping[str, int] | None

    @property
    def states(self) -> dict[str, NodeState]:
        """The states that an earlier build had left to the one of this journal."""
        return {state["unique_id"]: NodeState(**state) for state in self.first["states"]}


def _read(path: Path) -> _Noted | None:
    """Read a journal; its last line may be cut off."""
    lines = []
    try:
        for line in path.read_text().splitlines():
            lines.append(json.loads(line))
    except FileNotFoundError:
        return None
    except ValueError:
        pass
    if not lines:
        return None
    first, *others = lines
    ends = [line for line in others if isinstance(line, dict)]
    return _Noted(first, dict(line for line in others if isinstance(line, list)), ends[-1] if ends else None)


def _place_of(release: Path | None) -> list[Any]:
    return [str(release), asdict(FileState.of(release))] if release is not None else []


def _states_left(
    dbt: Dbt, release: Path | None, released: Mapping[str, NodeState], noted: _Noted
) -> tuple[dict[str, NodeState], set[str]]:
    """Return the states of the candidate's nodes, and which of them this build or an earlier one finished.

    It decides as the build did.
    """
    candidate, codes, before = dbt.folder.candidate, noted.first["codes"], {**released, **noted.states}
    there = present_relations(candidate)
    rebuild = Rebuild(dbt.manifest, lambda key: codes.get(key, ""), noted.first["sources"], before, there)
    while wave := rebuild.next_wave():
        done = [_result(dbt.node(key), noted.finished[key]) for key in wave if key in noted.finished]
        rebuild.record(done, partial(hash_tables, candidate))
        rebuild.blocked |= set(wave) - rebuild.states.keys()
    finished = rebuild.ran & rebuild.states.keys()
    states = {**before, **{key: rebuild.states[key] for key in finished}}
    others = [node for key, node in dbt.manifest.nodes.items() if key not in finished]
    others = [node for node in others if (node.schema, node.alias) in there]
    hashes = hash_tables(candidate, [node for node in others if node.config.materialized in WITH_ROWS])
    outputs = {key: state.output for key, state in states.items()}
    changed = {node.unique_id: node for node in others if hashes.get(node.unique_id, "") != outputs.get(node.unique_id)}
    finished |= {key for key, state in noted.states.items() if state != released.get(key)}
    _require_as_released(dbt, release, changed, hashes, finished)
    rewritten = {key for key, node in changed.items() if node.config.materialized not in UPDATED}
    return {key: state for key, state in states.items() if key not in rewritten}, finished


def _result(node: Any, status: str) -> Any:
    """Return what dbt says of a node that ended well."""
    return SimpleNamespace(node=node, status=status, failures=0 if status == "pass" else None)


def _require_as_released(
    dbt: Dbt, release: Path | None, changed: Mapping[str, Any], hashes: Mapping[str, str], finished: set[str]
) -> None:
    """Require that tables that are updated in place are as in the release; raises NotAsLeft.

    `changed` are the nodes whose relation may not be as their state says, by unique id; `hashes` are those of the rows.
    Others add to a kept table: a node that reads it, together with its own rows, and a publication. The rows of a
    finished node stay. Otherwise the table gets back the rows of the release.
    """
    updated = {key: node for key, node in changed.items() if node.config.materialized in UPDATED}
    known = present_relations(release) if release is not None else set()
    released = [node for node in updated.values() if (node.schema, node.alias) in known]
    before = hash_tables(release, released) if release is not None else {}
    tables = {key for key, node in dbt.manifest.nodes.items() if node.config.materialized in WITH_ROWS}
    half = {key: node for key, node in updated.items() if hashes[key] != before.get(key)}
    restored = []
    for key, node in list(half.items()):
        if node.config.meta.get("kept") and key in before:
            writers = {child for child in tables if key in dbt.node(child).depends_on_nodes}
            if not writers & finished:
                restored.append(half.pop(key))
            elif not writers & changed.keys():
                del half[key]
    if half:
        raise NotAsLeft(f"{', '.join(sorted(node.name for node in half.values()))} may be half updated")
    if restored:
        _restore_rows(dbt.folder.candidate, release, restored)


def _restore_rows(candidate: Path, release: Path | None, nodes: Iterable[Any]) -> None:
    """Give tables of a candidate the rows that a release holds."""
    with duckdb.connect(str(candidate)) as database:
        database.execute(f"attach {literal(str(release))} as released (read_only)")
        for node in nodes:
            table = f"{identifier(node.schema)}.{identifier(node.alias)}"
            database.execute(f"delete from {table}")
            database.execute(f"insert into {table} by name from released.{table}")
