"""The catalog: one view per declared table, typed and pinned, loaded or not."""

from pathlib import Path

import duckdb
import pytest
from support.shop import ORDERS, Shop, make_contract

from flows.config.contract import SYSTEM_COLUMNS
from flows.core.names import TableName
from flows.lake.catalog import Pin, complete_catalog, pin_catalog, read_pins

HEADER = "order_id,customer,quantity,price,updated_at\n"
Rows = list[tuple[object, ...]]


@pytest.fixture
def catalog(shop: Shop) -> Path:
    return shop.folder / "catalog.duckdb"


def query(catalog: Path, sql: str) -> Rows:
    with duckdb.connect(str(catalog), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_a_table_that_was_never_loaded_is_a_typed_and_empty_view(shop: Shop, catalog: Path) -> None:
    # Given contracts, one of them with names that need quotes, and no lake
    evil = make_contract('sales."; drop table x', {'a"b': "decimal(18, 4)"}, key=['a"b'])
    contracts = {shop.name: shop.contract, evil.name: evil}

    # When the catalog is completed, twice
    for _ in range(2):
        complete_catalog(catalog, shop.lake, contracts)

    # Then each has its columns and types, and no rows
    assert query(catalog, "select count(*) from sales.orders") == [(0,)]
    described = {name: kind for name, kind, *_ in query(catalog, "describe sales.orders")}
    assert described["price"] == "DECIMAL(18,4)"
    assert list(described) == [*ORDERS, *SYSTEM_COLUMNS]
    assert query(catalog, 'select "a""b" from sales."""; drop table x"') == []
    assert read_pins(catalog) == {shop.name: Pin(None, 0), evil.name: Pin(None, 0)}


def test_a_view_shows_the_version_that_it_is_pinned_to(shop: Shop, catalog: Path) -> None:
    # Given a pinned load
    shop.drop("1.csv", HEADER + "1,Ada,1,1.50,2026-03-01 10:00:00\n")
    shop.load()
    pins = pin_catalog(catalog, shop.lake, {shop.name: shop.contract})
    assert pins == read_pins(catalog) == {shop.name: Pin(0, 1)}

    # When more batches are loaded
    shop.drop("2.csv", HEADER + "2,Bob,1,1.50,2026-03-02 10:00:00\n")
    shop.load()

    # Then the view shows the pinned version, also after a completion, until it is pinned again
    complete_catalog(catalog, shop.lake, {shop.name: shop.contract})
    assert query(catalog, "select order_id from sales.orders") == [("1",)]
    other = make_contract("crm.people", {"id": "varchar"}, key=["id"])
    complete_catalog(catalog, shop.lake, {shop.name: shop.contract, other.name: other})
    assert query(catalog, "select order_id from sales.orders") == [("1",)]
    pin_catalog(catalog, shop.lake, {shop.name: shop.contract})
    assert query(catalog, "select order_id from sales.orders order by 1") == [("1",), ("2",)]


def test_a_load_without_new_rows_leaves_the_state_of_the_rows(shop: Shop, catalog: Path) -> None:
    # Given a pinned load
    shop.drop("1.csv", HEADER + "1,Ada,1,1.50,2026-03-01 10:00:00\n")
    shop.load()
    pins = pin_catalog(catalog, shop.lake, {shop.name: shop.contract})

    # When a file has rejected records alone, then a batch is committed, and the rows are as they were
    shop.drop("2.csv", HEADER + "9,Eve,many,1.50,2026-03-01 10:00:00\n")
    shop.load()
    again = pin_catalog(catalog, shop.lake, {shop.name: shop.contract})
    assert again[shop.name].batch > pins[shop.name].batch
    assert again[shop.name].rows == pins[shop.name].rows

    # And a new record is another state
    shop.drop("3.csv", HEADER + "2,Bob,1,1.50,2026-03-02 10:00:00\n")
    shop.load()
    assert pin_catalog(catalog, shop.lake, {shop.name: shop.contract})[shop.name].rows != pins[shop.name].rows


def test_columns_that_came_later_are_shown_and_null_before(shop: Shop, catalog: Path) -> None:
    # Given a source that has an additional column later, and a contract that declares another one
    shop.drop("1.csv", HEADER + "1,Ada,1,1.50,2026-03-01 10:00:00\n")
    shop.load()
    shop.drop("2.csv", "order_id,gift,updated_at\n2,yes,2026-03-02 10:00:00\n")
    shop.load()
    shop.declare(columns={**ORDERS, "GIFT": "varchar", "note": "varchar"}, load="upsert", cursor="updated_at")

    # When it is pinned, then each column is there once, in the contract's spelling
    pin_catalog(catalog, shop.lake, {shop.name: shop.contract})
    assert query(catalog, "select order_id, gift, note from sales.orders order by 1") == [
        ("1", None, None),
        ("2", "yes", None),
    ]
    names = [name for name, *_ in query(catalog, "describe sales.orders")]
    assert names == [*ORDERS, "GIFT", "note", *SYSTEM_COLUMNS]


def test_a_changed_contract_changes_the_view_and_not_its_pin(shop: Shop, catalog: Path) -> None:
    # Given a pinned load
    shop.drop("1.csv", HEADER + "1,Ada,1,1.50,2026-03-01 10:00:00\n")
    shop.load()
    pin_catalog(catalog, shop.lake, {shop.name: shop.contract})

    # When the contract has an additional column
    shop.declare(columns={**ORDERS, "note": "varchar"})
    complete_catalog(catalog, shop.lake, {shop.name: shop.contract})

    # Then the view has it
    assert query(catalog, "select order_id, note from sales.orders") == [("1", None)]
    assert read_pins(catalog) == {shop.name: Pin(0, 1)}


def test_a_relation_that_somebody_else_made_is_left_alone(shop: Shop, catalog: Path) -> None:
    # Given a catalog written by hand
    with duckdb.connect(str(catalog)) as connection:
        connection.execute("create schema sales; create table sales.orders as select 'by hand' as order_id")

    # When it is completed
    complete_catalog(catalog, shop.lake, {TableName("sales", "orders"): shop.contract})

    # Then it is unchanged
    assert query(catalog, "select * from sales.orders") == [("by hand",)]
