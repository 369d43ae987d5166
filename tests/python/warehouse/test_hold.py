"""What depends on a failure stays as the last release has it; the rest is new, and a later release has all of it."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.chance import NOON
from support.lake_by_hand import Lake
from support.released_shop import Released, order_once

from flows.core.errors import Finding, GateFailed
from flows.core.names import TableName
from flows.warehouse.build import Build
from flows.warehouse.dbt import Dbt
from flows.warehouse.hold import Held, failed_roots

pytest_plugins = ["support.warehouse_fixtures"]

MODELS = ("dim_product", "dim_customer", "fct_orders", "daily_sales", "sales_between")
FAILURE = GateFailed("build", (Finding("dim_product", "it is wrong"),), "Mend it.")
LATER = NOON + timedelta(days=1)


@pytest.fixture(scope="module")
def first_release(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Released:
    """A shop of few models with their tests, released once."""
    return Released.once(tmp_path_factory.mktemp("first"), manifest, order_once("O1"), *MODELS)


@pytest.fixture
def released(tmp_path: Path, first_release: Released) -> Released:
    """A copy of the shop that was released once."""
    return first_release.copy(tmp_path / "released")


def next_day() -> Lake:
    """The same shop: its customer has moved, and its product has another name."""
    lake = order_once("O1")
    lake.load(
        LATER,
        crm__customers=[{"customer_id": "C1", "city": "York", "updated_at": LATER}],
        shop__products=[{"product_id": "P1", "product_name": "Vase", "updated_at": LATER}],
    )
    return lake


def seen(released: Released) -> tuple[Any, Any]:
    """Return the city and the name of the product that readers see."""
    (city,), (name,) = released.rows(
        "select city from core.dim_customer where customer_id = 'C1' and is_current union all "
        "select product_name from core.dim_product where product_id = 'P1' and is_current"
    )
    return city, name


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        (("source.ml_warehouse.crm.customers",), ("Leeds", "Vase")),
        pytest.param(("model.ml_warehouse.dim_product",), ("York", "Lamp"), marks=pytest.mark.slow),
        pytest.param(("model.ml_warehouse.stg_shop__product_history",), ("York", "Lamp"), marks=pytest.mark.slow),
        (("source.ml_warehouse.crm.customers", "model.ml_warehouse.dim_product"), ("Leeds", "Lamp")),
    ],
)
def test_what_is_held_back_is_as_before_and_the_rest_is_new(
    released: Released, held: tuple[str, ...], expected: tuple[str, str]
) -> None:
    build = released.release(next_day(), held=held)
    assert seen(released) == expected
    assert not build.ran & build.held
    assert build.not_built == 0

    # Then a later release has all of it, as a full build has
    released.release(next_day())
    assert seen(released) == ("York", "Vase")
    full = Released(released.folder.parent / "full", released.manifest)
    full.release(next_day(), full_refresh=True)
    assert released.differences(full) == {}


def test_a_held_test_keeps_its_verdict(released: Released) -> None:
    before = {state.name: state.status for state in released.release(order_once("O1")).kept("test")}
    build = released.release(next_day(), held=["source.ml_warehouse.shop.products"])
    held = {build.states[key].name for key in build.held if key in build.states and build.states[key].kind == "test"}
    assert any(name.startswith("dim_product") for name in held)
    ((tests,),) = released.rows("select tests from main.release")
    assert {name: tests[name] for name in held} == {name: before[name] for name in held}


def held_of(released: Released, *, is_allowed: bool = True) -> Held:
    return Held(Dbt(released.data, released.manifest), is_allowed)


def test_a_failure_is_raised_where_nothing_may_be_held_back(released: Released, tmp_path: Path) -> None:
    roots = {"model.ml_warehouse.dim_product"}
    with pytest.raises(GateFailed):
        held_of(released, is_allowed=False).take(FAILURE, roots)
    with pytest.raises(GateFailed):  # it is about no table
        held_of(released).take(FAILURE, set())
    held = held_of(released)
    held.take(FAILURE, roots)
    with pytest.raises(GateFailed):  # it fails though it is held back
        held.take(FAILURE, roots)
    with pytest.raises(GateFailed):  # there is no release whose tables could stay
        held_of(Released(tmp_path / "new", released.manifest)).take(FAILURE, roots)
    with released.connect() as warehouse:
        warehouse.execute("drop table core.fct_orders cascade")
    with pytest.raises(GateFailed):  # the release lacks a table that depends on it
        held_of(released).take(FAILURE, {"source.ml_warehouse.sales.orders"})


def test_names_and_releases_of_what_is_held_back(released: Released) -> None:
    held = held_of(released)
    assert held.since == {}
    held.take_tables(FAILURE, [TableName("shop", "products")])
    assert held.tables == {TableName("shop", "products")}
    assert {"dim_product", "daily_sales", "sales_between"} <= {*held.names}
    assert not {"dim_customer", "stg_shop__products"} & {*held.names}
    first = released.data.warehouse.resolve().parent.name
    assert {*held.since.values()} == {first}
    assert "source.ml_warehouse.shop.products" in held.since


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ({"attached_node": "model.p.a", "depends_on_nodes": ["model.p.b", "model.p.a"]}, {"model.p.a"}),
        ({"attached_node": None, "depends_on_nodes": ["source.p.s.t"]}, {"source.p.s.t"}),
        (
            {
                "attached_node": None,
                "depends_on_nodes": ["source.ml_warehouse.sales.orders", "source.ml_warehouse.shop.products"],
                "test_metadata": SimpleNamespace(
                    kwargs={"model": "{{ get_where_subquery(source('shop', 'products')) }}"}
                ),
            },
            {"source.ml_warehouse.shop.products"},
        ),
        ({"attached_node": None, "depends_on_nodes": ["model.p.a", "model.p.b"]}, {"model.p.a", "model.p.b"}),
        ({"attached_node": None, "depends_on_nodes": []}, set()),
    ],
)
def test_a_failed_test_is_about_its_model(released: Released, test: dict[str, Any], expected: set[str]) -> None:
    node = SimpleNamespace(resource_type="test", unique_id="test.p.t", **test)
    failed = SimpleNamespace(status="fail", node=node)
    passed = SimpleNamespace(status="pass", node=SimpleNamespace(resource_type="model", unique_id="model.p.c"))
    build = SimpleNamespace(results=(passed, failed))
    assert failed_roots(held_of(released).dbt, build) == expected  # type: ignore[arg-type]


def test_a_build_that_holds_nothing_back_says_so(released: Released) -> None:
    build: Build = released.release(order_once("O1"))
    assert build.held == frozenset()
