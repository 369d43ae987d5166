"""The warehouse's storage: full, read-only, missing, damaged or of a newer engine; no stored data is lost."""

import json
import os
import resource
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable
from pyarrow import parquet
from support.files import holds
from support.shop import Shop

from flows.cli.query import run_query
from flows.config.connections import read_connections
from flows.config.settings import PROJECT, DataFolder
from flows.core.errors import SourceFailed, StorageFailed, UsageError
from flows.core.files import FileState
from flows.core.storage import storage_failure
from flows.ingest.load import load_table
from flows.lake.catalog import complete_catalog, pin_catalog
from flows.lake.delta import open_table, relation_of
from flows.lake.raw import RawTable, raw_path
from flows.warehouse.build import Build, prepare_candidate
from flows.warehouse.release import publish_candidate

HEADER = "order_id,customer,quantity,price,updated_at\n"


def orders(first: int, count: int, quantity: str = "1") -> str:
    """Return a file of orders whose texts cannot be compressed."""
    rows = (f"{n},{os.urandom(40).hex()},{quantity},1.50,2026-03-01 10:00:00\n" for n in range(first, first + count))
    return HEADER + "".join(rows)


# A private volume in a mount namespace: real errors of the system, without any effect on other processes

ON_A_VOLUME = """
import json, os, subprocess, sys
from pathlib import Path
from support.shop import Shop, make_contract
from flows.core.errors import WarehouseError
from flows.lake.raw import RawTable
from flows.ingest.load import load_table
from flows.config.connections import read_connections

folder, volume, does = Path(sys.argv[1]), Path(sys.argv[1]) / "volume", sys.argv[2]
volume.mkdir()
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(volume)], check=True)
os.environ["ML_WAREHOUSE_DATA"] = str(volume / "data")
contract = make_contract(load="upsert", cursor="updated_at", quarantine_limit_pct=100)
shop = Shop(folder, contract, {"url": f"file:{folder / 'exports'}"})
told = {"failures": []}

def state():
    return [len(shop.rows()), len(shop.quarantine()), RawTable(shop.lake, shop.name).batch]

def load(*names):
    shop.map(**{"from": "[" + "".join(names) + "].csv"})
    shop.connections_file.write_text(json.dumps({"test": {"sales": shop.connection}}))
    try:
        connection = read_connections(shop.connections_file).sources["sales"]
        return load_table(connection, contract, shop.lake, run_id="a-run").counts.values()
    except WarehouseError as failure:
        told["failures"].append(str(failure))

def fill():
    with (volume / "filler").open("wb", buffering=0) as filler:
        try:
            while True:
                filler.write(bytes(4096))
        except OSError:
            pass

load("1")
told["before"] = state()
if does == "shrinks":
    load("1", "2")
elif does == "is full":
    fill()
    load("1", "2")
    (volume / "filler").unlink()
elif does == "is read-only":
    subprocess.run(["mount", "--bind", str(volume), str(volume)], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", str(volume)], check=True)
    load("1", "2")
    subprocess.run(["umount", str(volume)], check=True)
told["after"] = state()
subprocess.run(["mount", "-o", "remount,size=64m", str(volume)], check=True)
told["again"] = load("1", "2")
told["state"] = state()
print(json.dumps(told))
"""


def on_a_volume(shop: Shop, does: str) -> Mapping[str, Any]:
    """Load on a small volume while it has a fault; return the errors and the states of the lake."""
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("needs a mount namespace, which this system does not let a user have")
    command = ["unshare", "-rm", sys.executable, "-c", ON_A_VOLUME, str(shop.folder), does]
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests' / 'python'}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=PROJECT)
    assert done.returncode == 0, done.stderr
    told: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.parametrize(
    ("does", "quantity"),
    [("shrinks", "1"), ("is full", "many")],
    ids=["rows do not fit", "rejected records do not fit, nor a note of it"],
)
def test_fault_07_a_full_disk_fails_the_load_and_loses_nothing(shop: Shop, does: str, quantity: str) -> None:
    """The lake's disk was full while rows or rejected records were written, and then had room: F, A, I."""
    # Given a small file, and one that is too large for the disk
    shop.drop("1.csv", orders(0, 50))
    shop.drop("2.csv", orders(1000, 50_000, quantity))

    # When the second is loaded
    told = on_a_volume(shop, does)

    # Then the error says that the disk is full, stored data stay, and the next load continues after them
    assert len(told["failures"]) == 1
    assert told["failures"][0].startswith("sales.orders: the lake could not be written: No space left on device")
    assert told["before"] == told["after"] == [50, 0, 1]
    new = [50_050, 0] if quantity == "1" else [50, 50_000]
    assert told["state"] == [*new, 2]
    assert told["again"][:2] == [50_050, 50_000 if quantity == "1" else 0]


def test_fault_13_a_read_only_volume_fails_the_load_and_loses_nothing(shop: Shop) -> None:
    """The lake's volume became read-only between two loads, and writable again: F, I."""
    # Given a loaded file, and another
    shop.drop("1.csv", orders(0, 50))
    shop.drop("2.csv", orders(1000, 50))

    # When the volume is read-only, then the error says so, and when it is writable, the rest is loaded
    told = on_a_volume(shop, "is read-only")
    assert "Read-only file system" in told["failures"][0]
    assert told["failures"][0].partition(": ")[0].startswith(("sales.orders", str(shop.folder)))
    assert told["after"] == [50, 0, 1]
    assert told["state"] == [100, 0, 2]


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Limit the size of this process's files: for the libraries, it looks like a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("quantity", ["1", "many"])
def test_fault_07_a_file_that_may_not_grow_fails_the_load_too(shop: Shop, quantity: str) -> None:
    """A file of the lake reached the system's limit of size, for rows and for rejected records: F, A, I."""
    # Given a loaded file, and a file above the limit of size
    shop.change(quarantine_limit_pct=100.0)
    shop.drop("1.csv", orders(0, 50))
    shop.load()
    shop.drop("2.csv", orders(1000, 5_000, quantity))

    # When it is loaded, then the failure is reported, and recorded in the lake
    with no_file_beyond(100_000), pytest.raises(StorageFailed, match="File too large"):
        shop.load()
    assert "File too large" in str(shop.loads()[-1]["error"])
    assert (len(shop.rows()), shop.quarantine(), RawTable(shop.lake, shop.name).batch) == (50, [], 1)

    # And when the disk has room, the rest is loaded
    load = shop.load()
    assert (load.counts.accepted + load.counts.quarantined, load.counts.known) == (5_000, 50)


def test_fault_13_a_source_folder_that_vanished_fails_the_load(shop: Shop) -> None:
    """The folder of a source was missing, as with an unmounted volume, and came back: F, I."""
    # Given a full copy that was loaded
    shop.change(load="full")
    shop.drop("1.csv", orders(0, 50))
    shop.load()

    # When its folder is missing, or is an empty mount point, then no row counts as deleted
    away = shop.exports.rename(shop.folder / "away")
    for _ in range(2):
        with pytest.raises(SourceFailed, match="no file matches"):
            shop.load()
        shop.exports.mkdir(exist_ok=True)
    assert len(shop.rows()) == 50

    # And when it is back, all of its rows are known
    shop.exports.rmdir()
    away.rename(shop.exports)
    assert (shop.load().counts.known, shop.loads()[-1]["deleted"]) == (50, 0)


# DuckDB files


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "shop")
    folder.path.mkdir()
    prepare_candidate(folder, empty=True)
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute("create table main.sums as select range as value from range(200000)")
    publish_candidate(folder, Build((), "invocation", FileState.of(folder.candidate), 0.0, "code"), {})
    return folder


def summed(database: Path) -> int:
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute("select sum(value)::bigint from main.sums").fetchall()[0][0]


def test_fault_07_a_candidate_that_cannot_be_copied_leaves_the_release(folder: DataFolder) -> None:
    """A copy of the release had no room on the disk, and then had room: F, I."""
    # When a copy of the release's size is not allowed
    with no_file_beyond(100_000), pytest.raises(OSError, match="File too large") as failure:
        prepare_candidate(folder)

    # Then that is StorageFailed, and with room the copy is complete
    assert storage_failure(failure.value) is not None
    prepare_candidate(folder)
    assert summed(folder.candidate) == summed(folder.warehouse) == sum(range(200000))


def of_a_newer_version(content: bytes) -> bytes:
    """Return a DuckDB file with the header of a newer version: its storage version, with a valid checksum."""
    header = bytearray(content[:4096])
    struct.pack_into("<Q", header, 12, 1_000_000)
    checksum = 5381
    for (word,) in struct.iter_unpack("<Q", header[8:]):
        checksum ^= word * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    struct.pack_into("<Q", header, 0, checksum)
    return bytes(header) + content[4096:]


HARMS = {
    "cut in half": lambda content: content[: len(content) // 2],
    "emptied": lambda _: b"",
    "overwritten": lambda content: os.urandom(len(content)),
    "its headers zeroed": lambda content: content[:4096] + bytes(8192) + content[12288:],
    "of a newer version": of_a_newer_version,
}


@pytest.mark.parametrize("harm", HARMS)
def test_fault_08_14_a_release_that_cannot_be_read_is_left_and_the_remedy_named(folder: DataFolder, harm: str) -> None:
    """The release's file was truncated, emptied, overwritten or from a newer DuckDB before a run and a query: F."""
    # Given a damaged release
    release = folder.warehouse.resolve()
    harmed = HARMS[harm](release.read_bytes())
    release.write_bytes(harmed)

    # When a run starts, then the error names the release, and the command that builds it again
    with pytest.raises(StorageFailed, match="python -m flows elt --full-refresh") as failure:
        prepare_candidate(folder)
    assert release.parent.name in str(failure.value)
    assert ("version number 1000000" in str(failure.value)) == (harm == "of a newer version")

    # And a query gets the same error, and the file is unchanged
    with pytest.raises(StorageFailed, match="python -m flows elt --full-refresh"):
        run_query(folder, "from sums", "table", 10)
    assert holds(release, harmed)

    # And a full refresh does not read it
    prepare_candidate(folder, empty=True)
    with duckdb.connect(str(folder.candidate)) as candidate:
        assert candidate.execute("from duckdb_tables()").fetchall() == []


def test_fault_08_a_damaged_log_beside_a_release_does_not_harm_it(folder: DataFolder) -> None:
    """An invalid write-ahead log was next to the release's file: readers and the next run see the release: I."""
    # Given such a log
    release = folder.warehouse.resolve()
    content = release.read_bytes()
    log = release.with_name("warehouse.duckdb.wal")
    log.write_bytes(os.urandom(5_000))

    # When the release is queried, and copied for the next run, then both have its data, and no file was deleted
    assert run_query(folder, "select count(*) as n from sums", "json", 10) == '{"n":200000}'
    prepare_candidate(folder)
    assert holds(release, content)
    assert summed(folder.candidate) == sum(range(200000))
    assert log.exists()


@pytest.mark.parametrize("harm", HARMS)
def test_fault_08_14_a_catalog_that_cannot_be_read_is_made_anew_by_the_next_run(shop: Shop, harm: str) -> None:
    """The catalog was truncated, emptied, overwritten or from a newer DuckDB, for dbt and for a run: F, I."""
    # Given a damaged catalog
    shop.drop("1.csv", orders(0, 50))
    shop.load()
    catalog = shop.folder / "catalog.duckdb"
    contracts = {shop.name: shop.contract}
    pins = pin_catalog(catalog, shop.lake, contracts)
    harmed = HARMS[harm](catalog.read_bytes())
    catalog.write_bytes(harmed)

    # When dbt is started in a terminal, then the error says what to do, and the file is unchanged
    with pytest.raises(StorageFailed, match="python -m flows elt"):
        complete_catalog(catalog, shop.lake, contracts)
    assert holds(catalog, harmed)

    # And a run pins the catalog again
    assert pin_catalog(catalog, shop.lake, contracts) == pins
    with duckdb.connect(str(catalog), read_only=True) as connection:
        assert connection.execute("select count(*) from sales.orders").fetchall() == [(50,)]


# The lake's tables

FUTURE = {
    "a feature for readers": {"readerFeatures": ["timestampNtz", "ofTheFuture"]},
    "a feature for writers": {},
    "deletion vectors": {"readerFeatures": ["timestampNtz", "deletionVectors"], "writerFeatures": ["deletionVectors"]},
    "renamed columns": {"readerFeatures": ["timestampNtz", "columnMapping"], "writerFeatures": ["columnMapping"]},
    "a version": {"minReaderVersion": 99, "minWriterVersion": 99},
}
"""Entries in a table's log that newer engines, or engines with other features, write."""


@pytest.mark.parametrize("feature", FUTURE)
def test_fault_14_a_table_of_another_engines_version_is_not_written_to(shop: Shop, feature: str) -> None:
    """A table of the lake was written with unknown features or a newer version, before any write: F."""
    # Given a table with such a log
    shop.drop("1.csv", orders(0, 50))
    shop.load()
    raw = raw_path(shop.lake, shop.name)
    said = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["timestampNtz"], **FUTURE[feature]}
    said["writerFeatures"] = [*said["readerFeatures"], *said.get("writerFeatures", ["ofTheFuture"])]
    (raw / "_delta_log" / "00000000000000000001.json").write_text(json.dumps({"protocol": said}) + "\n")
    before = sorted(shop.lake.rglob("*"))
    connection = read_connections(shop.connections_file).sources[shop.name.source]
    shop.drop("2.csv", orders(1000, 50, "many"))

    # When it is loaded, or the catalog made of it
    for act in (
        lambda: load_table(connection, shop.contract, shop.lake, run_id="a-run"),
        lambda: pin_catalog(shop.folder / "catalog.duckdb", shop.lake, {shop.name: shop.contract}),
    ):
        # Then the error names the table, and no file was written
        with pytest.raises(StorageFailed, match="raw/sales/orders"):
            act()
    assert sorted(shop.lake.rglob("*")) == before
    assert not (shop.folder / "catalog.duckdb").exists()


def test_fault_09_a_parquet_file_without_a_footer_in_the_lake_is_ignored(shop: Shop) -> None:
    """A dead write left a Parquet file without a footer among those of a table: readers do not see it: I."""
    # Given a table with such a file, which is not in its log
    shop.drop("1.csv", orders(0, 50))
    shop.load()
    raw = raw_path(shop.lake, shop.name)
    whole = next(raw.glob("*.parquet")).read_bytes()
    for name in ("part-00000-cut.snappy.parquet", "part-00001-empty.snappy.parquet"):
        (raw / name).write_bytes(whole[: len(whole) // 2] if "cut" in name else b"")

    # When it is read, loaded again and pinned, then it has exactly its committed rows
    assert len(shop.rows()) == 50
    assert shop.load().counts.known == 50
    pin_catalog(shop.folder / "catalog.duckdb", shop.lake, {shop.name: shop.contract})
    with duckdb.connect(str(shop.folder / "catalog.duckdb"), read_only=True) as connection:
        assert connection.execute("select count(*) from sales.orders").fetchall() == [(50,)]


@pytest.mark.parametrize("files", [1, 2])
def test_fault_09_a_source_file_without_a_footer_fails_the_load_by_name(shop: Shop, files: int) -> None:
    """A Parquet file of a source was truncated before its footer, alone and among valid ones, and was fixed: F, I."""
    # Given valid files, and a truncated one
    table = pa.table({"order_id": [str(n) for n in range(1_000)]})
    for name in [f"{n}.parquet" for n in range(1, files)] + ["9.parquet", "a.parquet"][: files + 1]:
        parquet.write_table(table, shop.exports / name)
    whole = (shop.exports / "a.parquet").read_bytes()
    (shop.exports / "9.parquet").write_bytes(whole[:-200])

    # When they are loaded, then the error names it, and no record is stored
    with pytest.raises(SourceFailed, match=r"^sales\.orders: 9\.parquet"):
        shop.load()
    assert shop.rows() == []

    # And when it is complete, all files are loaded
    (shop.exports / "9.parquet").write_bytes(whole)
    assert shop.load().counts.accepted == 1_000


# Memory


def test_fault_10_a_load_out_of_memory_fails_and_goes_on_once_there_is_more(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DuckDB's memory was too small for a batch, and was then increased: F, I."""
    # Given a loaded file, and one that needs more memory than there is
    shop.drop("1.csv", orders(0, 50))
    shop.load()
    shop.drop("2.csv", orders(1000, 30_000))
    with monkeypatch.context() as patched:
        patched.setattr("flows.ingest.plan.MEMORY_LIMIT", "3MB")

        # When it is loaded, then the error says that memory was too small, and shows no value
        with pytest.raises(SourceFailed, match="Out of Memory Error") as failure:
            shop.load()
    assert "order_id" not in str(failure.value)
    assert len(shop.rows()) == 50

    # And with more memory the rest is loaded
    assert shop.load().counts.accepted == 30_000


def test_a_lake_without_any_table_is_asked_in_vain(shop: Shop) -> None:
    # When there is no release, then that is a UsageError, not StorageFailed
    with pytest.raises(UsageError, match="Nothing is published"):
        run_query(DataFolder.of("test"), "select 1", "table", 1)
    assert open_table(shop.lake / "raw" / "nothing") is None
    assert relation_of(None) is None
    assert not DeltaTable.is_deltatable(str(shop.lake))
