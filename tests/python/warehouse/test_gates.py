"""Each gate closes on its own kind of defect, and names the failing rows by their key."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

from flows.core.errors import GateFailed
from flows.core.names import TableName
from flows.warehouse.gates import require_freshness, require_gates

pytest_plugins = ["support.warehouse_fixtures"]

NOON = datetime(2026, 3, 1, 12)


@pytest.fixture
def lake() -> Lake:
    """Unusual but possible rows: repeats, returns, free goods, corrections, guests, far countries, lines without an
    order.
    """
    lake = Lake()
    line = {"order_id": "O1", "product_id": "P1", "quantity": 1, "unit_price": 5}
    lake.load(
        NOON,
        crm__customers=[{"customer_id": "C1", "full_name": "Ann Canary", "updated_at": NOON}],
        shop__products=[{"product_id": "P1", "product_name": "Lamp"}, {"product_id": "p1"}, {"product_id": "P2"}],
        sales__orders=[
            {"order_id": "O1", "customer_id": "C1", "ship_country": "Atlantis", "ordered_at": NOON},
            {"order_id": "O2", "customer_id": "C9", "ordered_at": NOON},
            {"order_id": "O3", "customer_id": None, "ordered_at": NOON},
        ],
        sales__order_lines=[
            *({**line, "line_number": number} for number in range(3)),
            {**line, "line_number": 3, "discount_amount": 1},
            {**line, "line_number": 4, "quantity": -1},
            {**line, "line_number": 5, "unit_price": 0},
            {**line, "line_number": 6, "unit_price": -2},
            {**line, "line_number": 1, "order_id": "O9"},
        ],
    )
    return lake


def failures(warehouse: Warehouse, lake: Lake, *models: str) -> dict[str, tuple[str, int]]:
    """Run the data tests of these models, or all; return status and count of those that failed or warned."""
    selected = ["--indirect-selection", "eager", "--select", *models] if models else []
    result: Any = warehouse.dbt(lake, "test", "--exclude", "test_type:unit", *selected).result
    return {test.node.name: (str(test.status), test.failures) for test in result if test.failures}


@pytest.mark.slow
def test_each_warning_counts_what_is_odd(lake: Lake, incremental: Warehouse) -> None:
    # Given a shop with unusual rows
    incremental.build(lake)

    # When it is tested, then each is counted, and no test stops a release
    assert failures(incremental, lake) == {
        "fct_order_lines__lines_differ_within_an_order": ("warn", 2),
        "fct_order_lines__prices_and_quantities_are_of_sales": ("warn", 3),
        "relation_coverage__records_have_their_counterparts": ("warn", 4),
        "int_ship_countries_matched__countries_have_holiday_rules": ("warn", 1),
        "stg_shop__product_history__product_name_is_there": ("warn", 2),
        "stg_shop__product_history__keys_differ_by_more_than_case": ("warn", 1),
    }


@pytest.mark.slow
def test_a_test_of_several_rules_says_which_of_them_a_row_breaks(lake: Lake, incremental: Warehouse) -> None:
    # Given a shop with unusual rows
    incremental.build(lake)

    # When its prices and quantities are tested, by one scan of the lines
    only = ("--select", "fct_order_lines__prices_and_quantities_are_of_sales")
    tested: Any = incremental.dbt(lake, "test", *only).result
    (query,) = [test.node.compiled_code for test in tested if test.node.resource_type == "test"]
    (plan,) = incremental.rows(f"explain (format json) {query}")

    # Then each failing row names its key and the rule
    assert sorted(incremental.rows(query)) == [
        ("O1", 4, "nothing_was_sent_back"),
        ("O1", 5, "no_price_is_zero"),
        ("O1", 6, "no_price_is_negative"),
    ]
    assert str(plan).count("core.fct_order_lines") == 1


def test_a_rule_that_does_not_hold_is_named_with_its_model(
    lake: Lake, incremental: Warehouse, manifest: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a model whose unit test expects another result
    rule = "a_renamed_product_keeps_its_old_name_in_the_past"
    (unit_test,) = [test for test in manifest.unit_tests.values() if test.name == rule]
    monkeypatch.setattr(unit_test.expect, "rows", [{"product_id": "P2"}])

    # When it is built, then the gate names the rule and the model
    built: Any = incremental.dbt(lake, "build", "--select", "+dim_product").result
    folder = SimpleNamespace(candidate=incremental.path, catalog=incremental.folder / "catalog.duckdb")
    dbt: Any = SimpleNamespace(folder=folder, manifest=manifest)
    build: Any = SimpleNamespace(results=built.results, not_built=0)
    with pytest.raises(GateFailed, match=f"dim_product: unit test {rule}"):
        require_gates(dbt, build)


SUMS_OF_LINES = {
    "fct_order_line_changes__current_lines_are_the_lines",
    "fct_orders__reconciles_to_order_lines",
    "daily_sales__reconciles_to_order_lines",
    "daily_sales__sums_reconcile_to_order_lines",
    "customer_360__net_sales_reconcile_to_order_lines",
    "customer_lifetime_values__net_sales_reconcile_to_order_lines",
}
UNITS_OF_CUSTOMERS = "customer_360__units_reconcile_to_order_lines"

HARMS = {
    "insert into core.fct_order_lines from core.fct_order_lines where line_number = 3": {
        "fct_order_lines__order_id_and_line_number_are_unique",
        "product_demand_by_day__reconciles_to_order_lines",
        "fct_order_lines__reconciles_to_order_lines",
        UNITS_OF_CUSTOMERS,
        *SUMS_OF_LINES,
    },
    "update core.fct_order_lines set customer_key = 'nobody' where line_number = 3": {
        "fct_order_lines__customer_key_is_in_dim_customer",
    },
    "update core.fct_order_lines set net_amount = net_amount + 1 where line_number = 3": {
        "fct_order_lines__reconciles_to_order_lines",
        *SUMS_OF_LINES,
    },
    "delete from core.fct_order_lines where line_number = 3": {
        "product_demand_by_day__reconciles_to_order_lines",
        "fct_order_lines__reconciles_to_order_lines",
        UNITS_OF_CUSTOMERS,
        *SUMS_OF_LINES,
    },
    "update core.dim_customer set valid_to = valid_to - interval 1 day where customer_id = 'C1'": {
        "dim_customer__versions_cover_all_time",
    },
    "insert into core.dim_customer select * replace (customer_key || '?' as customer_key) from core.dim_customer": {
        "dim_customer__versions_cover_all_time",
    },
    "delete from core.dim_date": {
        "fct_order_lines__booked_date_is_in_dim_date",
        "fct_order_lines__ordered_date_is_in_dim_date",
        "fct_orders__ordered_date_is_in_dim_date",
    },
    "delete from core.dim_channel": {
        "fct_order_lines__channel_is_in_dim_channel",
        "fct_orders__channel_is_in_dim_channel",
    },
    "delete from core.fct_orders where order_id = 'O3'": {
        "fct_orders__holds_every_order",
        "fct_order_status_changes__current_orders_are_the_orders",
        "daily_sales__order_counts_reconcile_to_orders",
    },
    "insert into growth.churn_states select * replace (valid_to - 1 as valid_from, valid_to + 2 as valid_to) "
    "from growth.churn_states": {
        "churn_states__states_follow_each_other",
        "churn_states__customer_id_and_valid_from_are_unique",
    },
}


HARMED = ("fct_order_lines", "fct_orders", "dim_customer", "dim_date", "dim_channel", "churn_states")


@pytest.mark.slow
def test_each_gate_closes_on_what_it_is_there_for(lake: Lake, incremental: Warehouse) -> None:
    # Given a warehouse that passes
    incremental.build(lake)
    sound = incremental.path.read_bytes()

    for harm, gates in HARMS.items():
        # When a row or a table is damaged
        with incremental.connect() as warehouse:
            warehouse.execute(harm)
        found = failures(incremental, lake, *HARMED)

        # Then the gates for this damage close, and no others
        assert {name for name, (status, _) in found.items() if status == "fail"} == gates, harm
        incremental.path.write_bytes(sound)


def test_fault_110_an_empty_table_is_not_stale() -> None:
    """The first load of a table brought no rows, and dbt dates its newest row to the year 1: I."""

    def result(table: str, status: str, loaded_at: datetime) -> SimpleNamespace:
        config = SimpleNamespace(meta={})
        node = SimpleNamespace(resource_type="source", source_name="sales", name=table, config=config)
        age = (datetime.now(UTC) - loaded_at).total_seconds()
        return SimpleNamespace(node=node, status=status, max_loaded_at=loaded_at, age=age)

    # Given an empty table, and one whose rows are old
    results = [result("orders", "error", datetime(1, 1, 1, tzinfo=UTC))]
    dbt: Any = SimpleNamespace(run=lambda *_: results)
    loaded = [TableName("sales", "orders"), TableName("sales", "order_lines")]

    # When freshness is checked, then the empty one is not stale, and the old one is
    assert require_freshness(dbt, loaded) == ()
    results.append(result("order_lines", "error", datetime(2026, 1, 1, tzinfo=UTC)))
    with pytest.raises(GateFailed) as failure:
        require_freshness(dbt, loaded)
    assert [finding.where for finding in failure.value.findings] == ["sales.order_lines"]
