"""A café in Sydney: its day begins at midnight there, in each mart that has days; times stay in UTC."""

import json
from datetime import date, datetime
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

SYDNEY = ("--vars", json.dumps({"business_time_zone": "Australia/Sydney"}))


def order(number: int, ordered_at: datetime, **changed: Any) -> dict[str, Any]:
    return {
        "order_id": f"O{number}",
        "customer_id": f"C{number}",
        "ordered_at": ordered_at,
        "ship_country": "AU",
        "currency": "AUD",
        **changed,
    }


def make_lake() -> Lake:
    """Orders of Monday, 2 March, of Australia Day and of 1 March, at half past eight, one and six by Sydney's clocks.

    Two shops say their own zone: Perth at ten in the evening of 28 February, New York near eleven on 1 March.
    """
    lake = Lake()
    morning = datetime(2026, 3, 1, 21, 30)
    placed = [
        order(1, morning),
        order(2, datetime(2026, 1, 25, 14)),
        order(3, datetime(2026, 2, 28, 19)),
        order(4, datetime(2026, 2, 28, 14), time_zone="Australia/Perth"),
        order(5, datetime(2026, 3, 2, 3, 45), time_zone="America/New_York"),
    ]
    lake.load(
        morning,
        crm__customers=[{"customer_id": f"C{number}", "updated_at": datetime(2026, 1, 1)} for number in range(1, 6)],
        sales__orders=placed,
        sales__order_lines=[
            {"order_id": one["order_id"], "line_number": 1, "product_id": "P1", "quantity": 1, "unit_price": 5}
            for one in placed
        ],
        web__events=[{"event_id": "E1", "event_type": "page_view", "visitor_id": "V1", "occurred_at": morning}],
        payments__transactions=[
            {"transaction_id": "T1", "amount": 5, "currency": "AUD", "transacted_at": morning, "card_id": "K1"}
        ],
        rules__holiday_rules=[{"country": "AU", "holiday_name": "Australia Day", "month": 1, "day": 26}],
    )
    return lake


@pytest.fixture(scope="module")
def sydney(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = Warehouse(tmp_path_factory.mktemp("sydney") / "cafe", manifest)
    warehouse.build(make_lake(), *SYDNEY)
    return warehouse


def test_an_order_has_the_day_of_its_shop(sydney: Warehouse) -> None:
    days = [date(2026, 3, 2), date(2026, 1, 26), date(2026, 3, 1), date(2026, 2, 28), date(2026, 3, 1)]
    wanted = [(f"O{number}", day) for number, day in enumerate(days, 1)]
    for fact in ("fct_orders", "fct_order_lines"):
        assert sydney.rows(f"select order_id, ordered_date from core.{fact} order by all") == wanted, fact
    assert sydney.rows("select ordered_at from core.fct_orders where order_id = 'O1'") == [
        (datetime(2026, 3, 1, 21, 30),)
    ]


def test_monday_morning_is_no_weekend(sydney: Warehouse) -> None:
    found = sydney.rows(
        "select order_id, iso_day_of_week, is_weekend from core.fct_orders "
        "join core.dim_date on date_day = ordered_date where order_id in ('O1', 'O3') order by 1"
    )
    assert found == [("O1", 1, False), ("O3", 7, True)]


def test_a_holiday_is_the_local_one(sydney: Warehouse) -> None:
    found = sydney.rows(
        "select order_id, holiday_name from core.fct_orders "
        "join core.dim_holiday on holiday_date = ordered_date and country = ship_country"
    )
    assert found == [("O2", "Australia Day")]


def test_a_cohort_is_of_the_local_month(sydney: Warehouse) -> None:
    found = sydney.rows(
        "select cohort_month, member_count from growth.retention_cohorts "
        "where cohort_basis = 'order' and cohort_month = activity_month order by 1"
    )
    assert found == [(date(2026, 1, 1), 1), (date(2026, 2, 1), 1), (date(2026, 3, 1), 3)]


@pytest.mark.parametrize(
    ("fact", "day"),
    [("fct_web_events", "occurred_date"), ("fct_sessions", "started_date"), ("fct_payments", "transacted_date")],
)
def test_other_facts_have_local_days_too(sydney: Warehouse, fact: str, day: str) -> None:
    assert sydney.rows(f"select {day} from core.{fact}") == [(date(2026, 3, 2),)]


@pytest.mark.slow
def test_another_zone_builds_all_days_again(incremental: Warehouse, full: Warehouse) -> None:
    # Given a warehouse of days in UTC, when the same lake is built with the days of Sydney
    lake = make_lake()
    only = ("--select", "+daily_sales", "+retention_cohorts")
    incremental.build(lake, *only)
    incremental.build(lake, *only, *SYDNEY)

    # Then every fact has the days of a full refresh
    full.build(lake, *only, *SYDNEY)
    assert incremental.differences(full) == {}


def test_customers_as_of_the_latest_day_are_those_of_today(sydney: Warehouse) -> None:
    # Given the latest day of the shop, which ends at 13 o'clock in UTC
    today = "select customer_id, order_count, recency_days, as_of_date from marketing.customer_360 order by all"
    found = sydney.rows(today)
    assert {row[3] for row in found} == {date(2026, 3, 2)}

    # Then the view of the moment at which that day ends is the mart's
    ends_at = datetime(2026, 3, 2, 13)
    as_of = today.replace("marketing.customer_360", f"marketing.customer_360_as_of(as_of := timestamp '{ends_at}')")
    assert sydney.rows(as_of) == found
    values = "select customer_id, recency_days, last_purchase_date from marketing.{} order by all"
    assert sydney.rows(values.format("customer_lifetime_values_as_of(last_day := date '2026-03-02')")) == sydney.rows(
        values.format("customer_lifetime_values")
    )


def test_a_churn_state_begins_on_a_local_day(sydney: Warehouse) -> None:
    # C3 bought at six in the morning of 1 March: on the next day it is known as new
    found = sydney.rows("select churn_state, valid_from from growth.churn_states where customer_id = 'C3'")
    assert found == [("new", date(2026, 3, 2))]
