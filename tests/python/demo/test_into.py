"""The pharmacy on real components: what is loaded from them, and published of it, equals that of its own files."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.flow_shop import fingerprint_of
from support.moved_demo import SCALE, SET, Moved
from support.shop import Shop

from demo.into import feed, variables_of
from demo.pharmacy import FIRST_DAY, advance
from flows.config.connections import read_connections
from flows.config.declared import declared_contracts
from flows.config.settings import PROJECT, DataFolder
from flows.core.errors import SourceFailed, UsageError
from flows.ingest.load import load_table
from flows.ingest.tables import tables_to_load
from flows.lake.delta import open_table, relation_of
from flows.site.write import write_site
from flows.warehouse.dbt import Dbt
from tests.services.mariadb import mariadb
from tests.services.s3 import BUCKET, SECRET
from tests.services.server import ESCAPED

pytest_plugins = ["support.moved_demo"]

WITHOUT_ROWS = {
    "revolving_credit_histories", "label_account_default", "train_account_default", "score_account_default",
    "subscription_months", "label_subscription_churn", "train_subscription_churn", "score_subscription_churn",
    "graph_edge_states", "model_drift", "prediction_changes",
}  # fmt: skip
"""Marts of cards, subscriptions and edges, which the demo has not, and of predictions, of which none is made."""

IN_DATABASES = ("crm", "shop", "clinic", "lending")


@pytest.mark.parametrize("url", ["oracle://me:hunter2@host/shop", "shop.sqlite"])
def test_a_component_that_the_demo_does_not_know_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="moves into no component whose URL begins with") as refused:
        variables_of([url])
    assert "hunter2" not in str(refused.value)


def test_two_components_for_the_same_sources_are_refused() -> None:
    assert len(variables_of(["mysql://host/shop", "kafka://host:9092", "s3://bucket/shop"])) == 3
    with pytest.raises(UsageError, match="take the same sources; the second one begins with mysql"):
        variables_of(["postgresql://host/shop", "mysql://host/shop"])


def load_all(folder: DataFolder, connections: Path, lake: Path) -> dict[str, list[Any]]:
    """Load the sources that are in databases, and return the contract's columns of all rows by table."""
    contracts = declared_contracts()
    sources = read_connections(connections, SET)
    found = {}
    for name, connection in tables_to_load(sources, contracts):
        if name.source in IN_DATABASES:
            load_table(connection, contracts[name], lake, run_id="a-run")
            relation = relation_of(open_table(lake / "raw" / name.source / name.table))
            columns = ", ".join(f'"{column}"' for column in contracts[name].types)
            found[str(name)] = duckdb.sql(f"select {columns}, _deleted from {relation} order by all").fetchall()
    return found


@pytest.mark.services
def test_the_rows_of_mysql_are_those_of_the_pharmacys_own_sources(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = DataFolder.of(SET)
    with mariadb() as server:
        (variable,) = variables_of([server.url()])
        monkeypatch.setenv(variable, server.url())
        for day in range(2):
            # Given days of the pharmacy, each in the database too
            advance(folder.path / "source", scale=SCALE, today=FIRST_DAY + timedelta(days=day + 1))
            connections = feed(folder, SET, [variable])

            # When both are loaded, then they hold the same rows
            own = load_all(folder, PROJECT / "connections.yml", shop.folder / "own")
            assert load_all(folder, connections, shop.folder / "moved") == own
        assert len(own) == 8
        assert all(own.values())

        # And a database that takes no tables is told without the password
        monkeypatch.setenv(variable, server.url("hunter%402"))
        with pytest.raises(SourceFailed, match=r"takes no tables: .*Access denied") as failure:
            feed(folder, SET, [variable])
        assert "hunter" not in str(failure.value)


@pytest.mark.services
def test_marts_of_postgresql_kafka_and_s3_equal_those_of_the_pharmacys_own_files(moved: Moved) -> None:
    own, on_components = without_load_times(moved.own), without_load_times(fingerprint_of(moved.release))
    assert set(own) == set(on_components)
    assert [name for name in own if own[name] != on_components[name]] == []
    assert moved.empty_marts() == WITHOUT_ROWS
    connections = (moved.folder.path / "connections.yml").read_text()
    assert "file:" not in connections
    assert "sqlite:" not in connections
    for text in (connections, moved.printed):
        assert ESCAPED not in text
        assert SECRET not in text


@pytest.mark.services
def test_the_docs_site_tells_of_the_loads_into_a_lake_on_s3(moved: Moved) -> None:
    sources = read_connections(moved.folder.path / "connections.yml", SET)
    write_site(Dbt.parse(moved.folder, sources.variables), sources)
    pages = {page.name: page.read_text() for page in moved.folder.docs.parent.rglob("*.html")}
    assert moved.release.parent.name in pages["index.html"]
    for table in ("crm.customers", "payments.transactions", "content.images"):
        assert table in pages["loads.html"]
    assert not [name for name, text in pages.items() if SECRET in text or ESCAPED in text]


@pytest.mark.services
def test_a_component_that_holds_another_pharmacy_is_refused(
    moved: Moved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a pharmacy of another seed, and a place on S3 that has a file already
    monkeypatch.setenv("ML_WAREHOUSE_DATA", str(tmp_path))
    monkeypatch.setenv("DEMO_S3_URL", f"s3://{BUCKET}/elsewhere")
    moved.s3.put("elsewhere/content/images/mine.png", b"mine")
    folder = DataFolder.of(SET)
    advance(folder.path / "source", scale=SCALE, seed=2, today=FIRST_DAY + timedelta(days=1))

    # When it is to move there, then nothing is written
    with pytest.raises(UsageError, match=r"The topic \w+\.\w+ holds messages that are not of this pharmacy"):
        feed(folder, SET, ["DEMO_KAFKA_URL"])
    with pytest.raises(UsageError, match=r"holds files .*, such as content/images/mine\.png"):
        feed(folder, SET, ["DEMO_S3_URL"])
    assert moved.s3.keys("elsewhere") == ["elsewhere/content/images/mine.png"]

    # And a wrong URL is told without its password
    monkeypatch.setenv("DEMO_KAFKA_URL", "kafka://me:hunter2@127.0.0.1:9092/topic")
    with pytest.raises(UsageError, match="The URL of Kafka after --into is not valid") as refused:
        feed(folder, SET, ["DEMO_KAFKA_URL"])
    assert "hunter2" not in str(refused.value)


def without_load_times(tables: Mapping[str, list[Any]]) -> dict[str, list[str]]:
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
