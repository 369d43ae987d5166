"""SQL that depends on the time or on chance is found in code, and not in texts, comments or names."""

from types import SimpleNamespace
from typing import Any

import pytest

from flows.core.errors import GateFailed
from flows.warehouse.volatile import find_volatile, require_no_volatile_sql


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("select now()", ["now"]),
        ("select NOW ( )", ["now"]),
        ("select current_date - ordered_on from t", ["current_date"]),
        ("select Current_Timestamp", ["current_timestamp"]),
        ("select random(), uuid()", ["random", "uuid"]),
        ("from t using sample 10%", ["a sample"]),
        ("from t tablesample reservoir(10)", ["a sample"]),
        ("select 'now()' as said -- now()\n/* random() */", []),
        ('select t.now, known_now(1), "now"(2), nowadays() from t', []),
        ("select 'it''s ' || random()", ["random"]),
    ],
)
def test_volatile_calls_are_found_in_code_alone(sql: str, found: list[str]) -> None:
    assert find_volatile(sql) == found


def test_a_volatile_model_is_refused_unless_it_declares_the_reason() -> None:
    # Given a model that reads the clock
    def node(**meta: str) -> Any:
        config = SimpleNamespace(meta=meta)
        return SimpleNamespace(name="ages", compiled_code="select now() as at", config=config)

    # Then it is refused with its name and the remedy
    with pytest.raises(GateFailed, match=r"ages: its SQL calls now.*(?s:.*)config\.meta\.volatile"):
        require_no_volatile_sql([node()])

    # And it passes with a reason
    require_no_volatile_sql([node(volatile="a clock for a dashboard")])
