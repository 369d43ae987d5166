"""Differences of two releases: columns, rows and values, by the declared key where it is unique."""

import random
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest

from flows.config.settings import DataFolder
from flows.core.files import FileState
from flows.warehouse.build import Build, prepare_candidate
from flows.warehouse.clones import attach_release, clone_release
from flows.warehouse.descriptions import Description, PublishedModel
from flows.warehouse.diff import Comparison, Difference, compare_databases
from flows.warehouse.node_states import NodeState
from flows.warehouse.release import publish_candidate

KEYED = PublishedModel("core", "customers", Description("Who is it?", key=("customer_id",)), {})


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "shop")
    folder.path.mkdir()
    return folder


def publish(
    folder: DataFolder, *statements: str, models: Sequence[PublishedModel] = (KEYED,), states: Sequence[NodeState] = ()
) -> Path:
    """Publish the release before with some changes."""
    prepare_candidate(folder, empty=not folder.warehouse.exists())
    with duckdb.connect(str(folder.candidate)) as connection:
        for statement in ("create schema if not exists core", *statements):
            connection.execute(statement)
    build = Build((), "", FileState.of(folder.candidate), 0.0, "code", {state.unique_id: state for state in states})
    return publish_candidate(folder, build, {}, models=models).path


CUSTOMERS = "create table core.customers as select * from (values ('1', 'Ada', 3), ('2', 'Bob', 4), ('3', 'Cem', 5)) "
CUSTOMERS += "as given(customer_id, city, order_count)"


def only(found: Comparison) -> Difference:
    (difference,) = found.differences
    return difference


def test_rows_are_compared_by_the_declared_key(folder: DataFolder) -> None:
    # Given a table with a key, of which a row is gone, one is new, and two have other values
    before = publish(folder, CUSTOMERS)
    after = publish(
        folder,
        "delete from core.customers where customer_id = '1'",
        "update core.customers set order_count = order_count + 1",
        "update core.customers set city = null where customer_id = '3'",
        "insert into core.customers values ('4', 'Dora', 0)",
    )

    # When the releases are compared
    found = only(compare_databases(before, after))

    # Then rows, values by column and keys are told
    assert (found.rows, found.added, found.removed, found.changed) == ((3, 3), 1, 1, 2)
    assert found.columns == {"city": 1, "order_count": 2}
    assert found.keys == {
        "added": ["customer_id=4"],
        "changed": ["customer_id=2", "customer_id=3"],
        "removed": ["customer_id=1"],
    }
    assert compare_databases(after, after) == Comparison([], 1)


def test_columns_and_types_are_compared_by_name(folder: DataFolder) -> None:
    # Given a table with a new column, one less, and a wider type with the same values
    before = publish(folder, CUSTOMERS)
    after = publish(
        folder,
        "alter table core.customers drop city",
        "alter table core.customers add column tier varchar",
        "alter table core.customers alter order_count type decimal(18, 4)",
    )

    # When the releases are compared
    found = only(compare_databases(before, after))

    # Then the columns are told, and no row counts as changed
    assert found.shape == ["+ tier varchar", "- city", "order_count: integer → decimal(18,4)"]
    assert (found.added, found.removed, found.changed) == (0, 0, 0)


@pytest.mark.parametrize("key", [(), ("city",), ("gone",)], ids=["no key", "not unique", "no such column"])
def test_without_a_unique_key_whole_rows_are_counted(folder: DataFolder, key: tuple[str, ...]) -> None:
    # Given a table whose rows repeat, with a declared key that does not tell them apart, or none
    models = [PublishedModel("core", "customers", Description("Who?", key=key), {})]
    before = publish(folder, CUSTOMERS, "insert into core.customers values ('3', 'Cem', 5)", models=models)
    after = publish(
        folder,
        "delete from core.customers where customer_id = '3'",
        "insert into core.customers values ('3', 'Cem', 5), ('9', 'Cem', 5)",
        "update core.customers set order_count = 9 where customer_id = '1'",
        models=models,
    )

    # When the releases are compared
    found = only(compare_databases(before, after))

    # Then each row counts as often as it is there
    assert (found.added, found.removed, found.changed) == (2, 2, None)
    assert (found.key, found.keys) == ([], {})


def test_keys_of_personal_data_are_not_shown(folder: DataFolder) -> None:
    # Given a table whose key is an email address
    told = {"customer_id": "Where to write to. Personal data: email."}
    models = [PublishedModel("core", "customers", Description("Who?", key=("customer_id",)), told)]
    before = publish(folder, CUSTOMERS, models=models)
    after = publish(folder, "delete from core.customers where customer_id = '1'", models=models)

    # When the releases are compared
    found = only(compare_databases(before, after))

    # Then the row counts, and its key is not told
    assert (found.removed, found.keys) == (1, {})


def test_tables_and_functions_that_one_release_lacks_are_told(folder: DataFolder) -> None:
    # Given a release with another table and another function, and a function whose SQL changed
    before = publish(
        folder,
        CUSTOMERS,
        "create macro core.above(least) as table from core.customers where order_count > least",
        "create macro core.same() as table from core.customers as c inner join core.customers as d using (customer_id)",
    )
    after = publish(
        folder,
        "create table core.orders as select 1 as order_id",
        "create or replace macro core.above(least) as table from core.customers where order_count >= least",
        "create macro core.below(most) as table from core.customers where order_count < most",
    )

    # When the releases are compared
    found = compare_databases(before, after)

    # Then each is named
    told = {one.full_name: (list(one.shape), one.added) for one in found.differences}
    assert told == {
        "core.orders": (["new table"], 1),
        "core.above": (["other SQL"], 0),
        "core.below": (["new function"], 0),
    }
    assert found.equal == 1


def test_hashes_of_rows_are_believed_only_of_files_as_they_were_published(folder: DataFolder) -> None:
    # Given two releases that state the same hash of the rows of a table
    state = NodeState("model.shop.customers", "customers", "model", "code", {}, output="hash")
    before = publish(folder, CUSTOMERS, states=[state])
    after = publish(folder, "update core.customers set order_count = 0", states=[state])

    # When they are compared
    # Then it is not read; after somebody has written to a file, it is
    assert compare_databases(before, after).differences == []
    with duckdb.connect(str(after)) as connection:
        connection.execute("update core.customers set order_count = 7; checkpoint")
    assert only(compare_databases(before, after)).changed == 3


def test_a_clone_is_compared_in_what_it_has(folder: DataFolder) -> None:
    # Given a clone of a part of a release, and the next release
    before = publish(
        folder,
        CUSTOMERS,
        "create table core.orders as select 1 as order_id",
        "create macro core.above(least) as table from core.customers as c left join core.customers as d on true "
        "where c.order_count > least",
    )
    made = clone_release(folder, "experiment", before.parent.name, lambda _schema, name: name != "orders")
    clone, after = made.file, publish(folder, "update core.customers set order_count = 0 where customer_id = '1'")

    # When it is compared with both
    # Then it equals its release, and differs from the other one as the two releases do
    assert compare_databases(before, clone) == Comparison([], 1)
    assert only(compare_databases(after, clone)).columns == {"order_count": 1}

    # When the experiment shows other values in the place of the table, by a view or a table of its own
    with duckdb.connect(str(clone)) as connection:
        attach_release(connection, clone)
        connection.execute("create table core.as_before as from core.customers")
        connection.execute(f"drop {'table' if made.is_copy else 'view'} core.customers")
        connection.execute(
            "create view core.customers as select * replace (order_count + 1 as order_count) from core.as_before"
        )

    # Then that is a difference from its own release, too
    assert {one.name for one in compare_databases(before, clone).differences} == {"customers", "as_before"}


def test_random_changes_are_counted_as_python_counts_them(folder: DataFolder) -> None:
    # Given two random tables with nulls, and keys of which some are in one of them alone
    chance = random.Random(5)

    def rows() -> dict[int, tuple[int | None, str | None]]:
        keys = chance.sample(range(300), 200)
        return {key: (chance.choice([None, 1, 2]), chance.choice([None, "a", "b"])) for key in keys}

    def insert(of: dict[int, tuple[int | None, str | None]]) -> list[str]:
        listed = ", ".join(str((key, *values)).replace("None", "null") for key, values in of.items())
        return [
            "create or replace table core.customers (customer_id integer, n integer, t varchar)",
            f"insert into core.customers values {listed}",
        ]

    first, second = rows(), rows()

    # When the releases are compared
    found = only(compare_databases(publish(folder, *insert(first)), publish(folder, *insert(second))))

    # Then all counts agree
    both = first.keys() & second.keys()
    assert found.added == len(second.keys() - first.keys())
    assert found.removed == len(first.keys() - second.keys())
    assert found.changed == sum(first[key] != second[key] for key in both)
    assert found.columns == {
        "n": sum(first[key][0] != second[key][0] for key in both),
        "t": sum(first[key][1] != second[key][1] for key in both),
    }


def test_a_key_of_another_type_is_compared_as_far_as_it_can_be_cast(folder: DataFolder) -> None:
    # Given a key of texts, one of which is no number
    before = publish(folder, CUSTOMERS, "insert into core.customers values ('C4', 'Eve', 6)")
    numbers = "select row_number() over (order by city) as customer_id, city, order_count from old"
    after = publish(
        folder,
        "create temp table old as from core.customers",
        "drop table core.customers",
        f"create table core.customers as {numbers}",
    )

    # When it is numbers in the next release, then whole rows are counted, since the old key is not unique as numbers
    found = only(compare_databases(before, after))
    assert (found.rows, found.added, found.removed, found.changed) == ((4, 4), 1, 1, None)
    assert found.shape == ["customer_id: varchar → bigint"]


def test_a_wider_key_is_still_the_key(folder: DataFolder) -> None:
    before = publish(folder, CUSTOMERS)
    after = publish(
        folder,
        "alter table core.customers alter customer_id type bigint",
        "delete from core.customers where customer_id = 1",
        "update core.customers set city = 'Ede' where customer_id = 2",
    )
    found = only(compare_databases(before, after))
    assert (found.added, found.removed, found.changed) == (0, 1, 1)
    assert found.keys == {"changed": ["customer_id=2"], "removed": ["customer_id=1"]}


@pytest.mark.parametrize("key", [("customer_id",), ()], ids=["key", "no key"])
def test_a_value_that_its_new_type_cannot_hold_has_changed(folder: DataFolder, key: tuple[str, ...]) -> None:
    # Given texts that become numbers, where those that are none become null
    model = PublishedModel("core", "customers", Description("Who is it?", key=key), {})
    before = publish(folder, CUSTOMERS, models=[model])
    to_number = "alter table core.customers alter city type integer using try_cast(city as integer)"
    found = only(compare_databases(before, publish(folder, to_number, models=[model])))
    if key:
        assert (found.changed, found.columns) == (3, {"city": 3})
    else:
        assert (found.added, found.removed) == (3, 3)


def test_a_table_none_of_whose_columns_is_left_has_other_rows(folder: DataFolder) -> None:
    before = publish(folder, CUSTOMERS)
    after = publish(folder, "drop table core.customers", "create table core.customers as select 1 as id")
    found = only(compare_databases(before, after))
    assert (found.added, found.removed, found.changed) == (1, 3, None)
    assert found.shape == ["+ id integer", "- customer_id", "- city", "- order_count"]


@pytest.mark.parametrize("kind", ["struct(a integer)", "integer[]", "date", "blob", "map(varchar, integer)", "json"])
def test_any_type_can_follow_any_other(folder: DataFolder, kind: str) -> None:
    before = publish(folder, CUSTOMERS)
    to_kind = f"alter table core.customers alter order_count type {kind} using cast(null as {kind})"
    assert only(compare_databases(before, publish(folder, to_kind))).columns == {"order_count": 3}


def test_keys_of_personal_data_are_not_shown_by_a_clone_of_another_release(folder: DataFolder) -> None:
    # Given a key of personal data, and a clone that shows an earlier release by views, which have no comments
    model = PublishedModel("core", "customers", KEYED.description, {"customer_id": "Its id. Personal data: name."})
    publish(folder, CUSTOMERS, models=[model])
    clone = clone_release(folder, "mine", folder.warehouse.resolve().parent.name)
    after = publish(folder, "delete from core.customers where customer_id = '1'", models=[model])

    # When the two are compared, then no key is shown, in either order
    for pair in ((clone.file, after), (after, clone.file)):
        assert only(compare_databases(*pair)).keys == {}
