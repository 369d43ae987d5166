"""A lake that was damaged: told as a fault of storage with table and file, and brought back by one command."""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from support.kills import Child, Point
from support.shop import ORDERS, Shop

from flows.config.connections import read_connections
from flows.core.errors import StorageFailed
from flows.ingest.reload import Reload, reload_table, restore_operations
from flows.lake.catalog import Pin
from flows.lake.damage import is_readable, require_known_batches, require_whole, tables_of
from flows.lake.maintenance import compact_and_vacuum_lake
from flows.lake.quarantine import quarantine_path
from flows.lake.raw import RawTable, raw_path
from flows.lake.reload import finish_reloads
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


def change_a_value(path: Path) -> None:
    """Flip one bit of a data file, such that it can still be read and one price is another."""
    sound, content = pq.read_table(path), path.read_bytes()
    chunks = pq.read_metadata(path).row_group(0)
    (price,) = (chunk for at in range(chunks.num_columns) if (chunk := chunks.column(at)).path_in_schema == "price")
    start = price.dictionary_page_offset or price.data_page_offset
    for at in range(8 * (start + price.total_compressed_size) - 1, 8 * start, -1):
        flipped = bytearray(content)
        flipped[at // 8] ^= 1 << at % 8
        path.write_bytes(flipped)
        with suppress(pa.ArrowException, OSError):
            rows = pq.read_table(path)
            if is_readable(path) and rows.drop(["price"]) == sound.drop(["price"]) and rows != sound:
                return
    pytest.fail("no bit changes a price in silence")


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


USUAL_DAMAGE = ("a file is cut", "a file is gone", "the newest log entry is cut", "the log is gone")


def require_sound(shop: Shop) -> None:
    """What a run requires of the lake before it loads."""
    for path in tables_of(shop.lake, [shop.name]):
        require_whole(path)
    require_known_batches(shop.lake, [shop.name], {})


@pytest.mark.parametrize(
    "damage", [kind if kind in USUAL_DAMAGE else pytest.param(kind, marks=pytest.mark.slow) for kind in DAMAGE]
)
def test_fault_112_a_damaged_table_is_told_and_comes_back_from_its_source(loaded: Shop, damage: str) -> None:
    """A file or log entry of a table was cut, emptied, overwritten or gone, first, in between or last: F, I."""
    # Given a table that came to harm
    before, rejected = contents(loaded), sorted(loaded.quarantine())
    DAMAGE[damage](loaded)

    # When a run looks at the lake, then the error names the table and the command that brings it back
    with pytest.raises(StorageFailed, match=r"python -m flows reload sales\.orders") as failure:
        require_sound(loaded)
    assert str(failure.value).startswith("sales.orders: ")

    # And once that has run, the rows are what they were, the damaged folder is kept, and the rest is known
    done = reload(loaded)
    assert contents(loaded) == before
    assert sorted(loaded.quarantine()) == rejected
    assert (done.aside / "raw" / "sales" / "orders").is_dir()
    assert done.missing == 0
    require_sound(loaded)
    assert loaded.load().counts.known == 12
    assert verify_table(loaded.lake, loaded.name).faults == ()

    # And what comes next is loaded, under a higher number than any before
    drop_day(loaded, 4)
    again = loaded.load()
    assert (again.counts.accepted, again.counts.known) == (3, 12)
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


def pin_of(shop: Shop) -> Pin:
    table = RawTable(shop.lake, shop.name)
    return Pin(table.version, table.batch)


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_fault_113_a_stored_value_that_changed_is_found_and_comes_back(loaded: Shop, batch: int) -> None:
    """One bit of a stored amount was flipped, in the first, a middle and the last load: F, I."""
    # Given a lake that was verified, and then one amount that is another
    before = contents(loaded)
    assert verify_table(loaded.lake, loaded.name).faults == ()
    assert verify_new_files(loaded.lake, loaded.name, pin_of(loaded), None) is not None
    change_a_value(file_of(loaded, batch))

    # When it is verified, then batch and difference are told
    (fault,) = verify_table(loaded.lake, loaded.name).faults
    assert fault == f"batch {batch}: its stored values differ from those that were committed"

    # And a run that reads the file for the first time names the file too
    with pytest.raises(StorageFailed, match=rf"batch {batch}, in {file_of(loaded, batch).name}"):
        verify_new_files(loaded.lake, loaded.name, pin_of(loaded), None)

    # And a reload brings the amount back, and keeps the other batches as they came
    done = reload(loaded)
    assert (done.kept, done.left_out, done.missing) == (6, 3, 0)
    assert contents(loaded) == before
    assert verify_table(loaded.lake, loaded.name).faults == ()


def test_fault_113_a_run_reads_again_only_files_that_no_release_has_verified(loaded: Shop) -> None:
    """A file that a release has verified came to harm later: a run reads the newer ones, `verify` all of them: F."""
    # Given a release that verified two batches, and a third
    verified = verify_new_files(loaded.lake, loaded.name, pin_of(loaded), None)
    assert verified is not None
    assert (verified.batch, verified.batches) == (3, 3)
    drop_day(loaded, 4)
    loaded.load()

    # When the newest is sound, or is not
    change_a_value(file_of(loaded, 1))
    again = verify_new_files(loaded.lake, loaded.name, pin_of(loaded), verified)
    assert again is not None
    assert (again.batch, again.batches) == (4, 4)
    change_a_value(file_of(loaded, 4))

    # Then the run tells the newest, and verification both
    with pytest.raises(StorageFailed, match="batch 4, in"):
        verify_new_files(loaded.lake, loaded.name, pin_of(loaded), verified)
    assert len(verify_table(loaded.lake, loaded.name).faults) == 2


def test_fault_113_rows_are_verified_after_compaction_and_after_a_change_of_type(
    loaded: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value changed after its file was merged, after a column was added and after one was widened: F."""
    # Given a table whose files were merged, that got a column and whose quantity was widened
    monkeypatch.setattr("flows.lake.maintenance.MANY", 3)
    verified = verify_new_files(loaded.lake, loaded.name, pin_of(loaded), None)
    assert compact_and_vacuum_lake(loaded.lake, {}).compacted > 0
    assert verify_new_files(loaded.lake, loaded.name, pin_of(loaded), verified) is not None
    loaded.drop("4.csv", HEADER.replace("\n", ",colour\n") + "4-0,Ada,1,1.25,2026-03-04 10:00:00,red\n")
    loaded.load()
    assert verify_table(loaded.lake, loaded.name).faults == ()
    loaded.declare(
        columns={**ORDERS, "quantity": "bigint", "price": "decimal(24, 6)"}, load="upsert", cursor="updated_at"
    )
    loaded.load()
    found = verify_table(loaded.lake, loaded.name)
    assert (found.faults, found.batches, found.unhashed) == ((), 4, 0)
    require_sound(loaded)

    # When a value changes, then it is found, and no rewrite makes the change its own
    (file,) = (Path(uri) for uri in DeltaTable(str(history(loaded))).file_uris())
    change_a_value(file)
    assert verify_table(loaded.lake, loaded.name).faults
    with pytest.raises(StorageFailed, match="differ from those that were committed"):
        RawTable(loaded.lake, loaded.name).rewrite(duckdb.connect(), {"quantity": "cast(quantity as decimal(20, 0))"})


KINDS = {
    "varchar": "'a,b'",
    "boolean": "true",
    "tinyint": "1",
    "smallint": "300",
    "integer": "70000",
    "bigint": "9007199254740993",
    "float": "0.5",
    "double": "0.1",
    "decimal(4, 1)": "12.5",
    "decimal(38, 10)": "1234567.0000000001",
    "date": "2026-03-01",
    "timestamp": "2026-03-01 10:00:00.000001",
    "timestamptz": "2026-03-01 10:00:00+01",
    "uuid": "6f9619ff-8b86-d011-b42d-00c04fc964ff",
    "json": '{"a": 1}',
    "blob": "abc",
    "integer[]": "[1, 2]",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_that_can_be_stored_is_hashed_as_it_is_read_again(shop: Shop, kind: str) -> None:
    # Given a contract with a column of a type, and a value and a null of it
    shop.declare(columns={"id": "varchar not null", "value": kind}, key=["id"], load="append")
    shop.drop_rows("1.jsonl", [{"id": "1", "value": KINDS[kind].strip("'")}, {"id": "2", "value": None}])
    shop.load()

    # When what is stored is verified, then it agrees with its commit
    found = verify_table(shop.lake, shop.name)
    assert (found.faults, found.unhashed) == ((), 0)
    assert found.rows >= 1


@pytest.mark.parametrize("known_to", ["loads", "release"])
def test_fault_114_a_log_entry_that_vanished_is_told(loaded: Shop, known_to: str) -> None:
    """The newest entry of a table's log was gone, as an incomplete restore leaves it: F, I."""
    # Given a lake without the newest entry, whose third batch the records of loads or a release know
    before = contents(loaded)
    entry(history(loaded), 2).unlink()
    released = {}
    if known_to == "release":
        shutil.rmtree(loaded.lake / "ops" / "loads")
        released = {loaded.name: 3}

    # When a run begins, then both numbers are told
    with pytest.raises(StorageFailed, match="ended with batch 3, and its log ends with batch 2"):
        require_known_batches(loaded.lake, [loaded.name], released)

    # And a reload brings the batch back under a new number
    loaded.read_connection()
    sources = read_connections(loaded.connections_file)
    reload_table(
        sources, {loaded.name: loaded.contract}, loaded.name, released=released.get(loaded.name, 0), afresh=False
    )
    assert contents(loaded) == before
    require_known_batches(loaded.lake, [loaded.name], released)


@pytest.mark.parametrize("table", ["loads", "files", "contracts"])
@pytest.mark.parametrize("harm", ["a file", "a log entry"])
def test_fault_115_a_damaged_table_of_operations_is_told_and_made_again(loaded: Shop, table: str, harm: str) -> None:
    """A file or log entry of the records of loads, files and contracts was cut, then restored: F, I."""
    # Given a table of operations that came to harm
    path, before = loaded.lake / "ops" / table, contents(loaded)
    if harm == "a file":
        cut(next(path.glob("*.parquet")))
    else:
        cut(max((path / "_delta_log").glob("*.json")))

    # When a run looks at the lake, or a reload needs it, then the error names the table and the command
    with pytest.raises(StorageFailed, match=rf"python -m flows reload ops/{table}"):
        require_sound(loaded)
    with pytest.raises(StorageFailed, match=rf"python -m flows reload ops/{table}"):
        reload(loaded)

    # And once that has run, nothing is lost or doubled
    done = restore_operations(loaded.lake, f"ops/{table}")
    assert (done.aside / "ops" / table).is_dir()
    require_sound(loaded)
    assert loaded.load().counts.known == 12
    assert contents(loaded) == before


def test_fault_115_a_damaged_quarantine_is_told_and_comes_back(loaded: Shop) -> None:
    """A file of the rejected records was cut, and they came again from the source, once each: F, I."""
    rejected = sorted(loaded.quarantine())
    cut(next(quarantine_path(loaded.lake, loaded.name).glob("*.parquet")))
    with pytest.raises(StorageFailed, match=r"reload sales\.orders"):
        require_sound(loaded)
    reload(loaded)
    assert sorted(loaded.quarantine()) == rejected


@pytest.mark.parametrize("load", ["append", "upsert", "full"])
def test_fault_116_what_the_source_no_longer_has_is_told(shop: Shop, load: str) -> None:
    """Rows of a damaged file were no longer in the source when the table was reloaded, in each load mode: F, A."""
    # Given two batches of which the source shows the second alone
    shop.change(load=load)
    for day in (1, 2):
        drop_day(shop, day)
        shop.load()
    (shop.exports / "1.csv").unlink()
    change_a_value(file_of(shop, 1))

    # When the table is reloaded, then three keys are told to be missing, and the rest is there
    done = reload(shop)
    assert (done.left_out >= 3, done.missing) == (True, 3)
    assert {key.partition("-")[0] for key in shop.rows("order_id")} == {"2"}


def test_fault_116_a_reload_keeps_what_is_sound_and_the_source_no_longer_has(loaded: Shop) -> None:
    """A sound batch that the source no longer has stays when another is reloaded, unless `--afresh`: I."""
    # Given three batches, of which the source lacks the first, and the second is damaged
    before = contents(loaded)
    (loaded.exports / "1.csv").unlink()
    cut(file_of(loaded, 2))

    # When the table is reloaded, then nothing is lost; from the source alone, the first is told to be missing
    assert reload(loaded).missing == 0
    assert contents(loaded) == before
    assert reload(loaded, afresh=True).missing == 3
    assert len(contents(loaded)) == 6


def test_fault_116_a_source_that_cannot_be_read_leaves_the_damaged_table_as_it_is(loaded: Shop) -> None:
    """The source was gone when a table was reloaded, and came back: F, I."""
    cut(file_of(loaded, 2))
    files = sorted(history(loaded).rglob("*"))
    away = loaded.exports.rename(loaded.folder / "away")
    with pytest.raises(Exception, match="no file matches"):
        reload(loaded)
    assert sorted(history(loaded).rglob("*")) == files
    away.rename(loaded.exports)
    reload(loaded)
    assert len(contents(loaded)) == 9


@pytest.mark.slow
def test_fault_117_a_kill_at_every_step_of_a_reload_is_gone_on_from(loaded: Shop) -> None:
    """A reload was killed before each rename, write and deletion, and gone on from by the next command: I."""
    # Given a damaged table, and what a reload leaves of it
    rejected = sorted(loaded.quarantine())
    before = contents(loaded)
    cut(file_of(loaded, 2))
    loaded.read_connection()
    kept = loaded.folder / "kept"
    shutil.copytree(loaded.folder / "data", kept)
    sources, contracts = read_connections(loaded.connections_file), {loaded.name: loaded.contract}
    options = {"released": 0, "afresh": False}
    child = Child("flows.ingest.reload:reload_table", (sources, contracts, loaded.name), options)
    whole = child.run()
    assert whole.error is None
    moves = [step for step in dict.fromkeys(visit.step for visit in whole.visits) if step.startswith("reload/")]
    steps = [(step, time) for step in moves for time in range(1, whole.steps[step] + 1)]
    steps = [(step, time) for step, time in steps if step.rpartition("/")[2] in ("rename", "write", "delete")]
    assert len(steps) > 5

    # When it is killed before each of them and begun again, then all is there once
    for step, time in steps:
        shutil.rmtree(loaded.folder / "data")
        shutil.copytree(kept, loaded.folder / "data")
        assert child.run(Point(step, "before", time)).was_killed, step
        finish_reloads(loaded.lake)
        if not list(loaded.lake.glob("damaged/*")):  # it died before the new table was complete
            assert child.run().error is None, step
        assert contents(loaded) == before, step
        assert sorted(loaded.quarantine()) == rejected, step
        require_sound(loaded)
        assert loaded.load().counts.known == 12, step
        assert not list(loaded.lake.glob("reload/*")), step
