"""The data contract of a source table, as dbt's source YAML declares it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Any, Literal, cast

import duckdb

from flows.core.errors import UsageError
from flows.core.names import TableName, duration, folded, identifier

LoadMode = Literal["append", "upsert", "full"]

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

EXTRA_COLUMNS = ("evolve", "ignore", "freeze")

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


@dataclass(frozen=True)
class Check:
    """A rule on a record: SQL over the contract's columns that must not be false."""

    name: str
    expression: str


@dataclass(frozen=True)
class Column:
    """A column of a contract; what has happened lies no further ahead than the contract's `future_tolerance`."""

    name: str
    data_type: str
    is_required: bool
    is_personal: bool = False
    has_happened: bool = False
    checks: tuple[Check, ...] = ()
    null_limit_pct: float = 100.0


@dataclass(frozen=True)
class Derivation:
    """How a table is made of another table of the lake: by which step, of which table, and what the step is told."""

    by: str
    of: TableName
    options: Mapping[str, Any]

    def definition(self) -> str:
        """Return what decides which rows are made."""
        return json.dumps({"by": self.by, "of": str(self.of), **self.options}, sort_keys=True, default=str)


@dataclass(frozen=True)
class Contract:
    """What every record of a source table must meet, and how its loads are read."""

    name: TableName
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    load: LoadMode = "append"
    cursor: str | None = None
    lookback: timedelta = timedelta(hours=1)
    future_tolerance: timedelta = timedelta(days=1)
    on_extra_column: Literal["evolve", "ignore", "freeze"] = "evolve"
    quarantine_limit_pct: float = 50.0
    derivation: Derivation | None = None

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

    Sources in another database than `lake` are somebody else's. Raises UsageError for a table whose meta lacks a key,
    a column without a data type, or names that collide.
    """
    nodes = (node if isinstance(node, dict) else node.to_dict() for node in sources)
    contracts = [_contract(node) for node in nodes if node.get("database", "lake") == "lake"]
    seen: dict[str, TableName] = {}
    for contract in contracts:
        other = seen.setdefault(folded(str(contract.name)), contract.name)
        if other != contract.name:
            raise UsageError(
                f"The contracts of {other} and {contract.name} differ by case or Unicode form alone.", "Rename one."
            )
    return {contract.name: contract for contract in sorted(contracts, key=lambda contract: contract.name)}


def _contract(node: dict[str, Any]) -> Contract:
    name = TableName(node["source_name"], node["name"])
    meta = {**node.get("meta", {}), **(node.get("config", {}).get("meta") or {})}
    key = tuple(meta.get("key", ())) if not isinstance(meta.get("key"), str) else (meta["key"],)
    columns = tuple(_column(name, column, key) for column in node["columns"].values())
    cursor, load, extra = meta.get("cursor"), meta.get("load", "append"), meta.get("on_extra_column", "evolve")
    names = {column.name for column in columns}
    for wrong, remedy in (
        (not key, "declare its key: config.meta.key, a list of columns"),
        (not set(key) <= names, f"its key {list(key)} is not among its columns"),
        (cursor is not None and cursor not in names, f"its cursor {cursor!r} is not among its columns"),
        (extra not in EXTRA_COLUMNS, f"its on_extra_column {extra!r} is none of {', '.join(EXTRA_COLUMNS)}"),
        (load not in ("append", "upsert", "full"), f"its load {load!r} is none of append, upsert, full"),
        (any(name.startswith("_") for name in names), "names that begin with _ are the lake's own"),
        (len(set(map(folded, names))) < len(columns), "two columns differ by case or Unicode form alone"),
    ):
        if wrong:
            raise UsageError(f"The contract of {name} cannot be used.", f"In its sources.yml, {remedy}.")
    return Contract(
        name=name,
        columns=columns,
        key=key,
        load=cast(LoadMode, load),
        cursor=cursor,
        lookback=_duration(name, meta, "lookback", Contract.lookback),
        future_tolerance=_duration(name, meta, "future_tolerance", Contract.future_tolerance),
        on_extra_column=extra,
        quarantine_limit_pct=float(meta.get("quarantine_limit_pct", 50)),
        derivation=_derivation(name, meta["derived"]) if "derived" in meta else None,
    )


def _derivation(table: TableName, said: Any) -> Derivation:
    try:
        options = dict(said)
        return Derivation(str(options.pop("by")), TableName.parse(str(options.pop("of"))), options)
    except (KeyError, TypeError, ValueError):
        raise UsageError(
            f"The contract of {table} cannot be used: it does not say how it is derived.",
            "In its sources.yml, write config.meta.derived with `by`, a step, and `of`, a source table.",
        ) from None


def _duration(table: TableName, meta: Mapping[str, Any], key: str, default: timedelta) -> timedelta:
    try:
        return duration(meta[key]) if key in meta else default
    except ValueError as error:
        raise UsageError(
            f"The contract of {table} cannot be used.", f"In its sources.yml, its {key} {error}."
        ) from None


def _column(table: TableName, node: dict[str, Any], key: tuple[str, ...]) -> Column:
    constraints = node.get("constraints") or []
    if not node.get("data_type"):
        raise UsageError(f"The contract of {table} cannot be used.", f"Give its column {node['name']!r} a data_type.")
    kind = _canonical(table, node)
    if kind in UNKEPT_TYPES:
        raise UsageError(
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
        has_happened=bool(meta.get("has_happened")),
        null_limit_pct=float(meta.get("null_limit_pct", Column.null_limit_pct)),
        checks=tuple(
            Check(constraint.get("name") or constraint["expression"], constraint["expression"])
            for constraint in constraints
            if constraint["type"] == "check"
        ),
    )


def _canonical(table: TableName, node: dict[str, Any]) -> str:
    try:
        return _name_of_type(node["data_type"])
    except duckdb.Error:
        raise UsageError(
            f"The contract of {table} cannot be used: {node['data_type']!r} is no type.",
            f"Give its column {node['name']!r} a DuckDB type.",
        ) from None


@cache
def _name_of_type(kind: str) -> str:
    """Return DuckDB's own name of a type: int8 and long are bigint, dec(18,4) is decimal(18,4)."""
    with duckdb.connect() as connection:  # ten milliseconds, and a project has hundreds of columns
        described = connection.execute(f"describe select cast(null as {kind}) as value").fetchall()
    name: str = described[0][1]
    return name.lower().replace(",", ", ")
