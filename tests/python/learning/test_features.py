"""Declared features are what their definition says, for every log of events."""

from copy import deepcopy
from pathlib import Path
from random import Random

import duckdb
import pytest
from dbt.contracts.graph.manifest import Manifest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from support.declared_features import MADE_UP, compile_features, with_made_up
from support.lake_by_hand import Lake, Warehouse

from flows.core.errors import GateFailed
from flows.learning.feature_check import (
    CompiledGroup,
    check_features,
    compare,
    compare_unknown,
    fill_tables,
    values_of,
)
from flows.learning.feature_logs import make_log

pytest_plugins = ["support.warehouse_fixtures"]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> list[CompiledGroup]:
    """All features of the project, and a made-up declaration of every aggregate."""
    return compile_features(tmp_path_factory.mktemp("features") / "compiled", with_made_up(manifest))


@pytest.mark.parametrize(("logs", "values"), [(50, 1_000), pytest.param(1_500, 50_000, marks=pytest.mark.proof)])
def test_no_value_differs_from_the_definition(logs: int, values: int, compiled: list[CompiledGroup]) -> None:
    compared = 0

    # Given any log with ties, repeats, late and future events, times at the edges, unknown keys and a backfill
    @settings(
        max_examples=logs,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(st.randoms(use_true_random=False), st.sampled_from(compiled))
    def compare_on_any_log(chance: Random, group: CompiledGroup) -> None:
        nonlocal compared
        log = make_log(group.group, group.tables, chance)
        # When each strategy computes the features, then no value differs
        counted, differences = compare(connection, group, log)
        # And none changes with what was not known
        counted += compare_unknown(connection, group, log, chance, differences)
        assert list(map(str, differences)) == []
        compared += counted

    with duckdb.connect(config={"threads": 1}) as connection:
        compare_on_any_log()
    assert compared >= values


MUTANTS = {
    "<= for < at the end of a window": ("read_feature_values", "1 if closed == 'left' else 0", "0"),
    "event time alone": ("select_events", "else {{ seen_us }} end", "else {{ event_us }} end"),
    "the left edge is open": ("read_feature_values", "'window_us': read_feature_duration(", "'window_us': cut_edge("),
    "no de-duplication": ("select_events", "events_ranked.arrival_rank = 1", "true"),
    "no cut of late events": ("select_events", "group.lateness_us is not none", "false"),
    "a backfill is known from its load": ("select_events", "case when {{ is_backfill }}", "case when false"),
    "a path is known before it arrived": (
        "select_events",
        "greatest(events_ranked.known_us, paths.path_known_us)",
        "1",
    ),
    "a ttl is ignored": ("aggregate_feature", "value.ttl_us is none", "true"),
    "an event leaves before it is known": (
        "sum_prefixes",
        "~ (begin_us + window_us) ~ ', known_us)'",
        "~ (begin_us + window_us) ~ ', event_us)'",
    ),
}
CUT_EDGE = """
{% macro cut_edge(node, group, field, declared, value=none) -%}
    {%- set window_us = read_feature_duration(node, group, field, declared, value) -%}
    {{ return(window_us - 1 if window_us is not none else none) }}
{%- endmacro %}
"""


@pytest.fixture(scope="module")
def made_up(manifest: Manifest) -> Manifest:
    """The project with the made-up model, and a macro that a mutant calls."""
    changed = with_made_up(manifest)
    cut_edge = deepcopy(changed.macros["macro.ml_warehouse.read_feature_duration"])
    cut_edge.name, cut_edge.unique_id, cut_edge.macro_sql = "cut_edge", "macro.ml_warehouse.cut_edge", CUT_EDGE
    changed.macros[cut_edge.unique_id] = cut_edge
    return changed


@pytest.mark.parametrize(
    "mutant", [pytest.param(one, marks=[] if n < 5 else pytest.mark.slow) for n, one in enumerate(MUTANTS)]
)
def test_a_mutant_of_the_compiler_is_caught(
    mutant: str, tmp_path: Path, made_up: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a compiler with a mistake
    name, correct, wrong = MUTANTS[mutant]
    macro = made_up.macros[f"macro.ml_warehouse.{name}"]
    assert correct in macro.macro_sql
    monkeypatch.setattr(macro, "macro_sql", macro.macro_sql.replace(correct, wrong))

    # When the made-up features are checked, then a value differs
    compiled = compile_features(tmp_path / "mutant", made_up, [MADE_UP])
    with pytest.raises(GateFailed) as caught:
        check_features(compiled, wanted=20_000)
    assert "by the definition" in str(caught.value) or "not known" in str(caught.value)


def test_most_values_of_the_check_are_of_events(compiled: list[CompiledGroup]) -> None:
    """A check of empty windows would compare 0 with 0."""
    (card,) = [one for one in compiled if (one.group.model, one.group.name) == (MADE_UP, "card")]
    values = []
    with duckdb.connect(config={"threads": 1}) as connection:
        for seed in range(40):
            fill_tables(connection, card, make_log(card.group, card.tables, Random(seed)))
            values += [tuple(row.values())[3:] for row in values_of(connection, card, "range_join")]
    filled = [sum(bool(value) for value in column) / len(values) for column in zip(*values, strict=True)]
    assert min(filled) > 0.02, filled
    assert sum(filled) / len(filled) > 0.25


def test_running_totals_are_taken_where_a_key_has_many_rows(tmp_path: Path, manifest: Manifest) -> None:
    # Given a table of payments with a card of its own for every third one, and two terminals
    warehouse = Warehouse(tmp_path / "built", manifest)
    types = {
        name: column.data_type for name, column in manifest.nodes["model.ml_warehouse.fct_payments"].columns.items()
    }
    given = {
        **{"transaction_id": "'T' || range", "card_id": "'K' || range // 3", "terminal_id": "'S' || range % 2"},
        "transacted_at": "timestamp '2026-01-01' + to_hours(cast(range as integer))",
    }
    columns = ", ".join(f"cast({given.get(name, 'null')} as {kind}) as {name}" for name, kind in types.items())
    with warehouse.connect() as connection:
        connection.execute("create schema core")
        connection.execute(f"create table core.fct_payments as select {columns} from range(1000)")

    # When a training set is compiled, then terminals are summed and cards are joined
    call = "{{ training_set(ref('fct_payments'), ['fct_payments.*'], time='transacted_at') }}"
    result = warehouse.dbt(Lake(), "compile", "--inline", call)
    assert result.success, result.exception
    sql = result.result.results[0].node.compiled_code
    assert "left join fct_payments__terminal_summed_1" in sql
    assert "left join fct_payments__card_ranged" in sql

    # And each payment has one row
    with warehouse.connect() as connection:
        counted = f"select count(*), count(distinct transaction_id), max(card__payment_total) from ({sql})"
        assert connection.execute(counted).fetchall() == [(1000, 1000, 0)]


def test_a_path_that_dbt_does_not_know_says_which_line_to_add(tmp_path: Path, manifest: Manifest) -> None:
    # Given features of chargebacks, whose terminal is that of their payment
    depends = "-- depends_on: {{ ref('fct_payments') }}"
    call = (
        "{{ training_set(ref('payment_fraud_labels'), ['fct_chargebacks.terminal_fraud__*'], time='valid_from', "
        "entity={'terminal_id': 'transaction_id'}) }}"
    )

    def errors(name: str, inline: str) -> str:
        warehouse = Warehouse(tmp_path / name, manifest.deepcopy())
        return str(warehouse.dbt(Lake(), "compile", "--inline", inline).exception)

    # When a model takes them, then it must name the payments, and a pattern must name a feature
    assert depends in errors("without", call)
    assert errors("with", f"{depends}\n{call}") == "None"
    assert "declares none of that name" in errors("unknown", call.replace("terminal_fraud__", "fraud__"))
