"""The functions of a release: their documented columns, and their worked results."""

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

from flows.cli.query import run_query
from flows.config.settings import DataFolder

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures", "support.warehouse_fixtures"]


def functions(manifest: Manifest) -> dict[str, Any]:
    """Return the models that are functions, by schema and example."""
    return {
        f"{model.schema}.{model.config.meta['example']}": model
        for model in manifest.nodes.values()
        if model.resource_type == "model" and model.config.materialized == "table_function"
    }


def test_a_function_returns_the_columns_and_the_key_that_are_documented(
    pharmacy: "Pharmacy", manifest: Manifest
) -> None:
    for call, model in functions(manifest).items():
        returned = {row["column_name"]: row["column_type"] for row in pharmacy.rows(f"describe from {call}")}
        documented = {name: str(column.data_type).upper().replace(" ", "") for name, column in model.columns.items()}
        assert returned == documented, call
        key = ", ".join(model.config.meta["key"])
        assert pharmacy.rows(f"select {key} from {call} group by {key} having count(*) > 1") == [], call


def test_a_function_is_asked_by_its_name_alone(pharmacy: "Pharmacy") -> None:
    folder = DataFolder(pharmacy.folder)
    asked = "from customer_lifetime_value(as_of := date '2026-01-01', horizon_days := 90) limit 1"
    assert run_query(folder, asked, "csv", 1).startswith("customer_id,currency,history_net_sales_amount")


def test_a_function_reads_the_file_it_stands_in_whatever_that_is_called(pharmacy: "Pharmacy") -> None:
    file = pharmacy.folder / "warehouse.duckdb"
    with duckdb.connect() as session:
        session.execute(f"attach '{file}' as of_a_client (read_only)")
        session.execute("use of_a_client")
        assert session.execute("from finance.sales_between('2026-01-01', '2026-01-31')").fetchall()


@pytest.mark.slow
def test_the_worked_results_hold(incremental: Warehouse) -> None:
    # Given an order before midnight and two after it: one partly returned, one with a discount only, one after the
    # horizon
    def order(number: int, ordered_at: datetime) -> dict[str, Any]:
        return {"order_id": f"O{number}", "customer_id": "C1", "currency": "EUR", "ordered_at": ordered_at}

    def line(number: int, quantity: int, price: int, line_number: int = 1) -> dict[str, Any]:
        product = {"product_id": "P1", "quantity": quantity, "unit_price": price}
        return {"order_id": f"O{number}", "line_number": line_number, **product}

    lake = Lake()
    lake.load(
        datetime(2026, 4, 2),
        sales__orders=[
            order(1, datetime(2025, 12, 31, 23, 59)),
            order(2, datetime(2026, 1, 1)),
            order(3, datetime(2026, 4, 1)),
            order(4, datetime(2026, 1, 2)),
        ],
        sales__order_lines=[
            line(1, 3, 10),
            line(2, 6, 2),
            line(2, -1, 2, 2),
            line(3, 1, 99),
            {**line(4, 0, 5), "discount_amount": 1},
        ],
    )
    incremental.build(lake)

    # When the functions are called, then history, horizon and days are separated as documented
    columns = "history_net_sales_amount, repeat_purchase_count, horizon_net_sales_amount, horizon_purchase_count"
    columns += ", is_horizon_over"
    asked = f"select {columns} from marketing.customer_lifetime_value(as_of := '2026-01-01', horizon_days := 90)"
    assert incremental.rows(asked) == [(Decimal(30), 0, Decimal(9), 1, True)]
    assert incremental.rows(asked.replace("90", "91")) == [(Decimal(30), 0, Decimal(108), 2, False)]
    columns = "order_count, units_sold, units_returned, net_sales_amount"
    days = f"select {columns} from finance.sales_between('2026-01-01', '2026-03-31')"
    assert incremental.rows(days) == [(1, 6, -1, Decimal(9))]

    # And pairs of products above their random frequency are returned, the highest lift first
    with incremental.connect() as warehouse:
        warehouse.execute(
            "insert into marketing.product_affinity "
            "select least('lamp', product), greatest('lamp', product), null, null, 9, 9, 9, 9, 0, 1, 1, 1, lift, false "
            "from (values ('bulb', 3), ('plug', 2), ('soap', 0.5)) as pairs (product, lift)"
        )
    similar = "select product_id, place from marketing.similar_products(of_product := 'lamp', how_many := 5)"
    assert incremental.rows(f"{similar} order by place") == [("bulb", 1), ("plug", 2)]
    assert incremental.rows(similar.replace("5", "1")) == [("bulb", 1)]


def test_the_lifetime_value_of_ten_customers_computed_by_hand(pharmacy: "Pharmacy") -> None:
    # Given ten customers with many orders, and all of their lines
    as_of, until = datetime(2026, 1, 1), datetime(2026, 2, 15)
    chosen = pharmacy.rows(
        "select customer_id from core.fct_order_lines where customer_id is not null "
        "group by customer_id order by count(distinct order_id) desc, customer_id limit 10"
    )
    names = tuple(row["customer_id"] for row in chosen)
    lines = pharmacy.rows(f"from core.fct_order_line_changes where customer_id in {names}")

    # When each state of a line is assigned to the moments at which it was known, one by one
    by_hand: dict[tuple[str, str], dict[str, Any]] = {}
    for line in lines:
        value = by_hand.setdefault(
            (line["customer_id"], line["currency"]),
            {"history": Decimal(0), "end": Decimal(0), "history_days": set(), "end_days": set()},
        )
        for when, moment in (("history", as_of), ("end", until)):
            if line["valid_from"] < moment <= line["valid_to"] and (not line["is_cancelled"] or line["is_return"]):
                value[when] += line["quantity"] * line["unit_price"] - line["discount_amount"]
                if line["quantity"] > 0:
                    value[f"{when}_days"].add(line["ordered_date"])
    expected = {
        who: (
            value["history"],
            value["end"] - value["history"],
            len(value["history_days"]) - 1,
            len(value["end_days"] - value["history_days"]),
        )
        for who, value in by_hand.items()
        if value["history_days"]
    }

    # Then the function returns the same
    returned = pharmacy.rows(
        "from marketing.customer_lifetime_value(as_of := date '2026-01-01', horizon_days := 45) "
        f"where customer_id in {names}"
    )
    assert len(expected) >= 10
    assert expected == {
        (row["customer_id"], row["currency"]): (
            row["history_net_sales_amount"],
            row["horizon_net_sales_amount"],
            row["repeat_purchase_count"],
            row["horizon_purchase_count"],
        )
        for row in returned
    }
    assert {row["is_horizon_over"] for row in returned} == {
        max(row["day"] for row in pharmacy.rows("select max(ordered_date) as day from core.fct_order_lines"))
        >= date(2026, 2, 15)
    }
