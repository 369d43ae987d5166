"""Publishing, stopped at every step: readers see the old release or the new one, as a whole."""

import os
import random
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import duckdb
import pytest
from support.breaks import publish_in_place
from support.files import holds
from support.kills import Child, Ended, Point
from support.reader import reading

from flows.config.settings import DataFolder
from flows.core.errors import GateFailed, StorageFailed, UsageError
from flows.core.files import FileState
from flows.core.names import TableName
from flows.lake.catalog import Verified
from flows.warehouse.build import Build, prepare_candidate
from flows.warehouse.descriptions import Description, PublishedModel
from flows.warehouse.release import prune_releases, publish_candidate, roll_back
from flows.warehouse.releases import kept_releases, newest_release, previous_release, released_batch

VERSIONS = {TableName("sales", "orders"): 3, TableName("crm", "customers"): None}
STEPS = (
    "seal",
    "mkdir",
    "rename",
    "sync",
    "flip",
    "flip/unlink",
    "flip/symlink",
    "flip/replace",
    "flip/sync",
)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "shop")
    folder.path.mkdir()
    publish_candidate(folder, candidate(folder, 1), VERSIONS)
    return folder


def candidate(folder: DataFolder, value: int) -> Build:
    """Make a candidate whose two tables have the same value, and a staging view, like a build."""
    prepare_candidate(folder, empty=not folder.warehouse.exists())
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute("create schema if not exists core")
        connection.execute("create schema if not exists staging")
        for table in ("one", "other"):
            connection.execute(f"create or replace table core.{table} as select {value} as value from range(5000)")
        connection.execute("create or replace view staging.rows as select 1 as row")
    return Build((), "invocation", FileState.of(folder.candidate), 0.0, "code")


def seen(folder: DataFolder) -> tuple[int, str]:
    """Return the value in every row of both tables, for a new reader, and the release's name."""
    with duckdb.connect(str(folder.warehouse.resolve()), read_only=True) as connection:
        values = connection.execute("select value from core.one union select value from core.other").fetchall()
        name = connection.execute("select release_name from release").fetchall()[0][0]
    assert len(values) == 1, "a mixture"
    return values[0][0], name


def killed(folder: DataFolder, build: Build, at: Point, *breaks: Callable[[], None]) -> Ended:
    """Publish in a child process that dies at a point."""
    return Child("flows.warehouse.release:publish_candidate", (folder, build, VERSIONS), preparations=breaks).run(at)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_fault_04_a_kill_while_publishing_leaves_one_whole_release(
    folder: DataFolder, step: str, when: Literal["before", "after"]
) -> None:
    """A publication is killed before or after a step: readers see one whole release, and the next run works: I."""
    # Given a release that readers see, and a tested candidate
    reader = duckdb.connect(str(folder.warehouse.resolve()), read_only=True)
    build = candidate(folder, 2)

    # When the process is killed at a step of publishing
    assert killed(folder, build, Point(f"publish/{step}", when)).was_killed, "the step was never reached"

    # Then readers see the old or the new one, never a mixture; a reader of the old one keeps it
    value, _ = seen(folder)
    flipped = (step, when) == ("flip/replace", "after") or (step, when) == ("flip", "after") or step == "flip/sync"
    assert value == (2 if flipped else 1)
    assert reader.execute("select distinct value from core.one").fetchall() == [(1,)]

    # And the next run publishes without a difference
    publish_candidate(folder, candidate(folder, 3), VERSIONS)
    assert seen(folder)[0] == 3
    assert reader.execute("select distinct value from core.other").fetchall() == [(1,)]
    reader.close()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["flip", *STEPS[5:]])
def test_a_kill_while_rolling_back_leaves_one_whole_release(
    folder: DataFolder, step: str, when: Literal["before", "after"]
) -> None:
    # Given two releases, of which readers see the second
    first = publish_candidate(folder, candidate(folder, 2), VERSIONS).name
    publish_candidate(folder, candidate(folder, 3), VERSIONS)

    # When the process is killed at a step of sending them back
    ended = Child("flows.warehouse.release:roll_back", (folder, first)).run(Point(f"roll_back/{step}", when))
    assert ended.was_killed, "the step was never reached"

    # Then readers see one of the two, and the next run builds on that one
    value, name = seen(folder)
    flipped = (step, when) == ("flip/replace", "after") or (step, when) == ("flip", "after") or step == "flip/sync"
    assert (value, name) == ((2, first) if flipped else (3, next_name(first)))
    prepare_candidate(folder)
    with duckdb.connect(str(folder.candidate)) as connection:
        assert connection.execute("select distinct value from core.one").fetchall() == [(value,)]

    # And to roll back again completes it
    roll_back(folder, first)
    assert seen(folder) == (2, first)


def next_name(release: str) -> str:
    day, _, number = release.rpartition(".")
    return f"{day}.{int(number) + 1}"


def test_readers_go_back_to_the_release_that_theirs_followed(folder: DataFolder) -> None:
    # Given three releases, the third of which was left for the second
    first = folder.warehouse.resolve().parent.name
    second = publish_candidate(folder, candidate(folder, 2), VERSIONS).name
    third = publish_candidate(folder, candidate(folder, 3), VERSIONS).name
    assert previous_release(folder, third) == second
    roll_back(folder, second)

    # When the next run publishes
    fourth = publish_candidate(folder, candidate(folder, 4), VERSIONS).name

    # Then its name was never used, and the release before it is the one that it was built on, not the one that was left
    assert fourth == next_name(third)
    assert previous_release(folder, fourth) == second

    # And without that one, the newest of the earlier ones is the one before
    shutil.rmtree(folder.releases / second)
    assert previous_release(folder, second) == first
    assert previous_release(folder, fourth) == third
    assert previous_release(folder, first) is None


def test_readers_are_not_sent_to_a_damaged_or_unknown_release(folder: DataFolder) -> None:
    # Given an earlier release whose file was cut short
    first = folder.warehouse.resolve()
    publish_candidate(folder, candidate(folder, 2), VERSIONS)
    os.truncate(first, first.stat().st_size // 2)

    # When readers are sent there, or to one that never was
    # Then both are refused, and readers see what they saw
    with pytest.raises(StorageFailed, match="cannot be read"):
        roll_back(folder, first.parent.name)
    with pytest.raises(UsageError, match="There is no release 2020"):
        roll_back(folder, "2020-01-01.1")
    assert seen(folder)[0] == 2

    # When the release that readers see is cut short, too
    third = publish_candidate(folder, candidate(folder, 3), VERSIONS)
    os.truncate(third.path, third.path.stat().st_size // 2)

    # Then it is known where readers can go back to, and which batches are readable releases' own
    assert previous_release(folder, third.name) == next_name(first.parent.name)
    assert released_batch(folder, TableName("sales", "orders")) == 0


def test_a_release_that_was_left_still_counts_when_batches_are_numbered(folder: DataFolder) -> None:
    # Given two releases of the batches 4 and 7, of which readers are sent back to the first
    orders = TableName("sales", "orders")
    for batch in (4, 7):
        verified = {orders: Verified("id", 3, batch, batch)}
        publish_candidate(folder, candidate(folder, batch), VERSIONS, verified)
    roll_back(folder, str(previous_release(folder, newest_release(folder))))
    assert newest_release(folder) != kept_releases(folder)[-1]

    # When the newest batch is looked up
    # Then it is the one of the release that was left: readers may be sent there again
    assert released_batch(folder, orders) == 7
    assert released_batch(folder, TableName("crm", "customers")) == 0


@pytest.mark.parametrize("step", ["unlink", "delete"])
def test_fault_06_a_killed_prune_leaves_no_release_without_its_parts(folder: DataFolder, step: str) -> None:
    """Prune was killed while it deleted a release, before its file or its folder was deleted: I."""
    # Given an old release with Parquet files beside it
    first = folder.warehouse.resolve().parent
    (first / "parquet").mkdir()
    (first / "parquet" / "one.parquet").touch()
    publish_candidate(folder, candidate(folder, 2), VERSIONS)

    # When its deletion is killed
    ended = Child("flows.warehouse.release:prune_releases", (folder, 1)).run(Point(f"prune/{step}", "before"))

    # Then it is whole, or counts as none any more, and the next deletion takes the rest
    assert ended.was_killed
    assert (first.name in kept_releases(folder)) == (step == "unlink")
    assert prune_releases(folder, 1).keys() == {first.name}
    assert not first.exists()


@pytest.mark.slow
def test_fault_04_a_reader_of_fifty_releases_and_failures_never_waits_fails_or_sees_a_mixture(
    folder: DataFolder,
) -> None:
    """Fifty candidates are published, refused or killed during reads: each opening finds one whole release (I)."""
    # Given a process that opens the published file again and again
    chance = random.Random(4)
    with reading(folder.warehouse, pause_seconds=0.01) as reader:
        found = reader.ask()
        for number in range(50):
            build = candidate(folder, number)
            match number % 5:
                case 3:  # When a candidate is refused,
                    with pytest.raises(GateFailed):
                        publish_candidate(folder, replace(build, file=FileState(0, 0, 0)), VERSIONS)
                case 4:  # killed on its way,
                    at = Point(f"publish/{chance.choice(STEPS)}", chance.choice(("before", "after")))
                    assert killed(folder, build, at).was_killed
                case _:  # or published, and old ones are deleted
                    publish_candidate(folder, build, VERSIONS)
                    prune_releases(folder)
            now = reader.ask()
            # Then the reader sees the release that the link names, whose tables agree
            assert seen(folder)[1] in now.releases
            for tables in now.releases.values():
                one, other = tables.splitlines()
                assert one.removeprefix("one") == other.removeprefix("other")
            found.add(now)

    # And no opening has failed, or has found a file that is not a release
    assert (found.failures, found.mixtures) == ([], []), str(found)
    assert len(found.milliseconds) > 100


def test_a_release_written_over_the_file_that_readers_have_is_found(folder: DataFolder) -> None:
    # Given a publication that copies the new release over the file in place
    with reading(folder.warehouse) as reader:
        reader.ask()

        # When it is killed in the middle
        build = candidate(folder, 2)
        assert killed(folder, build, Point("publish/bytes", "after"), publish_in_place).was_killed

        # Then the reader has reported it
        found = reader.ask()
        assert found.failures or found.mixtures


def test_fault_71_what_was_not_tested_is_not_published(folder: DataFolder) -> None:
    """A candidate was changed after its tests had passed: F."""
    # Given a candidate that passed its tests
    build = candidate(folder, 2)

    # When it changes before it is published
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute("update core.one set value = 4")

    # Then it is refused, and readers see the old release
    with pytest.raises(GateFailed, match="changed after it was tested"):
        publish_candidate(folder, build, VERSIONS)
    assert seen(folder)[0] == 1


def test_a_release_is_one_file_of_tables_that_says_what_it_was_made_of(folder: DataFolder) -> None:
    # Given a published release
    with duckdb.connect(str(folder.warehouse.resolve()), read_only=True) as connection:
        # Then it has no view of the lake, its log is empty, and it names the lake's versions and the commit
        views = connection.execute("select schema_name, view_name from duckdb_views() where not internal").fetchall()
        versions, invocation = connection.execute("select raw_versions, dbt_invocation_id from release").fetchall()[0]
    assert sorted(views) == [("main", "one"), ("main", "other")]
    assert versions == {"sales.orders": 3}
    assert invocation == "invocation"
    beside = {path.name for path in folder.warehouse.resolve().parent.iterdir()}
    assert beside == {"warehouse.duckdb", "published.json"}


def test_a_log_that_a_killed_build_left_is_not_replayed(folder: DataFolder) -> None:
    # Given a build that was killed with its changes still in the write-ahead log
    prepare_candidate(folder)
    child = os.fork()
    if child == 0:
        connection = duckdb.connect(str(folder.candidate))
        connection.execute("set checkpoint_threshold = '1GB'")
        connection.execute("update core.one set value = 5")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert folder.candidate.with_name("warehouse.duckdb.wal").exists()

    # When the next run prepares its candidate
    prepare_candidate(folder)

    # Then it is equal to the last release
    with duckdb.connect(str(folder.candidate)) as connection:
        assert connection.execute("select distinct value from core.one").fetchall() == [(1,)]


def test_the_newest_releases_are_kept_and_the_one_that_readers_see(folder: DataFolder) -> None:
    # Given a dozen releases; the link leads to the first again, and a reader has the second open
    for value in range(2, 13):
        publish_candidate(folder, candidate(folder, value), VERSIONS)
    first, second = (folder.releases / name for name in sorted(path.name for path in folder.releases.iterdir())[:2])
    day = first.name.rpartition(".")[0]
    (folder.releases / f"{day}.13").mkdir()  # from a run that was killed before it had a file
    names = {path.name for path in folder.releases.iterdir()}
    folder.warehouse.unlink()
    folder.warehouse.symlink_to(first / "warehouse.duckdb")
    reader = duckdb.connect(str(second / "warehouse.duckdb"), read_only=True)

    # When old ones are deleted
    gone = prune_releases(folder, keep=3)

    # Then the newest three by number (not by text) stay, and the first; the reader can still read
    assert {path.name for path in folder.releases.iterdir()} == {first.name, *(f"{day}.{n}" for n in (10, 11, 12))}
    assert set(gone) == names - {path.name for path in folder.releases.iterdir()}
    assert seen(folder)[0] == 1
    assert len(reader.execute("select distinct value from core.one").fetchall()) == 1
    reader.close()


def test_the_release_that_readers_have_just_left_is_kept_once_more(folder: DataFolder) -> None:
    # Given readers who were sent back to the first release, and then to a new one
    first = newest_release(folder)
    for value in range(2, 5):
        publish_candidate(folder, candidate(folder, value), VERSIONS)
    roll_back(folder, first)
    publish_candidate(folder, candidate(folder, 5), VERSIONS)

    # When old ones are deleted at once, then the first stays: a reader may have followed the link to it
    assert first not in prune_releases(folder, keep=1, left=first)
    assert first in prune_releases(folder, keep=1)


def test_a_release_of_an_earlier_version_is_converted_once(folder: DataFolder) -> None:
    # Given a release in DuckDB's newest format, with rules, comments and a trigger
    earlier = folder.warehouse.resolve()
    earlier.unlink()
    with duckdb.connect(str(earlier)) as connection:
        connection.execute("create schema core; create table core.trail (value integer)")
        connection.execute(
            "create table core.one (value integer not null check (value > 0)); insert into core.one values (7)"
        )
        connection.execute("create macro core.above(least) as table from core.one where value > least")
        connection.execute("comment on column core.one.value is 'What it is.'")
        connection.execute(
            "create trigger noted after insert on core.one referencing new table as added for each statement "
            "insert into core.trail from added"
        )
    content = earlier.read_bytes()

    # When the next run prepares its candidate
    prepare_candidate(folder)

    # Then all but the trigger is there in the format of releases, and the earlier release is as it was
    with duckdb.connect(str(folder.candidate)) as connection:
        assert connection.execute("from core.above(6)").fetchall() == [(7,)]
        assert connection.execute("select comment from duckdb_columns() where column_name = 'value'").fetchall() == [
            ("What it is.",),
            (None,),
        ]
        assert connection.execute("select tags['storage_version'] from duckdb_databases()").fetchall()[0] == (
            "v1.2.0+",
        )
        assert connection.execute("from duckdb_triggers()").fetchall() == []
        with pytest.raises(duckdb.ConstraintException):
            connection.execute("insert into core.one values (0)")
    assert holds(earlier, content)


PEOPLE = PublishedModel(
    "core", "one", Description("Who is it?", key=("value",)), {"value": "Of both."}, is_function=False, is_mart=True
)


def test_names_and_comments_follow_the_tables(folder: DataFolder) -> None:
    # Given a release whose table has a comment, a function, a step, and a name that two schemas have
    build = candidate(folder, 2)
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute("create table core.int_step as select 1 as one; create schema sales")
        connection.execute("create table sales.other as select 1 as one")
        connection.execute("create macro core.above(least) as table from core.one where value > least")
    build = replace(build, file=FileState.of(folder.candidate))
    publish_candidate(folder, build, VERSIONS, models=[PEOPLE])
    assert names(folder) == {"one"}

    # When the next release has another column, another comment and one schema less
    candidate(folder, 3)
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute("drop schema sales cascade; alter table core.one add column more integer")
    build = replace(build, file=FileState.of(folder.candidate))
    changed = replace(PEOPLE, columns={"value": "Of each."})
    publish_candidate(folder, build, VERSIONS, models=[changed])

    # Then the names are those of its tables, with the columns and comments that these have
    assert names(folder) == {"one", "other"}
    with duckdb.connect(str(folder.warehouse.resolve()), read_only=True) as connection:
        assert connection.execute("select value, more from one limit 1").fetchall() == [(3, None)]
        assert connection.execute("select count(*) from main.above(2)").fetchall() == [(5000,)]
        comments = connection.execute("select comment from duckdb_columns() where column_name = 'value'").fetchall()
        assert [text for (text,) in comments if text] == ["Of each.", "Of each."]
        assert connection.execute("select comment from duckdb_tables() where table_name = 'one'").fetchall() == [
            ("Who is it?\n\nKey: value",)
        ]


def names(folder: DataFolder) -> set[str]:
    """Return the names in `main` by which a client finds tables of other schemas."""
    with duckdb.connect(str(folder.warehouse.resolve()), read_only=True) as connection:
        return {
            name for (name,) in connection.execute("select view_name from duckdb_views() where not internal").fetchall()
        }


@pytest.mark.parametrize("step", ["mkdir", "rename", "flip"])
def test_fault_04_parquet_comes_with_the_release_or_not_at_all(folder: DataFolder, step: str) -> None:
    """A publication with Parquet was killed before a step: readers have the old release, the next run publishes: I."""
    # Given a publication that dies before a step
    build = candidate(folder, 2)
    options = {"models": [PEOPLE], "formats": ["parquet"]}
    child = Child("flows.warehouse.release:publish_candidate", (folder, build, VERSIONS), options)
    assert child.run(Point(f"publish/{step}", "before")).was_killed
    assert seen(folder)[0] == 1

    # When the next run publishes
    publish_candidate(folder, candidate(folder, 3), VERSIONS, models=[PEOPLE], formats=["parquet"])

    # Then the Parquet files of the marts lie beside the file that readers see, with the same rows
    place = folder.warehouse.resolve().parent
    assert duckdb.sql(f"select distinct value from '{place}/parquet/core/one.parquet'").fetchall() == [(3,)]
    assert {str(path.relative_to(place)) for path in place.rglob("*.*")} == {
        "warehouse.duckdb",
        "published.json",
        "parquet/core/one.parquet",
    }
