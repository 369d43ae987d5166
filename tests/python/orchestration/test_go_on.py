"""A run goes on after one that did not end: what that had built and tested is taken over."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.flow_shop import (
    FlowShop,
    leave_out_unit_tests,
    make_shop,
    make_test_fail,
    publish_by_dependency,
    publish_first_day,
    put_back,
)

from flows.core.errors import GateFailed, HeldBack

pytestmark = pytest.mark.slow

FAILING = "daily_sales__reconciles_to_order_lines"


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory, flow_home: Path) -> tuple[FlowShop, Path]:
    """A shop whose first day is published, and a copy of its data."""
    root = tmp_path_factory.mktemp("going-on")
    shop = make_shop(root, flow_home)
    return publish_first_day(shop, root / "copy")


@pytest.fixture
def shop(first: tuple[FlowShop, Path]) -> Iterator[FlowShop]:
    """The shop after its first day, with the files of the second one."""
    shop, copy = first
    for file in shop.drops.glob("*"):
        file.unlink()
    put_back(shop.folder, copy)
    shop.drop_day(1)
    shop.drop_day(2)
    declared = shop.connections.read_text()
    with pytest.MonkeyPatch.context() as patched:
        leave_out_unit_tests(patched)
        yield shop
    shop.connections.write_text(declared)


def stop_by_a_test(shop: FlowShop) -> None:
    """Run, and have a test stop the run."""
    with pytest.MonkeyPatch.context() as patched:
        make_test_fail(FAILING, patched)
        with pytest.raises(GateFailed):
            shop.elt()


def test_a_run_takes_over_what_a_stopped_one_had_finished(
    first: tuple[FlowShop, Path], shop: FlowShop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # Given what an undisturbed run makes of the second day
    shop.elt()
    expected = shop.fingerprint()
    put_back(shop.folder, first[1])

    # When a test stops the run of that day, then the lineage of what it had built is sent
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("ML_WAREHOUSE_OPENLINEAGE", str(tmp_path / "events.jsonl"))
        stop_by_a_test(shop)
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    ended = {event["job"]["name"]: event for event in events}
    assert ended["elt"]["eventType"] == "FAIL"
    (customers,) = ended["dbt.dim_customer"]["outputs"]
    (read,) = customers["facets"]["columnLineage"]["fields"]["city"]["inputFields"]
    assert (read["name"], read["field"]) == ("staging.stg_crm__customer_history", "city")

    # When the next run finds the test mended
    with caplog.at_level(logging.INFO, "flows"):
        outcome = shop.elt()

    # Then the customers are not built again, what was stopped is, and the release is the same
    ran = {result.node.name for result in outcome.build.results}
    assert "the candidate of the run before is taken over" in caplog.text
    assert "taken over from a run that did not end" in outcome.headline
    assert FAILING in ran
    assert not {"dim_customer", "dim_product", "fct_order_lines"} & ran
    assert shop.fingerprint() == expected


def test_what_is_held_back_is_of_the_last_release_and_not_of_a_run_that_died(shop: FlowShop) -> None:
    # Given a run of which the products are finished, and a set that is published by dependency from now on
    before = shop.rows("from core.dim_product order by all")
    stop_by_a_test(shop)
    publish_by_dependency(shop)

    # When the products break their contract, then readers see them as in the last release
    shop.drop("articles-3.csv", ["another", "header"], [["1", "2"]])
    with pytest.raises(HeldBack):
        shop.elt()
    assert shop.rows("from core.dim_product order by all") == before
