"""`connections.yml`: the errors of an invalid file, and the schema with which editors check it."""

import ast
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from support.shop import Shop

from flows.config.connections import connections_schema, read_connections
from flows.config.settings import PROJECT, SET_VARIABLE
from flows.core.errors import UsageError, WarehouseError


@pytest.fixture(autouse=True)
def no_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the first set of a file: another test's flow may have set ML_WAREHOUSE_SET in this process."""
    monkeypatch.delenv(SET_VARIABLE, raising=False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no set of connections"),
        ("- a list", "holds no set of connections"),
        ("{", "is no YAML at line 1"),
        ("a: {crm: nothing}", "a.crm is not a map"),
        ("a: {crm: {tables: {}}}", "a.crm.url is missing"),
        ("a: {crm: {url: 'file:x', token: y}}", "a.crm has unknown keys: token"),
        (
            "a: {crm: {url: 'file:x', tables: {people: {form: y}}}}",
            r"a.crm.tables.people has unknown keys: form \(did you mean from",
        ),
        ("a: {crm: {url: 'file:x', tables: {people: {query: y, where: z}}}}", "both a query and where or columns"),
        ("a: {crm: {url: 'file:x', tables: {people: {load: merge}}}}", "people.load is 'merge'"),
        ("a: {crm: {url: 'file:x', tables: {people: {columns: [id]}}}}", "people.columns is not a map"),
        ("a: {crm: {url: 'file:x', tables: {people: {where: true}}}}", "people.where is not text"),
    ],
)
def test_a_connections_file_that_cannot_be_followed_is_told(tmp_path: Path, text: str, says: str) -> None:
    # Given such a file
    path = tmp_path / "connections.yml"
    path.write_text(text)

    # When it is read, then the error names the mistake and its place
    with pytest.raises(UsageError, match=says):
        read_connections(path)


def test_a_set_is_chosen_by_name_or_is_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given two sets
    path = tmp_path / "connections.yml"
    path.write_text("one: {crm: {url: 'file:a', tables: {people: }}}\ntwo: {crm: {url: 'file:b'}}\n")
    monkeypatch.delenv("ML_WAREHOUSE_SET", raising=False)

    # When one is read, then the command line comes before the environment, and the first set is the default
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
        ("{{ nothing }}", "crm.url is a template that cannot be read"),
        ("{{ env_var() }}", "crm.url is a template that cannot be read"),
        ("{{ env_var('X'", "crm.url is a template that cannot be read"),
    ],
)
def test_a_template_that_cannot_be_read_is_told(tmp_path: Path, url: str, says: str) -> None:
    # Given a URL with such a template
    path = tmp_path / "connections.yml"
    path.write_text(f'a: {{crm: {{url: "{url}"}}}}')

    # When it is used, then the error describes the mistake
    with pytest.raises(UsageError, match=says):
        read_connections(path).sources["crm"].url()


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        ({"paging": {}}, "paging has no kind; write one of next, link"),
        ({"paging": "next"}, "paging is not a map"),
        ({"paging": {"next": "a", "offset": "b"}}, "paging has next and offset; write one of next, link"),
        ({"paging": {"next": "a", "first": 1}}, "paging has unknown keys: first"),
        ({"paging": {"next": 7}}, "paging.next is not text"),
        ({"paging": {"cursor": "a"}}, "paging has no param"),
        ({"paging": {"offset": "a", "limit": "b"}}, "only one of limit and size"),
        ({"paging": {"offset": "a", "limit": "b", "size": "c"}}, "paging.size is not a whole number"),
        ({"paging": {"page": "a", "first": True}}, "paging.first is not a whole number"),
        ({"method": "put"}, "method is 'put'"),
        ({"body": {"a": 1}}, "a body and no method: post"),
        ({"method": "post", "body": {"a": 1}, "since": "a.b"}, "has no place in its body for 'a.b'"),
        ({"method": "post", "paging": {"next": "a"}}, "a link cannot be posted to"),
        ({"since_format": "iso"}, "has since_format and no since"),
        ({"since": "a", "since_format": "julian"}, "since_format is 'julian'"),
    ],
)
def test_an_endpoint_that_cannot_be_asked_so_is_told(shop: Shop, mapping: dict[str, Any], says: str) -> None:
    # Given such a mapping
    shop.connect("https://api.example.com")
    shop.map(**mapping)

    # When connections.yml is read, then the error names the mistake and its place
    with pytest.raises(UsageError, match=says):
        shop.load()


def test_all_mistakes_of_a_set_are_told_at_once_and_no_value_that_may_be_secret(tmp_path: Path) -> None:
    # Given a set with a mistake in each source, and secrets that do not belong in the file
    path = tmp_path / "connections.yml"
    crm = {"url": "https://c4nary.example.com", "auth": {"basic": {"user": "c4nary", "pasword": "c4nary"}}}
    shop = {"url": ["c4nary"], "auth": {"bearer": 1234567}, "rate": {"count": 5, "period": "week"}}
    body = {"token": "c4nary", "since": date(2026, 3, 1)}
    tables = {"people": {"method": "post", "body": body}, "orders": {"body": ["c4nary"], "where": {"c4nary": 1}}}
    path.write_text(yaml.safe_dump({"a": {"crm": crm, "shop": shop, "sales": {"url": "file:x", "tables": tables}}}))

    # When it is read
    with pytest.raises(UsageError) as failure:
        read_connections(path)

    # Then each mistake has one line with its place
    *mistakes, remedy = str(failure.value).splitlines()
    assert mistakes == [
        f"{path}: a.crm.auth.basic has unknown keys: pasword (did you mean password?); write one of password, user.",
        f"{path}: a.sales.tables.orders.body is not a map of names.",
        f"{path}: a.sales.tables.orders.where is not text; write it in quotes.",
        f"{path}: a.sales.tables.people has a body that is not JSON; write dates in quotes.",
        f"{path}: a.shop.url is not text; write it in quotes.",
        f"{path}: a.shop.auth.bearer is not text; write it in quotes.",
        f"{path}: a.shop.rate.period is 'week'; write 'second', 'minute', 'hour' or 'day'.",
    ]
    assert "Keys of a mapping" in remedy
    assert "c4nary" not in str(failure.value) + repr(failure.value)
    assert "1234567" not in str(failure.value)
    assert failure.value.__context__ is None


MISTAKES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("has no scheme", {"url": "shop.csv"}, {}),
    ("is no time zone", {}, {"from": "*.csv", "time_zone": "Europe/Lundun"}),
    ("needs the environment variable C4NARY", {"url": "file:{{ env_var('C4NARY') }}"}, {}),
    ("the cursor 'at' of", {}, {"from": "*.csv", "cursor": "at"}),
    ("no file matches", {}, {"from": "*.parquet"}),
    ("requires column 'order_id'", {}, {"from": "*.csv"}),
    ("the query of its mapping fails", {}, {"from": "*.csv", "query": "select no_such() from source"}),
    ("its mapping names buyer", {}, {"from": "*.csv", "columns": {"buyer": "id", "order_id": "id"}}),
    ("its mapping cannot be used", {}, {"from": "*.csv", "columns": {"order_id": "no_such(id)"}}),
    ("there is no SQLite file", {"url": "sqlite:///nowhere.sqlite"}, {}),
]


@pytest.mark.parametrize(("text", "connection", "mapping"), MISTAKES)
def test_fault_100_an_error_names_the_file_that_was_given(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, text: str, connection: dict[str, Any], mapping: dict[str, Any]
) -> None:
    """A connections file of another name held a mistake: its own name stands in the error: F."""
    # Given a file of another name in a folder below the working directory
    monkeypatch.setattr(Shop, "connections_file", shop.folder / "sets" / "my-shop.yaml")
    shop.connections_file.parent.mkdir()
    monkeypatch.chdir(shop.folder)
    shop.drop("orders.csv", "id\n1\n")
    shop.connection |= connection
    shop.map(**mapping)

    # When it is used, then the error says which file to look at
    with pytest.raises(WarehouseError, match=text) as failure:
        shop.load()
    assert "sets/my-shop.yaml" in str(failure.value)
    assert str(shop.folder) not in str(failure.value)
    assert "connections.yml" not in str(failure.value)


def test_no_message_names_a_file_that_may_not_be_the_one_given() -> None:
    # Given every call in the flows, except the one that makes the default
    for path in (PROJECT / "flows").rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
        texts = [node.value for call in calls for node in ast.walk(call) if isinstance(node, ast.Constant)]
        # Then none of them writes the default file's name into a text
        assert path.name == "__main__.py" or not [text for text in texts if "connections.yml" in str(text)], path


def test_a_key_of_an_earlier_version_is_refused_by_its_new_name(tmp_path: Path) -> None:
    # Given a mapping with the old name of a key
    path = tmp_path / "connections.yml"
    path.write_text("a: {crm: {url: 'file:x', tables: {people: {overlap: {count: 1, period: day}}}}}")

    # When it is read, then the error names the new key
    with pytest.raises(UsageError, match=r"people has unknown keys: overlap \(it is now called lookback\)"):
        read_connections(path)


def test_a_mapping_is_parsed_once_and_frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a mapping whose templates need a variable
    path = tmp_path / "connections.yml"
    people = {"from": "{{ env_var('PEOPLE') }}", "columns": {"id": 7}, "method": "post", "body": {"at": ["{{ data }}"]}}
    path.write_text(yaml.safe_dump({"a": {"crm": {"url": "https://x", "tables": {"people": people}}}}))
    crm = read_connections(path).sources["crm"]

    # When it is used, then the variable is required, and not before
    with pytest.raises(UsageError, match="needs the environment variable PEOPLE, which is not set"):
        crm.require_environment()
    monkeypatch.setenv("PEOPLE", "people.csv")
    crm.require_environment()
    mapping = crm.mapping("people")
    assert (str(mapping.name), mapping.origin, mapping.columns) == ("crm.people", "people.csv", {"id": "7"})
    assert crm.body("people") == {"at": [str(crm.data)]}
    assert crm.body("others") is None

    # And it cannot be changed
    with pytest.raises(ValueError, match="frozen"):
        mapping.origin = "others.csv"


def test_the_schema_for_editors_is_that_of_the_models() -> None:
    # Given the schema beside connections.yml
    stored = json.loads((PROJECT / "connections.schema.json").read_text())

    # Then it equals the schema of the models, and connections.yml is valid under it
    assert stored == connections_schema(), "write it again: make schema"
    assert (PROJECT / "connections.yml").read_text().splitlines()[0].endswith("$schema=connections.schema.json")
    Draft202012Validator.check_schema(stored)
    Draft202012Validator(stored).validate(yaml.safe_load((PROJECT / "connections.yml").read_text()))


@pytest.mark.parametrize(
    ("connection", "is_valid"),
    [
        ({"url": "file:x"}, True),
        ({"url": "file:x", "tables": {"people": None, "orders": {"columns": {"n": 1}}}}, True),
        (
            {"url": "https://x", "auth": {"key": {"param": "k", "value": "v"}}, "rate": {"count": 1, "period": "day"}},
            True,
        ),
        ({"url": "https://x", "tables": {"people": {"paging": {"page": "p", "first": 0}, "method": "post"}}}, True),
        ({}, False),
        ({"url": "file:x", "token": "y"}, False),
        ({"url": "file:x", "tables": {"people": {"load": "merge"}}}, False),
        ({"url": "file:x", "tables": {"people": {"columns": {"n": True}}}}, False),
        ({"url": "file:x", "tables": {"people": {"lookback": {"count": 1, "period": "week"}}}}, False),
        ({"url": "https://x", "auth": {"bearer": "a", "basic": {"user": "a", "password": "b"}}}, False),
        ({"url": "https://x", "tables": {"people": {"paging": {"page": "p", "first": True}}}}, False),
    ],
)
def test_an_editor_and_a_run_agree_on_what_is_valid(tmp_path: Path, connection: dict[str, Any], is_valid: bool) -> None:
    # Given a file
    path, value = tmp_path / "connections.yml", {"a": {"crm": connection}}
    path.write_text(yaml.safe_dump(value))

    # When it is read, then both find it valid, or both find it invalid
    assert Draft202012Validator(connections_schema()).is_valid(value) == is_valid
    if is_valid:
        assert read_connections(path).sources["crm"].url_template == connection["url"]
    else:
        with pytest.raises(UsageError):
            read_connections(path)
