"""The pharmacy on PostgreSQL, Kafka and S3; a module requests it by `pytest_plugins = ["support.moved_demo"]`."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from support.flow_shop import bring_template, command, fingerprint_of, leave_out_data_tests, leave_out_unit_tests

from flows.config.publications import Publication
from flows.config.settings import PROJECT, DataFolder
from flows.core.object_store import _store
from tests.services.s3 import BUCKET, S3Server

if TYPE_CHECKING:
    from tests.services.kafka import KafkaBroker

pytest_plugins = ["support.s3_fixtures"]

SET, SCALE = "demo", 0.01
"""A smaller pharmacy cannot be made; every mart has rows whose sources the demo has."""

LAKE = f"s3://{BUCKET}/lakes"
KEY = ("booked_date", "channel", "ship_country", "currency")
SALES = Publication("model.ml_warehouse.daily_sales", "finance", "daily_sales", KEY)


@dataclass(frozen=True)
class Moved:
    """The pharmacy after two days on components, what a command has printed, and the rows that its own files gave."""

    own: Mapping[str, list[Any]]
    folder: DataFolder
    s3: S3Server
    environment: Mapping[str, str]
    printed: str

    @property
    def options(self) -> list[str]:
        return ["--set", SET, "--connections", str(self.folder.path / "connections.yml")]

    @property
    def release(self) -> Path:
        return self.folder.warehouse.resolve()

    def empty_marts(self) -> set[str]:
        """Return the marts without rows, by name."""
        with duckdb.connect(str(self.release), read_only=True) as release:
            marts = release.execute(
                "select schema_name, table_name from duckdb_tables() "
                "where schema_name not in ('main', 'core', 'history') and not starts_with(table_name, 'int_')"
            ).fetchall()
            return {name for schema, name in marts if not release.execute(f"from {schema}.{name} limit 1").fetchall()}


@pytest.fixture(scope="session")
def moved_once(
    flow_home: Path, tmp_path_factory: pytest.TempPathFactory, broker: "KafkaBroker", s3_server: S3Server
) -> Moved:
    """Two days by their own files, in a process of its own; and on components, where the second run is killed."""
    from demo.flow import demo_day
    from demo.into import variables_of
    from flows.elt import elt
    from tests.services.postgresql import postgresql

    home = tmp_path_factory.mktemp("into")
    own = os.environ | new_folder(home / "own") | {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests' / 'python'}"}
    script = "from support.moved_demo import make_own; make_own()"
    with (
        pytest.MonkeyPatch.context() as patched,
        postgresql() as database,
        subprocess.Popen([sys.executable, "-c", script], env=own, cwd=PROJECT) as reference,
    ):
        prepare(patched)
        urls = [database.url(), f"kafka://{broker.address}", f"s3://{BUCKET}/shop"]
        places = {**s3_server.environment, **variables_of(urls), "ML_WAREHOUSE_LAKE": LAKE}
        environment = {**places, **new_folder(home / "moved")}
        use(patched, environment)
        folder = DataFolder.of(SET)
        demo_day(SCALE, into=list(variables_of(urls)))
        printed = run_until_killed(s3_server, [part for url in urls for part in ("--into", url)])
        elt(SET, str(folder.path / "connections.yml"))
        assert reference.wait() == 0
    _store.cache_clear()
    found = fingerprint_of(home / "own" / SET / "warehouse.duckdb")
    return Moved(found, folder, s3_server, environment, printed)


def prepare(patched: pytest.MonkeyPatch) -> None:
    """Let a run compare rows only, and publish a table as Delta."""
    leave_out_unit_tests(patched)
    leave_out_data_tests(patched)
    patched.setattr("flows.publish.publications_of", lambda _: [SALES])


def make_own() -> None:
    """Make two days of the pharmacy from its own files, in the data folder that the environment names."""
    from demo.flow import demo_day

    with pytest.MonkeyPatch.context() as patched:
        prepare(patched)
        for _ in range(2):
            demo_day(SCALE)


@pytest.fixture
def moved(moved_once: Moved, monkeypatch: pytest.MonkeyPatch) -> Iterator[Moved]:
    """The pharmacy on components, to which the environment leads."""
    use(monkeypatch, moved_once.environment)
    yield moved_once
    _store.cache_clear()


def new_folder(data: Path) -> dict[str, str]:
    """Make a data folder that has what set-up makes, and return the variable that leads to it."""
    data.mkdir()
    bring_template(data)
    return {"ML_WAREHOUSE_DATA": str(data)}


def use(patched: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name, value in environment.items():
        patched.setenv(name, value)
    _store.cache_clear()


def run_until_killed(server: S3Server, into: Sequence[str]) -> str:
    """Run the demo's command for another day, kill it when a further batch is in the lake, and return what it said."""
    entries = f"lakes/{SET}/raw"
    before = server.keys(entries)
    pipe, errors = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(
        command("demo", "--scale", str(SCALE), *into), cwd=PROJECT, stdout=pipe, stderr=errors, text=True
    ) as run:
        while server.keys(entries) == before:
            assert run.poll() is None, run.communicate()
            time.sleep(0.02)
        run.kill()
        printed, _ = run.communicate()
    assert f"lakes/{SET}/run.lock" in server.keys("lakes")
    return printed
