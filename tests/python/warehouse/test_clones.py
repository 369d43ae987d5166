"""Clones: an experiment's own database over a release, whose writes are its own."""

import hashlib
import os
import shutil
from pathlib import Path

import duckdb
import pytest
from support.kills import Child, Point

from flows.config.settings import DataFolder
from flows.core.errors import UsageError
from flows.core.files import FileState
from flows.warehouse import clones
from flows.warehouse.build import Build, prepare_candidate
from flows.warehouse.clones import attach_release, clone_file, clone_names, clone_release, database_of
from flows.warehouse.release import prune_releases, publish_candidate
from flows.warehouse.releases import clones_of, kept_releases


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "shop")
    folder.path.mkdir()
    publish(folder, 1)
    return folder


@pytest.fixture(params=["shared blocks", "views"])
def sharing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """A file system that shares blocks, as a plain copy shows it, and one that does not."""
    is_copy = request.param == "shared blocks"

    def share(source: Path, target: Path) -> bool:
        if is_copy:
            shutil.copyfile(source, target)
        return is_copy

    monkeypatch.setattr(clones, "share_blocks", share)
    return is_copy


def publish(folder: DataFolder, value: int) -> str:
    prepare_candidate(folder, empty=not folder.warehouse.exists())
    with duckdb.connect(str(folder.candidate)) as connection:
        for schema in ("core", "marketing"):
            connection.execute(f"create schema if not exists {schema}")
        connection.execute(f"create or replace table core.orders as select {value} as value from range(3)")
        connection.execute(f"create or replace table marketing.customers as select {value} as value")
        connection.execute("create or replace table core.incremental_state as select 'fct_orders' as model")
        connection.execute(
            "create or replace macro marketing.twice() as table from core.orders union all from core.orders"
        )
    return publish_candidate(folder, Build((), "", FileState.of(folder.candidate), 0.0, "code"), {}).name


def opened(file: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(str(file))
    attach_release(connection, file)
    return connection


def test_a_clone_reads_its_release_and_keeps_its_own_writes(folder: DataFolder, sharing: bool) -> None:
    # Given a clone of a release, and a later release
    (name,) = kept_releases(folder)
    file = database_of(folder, name)
    content = hashlib.sha256(file.read_bytes()).hexdigest()
    made = clone_release(folder, "other_values", name)
    publish(folder, 2)

    # When the experiment makes a table of its own, and one in the place of the release's
    with opened(made.file) as clone:
        assert clone.execute("from marketing.twice()").fetchall() == [(1,)] * 6
        clone.execute("create table core.mine as select 5 as value")
        clone.execute(f"drop {'table' if sharing else 'view'} marketing.customers")
        clone.execute("create table marketing.customers as select 7 as value")

    # Then the clone has both, over the rows of its release; the release is as it was, bit for bit
    with opened(made.file) as clone:
        assert clone.execute("select value from core.mine union all from marketing.customers").fetchall() == [
            (5,),
            (7,),
        ]
        assert clone.execute("select distinct value from core.orders").fetchall() == [(1,)]
        bookkeeping = "from duckdb_tables() where database_name = current_database() and schema_name = 'main'"
        assert clone.execute(bookkeeping).fetchall() == []
        if not sharing:  # a build in the clone makes its own, since it cannot write a view
            assert (
                clone.execute(
                    "from duckdb_views() where view_name = 'incremental_state' and database_name = current_database()"
                ).fetchall()
                == []
            )
    assert hashlib.sha256(file.read_bytes()).hexdigest() == content
    assert (made.tables, made.is_copy) == (3 if sharing else 2, sharing)


def test_a_release_is_kept_while_a_clone_reads_it(folder: DataFolder, sharing: bool) -> None:
    # Given a clone of the first of three releases, and one that is just being made
    (first,) = kept_releases(folder)
    made = clone_release(folder, "experiment", first)
    second, third = publish(folder, 2), publish(folder, 3)
    (folder.clones / "begun.1.new").mkdir()
    (folder.clones / "begun.1.new" / "release").symlink_to(f"../../releases/{second}")

    # When old releases are deleted
    prune_releases(folder, keep=1)

    # Then those that clones read stay; a clone with all rows of its own needs none
    kept = {second, third} if sharing else {first, second, third}
    assert set(kept_releases(folder)) == kept
    with opened(made.file) as clone:
        assert clone.execute("select distinct value from core.orders").fetchall() == [(1,)]

    # And once the clones are deleted, they go
    shutil.rmtree(folder.clones)
    assert prune_releases(folder, keep=1).keys() == kept - {third}


def test_a_clone_of_a_selection_has_no_function_that_lacks_its_tables(folder: DataFolder) -> None:
    # Given a selection without the table that a function reads
    (name,) = kept_releases(folder)

    # When a clone is made of it
    made = clone_release(folder, "marketing_only", name, lambda schema, _name: schema == "marketing")

    # Then it has the tables of the selection, and the function is left out
    with opened(made.file) as clone:
        assert clone.execute("from marketing.customers").fetchall() == [(1,)]
        with pytest.raises(duckdb.CatalogException):
            clone.execute("from core.orders")
        with pytest.raises(duckdb.CatalogException):
            clone.execute("from marketing.twice()")


def test_a_clone_that_was_killed_on_its_way_is_cleared_away(folder: DataFolder) -> None:
    # Given a clone whose process died while it was made, and one that another process is making
    (name,) = kept_releases(folder)
    ended = Child("flows.warehouse.clones:clone_release", (folder, "experiment", name)).run(
        Point("clone/rename", "before")
    )
    assert ended.was_killed
    (left,) = folder.clones.iterdir()
    other = folder.clones / f"other.{os.getppid()}.new"
    other.mkdir()
    assert clone_names(folder) == []
    assert [*clones_of(folder).values()] == [name]

    # When the next clone is made
    clone_release(folder, "experiment", name)

    # Then nothing is left of the first, and the other one goes on
    assert not left.exists()
    assert other.exists()
    assert clone_names(folder) == ["experiment"]


@pytest.mark.parametrize("name", ["../elsewhere", "Caps", "", "1st", "a b", "a.b"])
def test_a_name_that_is_no_name_is_refused(folder: DataFolder, name: str) -> None:
    with pytest.raises(UsageError, match="no name for a clone"):
        clone_release(folder, name, kept_releases(folder)[0])
    assert clone_names(folder) == []


def test_a_clone_is_never_made_over_another_one_or_in_part(folder: DataFolder) -> None:
    # Given a clone with a table of its own
    (name,) = kept_releases(folder)
    file = clone_release(folder, "experiment", name).file
    with opened(file) as clone:
        clone.execute("create table core.mine as select 5 as value")

    # When one of the same name, and one of nothing are made
    with pytest.raises(UsageError, match="a clone experiment already"):
        clone_release(folder, "experiment", name)
    with pytest.raises(UsageError, match="no table"):
        clone_release(folder, "empty", name, lambda _schema, _name: False)

    # Then the first is as it was, and nothing is left of the other
    with opened(file) as clone:
        assert clone.execute("from core.mine").fetchall() == [(5,)]
    assert [path.name for path in folder.clones.iterdir()] == ["experiment"]


def test_a_clone_whose_release_was_deleted_by_hand_says_so(folder: DataFolder) -> None:
    # Given a clone, whose release somebody deletes
    (name,) = kept_releases(folder)
    file = clone_release(folder, "experiment", name).file
    publish(folder, 2)
    shutil.rmtree(folder.releases / name)

    # When it is opened
    # Then its release is named
    with pytest.raises(UsageError, match=f"reads the release {name}, which is gone"):
        opened(file)
    assert clones_of(folder) == {"experiment": name}
    assert clone_file(folder, "experiment") == file
    with pytest.raises(UsageError, match="Did you mean experiment"):
        database_of(folder, "experimant")
