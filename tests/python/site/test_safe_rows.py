"""Example rows and profiles of the docs site: no value of personal data is in them, however it came to its column."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from flows.site.facts import Column, Origin, Profile, Table
from flows.site.lineage import Ways
from flows.site.profiles import with_profiles
from flows.site.released import example_rows

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


def test_a_column_has_the_class_of_the_only_one_that_it_is_made_of() -> None:
    # Given a source with an email, and models that hand it on, that lower it, that measure it, and that say it is none
    source = Table("s", "source table", "sources", "crm", "clients", columns=[Column("email", "varchar", "", "email")])
    step = Table("a", "view", "staging", "staging", "clients", columns=columns(mail="varchar"))
    mart = Table(
        *("m", "table", "marts", "growth", "clients"),
        columns=[*columns(mail="varchar", length="bigint", both="varchar"), Column("area", "varchar", is_classed=True)],
    )
    traced = {
        "a": {"mail": [["s", "email"]]},
        "m": {
            "mail": [["a", "mail"]],
            "length": [["a", "mail"]],
            "both": [["a", "mail"], ["s", "email"]],
            "area": [["a", "mail"]],
        },
    }
    ways = Ways({one.key: one for one in (source, step, mart)}, traced)

    # Then the text that is handed on has its class, and the others have their own
    found = ways.complete(mart, "select 1")
    assert {column.name: column.personal for column in found.columns} == {
        "mail": "email",
        "length": "",
        "both": "",
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
