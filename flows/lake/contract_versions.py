"""Versions of contracts: which version checked the data, and what each version changed."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from flows.config.contract import Column, Contract
from flows.config.validation import RENAMED
from flows.core.clock import utc_now
from flows.lake.delta import append_row, open_table, query

CONTRACTS = pa.schema(
    [
        ("table_name", pa.string()),
        ("version", pa.int64()),
        ("definition", pa.string()),
        ("since", pa.timestamp("us")),
    ]
)
"""The table ops/contracts: the versions of each contract as JSON, in the order in which loads used them."""


def record_contract_version(lake: Path, contract: Contract) -> int:
    """Return the number of the contract's version, from 1; one that differs from the last gets a new number."""
    path, versions = lake / "ops" / "contracts", _versions(lake, contract)
    definition = _definition(contract)
    newest = max(versions, default=0)
    if newest and _with_defaults(versions[newest]) == definition:
        return newest
    row = {
        "table_name": str(contract.name),
        "version": newest + 1,
        "definition": json.dumps(definition, ensure_ascii=False),
        "since": utc_now(),
    }
    append_row(path, row, CONTRACTS)
    return newest + 1


def changes_since(lake: Path, contract: Contract, version: int) -> str:
    """Describe how the contract differs from one of its versions; empty for a version that does not exist."""
    before = _versions(lake, contract).get(version)
    return "" if before is None else ", ".join(_changes(_with_defaults(before), _definition(contract)))


def _versions(lake: Path, contract: Contract) -> dict[int, dict[str, Any]]:
    sql = "select version, definition from {table} where table_name = $1"
    rows = query(open_table(lake / "ops" / "contracts"), sql, [str(contract.name)])
    return {version: json.loads(definition) for version, definition in rows}


def _definition(contract: Contract) -> dict[str, Any]:
    """Return a contract as JSON has it; it holds rules and names, no values and no connection."""
    definition = contract.model_dump(mode="json", exclude={"name"})
    definition["columns"].sort(key=lambda column: column["name"])
    return definition


def _with_defaults(definition: dict[str, Any]) -> dict[str, Any]:
    """Return what an earlier version of this project stored, by today's names, and with what it could not say."""
    columns = [_defaults(Column) | column for column in definition["columns"]]
    renamed = {RENAMED.get(word, word): value for word, value in definition.items()}
    return {**_defaults(Contract), **renamed, "columns": columns}


def _defaults(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_construct().model_dump(mode="json", warnings=False)


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Yield the differences: columns by name, then the other properties of the contract."""
    old, new = ({column["name"]: column for column in each["columns"]} for each in (before, now))
    for name, column in new.items():
        if name not in old:
            yield f"{name} added"
        elif column["data_type"] != old[name]["data_type"]:
            yield f"{name} {old[name]['data_type']} → {column['data_type']}"
        if name in old and column["is_required"] != old[name]["is_required"]:
            yield f"{name} {'required' if column['is_required'] else 'no longer required'}"
        if name in old and column["checks"] != old[name]["checks"]:
            yield f"checks of {name} changed"
        if name in old and column["is_personal"] != old[name]["is_personal"]:
            yield f"{name} {'personal' if column['is_personal'] else 'no longer personal'}"
    yield from (f"{name} removed" for name in old if name not in new)
    for word in sorted(now.keys() - {"columns"}):
        if before.get(word) != now[word]:
            yield f"{word} {before.get(word)} → {now[word]}"
