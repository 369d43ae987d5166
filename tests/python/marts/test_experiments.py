"""Experiments of a language school: the plan comes with its source, and a lopsided split warns or blocks."""

from datetime import datetime
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Row, Warehouse, run_dbt

pytest_plugins = ["support.warehouse_fixtures"]

NOON = datetime(2026, 3, 1, 12)
SPLIT = "experiment_results__sample_ratio_is_as_planned"


def assignment(experiment: str, learner: str, variant: str, at: datetime = NOON) -> Row:
    return {
        "experiment_name": experiment,
        "customer_id": learner,
        "variant": variant,
        "assigned_at": at,
        "updated_at": at,
    }


def make_split(treated: int) -> Lake:
    """A hundred learners with the control, and more with the treatment."""
    lake = Lake()
    lake.load(
        NOON,
        crm__experiment_assignments=[
            assignment("E1", f"C{n}", "control" if n < 100 else "new") for n in range(100 + treated)
        ],
    )
    return lake


def gate_of(warehouse: Warehouse, lake: Lake) -> str:
    """Build the results, and return the status of the test of the split."""
    built: Any = warehouse.dbt(lake, "build", "--select", "+experiment_results").result
    return {result.node.name: str(result.status) for result in built.results}[SPLIT]


@pytest.mark.parametrize(("treated", "gate"), [pytest.param(140, "pass", marks=pytest.mark.slow), (170, "warn")])
def test_a_split_that_is_not_as_planned_warns_and_shows_in_its_own_row(
    full: Warehouse, treated: int, gate: str
) -> None:
    # Given a split, when it is built, then one with a probability below 1 in 1,000 warns, and no release is withheld
    assert gate_of(full, make_split(treated)) == gate
    assert full.rows("select is_split_as_planned from finance.experiment_results") == [(gate == "pass",)]


def test_a_team_may_let_a_split_block_its_release(full: Warehouse) -> None:
    # Given a team that sets the severity of this test
    chosen = f"{{severities: {{{SPLIT}: error}}}}"
    parsed = run_dbt(full.folder, "parse", "--vars", chosen).result
    assert isinstance(parsed, Manifest)

    # When the split is lopsided, then the test fails, and only this test may fail
    full.manifest = parsed
    assert gate_of(full, make_split(170)) == "fail"

    # And a misspelt name is an error
    failed = full.dbt(
        Lake(), "build", "--select", "experiment_results", "--vars", "{severities: {no_such_test: error}}"
    )
    assert "no_such_test" in str(failed.exception)
