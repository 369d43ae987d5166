"""A café in Sydney: what its marts say of a past day is what was known on that day."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

Row = dict[str, Any]
CUSTOMERS = "customer_id, segment, city, order_count, cancelled_order_count, units_sold, units_returned, recency_days"
ONLY = (
    "--select",
    "+churn_states",
    "+customer_360",
    "+customer_360_as_of",
    "+customer_lifetime_values",
    "+customer_lifetime_value",
    "+customer_lifetime_values_as_of",
    "+daily_sales",
    "+sales_between",
)


def at(month: int, day: int, hour: int = 9) -> datetime:
    return datetime(2026, month, day, hour)


def order(number: int, customer: str, ordered_at: datetime, status: str, updated_at: datetime | None = None) -> Row:
    return {
        "order_id": f"O{number}",
        "customer_id": customer,
        "ordered_at": ordered_at,
        "status": status,
        "channel": "store",
        "currency": "AUD",
        "updated_at": updated_at or ordered_at,
    }


def line(number: int, product: str, quantity: int, price: int, updated_at: datetime, line_number: int = 1) -> Row:
    return {
        "order_id": f"O{number}",
        "line_number": line_number,
        "product_id": product,
        "quantity": quantity,
        "unit_price": price,
        "updated_at": updated_at,
    }


def first_load(lake: Lake) -> None:
    """The till's history until 10 January, loaded on that day: a backfill that shows the last states alone.

    O2 was cancelled on 8 January. Ada sent one of the two cups of O1 back on 9 January.
    """
    lake.load(
        at(1, 10, 20),
        crm__customers=[
            {"customer_id": "ada", "city": "Manly", "registered_at": at(1, 1), "updated_at": at(1, 1)},
            {"customer_id": "bo", "city": "Bondi", "registered_at": at(1, 1), "updated_at": at(1, 7)},
        ],
        shop__products=[
            {"product_id": "cup", "product_name": "cup", "category": "crockery", "updated_at": at(1, 1)},
            {"product_id": "beans", "product_name": "beans", "category": "coffee", "updated_at": at(1, 1)},
        ],
        sales__orders=[
            order(1, "ada", at(1, 2), "completed", at(1, 3)),
            order(2, "bo", at(1, 5), "cancelled", at(1, 8)),
            order(3, "bo", at(1, 10), "placed"),
        ],
        sales__order_lines=[
            line(1, "cup", 2, 10, at(1, 2)),
            line(1, "cup", -1, 10, at(1, 9), 2),
            line(2, "beans", 1, 30, at(1, 8)),
            line(3, "beans", 1, 30, at(1, 10)),
        ],
    )


def later_loads(lake: Lake) -> None:
    """Four loads that change the past.

    On 15 January O4 arrives, an order of 6 January. On 30 January ada returns the beans of O4. On 10 February the order
    of 10 January is cancelled, and the cancellation is booked as a minus line. On the same day the till shows that bo
    had moved on 9 January, and that O1 had cost 12 a cup.
    """
    lake.load(
        at(1, 15, 20),
        sales__orders=[order(4, "ada", at(1, 6), "completed"), order(5, "bo", at(1, 15), "completed")],
        sales__order_lines=[line(4, "beans", 1, 30, at(1, 6)), line(5, "cup", 1, 10, at(1, 15))],
    )
    lake.load(at(1, 30, 20), sales__order_lines=[line(4, "beans", -1, 30, at(1, 26), 2)])
    lake.load(
        at(2, 10, 20),
        crm__customers=[{"customer_id": "bo", "city": "Coogee", "registered_at": at(1, 1), "updated_at": at(1, 9)}],
        sales__orders=[order(3, "bo", at(1, 10), "cancelled", at(2, 10)), order(6, "ada", at(2, 10), "placed")],
        sales__order_lines=[
            line(3, "beans", -1, 30, at(2, 10), 2),
            line(1, "cup", 2, 12, at(1, 2, 10)),
            line(6, "cup", 1, 10, at(2, 10)),
        ],
    )


@pytest.fixture(scope="module")
def cafe(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Warehouse, Warehouse]:
    """The café after its first load, and after all of them."""
    folder = tmp_path_factory.mktemp("cafe")
    before, after = Warehouse(folder / "before", manifest), Warehouse(folder / "after", manifest)
    lake = Lake()
    first_load(lake)
    before.build(lake, *ONLY)
    later_loads(lake)
    after.build(lake, *ONLY)
    return before, after


def test_an_order_keeps_its_status_until_another_is_known(cafe: tuple[Warehouse, Warehouse]) -> None:
    # Given orders that were cancelled; then each has its states from when they were known
    _, after = cafe
    states = after.rows(
        "select order_id, order_status, previous_order_status, valid_from, net_sales_amount, is_sale "
        "from core.fct_order_status_changes where order_id in ('O2', 'O3') order by order_id, valid_from"
    )
    assert states == [
        ("O2", None, None, at(1, 5), Decimal(30), True),
        ("O2", "cancelled", None, at(1, 8), None, False),
        ("O3", "placed", None, at(1, 10), Decimal(30), True),
        ("O3", "cancelled", "placed", at(2, 10, 20), None, False),
    ]


def test_a_cancellation_that_is_booked_as_a_minus_line_earns_nothing(cafe: tuple[Warehouse, Warehouse]) -> None:
    # Given O3 with a line of 30 and a minus line of 30; then it earns 0, and no unit was sent back
    _, after = cafe
    lines = after.rows(
        "select line_number, is_return, is_in_net_sales from core.fct_order_lines where order_id = 'O3' order by all"
    )
    assert lines == [(1, False, False), (2, False, False)]
    assert after.rows("select net_sales_amount from core.fct_orders where order_id = 'O3'") == [(None,)]


def test_a_return_is_booked_when_it_happened(cafe: tuple[Warehouse, Warehouse]) -> None:
    # Given returns of 9 and 26 January; then sales by day have them on these days
    _, after = cafe
    assert after.rows(
        "select booked_date, order_count, net_sales_amount, returned_amount from finance.daily_sales order by all"
    ) == [
        (date(2026, 1, 2), 1, Decimal(24), 0),
        (date(2026, 1, 5), 0, 0, 0),
        (date(2026, 1, 6), 1, Decimal(30), 0),
        (date(2026, 1, 9), 0, Decimal(-10), Decimal(-10)),
        (date(2026, 1, 10), 0, 0, 0),
        (date(2026, 1, 15), 1, Decimal(10), 0),
        (date(2026, 1, 26), 0, Decimal(-30), Decimal(-30)),
        (date(2026, 2, 10), 1, Decimal(10), 0),
    ]
    sales = "select product_id, units_sold, units_returned, net_sales_amount from finance.sales_between('{}', '{}')"
    assert after.rows(sales.format("2026-01-26", "2026-02-09")) == [("beans", 0, -1, Decimal(-30))]


def test_later_loads_change_no_customer_as_of_an_earlier_day(cafe: tuple[Warehouse, Warehouse]) -> None:
    # Given the café before and after loads that change its past
    asked = "from marketing.customer_360_as_of(as_of := date '{}') order by all"
    before, after = cafe

    # When customers are asked for as of days before these loads, then both answer the same
    for day in (date(2026, 1, 2) + timedelta(days=passed) for passed in range(9)):
        assert after.rows(asked.format(day)) == before.rows(asked.format(day)), day

    # And as of any day the answer is what was known then, as it is written here by hand
    asked = f"select {CUSTOMERS} {asked}"
    assert after.rows(asked.format("2026-01-07")) == [
        ("ada", "new", "Manly", 1, 0, 2, 0, 4),
        ("bo", "new", None, 1, 0, 1, 0, 1),
    ]
    assert after.rows(asked.format("2026-01-16")) == [
        ("ada", "active", "Manly", 2, 0, 3, -1, 9),
        ("bo", "active", "Bondi", 2, 1, 2, 0, 0),
    ]
    assert after.rows(asked.format("2026-02-11")) == [
        ("ada", "active", "Manly", 3, 0, 4, -2, 0),
        ("bo", "new", "Coogee", 1, 2, 1, 0, 26),
    ]
    assert after.rows(asked.format("2026-01-01")) == []
