"""A lake with a few rows, written by hand, and a warehouse that dbt builds from it in this process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest

from flows.config.contract import SYSTEM_COLUMNS
from flows.config.settings import DataFolder
from flows.warehouse.dbt import Dbt

PROJECT = Path(__file__).parents[3]
PROFILE = """
ml_warehouse:
  target: by_hand
  outputs:
    by_hand:
      type: duckdb
      path: "{{ env_var('LAKE_BY_HAND') }}/warehouse.duckdb"
      schema: core
      threads: 2
      module_paths: ["."]
      plugins: [{module: flows.warehouse.lake_plugin, alias: lake}]
      attach: [{path: "{{ env_var('LAKE_BY_HAND') }}/catalog.duckdb", alias: lake, read_only: true}]
      settings: {TimeZone: UTC, preserve_insertion_order: false}
"""

Row = dict[str, Any]

ROUNDS = int(os.environ.get("INCREMENTAL_ROUNDS", "3"))
SEEDS = [pytest.param(seed, marks=pytest.mark.proof if seed else []) for seed in range(ROUNDS)]
"""Random seeds for tests that compare an incremental build with a full refresh; from the second on they are proofs."""

SEEDS_OF_LONG_TESTS = [
    pytest.param(seed, marks=pytest.mark.proof if seed else pytest.mark.slow) for seed in range(ROUNDS)
]
"""Random seeds for tests whose first round takes more than ten seconds."""

SEEDS_OF_WHOLE_BUILDS = [
    pytest.param(seed, marks=[[], pytest.mark.slow, pytest.mark.proof][min(seed, 2)]) for seed in range(ROUNDS)
]
"""Random seeds for tests that build few models with the first seed, and all models with the others."""


@dataclass
class Lake:
    """Rows by table in their order of arrival, such as {"crm.customers": [{"customer_id": "C1", …}]}."""

    arrived: dict[str, list[Row]] = field(default_factory=dict)
    loads: int = 0
    extras: dict[str, dict[str, str]] = field(default_factory=dict)
    """Types of columns beyond the contract, by table."""

    def load(self, at: datetime, **tables: list[Row]) -> None:
        """Append one batch to each table, named with two underscores: load(at, crm__customers=[…])."""
        self.loads += 1
        for name, rows in tables.items():
            history = self.arrived.setdefault(name.replace("__", "."), [])
            batch = max((row["_batch"] for row in history), default=0) + 1
            history.extend(
                {
                    "_loaded_at": at,
                    "_load_id": f"load-{self.loads}",
                    "_batch": batch,
                    "_row": number,
                    "_deleted": False,
                    "_is_backfill": self.loads == 1,
                    **row,
                }
                for number, row in enumerate(rows)
            )

    def rewrite(self, table: str, rows: list[Row]) -> None:
        """Replace a table's history by other rows, as one batch of a new load."""
        self.arrived[table] = []
        for row in rows:
            row.update(_batch=1)
        self.loads += 1
        self.arrived[table] = [{**row, "_load_id": f"load-{self.loads}", "_row": n} for n, row in enumerate(rows)]

    def write(self, path: Path, manifest: Manifest) -> None:
        """Write a catalog with a table for each declared source, with the types of its contract."""
        path.unlink(missing_ok=True)
        with duckdb.connect(str(path)) as catalog:
            for source in manifest.sources.values():
                types = {column.name: column.data_type for column in source.columns.values()} | SYSTEM_COLUMNS
                types |= self.extras.get(f"{source.schema}.{source.name}", {})
                columns = ", ".join(f'"{name}" {data_type}' for name, data_type in types.items())
                catalog.execute(f"create schema if not exists {source.schema}")
                catalog.execute(f"create table {source.schema}.{source.name} ({columns})")
                rows = self.arrived.get(f"{source.schema}.{source.name}", [])
                if rows:
                    given = pa.table({name: [row.get(name) for row in rows] for name in types})
                    catalog.register("given", given)
                    catalog.execute(f"insert into {source.schema}.{source.name} from given")


class Warehouse:
    """A separate database, which dbt builds from the present state of a lake."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.path = folder / "warehouse.duckdb"
        self.manifest = manifest
        folder.mkdir(parents=True)

    def build(self, lake: Lake, *options: str) -> dbtRunnerResult:
        """Build models and seeds, without tests; raises dbt's error."""
        result = self.dbt(lake, "build", "--resource-type", "model", "--resource-type", "seed", *options)
        assert result.success, result.exception or [node.message for node in result.result if node.message != "OK"]
        return result

    def build_changed(self, lake: Lake, sources: tuple[str, ...], models: tuple[str, ...]) -> dbtRunnerResult:
        """Build what lies between these sources and these models; everything else is as it was."""
        return self.build(lake, "--select", *(f"source:{one}+,+{model}" for one in sources for model in models))

    def dbt(self, lake: Lake, *command: str) -> dbtRunnerResult:
        """Run a dbt command on the present lake."""
        lake.write(self.folder / "catalog.duckdb", self.manifest)
        return run_dbt(self.folder, *command, manifest=self.manifest)

    def tables(self) -> list[str]:
        """Return the tables that must be the same after every kind of build: no seeds, no times and no states."""
        seeds = {node.name for node in self.manifest.nodes.values() if node.resource_type == "seed"}
        with self.connect() as warehouse:
            found = warehouse.execute(
                "select schema_name || '.' || table_name, table_name from duckdb_tables() "
                "where not temporary and schema_name <> 'history'"
            ).fetchall()
        return sorted(table for table, name in found if name not in {*seeds, "incremental_state"})

    @contextmanager
    def connect(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Open the database, to read it or to damage it."""
        with duckdb.connect(str(self.path)) as connection:
            yield connection

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        with self.connect() as warehouse:
            return warehouse.execute(query).fetchall()

    def differences(self, other: "Warehouse") -> dict[str, list[tuple[Any, ...]]]:
        """Return, by table, the rows that only one of the two databases has."""
        assert self.tables() == other.tables()
        found: dict[str, list[tuple[Any, ...]]] = {}
        with self.connect() as warehouse:
            warehouse.execute(f"attach '{other.path}' as other (read_only)")
            for table in self.tables():
                rows = warehouse.execute(
                    f"(select 'only here', * from (from {table} except all from other.{table}))"
                    f"union all (select 'only there', * from (from other.{table} except all from {table}))"
                ).fetchall()
                if rows:
                    found[table] = rows
        return found


def run_dbt(folder: Path, *command: str, manifest: Manifest | None = None) -> dbtRunnerResult:
    """Run dbt in this process on the project, with all of its output under a folder."""
    os.environ["LAKE_BY_HAND"] = str(folder)
    profiles = folder / "profiles"
    profiles.mkdir(exist_ok=True)
    (profiles / "profiles.yml").write_text(PROFILE)
    try:
        return dbtRunner(manifest=manifest).invoke(
            [
                *command,
                *("--project-dir", str(PROJECT), "--profiles-dir", str(profiles)),
                *("--target-path", str(folder / "target"), "--log-path", str(folder / "logs")),
                *("--quiet", "--log-level-file", "none", "--no-write-json"),
            ]
        )
    finally:
        # dbt keeps its connection, and so the lock of the file, until the connection is closed.
        DuckDBConnectionManager.close_all_connections()


def parse(folder: Path) -> Manifest:
    """Parse the project once; every build uses this manifest and does not parse again."""
    return Dbt.parse(DataFolder(folder)).manifest
