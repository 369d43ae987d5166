"""A lake that is on S3, after whole runs of which one was killed: its tables, its commands, and copies of releases."""

from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable
from support.command_line import run_command
from support.moved_demo import LAKE, SALES, SET, Moved

from flows.core.errors import StorageFailed
from flows.warehouse.copies import copy_release
from tests.services.s3 import BUCKET, SECRET, Fault

pytest_plugins = ["support.moved_demo"]
pytestmark = pytest.mark.services

SQL = "select count(*) > 100 as is_large from fct_order_lines"


def test_the_lake_is_on_s3_alone(moved: Moved) -> None:
    found = {key.split("/")[2] for key in moved.s3.keys(f"lakes/{SET}/")}
    assert found == {"raw", "quarantine", "ops", "published"}
    assert not (moved.folder.path / "lake").exists()


def test_a_model_is_published_as_delta_on_s3(moved: Moved) -> None:
    # Given the place and the version that the release's file names
    with duckdb.connect(str(moved.release), read_only=True) as release:
        sql = f"select unnest(delta_versions['{SALES.name}']) from release"
        uri, version = release.execute(sql).fetchall()[0]
        rows = release.execute(f"select * from {SALES.name} order by all").fetchall()

    # When pandas reads it, then it has the rows of the release, which an earlier version has not
    assert (uri, version) == (f"{LAKE}/{SET}/published/finance/daily_sales", 1)
    frame = DeltaTable(uri, version).to_pandas()
    assert len(frame) == len(rows) > len(DeltaTable(uri, 0).to_pandas())
    assert sorted(frame["net_sales_amount"]) == sorted(row[frame.columns.get_loc("net_sales_amount")] for row in rows)


def test_commands_read_a_lake_on_s3(
    moved: Moved, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, told in (
        (["status"], "no run is going on"),
        (["tables"], "fct_order_lines"),
        (["quarantine"], ""),
        (["releases"], "is what readers see"),
        (["releases", moved.release.parent.name], f"{LAKE}/{SET}/published/finance/daily_sales"),
        (["prune"], "lake: 0 files deleted"),
        (["query", SQL], "true"),
        (["reload", "sales.orders"], "s3://warehouse/lakes/demo/damaged/"),
        (["verify"], "tables are as they were committed"),
    ):
        said = run_command(monkeypatch, capsys, *arguments, *moved.options)
        assert told in said.text, said
        assert SECRET not in said.text


def test_a_release_is_copied_to_s3_and_opened_from_there(
    moved: Moved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a release that is copied, which is said to be there already the second time
    name, place = moved.release.parent.name, f"s3://{BUCKET}/releases"
    for told in ("is copied, ", "is there already: "):
        said = run_command(monkeypatch, capsys, "releases", "--to", place, *moved.options)
        assert f"release {name} {told}" in said.out, said
    copy = f"{place}/{SET}/{name}"
    assert moved.s3.keys("releases") == [f"releases/{SET}/{name}/warehouse.duckdb"]

    # When a machine that has nothing opens it, twice, then it reads the same file, and fetches it once
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("ML_WAREHOUSE_DATA", str(tmp_path))
        for _ in range(2):
            said = run_command(elsewhere, capsys, "query", SQL, "--format", "csv", "--release", copy, *moved.options)
            assert said.out.split() == ["is_large", "true"], said
            moved.s3.refuse(Fault("GET .*warehouse.duckdb", 403, "AccessDenied"))
        moved.s3.refuse()
        (fetched,) = tmp_path.rglob("warehouse.duckdb")
        assert fetched.read_bytes() == moved.release.read_bytes()

        # And a name that is not there is told with the way to make one
        said = run_command(elsewhere, capsys, "query", SQL, "--release", f"{place}/2020-01-01.1", *moved.options)
        assert "There is no release at s3://warehouse/releases/2020-01-01.1" in said.err

    # And another file is not replaced
    moved.s3.put(f"other/{SET}/{name}/warehouse.duckdb", b"else")
    with pytest.raises(StorageFailed, match="it has 4 bytes, and the file of the release"):
        copy_release(moved.folder, name, f"s3://{BUCKET}/other")
