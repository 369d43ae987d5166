"""The marketing marts find the planted truth, and their figures are equal to those of plain Python."""

from collections import Counter, defaultdict
from datetime import date
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from flows.core.names import TableName
from flows.lake.quarantine import quarantined_rows
from flows.lake.raw import RawTable

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures"]

PRECISION, RECALL = 0.98, 0.9


def test_people_with_two_accounts_are_found_and_nobody_else(pharmacy: "Pharmacy") -> None:
    # Given customers with a second account, among those in the warehouse
    known = {row["customer_id"] for row in pharmacy.rows("select customer_id from marketing.customer_360")}
    planted = {row["customer_id"]: row["first_customer_id"] for row in pharmacy.planted("duplicate_customers")}
    accounts = defaultdict(set)
    for customer in known:
        accounts[planted.get(customer, customer)].add(customer)
    pairs = {pair for of_one in accounts.values() for pair in combinations(sorted(of_one), 2)}

    # When they are compared with the pairs of the mart
    rows = pharmacy.rows("from marketing.duplicate_customer_pairs")
    found = {(row["customer_id"], row["other_customer_id"]) for row in rows}

    # Then nearly all are found, and very few pairs are wrong
    assert len(pairs) >= 10
    assert len(found & pairs) / len(found) >= PRECISION
    assert len(found & pairs) / len(pairs) >= RECALL

    # And each has the first account, and a reason that names fields but no values
    survivors = {
        row["customer_id"]: row["surviving_customer_id"] for row in pharmacy.rows("from marketing.duplicate_customers")
    }
    registered = {row["customer_id"]: row["registered_at"] for row in pharmacy.rows("from marketing.customer_360")}
    assert {survivors[second] == survivors[first] for first, second in found} == {True}
    assert all(registered[survivor] <= registered[customer] for customer, survivor in survivors.items())
    fields = {"person_name", "email", "phone", "birth_date", "address"}
    told = {field.split(" (")[0] for row in rows for field in row["agreeing_fields"].split(", ")}
    assert told <= fields


def test_affinity_is_what_counting_every_pair_of_every_basket_comes_to(pharmacy: "Pharmacy") -> None:
    # Given all baskets
    baskets = defaultdict(set)
    for row in pharmacy.rows("select order_id, product_id from core.fct_order_lines where is_sale"):
        baskets[row["order_id"]].add(row["product_id"])

    # When products and pairs are counted one by one
    products = Counter(product for basket in baskets.values() for product in basket)
    pairs = Counter(pair for basket in baskets.values() for pair in combinations(sorted(basket), 2))
    expected = {
        pair: (count, count / products[pair[0]], count / products[pair[1]])
        for pair, count in pairs.items()
        if count >= 5
    }

    # Then these are the pairs, their confidence in both directions, and their lift
    rows = {
        (row["product_id"], row["other_product_id"]): row for row in pharmacy.rows("from marketing.product_affinity")
    }
    assert expected
    assert expected == {
        pair: (row["pair_basket_count"], row["confidence_share"], row["other_confidence_share"])
        for pair, row in rows.items()
    }
    for (one, other), row in rows.items():
        assert row["basket_count"] == len(baskets)
        chance = products[one] / len(baskets) * products[other] / len(baskets)
        assert row["lift"] == pytest.approx(row["pair_basket_count"] / len(baskets) / chance)


def test_purchases_of_ten_customers_counted_by_hand(pharmacy: "Pharmacy") -> None:
    # Given every line of ten customers
    chosen = pharmacy.rows("select customer_id from marketing.customer_360 where order_count > 3 order by all limit 10")
    names = tuple(row["customer_id"] for row in chosen)
    as_of = pharmacy.rows("select max(ordered_date) as day from core.fct_order_lines")[0]["day"]
    days: dict[tuple[str, str], dict[date, Decimal]] = defaultdict(dict)
    net: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    for line in pharmacy.rows(f"from core.fct_order_lines where customer_id in {names}"):
        who = (line["customer_id"], line["currency"])
        if line["is_sale"]:
            days[who][line["ordered_date"]] = days[who].get(line["ordered_date"], Decimal(0)) + line["net_amount"]
        if line["is_return"] or not line["is_cancelled"]:
            net[who] += line["net_amount"]

    # When frequency, recency, T and monetary value are computed as Fader and Hardie define them
    def measured(who: tuple[str, str]) -> tuple[Any, ...]:
        first, *repeats = sorted(days[who])
        mean = sum((days[who][day] for day in repeats), Decimal(0)) / len(repeats) if repeats else None
        rounded = None if mean is None else round(float(mean), 3)
        last = repeats[-1] if repeats else first
        return len(repeats), (last - first).days, (as_of - first).days, rounded, net[who]

    # Then the mart has the same figures
    rows = pharmacy.rows(f"from marketing.customer_lifetime_values where customer_id in {names}")
    assert {who: measured(who) for who in days} == {
        (row["customer_id"], row["currency"]): (
            row["repeat_purchase_count"],
            row["purchase_span_days"],
            row["observed_days"],
            None if row["repeat_purchase_amount"] is None else round(float(row["repeat_purchase_amount"]), 3),
            row["net_sales_amount"],
        )
        for row in rows
    }


def test_a_registration_with_an_email_that_is_none_never_gets_in(pharmacy: "Pharmacy") -> None:
    """The first of the three kinds of trigger: a contract check, when a record arrives."""
    table = RawTable(pharmacy.folder / "lake", TableName("crm", "customers"))
    with duckdb.connect() as lake:
        reasons = lake.execute(f"select distinct unnest(_reasons) from {quarantined_rows(table)}").fetchall()
        kept_out = lake.execute(f"select count(*) from {quarantined_rows(table)}").fetchall()[0][0]
    assert reasons == [("email: looks_like_an_email",)]
    assert kept_out > 0


def builds_of(release: Path) -> set[str]:
    """Return the names under which a release's builds record changes."""
    with duckdb.connect(str(release), read_only=True) as connection:
        rows = connection.execute("select 'dbt ' || unnest(dbt_invocation_ids) from main.release").fetchall()
    return {name for (name,) in rows}


def test_the_trail_of_segments_leads_to_what_they_are(pharmacy: "Pharmacy") -> None:
    # Given the releases of two days, and the changes of segments in them
    releases = sorted((pharmacy.folder / "releases").glob("*/warehouse.duckdb"))
    changes = pharmacy.rows("from history.segment_changes")
    assert changes

    # Then each change names its build, and its last new value is the present one
    assert {change["changed_by"] for change in changes} <= set().union(*(builds_of(release) for release in releases))
    now = {row["customer_id"]: row["segment"] for row in pharmacy.rows("from marketing.customer_segments_current")}
    assert {change["customer_id"]: change["new_segment"] for change in changes}.items() <= now.items()
    assert now == {row["customer_id"]: row["segment"] for row in pharmacy.rows("from marketing.customer_360")}
