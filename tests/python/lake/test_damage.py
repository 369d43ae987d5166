"""A lake that was damaged: told as a fault of storage with table and file, and brought back by one command."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from support.shop import ORDERS, Shop

from flows.config.connections import read_connections
from flows.core.errors import StorageFailed
from flows.ingest.reload import Reload, reload_table, restore_operations
from flows.lake.catalog import Pin
from flows.lake.damage import require_known_batches, require_readable, require_whole, tables_of
from flows.lake.maintenance import compact_and_vacuum_lake
from flows.lake.quarantine import quarantine_path
from flows.lake.raw import RawTable, raw_path
from flows.lake.verify import verify_new_files, verify_table

HEADER = "order_id,customer,quantity,price,updated_at\n"


def drop_day(shop: Shop, day: int, rows: int = 3) -> None:
    lines = (f"{day}-{n},Ada,{n},{n}.25,2026-03-{day:02} 10:00:00\n" for n in range(rows))
    shop.drop(f"{day}.csv", HEADER + "".join(lines) + f"{day}-bad,Eve,many,1.50,2026-03-{day:02} 12:00:00\n")


@pytest.fixture
def loaded(shop: Shop) -> Shop:
    """A shop with three batches of three rows and a rejected record each."""
    for day in (1, 2, 3):
        drop_day(shop, day)
        shop.load()
    return shop


def history(shop: Shop) -> Path:
    return raw_path(shop.lake, shop.name)


def file_of(shop: Shop, batch: int) -> Path:
    table = DeltaTable(str(history(shop)))
    (found,) = (
        history(shop) / path
        for path in pa.table(table.get_add_actions()).column("path").to_pylist()
        if pq.read_table(history(shop) / path, columns=["_batch"]).column(0)[0].as_py() == batch
    )
    return found


def entry(path: Path, number: int) -> Path:
    return path / "_delta_log" / f"{number:020}.json"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def change_a_value(path: Path, price: str = "9.25") -> None:
    """Put another price into one row of a data file, and leave all else as it was."""
    rows = pq.read_table(path)
    prices = rows.column("price").to_pylist()
    changed = pa.array(
        [*prices[:-1], duckdb.sql(f"select {price}::decimal(18,4)").fetchall()[0][0]], rows.schema.field("price").type
    )
    pq.write_table(rows.set_column(rows.schema.get_field_index("price"), "price", changed), path)


def reload(shop: Shop, *, afresh: bool = False) -> Reload:
    shop.read_connection()
    sources = read_connections(shop.connections_file)
    return reload_table(sources, {shop.name: shop.contract}, shop.name, released=0, afresh=afresh)


def contents(shop: Shop) -> set[Any]:
    return shop.stored()


DAMAGE: dict[str, Callable[[Shop], object]] = {
    "a file is cut": lambda shop: cut(file_of(shop, 2)),
    "a file is gone": lambda shop: file_of(shop, 2).unlink(),
    "a file is emptied": lambda shop: file_of(shop, 1).write_bytes(b""),
    "the newest log entry is cut": lambda shop: cut(entry(history(shop), 2)),
    "an older log entry is cut": lambda shop: cut(entry(history(shop), 1)),
    "a log entry is garbage": lambda shop: entry(history(shop), 2).write_bytes(os.urandom(300)),
    "a log entry is empty": lambda shop: entry(history(shop), 1).write_bytes(b""),
    "the first log entry is gone": lambda shop: entry(history(shop), 0).unlink(),
    "a log entry between is gone": lambda shop: entry(history(shop), 1).unlink(),
    "a log entry lacks its last lines": lambda shop: entry(history(shop), 1).write_text(
        entry(history(shop), 1).read_text().splitlines()[0] + "\n"
    ),
    "the log is gone": lambda shop: shutil.rmtree(history(shop) / "_delta_log"),
    "the checkpoint is cut": lambda shop: [
        DeltaTable(str(history(shop))).create_checkpoint(),
        cut(next((history(shop) / "_delta_log").glob("*.checkpoint.parquet"))),
    ],
}


def require_sound(shop: Shop) -> None:
    """What a run requires of the lake before it loads."""
    for path in tables_of(shop.lake, [shop.name]):
        require_whole(path)
    require_known_batches(shop.lake, [shop.name], {})


@pytest.mark.parametrize("damage", DAMAGE)
def test_fault_112_a_damaged_table_is_told_and_comes_back_from_its_source(loaded: Shop, damage: str) -> None:
    """A file or log entry of a table was cut, emptied, overwritten or gone, first, in between or last: F, I."""
    # Given a table that came to harm
    before, rejected = contents(loaded), sorted(loaded.quarantine())
    DAMAGE[damage](loaded)

    # When a run looks at the lake, then the error names the table and the command that brings it back
    with pytest.raises(StorageFailed, match=r"python -m flows reload sales\.orders --set test") as failure:
        require_sound(loaded)
    assert str(failure.value).startswith("sales.orders: ")

    # And once that has run, the rows are what they were, the damaged folder is kept, and the rest is known
    done = reload(loaded)
    assert contents(loaded) == before
    assert sorted(loaded.quarantine()) == rejected
    assert (done.aside / "raw" / "sales" / "orders").is_dir()
    assert done.missing == 0
    require_sound(loaded)
    assert loaded.load().counts.duplicate == 12
    assert verify_table(loaded.lake, loaded.name).faults == ()

    # And what comes next is loaded, under a higher number than any before
    drop_day(loaded, 4)
    again = loaded.load()
    assert (again.counts.accepted, again.counts.duplicate) == (3, 12)
    assert again.batch > 3


@pytest.mark.parametrize("damage", ["a file is cut", "a file is gone", "the newest log entry is cut"])
def test_fault_112_a_load_of_a_damaged_table_is_a_fault_of_storage(loaded: Shop, damage: str) -> None:
    """A load met a damaged file or log entry of its own table, without a look at the lake before: F."""
    DAMAGE[damage](loaded)
    drop_day(loaded, 4)
    loaded.read_connection()
    connection = read_connections(loaded.connections_file).sources["sales"]
    from flows.ingest.load import load_table

    with pytest.raises(StorageFailed, match=r"reload sales\.orders") as failure:
        load_table(connection, loaded.contract, loaded.lake, run_id="a-run")
    assert failure.value.exit_code == 6
    assert "parquet" in failure.value.cause or ".json" in failure.value.cause
