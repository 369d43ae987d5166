"""The candidate: a copy of the last release that a run builds and tests."""

import fcntl
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import duckdb

from flows.config.settings import DataFolder
from flows.core.errors import StorageFailed
from flows.core.names import identifier
from flows.core.storage import REBUILD, TRY_AGAIN, open_database
from flows.warehouse.code_hash import hash_code, unit_tests_passed
from flows.warehouse.dbt import Dbt, OnEvent
from flows.warehouse.progress import Progress, count_nodes

BOOKKEEPING = {"incremental_state", "release"}
"""Tables of a release that no model makes: which batches its incremental models hold, and what the file was made of."""

WITHOUT_UNIT_TESTS = ("--exclude-resource-type", "unit_test")
"""dbt's options for a build that leaves unit tests out."""

CODE_TESTS = ("test_type:singular",)
"""Data tests that prove macros, whatever data there are."""

FICLONE = 0x40049409
"""The ioctl of Linux that shares a file's blocks until one side is written."""


@dataclass(frozen=True)
class Fingerprint:
    """Tells whether a file is still the one that was looked at: inode, bytes, nanoseconds of its last write."""

    inode: int
    size: int
    written_ns: int

    @classmethod
    def of(cls, path: Path) -> "Fingerprint":
        """Take a file's fingerprint."""
        status = path.stat()
        return cls(status.st_ino, status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Build:
    """A built candidate: dbt's result for each node, its invocation, and the file as the tests left it.

    `earlier` are the unit tests that the same code has passed before, which were not run again.
    """

    results: tuple[Any, ...]
    invocation_id: str
    fingerprint: Fingerprint
    seconds: float
    code: str
    earlier: Mapping[str, str]

    def count(self, *kinds: str) -> int:
        """Count the nodes of these resource types that ran."""
        return sum(result.node.resource_type in kinds for result in self.results if result.status != "skipped")


def prepare_candidate(folder: DataFolder, *, empty: bool = False) -> None:
    """Make the candidate from the last release, or empty without one; leftovers of an earlier run are deleted first.

    A log that a killed run left beside the file would be replayed onto the new copy. With `empty` the candidate starts
    without the last release. Raises StorageFailed for a release that cannot be opened: damaged, or of a newer DuckDB.
    """
    shutil.rmtree(folder.candidate.parent, ignore_errors=True)
    folder.candidate.parent.mkdir(parents=True)
    if folder.warehouse.exists() and not empty:
        release = folder.warehouse.resolve()
        open_database(release, f"the release {release.parent.name} cannot be read", REBUILD).close()
        copy_file(release, folder.candidate)


def drop_orphaned_relations(dbt: Dbt) -> list[str]:
    """Drop tables and functions of the candidate that no model makes any more; return their names.

    A renamed model would otherwise be published twice, once as it was. Snapshots stay: they cannot be made again.
    """
    made = {(node.schema, node.alias) for node in dbt.manifest.nodes.values() if hasattr(node, "alias")}
    kept_schemas = {node.schema for node in dbt.manifest.nodes.values() if node.resource_type == "snapshot"}
    dropped = []
    with duckdb.connect(str(dbt.folder.candidate)) as database:
        tables = database.execute(
            "select schema_name, table_name from duckdb_tables() where database_name = current_database()"
        ).fetchall()
        for schema, table in tables:
            if (schema, table) in made or schema in kept_schemas or table in BOOKKEEPING:
                continue
            database.execute(f"drop table {identifier(schema)}.{identifier(table)} cascade")
            dropped.append(f"{schema}.{table}")
        functions = database.execute(
            "select distinct schema_name, function_name from duckdb_functions() "
            "where function_type = 'table_macro' and not internal and database_name = current_database()"
        ).fetchall()
        for schema, function in set(functions) - made:
            database.execute(f"drop macro table {identifier(schema)}.{identifier(function)}")
            dropped.append(f"{schema}.{function}")
    return dropped


def build_candidate(dbt: Dbt, *, full_refresh: bool, select: str | None, on_event: Sequence[OnEvent] = ()) -> Build:
    """Run dbt build on the candidate and close it; the results hold the failures, which the gates read.

    Unit tests are left out where the last release, made by the same code, has passed them.
    """
    started = time.monotonic()
    code = hash_code(dbt.variables)
    earlier = {} if full_refresh or select is not None else unit_tests_passed(dbt, code)
    selected = (select or "").split()
    options = ["--full-refresh"] if full_refresh else []
    options += WITHOUT_UNIT_TESTS if earlier or dbt.variables else ()
    options += ["--exclude", *CODE_TESTS] if dbt.variables else []
    if select is not None:  # a release holds no views, and what is selected may read some
        dbt.run("run", "--select", "config.materialized:view")
        options += ["--select", *selected]
    has_unit_tests = not (earlier or dbt.variables)
    total = count_nodes(dbt.manifest, unit_tests=has_unit_tests, code_tests=not dbt.variables)
    progress = Progress(total if select is None else None)
    with progress.shown():
        results = tuple(dbt.run("build", *options, on_event=[progress.see, *on_event]))
    if dbt.variables:  # what proves the code expects the project's own vars
        kinds = CODE_TESTS if earlier else (*CODE_TESTS, "test_type:unit")
        proofs = [f"{node},{kind}" for node in selected for kind in kinds] or kinds
        results += tuple(replace(dbt, variables={}).run("test", "--select", *proofs))
    candidate = dbt.folder.candidate
    if not candidate.exists():  # a selection that matches nothing
        duckdb.connect(str(candidate)).close()
    return Build(results, progress.invocation_id, Fingerprint.of(candidate), time.monotonic() - started, code, earlier)


def require_closed(database: Path) -> None:
    """Raise StorageFailed if a database's latest changes still sit in its log: the file alone would not hold them."""
    log = database.with_name(f"{database.name}.wal")
    if log.exists():
        raise StorageFailed(database.name, f"its last changes were left in {log.name}, the file lacks them", TRY_AGAIN)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks where the file system can."""
    with source.open("rb") as reading, target.open("wb") as writing:
        try:
            fcntl.ioctl(writing.fileno(), FICLONE, reading.fileno())
        except OSError:
            shutil.copyfileobj(reading, writing, 16 * 1024 * 1024)


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
