"""`connections.yml`: how columns become the contract's, and what is said of a file that cannot be followed."""

from pathlib import Path
from typing import Any

import pytest
from support.shop import Shop

from flows.config.connections import read_connections
from flows.config.settings import SET_VARIABLE
from flows.core.errors import SchemaMismatch, SourceFailed, UsageError

COLUMNS = {"id": "varchar not null", "name": "varchar", "size": "integer"}


@pytest.fixture(autouse=True)
def no_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the first set of a file: another test's flow may have named its own in this process."""
    monkeypatch.delenv(SET_VARIABLE, raising=False)


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

    # Then contract columns are as it says, and what the expressions used is no further column
    assert items.rows("id", "name", "size") == [("N001", "Ada Lovelace", 10)]
    assert (load.counts.read, again.counts.duplicate) == (1, 1)
    assert load.notes == ()


def test_a_record_whose_expression_raises_is_quarantined_and_the_others_are_read(items: Shop) -> None:
    # Given an expression, a filter and a check that raise for some records
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

    # Then each is in quarantine for its reason
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

    # When it is loaded, twice, then what it yields counts as read
    load, again = items.load(), items.load()
    assert (load.counts.read, again.counts.duplicate) == (2, 2)
    assert sorted(items.rows("id", "name", "size")) == [("1", "Ada", 10), ("2", "Bob", 20)]


def test_a_query_that_raises_names_the_file_and_shows_no_value(items: Shop) -> None:
    # Given a file that a query cannot read
    items.drop("2.csv", "No,first,last,size\n3,Jane,Doe,jane.doe@example.com\n")
    items.map(**{"from": "*.csv", "query": "select No as id, cast(size as integer) as size, _file, _row from source"})

    # When it is loaded, then the error names it, and nothing is kept
    with pytest.raises(SourceFailed, match=r"the query of its mapping fails on 2\.csv") as failure:
        items.load()
    assert "jane" not in str(failure.value) + str(items.loads()[-1]["error"])
    assert items.rows() == []

    # And a column that is not there is named
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

    # When it is loaded, then the error says what does not fit
    with pytest.raises(SchemaMismatch, match=text):
        items.load()
    assert items.rows() == []


def test_a_mapping_may_say_how_its_source_is_loaded(items: Shop) -> None:
    # Given an export that is a full copy, of a contract for changes
    items.declare("shop.items", COLUMNS, key=["id"], load="upsert", cursor="size")
    items.map(**{"from": "*.csv", "load": "full", "columns": {"id": "No"}})
    items.load()

    # When a key is gone, then it is deleted
    items.drop("1.csv", "No,size\n1,10\n")
    assert items.load().counts.deleted == 1

    # And a cursor that the contract does not have is told
    items.map(**{"from": "*.csv", "cursor": "nothing", "columns": {"id": "No"}})
    with pytest.raises(UsageError, match=r"the cursor 'nothing' of shop\.items is not in its contract"):
        items.load()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no set of connections"),
        ("- a list", "holds no set of connections"),
        ("{", "is no YAML at line 1"),
        ("a: {crm: nothing}", "a.crm is no map"),
        ("a: {crm: {tables: {}}}", "a.crm has no url"),
        ("a: {crm: {url: 'file:x', token: y}}", "a.crm has unknown keys: token"),
        ("a: {crm: {url: 'file:x', tables: {people: {form: y}}}}", "a.crm.tables.people has unknown keys: form"),
        ("a: {crm: {url: 'file:x', tables: {people: {query: y, where: z}}}}", "both a query and where or columns"),
        ("a: {crm: {url: 'file:x', tables: {people: {load: merge}}}}", "people.load is 'merge'"),
        ("a: {crm: {url: 'file:x', tables: {people: {columns: [id]}}}}", "people.columns is no map"),
        ("a: {crm: {url: 'file:x', tables: {people: {where: true}}}}", "people.where is no text"),
    ],
)
def test_a_connections_file_that_cannot_be_followed_is_told(tmp_path: Path, text: str, says: str) -> None:
    # Given such a file
    path = tmp_path / "connections.yml"
    path.write_text(text)

    # When it is read, then the error says what and where
    with pytest.raises(UsageError, match=says):
        read_connections(path)


def test_a_set_is_chosen_by_name_or_is_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given two sets
    path = tmp_path / "connections.yml"
    path.write_text("one: {crm: {url: 'file:a', tables: {people: }}}\ntwo: {crm: {url: 'file:b'}}\n")
    monkeypatch.delenv("ML_WAREHOUSE_SET", raising=False)

    # When one is read, then it is the one that was named, on the command line before the environment, else the first
    assert read_connections(path).name == "one"
    assert read_connections(path).sources["crm"].mapping("people").origin == "people"
    monkeypatch.setenv("ML_WAREHOUSE_SET", "two")
    assert read_connections(path).name == "two"
    assert read_connections(path, "one").name == "one"
    with pytest.raises(UsageError, match="holds no set 'three'; it holds one, two"):
        read_connections(path, "three")
    with pytest.raises(UsageError, match="no connections file"):
        read_connections(tmp_path / "nothing.yml")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("{{ env_var('NOT_SET_AT_ALL') }}", "needs the environment variable NOT_SET_AT_ALL, which is not set"),
        ("{{ nothing }}", "crm: cannot read the template"),
        ("{{ env_var() }}", "crm: cannot read the template"),
        ("{{ env_var('X'", "crm: cannot read the template"),
    ],
)
def test_a_template_that_cannot_be_read_is_told(tmp_path: Path, url: str, says: str) -> None:
    # Given a URL with such a template
    path = tmp_path / "connections.yml"
    path.write_text(f'a: {{crm: {{url: "{url}"}}}}')

    # When it is used, then the error says what is wrong
    with pytest.raises(UsageError, match=says):
        read_connections(path).sources["crm"].url()
