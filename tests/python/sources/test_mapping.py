"""Mappings: from the columns of a source to those of the contract."""

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.shop import Shop

from flows.core.errors import SchemaMismatch, SourceFailed, UsageError, WarehouseError
from flows.lake.raw import RawTable
from flows.sources.suggestions import suggest_mapping

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
    assert (load.counts.read, again.counts.known) == (1, 1)
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
    assert (load.counts.read, again.counts.known) == (2, 2)
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

    # And a query that reads no column of a file is told by the file's name
    items.map(**{"from": "*.csv", "query": "select nothing from source"})
    with pytest.raises(SchemaMismatch, match=r"1\.csv has no column that the mapping reads"):
        items.load()


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({"columns": {"id": "nothing + 1"}}, '"nothing" not found'),
        ({"columns": {"id": "No +"}}, "syntax error"),
        ({"columns": {"id": "No"}, "where": "nothing > 1"}, '"nothing" not found'),
        ({"columns": {"id": "no_such_function(No)"}}, "no_such_function does not exist"),
        ({"columns": {"id": "No", "colour": "first"}}, "its mapping names colour, which the contract does not have"),
        ({}, "the contract requires column 'id', which 1\\.csv does not have"),
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


RECORDS = [{"id": "1", "buyer": {"email": "a@x.org"}}, {"id": "2"}, {"id": "3", "deleted": "yes"}]
ORDERS = {"id": "varchar not null", "customer": "varchar"}


@pytest.fixture
def orders(shop: Shop) -> Shop:
    shop.declare("sales.orders", ORDERS, key=["id"], load="append")
    return shop


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize(
    "mapping",
    [
        {"columns": {"customer": "buyer->>'email'"}, "where": "deleted is null"},
        {"columns": {"customer": "coalesce(Buyer->>'email', guest || 1)"}, "where": "source.deleted is null"},
        {"query": "select id, buyer->>'email' as customer from source where deleted is null"},
        {"query": "with k as (from source s where s.deleted is null) select id, k.buyer->>'email' customer from k"},
    ],
)  # fmt: skip
def test_fault_106_a_field_that_no_record_has_is_null(orders: Shop, kind: str, mapping: dict[str, Any]) -> None:
    """An API left fields out of all its records, or a file was older than a column of its mapping: A."""

    # Given records without the fields that the mapping reads
    def drop(name: str, rows: list[dict[str, Any]]) -> None:
        if kind == "jsonl":
            orders.drop_rows(f"{name}.jsonl", rows)
        elif kind == "csv":
            columns = list(dict.fromkeys(column for row in rows for column in row))
            lines = [
                [json.dumps(row[one]) if isinstance(row.get(one), dict) else row.get(one) for one in columns]
                for row in rows
            ]
            text = io.StringIO()
            csv.writer(text).writerows([columns, *lines])
            orders.drop(f"{name}.csv", text.getvalue())
        else:
            as_text = [{key: json.dumps(one) if key == "buyer" else one for key, one in row.items()} for row in rows]
            columns = list(dict.fromkeys(column for row in rows for column in row))
            table = pa.table({one: pa.array([row.get(one) for row in as_text], pa.string()) for one in columns})
            parquet.write_table(table, orders.exports / f"{name}.parquet")

    orders.map(**{"from": "*", **mapping})
    drop("1", [{"id": "1"}, {"id": "2"}])

    # When they are loaded, then the fields are null, and that is told
    first = orders.load()
    assert orders.rows("id", "customer") == [("1", None), ("2", None)]
    assert any('no record has "' in note and "taken as null" in note for note in first.notes)
    assert "buyer" not in RawTable(orders.lake, orders.name).types()

    # And it is told once, until it changes
    drop("2", [{"id": "3"}])
    assert orders.load().notes == ()
    drop("3", [{"id": "4", "buyer": {"email": "a@x.org"}, "deleted": None}, {"id": "5", "deleted": "yes"}])
    orders.load()
    assert orders.rows("id", "customer")[3:] == [("4", "a@x.org")]


def test_fault_106_a_misspelt_field_is_told_with_the_likely_one(orders: Shop) -> None:
    """A mapping misspelt a field that may be null, in a column and in where: A, F."""
    # Given a misspelt column
    orders.map(**{"from": "*", "columns": {"customer": "byer"}})
    orders.drop_rows("1.jsonl", [{"id": "1", "buyer": "Ann"}])

    # When it is loaded, then the note says which field was probably meant
    notes = "\n".join(orders.load().notes)
    assert 'no record has "byer", which the mapping reads; taken as null. Did you mean "buyer"?' in notes
    assert "Ann" not in notes

    # And a where that no record passes for a misspelt field is refused, at first
    orders.map(**{"from": "*", "where": "buyr = 'Ann'"})
    with pytest.raises(SchemaMismatch, match='"buyr" not found in any record, so that where lets no') as failure:
        orders.load()
    assert 'Did you mean "buyer"?' in str(failure.value)

    # But a where that was used before may read a field that has no value today
    orders.map(**{"from": "*", "where": "buyer = 'Ann'"})
    orders.load()
    orders.drop_rows("2.jsonl", [{"id": "2"}])
    assert orders.load().counts.accepted == 0


@pytest.mark.parametrize(
    "mapping", [{"columns": {"id": "lower(ordr_id)"}}, {"query": "select lower(ordr_id) as id from source"}]
)
def test_fault_106_a_required_column_is_never_taken_as_null(orders: Shop, mapping: dict[str, Any]) -> None:
    """The field of a required column was in no record: F."""
    # Given a mapping whose required column reads a field that no record has
    orders.map(**{"from": "*", **mapping})
    orders.drop_rows("1.jsonl", [{"order_id": "1", "customer": "Ann"}])

    # When it is loaded, then nothing is, and the error suggests the field
    with pytest.raises(WarehouseError, match=r'"ordr_id" not found in any record') as failure:
        orders.load()
    assert 'Did you mean "order_id"?' in str(failure.value)
    assert "Ann" not in str(failure.value)
    assert orders.rows() == []


def test_fault_107_a_header_that_is_a_record_is_not_shown(orders: Shop) -> None:
    """A CSV came without a header, and its first record held personal data: F."""
    # Given such a file, and mappings that read it in every way
    orders.drop("1.csv", "ann@x.org,Ann,12.5,order 7 of Ann\nbob@x.org,Bob,2.5,order 8 of Bob\n")
    for mapping in (
        {},
        {"columns": {"id": "order_id"}},
        {"columns": {"id": "order_id + 1", "customer": "no_such(name)"}},
        {"query": "select order_id as id from source"},
        {"query": "select s.order_id as id from source s"},
    ):
        orders.map(**{"from": "*", **mapping})

        # When it is read, then the error names the file's table and no value
        with pytest.raises(WarehouseError) as failure:
            orders.load()
        shown = str(failure.value) + str(orders.loads()[-1]["error"])
        assert not [value for value in ("ann@x.org", "Ann", "12.5") if value in shown], shown


@pytest.mark.parametrize(
    ("missing", "found", "is_suggested"),
    [
        ("order_id", "order_number", True),
        ("order_id", "OrderID", True),
        ("unit_price", "price", True),
        ("birth_date", "State", False),
        ("birth_date", "start_date", False),
        ("order_id", "customer_id", False),
        ("quantity", "qty", False),
        ("email", "ann@email.org", False),
    ],
)
def test_fault_108_a_rename_is_suggested_by_a_word_in_common(missing: str, found: str, is_suggested: bool) -> None:
    """A required column was missing, and names that are alike by chance were in the source: F."""
    text = suggest_mapping(missing, ["State", "start_date", found])
    assert (f'Was "{missing}" renamed? The source has "{found}"' in text) == is_suggested
    assert bool(text) == is_suggested
