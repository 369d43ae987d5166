"""The part of a release that is held back, as the docs site reads it: tables, views and tests."""

from pathlib import Path

import duckdb
import pytest

from flows.site.facts import HELD, Check, Table
from flows.site.held import held_in
from flows.site.released import read_one, with_release
from flows.warehouse.node_states import NodeState, write_states

FIRST, SECOND = "2026-03-01.1", "2026-03-02.1"
VIEW, OTHER, TABLE = "model.shop.stg_clients", "model.shop.stg_baskets", "model.shop.clients"


def state(key: str, inputs: dict[str, str], output: str = "", status: str = "success") -> NodeState:
    """Return the state of a node, which is named by its unique id."""
    kind, _, name = key.split(".")
    return NodeState(key, name, kind, "code", inputs, output, status)


STATES = [
    state(VIEW, {"source.shop.crm.clients": "old"}, "as it was"),
    state(OTHER, {"source.shop.crm.baskets": "new"}, "is new"),
    state(TABLE, {VIEW: "as it was", OTHER: "was before"}, "rows"),
    state("model.shop.view_of_clients", {TABLE: "rows"}, "more"),
    state("test.shop.clients_are_unique", {TABLE: "rows"}, status="pass"),
    state("test.shop.view_is_whole", {VIEW: "as it was"}, status="pass"),
    state("test.shop.baskets_are_whole", {OTHER: "is new"}, status="pass"),
]
VIEWS = {VIEW, OTHER, "model.shop.view_of_clients"}


def test_views_and_tests_are_held_with_the_tables_that_they_read() -> None:
    # Given a release that lists a held table, which was made of a view as it is, and of one that has changed since
    found = held_in({TABLE: FIRST}, {one.unique_id: one for one in STATES}, VIEWS)

    # Then what reads the table is held, and so are the view that its own test may hold, and that test
    assert found == dict.fromkeys(
        [TABLE, VIEW, "model.shop.view_of_clients", "test.shop.clients_are_unique", "test.shop.view_is_whole"], FIRST
    )


def test_what_reads_tables_of_two_releases_is_of_the_earlier_one() -> None:
    states = {"test.shop.a": state("test.shop.a", {"model.shop.b": "", "model.shop.c": ""})}
    held = {"model.shop.b": "2026-03-01.10", "model.shop.c": "2026-03-01.9"}
    assert held_in(held, states, set())["test.shop.a"] == "2026-03-01.9"


def test_nothing_is_held_in_a_usual_release() -> None:
    assert held_in({}, {one.unique_id: one for one in STATES}, VIEWS) == {}


@pytest.mark.parametrize("is_held", [True, False])
def test_a_verdict_that_a_release_repeats_is_not_one_of_its_own(tmp_path: Path, is_held: bool) -> None:
    # Given two releases with the verdict of a test, the second of which may hold the tested table back
    held = {SECOND: f"map {{'{TABLE}': '{FIRST}'}}" if is_held else "map {}", FIRST: "map {}"}
    for name, listed in held.items():
        with duckdb.connect(str(tmp_path / name)) as database:
            database.execute(
                f"create table main.release as select '{name}' as release_name, now()::timestamp as built_at, "
                "'' as git_commit, '' as previous_release, "
                f"map {{'clients_are_unique': 'pass'}} as tests, {listed} as held_back"
            )
            database.execute("create schema core; create table core.clients as select 1 as client_id")
            write_states(database, STATES)
    releases = [read_one(tmp_path / name, VIEWS) for name in (FIRST, SECOND)]

    # When the facts of the table are collected
    check = Check("clients_are_unique", "Clients are unique.", "data test", "error")
    tables = {TABLE: Table(TABLE, "table", "warehouse", "core", "clients", checks=[check])}
    table = with_release(tables, tmp_path / SECOND, releases)[TABLE]

    # Then a held table and its verdict are of the first release, and the second one counts no test of it as passed
    (check,) = table.checks
    if is_held:
        assert (table.held_since, check.status, check.held_since, check.before) == (FIRST, HELD, FIRST, "pass")
        assert check.history == [(FIRST, "pass")]
        assert (releases[1].gates.passed, releases[1].gates.held) == (0, 1)
    else:
        assert (table.held_since, check.status, check.held_since) == ("", "pass", "")
        assert check.history == [(FIRST, "pass"), (SECOND, "pass")]
        assert (releases[1].gates.passed, releases[1].gates.held) == (1, 0)
