"""The pharmacy's visits, compared with the planted truth: sessions, bots, funnel, cohorts and churn."""

from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures"]

NEW_DAYS, RISK_DAYS, CHURN_DAYS, QUIET_DAYS = 30, 60, 120, 30
"""The values of the table churn_rules."""


def test_sessions_are_those_that_were_planted(pharmacy: "Pharmacy") -> None:
    # Given the planned visits of humans and bots, and the visitors with events beyond the allowed lateness
    names = ("visitor_id", "started_at", "ended_at", "event_count", "is_bot", "customer_id")
    late = {row["visitor_id"] for row in pharmacy.rows("select visitor_id from core.fct_web_events where is_late")}
    planted = {
        tuple(row[name] for name in names) for row in pharmacy.planted("sessions") if row["visitor_id"] not in late
    }

    # Then every session of the other visitors is found, and no other session
    rows = pharmacy.rows(f"select {', '.join(names)} from core.fct_sessions")
    found = {tuple(row[name] for name in names) for row in rows if row["visitor_id"] not in late}
    assert found == planted
    assert len(planted) > 10_000 > 1000 * len(late)

    # And the hard cases are among them: across midnight, two parts of a visit, bots that look like browsers
    hard = pharmacy.rows("""
        select
            count(*) filter (started_date <> cast(ended_at as date)) as across_midnight,
            count(*) filter (is_bot and not is_declared_bot) as undeclared,
            count(*) filter (is_bot) as robots,
            count(*) filter (customer_id is null and stitched_customer_id is not null) as stitched
        from core.fct_sessions
    """)[0]
    assert min(hard.values()) > 10


def test_the_funnel_has_the_steps_that_were_planted(pharmacy: "Pharmacy") -> None:
    # Given the number that reached each step, on days whose events have all been sent, within the allowed lateness
    late = {row["occurred_date"] for row in pharmacy.rows("from core.fct_web_events where is_late")}
    near_late = {day + timedelta(days=distance) for day in late for distance in (-1, 0)}
    planted = {
        (row["started_date"], row["step_number"]): row["session_count"]
        for row in pharmacy.planted("funnel")
        if row["is_whole"] and row["started_date"] not in near_late
    }

    # Then the funnel has the same numbers
    rows = pharmacy.rows("select started_date, step_number, sum(session_count) as n from growth.funnel group by all")
    found = {(row["started_date"], row["step_number"]): row["n"] for row in rows}
    assert {key: found[key] for key in planted} == planted
    assert len(planted) > 0.9 * len(found)
    assert sum(planted.values()) > 10_000


def test_no_account_of_the_pharmacys_readers_is_in_the_warehouse(pharmacy: "Pharmacy") -> None:
    # Given visits whose URLs contained emails and search words
    paths = {row["page_path"] for row in pharmacy.rows("select distinct page_path from core.fct_web_events")}

    # Then no path contains them
    assert [path for path in paths if path and ("@" in path or "%40" in path or "?" in path)] == []
    assert {"/search", "/login"} <= paths


def test_cohorts_are_whole(pharmacy: "Pharmacy") -> None:
    # Given cohorts of customers and visitors, then each has a row per month from its first month to the last one
    cohorts = pharmacy.rows("""
        select
            cohort_basis,
            cohort_month,
            list(months_since_first order by months_since_first) as months,
            list(active_member_count order by months_since_first) as active,
            max(member_count) as member_count,
            list(activity_month order by activity_month) filter (not is_complete) as unfinished
        from growth.retention_cohorts
        group by all
    """)
    assert {row["cohort_basis"] for row in cohorts} == {"order", "session"}
    for cohort in cohorts:
        months = (2026 - cohort["cohort_month"].year) * 12 + 3 - cohort["cohort_month"].month
        assert cohort["months"] == [*range(months + 1)]
        assert cohort["active"][0] == cohort["member_count"] > 0
        assert cohort["unfinished"] == [date(2026, 3, 1)]

    # And all customers with an order are in a cohort
    members = sum(row["member_count"] for row in cohorts if row["cohort_basis"] == "order")
    buyers = pharmacy.rows("select count(distinct customer_id) as n from core.fct_order_lines where is_sale")
    assert members == buyers[0]["n"]


def test_churn_states_are_what_a_walk_through_the_days_finds(pharmacy: "Pharmacy") -> None:
    # Given orders as they were known and visits of some customers, and the last day to check
    known: dict[str, list[tuple[date, date, date]]] = {}
    for row in pharmacy.rows("from core.fct_order_status_changes where is_sale and customer_id is not null"):
        ends = row["valid_to"].date()
        until = ends + timedelta(days=1) if ends.year < 9999 else ends
        since = row["valid_from"].date() + timedelta(days=1)
        known.setdefault(row["customer_id"], []).append((row["ordered_date"], since, until))
    visits = days_by_customer(
        pharmacy, "select customer_id, cast(ended_at as date) as day from core.fct_sessions where not is_bot"
    )
    last = pharmacy.rows("select max(cast(valid_from as date)) + 1 as day from core.fct_order_status_changes")[0]["day"]

    # When each day is computed from the orders that were known before it
    walked: dict[str, dict[date, str]] = {}
    for customer in sorted(known)[::4]:
        orders, days = known[customer], {}
        bounds = sorted({day for _, since, until in orders for day in (since, until) if day <= last})
        for begins, ends in zip(bounds, [*bounds[1:], last + timedelta(days=1)], strict=True):
            counted = {day for day, since, until in orders if since <= begins < until}
            states = walk(counted, visits.get(customer, set()), ends - timedelta(days=1)) if counted else {}
            days |= {day: state for day, state in states.items() if begins <= day}
        if days:
            walked[customer] = days

    # Then the mart has the same states, one per day
    said: dict[str, dict[date, str]] = {customer: {} for customer in walked}
    stated = 0
    for row in pharmacy.rows("from growth.churn_states"):
        if row["customer_id"] in said:
            length = (row["valid_to"] - row["valid_from"]).days
            days = (row["valid_from"] + timedelta(days=distance) for distance in range(length))
            said[row["customer_id"]] |= dict.fromkeys(days, row["churn_state"])
            stated += length
    assert stated == sum(map(len, walked.values()))
    assert said == walked
    assert len({state for days in walked.values() for state in days.values()}) == 5


def test_churn_finds_all_who_lapsed_and_more(pharmacy: "Pharmacy") -> None:
    """Every customer who lapsed that long ago is churned; rare buyers look the same until they order again."""
    # Given lapsed customers among all customers with an order
    last = pharmacy.rows("select max(ordered_date) + 1 as day from core.fct_order_lines")[0]["day"]
    rows = pharmacy.rows("select customer_id, is_churned from growth.churn_states where is_current")
    churned = {row["customer_id"] for row in rows if row["is_churned"]}
    lapsed = {row["customer_id"]: row["lapsed_date"] for row in pharmacy.planted("lapsed_customers")}
    long_ago = {
        row["customer_id"] for row in rows if lapsed.get(row["customer_id"], last) <= last - timedelta(days=CHURN_DAYS)
    }

    # Then all are churned, and their share of the churned is at least twice their share of all customers
    assert long_ago
    assert long_ago <= churned
    frequency = len(churned & lapsed.keys()) / len(churned)
    assert frequency > 2 * sum(row["customer_id"] in lapsed for row in rows) / len(rows)


def days_by_customer(pharmacy: "Pharmacy", query: str) -> dict[str, set[date]]:
    days: dict[str, set[date]] = {}
    for row in pharmacy.rows(query):
        if row["customer_id"] is not None:
            days.setdefault(row["customer_id"], set()).add(row["day"])
    return days


def walk(orders: set[date], visits: set[date], last: date) -> dict[date, str]:
    """Compute the state of each day separately, by a slow and simple method."""
    first = start = ordered = min(orders)
    visited = max((day for day in visits if day <= first), default=None)
    states: dict[date, str] = {}
    has_left = False
    for day in (first + timedelta(days=n) for n in range(1, (last - first).days + 1)):
        since_order = (day - ordered).days
        is_quiet = visited is None or (day - visited).days >= QUIET_DAYS
        if since_order >= CHURN_DAYS and is_quiet:
            states[day], has_left = "churned", True
        elif since_order >= RISK_DAYS:
            states[day] = "at_risk"
        elif (day - start).days <= NEW_DAYS:
            states[day] = "new" if start == first else "returned"
        else:
            states[day] = "active"
        if day in orders:
            ordered, start, has_left = day, day if has_left else start, False
        if day in visits:
            visited = day
    return states


def test_robots_do_not_make_the_traffic_of_people(pharmacy: "Pharmacy") -> None:
    # Given sessions by day, then the number of human sessions is the planted one
    planted: Counter[Any] = Counter(row["is_bot"] for row in pharmacy.planted("sessions"))
    rows = pharmacy.rows("select is_bot, sum(session_count) as n from growth.sessions_by_day group by is_bot")
    assert {row["is_bot"]: row["n"] for row in rows} == dict(planted)
