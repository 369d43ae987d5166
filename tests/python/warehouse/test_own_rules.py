"""Rules and vars that a team sets for itself, in files of its own: they decide, and the pages of models list them."""

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

from flows.config.connections import read_connections
from flows.config.variables import declared_variables
from flows.core.errors import UsageError
from flows.site.row_settings import list_settings

pytest_plugins = ["support.warehouse_fixtures"]

MORNING = datetime(2026, 3, 2, 8)
WEB = ("--select", "+fct_sessions", "+funnel")


def event(number: int, event_type: str, **changed: Any) -> dict[str, Any]:
    happened = MORNING.replace(minute=number)
    return {
        "event_id": f"E{number}",
        "event_type": event_type,
        "visitor_id": "V1",
        "occurred_at": happened,
        **changed,
    }


def test_own_rules_take_the_place_of_the_defaults_that_they_name(incremental: Warehouse, full: Warehouse) -> None:
    # Given a café whose tracker has words of its own, built with the project's rules
    lake = Lake()
    lake.load(MORNING, web__events=[event(1, "menu_opened"), event(2, "page_view"), event(3, "table_booked")])
    incremental.build(lake, *WEB)
    views = "select sum(page_view_count), sum(order_count) from core.fct_sessions"
    assert incremental.rows(views) == [(1, 0)]

    # When the café brings rules: its words, what page_view means there, and the steps of a funnel of its own
    lake.load(
        MORNING,
        rules__web_event_types=[
            {"event_type": "menu_opened", "is_page_view": True, "is_order": False},
            {"event_type": "table_booked", "is_page_view": False, "is_order": True},
            {"event_type": "page_view", "is_page_view": False, "is_order": False},
        ],
        rules__funnel_steps=[
            {"funnel_name": "table", "step_number": 1, "step_name": "menu", "event_type": "menu_opened"},
            {"funnel_name": "table", "step_number": 2, "step_name": "table", "event_type": "table_booked"},
        ],
    )
    incremental.build(lake, *WEB)

    # Then own rows decide, the defaults that they do not name remain, and facts that were built before follow
    assert incremental.rows(views) == [(1, 1)]
    assert incremental.rows("select distinct funnel_name from core.funnel_steps order by 1") == [
        ("purchase",),
        ("table",),
    ]
    assert ("search", True) in incremental.rows("select event_type, is_page_view from core.web_event_types")
    full.build(lake, *WEB)
    assert incremental.differences(full) == {}


def test_own_rules_in_an_order_take_the_place_of_all_defaults(incremental: Warehouse) -> None:
    lake = Lake()
    own = {"segment": "guest", "priority": 1}
    lake.load(MORNING, rules__segment_rules=[own])
    incremental.build(lake, "--select", "+segment_rules")
    assert incremental.rows("select segment, priority, maximum_order_count from core.segment_rules") == [
        ("guest", 1, None)
    ]


def test_a_set_has_values_of_its_own_for_vars(tmp_path: Path) -> None:
    assert _read(tmp_path, "{session_gap_minutes: 20}").variables == {"session_gap_minutes": 20}
    assert _read(tmp_path, "{duplicate_probability: 1}").variables == {"duplicate_probability": 1}


@pytest.mark.parametrize(
    ("own", "told"),
    [
        ("{session_gap_minute: 20}", "cafe.vars has session_gap_minute (did you mean session_gap_minutes?), which is"),
        ("{session_gap_minutes: '20'}", "cafe.vars.session_gap_minutes is text, and must be a number."),
        ("{relations: 1}", "cafe.vars.relations is a number, and must be a list."),
        ("20", "cafe.vars is not a map of names."),
    ],
)
def test_a_var_that_is_unknown_or_of_another_kind_is_refused(tmp_path: Path, own: str, told: str) -> None:
    with pytest.raises(UsageError) as refused:
        _read(tmp_path, own)
    assert told in str(refused.value)
    assert "dbt_project.yml" in str(refused.value)


def test_the_page_of_a_model_lists_the_settings_that_decide_on_its_rows(manifest: Manifest) -> None:
    # Given the project, and a set with a pause of its own
    settings = list_settings(manifest, {**declared_variables(), "session_gap_minutes": 20})

    # Then each page has the vars and tables of rules of the model and of all that it reads, with the values in use
    churn = settings["model.ml_warehouse.churn_states"]
    assert "`session_gap_minutes`: 20" in churn
    assert "the table `churn_rules`" in churn
    assert not [text for text in churn if "sensor" in text]
    assert "model.ml_warehouse.stg_equipment__unit_history" not in settings


def _read(folder: Path, own: str) -> Any:
    file = folder / "connections.yml"
    file.write_text(f"cafe:\n  vars: {own}\n  sales: {{url: 'file:tills'}}\n")
    return read_connections(file)
