"""The data contract of a source table, as dbt's source YAML declares it."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, timedelta
from functools import cache
from typing import Annotated, Any, Literal, Self

import duckdb
from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from flows.config.validation import ConfigModel, Day, DeclaredLookback, Duration, LoadMode, parse, suggest_key
from flows.core.errors import UsageError
from flows.core.names import TableName, folded, identifier

SYSTEM_COLUMNS: Mapping[str, str] = {
    "_loaded_at": "timestamp",
    "_load_id": "varchar",
    "_batch": "bigint",
    "_row": "bigint",
    "_position": "varchar",
    "_deleted": "boolean",
    "_is_backfill": "boolean",
}
"""Columns that the lake adds to each row, with DuckDB types: time, load and batch of arrival, order in the batch.
Further: the place in the source, whether the row is a tombstone, and whether the table's first load brought it."""

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

MISSPELT = 0.81
"""How much another key must be like an own one to be refused as misspelt: `curser` is, `loader` is not."""

REMEDY = "Fix it in its sources.yml; CONTRIBUTING.md, «Add a table of your own», lists what a contract can declare."


def _canonical_type(data_type: str) -> str:
    try:
        name = name_of_type(data_type)
    except duckdb.Error:
        raise ValueError(f"is {data_type!r}, which is not a type of DuckDB") from None
    if name in UNKEPT_TYPES:
        raise ValueError(f"is {name}, which the lake cannot store; write {UNKEPT_TYPES[name]}")
    return name


class Check(ConfigModel):
    """A rule on a record: SQL over the contract's columns that must not be false."""

    name: str
    expression: str


class Column(ConfigModel):
    """A column of a contract; what has happened lies between its `earliest` day and its `future_tolerance`.

    `personal_class` names the class of personal data, for what is shown. It is no rule for records, so it is no part of
    the contract's version and hash.
    """

    name: str
    data_type: Annotated[str, AfterValidator(_canonical_type)]
    is_required: bool
    is_personal: bool = False
    personal_class: str = Field(default="", exclude=True)
    has_happened: bool = False
    checks: tuple[Check, ...] = ()
    null_limit_pct: float = 100.0


class Derivation(ConfigModel):
    """How a table is made of another table of the lake: by which step, of which table, and with which options."""

    by: str
    of: Annotated[TableName, BeforeValidator(lambda text: TableName.parse(str(text)))]
    options: Mapping[str, Any] = {}

    @model_validator(mode="before")
    @classmethod
    def _gather_options(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        named = {key: value[key] for key in ("by", "of") if key in value}
        return {**named, "options": {key: one for key, one in value.items() if key not in named}}


class Contract(ConfigModel):
    """The data contract of a source table: the rules for every record, and how loads read the table."""

    name: TableName
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    load: LoadMode = "append"
    cursor: str | None = None
    lookback: DeclaredLookback = timedelta(hours=1)
    future_tolerance: Duration = timedelta(days=1)
    earliest: Day = date(1900, 1, 1)
    on_extra_column: Literal["evolve", "ignore", "freeze"] = "evolve"
    quarantine_limit_pct: float = 50.0
    deleted_limit_pct: float = 50.0
    derivation: Derivation | None = Field(default=None, alias="derived")

    @model_validator(mode="after")
    def _require_names_that_fit(self) -> Self:
        names = self.types
        for is_wrong, mistake in (
            (not self.key, "it has no key; write a list of columns"),
            (not names.keys() >= set(self.key), f"its key {list(self.key)} is not among its columns"),
            (self.cursor not in (None, *names), f"its cursor {self.cursor!r} is not among its columns"),
            (any(name.startswith("_") for name in names), "names that begin with _ are the lake's own"),
            (len(set(map(folded, names))) < len(self.columns), "two columns differ by case or Unicode form alone"),
        ):
            if is_wrong:
                raise ValueError(mistake)
        return self

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


TABLE_KEYS = {field.alias or name for name, field in Contract.model_fields.items()} - {"name", "columns"}
COLUMN_KEYS = {"has_happened", "null_limit_pct"}
"""The project's own keys under `config.meta`. Other keys belong to other tools, unless they look like misspelt ones."""


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
    name, meta = TableName(node["source_name"], node["name"]), meta_of(node)
    subject = f"The contract of {name} cannot be used"
    key = [meta["key"]] if isinstance(meta.get("key"), str) else meta.get("key") or ()
    columns = [_column(column, key, subject) for column in node["columns"].values()]
    declared = {**_own(meta, TABLE_KEYS, subject), "name": name, "key": key, "columns": columns}
    return parse(Contract, declared, subject=subject, remedy=REMEDY)


def _column(node: dict[str, Any], key: Collection[str], subject: str) -> Column:
    place, meta, constraints = ("columns", node["name"]), meta_of(node), node.get("constraints") or []
    kinds = {constraint["type"] for constraint in constraints}
    declared = {
        **_own(meta, COLUMN_KEYS, f"{subject}: {'.'.join(place)}"),
        "name": node["name"],
        "data_type": node.get("data_type"),
        "is_required": "not_null" in kinds or node["name"] in key,
        "is_personal": bool(meta.keys() & PERSONAL_TAGS),
        "personal_class": ", ".join(str(meta[tag]) for tag in sorted(meta.keys() & PERSONAL_TAGS)),
        "checks": [
            {"name": constraint.get("name") or constraint["expression"], "expression": constraint["expression"]}
            for constraint in constraints
            if constraint["type"] == "check"
        ],
    }
    return parse(Column, declared, subject=subject, place=place, remedy=REMEDY)


def meta_of(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the meta of a node, a column or an exposure of YAML or of dbt's manifest, wherever it is written."""
    return {**(node.get("meta") or {}), **((node.get("config") or {}).get("meta") or {})}


def _own(meta: dict[str, Any], keys: Collection[str], subject: str) -> dict[str, Any]:
    """Return the own keys of a map that other tools use too; raises UsageError for a misspelt one."""
    for word in meta.keys() - keys - PERSONAL_TAGS:
        if hint := suggest_key(word, keys, MISSPELT):
            raise UsageError(f"{subject}: config.meta has the key {word}{hint}.", REMEDY)
    return {word: meta[word] for word in meta.keys() & keys}


@cache
def _any_database() -> duckdb.DuckDBPyConnection:
    """Return an empty database in memory: opening one takes ten milliseconds, and a project has many types."""
    return duckdb.connect()


@cache
def name_of_type(kind: str) -> str:
    """Return DuckDB's own name of a type: int8 and long are bigint, dec(18,4) is decimal(18,4)."""
    with _any_database().cursor() as connection:
        described = connection.execute(f"describe select cast(null as {kind}) as value").fetchall()
    name: str = described[0][1]
    return name.lower().replace(",", ", ")
