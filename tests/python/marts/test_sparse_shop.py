"""A shop whose tables do not fit together: orphans on both sides, products that sell once, a date far off."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

from flows.warehouse.orphans import describe_orphans

pytest_plugins = ["support.warehouse_fixtures"]

FIRST_DAY = datetime(2021, 3, 1, 12)
ORDERS, SOLD_ONCE = 40, 30
LIFE = 91


def order(number: int, **changed: Any) -> dict[str, Any]:
    """Return an order; there is one a month in 2015, and again from 2021 on."""
    year, month = divmod(number, 12)
    placed = FIRST_DAY.replace(year=2015 + 5 * (year > 0) + year, month=month + 1)
    return {
        "order_id": f"O{number}",
        "customer_id": f"C{number % 8}",
        "ordered_at": placed,
        "currency": "EUR",
        **changed,
    }


def line(order_id: str, product_id: str, price: int, line_number: int = 1) -> dict[str, Any]:
    return {
        "order_id": order_id,
        "line_number": line_number,
        "product_id": product_id,
        "quantity": 1,
        "unit_price": price,
    }


def make_lake() -> Lake:
    """Forty orders, thirty of them with a line; three lines of unknown orders; customers and products that are lacking.

    Each product is sold once. The catalogue has one more, that was never sold, and one order is of the year 1.
    """
    lake = Lake()
    lake.load(
        datetime(2026, 1, 1),
        crm__customers=[{"customer_id": f"C{n}", "updated_at": FIRST_DAY} for n in (0, 1, 2, 3, 4, 5, 9)],
        shop__products=[{"product_id": f"P{n}", "product_name": "a book"} for n in (*range(20), 99)],
        sales__orders=[
            *(order(n) for n in range(ORDERS)),
            {"order_id": "far", "customer_id": None, "ordered_at": datetime(1, 1, 24), "currency": "EUR"},
            {"order_id": "of_c5", "customer_id": "C5", "ordered_at": datetime(2015, 1, 1), "status": "cancelled"},
        ],
        sales__order_lines=[
            *(line(f"O{n}", f"P{n}", 10) for n in range(SOLD_ONCE) if n % 8 != 5),
            line("far", "P0", 10),
            *(line("unknown", "P1", 900, n) for n in range(3)),
        ],
    )
    return lake


@pytest.fixture(scope="module")
def built(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = Warehouse(tmp_path_factory.mktemp("sparse") / "shop", manifest)
    warehouse.build(make_lake())
    return warehouse


def test_fault_125_orphans_of_both_sides_are_reported_with_share_and_money(built: Warehouse) -> None:
    """Lines without their orders, orders without lines, ids that a register lacks: A."""
    # Given tables that lack each other's records, when the gaps are described
    with built.connect() as warehouse:
        rows = warehouse.sql("from operations.relation_coverage where is_gap").to_arrow_table().to_pylist()

    # Then each gap is a sentence with its share and, where it is known, its money
    assert describe_orphans(rows) == [
        "sales.order_lines: 3 of 30 records (10.0 %) have no record in sales.orders by order_id "
        "and are missing from fct_order_lines: 2,700.00 of 2,970.00 EUR (90.9 %)",
        "sales.order_lines: 8 of 30 records (26.7 %) have no record in shop.products by product_id: "
        "80.00 of 2,970.00 EUR (2.7 %)",
        "sales.orders: 10 of 41 records (24.4 %) have no record in crm.customers by customer_id: "
        "60.00 of 260.00 EUR (23.1 %)",
        "sales.orders: 15 of 42 records (35.7 %) have no record in sales.order_lines by order_id",
    ]

    # And what is no gap is counted as well: customers who never ordered, products that were never sold
    counted = built.rows(
        "select table_name, counterpart_table_name, record_count, orphan_count from operations.relation_coverage "
        "where not is_gap and orphan_count > 0 and counterpart_table_name like 'sales.%' order by all"
    )
    assert counted == [
        ("crm.customers", "sales.orders", 7, 1),
        ("crm.customers", "sales.subscriptions", 7, 7),
        ("shop.products", "sales.order_lines", 21, 3),
    ]


def test_an_order_without_lines_is_in_the_star_and_its_customer_is_no_prospect(built: Warehouse) -> None:
    # Given customers whose orders all lack lines; then every order is a fact, and its amount unknown
    assert built.rows(
        "select count(*), count(net_amount), sum(net_amount), count(*) filter (line_count = 0) from core.fct_orders"
    ) == [(ORDERS + 2, 27, Decimal(270), 15)]
    assert built.rows(
        "select segment, order_count, order_without_lines_count, main_currency_net_sales_amount "
        "from marketing.customer_360 where customer_id in ('C5', 'C9') order by customer_id"
    ) == [("loyal", 5, 5, None), ("prospect", 0, 0, Decimal(0))]

    # And sales by day count them
    counted = "sum(order_count), sum(order_without_lines_count), sum(net_sales_amount)"
    assert built.rows(f"select {counted} from finance.daily_sales") == [(ORDERS + 1, 14, Decimal(270))]


def test_fault_127_demand_is_no_longer_than_the_life_of_what_was_sold(built: Warehouse) -> None:
    """A catalogue of products that sold once in years: I."""
    # Given one sale a product, and nine years of orders; then days follow the sales, up to a life on either side
    (days, products, longest) = built.rows(
        "select sum(n), count(*), max(n) from "
        "(select product_id, count(*) as n from operations.product_demand_by_day group by product_id)"
    )[0]
    assert products == 26
    assert longest <= 2 * (LIFE + 1)
    assert days <= 27 * (LIFE + 1)

    # And no sale is left out, and a product without sales has no days
    assert built.rows("select sum(units_sold) from operations.product_demand_by_day") == [(27,)]
    assert built.rows("select 1 from operations.product_demand_by_day where product_id = 'P99'") == []


def test_fault_128_a_date_far_off_adds_its_own_year_alone(built: Warehouse) -> None:
    """One order of the year 1 among those of our days: I."""
    # Given that order; then the calendar has its year, and the years of the others with the gap between them
    years = [row[0] for row in built.rows("select distinct calendar_year from core.dim_date order by all")]
    assert years == [1, *range(2015, 2024)]

    # And no mart has more rows than a few a day and order
    with built.connect() as warehouse:
        sizes = warehouse.execute(
            "select table_name, estimated_size from duckdb_tables() where schema_name <> 'core' and not temporary"
        ).fetchall()
    assert {name: size for name, size in sizes if size > 30 * (2 * LIFE + 2)} == {}


def test_fault_126_one_definition_of_a_purchase_in_mart_and_functions(
    incremental: Warehouse, full: Warehouse, manifest: Manifest
) -> None:
    """Two orders of a customer on one day, counted by a mart and by two functions: I."""
    # Given customers who order twice on some days, return and cancel
    start = datetime(2026, 1, 1, 9)

    def lake_until(last_day: date) -> Lake:
        lake = Lake()
        placed = [
            (number, start + timedelta(days=(number * number) % 60, hours=number % 2 * 6)) for number in range(1, 90)
        ]
        placed = [(number, at) for number, at in placed if at.date() <= last_day]
        lake.load(
            datetime(2026, 4, 1),
            crm__customers=[{"customer_id": f"C{n}", "updated_at": start} for n in range(5)],
            sales__orders=[
                {
                    "order_id": f"O{number}",
                    "customer_id": f"C{number % 7}",
                    "ordered_at": at,
                    "currency": "GBP" if number % 3 else "EUR",
                    "status": "cancelled" if number % 11 == 0 else "completed",
                }
                for number, at in placed
            ],
            sales__order_lines=[
                {**line(f"O{number}", "P1", number, part), "quantity": -1 if number % 13 == part else 1}
                for number, _ in placed
                for part in (1, 2)
            ],
        )
        return lake

    last_day, earlier = date(2026, 3, 1), date(2026, 1, 25)
    only = ("--select", "+customer_lifetime_values", "+customer_lifetime_value", "+customer_lifetime_values_as_of")
    incremental.build(lake_until(last_day), *only)
    full.build(lake_until(earlier), *only)
    mart = "select * from marketing.customer_lifetime_values order by all"
    latest = incremental.rows("select max(ordered_date) from core.fct_order_lines")[0][0]
    before = full.rows("select max(ordered_date) from core.fct_order_lines")[0][0]
    assert earlier - timedelta(days=3) < before < latest

    # When the functions value them as of the latest day, then they return the mart
    as_of = "select * from marketing.customer_lifetime_values_as_of(last_day := date '{}') order by all"
    assert incremental.rows(mart) == incremental.rows(as_of.format(latest)) != []

    # And as of an earlier day, the mart as it was then, with its scores and segments
    assert incremental.rows(as_of.format(before)) == full.rows(mart) != []

    # And the history before the next day is that of the mart
    columns = (
        "customer_id, currency, {}net_sales_amount, repeat_purchase_amount, repeat_purchase_count, purchase_span_days, "
        "observed_days, recency_days, first_purchase_date, last_purchase_date"
    )
    for warehouse, day in ((incremental, latest), (incremental, before)):
        history = warehouse.rows(
            f"select {columns.format('history_')} from marketing.customer_lifetime_value("
            f"as_of := date '{day + timedelta(days=1)}', horizon_days := 30) "
            "where customer_id in (select customer_id from core.dim_customer) order by all"
        )
        assert history == warehouse.rows(
            f"select {columns.format('')} from ({as_of.format(day).removesuffix(' order by all')}) order by all"
        )
