"""The feature set of the Fraud Detection Handbook is declared without new code, and equals a recount in pandas.

Customer: number and mean amount of payments in 1, 7 and 30 days, the payment itself included. Terminal: number of
payments and share of frauds in 1, 7 and 30 days that ended 7 days before. Weekend and night are plain SQL.
"""

from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from dbt.contracts.graph.manifest import Manifest
from support.declared_features import with_model
from support.lake_by_hand import Lake, Warehouse

pytest_plugins = ["support.warehouse_fixtures"]

DAYS = (1, 7, 30)
TYPES = {
    **{"transaction_id": "bigint", "customer_id": "varchar", "terminal_id": "varchar"},
    **{"amount": "decimal(18, 2)", "is_fraud": "boolean", "paid_at": "timestamp"},
}
WINDOWS = [f"{days}d" for days in DAYS]
EVENTS = {"event_id": "transaction_id", "event_time": "paid_at"}
DECLARED: list[dict[str, Any]] = [
    {
        **EVENTS,
        **{"entity": "customer_id", "closed": "right"},
        "values": {
            "count": {"agg": "count", "windows": WINDOWS, "description": "Payments."},
            "mean": {"agg": "avg", "of": "amount", "windows": WINDOWS, "description": "Mean amount."},
        },
    },
    {
        **EVENTS,
        **{"entity": "terminal_id", "closed": "right", "delay": "7d"},
        "values": {
            "count": {"agg": "count", "windows": WINDOWS, "description": "Payments that are a week old."},
            "risk": {"agg": "avg", "of": "is_fraud", "windows": WINDOWS, "description": "Share of frauds."},
        },
    },
]
SPINE = """
select
    *,
    isodow(paid_at) >= 6 as is_weekend,
    hour(paid_at) <= 6 as is_night
from payments
"""


def make_payments(rows: int = 1_500) -> pd.DataFrame:
    """Make payments of 90 days; terminals are broken into for some weeks, and times repeat."""
    chance = np.random.default_rng(7)
    minutes = chance.integers(0, 90 * 24 * 60, rows)
    minutes[rows // 2 :: 3] = minutes[: len(minutes[rows // 2 :: 3])]  # payments at one moment
    terminals = chance.integers(0, 12, rows)
    week = minutes // (7 * 24 * 60)
    return pd.DataFrame(
        {
            "transaction_id": np.arange(rows),
            "customer_id": [f"C{number}" for number in chance.integers(0, 30, rows)],
            "terminal_id": [f"T{number}" for number in terminals],
            "amount": np.round(chance.exponential(50, rows), 2),
            "is_fraud": ((terminals + week) % 9 == 0) | (chance.random(rows) < 0.01),
            "paid_at": pd.Timestamp("2026-01-01") + pd.to_timedelta(minutes, unit="min"),
        }
    )


def recount(payments: pd.DataFrame) -> pd.DataFrame:
    """Count each payment's features one by one, as the Handbook defines them."""
    counted = []
    for payment in payments.itertuples():
        of_customer = payments[payments.customer_id == payment.customer_id]
        of_terminal = payments[payments.terminal_id == payment.terminal_id]
        found: dict[str, Any] = {"transaction_id": payment.transaction_id}
        for days in DAYS:
            age = payment.paid_at - of_customer.paid_at
            inside = of_customer[(age >= pd.Timedelta(0)) & (age < pd.Timedelta(days=days))]
            found[f"customer__count_{days}d"], found[f"customer__mean_{days}d"] = len(inside), inside.amount.mean()
            age = payment.paid_at - pd.Timedelta(days=7) - of_terminal.paid_at
            inside = of_terminal[(age >= pd.Timedelta(0)) & (age < pd.Timedelta(days=days))]
            found[f"terminal__count_{days}d"], found[f"terminal__risk_{days}d"] = len(inside), inside.is_fraud.mean()
        found["is_weekend"] = payment.paid_at.weekday() >= 5
        found["is_night"] = payment.paid_at.hour <= 6
        counted.append(found)
    return pd.DataFrame(counted)


@pytest.fixture(scope="module")
def payments() -> pd.DataFrame:
    """Generated payments."""
    return make_payments()


@pytest.fixture(scope="module")
def expected(payments: pd.DataFrame) -> pd.DataFrame:
    """The features of each payment, counted by pandas."""
    return recount(payments)


@pytest.mark.parametrize("strategy", ["range_join", "prefix_sums"])
def test_every_value_equals_a_recount(
    strategy: str, payments: pd.DataFrame, expected: pd.DataFrame, tmp_path: Path, manifest: Manifest
) -> None:
    # Given generated payments, and the feature set in YAML alone
    changed = with_model(manifest, "handbook_payments", TYPES, DECLARED)
    warehouse = Warehouse(tmp_path / "handbook", changed)
    inline = (
        "{% set groups = select_features(['handbook_payments.*']) %}"
        "{% for group in groups %}{% do group.update(relation='payments') %}{% endfor %}"
        f"{{{{ join_features('({SPINE})', 'paid_at', groups, strategy='{strategy}') }}}}"
    )
    result = warehouse.dbt(Lake(), "compile", "--inline", inline)
    assert result.success, result.exception

    # When the training set is computed
    with duckdb.connect() as connection:
        connection.register("given", payments)
        columns = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in TYPES.items())
        connection.execute(f"create table payments as select {columns} from given")
        found = connection.execute(result.result.results[0].node.compiled_code).df()

    # Then each value equals the recount
    found = found.sort_values("transaction_id").reset_index(drop=True)[expected.columns]
    assert expected.shape == (1_500, 15)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False, rtol=1e-12)
