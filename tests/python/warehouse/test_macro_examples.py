"""The examples in the macros' YAML are right, and a wrong example is reported with its actual result."""

import json
from pathlib import Path

import duckdb
import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse

from flows.warehouse.docs import inline_docs

pytest_plugins = ["support.warehouse_fixtures"]

TEST = "macros_give_what_their_examples_say"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> str:
    """The data test that runs all examples, compiled by dbt."""
    warehouse = Warehouse(tmp_path_factory.mktemp("examples") / "compiling", manifest)
    result = warehouse.dbt(Lake(), "compile", "--select", TEST)
    assert result.success, result.exception
    return result.result.results[0].node.compiled_code


def test_every_example_holds(compiled: str) -> None:
    assert duckdb.sql(compiled).fetchall() == []


def test_every_example_is_run(compiled: str, manifest: Manifest) -> None:
    described = [macro for macro in manifest.macros.values() if macro.package_name == "ml_warehouse"]
    examples = [example for macro in described for example in macro.config.meta.get("examples", [])]
    assert compiled.count("as found") - 1 == len(examples) > 0


def test_an_example_that_does_not_hold_is_named(compiled: str) -> None:
    # Given another expected result of one example
    broken = compiled.replace("'932' as expected", "'933' as expected")

    # When the examples are run, then only this one is found, with its call and both results
    assert duckdb.sql(broken).fetchall() == [
        ("measure_distance_km", "measure_distance_km(52.52, 13.41, 51.51, -0.13)", "933", "932")
    ]


def test_the_docs_site_shows_the_examples(tmp_path: Path) -> None:
    # Given dbt's artifacts with a macro and its example
    examples = [{"call": "add_days('day', 1)", "given": "dates (day) as (values (null))", "gives": None}]
    macro = {"description": "A date some days later.", "config": {"meta": {"examples": examples}}}
    (tmp_path / "index.html").write_text('["MANIFEST.JSON INLINE DATA"]')
    (tmp_path / "manifest.json").write_text(json.dumps({"macros": {"macro.a.add_days": macro}, "nodes": {}}))
    (tmp_path / "catalog.json").write_text("{}")

    # When the site is made, then the macro's description shows the example
    (manifest,) = json.loads(inline_docs(tmp_path, {}).read_text())
    shown = manifest["macros"]["macro.a.add_days"]["description"]
    assert shown.endswith("`add_days('day', 1)` gives `null`; given `dates (day) as (values (null))`")
