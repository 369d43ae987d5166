"""What the project promises of every model, macro and fault's test, read from dbt's manifest and the tests."""

import ast
from pathlib import Path
from typing import Any

from dbt.contracts.graph.manifest import Manifest
from fault_catalogue import UNSAID, faults_of

pytest_plugins = ["warehouse_fixtures"]

PACKAGE = "ml_warehouse"
ADAPTERS = ("default__", "spark__")


def own_nodes(manifest: Manifest, *kinds: str) -> list[Any]:
    return [node for node in manifest.nodes.values() if node.resource_type in kinds]


def test_every_model_and_column_is_described(manifest: Manifest) -> None:
    undescribed = [
        f"{node.name}.{column.name if column else ''}"
        for node in [*own_nodes(manifest, "model", "seed", "snapshot"), *manifest.sources.values()]
        for column in (None, *node.columns.values())
        if not (column or node).description
    ]
    assert undescribed == []


def test_every_macro_is_described(manifest: Manifest) -> None:
    undescribed = [
        macro.name
        for macro in manifest.macros.values()
        if macro.package_name == PACKAGE and not macro.name.startswith(ADAPTERS) and not macro.description
    ]
    assert undescribed == []


def test_every_model_states_its_key_in_columns_that_it_has(manifest: Manifest) -> None:
    models = own_nodes(manifest, "model")
    assert {model.name for model in models if not set(model.config.meta.get("key", [])) <= set(model.columns)} == set()
    assert {model.name for model in models if not model.config.meta.get("key")} == set()


def test_every_key_is_tested_to_be_unique(manifest: Manifest) -> None:
    """A function is a relation only with its arguments, which no data test gives; test_procedures.py tests its key."""
    tested = {
        (test.attached_node, tuple(test.test_metadata.kwargs["columns"]))
        for test in own_nodes(manifest, "test")
        if getattr(test, "test_metadata", None) and test.test_metadata.name == "unique_combination_of_columns"
    }
    keys = {
        (model.unique_id, tuple(model.config.meta["key"]))
        for model in own_nodes(manifest, "model")
        if model.config.materialized != "table_function"
    }
    assert {key for key in keys - tested if not key[0].endswith("_history")} == set()


def test_functions_alone_are_built_without_a_contract(manifest: Manifest) -> None:
    """dbt compares the columns of tables and views; a function's are compared in test_procedures.py."""
    models = own_nodes(manifest, "model")
    functions = {model.name for model in models if model.config.materialized == "table_function"}
    assert {model.name for model in models if not model.contract.enforced} == functions
    assert {model.name for model in models if "example" in model.config.meta} == functions


def test_every_unit_test_gives_its_reason(manifest: Manifest) -> None:
    assert [test.name for test in manifest.unit_tests.values() if not test.description] == []


def test_no_tagged_column_leaves_staging_under_its_own_name(manifest: Manifest) -> None:
    """Gender is the one exception: it stays as it is, tagged in its contract."""
    tagged = {
        column.name
        for source in manifest.sources.values()
        for column in source.columns.values()
        if column.config.meta.keys() & {"pii", "phi"}
    }
    leaked = {
        f"{model.name}.{column}"
        for model in own_nodes(manifest, "model", "snapshot")
        for column in model.columns
        if column in tagged - {"gender"}
    }
    assert leaked == set()


def test_every_fault_that_is_tested_says_what_was_done_and_what_it_came_to() -> None:
    silent = [
        f"{path.name}: {test.name}"
        for path in sorted(Path(__file__).parent.glob("test_*.py"))
        for test in ast.walk(ast.parse(path.read_text()))
        if isinstance(test, ast.FunctionDef)
        for fault in faults_of(test.name, ast.get_docstring(test))
        if fault.outcome == UNSAID or not fault.number
    ]
    assert silent == []
