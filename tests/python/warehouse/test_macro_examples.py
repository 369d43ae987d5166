"""The examples in the macros' YAML are right, and a wrong example is reported with its actual result."""

import duckdb
import pytest
from dbt.contracts.graph.manifest import Manifest
from support.lake_by_hand import Lake, Warehouse
from support.small_site import pages_of, parse, small_site

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


def test_the_docs_site_shows_the_examples() -> None:
    # Given a macro and its example
    example = {"call": "add_days('day', 1)", "given": "dates (day) as (values (null))", "gives": None}
    macro = {"name": "add_days", "folder": "dialect", "text": "A later date.", "arguments": [], "examples": [example]}

    # When the site is written, then the macro's page shows the example
    page = parse(pages_of(small_site(macros=[macro]))["macros.html"])
    assert "add_days('day', 1) gives None; given dates (day) as (values (null))" in " ".join(page.text.split())
