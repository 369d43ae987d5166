"""Experiments of a language school: the plan comes with its source, and a lopsided split warns or blocks."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Row, Warehouse, run_dbt

pytest_plugins = ["support.warehouse_fixtures"]

NOON = datetime(2026, 3, 1, 12)
PLANS = "dim_experiment__plans_are_complete"
SPLIT = "experiment_results__sample_ratio_is_as_planned"
DAY = timedelta(days=1)
METRICS = """
experiment_metrics:
  minutes: {event_type: lesson, aggregation: sum, column: event_value}
  courses: {event_type: lesson, aggregation: count_distinct, column: product_id}
  best: {event_type: quiz, aggregation: max, column: event_value}
"""


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


@pytest.mark.slow
@pytest.mark.parametrize(("treated", "gate"), [(140, "pass"), (170, "warn")])
def test_a_split_that_is_not_as_planned_warns_and_shows_in_its_own_row(
    full: Warehouse, treated: int, gate: str
) -> None:
    # Given a split, when it is built, then one with a probability below 1 in 1,000 warns, and no release is withheld
    assert gate_of(full, make_split(treated)) == gate
    assert full.rows("select is_split_as_planned from finance.experiment_results") == [(gate == "pass",)]


@pytest.mark.slow
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


def lesson(learner: str | None, days: float, minutes: int, course: str = "Greek", **given: Any) -> Row:
    """Return an event of a learner, some days after the experiments began."""
    at = NOON + days * DAY
    row = {"event_type": "lesson", "customer_id": learner, "product_id": course, "value": minutes, "occurred_at": at}
    return {"event_id": f"{learner} {days} {course}", "visitor_id": f"of {learner}", **row, **given}


def make_school() -> Lake:
    """Seven learners, in an experiment on minutes, one on courses, one on quizzes, and one on what is not defined."""
    lake = Lake()
    plan = {"minimum_metric_value": 30, "conversion_window_days": 7, "starts_at": NOON}
    sides = {"Ada": "calm", "Bo": "calm", "Cy": "cheer", "Di": "cheer", "Ed": "cheer", "Flo": "cheer"}
    lake.load(
        NOON + 9 * DAY,
        crm__experiments=[
            {"experiment_name": "streaks", "metric": "minutes", **plan},
            {"experiment_name": "greeting", "metric": "courses", **plan, "minimum_metric_value": 2},
            {"experiment_name": "hints", "metric": "best", **plan, "minimum_metric_value": 50},
            {"experiment_name": "stars", "metric": "never defined", **plan},
        ],
        crm__experiment_variants=[
            {"experiment_name": "streaks", "variant": "cheer", "planned_weight": 2, "is_control": False},
            {"experiment_name": "streaks", "variant": "calm", "planned_weight": 1, "is_control": True},
            {"experiment_name": "streaks", "variant": "a third", "planned_weight": 1},
        ],
        crm__experiment_assignments=[
            assignment(name, learner, variant, NOON - DAY if learner == "Ed" else NOON)
            for name in ("streaks", "greeting", "hints", "stars")
            for learner, variant in sides.items()
        ]
        + [assignment("streaks", "Gil", "calm", NOON + 3 * DAY)],
        web__events=[
            lesson("Ada", 1, 20),
            lesson("Ada", 2, 15, "Latin"),
            lesson("Ada", 8, 99, "Welsh"),
            lesson("Bo", 1, 10),
            lesson("Cy", 0, 30),
            lesson("Ed", -0.5, 50),
            lesson("Ed", 6.9, 40),
            lesson("Flo", 1, 100, user_agent="Googlebot/2.1"),
            lesson("Cy", 2, 60, event_type="quiz"),
            lesson("Cy", 3, 20, event_type="quiz"),
            lesson(None, 8.5, 1),
        ],
    )
    return lake


@pytest.fixture(scope="module")
def school(manifest: Manifest, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    warehouse = Warehouse(tmp_path_factory.mktemp("experiments") / "school", manifest)
    warehouse.build(make_school(), "--select", "+experiment_results", "--vars", METRICS)
    return warehouse


def outcomes(school: Warehouse, experiment: str) -> dict[str, list[Any]]:
    """Return participation, value and conversion of each learner."""
    rows = school.rows(
        "select customer_id, participation, metric_value, is_converted from finance.experiment_customers "
        f"where experiment_name = '{experiment}'"
    )
    return {learner: values for learner, *values in rows}


def test_an_outcome_is_what_the_plan_of_the_source_names(school: Warehouse) -> None:
    # Given minutes: those within seven days from the start count, without bots, and a window may be open
    assert outcomes(school, "streaks") == {
        "Ada": ["compared", 35, True],
        "Bo": ["compared", 10, False],
        "Cy": ["compared", 30, True],
        "Di": ["compared", 0, False],
        "Ed": ["compared", 40, True],
        "Flo": ["compared", 0, False],
        "Gil": ["waiting", 0, None],
    }

    # And different courses
    assert {learner: values[1:] for learner, values in outcomes(school, "greeting").items()} == {
        "Ada": [2, True],
        "Bo": [1, False],
        "Cy": [1, False],
        "Di": [0, False],
        "Ed": [1, False],
        "Flo": [0, False],
    }

    # And the best quiz, which is unknown of a learner without one
    assert {learner: values[1:] for learner, values in outcomes(school, "hints").items() if values[1]} == {
        "Cy": [60, True]
    }
    assert {tuple(values[1:]) for values in outcomes(school, "hints").values()} == {(60, True), (None, False)}

    # And a metric that no team has defined is not known
    assert {tuple(values) for values in outcomes(school, "stars").values()} == {("compared", None, None)}


def test_the_result_compares_the_planned_outcome_and_the_planned_split(school: Warehouse) -> None:
    # Given the plan of the source: calm is the control; then rates and means are those of the metric, by hand
    columns = (
        "variant, control_variant, metric, control_customer_count, customer_count, control_conversion_count, "
        "conversion_count, control_metric_value_per_customer, metric_value_per_customer, metric_value_difference"
    )
    rows = school.rows(f"select {columns} from finance.experiment_results where experiment_name = 'streaks' order by 1")
    assert rows == [
        ("a third", "calm", "minutes", 2, 0, 1, 0, 22.5, None, None),
        ("cheer", "calm", "minutes", 2, 4, 1, 2, 22.5, 17.5, -5),
    ]

    # And planned shares are those of the source, halves without a plan
    shares = school.rows("select experiment_name, variant, planned_share from core.dim_experiment order by all")
    assert [row[1:] for row in shares if row[0] == "streaks"] == [("a third", 0.25), ("calm", 0.25), ("cheer", 0.5)]
    assert [row[1:] for row in shares if row[0] == "hints"] == [("calm", 0.5), ("cheer", 0.5)]


def test_a_metric_without_a_definition_warns_and_one_that_is_wrong_is_refused(
    school: Warehouse, incremental: Warehouse
) -> None:
    # Given the school, when its tests run, then the undefined metric warns
    tested: Any = school.dbt(make_school(), "test", "--select", PLANS, "--vars", METRICS).result
    assert [(str(result.status), result.failures) for result in tested][-1] == ("warn", 2)

    # And a definition without an aggregation is refused with its name
    for wrong in ("{event_type: lesson}", "{event_type: lesson, aggregation: sum}", "{aggregation: count}"):
        command = ("run", "--select", "int_experiment_metrics_measured")
        refused = incremental.dbt(Lake(), *command, "--vars", f"experiment_metrics: {{minutes: {wrong}}}")
        told = (
            [str(result.message) for result in refused.result.results] if refused.result else [str(refused.exception)]
        )
        assert "The metric minutes in experiment_metrics needs" in " ".join(told), wrong
