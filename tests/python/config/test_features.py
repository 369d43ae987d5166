"""Declared features are read into names and types by rule, and a mistake in them says where it is."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

from flows.config.declared_features import (
    declared_features,
    describe_training_sets,
    document_features,
    features_of,
)
from flows.config.features import Model, features_used, read_features
from flows.core.errors import UsageError

pytest_plugins = ["support.warehouse_fixtures"]

TYPES = {
    **{"card_id": "varchar", "payment_id": "varchar", "paid_at": "timestamp", "arrived_at": "timestamp"},
    **{"amount": "decimal(18, 4)", "is_fraud": "boolean", "pieces": "integer", "weight": "double", "city": "varchar"},
}
PAYMENTS: dict[str, Any] = {
    "entity": ["card_id"],
    "event_id": "payment_id",
    "event_time": "paid_at",
    "available_at": "arrived_at",
    "values": {
        "spend": {"agg": "sum", "of": "amount", "windows": ["10m", "30d"], "description": "Amount paid."},
        "last_city": {"agg": "last", "of": "city", "ttl": "30d", "description": "City of the last payment."},
    },
}


def read(declared: Any, **other: Any) -> list[Any]:
    model = Model("payments", "models/payments.yml", declared, TYPES, **{"classed": ["city_of_birth"], **other})
    return read_features([model])


def test_a_feature_has_a_name_and_a_type_by_rule() -> None:
    (group,) = read(PAYMENTS, owner="risk")
    assert [(one.name, one.data_type) for one in group.features] == [
        ("card__spend_10m", "decimal(38, 4)"),
        ("card__spend_30d", "decimal(38, 4)"),
        ("card__last_city", "varchar"),
    ]
    assert (group.name, group.owner) == ("card", "risk")


def changed(*path: str, to: Any) -> dict[str, Any]:
    """Return the declaration with another value at a place; none takes the key away."""
    declared = deepcopy(PAYMENTS)
    *places, last = path
    inner: Any = declared
    for place in places:
        inner = inner[place]
    if to is None:
        del inner[last]
    else:
        inner[last] = to
    return declared


WRONG = {
    "an unknown aggregate": (changed("values", "spend", "agg", to="summe"), "values.spend.agg is 'summe'", "summe"),
    "an unknown column": (
        changed("values", "spend", "of", to="amuont"),
        "values.spend.of 'amuont' is no column of payments. Did you mean amount?",
        "amuont",
    ),
    "an unknown entity": (
        changed("entity", to=["crd_id"]),
        "'crd_id' is no column of payments. Did you mean",
        "crd_id",
    ),
    "a bad duration": (changed("values", "spend", "windows", to=["10x"]), "windows.0 is '10x'; write a number", "10x"),
    "no description": (
        changed("values", "spend", "description", to=None),
        "values.spend.description is missing",
        "desc",
    ),
    "an unknown key": (changed("lateness_", to="1d"), "lateness_ (did you mean lateness?)", "lateness_"),
    "a sum of text": (changed("values", "spend", "of", to="city"), "sum needs a number or a boolean", "sum needs"),
    "an identifier": (changed("values", "last_city", "of", to="card_id"), "is an identifier", "is an identifier"),
    "no column": (changed("values", "last_city", "of", to=None), "values.last_city.of is missing", "of is missing"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_mistake_names_file_model_and_value(mistake: str) -> None:
    declared, text, _ = WRONG[mistake]
    with pytest.raises(UsageError) as raised:
        read(declared)
    assert "models/payments.yml: payments: features of c" in str(raised.value)
    assert text in str(raised.value)


def test_a_column_of_personal_data_is_no_feature() -> None:
    with pytest.raises(UsageError, match="'city' is tagged as personal data"):
        read(PAYMENTS, classed=["city"])


def test_rows_of_today_declare_no_feature() -> None:
    with pytest.raises(UsageError, match="view: today, so they know what came later"):
        read(PAYMENTS, is_of_today=True)


def test_a_feature_that_is_declared_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="card__spend_10m is declared twice"):
        read([PAYMENTS, PAYMENTS])


def test_features_read_without_dbt_are_those_of_the_manifest(manifest: Manifest) -> None:
    names = [
        [(group.model, one.name, one.data_type) for group in groups for one in group.features]
        for groups in (declared_features(), features_of(manifest))
    ]
    assert sorted(names[0]) == sorted(names[1]) != []


@pytest.fixture
def trained(manifest: Manifest) -> Manifest:
    """The project, in which a model makes a training set."""
    changed = manifest.deepcopy()
    changed.nodes[
        "model.ml_warehouse.payment_fraud_labels"
    ].raw_code = "{{ training_set(spine=ref('label_payment_fraud'), features=['fct_payments.card__*']) }}"
    return changed


def test_a_training_set_describes_its_features_by_itself(trained: Manifest) -> None:
    # Given a model whose YAML names no feature, when the project is parsed in a flow
    describe_training_sets(trained, features_of(trained))

    # Then its columns have the type and the description of the declaration
    columns = trained.nodes["model.ml_warehouse.payment_fraud_labels"].columns
    assert columns["card__payment_count_1d"].data_type == "bigint"
    assert columns["card__payment_count_1d"].description == "Payments of the card, in all currencies."


def test_the_docs_site_shows_features_where_they_are_declared_and_used(trained: Manifest) -> None:
    content = json.loads(json.dumps(trained.writable_manifest().to_dict(omit_none=False), default=str))
    document_features(content)
    nodes = content["nodes"]
    assert "- `card__last_country` (varchar): " in nodes["model.ml_warehouse.fct_payments"]["description"]
    assert "card__last_country" in nodes["model.ml_warehouse.payment_fraud_labels"]["columns"]


def test_only_constant_features_of_the_macro_are_known() -> None:
    assert features_used("{{ training_set(ref('a'), ['a.*'], time='t') }}") == ("a.*",)
    assert features_used("{{ training_set(features=['a.*', 'b.c'], spine=ref('a')) }}") == ("a.*", "b.c")
    assert features_used("{{ training_set(ref('a'), patterns) }}") == features_used("select 1") == ()


@pytest.mark.parametrize("mistake", ["an unknown aggregate", "an unknown column", "a bad duration", "no description"])
def test_dbt_in_a_terminal_refuses_it_too(mistake: str, tmp_path: Path, manifest: Manifest) -> None:
    # Given a model with a wrong declaration
    changed = manifest.deepcopy()
    node = changed.nodes["model.ml_warehouse.fct_payments"]
    declared = deepcopy(node.config.meta["features"][0])
    value = declared["values"]["amount_sum"]
    wrong, _, text = WRONG[mistake]
    value.update({key: one for key, one in wrong["values"]["spend"].items() if key != "of" or one == "amuont"})
    if mistake == "no description":
        del value["description"]
    node.config.meta["features"] = declared
    changed.build_flat_graph()

    # When dbt compiles a training set of it, then the error names file, model and value
    warehouse = Warehouse(tmp_path / "terminal", changed)
    call = "{{ training_set(ref('fct_payments'), ['fct_payments.*'], time='transacted_at') }}"
    result = warehouse.dbt(Lake(), "compile", "--inline", call)
    assert "models/warehouse/payments/_payments__models.yml: fct_payments declares features of" in str(result.exception)
    assert "amount_sum" in str(result.exception)
    assert text in str(result.exception)
