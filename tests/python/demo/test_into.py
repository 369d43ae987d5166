"""The pharmacy in real databases: what is loaded from them equals what is loaded from its own files."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.flow_shop import bring_template, fingerprint_of
from support.shop import Shop

from demo.into import feed, variable_of
from demo.pharmacy import FIRST_DAY, advance
from flows.config.connections import read_connections
from flows.config.declared import declared_contracts
from flows.config.settings import PROJECT, DataFolder
from flows.core.errors import SourceFailed, UsageError
from flows.ingest.load import load_table
from flows.ingest.tables import tables_to_load
from flows.lake.delta import open_table, relation_of
from tests.services.mariadb import MariadbServer, mariadb
from tests.services.postgresql import PostgresqlServer, postgresql
from tests.services.server import ESCAPED

Server = MariadbServer | PostgresqlServer
SERVERS: dict[str, Callable[[], AbstractContextManager[Server]]] = {"postgresql": postgresql, "mysql": mariadb}
MOVED = ("crm", "shop", "clinic", "lending")
SCALE = 0.01


@pytest.fixture(scope="module", params=SERVERS)
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    with SERVERS[request.param]() as server:
        yield server.url()


def load_all(folder: DataFolder, connections: Path, lake: Path) -> dict[str, list[Any]]:
    """Load the sources that moved, and return the contract's columns of all rows by table."""
    contracts = declared_contracts()
    sources = read_connections(connections, "demo")
    found = {}
    for name, connection in tables_to_load(sources, contracts):
        if name.source in MOVED:
            load_table(connection, contracts[name], lake, run_id="a-run")
            relation = relation_of(open_table(lake / "raw" / name.source / name.table))
            columns = ", ".join(f'"{column}"' for column in contracts[name].types)
            found[str(name)] = duckdb.sql(f"select {columns}, _deleted from {relation} order by all").fetchall()
    return found


@pytest.mark.services
def test_the_rows_of_a_database_are_those_of_the_pharmacys_own_sources(
    shop: Shop, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given three days of the pharmacy, each in the database too
    monkeypatch.setenv(variable_of(url), url)
    folder = DataFolder.of("demo")
    for day in range(3):
        advance(folder.path / "source", scale=SCALE, today=FIRST_DAY + timedelta(days=day + 1))
        connections = feed(folder, "demo", [variable_of(url)])

        # When both are loaded, the database twice
        own = load_all(folder, PROJECT / "connections.yml", shop.folder / "own")
        moved = load_all(folder, connections, shop.folder / "moved")
        assert load_all(folder, connections, shop.folder / "moved") == moved

        # Then they hold the same rows, and the connections file holds no password
        assert moved == own
    assert len(moved) == 8
    assert all(moved.values())
    assert ESCAPED not in connections.read_text()


@pytest.mark.services
def test_a_database_that_takes_no_tables_says_why_without_the_password(
    shop: Shop, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DataFolder.of("demo")
    advance(folder.path / "source", scale=SCALE, today=FIRST_DAY + timedelta(days=1))
    monkeypatch.setenv(variable_of(url), url.replace(ESCAPED, "hunter%402"))
    with pytest.raises(SourceFailed, match=r"takes no tables: .*(authentication failed|Access denied)") as failure:
        feed(folder, "demo", [variable_of(url)])
    assert "hunter" not in str(failure.value)


@pytest.mark.parametrize("url", ["oracle://me:hunter2@host/shop", "shop.sqlite"])
def test_a_component_that_the_demo_does_not_know_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="moves into no component whose URL begins with") as refused:
        variable_of(url)
    assert "hunter2" not in str(refused.value)


@pytest.mark.services
def test_marts_of_a_database_equal_those_of_the_pharmacys_own_sources(
    flow_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unit_tests_passed_before: None
) -> None:
    # Given two days of the pharmacy, once from its own sources, and once from PostgreSQL
    from demo.flow import demo_day

    releases = {}
    with postgresql() as server:
        monkeypatch.setenv("DEMO_POSTGRESQL_URL", server.url())
        for name, into in (("own", []), ("moved", ["DEMO_POSTGRESQL_URL"])):
            monkeypatch.setenv("ML_WAREHOUSE_DATA", str(tmp_path / name))
            bring_template(tmp_path / name)
            for _ in range(2):
                demo_day(SCALE, 1, False, into)
            releases[name] = fingerprint_of(DataFolder.of("demo").warehouse.resolve())

    # Then all published rows are equal, but for the times of the loads, and hashes of them
    own, moved = (without_load_times(rows) for rows in releases.values())
    assert set(own) == set(moved)
    assert [name for name in own if own[name] != moved[name]] == []
    assert sum(map(len, own.values())) > 10_000


def without_load_times(tables: dict[str, list[Any]]) -> dict[str, list[str]]:
    """Return rows as texts in order; the pharmacy's own times lie long before any load."""
    latest = datetime.combine(FIRST_DAY + timedelta(days=60), datetime.min.time())

    def is_of_load(value: Any) -> bool:
        moment = value if isinstance(value, datetime) else None
        return moment is not None and latest < moment.replace(tzinfo=None) < datetime(9999, 1, 1)

    return {
        name: sorted(repr(["loaded" if is_of_load(value) else value for value in row]) for row in rows)
        for name, rows in tables.items()
        if name != "training_rows"
    }
