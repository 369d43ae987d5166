"""Publishing, stopped at every step: readers see the old release or the new one, whole."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from flows.errors import GateFailed
from flows.names import TableName
from flows.settings import DataFolder
from flows.warehouse import release as publishing
from flows.warehouse.build import Build, Fingerprint, prepare_candidate
from flows.warehouse.release import prune_releases, publish_candidate

VERSIONS = {TableName("sales", "orders"): 3, TableName("crm", "customers"): None}
STEPS = ("seal", "mkdir", "rename", "symlink", "replace", "sync")


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "shop")
    folder.path.mkdir()
    publish_candidate(folder, candidate(folder, 1), VERSIONS)
    return folder


def candidate(folder: DataFolder, value: int) -> Build:
    """Make a candidate whose two tables agree on a value, and a staging view, as a build leaves it."""
    prepare_candidate(folder)
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute("create schema if not exists core")
        connection.execute("create schema if not exists staging")
        for table in ("one", "other"):
            connection.execute(f"create or replace table core.{table} as select {value} as value from range(20000)")
        connection.execute("create or replace view staging.rows as select 1 as row")
    return Build((), "invocation", Fingerprint.of(folder.candidate), 0.0)


def seen(folder: DataFolder) -> tuple[int, str]:
    """Return the value that a new reader finds in every row of both tables, and the release's name."""
    with duckdb.connect(str(folder.warehouse.resolve()), read_only=True) as connection:
        values = connection.execute("select value from core.one union select value from core.other").fetchall()
        name = connection.execute("select release_name from release").fetchall()[0][0]
    assert len(values) == 1, "a mixture"
    return values[0][0], name


def killed_at(step: str, after: bool, action: Callable[[], Any]) -> None:
    """Run an action in a fork that kills itself before or after a step."""
    child = os.fork()
    if child == 0:
        owner, name = {
            "seal": (publishing, "_seal"),
            "mkdir": (Path, "mkdir"),
            "rename": (os, "rename"),
            "symlink": (Path, "symlink_to"),
            "replace": (os, "replace"),
            "sync": (publishing, "_sync"),
        }[step]
        original = getattr(owner, name)

        def step_and_die(*arguments: Any, **options: Any) -> None:
            if after:
                original(*arguments, **options)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, step_and_die)
        action()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the step was never reached"


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_fault_04_a_kill_while_publishing_leaves_one_whole_release(folder: DataFolder, step: str, after: bool) -> None:
    """Publishing was killed before and behind each of its steps, with a reader on the old release: F, I."""
    # Given a release that readers see, and a tested candidate
    reader = duckdb.connect(str(folder.warehouse.resolve()), read_only=True)
    build = candidate(folder, 2)

    # When the process is killed at a step of publishing
    killed_at(step, after, lambda: publish_candidate(folder, build, VERSIONS))

    # Then readers see the old or the new one, never a mixture; who has the old one open keeps it
    value, _ = seen(folder)
    assert value in (1, 2)
    assert value == 1 or (step == "replace" and after)
    assert reader.execute("select distinct value from core.one").fetchall() == [(1,)]

    # And the next run publishes as if nothing had happened
    publish_candidate(folder, candidate(folder, 3), VERSIONS)
    assert seen(folder)[0] == 3
    assert reader.execute("select distinct value from core.other").fetchall() == [(1,)]
    reader.close()


def test_fault_71_what_was_not_tested_is_not_published(folder: DataFolder) -> None:
    """A candidate was changed after its tests had passed: F."""
    # Given a candidate that passed its tests
    build = candidate(folder, 2)

    # When something changes it before it is published
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute("update core.one set value = 4")

    # Then it is refused, and readers see the old release
    with pytest.raises(GateFailed, match="changed after it was tested"):
        publish_candidate(folder, build, VERSIONS)
    assert seen(folder)[0] == 1


def test_a_release_is_one_file_of_tables_that_says_what_it_was_made_of(folder: DataFolder) -> None:
    # Given a published release
    with duckdb.connect(str(folder.warehouse.resolve()), read_only=True) as connection:
        # Then it holds no views, its log is empty, and it names the lake's versions and the commit
        views = connection.execute("select count(*) from duckdb_views() where not internal").fetchall()
        versions, invocation = connection.execute("select raw_versions, dbt_invocation_id from release").fetchall()[0]
    assert views == [(0,)]
    assert versions == {"sales.orders": 3}
    assert invocation == "invocation"
    assert [path.name for path in folder.warehouse.resolve().parent.iterdir()] == ["warehouse.duckdb"]


def test_a_log_that_a_killed_build_left_is_not_replayed(folder: DataFolder) -> None:
    # Given a build that was killed with its changes still in the log
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

    # Then it is the last release and nothing else
    with duckdb.connect(str(folder.candidate)) as connection:
        assert connection.execute("select distinct value from core.one").fetchall() == [(1,)]


def test_the_newest_releases_are_kept_and_the_one_that_readers_see(folder: DataFolder) -> None:
    # Given a dozen releases, of which readers have been sent back to the first, and one has the second open
    for value in range(2, 13):
        publish_candidate(folder, candidate(folder, value), VERSIONS)
    first, second = (folder.releases / name for name in sorted(path.name for path in folder.releases.iterdir())[:2])
    names = {path.name for path in folder.releases.iterdir()}
    folder.warehouse.unlink()
    folder.warehouse.symlink_to(first / "warehouse.duckdb")
    reader = duckdb.connect(str(second / "warehouse.duckdb"), read_only=True)

    # When old ones are deleted
    gone = prune_releases(folder, keep=3)

    # Then the newest three stay by number, not by the order of their letters, and the first; the reader reads on
    day = first.name.rpartition(".")[0]
    assert {path.name for path in folder.releases.iterdir()} == {first.name, *(f"{day}.{n}" for n in (10, 11, 12))}
    assert set(gone) == names - {path.name for path in folder.releases.iterdir()}
    assert seen(folder)[0] == 1
    assert len(reader.execute("select distinct value from core.one").fetchall()) == 1
    reader.close()
