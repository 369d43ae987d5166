"""A café in Sydney: what its marts say of a past day is what was known on that day."""

import random
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


def test_the_view_of_the_latest_day_is_the_mart_of_today(cafe: tuple[Warehouse, Warehouse]) -> None:
    # Given the café after all loads; when its customers are asked for as of the day after its latest day, or any later
    _, after = cafe
    mart = "from (select * exclude (customer_key) from marketing.customer_360) order by all"

    # Then they are those of the mart, and so are lifetime values as of the latest day
    assert after.rows(mart) != []
    for day in ("2026-02-11", "2030-01-01"):
        assert after.rows(f"from marketing.customer_360_as_of(as_of := date '{day}') order by all") == after.rows(mart)
    values = "from marketing.customer_lifetime_values_as_of(last_day := date '2026-02-10') order by all"
    assert after.rows(values) == after.rows("from marketing.customer_lifetime_values order by all") != []


def test_history_and_horizon_add_up_to_the_history_of_the_horizons_end(cafe: tuple[Warehouse, Warehouse]) -> None:
    # Given 30 for O3 and 10 for O5 of bo, and a cancellation of O3 in February
    _, after = cafe
    value = (
        "select history_net_sales_amount, horizon_net_sales_amount, horizon_purchase_count "
        "from marketing.customer_lifetime_value(as_of := date '{}', horizon_days := {}) where customer_id = 'bo'"
    )

    # Then January has both, and the horizon that contains the cancellation loses 30
    assert after.rows(value.format("2026-02-01", 28)) == [(Decimal(40), Decimal(-30), 0)]
    assert after.rows(value.format("2026-01-12", 10)) == [(Decimal(30), Decimal(10), 1)]
    assert after.rows(value.format("2026-03-01", 28)) == [(Decimal(10), Decimal(0), 0)]


def test_a_cancelled_order_counts_in_churn_states_until_its_cancellation(cafe: tuple[Warehouse, Warehouse]) -> None:
    # Given bo, whose O2 was cancelled on 8 January and whose O3 was on 10 January; then no state holds in between.
    # The first order of bo is O3 until its cancellation is known on 10 February, and O5 of 15 January from then on
    before, after = cafe
    states = "select churn_state, valid_from, valid_to from growth.churn_states where customer_id = '{}' order by 2"
    assert after.rows(states.format("bo")) == [
        ("new", date(2026, 1, 6), date(2026, 1, 9)),
        ("new", date(2026, 1, 11), date(2026, 2, 10)),
        ("active", date(2026, 2, 10), date(2026, 2, 11)),
        ("new", date(2026, 2, 11), date(2026, 2, 12)),
    ]

    # And the loads after 10 January changed no state of a day before them
    days = "select customer_id, churn_state, days.day from growth.churn_states, "
    days += "(select unnest(generate_series(date '2026-01-01', date '2026-01-11', interval 1 day)) as day) as days "
    days += "where valid_from <= days.day and days.day < valid_to order by all"
    assert after.rows(days) == before.rows(days) != []


class Till:
    """A café's till by chance, and a second way to say what was known: a walk through its raw records."""

    FIRST_DAY = datetime(2025, 3, 3)

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.lake = Lake()

    def load_weeks(self, weeks: int) -> None:
        """Load the first eight weeks as a backfill, and each later week on its Monday morning, with late records."""
        waiting: list[tuple[int, str, Row]] = []
        for number in range(weeks * 5):
            self.plan_order(number, waiting)
        for week in range(8, weeks + 1):
            loaded_at = self.FIRST_DAY + timedelta(weeks=week, hours=5)
            now = [one for one in waiting if one[0] <= week]
            waiting = [one for one in waiting if one[0] > week]
            orders = [row for _, table, row in now if table == "orders"]
            lines = [row for _, table, row in now if table == "lines"]
            self.lake.load(loaded_at, sales__orders=orders, sales__order_lines=lines)

    def plan_order(self, number: int, waiting: list[tuple[int, str, Row]]) -> None:
        """Place an order, and let it be paid, cancelled, changed or partly returned later; some records come late."""

        def show(table: str, row: Row) -> None:
            week = (row["updated_at"] - self.FIRST_DAY).days // 7 + 1
            waiting.append((week + self.chance.choice([0, 0, 0, 1, 3]), table, row))

        minutes = self.chance.randint(0, 5 * 7 * 24 * 60)
        placed = self.FIRST_DAY + timedelta(weeks=number // 5) + timedelta(minutes=minutes / 5)
        who = f"C{self.chance.choice([1, 1, 1, 2, 2, 3, 4, 5, 6, 7])}"
        head = {"order_id": f"O{number}", "customer_id": who, "ordered_at": placed, "currency": "AUD"}
        show("orders", head | {"status": "placed", "updated_at": placed})
        bought = {"order_id": head["order_id"], "line_number": 1, "product_id": "cup", "quantity": 3}
        show("lines", bought | {"unit_price": 10, "updated_at": placed})
        later = placed + timedelta(days=self.chance.randint(1, 40), minutes=7)
        fate = self.chance.random()
        if fate < 0.25:
            show("orders", head | {"status": "cancelled", "updated_at": later})
            if fate < 0.1:
                show("lines", bought | {"line_number": 2, "quantity": -3, "unit_price": 10, "updated_at": later})
        elif fate < 0.5:
            show("lines", bought | {"line_number": 2, "quantity": -1, "unit_price": 10, "updated_at": later})
        elif fate < 0.6:
            show("lines", bought | {"unit_price": 9, "updated_at": later})
        elif fate < 0.8:
            show("orders", head | {"status": "completed", "updated_at": later})

    def known(self, table: str, key: tuple[str, ...], moment: datetime) -> dict[Any, Row]:
        """Return the last state of each key among the records that were known before a moment.

        A record of the first load is known from its own time. Before its first state there, an order is known without
        a status, and a line of goods sold as it was.
        """
        states: dict[Any, list[tuple[datetime, Row]]] = {}
        for row in self.lake.arrived[table]:
            states.setdefault(tuple(row[name] for name in key), []).append(
                (row["updated_at"] if row["_is_backfill"] else row["_loaded_at"], row)
            )
        found = {}
        for name, rows in states.items():
            seen = [row for known_at, row in rows if known_at < moment]
            first = min((row for _, row in rows), key=lambda row: (row["updated_at"], row["_batch"]))
            if seen:
                found[name] = max(seen, key=lambda row: (row["updated_at"], row["_batch"]))
            elif table == "sales.orders" and any(row["_is_backfill"] for _, row in rows):
                found[name] = first | {"status": None}
            elif first["_is_backfill"] and first["quantity"] > 0:
                found[name] = first
        return found

    def known_before(self, moment: datetime) -> tuple[list[Row], list[Row]]:
        """Return the orders and lines that were known before a moment, and whether each was sold."""
        lines = self.known("sales.order_lines", ("order_id", "line_number"), moment)
        orders = []
        for (name,), order in self.known("sales.orders", ("order_id",), moment).items():
            quantities = [row["quantity"] for (of, _), row in lines.items() if of == name]
            is_kept = order["status"] != "cancelled"
            if order["ordered_at"] < moment:
                orders.append(order | {"is_kept": is_kept, "is_sold": is_kept and max([*quantities, 0]) > 0})
                orders[-1]["is_credit_note"] = not is_kept and max([*quantities, 0]) == 0
                orders[-1]["is_order"] = is_kept and (not quantities or orders[-1]["is_sold"])
        heads = {order["order_id"]: order for order in orders}
        return orders, [heads[of] | row for (of, _), row in lines.items() if of in heads]


def state_on(days: set[date], day: date) -> str | None:
    """Return the churn state on a day, by a walk through the days of orders that were known."""
    if not days:
        return None
    first = start = ordered = min(days)
    has_left, state = False, None
    for passed in range(1, (day - first).days + 1):
        today = first + timedelta(days=passed)
        since = (today - ordered).days
        if since >= 120:
            state, has_left = "churned", True
        elif since >= 60:
            state = "at_risk"
        elif (today - start).days <= 30:
            state = "new" if start == first else "returned"
        else:
            state = "active"
        if today in days:
            ordered, start, has_left = today, today if has_left else start, False
    return state


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(1, 6))])
def test_a_walk_through_the_raw_records_finds_the_same(seed: int, incremental: Warehouse) -> None:
    # Given a year of a till, whose records come late and change
    till = Till(seed)
    till.load_weeks(52)
    customers = [{"customer_id": f"C{number}"} for number in range(1, 8)]
    till.lake.load(till.FIRST_DAY, crm__customers=[one | {"_is_backfill": True} for one in customers])
    incremental.build(till.lake, *ONLY)

    # When the known records are counted one by one, as of three days
    for day in (date(2025, 4, 20), date(2025, 8, 15), date(2026, 2, 1)):
        moment = datetime.combine(day, datetime.min.time())
        orders, lines = till.known_before(moment)
        lines = [line for line in lines if line["is_kept"] or line["is_credit_note"]]
        customers = sorted({order["customer_id"] for order in orders if order["is_order"]})
        assert len(customers) >= 5
        counted, values, days = {}, {}, {}
        for customer in customers:
            own = [line for line in lines if line["customer_id"] == customer]
            amounts = [Decimal(line["quantity"] * line["unit_price"]) for line in own]
            ordered = [order for order in orders if order["is_order"] and order["customer_id"] == customer]
            bought = {line["ordered_at"].date() for line in own if line["quantity"] > 0}
            counted[customer] = (
                len(ordered),
                sum(line["quantity"] for line in own if line["quantity"] > 0),
                sum(line["quantity"] for line in own if line["quantity"] < 0),
                sum(amounts) if own else None,
            )
            days[customer] = {order["ordered_at"].date() for order in ordered}
            if bought:
                values[customer] = (sum(amounts), len(bought) - 1, max(bought))

        # Then the functions and the mart say the same
        found = incremental.rows(
            "select customer_id, order_count, units_sold, units_returned, main_currency_net_sales_amount "
            f"from marketing.customer_360_as_of(as_of := date '{day}') where order_count > 0 order by all"
        )
        assert {customer: tuple(rest) for customer, *rest in found} == counted
        found = incremental.rows(
            "select customer_id, history_net_sales_amount, repeat_purchase_count, last_purchase_date "
            f"from marketing.customer_lifetime_value(as_of := date '{day}', horizon_days := 30) order by all"
        )
        assert {customer: tuple(rest) for customer, *rest in found} == values
        found = incremental.rows(
            "select customer_id, churn_state from growth.churn_states "
            f"where valid_from <= date '{day}' and date '{day}' < valid_to order by all"
        )
        assert found == [(who, state_on(days[who], day)) for who in counted]
