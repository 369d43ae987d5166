"""A build that died goes on with the nodes that it had finished; what it left half done is never taken over."""

import os
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt.contracts.graph.manifest import Manifest
from support.chance import NOON
from support.kills import Child, preload
from support.lake_by_hand import Lake
from support.released_shop import Released, order_once

from flows.warehouse.build import Build, build_candidate, prepare_candidate, take_over_candidate
from flows.warehouse.dbt import GOOD, Dbt
from flows.warehouse.journal import Journal
from flows.warehouse.rebuild import is_view
from flows.warehouse.release import publish_candidate

pytest_plugins = ["support.warehouse_fixtures"]

MODELS = ("dim_product", "dim_customer", "fct_orders", "daily_sales", "sales_between")
LATER = NOON + timedelta(days=1)
SLOW = pytest.mark.slow
preload("flows.warehouse.build", "dbt.adapters.duckdb", "dbt.task.build")


@pytest.fixture(scope="module")
def first_release(tmp_path_factory: pytest.TempPathFactory, manifest: Manifest) -> Released:
    """A shop of few models with their tests, released once."""
    return Released.once(tmp_path_factory.mktemp("first"), manifest, order_once("O1"), *MODELS)


@pytest.fixture
def released(tmp_path: Path, first_release: Released) -> Released:
    """A copy of the shop that was released once."""
    return first_release.copy(tmp_path / "released")


def next_day(city: str = "York") -> Lake:
    """The same shop: its customer has moved, its product has another name, and there is a second order."""
    lake = order_once("O1")
    lake.load(
        LATER,
        crm__customers=[{"customer_id": "C1", "city": city, "updated_at": LATER}],
        shop__products=[{"product_id": "P1", "product_name": "Vase", "updated_at": LATER}],
        sales__orders=[
            {"order_id": "O2", "customer_id": "C1", "ordered_at": LATER, "updated_at": LATER, "status": "paid"}
        ],
        sales__order_lines=[{"order_id": "O2", "line_number": 1, "product_id": "P1", "quantity": 2, "unit_price": 5}],
    )
    return lake


def build_until(dbt: Dbt, last: str) -> None:
    """Build, and die when a node has ended and the journal has noted it."""
    journal = Journal(dbt.folder) if (taken := take_over_candidate(dbt)) is None else taken

    def die(event: Any) -> None:
        if event.info.name == "NodeFinished" and event.data.node_info.node_name == last:
            os.kill(os.getpid(), signal.SIGKILL)

    run, see = Dbt.run, journal.see  # with two threads, the other table may be between its commit and its note
    Dbt.run = lambda *to_do, **how: run(*to_do, "--threads", "1", **how)  # type: ignore[method-assign]
    journal.see = lambda event: (see(event), die(event))[0]  # type: ignore[method-assign, func-returns-value]
    if taken is None:
        prepare_candidate(dbt.folder)
    build_candidate(dbt, full_refresh=False, select=None, journal=journal)


def die_at(released: Released, lake: Lake, last: str) -> Dbt:
    """Let a build die after a node, and return the project."""
    released.write_catalog(lake)
    dbt = Dbt(released.data, released.manifest, {})
    ended = Child(f"{__name__}:build_until", (dbt, last)).run()
    assert ended.was_killed, ended.error
    return dbt


def go_on(dbt: Dbt) -> tuple[Journal, Build]:
    """Go on with what the run before has left, and publish it."""
    journal = take_over_candidate(dbt)
    assert journal is not None, "nothing was taken over"
    build = build_candidate(dbt, full_refresh=False, select=None, journal=journal)
    assert not [(result.node.name, result.message) for result in build.results if result.status not in GOOD]
    publish_candidate(dbt.folder, build, {})
    return journal, build


def content(released: Released) -> dict[str, list[Any]]:
    """Return the rows of all tables that models have made, in a fixed order."""
    return {name: sorted(map(repr, released.rows(f"from {name}"))) for name in released.tables()}


def names(keys: Any) -> set[str]:
    """Return the names of nodes by their unique ids."""
    return {key.split(".")[2] for key in keys}


@pytest.mark.parametrize(
    "last", ["fct_orders", *(pytest.param(name, marks=SLOW) for name in ("dim_product", "dim_customer", "daily_sales"))]
)
def test_a_build_that_died_goes_on_and_comes_to_the_same_rows(
    tmp_path: Path, released: Released, first_release: Released, last: str
) -> None:
    undisturbed = first_release.copy(tmp_path / "undisturbed")
    undisturbed.release(next_day())
    journal, build = go_on(die_at(released, next_day(), last))
    ran = {result.node.name for result in build.results}
    assert last in names(journal.finished)
    views = {node.name for node in released.manifest.nodes.values() if is_view(node)}  # which a release does not hold
    assert not ran & names(build.taken_over) - views
    assert content(released) == content(undisturbed)


def test_the_first_build_of_all_goes_on_too(
    tmp_path: Path, first_release: Released, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ML_WAREHOUSE_DATA", str(tmp_path))  # which has no template
    first = Released(tmp_path / "first", first_release.manifest.deepcopy())
    journal, build = go_on(die_at(first, order_once("O1"), "dim_product"))
    assert "dim_product" in names(journal.finished)
    assert "dim_product" not in {result.node.name for result in build.results}
    assert content(first) == content(first_release)


@SLOW
def test_a_build_that_dies_twice_goes_on_from_both(tmp_path: Path, released: Released, first_release: Released) -> None:
    undisturbed = first_release.copy(tmp_path / "undisturbed")
    undisturbed.release(next_day())
    die_at(released, next_day(), "dim_product")
    journal, build = go_on(die_at(released, next_day(), "daily_sales"))
    assert {"dim_product", "daily_sales"} <= names(journal.finished)
    assert not {"dim_product", "daily_sales"} & {result.node.name for result in build.results}
    assert content(released) == content(undisturbed)


@SLOW
def test_what_others_added_to_a_kept_table_stays_when_a_build_dies_twice(tmp_path: Path, manifest: Manifest) -> None:
    # Given a release, and a run that adds a change of a segment to the trail and dies
    first = Released.once(tmp_path, manifest, order_once("O1"), "customer_segments_current", "daily_sales")
    shop = first.copy(tmp_path / "copy")
    lake = next_day()
    lake.load(LATER, crm__customers=[{"customer_id": "C2", "city": "Hull", "updated_at": LATER}])
    die_at(shop, lake, "customer_segments_current")

    # When the next one dies too, and a third comes to its end
    lake.load(LATER + timedelta(hours=1), shop__products=[{"product_id": "P2", "updated_at": LATER}])
    go_on(die_at(shop, lake, "dim_product"))

    # Then the trail still leads to the segments
    trail = "select customer_id, last(new_segment order by change_number) from history.segment_changes group by all"
    assert dict(shop.rows(trail)).items() <= dict(shop.rows("from marketing.customer_segments_current")).items()
    assert "C2" in dict(shop.rows(trail))


@SLOW
def test_what_has_arrived_since_is_built_too(tmp_path: Path, released: Released, first_release: Released) -> None:
    undisturbed = first_release.copy(tmp_path / "undisturbed")
    undisturbed.release(next_day("Bath"))
    die_at(released, next_day("York"), "dim_customer")
    released.write_catalog(next_day("Bath"))
    _, build = go_on(Dbt(released.data, released.manifest, {}))
    assert "dim_customer" in {result.node.name for result in build.results}
    assert released.rows("select city from core.dim_customer where is_current and customer_id = 'C1'") == [("Bath",)]
    assert content(released) == content(undisturbed)


def test_changed_code_is_built_again(released: Released) -> None:
    dbt = die_at(released, next_day(), "daily_sales")
    model = dbt.manifest.nodes["model.ml_warehouse.dim_product"]
    model.raw_code += "\n-- mended"
    model.checksum.checksum = "another"
    _, build = go_on(dbt)
    assert "dim_product" in {result.node.name for result in build.results}


@SLOW
def test_the_source_that_is_as_before_again_brings_the_release_back(released: Released) -> None:
    before = content(released)
    die_at(released, next_day(), "daily_sales")
    released.write_catalog(order_once("O1"))
    go_on(Dbt(released.data, released.manifest, {}))
    after = content(released)
    for name in ("core.dim_product", "core.dim_customer"):
        assert after[name] == before[name]


def insert_into(released: Released, sql: str) -> None:
    with duckdb.connect(str(released.data.candidate)) as candidate:
        candidate.execute(sql)


def journal_of(released: Released) -> Path:
    return released.data.candidate.with_name("journal.jsonl")


def forget(released: Released, *nodes: str) -> None:
    """Drop nodes from the journal: the run died between commit and note."""
    journal = journal_of(released)
    lines = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join(line for line in lines if not any(f'.{node}"' in line[:120] for node in nodes)))


def end(released: Released) -> None:
    """Note the end of a build that a gate has stopped, and change the candidate afterwards."""
    journal = Journal(released.data, has_begun=True)
    journal.end()
    insert_into(released, "create table core.mine as select 1 as one")


def publish_another(released: Released) -> None:
    """Publish a release meanwhile, and put back what the run has left."""
    left = released.data.candidate.parent
    kept = left.rename(left.with_name("kept"))
    released.release(next_day("Bath"))
    released.write_catalog(next_day())
    left.rename(left.with_name("other"))
    kept.rename(left)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda released: forget(released, "fct_orders"), id="a table that is updated in place"),
        pytest.param(end, id="changed after it had ended", marks=SLOW),
        pytest.param(publish_another, id="another release", marks=SLOW),
        pytest.param(lambda released: os.truncate(released.data.candidate, 5000), id="damaged", marks=SLOW),
        pytest.param(
            lambda released: os.truncate(released.data.warehouse.resolve(), 5000), id="a damaged release", marks=SLOW
        ),
        pytest.param(lambda released: journal_of(released).unlink(), id="no journal", marks=SLOW),
        pytest.param(lambda released: journal_of(released).write_text("{"), id="no first line", marks=SLOW),
    ],
)
def test_what_cannot_be_trusted_is_not_taken_over(released: Released, spoil: Callable[[Released], None]) -> None:
    dbt = die_at(released, next_day(), "daily_sales")
    spoil(released)
    assert take_over_candidate(dbt) is None


@SLOW
def test_a_table_that_is_not_noted_is_made_anew(tmp_path: Path, released: Released, first_release: Released) -> None:
    undisturbed = first_release.copy(tmp_path / "undisturbed")
    undisturbed.release(next_day())
    dbt = die_at(released, next_day(), "daily_sales")
    forget(released, "dim_product")
    insert_into(released, "update core.dim_product set product_name = 'half done'")
    go_on(dbt)
    assert content(released) == content(undisturbed)


@SLOW
def test_a_line_that_was_cut_off_is_left_out(released: Released) -> None:
    dbt = die_at(released, next_day(), "daily_sales")
    with journal_of(released).open("a") as journal:
        journal.write('["model.ml_ware')
    go_on(dbt)


@SLOW
def test_a_full_refresh_keeps_nothing_and_leaves_nothing(released: Released) -> None:
    dbt = die_at(released, next_day(), "dim_product")
    journal = take_over_candidate(dbt)
    build = build_candidate(dbt, full_refresh=True, select=None, journal=journal)
    assert "dim_product" in {result.node.name for result in build.results}
