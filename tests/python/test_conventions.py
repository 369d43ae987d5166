"""The project's conventions for every model, macro and fault test, checked in dbt's manifest and in the tests."""

import ast
import re
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from dbt.contracts.graph.manifest import Manifest
from support.fault_catalogue import UNSAID, faults_of

from flows.config.contract import contracts_of
from flows.config.declared import declared_contracts
from flows.config.settings import PROJECT
from flows.warehouse.build import BOOKKEEPING
from tests import readme

pytest_plugins = ["support.warehouse_fixtures"]

PACKAGE = "ml_warehouse"
ROW_TESTS = ("expression_is_true", "expressions_are_true")
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


def test_contracts_read_without_dbt_are_those_of_the_manifest(manifest: Manifest) -> None:
    """The check of a mapping reads the YAML itself, since importing dbt and parsing takes seconds."""
    assert declared_contracts() == contracts_of(manifest.sources.values())


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


def test_every_mart_says_which_question_it_answers_and_shows_a_query(manifest: Manifest) -> None:
    marts = [node for node in own_nodes(manifest, "model") if is_mart(node)]
    silent = [
        mart.name
        for mart in marts
        if not re.match(r"\*\*[^*]+\?\*\*\n", mart.description) or mart.description.count("```sql\n") != 1
    ]
    assert silent == []


def is_mart(node: Any) -> bool:
    return "marts" in node.fqn and not node.name.startswith("int_")


def test_every_key_is_tested_to_be_unique(manifest: Manifest) -> None:
    """A view whose key is a table's key is tested on the table, where the test does not compute the view again.

    A function is a relation only with its arguments, which no data test has; test_procedures.py tests its key.
    """
    tested = {
        (test.attached_node, tuple(test.test_metadata.kwargs["columns"]))
        for test in own_nodes(manifest, "test")
        if getattr(test, "test_metadata", None) and test.test_metadata.name == "unique_combination_of_columns"
    }
    models = [model for model in own_nodes(manifest, "model") if model.config.materialized != "table_function"]
    for view in (model for model in models if model.config.materialized == "view"):
        read = {view.unique_id, *(key for key in view.depends_on_nodes if key in manifest.sources)}
        tables = [model for model in models if model.config.materialized != "view" and read & {*model.depends_on_nodes}]
        key = tuple(view.config.meta["key"])
        if any((table.unique_id, key) in tested for table in tables):
            tested.add((view.unique_id, key))
    keys = {(model.unique_id, tuple(model.config.meta["key"])) for model in models}
    assert {key for key in keys - tested if not key[0].endswith("_history")} == set()


def test_every_column_with_the_key_of_another_contract_is_a_declared_relation(manifest: Manifest) -> None:
    """The columns of ids have one name in all contracts; derived tables are made of the records that they name,
    and rules are no records.
    """
    relations = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]["relations"]
    declared = {(one["table"], one["column"]) for one in relations}
    declared |= {(one["to"], one.get("field", one["column"])) for one in relations}
    contracts = {
        f"{source.source_name}.{source.name}": source
        for source in manifest.sources.values()
        if "derived" not in source.config.meta and source.source_name != "rules"
    }
    named = {
        (table, column)
        for table, source in contracts.items()
        for column in source.columns
        for other, counterpart in contracts.items()
        if other != table and counterpart.config.meta["key"] == [column]
    }
    assert named - declared == set()
    assert {table for table, _ in declared} <= contracts.keys()


def test_no_table_is_scanned_once_a_rule(manifest: Manifest) -> None:
    """Nulls and accepted values are checked by constraints; rules for one row are one test per model and severity."""
    scans = Counter(
        (test.attached_node, str(test.config.severity).lower())
        for test in own_nodes(manifest, "test")
        if getattr(test, "test_metadata", None) and test.test_metadata.name in ROW_TESTS
    )
    assert {scan for scan, count in scans.items() if count > 1} == set()
    assert {test.name for test in own_nodes(manifest, "test") if scanned_for_a_constraint(test)} == set()


def scanned_for_a_constraint(test: Any) -> bool:
    metadata = getattr(test, "test_metadata", None)
    return metadata is not None and metadata.name in ("not_null", "accepted_values")


def test_functions_alone_are_built_without_a_contract(manifest: Manifest) -> None:
    """dbt compares the columns of tables and views; a function's are compared in test_procedures.py."""
    models = own_nodes(manifest, "model")
    functions = {model.name for model in models if model.config.materialized == "table_function"}
    assert {model.name for model in models if not model.contract.enforced} == functions
    assert {model.name for model in models if "example" in model.config.meta} == functions


def test_every_source_model_seed_and_snapshot_has_an_owner(manifest: Manifest) -> None:
    """dbt has no groups for sources: the meta of a source names the group."""
    groups = {group.name for group in manifest.groups.values() if group.owner.name}
    owners = {node.unique_id: node.config.group for node in own_nodes(manifest, "model", "seed", "snapshot")}
    owners |= {source.unique_id: source.config.meta.get("owner") for source in manifest.sources.values()}
    assert {node: owner for node, owner in owners.items() if owner not in groups} == {}


def test_every_tolerance_of_a_data_test_has_a_date_a_cause_and_an_owner(manifest: Manifest) -> None:
    """A data test is tolerant if it only warns, if it has a threshold of rows, or if an argument is a tolerance."""
    groups = {group.name for group in manifest.groups.values()}
    tolerant = [test for test in own_nodes(manifest, "test") if is_tolerant(test)]
    assert tolerant
    assert {test.name for test in tolerant if not is_explained(test.config.meta.get("tolerance", {}), groups)} == set()


def test_a_team_may_set_the_severity_of_each_test_of_the_world(manifest: Manifest) -> None:
    """A test of the world takes its severity from vars under its own name; all other tests always block."""
    files = [*(PROJECT / "models").rglob("*.yml"), *(PROJECT / "seeds").rglob("*.yml")]
    text = "".join(" ".join(path.read_text().split()) for path in files)
    assert re.findall(r"severity: (?:warn|error)\b", text) == []
    asked = re.findall(r"var\('severities'\)\.get\( ?'(\w+)', var\('severity_of_world'\)\)", text)
    tests = own_nodes(manifest, "test")
    assert {test.name for test in tests if str(test.config.severity).lower() == "warn"} == {*asked}
    assert len(asked) == len({*asked})


def is_tolerant(test: Any) -> bool:
    arguments = getattr(getattr(test, "test_metadata", None), "kwargs", {})
    limits = {test.config.warn_if, test.config.error_if}
    return (
        str(test.config.severity).lower() == "warn"
        or limits != {"!= 0"}
        or any("tolerance" in name for name in arguments)
    )


def is_explained(tolerance: dict[str, str], groups: set[str]) -> bool:
    """Return whether a tolerance has a date, a cause and an owner; `since` is the day on which the test was added."""
    return (
        tolerance.keys() == {"since", "cause", "owner"}
        and date.fromisoformat(tolerance["since"]) <= date.today()
        and bool(tolerance["cause"])
        and tolerance["owner"] in groups
    )


def test_every_unit_test_gives_its_reason(manifest: Manifest) -> None:
    assert [test.name for test in manifest.unit_tests.values() if not test.description] == []


def test_no_tagged_column_leaves_staging_under_its_own_name(manifest: Manifest) -> None:
    """Gender, city and clinical content are kept, tagged in their contracts; identifying columns are not kept."""
    leaked = {
        f"{model.name}.{name}"
        for model in own_nodes(manifest, "model", "snapshot")
        for source in sources_behind(manifest, model)
        for name, column in source.columns.items()
        for tag in (column.config.meta.get("pii"), column.config.meta.get("phi"))
        if tag and tag not in ("gender", "city", "clinical") and name in model.columns
    }
    assert leaked == set()


def test_a_column_of_a_tagged_name_has_the_same_class_in_every_model(manifest: Manifest) -> None:
    """A contract tags its columns, staging those that it makes of them; keys name persons in every model."""
    models = own_nodes(manifest, "model", "snapshot")
    keys = {key for source in manifest.sources.values() for key in source.config.meta["key"]}
    classes: dict[str, set[tuple[str, str]]] = {}
    for node in [*manifest.sources.values(), *models]:
        for name, column in node.columns.items():
            classes.setdefault(name, set()).update(classes_of(column))
    unlike = {
        f"{model.name}.{name}"
        for model in models
        for name, column in model.columns.items()
        if name not in keys and classes_of(column) != classes.get(name)
    }
    assert unlike == set()
    assert classes["birth_year"] == {("pii", "birth_date")}


def classes_of(column: Any) -> set[tuple[str, str]]:
    return {(tag, column.config.meta[tag]) for tag in ("pii", "phi") if column.config.meta.get(tag, "none") != "none"}


def test_every_department_uses_marts_and_every_mart_is_used(manifest: Manifest) -> None:
    """An exposure says who uses what for; a mart that no exposure names has no user who would miss it."""
    marts = {node.unique_id: node for node in own_nodes(manifest, "model") if is_mart(node)}
    owners = {group.name: group.owner.name for group in manifest.groups.values()}
    used = {node for exposure in manifest.exposures.values() for node in exposure.depends_on_nodes}
    assert {node.name for key, node in marts.items() if key not in used} == set()
    users = {exposure.owner.name for exposure in manifest.exposures.values()}
    assert {owners[node.config.group] for node in marts.values()} <= users <= {*owners.values()}


def test_every_published_name_is_unique(manifest: Manifest) -> None:
    """The schema `main` of a release has a view for each table, by its name alone."""
    published = own_nodes(manifest, "model", "seed", "snapshot")
    names = Counter(node.alias for node in published if node.config.materialized != "view")
    assert {name for name, count in names.items() if count > 1 or name in BOOKKEEPING} == set()


def sources_behind(manifest: Manifest, node: Any) -> list[Any]:
    """Return the source tables that a node descends from."""
    waiting, seen = [node], {}
    while waiting:
        for name in waiting.pop().depends_on_nodes:
            if name not in seen:
                seen[name] = manifest.sources.get(name) or manifest.nodes[name]
                waiting += [seen[name]] if name in manifest.nodes else []
    return [found for name, found in seen.items() if name in manifest.sources]


def test_readme_lists_every_mart_with_its_question(manifest: Manifest) -> None:
    text = readme.README.read_text(encoding="utf-8")
    assert readme.written(text) == text, "write it again: make readme"
    marts = [node for node in own_nodes(manifest, "model") if node.fqn[1] == "marts" and not is_step(node)]
    assert {(node.fqn[2], node.name) for node in marts} == {(folder, name) for folder, name, _ in readme.marts()}


def is_step(node: Any) -> bool:
    return bool(node.name.startswith("int_"))


def test_the_pictures_of_readme_are_small_and_load_nothing_from_elsewhere() -> None:
    pictures = re.findall(r"!\[[^]]+\]\((.+?)\)", readme.README.read_text(encoding="utf-8"))
    assert len(pictures) == 2
    for picture in pictures:
        content = (PROJECT / picture).read_bytes()
        assert len(content) < 200_000, picture
        assert b"url(" not in content.replace(b"url(#", b""), picture
        assert b"@font-face" not in content, picture


def test_every_deployment_names_a_flow_of_the_project() -> None:
    deployments = yaml.safe_load((PROJECT / "prefect.yaml").read_text())["deployments"]
    entrypoints = {deployment["entrypoint"] for deployment in deployments}
    flows = {
        f"{path.relative_to(PROJECT)}:{function.name}"
        for path in (*PROJECT.glob("flows/*.py"), *PROJECT.glob("demo/*.py"))
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
    }
    assert entrypoints <= flows


def test_every_fault_that_is_tested_says_what_was_done_and_what_it_came_to() -> None:
    silent = [
        f"{path.name}: {test.name}"
        for path in sorted(Path(__file__).parent.rglob("test_*.py"))
        for test in ast.walk(ast.parse(path.read_text()))
        if isinstance(test, ast.FunctionDef)
        for fault in faults_of(test.name, ast.get_docstring(test))
        if fault.outcome == UNSAID or not fault.number
    ]
    assert silent == []


def test_no_two_nodes_of_dbt_have_the_same_name(manifest: Manifest) -> None:
    # A build selects nodes by their names alone
    nodes = [*manifest.nodes.values(), *manifest.unit_tests.values(), *manifest.exposures.values()]
    counts = Counter(node.name for node in nodes if node.resource_type != "operation")
    assert [name for name, count in counts.items() if count > 1] == []
    folders = {part for node in nodes if node.resource_type == "model" for part in node.fqn[:2]}
    assert folders & counts.keys() == set()
