"""What `python -m flows features` shows: the list, an entity's values at a time, the check."""

from copy import deepcopy
from datetime import datetime, timedelta

import duckdb
import pytest
from dbt.contracts.graph.manifest import Manifest

from flows.cli.features import check_features, list_features, read_moment, show_values
from flows.config.declared_features import models_of
from flows.config.settings import DataFolder
from flows.core.errors import GateFailed, UsageError
from flows.core.files import FileState
from flows.warehouse.build import Build, prepare_candidate
from flows.warehouse.dbt import Dbt
from flows.warehouse.release import publish_candidate

pytest_plugins = ["support.warehouse_fixtures"]

NOON = datetime(2026, 1, 1, 12)
PAYMENTS = [
    ("T1", "C1", "M1", "10.00", NOON, NOON, False),
    ("T2", "C1", "M1", "5.50", NOON + timedelta(hours=1), NOON + timedelta(hours=1, minutes=5), False),
    ("T3", "C1", "M1", "2.00", NOON + timedelta(hours=2), NOON + timedelta(hours=9), False),
    ("T4", "C2", "M1", "7.00", NOON, NOON, False),
]


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Dbt:
    """The project, with a release of a few payments, which count from their arrival, and a report of fraud."""
    manifest = manifest.deepcopy()
    node = manifest.nodes["model.ml_warehouse.fct_payments"]
    node.config.meta = deepcopy(node.config.meta)
    for group in node.config.meta["features"]:
        group["available_at"] = "_loaded_at"
    manifest.build_flat_graph()
    folder = DataFolder(tmp_path_factory.mktemp("data") / "shop")
    folder.path.mkdir()
    prepare_candidate(folder, empty=True)
    models = models_of(manifest)
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute("create schema core")
        for name in ("fct_payments", "fct_chargebacks"):
            columns = ", ".join(f"{column} {kind}" for column, kind in models[name].types.items())
            connection.execute(f"create table core.{name} ({columns})")
        for row in PAYMENTS:
            connection.execute(
                "insert into core.fct_payments (transaction_id, card_id, terminal_id, amount, transacted_at, "
                "_loaded_at, _is_backfill, currency, is_refund) values (?, ?, ?, ?, ?, ?, ?, 'EUR', false)",
                list(row),
            )
        connection.execute(
            "insert into core.fct_chargebacks (transaction_id, is_fraud, reported_at, _loaded_at, _is_backfill) "
            "values ('T4', true, '2026-01-03', '2026-01-04', false)"
        )
    publish_candidate(folder, Build((), "invocation", FileState.of(folder.candidate), 0.0, "code"), {})
    return Dbt(folder, manifest)


def shown(text: str) -> dict[str, list[str]]:
    return {words[0]: words[1:] for line in text.splitlines() if (words := line.split())}


def test_the_list_shows_entity_windows_source_owner_newest_event_and_users(dbt: Dbt) -> None:
    rows = shown(list_features(dbt, dbt.folder))
    assert rows["card__payment_count"][:6] == ["card_id", "10m", "1d", "30d", "fct_payments", "risk"]
    assert rows["card__payment_count"][6:8] == ["2026-01-01", "14:00"]


def test_a_value_is_shown_with_the_events_known_at_the_time(dbt: Dbt) -> None:
    # When a card is looked up after three payments, of which the third arrives late
    text = show_values(dbt, dbt.folder, "card", ["C1"], NOON + timedelta(hours=3))

    # Then only the first two count, and they are named
    rows = shown(text)
    assert rows["card__payment_count_1d"] == ["2", "fct_payments", "2", "events:", "T1,", "T2"]
    assert rows["card__payment_count_10m"][0] == "0"
    assert "C2" not in text
    assert (
        shown(show_values(dbt, dbt.folder, "card", ["C1"], NOON + timedelta(hours=9)))["card__payment_total"][0] == "3"
    )


def test_an_entity_of_several_columns_and_one_behind_a_path_are_found(dbt: Dbt) -> None:
    rows = shown(show_values(dbt, dbt.folder, "card,currency", ["C1", "EUR"], NOON + timedelta(days=1)))
    assert rows["card_currency__amount_sum_1d"][0] == "17.5000"
    rows = shown(show_values(dbt, dbt.folder, "terminal", ["M1"], NOON + timedelta(days=5)))
    assert rows["terminal_fraud__report_total"] == ["1", "fct_chargebacks", "1", "events:", "T4"]
    assert rows["terminal__payment_total"][0] == "4"


def test_an_unknown_entity_or_a_wrong_key_says_what_there_is(dbt: Dbt) -> None:
    with pytest.raises(UsageError, match=r"No features are declared of crad\. Did you mean card\?"):
        show_values(dbt, dbt.folder, "crad", ["C1"], NOON)
    with pytest.raises(UsageError, match="has 1 parts, and the entity is card_id, currency"):
        show_values(dbt, dbt.folder, "card,currency", ["C1"], NOON)
    with pytest.raises(UsageError, match="is not a time"):
        read_moment("yesterday")


def test_times_are_in_utc() -> None:
    assert read_moment("2026-01-01T01:00:00+01:00") == datetime(2026, 1, 1)
    assert read_moment("2026-01-01") == datetime(2026, 1, 1)


def test_the_check_counts_values_and_finds_a_wrong_compiler(dbt: Dbt, manifest: Manifest) -> None:
    # Given the project's own features, then none differs
    assert "none differs from its definition" in check_features(dbt, 500, seed=1)

    # Given a macro that takes the moment itself into a window, then the check says which value differs
    changed = manifest.deepcopy()
    macro = changed.macros["macro.ml_warehouse.read_feature_values"]
    macro.macro_sql = macro.macro_sql.replace("1 if closed == 'left' else 0", "0")
    with pytest.raises(GateFailed, match="by the definition"):
        check_features(Dbt(dbt.folder, changed), 20_000, seed=1)
