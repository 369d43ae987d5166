"""A shop with its own source, contract and lake, in a temporary folder."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from flows.config.connections import Connection, read_connections
from flows.config.contract import Contract, contracts_of
from flows.config.settings import DataFolder
from flows.core.errors import UsageError, WarehouseError
from flows.core.names import TableName
from flows.ingest.load import LoadResult, load_table
from flows.lake.delta import open_table, relation_of
from flows.lake.quarantine import quarantined_rows
from flows.lake.raw import RawTable
from flows.lake.reconcile import require_reconciliation

Row = dict[str, Any]

ORDERS = {
    "order_id": "varchar not null",
    "customer": "varchar",
    "quantity": "integer",
    "price": "decimal(18, 4)",
    "updated_at": "timestamp",
}
"""The contract's columns of a shop whose test declares no columns."""


def make_contract(
    table: str = "sales.orders",
    columns: Mapping[str, str | Row] = ORDERS,
    *,
    key: Sequence[str] = ("order_id",),
    **meta: Any,
) -> Contract:
    """Declare a contract like dbt's source YAML; a column is `type`, `type not null`, or its whole YAML."""
    name = TableName.parse(table)
    nodes: dict[str, Row] = {}
    for column, said in columns.items():
        if isinstance(said, str):
            constraints = [{"type": "not_null"}] if said.endswith(" not null") else []
            said = {"data_type": said.removesuffix(" not null"), "constraints": constraints}
        nodes[column] = {"name": column, **said}
    node = {
        "source_name": name.source,
        "name": name.table,
        "config": {"meta": {"key": list(key), **meta}},
        "columns": nodes,
    }
    return contracts_of([node])[name]


@dataclass
class Shop:
    """A source in a folder, its connections file, its contract and its lake."""

    folder: Path
    contract: Contract
    connection: Row

    @property
    def exports(self) -> Path:
        return self.folder / "exports"

    @property
    def name(self) -> TableName:
        return self.contract.name

    @property
    def connections_file(self) -> Path:
        return self.folder / "connections.yml"

    @property
    def lake(self) -> Path:
        return DataFolder.of("test").lake

    def declare(self, table: str = "sales.orders", columns: Mapping[str, str | Row] = ORDERS, **said: Any) -> None:
        """Declare another contract, or the same one again."""
        self.contract = make_contract(table, columns, **said)

    def change(self, **fields: Any) -> None:
        """Change single fields of the contract."""
        self.contract = self.contract.model_copy(update=fields)

    def map(self, **mapping: Any) -> None:
        """Set the mapping of the table, as `tables.<table>` of its connection."""
        self.connection["tables"] = {self.name.table: mapping}

    def connect(self, url: str, **further: Any) -> None:
        """Read from another source."""
        self.connection = {"url": url, **further}

    def drop(self, name: str, content: str | bytes) -> Path:
        """Put a file into the folder of exports."""
        path = self.exports / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def drop_rows(self, name: str, rows: Iterable[Row]) -> Path:
        """Put rows into the folder of exports, as JSON lines."""
        return self.drop(name, "".join(json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows))

    def read_connection(self) -> Connection:
        """Return the source's connection, as it is in the file now."""
        self.connections_file.write_text(yaml.safe_dump({"test": {self.name.source: self.connection}}))
        return read_connections(self.connections_file).sources[self.name.source]

    def load(self) -> LoadResult:
        """Load the table, and check that no record is lost or counted twice."""
        connection = self.read_connection()
        batch = RawTable(self.lake, self.name).batch if (self.lake / "raw").exists() else 0
        try:
            load = load_table(connection, self.contract, self.lake, run_id="a-run")
        except UsageError:
            raise
        except WarehouseError:
            assert self.loads()[-1]["outcome"] == "failed"
            raise
        counts = load.counts
        assert counts.read == counts.accepted + counts.quarantined + counts.known + counts.duplicate
        assert load.batch >= batch
        assert self.loads()[-1] | {"outcome": "completed", "read": counts.read, "error": None} == self.loads()[-1]
        require_reconciliation(self.lake, {self.name: (load.load_id, counts)})
        return load

    def rows(self, *columns: str, where: str = "not _deleted") -> list[Any]:
        """Return the rows of the lake's history, in the order of arrival."""
        listed = ", ".join(columns) or "*"
        relation = relation_of(open_table(self.lake / "raw" / self.name.source / self.name.table))
        if relation is None:
            return []
        rows = duckdb.sql(f"select {listed} from {relation} where {where} order by _batch, _row").fetchall()
        return [row[0] for row in rows] if len(columns) == 1 else rows

    def stored(self) -> set[tuple[Any, ...]]:
        """Return the contract's columns of all rows, without load times and ids."""
        return set(self.rows(*(f'"{name}"' for name in self.contract.types)))

    def quarantine(self) -> list[tuple[bytes, list[str]]]:
        """Return the raw record and the reasons of every quarantined record."""
        relation = quarantined_rows(RawTable(self.lake, self.name))
        if relation is None:
            return []
        return duckdb.sql(f"select _raw, _reasons from {relation} order by _batch, _row").fetchall()

    def loads(self) -> list[Row]:
        """Return the rows of ops/loads for the table, in the order of time."""
        relation = relation_of(open_table(self.lake / "ops" / "loads"))
        found = duckdb.sql(f"select * from {relation} order by started_at")
        return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def make_shop(folder: Path, patched: pytest.MonkeyPatch) -> Shop:
    """Make a shop whose orders are files, with its own data folder."""
    patched.setenv("ML_WAREHOUSE_DATA", str(folder / "data"))
    for variable in ("ML_WAREHOUSE_SET", "ML_WAREHOUSE_LAKE"):
        patched.delenv(variable, raising=False)
    (folder / "exports").mkdir()
    made = Shop(folder, make_contract(load="upsert", cursor="updated_at"), {"url": f"file:{folder / 'exports'}"})
    made.map(**{"from": "*"})
    return made
