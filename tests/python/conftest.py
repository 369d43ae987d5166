"""Fixtures that tests of several rooms share."""

import atexit
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.flow_shop import leave_out_unit_tests, prefect_for_tests
from support.shop import Shop, make_shop

pytest_plugins = ["support.fault_catalogue"]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose orders are files; a test may declare and connect what it likes."""
    return make_shop(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real data beside the repository; a clone without it skips the test, CI must have it."""
    path = Path(__file__).parents[3] / "shared" / "data"
    if not path.exists():
        if os.environ.get("CI"):
            pytest.fail(f"{path} is not there, and CI must not skip what needs it")
        pytest.skip(f"needs the real data in {path}")
    return path


@pytest.fixture(scope="session")
def flow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder for whole flows, with a Prefect that keeps their runs in it."""
    assert "prefect" not in sys.modules, "a test imported Prefect, which reads its settings then, without flow_home"
    home = tmp_path_factory.mktemp("flows")
    with prefect_for_tests(home):
        yield home


@pytest.fixture
def unit_tests_passed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a first run leave out the unit tests."""
    leave_out_unit_tests(monkeypatch)


if "PYTEST_XDIST_WORKER" in os.environ:
    # Registered first, so it runs last: a worker that is torn down lists what Prefect's threads still hold of DuckDB.
    atexit.register(os._exit, 0)
