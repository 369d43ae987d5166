"""The credit histories show the planned payments of the pharmacy's loans, month by month."""

from collections import defaultdict
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dbt.contracts.graph.manifest import Manifest

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures", "support.warehouse_fixtures"]

Row = dict[str, Any]


def describe(states: list[Row], month_end: date) -> Row:
    """Return a loan's arrears at the end of a month, from the states of its instalments in the books."""
    midnight = datetime.combine(month_end + timedelta(days=1), datetime.min.time())
    last: dict[int, Row] = {}
    for state in states:
        if state["booked_at"] < midnight:
            last[state["instalment_number"]] = state
    missed = [row for row in last.values() if row["paid_amount"] < row["due_amount"] and row["due_date"] < month_end]
    return {
        "days_past_due": max((month_end - row["due_date"]).days for row in missed) if missed else 0,
        "missed_instalment_count": len(missed),
        "overdue_amount": sum(row["due_amount"] - row["paid_amount"] for row in missed),
        "paid_to_date_amount": sum(row["paid_amount"] for row in last.values()),
        "due_to_date_amount": sum(row["due_amount"] for row in last.values() if row["due_date"] <= month_end),
        "settled_instalment_count": sum(row["paid_amount"] >= row["due_amount"] for row in last.values()),
        "instalment_count": len(last),
    }


def test_every_month_of_every_loan_is_as_its_books_were_then(pharmacy: "Pharmacy") -> None:
    # Given each state of each instalment in the books
    books: dict[str, list[Row]] = defaultdict(list)
    for state in pharmacy.planted("loans"):
        books[state["loan_id"]].append(state)

    # When the histories are read, then each month depends only on states that were booked by its end
    histories = pharmacy.rows("from finance.credit_histories order by loan_id, month_end_date")
    assert len(histories) > 300
    for row in histories:
        expected = describe(books[row["loan_id"]], row["month_end_date"])
        assert {name: row[name] for name in expected} == expected

    # And no month is missing, from the first one to the last complete one, or to the final payment
    last_month = max(row["month_end_date"] for row in histories)
    for loan, states in books.items():
        opened = states[0]["booked_at"].date()
        months = [row for row in histories if row["loan_id"] == loan]
        if opened > last_month:
            assert months == []
            continue
        end = last_month if not months[-1]["is_paid_back"] else months[-1]["month_end_date"]
        assert len(months) == 12 * (end.year - opened.year) + end.month - opened.month + 1
        assert not any(row["is_paid_back"] for row in months[:-1])


def test_borrowers_who_stop_paying_end_in_the_worst_class_and_punctual_ones_do_not(pharmacy: "Pharmacy") -> None:
    # Given the payment behaviours, and the worst class of each loan
    behaviours = {row["loan_id"]: row["behaviour"] for row in pharmacy.planted("loans")}
    worst: dict[str, int] = defaultdict(int)
    for row in pharmacy.rows("select loan_id, days_past_due from finance.credit_histories"):
        worst[row["loan_id"]] = max(worst[row["loan_id"]], row["days_past_due"])
    given_up = {row["loan_id"] for row in pharmacy.rows("from finance.credit_histories where is_defaulted")}

    # Then every defaulted loan was 90 days past due, and no punctual loan was
    assert given_up
    assert {behaviours[loan] for loan in given_up} == {"defaulting"}
    assert all(worst[loan] >= 90 for loan in given_up)
    assert max(days for loan, days in worst.items() if behaviours[loan] == "punctual") < 60


def test_the_shown_query_counts_loans_that_were_paid_back_meanwhile_as_good(
    pharmacy: "Pharmacy", manifest: Manifest
) -> None:
    # Given every month of an unpaid loan that six more months follow, with the worst class of these six
    months: dict[str, dict[int, Row]] = defaultdict(dict)
    for row in pharmacy.rows("from finance.credit_histories"):
        months[row["loan_id"]][12 * row["month_end_date"].year + row["month_end_date"].month] = row
    last_month = max(max(of_loan) for of_loan in months.values())
    expected: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    ended = 0
    for of_loan in months.values():
        for month, row in of_loan.items():
            if month + 6 <= last_month and not row["is_paid_back"]:
                later = [of_loan[n] for n in range(month + 1, month + 7) if n in of_loan]
                expected[row["arrears_bucket"]][0] += 1
                expected[row["arrears_bucket"]][1] += any(row["arrears_bucket"] == "90+" for row in later)
                ended += month + 6 not in of_loan
    assert ended

    # When the query in the description is run, then it has the same counts
    description = manifest.nodes["model.ml_warehouse.credit_histories"].description
    counted = pharmacy.rows(description.split("```sql\n")[1].split("```")[0])
    assert {r["arrears_bucket"]: [r["loan_count"], r["bad_loan_count"]] for r in counted} == expected


def test_instalments_stand_in_the_warehouse_as_the_books_last_had_them(pharmacy: "Pharmacy") -> None:
    # Given the last state of every instalment
    last = {(row["loan_id"], row["instalment_number"]): row for row in pharmacy.planted("loans")}

    # When the warehouse's states are read, then they are the same
    found = {(row["loan_id"], row["instalment_number"]): row for row in pharmacy.rows("from core.fct_loan_instalments")}
    assert found.keys() == last.keys()
    for key, row in found.items():
        assert (row["due_date"], row["due_amount"], row["paid_amount"]) == (
            last[key]["due_date"],
            last[key]["due_amount"],
            last[key]["paid_amount"],
        )
