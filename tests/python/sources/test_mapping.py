"""Mappings: from the columns of a source to those of the contract."""

from typing import Any

import pytest
from support.shop import Shop

from flows.core.errors import SchemaMismatch, SourceFailed, UsageError

COLUMNS = {"id": "varchar not null", "name": "varchar", "size": "integer"}


@pytest.fixture
def items(shop: Shop) -> Shop:
    shop.declare("shop.items", COLUMNS, key=["id"], load="append")
    shop.drop("1.csv", "No,first,last,size\n1,Ada,Lovelace,10\n2,Bob,Ross,20\n")
    return shop


def test_columns_are_mapped_by_expression_and_by_name(items: Shop) -> None:
    # Given a mapping that renames, computes and filters
    columns = {"id": "'N' || lpad(No, 3, '0')", "name": "first || ' ' || \"last\""}
    items.map(**{"from": "*.csv", "columns": columns, "where": "first <> 'Bob'"})

    # When it is loaded, twice
    load, again = items.load(), items.load()

    # Then the contract's columns have the mapped values, and columns in the expressions are not additional
    assert items.rows("id", "name", "size") == [("N001", "Ada Lovelace", 10)]
    assert (load.counts.read, again.counts.duplicate) == (1, 1)
    assert load.notes == ()


def test_a_record_whose_expression_raises_is_quarantined_and_the_others_are_read(items: Shop) -> None:
    # Given an expression, a filter and a check that raise an error for some records
    items.declare(
        "shop.items",
        {
            **COLUMNS,
            "size": {
                "data_type": "integer",
                "constraints": [{"type": "check", "name": "ok", "expression": "cast(name as integer) > size"}],
            },
        },
        key=["id"],
        load="append",
    )
    items.drop("1.csv", "id,name,size\na,1,0\n2,50,x\n3,50,3\nfour,50,4\n5,y,5\n6,6,6\n")
    items.map(**{"from": "*.csv", "columns": {"size": "cast(size as integer)"}, "where": "cast(id as integer) < 9"})

    # When it is loaded
    load = items.load()

    # Then each of these records is quarantined with its reason
    assert items.rows("id") == ["3"]
    assert [reasons for _, reasons in items.quarantine()] == [
        ["where cannot be evaluated", ],
        ["size: cannot be mapped"],
        ["where cannot be evaluated"],
        ["size: ok"],
        ["size: ok"],
    ]  # fmt: skip
    assert load.counts.read == 6


def test_a_query_stands_in_place_of_the_columns(items: Shop) -> None:
    # Given a query that groups within files
    items.map(
        **{
            "from": "*.csv",
            "query": "select No as id, min(first) as name, sum(size::int) as size, _file from source group by all",
        }
    )

    # When it is loaded, twice, then its result counts as read
    load, again = items.load(), items.load()
    assert (load.counts.read, again.counts.duplicate) == (2, 2)
    assert sorted(items.rows("id", "name", "size")) == [("1", "Ada", 10), ("2", "Bob", 20)]


def test_a_query_that_raises_names_the_file_and_shows_no_value(items: Shop) -> None:
    # Given a file for which a query fails
    items.drop("2.csv", "No,first,last,size\n3,Jane,Doe,jane.doe@example.com\n")
    items.map(**{"from": "*.csv", "query": "select No as id, cast(size as integer) as size, _file, _row from source"})

    # When it is loaded, then the error names it, and no record is stored
    with pytest.raises(SourceFailed, match=r"the query of its mapping fails on 2\.csv") as failure:
        items.load()
    assert "jane" not in str(failure.value) + str(items.loads()[-1]["error"])
    assert items.rows() == []

    # And the error names a missing column
    items.map(**{"from": "*.csv", "query": "select nothing from source"})
    with pytest.raises(SourceFailed, match='"nothing" not found'):
        items.load()


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"columns": {"id": "nothing + 1"}}, '"nothing" not found'),
        ({"columns": {"id": "No +"}}, "syntax error"),
        ({"columns": {"id": "No"}, "where": "nothing > 1"}, '"nothing" not found'),
        ({"columns": {"id": "no_such_function(No)"}}, "no_such_function does not exist"),
        ({"columns": {"id": "No", "colour": "first"}}, "its mapping names colour, which the contract does not have"),
        ({}, "the contract requires column 'id'; the source has No, first, last, size"),
    ],
)
def test_a_mapping_that_fits_no_record_is_refused_and_told(items: Shop, mapping: dict[str, Any], text: str) -> None:
    # Given such a mapping
    items.map(**{"from": "*.csv", **mapping})

    # When it is loaded, then the error describes the conflict
    with pytest.raises(SchemaMismatch, match=text):
        items.load()
    assert items.rows() == []


def test_a_mapping_may_say_how_its_source_is_loaded(items: Shop) -> None:
    # Given an export that is a full copy, with a contract for changes
    items.declare("shop.items", COLUMNS, key=["id"], load="upsert", cursor="size")
    items.map(**{"from": "*.csv", "load": "full", "columns": {"id": "No"}})
    items.load()

    # When a key is absent, then it is deleted
    items.drop("1.csv", "No,size\n1,10\n")
    assert items.load().counts.deleted == 1

    # And a missing cursor of the contract is reported
    items.map(**{"from": "*.csv", "cursor": "nothing", "columns": {"id": "No"}})
    with pytest.raises(UsageError, match=r"the cursor 'nothing' of shop\.items is not in its contract"):
        items.load()
