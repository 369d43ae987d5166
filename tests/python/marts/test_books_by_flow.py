"""A savings bank with cards, and a café with a subscription, brought by a connections file and built by the flow."""

import sqlite3
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
import yaml
from support.flow_shop import FlowShop, make_shop

pytestmark = [pytest.mark.proof, pytest.mark.usefixtures("unit_tests_passed_before")]

CARDS = ["nr", "kunde", "kredit", "offen_seit", "stand"]
BILLS = ["Konto", "Vom", "Saldo", "Mindestens", "Bis", "Bezahlt", "Bezahlt_am", "Gebucht"]
ABOS = ["no", "client", "formule", "etat", "prix", "debut", "fin", "maj"]


@pytest.fixture
def bank(tmp_path: Path, flow_home: Path) -> FlowShop:
    """A bank whose cards are in SQLite and whose bills are in CSV files; its café sells a subscription."""
    shop = make_shop(tmp_path / "bank", flow_home)
    sources = {
        "crm": {
            "url": f"file:{shop.drops}",
            "tables": {"customers": {"from": "clients.csv", "columns": {"customer_id": "No", "updated_at": "Changed"}}},
        },
        "lending": {
            "url": f"file:{shop.drops}",
            "tables": {
                "credit_lines": {
                    "from": "cards*.csv",
                    "columns": {
                        "account_id": "nr",
                        "customer_id": "kunde",
                        "currency": "'CHF'",
                        "credit_limit": "kredit",
                        "opened_at": "offen_seit",
                        "updated_at": "stand",
                    },
                },
                "statements": {
                    "from": "bills*.csv",
                    "columns": {
                        "account_id": "Konto",
                        "statement_date": "Vom",
                        "balance": "Saldo",
                        "minimum_due": "Mindestens",
                        "due_date": "Bis",
                        "paid_amount": "Bezahlt",
                        "paid_at": "nullif(Bezahlt_am, '')",
                        "updated_at": "Gebucht",
                    },
                },
            },
        },
        "sales": {
            "url": f"sqlite:///{tmp_path / 'cafe.sqlite'}",
            "tables": {
                "subscriptions": {
                    "from": "abos",
                    "columns": {
                        "subscription_id": "no",
                        "customer_id": "client",
                        "plan": "formule",
                        "status": "case etat when 'clos' then 'ended' else 'active' end",
                        "monthly_amount": "prix",
                        "currency": "'CHF'",
                        "started_at": "debut",
                        "ended_at": "fin",
                        "updated_at": "maj",
                    },
                }
            },
        },
    }
    shop.connections.write_text(yaml.safe_dump({"own_shop": sources}))
    shop.drop("clients.csv", ["No", "Changed"], [["C1", "2026-01-01 08:00"], ["C2", "2026-01-01 08:00"]])
    return shop


def write_abos(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with sqlite3.connect(path) as database:
        database.execute(f"create table if not exists abos ({', '.join(ABOS)})")
        database.executemany(f"insert into abos values ({', '.join('?' * len(ABOS))})", rows)


def test_a_bank_and_its_cafe_have_the_months_that_their_books_knew(bank: FlowShop, tmp_path: Path) -> None:
    # Given two cards, their bills, and a subscription that ends
    bank.drop("cards-1.csv", CARDS, [[nr, f"C{nr}", 800, "2026-01-04 09:00", "2026-01-04 09:00"] for nr in (1, 2)])
    bank.drop(
        "bills-1.csv",
        BILLS,
        [
            [1, "2026-01-15", 400, 40, "2026-02-05", 0, "", "2026-01-15 08:00"],
            [1, "2026-01-15", 400, 40, "2026-02-05", 400, "2026-03-02 10:00", "2026-03-02 10:00"],
            [2, "2026-01-15", 200, 20, "2026-02-05", 20, "2026-02-01 10:00", "2026-02-01 10:00"],
            [2, "2026-06-15", 100, 10, "2026-07-05", 0, "", "2026-06-15 08:00"],
        ],
    )
    write_abos(
        tmp_path / "cafe.sqlite",
        [
            ["A1", "C1", "espresso", "clos", 30, "2026-01-20 07:00", "2026-04-10 07:00", "2026-05-02 07:00"],
            ["A2", "C2", "lungo", "actif", 45, "2026-03-03 07:00", None, "2026-06-20 07:00"],
        ],
    )

    # When the flow brings and publishes them
    bank.elt()

    # Then each month has what its books knew: a payment of 2 March is not in February
    months = (
        "select account_id, month_end_date, balance_amount, utilisation_pct, paid_amount, payment_status "
        "from finance.revolving_credit_histories where month_end_date < '2026-06-01' order by all"
    )
    first = bank.rows(months)
    assert [(row[0], row[1].month, *row[2:6]) for row in first if row[1] <= date(2026, 3, 31)] == [
        ("1", 1, 400, 50.0, 0, 0),
        ("1", 2, 400, 50.0, 0, 1),
        ("1", 3, 400, 50.0, 400, -1),
        ("2", 1, 200, 25.0, 0, 0),
        ("2", 2, 200, 25.0, 20, 0),
        ("2", 3, 200, 25.0, 20, 0),
    ]
    # And an end of 10 April that was booked on 2 May is not in April
    churned = (
        "select subscription_id, month(month_end_date), is_churned, monthly_recurring_amount, tenure_months "
        "from growth.subscription_months order by all"
    )
    abos = bank.rows(churned)
    assert abos == [
        *(("A1", month, False, 30, month - 1) for month in (1, 2, 3, 4)),
        ("A1", 5, True, 0, 3),
        *(("A2", month, False, 45, month - 3) for month in (3, 4, 5)),
    ]

    # When a later load corrects the bill of January, and moves the end of the subscription into March
    bank.drop("bills-2.csv", BILLS, [[1, "2026-01-15", 999, 99, "2026-02-05", 0, "", "2026-01-16 08:00"]])
    bank.drop("bills-3.csv", BILLS, [[2, "2026-01-15", 1, 1, "2026-02-05", 1, "2026-01-16 08:00", "2026-02-02 10:00"]])
    write_abos(
        tmp_path / "cafe.sqlite",
        [["A1", "C1", "espresso", "clos", 30, "2026-01-20 07:00", "2026-03-10 07:00", "2026-05-03 07:00"]],
    )
    bank.elt()

    # Then the closed months are as they were, and the relations of all records hold
    assert bank.rows(months) == first
    assert [row for row in bank.rows(churned) if row[1] <= 5] == abos
    assert bank.rows("select * from operations.relation_coverage where orphan_count > 0 and is_gap") == []
