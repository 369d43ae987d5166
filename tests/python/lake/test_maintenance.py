"""Compaction and pruning: reads are faster, and no file is lost that a release, the catalog or a load needs."""

import os
import shutil
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from support.shop import Shop

from flows.config.settings import DataFolder
from flows.lake import maintenance
from flows.lake.catalog import pin_catalog, read_pins
from flows.lake.counts import Counts
from flows.lake.delta import open_table, relation_of
from flows.lake.file_ledger import known_files
from flows.lake.maintenance import compact_and_vacuum_lake
from flows.lake.quarantine import quarantine_path, quarantined_rows
from flows.lake.raw import RawTable
from flows.lake.reconcile import require_reconciliation
from flows.warehouse.releases import named_versions

PROJECT = Path(__file__).parents[3]
HEADER = "order_id,customer,quantity,price,updated_at\n"
NO_AGE = timedelta(0)


def drop(shop: Shop, number: int) -> None:
    bad = f"9{number},Eve,many,1.50,2026-03-01 12:00:00\n"
    shop.drop(f"{number}.csv", HEADER + f"{number},Ada,{number},1.50,2026-03-01 10:00:00\n" + bad)


@pytest.fixture
def small(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop with eight batches of an accepted and a rejected record; the limit of small files is four."""
    monkeypatch.setattr("flows.lake.maintenance.MANY", 4)
    monkeypatch.setattr("flows.sources.files.table.FILES_A_BATCH", 1)
    for number in range(8):
        drop(shop, number)
    shop.load()
    return shop


def files(path: Path) -> int:
    table = open_table(path)
    assert table is not None
    return len(table.file_uris())


def state(shop: Shop, lake: Path) -> object:
    """Return the state of a lake, as loads and readers see it."""
    table = RawTable(lake, shop.name)
    with duckdb.connect() as connection:
        known = dict(known_files(table, table.last_commit()["config_hash"]))
        rows = connection.execute(f"from {table.stored(list(shop.contract.types))} order by _batch, _row").fetchall()
        left = connection.execute(
            f"select _raw, _reasons, _batch from {quarantined_rows(table)} order by all"
        ).fetchall()
    return rows, left, known, table.batch, table.rows_state, table.last_commit()


def test_compaction_makes_few_files_and_changes_nothing_that_anybody_relies_on(
    small: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given many small files, and no reader of versions before the last commit
    monkeypatch.setattr("flows.lake.delta.HISTORY", 1)
    raw, quarantine = RawTable(small.lake, small.name).path, quarantine_path(small.lake, small.name)
    assert (files(raw), files(quarantine), files(small.lake / "ops" / "files")) == (8, 8, 8)
    before, load = state(small, small.lake), small.loads()[-1]

    # When the lake is compacted and vacuumed, twice
    first, second = compact_and_vacuum_lake(small.lake, {}), compact_and_vacuum_lake(small.lake, {})

    # Then each table has one file, and the second time changes nothing; files of today are still there
    assert (first.compacted, first.deleted) == (24, 0)
    assert (second.compacted, second.deleted) == (0, 0)
    assert (files(raw), files(quarantine), files(small.lake / "ops" / "files")) == (1, 1, 1)
    assert len(list(raw.glob("*.parquet"))) == 9

    # And rows, watermarks, batches, files and counts are unchanged
    assert state(small, small.lake) == before
    counts = Counts(load["read"], load["accepted"], load["quarantined"], load["duplicate"], known=load["known"])
    require_reconciliation(small.lake, {small.name: (load["load_id"], counts)})

    # And stored records are known, new ones are loaded, and a dead batch is replaced
    drop(small, 8)
    again = small.load()
    assert (again.batch, again.counts.accepted, again.counts.quarantined, again.counts.known) == (9, 1, 1, 16)


def test_a_release_and_the_catalog_find_every_row_of_the_versions_that_they_name(small: Shop) -> None:
    # Given a release that names a version, a catalog that shows a later one, and versions without any reference
    folder = DataFolder.of("test")
    drop(small, 8)
    small.load()
    table = RawTable(small.lake, small.name)
    assert table.version == 8
    place = folder.releases / "2026-03-01.1"
    place.mkdir(parents=True)
    with duckdb.connect(str(place / folder.warehouse.name)) as release:
        release.execute("create table main.release as select map {'sales.orders': 3} as raw_versions")
    pin_catalog(folder.catalog, small.lake, {small.name: small.contract})
    drop(small, 9)
    small.load()
    named = named_versions(folder)
    assert named == {small.name: {3}}
    pins = {small.name: {*named[small.name], read_pins(folder.catalog)[small.name].version or 0}}

    # When the lake is compacted and vacuumed, and again after more commits
    first = compact_and_vacuum_lake(small.lake, pins, age=NO_AGE)
    for number in range(10, 15):
        drop(small, number)
    small.load()
    second = compact_and_vacuum_lake(small.lake, pins, age=NO_AGE)

    # Then release and catalog find all of their rows, and the newest version has all rows
    assert first.deleted > 0
    assert second.deleted > 0
    for version, rows in ((3, 4), (8, 9), (None, 15)):
        found = duckdb.sql(f"select count(*) from {relation_of(open_table(table.path, version))}").fetchall()
        assert found == [(rows,)]
    with duckdb.connect(str(folder.catalog), read_only=True) as catalog:
        assert catalog.execute("select count(*) from sales.orders").fetchall() == [(9,)]

    # And without a reference, their files are deleted, and the log stays
    third = compact_and_vacuum_lake(small.lake, {}, age=NO_AGE)
    assert third.deleted > 0
    assert len(list(table.path.glob("*.parquet"))) == files(table.path)
    assert (table.path / "_delta_log" / f"{0:020}.json").exists()


def test_what_a_killed_write_left_is_deleted_once_it_is_old(small: Shop) -> None:
    # Given files that no version names
    raw = RawTable(small.lake, small.name).path
    for number in range(4):
        (raw / f"part-{number}.parquet").write_bytes(b"half")

    # When the lake is compacted and vacuumed, then young files stay: a load may be about to commit them
    assert compact_and_vacuum_lake(small.lake, {}).deleted == 0
    assert len(list(raw.glob("part-?.parquet"))) == 4
    os.utime(raw / "part-0.parquet", (0, 0))
    compact_and_vacuum_lake(small.lake, {})
    assert len(list(raw.glob("part-?.parquet"))) == 3


def test_a_table_that_cannot_be_compacted_is_told_and_the_others_are(
    small: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a table whose log is damaged
    told: list[str] = []
    monkeypatch.setattr(maintenance.logger, "warning", lambda text, *values: told.append(text % values))
    log = small.lake / "ops" / "files" / "_delta_log"
    (log / f"{7:020}.json").write_text("nothing")

    # When the lake is compacted and vacuumed
    housekeeping = compact_and_vacuum_lake(small.lake, {})

    # Then the other tables are compacted, and the damage is reported
    assert housekeeping.compacted == 16
    assert [text.partition(":")[0] for text in told] == ["ops/files could not be compacted"]


@pytest.mark.usefixtures("flow_home")
def test_nothing_is_deleted_while_a_release_cannot_be_read(small: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a release whose file is damaged, so that the versions that it names are unknown
    from flows import publish

    told: list[str] = []
    monkeypatch.setattr(publish.logger, "warning", lambda text, *values: told.append(text % values))
    folder = DataFolder.of("test")
    (folder.releases / "2026-03-01.1").mkdir(parents=True)
    damaged = folder.releases / "2026-03-01.1" / folder.warehouse.name
    damaged.write_bytes(b"nothing" * 1000)
    raw = RawTable(small.lake, small.name).path

    # When the flow compacts and vacuums the lake, then it changes no file and reports it; without that release it works
    publish.compact_and_vacuum.__wrapped__(folder)  # type: ignore[attr-defined]
    assert files(raw) == 8
    assert told == ["the lake was not compacted, a release cannot be read: IOException"]
    damaged.unlink()
    publish.compact_and_vacuum.__wrapped__(folder)  # type: ignore[attr-defined]
    assert files(raw) == 1


SCRIPT = """
import os, signal, sys
from datetime import timedelta
from pathlib import Path
import flows.lake.maintenance as maintenance
from deltalake import DeltaTable
from deltalake.table import TableOptimizer
from support.kills import Countdown

maintenance.MANY = 4
steps = Countdown()

TableOptimizer.compact = steps.around(TableOptimizer.compact)
DeltaTable.create_checkpoint = steps.around(DeltaTable.create_checkpoint)
DeltaTable.vacuum = steps.around(DeltaTable.vacuum)

for number in map(int, sys.argv[2:]):
    child = os.fork()
    if child == 0:
        if number > 1000:  # in the middle of the work itself, after so many milliseconds
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, (number - 1000) / 1000)
        steps.killed_at = number
        maintenance.compact_and_vacuum_lake(Path(sys.argv[1]).with_name(f"lake-{number}"), {}, age=timedelta(0))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.slow
def test_fault_06_compaction_killed_anywhere_and_begun_again_leaves_what_an_undisturbed_one_leaves(
    small: Shop,
) -> None:
    """Compaction and vacuum of the lake, as of prune, were killed before, within and after each step: I."""
    # Given a lake of three tables, and copies of it
    before = state(small, small.lake)
    steps, moments = [2, 3, 5, 7, 9], [1008, 1016, 1024]
    copies = [small.lake.with_name(f"lake-{number}") for number in (*steps, *moments)]
    for copy in copies:
        shutil.copytree(small.lake, copy)

    # When compaction is killed before, within or after its steps
    arguments = [str(small.lake), *(str(number) for number in (*steps, *moments))]
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests' / 'python'}"}
    script = [sys.executable, "-c", SCRIPT, *arguments]
    killed = subprocess.run(script, env=environment, capture_output=True, text=True, cwd=PROJECT, timeout=100)
    assert killed.stdout.split()[: len(steps)] == [str(-signal.SIGKILL)] * len(steps), killed.stderr

    # Then each lake has the same state, and still has it after another compaction
    for copy in copies:
        assert state(small, copy) == before, copy.name
        compact_and_vacuum_lake(copy, {}, age=NO_AGE)
        assert state(small, copy) == before, copy.name
        assert files(copy / "raw" / "sales" / "orders") == 1
