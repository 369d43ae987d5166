"""The summary of a run: what is new comes first, and what was so before is counted."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flows.cli.report import summarise
from flows.config.settings import DataFolder
from flows.core.names import TableName
from flows.ingest.load import LoadResult
from flows.lake.counts import Counts
from flows.outcome import Outcome

CUSTOMERS, ORDERS = TableName("crm", "customers"), TableName("sales", "orders")


@pytest.fixture
def outcome(tmp_path: Path) -> Any:
    """Return a run's outcome, with warnings of the tests and those of them that the last release had."""

    def make(warnings: tuple[str, ...], standing: tuple[str, ...], quarantine: dict[TableName, int]) -> Outcome:
        loads = (
            LoadResult(ORDERS, "one", Counts(637_100, 1, 0, 3, known=637_096), 2.0, 2),
            LoadResult(CUSTOMERS, "two", Counts(10, 8, 2), 0.5, 2),
        )
        verdict: Any = SimpleNamespace(passed=40, carried_over=0, warnings=warnings, standing=standing)
        build: Any = SimpleNamespace(count=lambda *_: 12, kept=lambda *_: [], held=frozenset(), taken_over=frozenset())
        release: Any = SimpleNamespace(name="2026-03-02.1")
        return Outcome(
            DataFolder(tmp_path), loads, build, verdict, release, ("a remark",), "from one", 5, quarantine, "--set tea"
        )

    return make


def test_known_records_have_a_column_of_their_own(outcome: Any) -> None:
    text = summarise(outcome((), (), {}))
    assert text.splitlines()[0].split() == ["read", "accepted", "quarantined", "known", "duplicate", "seconds"]
    assert text.splitlines()[1].split() == ["sales.orders", "637,100", "1", "0", "637,096", "3", "2.0"]


def test_in_a_first_release_every_warning_is_new(outcome: Any) -> None:
    text = summarise(outcome(("3 against «no price is zero»",), (), {CUSTOMERS: 2}))
    assert "12 models, seeds and snapshots built; 40 tests passed, 3 warnings\n" in text
    assert "3 against «no price is zero»" in text
    assert "status --warnings" not in text


def test_new_warnings_are_listed_and_standing_ones_are_counted_with_their_command(outcome: Any) -> None:
    # Given two tests that warn, one of which warned in the last release, and two tables with a quarantine
    tests = ("3 against «no price is zero»", "5 against «no order is late»")
    made = outcome(tests, tests[:1], {CUSTOMERS: 5, ORDERS: 7})

    # When the run is summarised
    text = summarise(made)

    # Then the new ones are listed: the other test, the table with new records, the remark
    assert "40 tests passed, 5 warnings, 3 of them new\n" in text
    assert tests[1] in text
    assert "crm.customers: 2 newly in quarantine, 5 in all" in text
    assert "a remark" in text

    # And the others are counted, with the command that lists them
    assert tests[0] not in text
    assert "sales.orders: 7 in quarantine" not in text
    assert "2 warnings are as in the release before (" in text
    assert "-m flows status --warnings --set tea)" in text

    # And Prefect gets all of them, the new ones first
    assert made.warnings[-2:] == [tests[0], made.standing_warnings[-1]]
    assert "sales.orders: 7 in quarantine" in made.standing_warnings[-1]
