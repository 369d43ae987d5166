"""Example rows and profiles of the docs site: no value of personal data is in them, however it came to its column."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from flows.site.facts import Column, Origin, Profile, Table
from flows.site.lineage import Ways, _trace
from flows.site.loads import _watermark
from flows.site.profiles import with_profiles
from flows.site.released import _typed, example_rows

PERSON = "ada@example.com"


@pytest.fixture
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def columns(**types: str) -> list[Column]:
    return [Column(name, kind) for name, kind in types.items()]


def test_examples_show_classes_shapes_and_beginnings_in_place_of_what_may_be_personal(
    database: duckdb.DuckDBPyConnection,
) -> None:
    # Given rows with an email, a mailbox that no one has classified, a record, bytes, a long text, and plain values
    database.execute(
        f"create table people as select 2 as id, '{PERSON}' as email, 'write to {PERSON}' as note, "
        f"""'{{"to": "{PERSON}"}}' as record, 'abc'::blob as photo, """
        "repeat('word ', 99) as story, date '2026-01-05' as day "
        "union all select 1, null, 'Café', '[]', null, 'short', null"
    )
    listed = columns(
        id="integer", email="varchar", note="varchar", record="varchar", photo="blob", story="varchar", day="date"
    )
    listed[1] = replace(listed[1], personal="email")
    table = Table("t", "table", "marts", "main", "people", unique=("id",), columns=listed)

    # When some are shown, then they are the first by key, and the address is in none of them
    first, second = example_rows(database, "people", table)
    assert first == ["1", "null", "Café", "[]", "null", "short", "null"]
    assert second[:5] == ["2", "‹email›", "aaa aa aaa@aaa.aaa", '{"aa": "aaa@aaa.aaa"}', "‹bytes›"]
    assert second[5].endswith("…")
    assert second[6] == "2026-01-05"


def test_a_column_has_the_class_of_those_that_it_is_made_of_if_all_are_personal() -> None:
    # Given a source with an email and a phone, and models that hand them on, join them, measure them, or say it is none
    source = Table(
        *("s", "source table", "sources", "crm", "clients"),
        columns=[
            Column("email", "varchar", "", "email"),
            Column("phone", "varchar", "", "phone"),
            *columns(id="varchar"),
        ],
    )
    step = Table("a", "view", "staging", "staging", "clients", columns=columns(mail="varchar"))
    mart = Table(
        *("m", "table", "marts", "growth", "clients"),
        columns=[
            *columns(
                mail="varchar", length="bigint", both="varchar", either="varchar", named="varchar", part="varchar"
            ),
            Column("area", "varchar", is_classed=True),
        ],
    )
    traced = {
        "a": {"mail": [["s", "email"]]},
        "m": {
            "mail": [["a", "mail"]],
            "length": [["a", "mail"]],
            "both": [["a", "mail"], ["s", "email"]],
            "either": [["s", "email"], ["s", "phone"]],
            "named": [["s", "email"], ["s", "id"]],
            "part": [["m", "area"]],
            "area": [["a", "mail"]],
        },
    }
    ways = Ways({one.key: one for one in (source, step, mart)}, traced)

    # Then texts that are made of personal ones alone have their classes, and the others have their own
    found = ways.complete(mart, "select 1")
    assert {column.name: column.personal for column in found.columns} == {
        "mail": "email",
        "length": "",
        "both": "email",
        "either": "email, phone",
        "named": "",
        "part": "",
        "area": "",
    }
    assert found.columns[0].origin == Origin([("a", "mail")], [("s", "email")])


def test_profiles_of_personal_columns_are_counts_alone(tmp_path: Path) -> None:
    # Given a release whose history of profiles has values of a column that is personal by its lineage
    file = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(file)) as release:
        release.execute(
            "create schema core; create table core.table_profiles as select 'r1' as release_name, 'growth' as "
            "table_schema, 'clients' as table_name, 3 as row_count, timestamp '2026-01-05' as newest_at;"
            "create table core.column_profiles as select 'r1' as release_name, 'growth' as table_schema, 'clients' as "
            "table_name, unnest(['mail', 'note']) as column_name, 3 as row_count, 0 as null_count, "
            "2 as distinct_count, "
            f"'{PERSON}' as minimum, '{PERSON}' as maximum, null::double as mean, null::double as standard_deviation, "
            f"null::double[] as quantiles, [{{label: '{PERSON}', row_count: 3}}] as histogram"
        )
    listed = [Column("mail", "varchar", personal="email"), Column("note", "varchar")]
    tables = {"m": Table("m", "table", "marts", "growth", "clients", columns=listed)}

    # Then it is counted, and the values of another one that look like an address have their shape
    mail, note = with_profiles(tables, file, "r1")["m"].columns
    assert mail.profile == Profile(3, 0, 2)
    assert note.profile is not None
    assert note.profile.minimum == note.profile.histogram[0].label == "aaa@aaa.aaa"
    assert with_profiles(tables, file, "r1")["m"].history == [("r1", 3)]


def test_columns_are_followed_whatever_letters_their_names_have() -> None:
    # Given a source whose contract writes a table and columns in capitals, and a model that quotes them
    known = {("shop", "Clinic", "Patients"): {"Full Name": "varchar", "ÄRZTIN": "varchar"}}
    places = {("shop", "clinic", "patients"): "s"}
    model = Table("m", "table", "marts", "growth", "patients", columns=columns(**{"Name of all": "varchar"}))

    # When its columns are traced, then the names are those of the contract and of the model
    sql = 'select "Full Name" || "ÄRZTIN" as "Name of all" from shop."Clinic"."Patients"'
    assert _trace(sql, known, places, model)["Name of all"] == [["s", "Full Name"], ["s", "ÄRZTIN"]]


def test_examples_show_the_shape_of_what_a_list_holds(database: duckdb.DuckDBPyConnection) -> None:
    # Given lists of texts, of records and of numbers
    kinds = {
        "mails": f"['{PERSON}']",
        "records": f"[{{'name': 'Ada', 'mail': '{PERSON}'}}]",
        "messages": """['{"name": "Ada"}']""",
        "colours": "['red', 'blue']",
        "parts": "[1.5, 2.5]",
        "fixed": f"['{PERSON}']::varchar[1]",
    }
    database.execute(f"create table lists as select {', '.join(f'{sql} as {name}' for name, sql in kinds.items())}")
    listed = [Column(name, kind.lower()) for name, kind, *_ in database.execute("describe lists").fetchall()]

    # Then addresses and records among them have their shape, and the others are as they are
    (row,) = example_rows(database, "lists", Table("t", "table", "marts", "main", "lists", columns=listed))
    assert not [value for value in row if "ada" in value.lower() or "example.com" in value]
    assert row[3:5] == ["[red, blue]", "[1.5, 2.5]"]


def test_a_class_is_found_however_a_column_is_written() -> None:
    declared = [Column("Phone", "varchar", "How to call.", "phone"), Column("day", "date")]
    found = _typed(declared, {"phone": "varchar", "day": "date"})
    assert [(one.name, one.personal) for one in found] == [("phone", "phone"), ("day", "")]


@pytest.mark.parametrize(
    ("watermark", "shown"),
    [
        (None, ""),
        ({"time": "2026-03-01T23:07:34.123456"}, "2026-03-01 23:07:34"),
        ({"value": "2026-03-01 23:07:34"}, "2026-03-01 23:07:34"),
        ({"value": 12}, "12"),
        ({"number": "0012"}, ""),
        ({"value": "Ada"}, ""),
        ({"topic_id": "x", "offsets": {"0": 5}}, "offsets"),
        ([3], ""),
    ],
)
def test_the_watermark_of_a_source_is_shown_as_its_log_keeps_it(watermark: object, shown: str) -> None:
    # Given a table whose last batch has a watermark, which the log keeps as JSON of its text
    text = json.dumps(None if watermark is None else json.dumps(watermark))
    raw: Any = SimpleNamespace(last_commit=lambda: {"watermark": text})
    clients = Table("s", "source table", "sources", "crm", "clients", columns=columns(changed="timestamp"))

    # Then it can be read, and that of a personal cursor is hidden
    assert _watermark(raw, clients, "changed") == shown
    personal = replace(clients, columns=[Column("changed", "timestamp", personal="birth_date")])
    assert _watermark(raw, personal, "changed") == ""
