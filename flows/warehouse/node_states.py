"""The states of nodes: by which code and inputs a release holds each model, and each verdict of a test."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from flows.core.names import identifier
from flows.warehouse.annotate import functions_in, tables_in
from flows.warehouse.dbt import GOOD

TABLE = "node_state"
NOTE = "published.json"

WITH_ROWS = {"table", "incremental", "snapshot", "seed"}
"""Materializations whose rows are compared."""

COLUMNS = pa.schema(
    {
        **dict.fromkeys(("unique_id", "name", "kind", "code"), pa.string()),
        "inputs": pa.map_(pa.string(), pa.string()),
        **dict.fromkeys(("output", "status"), pa.string()),
        "failures": pa.int64(),
        "warnings": pa.list_(pa.string()),
    }
)


@dataclass(frozen=True)
class NodeState:
    """A node under the code and inputs with which it last ran.

    `inputs` are the outputs of what it reads, by unique id. `output` changes exactly when the
    rows do, or, where rows are not compared, when code or inputs do. `status` is dbt's. `warnings` are the sentences
    of a test that warned.
    """

    unique_id: str
    name: str
    kind: str
    code: str
    inputs: Mapping[str, str]
    output: str = ""
    status: str = ""
    failures: int | None = None
    warnings: Sequence[str] = ()

    @property
    def is_good(self) -> bool:
        """Whether it was built, or passed."""
        return self.status in GOOD

    def is_of(self, code: str, inputs: Mapping[str, str]) -> bool:
        """Tell whether the node was made by this code from these inputs, and well."""
        return self.is_good and self.code == code and self.inputs == inputs

    def without_rows(self) -> "NodeState":
        """Return the state with an output that follows from code and inputs."""
        text = json.dumps([self.code, dict(self.inputs)], sort_keys=True)
        return replace(self, output=hashlib.sha256(text.encode()).hexdigest()[:32])


def read_states(database: Path) -> dict[str, NodeState]:
    """Return the states that a release, or its copy, holds; none if an earlier version of the project made it."""
    if not database.exists():
        return {}
    with duckdb.connect(str(database), read_only=True) as stored:
        try:
            rows = stored.sql(f"from main.{TABLE}").to_arrow_table().to_pylist()
            states = [NodeState(**row | {"inputs": dict(row["inputs"])}) for row in rows]
        except (duckdb.Error, TypeError, KeyError):
            return {}
    return {state.unique_id: state for state in states}


def read_trusted_states(release: Path, nodes: Mapping[str, Any]) -> dict[str, NodeState]:
    """Return the states that a release holds, without those of tables that were changed since it was published.

    `nodes` are those of the project, by unique id. A file with the size and time of its publication is trusted.
    Otherwise the rows of its tables are compared.
    """
    states = read_states(release)
    if not states or is_as_published(release):
        return states
    there = present_relations(release)
    tables = {key: node for key, node in nodes.items() if key in states and (node.schema, node.alias) in there}
    hashes = hash_tables(release, [node for node in tables.values() if node.config.materialized in WITH_ROWS])
    changed = {key for key in tables if hashes.get(key) != states[key].output}
    return {
        key: state
        for key, state in states.items()
        if key not in changed and not (state.kind == "test" and changed.intersection(state.inputs))
    }


def is_as_published(release: Path) -> bool:
    """Tell whether a release's file has the size and the time of its publication."""
    return bool(_file_note(release) == _read_note(release))


def note_file(release: Path) -> None:
    """Note size and time of a release's file beside it, so that the next run knows that it is as it was published."""
    release.with_name(NOTE).write_text(json.dumps(_file_note(release)))


def _file_note(release: Path) -> list[int]:
    status = release.stat()
    return [status.st_size, status.st_mtime_ns]


def _read_note(release: Path) -> Any:
    try:
        return json.loads(release.with_name(NOTE).read_text())
    except (OSError, ValueError):
        return None


def write_states(database: duckdb.DuckDBPyConnection, states: Iterable[NodeState]) -> None:
    """Write the states of all nodes into a candidate, in place of the earlier ones."""
    rows = [
        asdict(state) | {"inputs": list(state.inputs.items()), "warnings": list(state.warnings)}
        for state in sorted(states, key=lambda state: state.unique_id)
    ]
    database.register("states", pa.Table.from_pylist(rows, COLUMNS))
    database.execute(f"create or replace table main.{TABLE} as from states")
    database.unregister("states")


def hash_tables(database: Path, nodes: Iterable[Any]) -> dict[str, str]:
    """Return a hash of the columns and rows of each table, in any order, by the unique id of the node that made it."""
    found = {}
    with duckdb.connect(str(database), read_only=True) as candidate:
        for node in nodes:
            table = f"{identifier(node.schema)}.{identifier(node.alias)}"
            columns = candidate.execute(f"describe {table}").fetchall()
            listed = ", ".join(identifier(name) for name, *_ in columns)
            count, total = candidate.execute(
                f"select count(*), cast(sum(cast(hash({listed}) as hugeint)) as varchar) from {table}"
            ).fetchall()[0]
            shape = [(name, kind) for name, kind, *_ in columns]
            text = json.dumps([shape, count, total])
            found[node.unique_id] = hashlib.sha256(text.encode()).hexdigest()[:32]
    return found


def present_relations(database: Path) -> set[tuple[str, str]]:
    """Return schema and name of the tables and functions that a database holds, without views."""
    if not database.exists():
        return set()
    with duckdb.connect(str(database), read_only=True) as stored:
        return {*tables_in(stored), *functions_in(stored)}
