"""Whole runs with the lake on S3: the release of a lake in a folder, one run at a time on all machines, kills."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.command_line import run_command
from support.flow_shop import SET, FlowShop, leave_out_unit_tests, make_shop

from flows.core.object_store import _store
from tests.services.s3 import BUCKET, SECRET, S3Server, s3

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
        (["tables"], "sales.orders (20"),
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
