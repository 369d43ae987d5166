"""An incremental build equals a full refresh, and each order of arrival gives the same history."""

import copy
import json
import random
from datetime import datetime, timedelta

import pytest
from support.chance import NOON, Chance
from support.lake_by_hand import SEEDS_OF_WHOLE_BUILDS, Lake, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

ONLY = ("--select", "+fct_order_lines")
KEPT = ("--select", "+fct_order_lines", "+customer_segments")
NOTED = (
    "select model, input, batch, row_count, load_id, definition from core.incremental_state "
    "where model = 'fct_order_lines' order by all"
)


@pytest.fixture
def lake() -> Lake:
    """Two orders of one customer, with one line each."""
    lake = Lake()
    lake.load(
        NOON,
        crm__customers=[{"customer_id": "C1", "city": "Leeds", "updated_at": NOON}],
        shop__products=[{"product_id": "P1", "product_name": "Lamp", "updated_at": NOON}],
        sales__orders=[
            {"order_id": "O1", "customer_id": "C1", "ordered_at": NOON, "updated_at": NOON},
            {"order_id": "O2", "customer_id": "C1", "ordered_at": NOON - timedelta(hours=2), "updated_at": NOON},
        ],
        sales__order_lines=[
            {"order_id": "O1", "line_number": 1, "product_id": "P1", "quantity": 1, "unit_price": 5},
            {"order_id": "O2", "line_number": 1, "product_id": "P1", "quantity": 1, "unit_price": 5},
        ],
    )
    return lake


@pytest.mark.parametrize("seed", SEEDS_OF_WHOLE_BUILDS)
def test_incremental_equals_full_refresh(seed: int, incremental: Warehouse, full: Warehouse) -> None:
    # Given a shop with late-arriving changes of dimensions, and with lines and orders in any order.
    # Records are deleted and return, clocks go back, and history is rewritten.
    shop = Chance(seed)
    # The first seed builds fewer models, to be fast
    only = ("--select", "+daily_sales", "+fct_order_status_changes") if seed == 0 else ()

    # When one warehouse is built after every load
    for load in range(4):
        shop.load()
        incremental.build(shop.lake, *only)

        # Then it equals a warehouse that is built from nothing
        if load % 2 == 1:
            full.build(shop.lake, "--full-refresh", *only)
            assert incremental.differences(full) == {}


def test_what_was_not_touched_is_not_built_again(lake: Lake, incremental: Warehouse) -> None:
    # Given a warehouse with a mark on every line
    incremental.build(lake, *ONLY)
    with incremental.connect() as warehouse:
        warehouse.execute("update core.fct_order_lines set unit_price = 99")

    # When one order changes
    lake.load(NOON - timedelta(days=9), sales__orders=[{"order_id": "O2", "ordered_at": NOON, "status": "cancelled"}])
    incremental.build(lake, *ONLY)

    # Then only its lines lose the mark
    marked = incremental.rows("select order_id, unit_price from core.fct_order_lines order by all")
    assert marked == [("O1", 99), ("O2", 5)]


def test_a_late_change_of_a_dimension_touches_the_orders_it_concerns(lake: Lake, incremental: Warehouse) -> None:
    # Given a warehouse in which the customer lived in Leeds for both orders
    incremental.build(lake, *ONLY)

    # When an earlier city of the customer arrives, without any change of the orders
    lake.load(NOON, crm__customers=[{"customer_id": "C1", "city": "Derby", "updated_at": NOON - timedelta(hours=1)}])
    incremental.build(lake, *ONLY)
    cities = """
        select order_lines.order_id, customers.city
        from core.fct_order_lines as order_lines
        join core.dim_customer as customers using (customer_key)
        order by all
    """

    # Then each order has the city of its time
    assert incremental.rows(cities) == [("O1", "Leeds"), ("O2", "Derby")]


HARMS = (
    "update core.incremental_state set definition = 'of another version' where model = 'fct_order_lines'",
    "update core.incremental_state set batch = 9 where model = 'fct_order_lines'",
    "update core.incremental_state set row_count = 9 where input = 'sales.orders'",
    "update core.incremental_state set load_id = 'of another lake' where model = 'fct_order_lines'",
    "delete from core.incremental_state where input = 'sales.orders'",
)


@pytest.mark.slow
def test_what_cannot_be_trusted_is_built_again(lake: Lake, incremental: Warehouse) -> None:
    # Given a warehouse
    incremental.build(lake, *ONLY)
    noted = incremental.rows(NOTED)

    for harm in HARMS:
        # When its recorded state no longer matches its lake or its model
        with incremental.connect() as warehouse:
            warehouse.execute("update core.fct_order_lines set order_id = order_id || '?'")
            warehouse.execute(harm)
        incremental.build(lake, "--select", "fct_order_lines")

        # Then all of its old rows are built again
        assert incremental.rows("select order_id from core.fct_order_lines order by all") == [("O1",), ("O2",)]
        assert incremental.rows(NOTED) == noted


@pytest.mark.slow
def test_a_changed_column_arrives_for_old_rows_and_new_ones(
    lake: Lake, incremental: Warehouse, full: Warehouse
) -> None:
    # Given a warehouse, and a model with a wider type, an additional column and an index
    incremental.build(lake, *ONLY)
    manifest = incremental.manifest.deepcopy()
    fact = manifest.nodes["model.ml_warehouse.fct_order_lines"]
    fact.raw_code = fact.raw_code.replace(
        "returns_told.quantity,\n",
        "cast(returns_told.quantity as bigint) as quantity,\n        'kg' as quantity_unit,\n",
    )
    unit = copy.deepcopy(fact.columns["product_id"])
    unit.name = "quantity_unit"
    fact.columns["quantity"].data_type = "bigint"
    fact.columns["quantity_unit"] = unit
    fact.config["indexes"] = [{"columns": ["order_id"]}]
    incremental.manifest = full.manifest = manifest

    # When another row arrives and it is built, without an explicit full refresh
    lake.load(NOON, sales__order_lines=[{"order_id": "O1", "line_number": 2, "product_id": "P1", "quantity": 3,
                                         "unit_price": 1}])  # fmt: skip
    incremental.build(lake, *ONLY)
    full.build(lake, "--full-refresh", *ONLY)

    # Then old rows and new ones have both columns, as after a full refresh, and the index is there
    assert incremental.differences(full) == {}
    rows = "select order_id, line_number, quantity, quantity_unit from core.fct_order_lines order by all"
    assert incremental.rows(rows) == [("O1", 1, 1, "kg"), ("O1", 2, 3, "kg"), ("O2", 1, 1, "kg")]
    assert incremental.rows("select data_type from duckdb_columns() where table_name = 'fct_order_lines' "
                            "and column_name = 'quantity'") == [("BIGINT",)]  # fmt: skip
    assert incremental.rows("select count(*) from duckdb_indexes() where table_name = 'fct_order_lines'") == [(1,)]

    # And the next build is incremental again
    with incremental.connect() as warehouse:
        warehouse.execute("update core.fct_order_lines set unit_price = 99")
    incremental.build(lake, *ONLY)
    assert incremental.rows("select distinct unit_price from core.fct_order_lines") == [(99,)]


def test_a_build_that_fails_changes_nothing(lake: Lake, incremental: Warehouse) -> None:
    # Given a warehouse
    incremental.build(lake, *ONLY)
    before = [incremental.rows(query) for query in ("from core.fct_order_lines order by all", NOTED)]

    # When a batch breaks the model's contract, after the build has deleted the affected keys
    lake.load(NOON, sales__order_lines=[{"order_id": "O1", "line_number": 1, "product_id": "P1", "quantity": 1}])
    assert not incremental.dbt(lake, "build", "--select", "fct_order_lines").success

    # Then the model and its recorded state are unchanged
    assert [incremental.rows(query) for query in ("from core.fct_order_lines order by all", NOTED)] == before


@pytest.mark.slow
def test_an_empty_build_notes_nothing(lake: Lake, incremental: Warehouse) -> None:
    # Given a built warehouse, and a batch after the build
    incremental.build(lake, "--resource-type", "snapshot", *KEPT)
    kept = ("from core.incremental_state", "from core.fct_order_lines order by all", "from history.customer_segments")
    before = [incremental.rows(query) for query in kept]
    lake.load(NOON, sales__order_lines=[{"order_id": "O1", "line_number": 2, "product_id": "P1", "quantity": 1}])

    # When it is built with --empty, which reads no rows
    incremental.build(lake, "--empty", "--resource-type", "snapshot", *KEPT)

    # Then it keeps its facts, its recorded state, and the published segments
    assert [incremental.rows(query) for query in kept] == before

    # And after an empty full refresh, its recorded state is empty
    incremental.build(lake, "--empty", "--full-refresh", *KEPT)
    assert incremental.rows("from core.incremental_state") == []


@pytest.mark.slow
def test_incremental_equals_full_refresh_if_loads_show_the_past_again(incremental: Warehouse, full: Warehouse) -> None:
    # Given a shop whose loads count as replays as soon as they are older than their records
    shop = Chance(100)
    only = ("--select", "+fct_order_status_changes", "--vars", json.dumps({"replay_after_days": 0}))

    # When one warehouse is built after every load, then it equals one that is built from nothing
    for _ in range(4):
        shop.load()
        incremental.build(shop.lake, *only)
    full.build(shop.lake, "--full-refresh", *only)
    assert incremental.differences(full) == {}


@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_arrival_gives_the_same_history(seed: int, incremental: Warehouse, full: Warehouse) -> None:
    # Given states of customers, all of different times
    chance = random.Random(seed)
    states = [
        {
            "customer_id": f"C{customer}",
            "city": chance.choice(["Leeds", "Derby"]),
            "updated_at": None if hour == 0 else NOON + timedelta(hours=hour),
        }
        for customer in range(1, 6)
        for hour in chance.sample(range(9), 5)
    ]

    # When they arrive in order in one warehouse, and in any order, in several loads, in another
    in_order, shuffled = Lake(), Lake()
    in_order.load(NOON, crm__customers=sorted(states, key=lambda state: state["updated_at"] or datetime.min))
    chance.shuffle(states)
    for part in (states[:9], states[9:13], states[13:]):
        shuffled.load(NOON - timedelta(days=chance.randint(0, 9)), crm__customers=part)
        incremental.build(shuffled, "--select", "+dim_customer")
    full.build(in_order, "--select", "+dim_customer")

    # Then both have the same history
    assert incremental.differences(full) == {}
