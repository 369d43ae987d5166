"""The contract of a source table, as dbt's source YAML declares it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, cast

from flows.errors import WrongUse
from flows.names import TableName, identifier

Load = Literal["append", "upsert", "full"]

SYSTEM_COLUMNS: Mapping[str, str] = {
    "_loaded_at": "timestamp",
    "_load_id": "varchar",
    "_batch": "bigint",
    "_row": "bigint",
    "_position": "varchar",
    "_deleted": "boolean",
    "_is_backfill": "boolean",
}
"""What the lake adds to each row, with DuckDB types: when and with which load and batch it arrived, its order within
the batch, where it stood in the source, whether it is a tombstone, and whether it came with the table's first load."""

PERSONAL_TAGS = {"pii", "phi"}
"""A column with one of these in its meta holds personal data: its values are never shown."""

UNKEPT_TYPES: Mapping[str, str] = {
    "utinyint": "smallint",
    "usmallint": "integer",
    "uinteger": "bigint",
    "ubigint": "decimal(20, 0)",
    "hugeint": "decimal(38, 0)",
    "uhugeint": "decimal(38, 0)",
    "time": "varchar",
    "interval": "varchar",
    "timestamp_s": "timestamp",
    "timestamp_ms": "timestamp",
    "timestamp_ns": "timestamp",
}
"""DuckDB's types that Delta has none for, each with one that holds its values."""

PERIODS = {"minute": 60, "hour": 3_600, "day": 86_400}


@dataclass(frozen=True)
class Check:
    """A rule on a record: SQL over the contract's columns that must not be false."""

    name: str
    expression: str


@dataclass(frozen=True)
class Column:
    """A column of a contract."""

    name: str
    data_type: str
    is_required: bool
    is_personal: bool = False
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Contract:
    """What every record of a source table must meet, and how its loads are read."""

    name: TableName
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    load: Load = "append"
    cursor: str | None = None
    overlap: timedelta = timedelta(hours=1)
    on_extra_column: Literal["evolve", "ignore", "freeze"] = "evolve"
    quarantine_limit_pct: float = 50.0
    has_freshness: bool = False

    @property
    def types(self) -> Mapping[str, str]:
        """Column names with their DuckDB types."""
        return {column.name: column.data_type for column in self.columns}

    @property
    def required(self) -> Mapping[str, bool]:
        """Column names, and whether a record without them is quarantined."""
        return {column.name: column.is_required for column in self.columns}

    @property
    def key_sql(self) -> str:
        """The key's columns, quoted, as a list."""
        return ", ".join(map(identifier, self.key))


def contracts_of(sources: Iterable[Any]) -> dict[TableName, Contract]:
    """Return the contracts of dbt's source nodes, as a manifest holds them (objects or their JSON).

    Raises WrongUse for a table whose meta lacks a key, or a column without a data type.
    """
    contracts = (_contract(node if isinstance(node, dict) else node.to_dict()) for node in sources)
    return {contract.name: contract for contract in sorted(contracts, key=lambda contract: contract.name)}


def _contract(node: dict[str, Any]) -> Contract:
    name = TableName(node["source_name"], node["name"])
    meta = {**node.get("meta", {}), **(node.get("config", {}).get("meta") or {})}
    key = tuple(meta.get("key", ()))
    columns = tuple(_column(name, column, key) for column in node["columns"].values())
    cursor, load = meta.get("cursor"), meta.get("load", "append")
    names = {column.name for column in columns}
    for wrong, remedy in (
        (not key, "declare its key: config.meta.key, a list of columns"),
        (not set(key) <= names, f"its key {list(key)} is not among its columns"),
        (cursor is not None and cursor not in names, f"its cursor {cursor!r} is not among its columns"),
        (load not in ("append", "upsert", "full"), f"its load {load!r} is none of append, upsert, full"),
        (any(name.startswith("_") for name in names), "names that begin with _ are the lake's own"),
        (len({name.casefold() for name in names}) < len(columns), "two columns differ by case alone"),
    ):
        if wrong:
            raise WrongUse(f"The contract of {name} cannot be used.", f"In its sources.yml, {remedy}.")
    overlap = meta.get("overlap", {"count": 1, "period": "hour"})
    freshness = node.get("freshness") or {}
    return Contract(
        name=name,
        columns=columns,
        key=key,
        load=cast(Load, load),
        cursor=cursor,
        overlap=timedelta(seconds=overlap["count"] * PERIODS[overlap["period"]]),
        on_extra_column=meta.get("on_extra_column", "evolve"),
        quarantine_limit_pct=float(meta.get("quarantine_limit_pct", 50)),
        has_freshness=any((freshness.get(level) or {}).get("count") for level in ("warn_after", "error_after")),
    )


def _column(table: TableName, node: dict[str, Any], key: tuple[str, ...]) -> Column:
    constraints = node.get("constraints") or []
    if not node.get("data_type"):
        raise WrongUse(f"The contract of {table} cannot be used.", f"Give its column {node['name']!r} a data_type.")
    kind = node["data_type"].lower()
    if kind in UNKEPT_TYPES:
        raise WrongUse(
            f"The contract of {table} cannot be used: the lake keeps no {kind}.",
            f"Give its column {node['name']!r} the data_type {UNKEPT_TYPES[kind]}.",
        )
    kinds = {constraint["type"] for constraint in constraints}
    meta = {**(node.get("meta") or {}), **((node.get("config") or {}).get("meta") or {})}
    return Column(
        name=node["name"],
        data_type=kind,
        is_required="not_null" in kinds or node["name"] in key,
        is_personal=bool(meta.keys() & PERSONAL_TAGS),
        checks=tuple(
            Check(constraint.get("name") or constraint["expression"], constraint["expression"])
            for constraint in constraints
            if constraint["type"] == "check"
        ),
    )
