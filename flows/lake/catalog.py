"""`catalog.duckdb`, which dbt attaches as `lake`: one view a source table, pinned to a Delta version.

It is replaced as a whole, never changed in place: a dbt process that has it open still reads the old one.
"""

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from flows.config.contract import SYSTEM_COLUMNS, Contract
from flows.core.names import TableName, identifier
from flows.core.storage import open_database
from flows.lake.delta import open_table, relation_of
from flows.lake.raw import RawTable, raw_path


@dataclass(frozen=True)
class Pin:
    """The state of a table that the catalog shows: Delta version and last batch; None and 0 if it was never loaded.

    `rows` changes exactly when the table's rows do; compaction does not change it. Empty if the table
    was never loaded.
    """

    version: int | None
    batch: int
    rows: str = field(default="", compare=False)


@dataclass(frozen=True)
class Verified:
    """The verified state of a raw table: its Delta id and version, its last batch, and a number of batches.

    The rows of so many batches agree with the hashes of their commits.
    """

    table_id: str
    version: int
    batch: int
    batches: int


def pin_catalog(
    path: Path,
    lake: Path,
    contracts: Mapping[TableName, Contract],
    versions: Mapping[TableName, int] | None = None,
    *,
    stay: Mapping[TableName, int | None] | None = None,
) -> dict[TableName, Pin]:
    """Point every view at the newest version of its table, and return the pins.

    With `versions` the views show these; a table without one is empty, as before its first load. Tables that `stay`
    show these versions, and the others their newest ones; None is one that was never loaded.
    """
    with _exclusive(path):
        stay = stay or {}
        shown = contracts if versions is None else contracts.keys() & versions.keys()
        pins = dict.fromkeys(contracts, Pin(None, 0))
        for name in shown:
            if name in stay and stay[name] is None:
                continue
            table = RawTable(lake, name, stay.get(name) if versions is None else versions[name])
            pins[name] = Pin(table.version, table.batch, table.rows_state)
        _write(path, lake, contracts, pins)
    return pins


def complete_catalog(path: Path, lake: Path, contracts: Mapping[TableName, Contract]) -> None:
    """Make the catalog hold a view for each declared table, without moving the pins that it has.

    A new table is shown as the lake has it, typed and empty if it was never loaded. Relations that were made by other
    means under a declared name stay as they are.
    """
    with _exclusive(path):
        pins, shapes, relations = _read(path)
        if all(
            shapes.get(name) == _shape(contract) or (name not in shapes and name in relations)
            for name, contract in contracts.items()
        ):
            return
        for name in contracts:
            table = RawTable(lake, name)
            pins.setdefault(name, Pin(table.version, table.batch, table.rows_state))
        _write(path, lake, contracts, {name: pins[name] for name in contracts})


def read_pins(path: Path) -> dict[TableName, Pin]:
    """Return the versions that a catalog shows."""
    return _read(path)[0]


def loaded_tables(lake: Path, names: Iterable[TableName]) -> set[TableName]:
    """Return the tables that the lake holds, whether or not the catalog shows them yet."""
    return {name for name in names if RawTable(lake, name).version is not None}


def _read(path: Path) -> tuple[dict[TableName, Pin], dict[TableName, str], set[TableName]]:
    if not path.exists():
        return {}, {}, set()
    remedy = "The next run makes it again: python -m flows elt"
    with open_database(path, f"{path.name} cannot be read", remedy) as catalog:
        found = catalog.execute("select table_schema, table_name from information_schema.tables").fetchall()
        relations = {TableName(schema, table) for schema, table in found}
        if TableName("main", "pins") not in relations:
            return {}, {}, relations
        rows = catalog.execute("select columns(* exclude (shape)), shape from main.pins").fetchall()
    pins = {TableName(source, table): Pin(*pin) for source, table, *pin, _ in rows}
    shapes = {TableName(source, table): shape for source, table, *_, shape in rows}
    return pins, shapes, relations


def _write(path: Path, lake: Path, contracts: Mapping[TableName, Contract], pins: Mapping[TableName, Pin]) -> None:
    """Write a new catalog beside the old one, then replace that."""
    newest = path.with_name(f"{path.name}.{os.getpid()}.new")
    for left in path.parent.glob(f"{path.name}.*.new"):  # of killed processes: the lock keeps others out
        left.unlink()
    with duckdb.connect(str(newest)) as catalog:
        catalog.execute(
            "create table main.pins (source varchar, table_name varchar, version bigint, batch bigint, rows varchar, "
            "shape varchar)"
        )
        for name, contract in contracts.items():
            pin = pins[name]
            catalog.execute(f"create schema if not exists {identifier(name.source)}")
            view = f"{identifier(name.source)}.{identifier(name.table)}"
            catalog.execute(f"create view {view} as {_view_sql(lake, contract, pin)}")
            row = [name.source, name.table, pin.version, pin.batch, pin.rows, _shape(contract)]
            catalog.execute("insert into main.pins values (?, ?, ?, ?, ?, ?)", row)
    os.replace(newest, path)


def _view_sql(lake: Path, contract: Contract, pin: Pin) -> str:
    types = {**contract.types, **SYSTEM_COLUMNS}
    empty = ", ".join(f"cast(null as {kind}) as {identifier(name)}" for name, kind in types.items())
    delta = open_table(raw_path(lake, contract.name), pin.version) if pin.version is not None else None
    relation = relation_of(delta)
    if delta is None or relation is None:
        return f"select {empty} where false"
    present = {field.name.casefold() for field in delta.schema().fields}
    declared = {name.casefold() for name in types}
    listed = [
        f"cast({identifier(name) if name.casefold() in present else 'null'} as {kind}) as {identifier(name)}"
        for name, kind in types.items()
    ]
    listed += [identifier(field.name) for field in delta.schema().fields if field.name.casefold() not in declared]
    return f"select {', '.join(listed)} from {relation}"


def _shape(contract: Contract) -> str:
    return json.dumps(dict(contract.types))


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Let one process at a time replace the catalog."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
