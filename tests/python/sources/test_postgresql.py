"""A real PostgreSQL server: watermarks, exact values, one snapshot, and no secret of the URL in messages."""

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.databases import COLUMNS, VARIABLE, connect_people
from support.nursery import Bad, Plant, as_bad, as_texts, check_three_rounds
from support.shop import Shop

from flows.core.errors import SchemaMismatch, SourceFailed, UsageError
from flows.core.names import literal
from flows.sources import connect
from flows.sources.batches import Request
from flows.sources.sql.postgresql import SESSION
from tests.services.postgresql import PostgresqlServer, postgresql
from tests.services.server import PASSWORD

pytestmark = pytest.mark.services

PEOPLE = "create table people (id int primary key, name text, updated_at timestamptz)"


@pytest.fixture(scope="module")
def running() -> Iterator[PostgresqlServer]:
    with postgresql() as server:
        yield server


@pytest.fixture
def server(running: PostgresqlServer, monkeypatch: pytest.MonkeyPatch) -> PostgresqlServer:
    """The server, with an empty database."""
    monkeypatch.setenv("CRM_PASSWORD", PASSWORD)
    running.execute("drop schema if exists public cascade; create schema public")
    return running


@pytest.fixture
def people(shop: Shop, server: PostgresqlServer) -> Shop:
    return connect_people(shop, server, PEOPLE)


def insert(server: PostgresqlServer, *rows: tuple[int, str, str | None]) -> None:
    for number, name, at in rows:
        moment = "null" if at is None else f"'{at}'"
        server.execute(
            f"insert into people values ({number}, '{name}', {moment}) "
            f"on conflict (id) do update set name = excluded.name, updated_at = excluded.updated_at"
        )


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "postgresql+adbc"])
def test_rows_are_read_once_and_then_from_the_watermark_on(people: Shop, server: PostgresqlServer, scheme: str) -> None:
    # Given a table, a password with every character that a URL escapes, and no psycopg
    people.connect(server.url(VARIABLE, scheme))
    insert(server, (1, "Ada", "2026-03-01 10:00Z"), (2, "Bob", "2026-03-02 10:00Z"), (3, "Cyd", None))
    assert people.load().counts.accepted == 3
    assert "psycopg" not in sys.modules

    # When it is loaded again, and after a change, a late row within the lookback, and a row before the lookback
    again = people.load()
    insert(server, (1, "Ann", "2026-03-03 12:00+02"), (4, "Dot", "2026-03-02 09:30Z"), (5, "Eve", "2026-01-01 10:00Z"))
    load = people.load()

    # Then the load reads rows after the watermark, rows within the lookback and rows without a time
    assert (again.counts.read, again.counts.known) == (2, 2)
    assert (load.counts.accepted, load.counts.known) == (2, 2)
    assert sorted(people.rows("name"), key=str) == ["Ada", "Ann", "Bob", "Cyd", "Dot"]
    assert people.rows("updated_at", where="name = 'Ann'") == [datetime(2026, 3, 3, 10)]


@pytest.mark.parametrize(
    ("kind", "contract", "first", "overlapping", "later", "before"),
    [
        ("timestamptz", "timestamp", "2026-03-02 10:00Z", "2026-03-02 9:30Z", "2026-03-02 10:01Z", "2026-03-02 8:00Z"),
        ("timestamp", "timestamp", "2026-03-02 10:00", "2026-03-02 09:30", "2026-03-02 10:01", "2026-03-02 08:00"),
        ("date", "date", "2026-03-02", "2026-03-02", "2026-03-03", "2026-02-28"),
        ("integer", "bigint", "100", "100", "1000", "99"),
        ("numeric", "decimal(18, 2)", "99.50", "99.50", "100.25", "9.50"),
        ("double precision", "double", "99.5", "99.5", "100.25", "9.5"),
        ("real", "double", "0.3", "0.3", "0.7", "0.1"),
        ("text", "varchar", "b", "b", "c", "a"),
        ("text", "timestamp", "2026-03-02T10:00Z", "2026-03-02T09:30Z", "2026-03-02T10:01Z", "2026-03-02T08:00Z"),
        ("uuid", "varchar", *(f"{sign}0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" for sign in "bbca")),
    ],
)  # fmt: skip
def test_watermarks_of_every_type_move_on_and_never_back(
    people: Shop, server: PostgresqlServer, kind: str, contract: str, first: str, overlapping: str, later: str,
    before: str,
) -> None:  # fmt: skip
    # Given a table with a cursor of some type
    people.declare(
        "crm.people",
        {**COLUMNS, "updated_at": contract},
        key=["id"],
        load="upsert",
        cursor="updated_at",
        lookback={"count": 1, "period": "hour"} if contract in ("timestamp", "date") else 0,
    )
    server.execute(f"alter table people alter updated_at type {kind} using null")
    insert(server, (1, "Ada", first))
    people.load()

    # When rows arrive with the same, a later and an earlier value
    insert(server, (2, "Bob", overlapping), (3, "Cyd", before))
    assert (people.load().counts.accepted, people.rows("name")) == (1, ["Ada", "Bob"])
    server.execute("delete from people where id = 1")
    insert(server, (4, "Dot", later))
    assert people.load().counts.accepted == 1

    # Then an older copy of the source is refused, and the watermark is unchanged
    server.execute("delete from people where id <> 3")
    with pytest.raises(SourceFailed, match="older copy") as failure:
        people.load()
    assert failure.value.is_transient
    insert(server, (5, "Eve", later))
    assert people.load().counts.accepted == 1


@pytest.mark.parametrize("kind", ["text", "varchar(40)"])
def test_rows_with_an_empty_cursor_are_read_whenever_they_come(
    people: Shop, server: PostgresqlServer, kind: str
) -> None:
    # Given a cursor that is kept as text, and a watermark
    people.declare("crm.people", {**COLUMNS, "updated_at": "varchar"}, key=["id"], load="upsert", cursor="updated_at")
    server.execute(f"alter table people alter updated_at type {kind} using null")
    insert(server, (1, "Ada", "2026-03-02 10:00"))
    people.load()

    # When rows arrive whose cursor is empty, blank or a dash
    insert(server, (2, "Bob", ""), (3, "Cyd", " "), (4, "Dot", "-"))
    people.load()

    # Then they are in the lake
    assert sorted(people.rows("name")) == ["Ada", "Bob", "Cyd", "Dot"]


LONG = "12345678901234567890.123456789012345678"
EXACT: list[tuple[str, str, str, Any]] = [
    ("a_smallint", "smallint", "-32768", -32768),
    ("a_bigint", "bigint", "9223372036854775807", 2**63 - 1),
    (
        "a_numeric",
        "numeric(38, 18)",
        "12345678901234567890.123456789012345678",
        "12345678901234567890.123456789012345678",
    ),
    ("a_long_numeric", "numeric", f"{'9' * 60}.{'1' * 20}", f"{'9' * 60}.{'1' * 20}"),
    ("a_numeric_nan", "numeric", "'NaN'", "NaN"),
    ("a_double", "double precision", "0.1::float8 + 0.2::float8", 0.30000000000000004),
    ("a_real", "real", "0.1", 0.1),
    ("a_money", "money", "'$1,234.50'", "$1,234.50"),
    ("a_boolean", "boolean", "true", True),
    ("a_text", "text", "'Zoë, \"x\"\t€ 100 %'", 'Zoë, "x"\t€ 100 %'),
    ("an_empty_text", "text", "''", ""),
    ("a_char", "char(3)", "'x'", "x  "),
    ("a_bytea", "bytea", "'\\x00ff'", b"\x00\xff"),
    ("a_uuid", "uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("a_json", "json", '\'{"b": 1.10, "a": 12345678901234567890.5}\'', '{"b": 1.10, "a": 12345678901234567890.5}'),
    ("a_jsonb", "jsonb", '\'{"b": 1.10, "a": null}\'', '{"a": null, "b": 1.10}'),
    ("an_enum", "mood", "'sad ☹'", "sad ☹"),
    ("a_domain", "cents", "12345678901234567890", "12345678901234567890"),
    ("a_row", "pair", "row(1, 2.50)", '{"a":1,"b":2.50}'),
    ("an_array", "int[]", "'{{1,2},{3,null}}'", "[[1,2],[3,null]]"),
    ("a_text_array", "text[]", "array['a', 'b,\"c', null]", '["a","b,\\"c",null]'),
    ("a_numeric_array", "numeric[]", "array[1.50, 12345678901234567890.5]", "[1.50,12345678901234567890.5]"),
    ("a_range", "int4range", "'[1,5)'", "[1,5)"),
    ("a_time_range", "tstzrange", "'[2026-03-01 12:00+02,)'", '["2026-03-01 10:00:00+00",)'),
    ("an_inet", "inet", "'10.0.0.1'", "10.0.0.1"),
    ("a_bit", "bit(3)", "B'101'", "101"),
    ("a_point", "point", "'(1,2.5)'", "(1,2.5)"),
    ("an_interval", "interval", "'1 month 2 days 03:00'", "1 mon 2 days 03:00:00"),
    ("a_time", "time", "'24:00'", "24:00:00"),
    ("a_time_with_zone", "timetz", "'10:00+02'", "10:00:00+02"),
    ("a_date", "date", "'2026-03-01'", date(2026, 3, 1)),
    ("a_timestamp", "timestamp", "'2026-03-01 10:00:00.123456'", datetime(2026, 3, 1, 10, 0, 0, 123456)),
    ("a_timestamptz", "timestamptz", "'2026-03-01 12:00+02'", datetime(2026, 3, 1, 10, tzinfo=UTC)),
]


def test_every_type_is_read_exactly_or_as_text(people: Shop, server: PostgresqlServer, tmp_path: Path) -> None:
    # Given a table with a column of every type, and a server with unusual settings
    server.execute(
        "create type mood as enum ('sad ☹', 'ok'); create domain cents as numeric(20, 0);"
        "create type pair as (a int, b numeric);"
        f"create table things ({', '.join(f'{name} {kind}' for name, kind, _, _ in EXACT)});"
        f"insert into things values ({', '.join(value for _, _, value, _ in EXACT)});"
        "insert into things default values;"
        f"alter role {server.user} set timezone = 'America/New_York';"
        f"alter role {server.user} set datestyle = 'German';"
        f"alter role {server.user} set intervalstyle = 'iso_8601';"
        f"alter role {server.user} set extra_float_digits = 0"
    )

    # When it is read
    people.map(**{"from": "things"})
    request = Request(None, None, (), timedelta(0), lambda _: None, tmp_path)
    connection = people.read_connection()
    with duckdb.connect() as duck:
        duck.execute("set timezone = 'UTC'")
        (batch,) = connect(connection, connection.mapping("people")).batches(duck, request)
        found = duck.sql(
            f"select {', '.join(name for name, *_ in EXACT)} from {batch.records} order by _row"
        ).fetchall()
    server.execute(f"alter role {server.user} reset all")

    # Then every value is exact, and null is null
    assert batch.read == 2
    assert dict(zip([name for name, *_ in EXACT], found[0], strict=True)) == {name: value for name, *_, value in EXACT}
    assert set(found[1]) == {None}


def test_texts_of_another_encoding_are_read_as_they_are(people: Shop, server: PostgresqlServer) -> None:
    # Given a database that does not store UTF-8
    server.execute("drop database if exists old")
    server.execute("create database old encoding 'LATIN1' locale 'C' template template0")
    server.execute(f"{PEOPLE}; insert into people values (1, 'Zoë', now())", database="old")
    people.connect(server.url(VARIABLE).replace("/shop", "/old"))

    # When it is loaded, then its texts are right
    people.load()
    assert people.rows("name") == ["Zoë"]


def test_decimals_arrive_in_the_lake_as_they_are(people: Shop, server: PostgresqlServer) -> None:
    # Given amounts that do not fit a double
    people.declare("crm.people", {"id": "varchar not null", "amount": "decimal(38, 18)"}, key=["id"], load="full")
    server.execute(
        "drop table people; create table people (id int, amount numeric);"
        "insert into people select n, 12345678901234567890.123456789012345678 + n from generate_series(1, 3) as n"
    )

    # When they are loaded, twice
    assert people.load().counts.accepted == 3
    assert people.load().counts.known == 3

    # Then they are exact
    assert people.rows("amount")[0] == Decimal("12345678901234567891.123456789012345678")


NO_DATES = ("infinity", "-infinity", "0044-03-15 BC", "10000-01-01", "294276-12-31")
"""Dates that PostgreSQL has, and Python or Arrow has not."""


@pytest.mark.parametrize("load", ["append", "upsert", "full"])
@pytest.mark.parametrize("mapped", [True, False])
def test_fault_76_dates_that_python_lacks_keep_no_other_row_out(
    people: Shop, server: PostgresqlServer, mapped: bool, load: str
) -> None:
    """A table had infinite dates, and years before Christ or after 9999, in a mapped column or in another: Q, I."""
    # Given such dates of each type, among others, in a session that another time zone was set for
    kinds = {"d": "date", "t": "timestamp", "z": "timestamptz"}
    columns = {"id": "varchar not null", "updated_at": "timestamp"} | (
        {"d": "date", "t": "timestamp", "z": "timestamp"} if mapped else {}
    )
    people.declare("crm.people", columns, key=["id"], load=load, cursor="updated_at" if load == "upsert" else None)
    server.execute("; ".join(f"alter table people add {name} {kind}" for name, kind in kinds.items()))
    values = [None, "9999-12-31 23:59:59+00", *NO_DATES, "2026-03-01"]
    for at, value in enumerate(values):
        written = "null" if value is None else f"'{value}'"
        moment = "infinity" if value == "infinity" else "2026-03-01"
        server.execute(
            f"insert into people (id, name, updated_at, {', '.join(kinds)}) "
            f"values ({at}, '', '{moment}', {', '.join([written] * 3)})"
        )
    server.execute(f"alter role {server.user} set timezone = 'Asia/Tokyo'")

    # When it is loaded, twice, and a row comes later
    first, again = people.load(), people.load()
    server.execute("insert into people (id, updated_at) values (99, '2026-03-02')")
    last = people.load()
    server.execute(f"alter role {server.user} reset all")

    # Then such dates are one quarantined record each, their column named, or texts where no contract wants a date
    refused = len(NO_DATES) if mapped else 1  # a cursor of infinity is refused in any case
    assert (first.counts.accepted, first.counts.quarantined) == (len(values) - refused, refused)
    assert (again.counts.accepted, again.counts.quarantined, last.counts.accepted) == (0, 0, 1)
    if mapped:
        for raw, reasons in people.quarantine():
            assert {reason.partition(":")[0] for reason in reasons} >= {"t", "z"}
            assert any(value.removesuffix(" BC").encode() in raw for value in NO_DATES)
        assert people.rows("cast(z as varchar)", where="id = '1'") == ["9999-12-31 23:59:59"]
    else:
        texts = people.rows("cast(d as varchar)", "cast(z as varchar)", where="d is not null and id <> '99'")
        shown = {day.replace(" (BC)", " BC") for day, _ in texts}
        assert shown == {"9999-12-31", *NO_DATES[1:], "2026-03-01"}
        assert ("294276-12-31", "294276-12-31 00:00:00+00") in texts


@pytest.mark.parametrize("kind", ["numeric", "double precision", "real"])
@pytest.mark.parametrize("load", ["upsert", "full"])
def test_fault_77_infinite_numbers_keep_no_other_row_out(
    people: Shop, server: PostgresqlServer, kind: str, load: str
) -> None:
    """A column of numbers had infinity and NaN, and was the cursor of the load as well: Q."""
    # Given such numbers among others, in mapped columns and in one that no mapping uses
    columns = {"id": "varchar not null", "a": "decimal(18, 2)", "b": "double", "c": "bigint", "text": "varchar"}
    further = {"cursor": "b", "lookback": 0} if load == "upsert" else {}
    people.declare("crm.people", columns, key=["id"], load=load, **further)
    server.execute(f"create table numbers (id int, a {kind}, b {kind}, c {kind}, text {kind}, extra {kind})")
    people.map(**{"from": "numbers"})
    rows = ["1.5, 1.5, 2", "'Infinity', 1.5, 2", "1.5, '-Infinity', 2", "1.5, 1.5, 'NaN'", "1.5, 'NaN', 2"]
    for at, row in enumerate(rows):
        server.execute(f"insert into numbers values ({at}, {row}, 'Infinity', 'NaN')")

    # When it is loaded, twice, and a row comes later with a larger number
    first, again = people.load(), people.load()
    server.execute("insert into numbers values (9, 2, 3, 4, 5, 6)")
    last = people.load()

    # Then each such number is one quarantined record with its column named, and a text where a text is wanted
    assert (first.counts.accepted, first.counts.quarantined, again.counts.accepted) == (1, 4, 0)
    assert (last.counts.accepted, last.counts.quarantined) == (1, 0)
    reasons = sorted(reason.partition(":")[0] for _, found in people.quarantine() for reason in found)
    assert reasons == ["a", "b", "b", "c"]
    assert people.rows("text", where="id = '0'") == ["Infinity" if kind == "numeric" else "inf"]


def test_fault_35_bytes_of_a_database_without_encoding_are_quarantined(people: Shop, server: PostgresqlServer) -> None:
    """A database of encoding SQL_ASCII held texts of several encodings: Q."""
    # Given such a database with UTF-8 in one row and Latin-1 in another
    server.execute("drop database if exists bytes")
    server.execute("create database bytes encoding 'SQL_ASCII' locale 'C' template template0")
    server.execute(f"{PEOPLE}; insert into people values (1, 'Zoë', '2026-03-01 10:00Z')", database="bytes")
    server.execute("insert into people values (2, E'Zo\\xeb', null), (3, 'Ada', null)", database="bytes")
    people.connect(server.url(VARIABLE).replace("/shop", "/bytes"))

    # When it is loaded, then the row that is not UTF-8 is in quarantine with its bytes
    load = people.load()
    assert (load.counts.accepted, load.counts.quarantined) == (2, 1)
    assert sorted(people.rows("name")) == ["Ada", "Zoë"]
    ((raw, reasons),) = people.quarantine()
    assert raw == b'{"id": 2, "name": "Zo\xeb", "updated_at": null}'
    assert reasons == ["name: is not UTF-8"]


@pytest.mark.parametrize("name", ["order lines", "a.b", "select", 'shop.order "lines"', "Shop", "shop.Customer"])
def test_fault_75_a_table_may_have_any_name(people: Shop, server: PostgresqlServer, name: str) -> None:
    """A table's name had a space, a dot, a quote, capitals, its schema before it, or was a word of SQL: I."""
    schema, _, table = name.partition(".") if name.startswith("shop.") else ("public", "", name)
    quoted = f'{schema}."{table.replace(chr(34), chr(34) * 2)}"'
    server.execute(f"drop schema if exists shop cascade; create schema shop; create table {quoted} (like people)")
    server.execute(f"insert into {quoted} values (1, 'Ada', '2026-03-01 10:00Z')")
    people.map(**{"from": name})
    assert people.load().counts.accepted == 1


def test_fault_74_two_columns_of_one_name_are_refused(people: Shop, server: PostgresqlServer) -> None:
    """A query joined two tables that both have a name: F."""
    join = "people as one inner join people as other on one.id = other.id"
    for mapping in ({"query": f"select one.*, other.* from {join}"}, {"from": join}):
        people.map(**mapping)
        with pytest.raises(SchemaMismatch, match="'id' and 'id' do not"):
            people.load()


@pytest.mark.parametrize("end", [" -- the newest first", "; -- done; really", ";\n/* a; b */\n"])
def test_fault_75_a_query_may_end_in_a_comment(people: Shop, server: PostgresqlServer, end: str) -> None:
    """A query ended in a comment, in a semicolon, or in both: I."""
    insert(server, (1, "Ada", None))
    people.map(query=f"select *, $a$;$a$ as mark from people{end}")
    assert people.load().counts.accepted == 1


def test_a_column_that_is_null_for_long_and_an_empty_table(people: Shop, server: PostgresqlServer) -> None:
    # Given a table without rows, then with nulls only
    assert people.load().counts.read == 0
    insert(server, (1, "", None))
    server.execute("update people set name = null")

    # When it is loaded, then no row is lost, and a late value is read
    assert people.load().counts.accepted == 1
    insert(server, (2, "", "2026-03-01 10:00Z"))
    assert people.load().counts.accepted == 1
    assert people.rows("name") == [None, ""]


def test_a_table_in_several_batches_keeps_its_order_and_its_snapshot(
    people: Shop, server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # Given more rows than a batch has
    monkeypatch.setattr("flows.sources.arrow_batches.ROWS_A_BATCH", 1_000)
    monkeypatch.setattr("flows.sources.sql.postgresql.BYTES_A_FETCH", 10_000)
    server.execute(
        "insert into people select n, 'x', timestamptz '2026-03-01' + (n * 7919 % 5000) * interval '1 second' "
        "from generate_series(1, 5000) as n"
    )

    # When rows are added while it is read
    request = Request(None, "updated_at", ("id",), timedelta(hours=1), lambda _: None, tmp_path)
    connection = people.read_connection()
    read, watermarks = 0, []
    with duckdb.connect() as duck:
        for batch in connect(connection, connection.mapping("people")).batches(duck, request):
            read += batch.read
            watermarks.append(str(batch.watermark))
            server.execute(f"insert into people values ({10_000 + read}, 'y', '2026-03-01')")

    # Then they are not in the snapshot, the rest is in the order of the cursor, and the next load reads them
    assert (read, watermarks) == (5_000, sorted(watermarks))
    assert len(set(watermarks)) > 4
    load = people.load()
    assert load.counts.accepted == 5_000 + len(watermarks)
    assert people.rows("updated_at") == sorted(people.rows("updated_at"))


def test_a_query_runs_in_the_source_and_cannot_write(people: Shop, server: PostgresqlServer) -> None:
    # Given a mapping with a query in the source's own SQL, with colons and percent signs
    people.map(query="select id, upper(name) || ' :x 10:30 %s' as name, updated_at from people where name like 'A%';")
    insert(server, (1, "Ada", "2026-03-01 10:00Z"), (2, "Bob", "2026-03-02 10:00Z"))

    # When it is loaded, twice, then its rows are there once
    assert people.load().counts.accepted == 1
    assert people.load().counts.known == 1
    assert people.rows("name") == ["ADA :x 10:30 %s"]

    # And it runs in a transaction that reads one snapshot and cannot write
    names = ("transaction_isolation", "transaction_read_only", "timezone", "statement_timeout", "lock_timeout")
    settings = " || ' ' || ".join(f"current_setting('{name}')" for name in names)
    people.map(query=f"select 3 as id, {settings} as name, now() as updated_at")
    people.load()
    assert people.rows("name")[-1] == "repeatable read on UTC 6h 1min"
    server.execute("create sequence numbers")
    people.map(query="select nextval('numbers') as id, 'x' as name, now() as updated_at")
    with pytest.raises(SourceFailed, match=r"cannot execute nextval\(\) in a read-only transaction"):
        people.load()


def test_names_of_tables_and_columns_are_quoted(people: Shop, server: PostgresqlServer) -> None:
    # Given a table and columns that need quotes, and a cursor with another case in the contract
    evil = 'x"; drop table people; --'
    doubled = evil.replace('"', '""')
    people.declare(
        "crm.people", {"id": "varchar not null", evil: "varchar", "changed_at": "timestamp"}, key=["id"],
        load="upsert", cursor="changed_at",
    )  # fmt: skip
    people.map(**{"from": 'public."Customer"'})
    server.execute(f'create table "Customer" (id int, "{doubled}" text, "Changed_At" timestamptz)')
    server.execute("insert into \"Customer\" values (1, 'x', '2026-03-01 10:00Z')")

    # When it is loaded, twice, then it is read, and the source is unchanged
    assert people.load().counts.accepted == 1
    assert people.load().counts.known == 1
    assert server.execute("select count(*) from people") == "0"


def test_missing_tables_and_columns_are_named(people: Shop, server: PostgresqlServer) -> None:
    # Given a database without the table, then without a required column, then without the right to read
    server.execute("drop table people")
    with pytest.raises(SourceFailed, match='relation "people" does not exist') as failure:
        people.load()
    assert not failure.value.is_transient
    server.execute("create table people (number text, name text, updated_at timestamptz)")
    with pytest.raises(SchemaMismatch, match="requires column 'id'; the source has number, name, updated_at"):
        people.load()
    people.map(query="select 1 as id, 2 as id")
    with pytest.raises(SchemaMismatch, match="id"):
        people.load()


def test_errors_show_neither_values_nor_the_url(people: Shop, server: PostgresqlServer) -> None:
    # Given a value that a query cannot cast, in the first rows and in later rows
    insert(server, (1, "Hunter", "2026-03-01 10:00Z"))
    for query in (
        "select cast(name as int) as id, name, updated_at from people",
        "select id, cast('Hunter' as int) as name, updated_at from people",
    ):
        people.map(query=query)
        with pytest.raises(SourceFailed, match="on a value, which is not shown") as failure:
            people.load()
        assert "Hunter" not in str(failure.value)

    # When the password is wrong, or no server listens, then the error says so, without the password
    people.connect(server.url("hunter%402"))
    with pytest.raises(SourceFailed, match="password authentication failed") as failure:
        people.load()
    assert "hunter" not in str(failure.value)
    people.connect("postgresql://tester:hunter%402@127.0.0.1:1/shop")
    with pytest.raises(SourceFailed, match="Connection refused") as failure:
        people.load()
    assert failure.value.is_transient
    assert "hunter" not in str(failure.value)

    # And a URL with an unescaped password is refused, and the message does not contain it
    for url in ("postgresql://tester:hunt@er2@127.0.0.1/shop", "postgresql://tester:hunter2@127.0.0.1:port/shop"):
        people.connect(url)
        with pytest.raises(UsageError, match="url is not a valid URL") as refused:
            people.load()
        assert "er2" not in str(refused.value)


def test_a_source_that_is_locked_slow_or_stopped_is_worth_another_try(
    people: Shop, server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a table that another session locks for longer than a load waits
    insert(server, (1, "Ada", "2026-03-01 10:00Z"))
    quick = tuple(sql.replace("'60s'", "'100ms'").replace("'6h'", "'300ms'") for sql in SESSION)
    monkeypatch.setattr("flows.sources.sql.postgresql.SESSION", quick)
    with server.locked("people"), pytest.raises(SourceFailed, match="due to lock timeout") as failure:
        people.load()
    assert failure.value.is_transient

    # When a query takes too long, or the server ends the session during the read
    people.map(query="select id, name, updated_at from people, pg_sleep(2)")
    with pytest.raises(SourceFailed, match="due to statement timeout") as failure:
        people.load()
    assert failure.value.is_transient
    people.map(query="select id, name, updated_at from people where pg_terminate_backend(pg_backend_pid())")
    with pytest.raises(SourceFailed, match="terminating connection due to administrator command") as failure:
        people.load()
    assert failure.value.is_transient

    # Then it is read after the lock is released
    people.map()
    assert people.load().counts.accepted == 1


def test_fault_49_a_deadlock_is_worth_another_try(people: Shop, server: PostgresqlServer) -> None:
    """A load and another session each waited for a table that the other had, and the server ended the load: I."""
    # Given a query that joins two tables, the second of which a session has locked that then asks for the first
    insert(server, (1, "Ada", "2026-03-01 10:00Z"))
    server.execute("create table marks (id int); insert into marks values (1)")
    people.map(query="select people.* from marks inner join people using (id)")
    with ThreadPoolExecutor() as pool, server.uncommitted("lock table people in access exclusive mode") as send:
        load = pool.submit(people.load)
        server.wait_for("select count(*) from pg_locks where not granted")
        send("lock table marks in access exclusive mode")

        # When both wait, then the load is told, as one that may pass
        failure = load.exception(30)
    assert isinstance(failure, SourceFailed)
    assert "deadlock detected" in str(failure)
    assert failure.is_transient
    assert people.load().counts.accepted == 1


@pytest.mark.parametrize("load", ["append", "upsert", "full"])
def test_three_loads_of_another_trade_hold_what_the_server_held(
    shop: Shop, server: PostgresqlServer, load: str
) -> None:
    # Given a table with values that Python cannot hold, in mapped columns and in others
    def write(shop: Shop, plants: Sequence[Plant], bad: Sequence[Bad]) -> None:
        shop.connect(server.url(VARIABLE))
        server.execute(
            "drop table if exists plants; create table plants (plant_code text, species text, girth_cm numeric, "
            "seedlings bigint, planted_on date, is_grafted boolean, seen timestamptz, "
            "checked_on date default 'infinity', sold_on date default '0044-03-15 BC', notes jsonb default '1.10')"
        )
        rows = [as_texts(one) for one in plants]
        rows += [as_bad(one) | {"girth_cm": "NaN"} for one in bad]
        for row in rows:
            values = ("null" if value is None else literal(str(value)) for value in row.values())
            server.execute(f"set timezone = 'UTC'; insert into plants ({', '.join(row)}) values ({', '.join(values)})")

    # Then all its values arrive as they were put in
    check_three_rounds(shop, write, load, is_whole=True)
