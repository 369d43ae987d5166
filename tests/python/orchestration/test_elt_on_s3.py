"""Whole runs with the lake on S3: the release of a lake in a folder, its commands and copies, and a kill."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command_line import run_command
from support.flow_shop import SET, FlowShop, bring_template, fingerprint_of, leave_out_unit_tests, make_shop

from flows.config import settings
from flows.core.errors import StorageFailed
from flows.core.object_store import _store
from flows.warehouse.copies import copy_release
from tests.services.s3 import BUCKET, SECRET, Fault, S3Server, s3

pytest_plugins = ["support.s3_fixtures"]
pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    with s3() as running, pytest.MonkeyPatch.context() as patched:
        for name, value in running.environment.items():
            patched.setenv(name, value)
        _store.cache_clear()
        yield running
    _store.cache_clear()


@pytest.fixture(scope="module")
def shop(
    tmp_path_factory: pytest.TempPathFactory, flow_home: Path, server: S3Server
) -> Iterator[tuple[FlowShop, dict[str, object]]]:
    """A shop of two days, whose second release was built with the lake on S3; and the rows with a lake in a folder."""
    shop = make_shop(tmp_path_factory.mktemp("s3"), flow_home)
    with pytest.MonkeyPatch.context() as patched:
        leave_out_unit_tests(patched)
        shop.drop_day(1)
        shop.drop_day(2)
        shop.elt()
        in_folder = shop.fingerprint()
        shutil.rmtree(shop.folder.path)
        patched.setenv("ML_WAREHOUSE_LAKE", f"s3://{BUCKET}/lakes")
        (shop.drops / "sales-2.csv").rename(shop.drops / "later")
        shop.elt()
        (shop.drops / "later").rename(shop.drops / "sales-2.csv")
        shop.elt()
        yield shop, in_folder


def test_a_release_with_the_lake_on_s3_is_that_with_a_lake_in_a_folder(
    shop: tuple[FlowShop, dict[str, object]], server: S3Server
) -> None:
    on_s3, in_folder = shop
    assert on_s3.fingerprint() == in_folder
    assert {key.split("/")[2] for key in server.keys(f"lakes/{SET}/")} == {"raw", "ops"}
    assert not (on_s3.folder.path / "lake").exists()


def test_commands_read_a_lake_on_s3(
    shop: tuple[FlowShop, dict[str, object]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--connections", str(shop[0].connections), "--set", SET]
    for command, told in (
        (["status"], "no run is going on"),
        (["tables"], "fct_order_lines"),
        (["verify"], "tables are as they were committed"),
        (["quarantine"], ""),
        (["releases"], "is what readers see"),
        (["prune"], "lake: 0 files deleted"),
        (["query", "select count(*) as lines from fct_order_lines"], "120"),
        (["reload", "sales.orders"], "cannot be reloaded"),
    ):
        said = run_command(monkeypatch, capsys, *command, *options)
        assert told in said.text, said
        assert SECRET not in said.text


def test_a_release_is_copied_to_s3_and_opened_from_there(
    shop: tuple[FlowShop, dict[str, object]],
    server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Given a release that is copied, which is said to be there already the second time
    options = ["--connections", str(shop[0].connections), "--set", SET]
    name, place = shop[0].release_name, f"s3://{BUCKET}/releases"
    for told in ("is copied, ", "is there already: "):
        said = run_command(monkeypatch, capsys, "releases", "--to", place, *options)
        assert f"release {name} {told}" in said.out, said
    copy = f"{place}/{SET}/{name}"
    assert server.keys("releases") == [f"releases/{SET}/{name}/warehouse.duckdb"]

    # When a machine that has nothing opens it, twice, then it reads the same rows, and fetches the file once
    monkeypatch.setenv("ML_WAREHOUSE_DATA", str(tmp_path))
    sql = "select count(*) as lines from fct_order_lines"
    for _ in range(2):
        said = run_command(monkeypatch, capsys, "query", sql, "--format", "csv", "--release", copy, *options)
        assert said.out.split() == ["lines", "120"], said
        server.refuse(Fault("GET .*warehouse.duckdb", 403, "AccessDenied"))
    server.refuse()
    (fetched,) = tmp_path.rglob("warehouse.duckdb")
    assert fingerprint_of(fetched) == shop[0].fingerprint()

    # And a name that is not there is told with the way to make one, and another file is not replaced
    said = run_command(monkeypatch, capsys, "query", sql, "--release", f"{place}/2020-01-01.1", *options)
    assert "There is no release at s3://warehouse/releases/2020-01-01.1" in said.err
    monkeypatch.undo()
    server.put(f"other/{SET}/{name}/warehouse.duckdb", b"else")
    with pytest.raises(StorageFailed, match="it has 4 bytes, and the file of the release"):
        copy_release(shop[0].folder, name, f"s3://{BUCKET}/other")


def test_a_run_that_was_killed_on_s3_is_continued(
    shop: tuple[FlowShop, dict[str, object]], server: S3Server, tmp_path: Path
) -> None:
    """The whole command is killed as soon as a batch is in the lake; the next one begins at once, and loses nothing."""
    data, lake = tmp_path / "data", "killed"
    data.mkdir()
    bring_template(data)
    changed = {"ML_WAREHOUSE_DATA": str(data), "ML_WAREHOUSE_LAKE": f"s3://{BUCKET}/{lake}"}
    command = [sys.executable, "-m", "flows", "elt", "--connections", str(shop[0].connections), "--set", SET]
    with subprocess.Popen(command, cwd=settings.PROJECT, env={**os.environ, **changed}) as run:
        while not server.keys(f"{lake}/{SET}/raw"):
            assert run.poll() is None
            time.sleep(0.02)
        run.kill()
    assert f"{lake}/{SET}/run.lock" in server.keys(lake)
    subprocess.run(command, cwd=settings.PROJECT, env={**os.environ, **changed}, check=True)
    assert f"{lake}/{SET}/run.lock" not in server.keys(lake)
    assert fingerprint_of(data / SET / "warehouse.duckdb") == shop[1]
