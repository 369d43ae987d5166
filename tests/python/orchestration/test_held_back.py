"""A set that is published by dependency: a failure holds back what depends on it, and the rest is published."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import prefect_view
from support.flow_shop import (
    CANARY,
    CLIENTS,
    SET,
    FlowShop,
    make_shop,
    make_test_fail,
    publish_by_dependency,
    publish_first_day,
    put_back,
)

from flows.cli.status import show_status
from flows.core.errors import GateFailed, HeldBack, SchemaMismatch, UsageError
from flows.lake.incidents import open_incidents
from flows.reproduce import rebuild_release
from flows.warehouse.releases import read_made_of

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, flow_home: Path) -> tuple[FlowShop, Path]:
    """A shop whose first day is published, and a copy of its data."""
    root = tmp_path_factory.mktemp("held")
    shop = make_shop(root, flow_home)
    publish_by_dependency(shop)
    return publish_first_day(shop, root / "copy")


@pytest.fixture
def shop(first: tuple[FlowShop, Path]) -> FlowShop:
    """The shop after its first day, with the files of the second one."""
    shop, copy = first
    for file in shop.drops.glob("*"):
        file.unlink()
    put_back(shop.folder, copy)
    shop.drop_day(1)
    shop.drop_day(2)
    return shop


def seen(shop: FlowShop) -> dict[str, Any]:
    """Return the newest state of a customer and of a product, and the number of order lines, as readers see them."""
    return {
        "country": shop.rows("select country from core.dim_customer where customer_id = '0005' and is_current"),
        "product": shop.rows("select product_name from core.dim_product where product_id = 'A3' and is_current"),
        "lines": shop.rows("select count(*) from core.fct_order_lines"),
    }


def errors_of(shop: FlowShop) -> set[str]:
    """Return the tables of which an error is an open incident."""
    found = (one.incident for one in open_incidents(shop.folder.lake).values())
    return {one.table for one in found if one.severity == "error"}


def test_a_source_that_changes_its_schema_holds_back_what_depends_on_it(shop: FlowShop) -> None:
    # Given a second day with news of all sources, and customers whose file has another column in place of one
    before, first = seen(shop), shop.release_name
    shop.drop("clients-2.csv", ["Number", *CLIENTS[1:]], [["0005", CANARY, "AT", "2026-01-02 06:00"]])

    # When it is run, then the run is red, and tells cause, release and tables
    with pytest.raises(HeldBack) as failure:
        shop.elt()
    said = str(failure.value)
    assert failure.value.exit_code == 7
    assert said.startswith(f"Release {shop.release_name} is published; ")
    assert "crm.customers" in said
    assert "No" in said
    assert CANARY not in said
    assert isinstance(failure.value.causes[0], SchemaMismatch)
    assert shop.release_name != first

    # And readers see news of the products, and customers and orders as they were
    after = seen(shop)
    assert after["product"] != before["product"]
    assert (after["country"], after["lines"]) == (before["country"], before["lines"])
    made_of = read_made_of(shop.folder.warehouse.resolve())
    held = made_of.held_back
    assert {*held.values()} == {first}
    assert {"source.ml_warehouse.crm.customers", "model.ml_warehouse.dim_customer"} <= held.keys()
    assert "model.ml_warehouse.dim_product" not in held
    assert f"tables are held back, as release {first} had them" in show_status(shop.folder)

    # And one incident is open, and the release is not built again from what it names alone
    assert errors_of(shop) == {"crm.customers"}
    with pytest.raises(UsageError, match=f"hold.* tables back, which are of {first}"):
        rebuild_release(shop.folder, shop.release_name)
    run = prefect_view.latest_run(f"elt {SET}")
    assert run.state_name == "Failed"

    # When the source is mended, then the next run publishes all of it, and the incident is over
    shop.drop_day(2)
    shop.elt()
    assert seen(shop)["country"] != before["country"]
    assert seen(shop)["lines"] != before["lines"]
    assert read_made_of(shop.folder.warehouse.resolve()).held_back == {}
    assert errors_of(shop) == set()


def test_a_failed_gate_holds_back_its_table_and_what_depends_on_it(
    shop: FlowShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, first = seen(shop), shop.release_name
    with monkeypatch.context() as patched:
        make_test_fail("dim_product__product_key_is_unique", patched)
        with pytest.raises(HeldBack) as failure:
            shop.elt()
    assert isinstance(failure.value.causes[0], GateFailed)
    assert "dim_product__product_key_is_unique" in str(failure.value)
    after = seen(shop)
    assert shop.release_name != first
    assert after["country"] != before["country"]
    assert after["product"] == before["product"]
    assert {"dim_product", "fct_order_lines"} <= {*failure.value.tables}
    assert "dim_customer" not in failure.value.tables

    # And the docs site says of which release they are, and repeats no verdict of it as one of this release
    front, page, other = (
        (shop.folder.docs.parent / path).read_text()
        for path in ("index.html", "tables/core.dim_product.html", "tables/core.dim_customer.html")
    )
    assert f"tables are held back, as release {first} had them." in front
    assert f"of release {first}" in page
    assert f"passed in release {first}, did not run since" in page
    assert ">fresh<" not in page
    assert ">held back</span> <span" not in other

    # And a run without news publishes nothing, and is red as long as the gate fails
    second = shop.release_name
    with monkeypatch.context() as patched:
        make_test_fail("dim_product__product_key_is_unique", patched)
        with pytest.raises(HeldBack, match="Nothing else was new"):
            shop.elt()
    assert shop.release_name == second
    shop.elt()
    assert seen(shop)["product"] != before["product"]


def test_all_is_held_back_where_the_set_says_so_or_no_release_has_the_tables(
    shop: FlowShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shop.release_name
    make_test_fail("dim_product__product_key_is_unique", monkeypatch)
    with pytest.raises(GateFailed):  # nothing would be left as it was
        shop.elt(full_refresh=True)
    text = shop.connections.read_text()
    shop.connections.write_text(text.replace("by_dependency", "all_or_nothing"))
    try:
        with pytest.raises(GateFailed):
            shop.elt()
    finally:
        shop.connections.write_text(text)
    assert shop.release_name == first


def test_the_records_of_runs_name_the_release_and_the_failure(shop: FlowShop) -> None:
    shop.drop("clients-2.csv", ["Number", *CLIENTS[1:]], [["0005", CANARY, "AT", "2026-01-02 06:00"]])
    with pytest.raises(HeldBack):
        shop.elt()
    runs = _runs(shop)
    text = json.dumps([str(row) for row in runs])
    assert shop.release_name in text
    assert "held back" in text

    # And they name what it was about, so that a use which reads nothing of it is as fresh as this run
    last = max(runs, key=lambda run: run["ended_at"])
    assert (last["outcome"], last["held_back"]) == ("held back", ["crm.customers"])


def _runs(shop: FlowShop) -> list[dict[str, Any]]:
    from deltalake import DeltaTable

    return list(DeltaTable(str(shop.folder.lake / "ops" / "runs")).to_pyarrow_table().to_pylist())
