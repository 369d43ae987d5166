"""Demand by day shows the planted seasons, and three quarters of the large planted stock-outs."""

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures"]

LOST_LINES_TOLD = 15
"""The number of lost lines above which a stock-out is more than random noise."""


def days(first: date, last: date) -> set[date]:
    return {first + timedelta(days=n) for n in range((last - first).days + 1)}


def test_what_is_out_of_stock_is_in_no_order(pharmacy: "Pharmacy") -> None:
    # Given the days without stock of each product
    missing = {
        (row["product_id"], day)
        for row in pharmacy.planted("stock_outs")
        for day in days(row["first_date"], row["last_date"])
    }
    assert sum(row["lost_line_count"] for row in pharmacy.planted("stock_outs")) > 100

    # Then no line of these days sells the product
    ordered = pharmacy.rows("select distinct product_id, ordered_date from core.fct_order_lines")
    assert not missing & {(row["product_id"], row["ordered_date"]) for row in ordered}


def test_stock_outs_of_what_is_much_bought_are_found_and_little_else_is(pharmacy: "Pharmacy") -> None:
    # Given the planted stock-outs and the suspected ones
    planted = pharmacy.planted("stock_outs")
    missing = {(row["product_id"], day) for row in planted for day in days(row["first_date"], row["last_date"])}
    suspected = {
        (row["product_id"], row["ordered_date"])
        for row in pharmacy.rows("from operations.product_demand_by_day where is_suspected_stock_out")
    }
    assert suspected

    # Then at least 75 % of the suspected days are right, and 75 % of the large stock-outs are found
    assert len(suspected & missing) >= 0.75 * len(suspected)
    told = [row for row in planted if row["lost_line_count"] >= LOST_LINES_TOLD]
    found = [
        row
        for row in told
        if suspected & {(row["product_id"], day) for day in days(row["first_date"], row["last_date"])}
    ]
    assert len(found) >= 0.75 * len(told) > 0


def test_demand_has_the_planted_peak_and_rests_on_holidays(pharmacy: "Pharmacy") -> None:
    # Given each day's orders, and the planted effect of the season
    sold = {
        row["ordered_date"]: row
        for row in pharmacy.rows(
            "select ordered_date, sum(order_count) as orders, bool_or(is_holiday) as is_holiday, "
            "max(holiday_order_share) as share from operations.product_demand_by_day group by ordered_date"
        )
    }
    planted = {row["date_day"]: row for row in pharmacy.planted("demand_seasons") if row["date_day"] in sold}

    def mean(found: list[date]) -> float:
        return sum(sold[day]["orders"] for day in found) / len(found)

    # Then the peak differs from the weeks around it by the planted factor
    peak = [day for day in planted if planted[day]["is_peak"]]
    around = [day for day in planted if planted[day]["holiday_pct"] == 100 and abs((day - date(2025, 12, 9)).days) < 60]
    lifted = sum(planted[day]["holiday_pct"] for day in peak) / len(peak) / 100
    assert 0.8 * lifted < mean(peak) / mean(around) < 1.2 * lifted

    # and every public holiday of the country with the most orders is marked, with fewer orders than the days around it
    holidays = [day for day in planted if sold[day]["is_holiday"]]
    assert set(holidays) == {
        day for day in planted if planted[day]["is_holiday"] and (day.month, day.day) not in ((12, 24), (12, 31))
    }
    neighbours = [day + timedelta(days=n) for day in holidays for n in (-7, 7) if day + timedelta(days=n) in planted]
    ordinary = [day for day in neighbours if planted[day]["holiday_pct"] == 100]
    assert mean(holidays) < 0.85 * mean(ordinary)
    assert all(0.4 < sold[day]["share"] <= 1 for day in holidays)


def test_every_product_has_every_day_once_and_its_price(pharmacy: "Pharmacy") -> None:
    # Given the days of each product; then no day is missing between its first day and the last day of the data
    (counted,) = pharmacy.rows(
        """
        with bounds as (
            select product_id, count(*) as day_count, min(ordered_date) as first_date, max(ordered_date) as last_date
            from operations.product_demand_by_day
            group by product_id
        )
        select
            count(*) as products,
            count(*) filter (day_count <> last_date - first_date + 1) as gaps,
            count(distinct last_date) as ends,
            (select count(*) from operations.product_demand_by_day where list_price is not null) as prices,
            (
                select count(*)
                from operations.product_demand_by_day as demand
                join core.dim_product as product
                    on demand.product_id = product.product_id
                    and product.valid_from <= demand.ordered_date and demand.ordered_date < product.valid_to
                -- Before its first known change a price is unknown.
                where demand.list_price
                is distinct from case when product.changed_at <= demand.ordered_date then product.list_price end
            ) as other_prices
        from bounds
        """
    )
    assert counted["products"] >= 40
    assert counted["prices"] > 0
    assert {name: counted[name] for name in ("gaps", "ends", "other_prices")} == {
        "gaps": 0,
        "ends": 1,
        "other_prices": 0,
    }
