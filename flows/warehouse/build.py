"""The candidate: a copy of the last release that a run builds and tests."""

import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import duckdb

from flows.config.settings import DataFolder, template_folder
from flows.core.errors import StorageFailed
from flows.core.files import FileState, copy_file
from flows.core.names import identifier
from flows.core.storage import TRY_AGAIN, open_release_file
from flows.lake.catalog import read_pins
from flows.warehouse.annotate import drop_main_views, functions_in, tables_in
from flows.warehouse.code_hash import hash_code
from flows.warehouse.code_tests import code_tests, read_passed, run_code_tests, write_passed
from flows.warehouse.dbt import Dbt, OnEvent
from flows.warehouse.descriptions import BOOKKEEPING_TABLES
from flows.warehouse.fingerprints import Fingerprints
from flows.warehouse.journal import Journal, take_over
from flows.warehouse.node_states import NodeState, hash_tables, present_relations, read_trusted_states
from flows.warehouse.progress import Progress
from flows.warehouse.rebuild import Rebuild
from flows.warehouse.release_format import convert_database, create_database, has_release_format

BOOKKEEPING = {table.name for table in BOOKKEEPING_TABLES}
"""The names of a release's tables that no model makes."""

WITHOUT_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
"""dbt's options for a build that leaves unit tests out."""


NO_FILE = FileState(0, 0, 0)


@dataclass(frozen=True)
class Build:
    """A built candidate: dbt's result for each node that ran, its last invocation, and the file as the tests left it.

    `states` are those of all nodes, by unique id; `ran` are the nodes that are not kept as the last release holds them.
    `passed_before` are the tests of code alone that the same code has passed before, by name. `not_built` counts nodes
    that were left out, since what they read has failed. `invocations` are dbt's, one for each wave. `held` are the
    nodes that stay as the last release has them, since they depend on what has failed. `taken_over` are those that an
    unfinished run had built, and the last release does not have.
    """

    results: tuple[Any, ...]
    invocation_id: str
    file: FileState
    seconds: float
    code: str
    states: Mapping[str, NodeState] = field(default_factory=dict)
    ran: frozenset[str] = frozenset()
    passed_before: Collection[str] = ()
    not_built: int = 0
    invocations: tuple[str, ...] = ()
    held: frozenset[str] = frozenset()
    taken_over: frozenset[str] = frozenset()

    def count(self, *kinds: str) -> int:
        """Count the nodes of these resource types that ran and are not as they were."""
        return sum(
            result.node.resource_type in kinds and (not self.states or result.node.unique_id in self.ran)
            for result in self.results
            if result.status != "skipped"
        )

    def kept(self, *kinds: str) -> list[NodeState]:
        """Return the states of the nodes of these resource types that were in the candidate before."""
        return [state for key, state in self.states.items() if state.kind in kinds and key not in self.ran]


def has_news(dbt: Dbt, build: Build, formats: Collection[str] = ()) -> bool:
    """Tell whether a candidate differs from the last release: in a node, the code, what was dropped, or its files."""
    release = dbt.folder.warehouse
    if build.ran or build.taken_over or not release.exists():
        return True
    file = release.resolve()
    with duckdb.connect(str(file), read_only=True) as stored:
        codes = stored.execute("select code_hash from main.release").fetchall()
    is_complete = all(file.with_name(name).exists() for name in formats)
    return codes != [(build.code,)] or not is_complete or _models(file) != _models(dbt.folder.candidate)


def _models(database: Path) -> set[tuple[str, str]]:
    """Return the tables and functions outside of `main`, where a release has views of them."""
    return {(schema, name) for schema, name in present_relations(database) if schema != "main"}


def with_warnings(build: Build, told: Mapping[str, tuple[str, ...]]) -> Build:
    """Return a build whose states hold what each test has to tell, by its unique id."""
    states = {key: replace(state, warnings=told.get(key, ())) for key, state in build.states.items()}
    return replace(build, states=states)


def prepare_candidate(folder: DataFolder, *, empty: bool = False) -> None:
    """Make the candidate from the last release; leftovers of an earlier run are deleted first.

    A log that a killed run left beside the file would be replayed onto the new copy. A set without a release begins
    with the template, if there is one. With `empty` the candidate starts with nothing. Its format is that of releases.
    Raises StorageFailed for a release that cannot be opened: damaged, or of a newer DuckDB.
    """
    shutil.rmtree(folder.candidate.parent, ignore_errors=True)
    folder.candidate.parent.mkdir(parents=True)
    release = _last_release(folder)
    if empty or release is None:
        create_database(folder.candidate)
        return
    with open_release_file(release) as opened:
        has_format = has_release_format(opened)
    if has_format:
        copy_file(release, folder.candidate)
    else:
        convert_database(release, folder.candidate)
    with duckdb.connect(str(folder.candidate)) as candidate:
        drop_main_views(candidate)


def take_over_candidate(dbt: Dbt) -> Journal | None:
    """Prepare the candidate that an unfinished run has left; None if the next build cannot go on with it."""
    return take_over(dbt, _last_release(dbt.folder))


def _last_release(folder: DataFolder) -> Path | None:
    """Return the file that a candidate is a copy of: the last release, else the template, else None."""
    links = (folder.warehouse, template_folder().warehouse)
    return next((link.resolve() for link in links if link.exists()), None)


def drop_orphaned_relations(dbt: Dbt) -> list[str]:
    """Drop tables and functions of the candidate that no model makes any more; return their names.

    A renamed model would otherwise be published twice, once as it was. Snapshots stay: they cannot be made again.
    """
    made = {(node.schema, node.alias) for node in dbt.manifest.nodes.values() if hasattr(node, "alias")}
    kept_schemas = {node.schema for node in dbt.manifest.nodes.values() if node.resource_type == "snapshot"}
    dropped = []
    with duckdb.connect(str(dbt.folder.candidate)) as database:
        for schema, table in tables_in(database):
            if (schema, table) in made or schema in kept_schemas or table in BOOKKEEPING:
                continue
            database.execute(f"drop table {identifier(schema)}.{identifier(table)} cascade")
            dropped.append(f"{schema}.{table}")
        for schema, function in functions_in(database).keys() - made:
            database.execute(f"drop macro table {identifier(schema)}.{identifier(function)}")
            dropped.append(f"{schema}.{function}")
    return dropped


def build_candidate(
    dbt: Dbt,
    *,
    full_refresh: bool,
    select: str | None,
    on_event: Sequence[OnEvent] = (),
    held: Collection[str] = (),
    journal: Journal | None = None,
) -> Build:
    """Bring the candidate up to date and close it; the results hold the failures, which the gates read.

    Nodes that the last release holds under the same code and inputs are kept, with the results of their tests.
    `full_refresh` keeps nothing. With `select`, these nodes are built and tested, and no others. Nodes that are `held`,
    by unique id, or depend on what is, stay as the last release has them. With a `journal` a later run can go on.
    """
    started = time.monotonic()
    progress = Progress()
    seen = [progress.see, *on_event, *([journal.see] if journal is not None else [])]
    with progress.shown():
        if select is not None:
            build = _build_selection(dbt, select.split(), full_refresh, seen)
        else:
            build = _build_what_changed(dbt, full_refresh, progress, seen, held, journal)
    candidate = dbt.folder.candidate
    if not candidate.exists():  # a selection that matches nothing
        duckdb.connect(str(candidate)).close()
    return replace(
        build,
        invocation_id=progress.invocation_id,
        invocations=tuple(progress.invocations),
        file=FileState.of(candidate),
        seconds=time.monotonic() - started,
    )


def _build_selection(dbt: Dbt, selected: Sequence[str], full_refresh: bool, on_event: Sequence[OnEvent]) -> Build:
    """Build and test some nodes, with the tests of code alone that are about them."""
    options = ["--full-refresh"] if full_refresh else []
    dbt.run("run", "--select", "config.materialized:view")  # a release holds no views, and the selected may read some
    proofs = code_tests(dbt) if dbt.variables else {}
    if proofs:
        options += [*WITHOUT_UNIT_TESTS, "--exclude", *(dbt.node(key).name for key in proofs)]
    results = dbt.run("build", *options, "--select", *selected, on_event=on_event)
    if proofs:  # what proves the code expects the project's own vars
        of_code = [f"{node},{kind}" for node in selected for kind in ("test_type:singular", "test_type:unit")]
        found = replace(dbt, variables={}).run("test", "--select", *of_code)
        results += [result for result in found if result.node.unique_id in proofs]
    return Build(tuple(results), "", NO_FILE, 0, hash_code(dbt.variables))


def _build_what_changed(
    dbt: Dbt,
    full_refresh: bool,
    progress: Progress,
    on_event: Sequence[OnEvent],
    held: Collection[str],
    journal: Journal | None,
) -> Build:
    """Build and test the nodes whose code or inputs are not those of the last release, wave by wave."""
    candidate, code, release = dbt.folder.candidate, hash_code(dbt.variables), _last_release(dbt.folder)
    before = journal.taken_over if journal is not None and not full_refresh else {}
    if release is not None and not before and not full_refresh:
        before = read_trusted_states(release, dbt.manifest.nodes)
    prints = Fingerprints(dbt.manifest, dbt.variables, _key_fingerprint(dbt))
    rebuild = Rebuild(
        manifest=dbt.manifest,
        code_of=cache(prints.of),
        sources=_source_states(dbt),
        before=before,
        present=present_relations(candidate),
        held={*held},
    )
    if journal is not None and not full_refresh:
        journal.begin(release, rebuild)
    options = ["--full-refresh"] if full_refresh else []
    results: list[Any] = []
    while wave := rebuild.next_wave():
        progress.total = len(results) + len(rebuild.undecided.union(wave))
        done = dbt.run_nodes("build", wave, *options, on_event=on_event)
        rebuild.record(done, partial(hash_tables, candidate))
        results += done
    proofs = code_tests(dbt)
    passed = {} if full_refresh else read_passed(dbt.folder)
    wanted = {key: mark for key, mark in proofs.items() if mark not in passed}
    proven = run_code_tests(replace(dbt, variables={}), wanted)
    marks = {result.node.unique_id: proofs[result.node.unique_id] for result in proven if result.status == "pass"}
    write_passed(dbt.folder, ((mark, dbt.node(key).name) for key, mark in marks.items()))
    return Build(
        (*results, *proven),
        "",
        NO_FILE,
        0,
        code,
        rebuild.states,
        frozenset(rebuild.ran),
        [dbt.node(key).name for key in proofs.keys() - wanted.keys()],
        rebuild.not_built,
        held=frozenset(rebuild.held & dbt.manifest.nodes.keys()),
        taken_over=(journal.finished if journal is not None else frozenset()) & rebuild.states.keys() - rebuild.ran,
    )


def _source_states(dbt: Dbt) -> dict[str, str]:
    """Return a text that changes with the rows of each source table that the catalog shows, by unique id."""
    pins = {str(name): pin.rows for name, pin in read_pins(dbt.folder.catalog).items()}
    named = {key: f"{source.source_name}.{source.name}" for key, source in dbt.manifest.sources.items()}
    return {key: pins[name] for key, name in named.items() if pins.get(name)}


def _key_fingerprint(dbt: Dbt) -> str:
    """Return what tells one key for pseudonyms from another; any model may hold pseudonyms."""
    key = dbt.folder.pseudonym_key
    return key.fingerprint if key is not None else ""


def require_closed(database: Path) -> None:
    """Raise StorageFailed if a database's latest changes still sit in its log: the file alone would not hold them."""
    log = database.with_name(f"{database.name}.wal")
    if log.exists():
        raise StorageFailed(database.name, f"its last changes were left in {log.name}, the file lacks them", TRY_AGAIN)


def example_query(dbt: Dbt, database: Path) -> str:
    """Return a query that shows some rows of what was built: of the first mart that has any."""
    marts = sorted(
        (node.alias, node.schema)
        for node in dbt.manifest.nodes.values()
        if node.resource_type == "model" and node.fqn[1] == "marts" and node.config.materialized == "table"
    )
    with duckdb.connect(str(database), read_only=True) as built:
        for name, schema in marts:
            with suppress(duckdb.Error):  # it was not in the selection
                if built.execute(f"from {identifier(schema)}.{identifier(name)} limit 1").fetchall():
                    return f"from {name} limit 5"
    return "from release"
