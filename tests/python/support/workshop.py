"""A set of connections in files and a database, loaded by the project's contracts and built by dbt."""

import csv
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Warehouse, run_dbt

from flows.config.connections import read_connections
from flows.config.contract import contracts_of
from flows.core.names import TableName
from flows.ingest.load import load_table
from flows.lake.catalog import pin_catalog

Row = dict[str, Any]


@dataclass
class Workshop:
    """A machine shop: its exports, its connections file, its lake and its warehouse."""

    folder: Path
    manifest: Manifest
    tables: dict[str, Row] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.warehouse = Warehouse(self.folder / "warehouse", self.manifest)
        (self.folder / "exports").mkdir()
        (self.folder / "lake").mkdir()

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    def write_csv(self, name: str, rows: Sequence[Row]) -> None:
        """Write an export; a later one of another name is a later delivery."""
        with (self.exports / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter=";")
            writer.writeheader()
            writer.writerows(rows)

    def write_database(self, table: str, rows: Sequence[Row]) -> None:
        """Append rows to a table of the workshop's database, and create it first if need be."""
        names = ", ".join(rows[0])
        with closing(sqlite3.connect(self.exports / "desk.sqlite")) as database, database:
            database.execute(f"create table if not exists {table} ({names})")
            database.executemany(
                f"insert into {table} values ({', '.join('?' for _ in rows[0])})", [tuple(row.values()) for row in rows]
            )

    def map(self, table: str, source: str = "exports", **mapping: Any) -> None:
        """Say where a table of the contract `equipment` is, and how its columns are named there."""
        self.tables[table] = {"source": source, **mapping}

    def load(self) -> None:
        """Load all mapped tables, as a run of the flow does."""
        contracts = contracts_of(self.manifest.sources.values())
        for table, mapping in self.tables.items():
            mapping = dict(mapping)
            is_file = mapping.pop("source") == "exports"
            url = f"file:{self.exports}" if is_file else f"sqlite:///{self.exports / 'desk.sqlite'}"
            connections = self.folder / f"{table}.yml"
            connections.write_text(yaml.safe_dump({"set": {"equipment": {"url": url, "tables": {table: mapping}}}}))
            connection = read_connections(connections).sources["equipment"]
            result = load_table(connection, contracts[TableName("equipment", table)], self.folder / "lake", run_id="r")
            assert result.counts.quarantined == 0

    def build(self, *models: str) -> None:
        """Build models and what they read, with their tests."""
        contracts = contracts_of(self.manifest.sources.values())
        pin_catalog(self.warehouse.folder / "catalog.duckdb", self.folder / "lake", contracts)
        result = run_dbt(
            self.warehouse.folder,
            *("build", "--exclude-resource-type", "unit_test", "--select", *(f"+{model}" for model in models)),
            manifest=self.manifest,
        )
        failed = [f"{one.node.name}: {one.message}" for one in result.result if one.status in ("error", "fail")]
        assert not failed, (result.exception, failed)
        self.warnings = {one.node.name for one in result.result if one.status == "warn"}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return self.warehouse.rows(query)
