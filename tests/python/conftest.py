"""Fixtures for tests of several rooms."""

import atexit
import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbt_common.behavior_flags import BehaviorFlagRendered
from support.flow_shop import leave_out_unit_tests, prefect_for_tests
from support.shop import Shop, make_shop

from flows.__main__ import OBJECTS_BETWEEN_COLLECTIONS

gc.set_threshold(OBJECTS_BETWEEN_COLLECTIONS, 50, 100)
# dbt names the module of its caller in a warning; under pytest it searches all modules for it, at each command.
BehaviorFlagRendered._default_source = staticmethod(lambda: "tests")  # type: ignore[method-assign]
pytest_plugins = ["support.fault_catalogue", "support.topics"]
pytest.register_assert_rewrite("support.nursery", "support.moved_demo")

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    # Each worker of pytest has a core; more threads wait for each other over a few rows, and keep others from theirs.
    os.environ.setdefault(threads, "1")

LONGEST_FIRST = (
    "test_readme.py", "test_terminal.py", "test_recipes.py", "test_online_retail.py", "test_incremental.py",
    "test_elt.py",
)  # fmt: skip
"""Files whose tests take minutes; begun last, each would leave one of two workers idle.

The second makes the pharmacy, for which other files wait.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files for the workers; the order within a file stays."""
    ranks = {name: rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop whose orders are files; a test can declare and connect other tables."""
    return make_shop(tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data next to the checkout; without them a test is skipped, or fails if SHARED_DATA_REQUIRED is set."""
    path = Path(__file__).parents[3] / "shared" / "data"
    if not path.exists():
        reason = "needs the real data of ../shared/data beside the checkout, which are not there"
        if os.environ.get("SHARED_DATA_REQUIRED"):
            pytest.fail(f"{reason}; SHARED_DATA_REQUIRED is set")
        pytest.skip(reason)
    return path


def pytest_collection_finish() -> None:
    """Refuse a file of tests that imports Prefect at its top, before `flow_home` has made the settings."""
    if "prefect" in sys.modules:
        raise pytest.UsageError(
            "a file of tests imports Prefect at its top, if only by a module of flows.orchestration"
        )


@pytest.fixture(autouse=True)
def prefect_has_its_settings(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that imports Prefect without `flow_home`: Prefect reads its settings at the import."""
    was_imported = "prefect" in sys.modules
    yield
    assert was_imported or "flow_home" in request.fixturenames or "prefect" not in sys.modules, "use flow_home"


@pytest.fixture(scope="session")
def flow_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data folder for whole flows, with a Prefect that keeps its runs in this folder."""
    home = tmp_path_factory.mktemp("flows")
    with prefect_for_tests(home):
        yield home


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with MLflow's empty database, which takes seconds to make."""
    from flows.config import settings
    from flows.config.settings import DataFolder
    from flows.learning.registry import Registry

    home = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(settings.DATA_VARIABLE, str(home))
        patched.delenv("MLFLOW_TRACKING_URI", raising=False)
        Registry(DataFolder(home / "gym")).client.search_experiments()
    return home / settings.MLFLOW


@pytest.fixture
def unit_tests_passed_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip the unit tests in a first run."""
    leave_out_unit_tests(monkeypatch)


if "PYTEST_XDIST_WORKER" in os.environ:
    # Registered first, so it runs last: otherwise DuckDB lists the objects of Prefect's threads at the end of a worker.
    atexit.register(os._exit, 0)
