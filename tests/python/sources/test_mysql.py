"""A real MariaDB server, which MySQL's driver reads: watermarks, exact values, zero dates, and times in UTC."""

import sys
from collections.abc import Iterator, Sequence
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
from tests.services.mariadb import MariadbServer, mariadb
from tests.services.server import PASSWORD

pytestmark = pytest.mark.services

PEOPLE = "create table people (id int primary key, name text, updated_at timestamp(6) null)"


@pytest.fixture(scope="module")
def running() -> Iterator[MariadbServer]:
    with mariadb() as server:
        yield server


@pytest.fixture
def server(running: MariadbServer, monkeypatch: pytest.MonkeyPatch) -> MariadbServer:
    """The server, with an empty database."""
    monkeypatch.setenv("CRM_PASSWORD", PASSWORD)
    running.execute("drop database shop; create database shop character set utf8mb4")
    return running


@pytest.fixture
def people(shop: Shop, server: MariadbServer) -> Shop:
    return connect_people(shop, server, PEOPLE)


def insert(server: MariadbServer, *rows: tuple[int, str, str | None]) -> None:
    for number, name, at in rows:
        moment = "null" if at is None else f"'{at}'"
        server.execute(f"set time_zone = '+00:00'; replace into people values ({number}, '{name}', {moment})")


def written(value: Any) -> str:
    """Write a value as MySQL does."""
    if isinstance(value, str):
        return literal(value).replace("\\", "\\\\")
    return "null" if value is None else str(value)


def read(shop: Shop, work: Path, *columns: str) -> list[tuple[Any, ...]]:
    """Return the rows of one batch, as DuckDB has them."""
    request = Request(None, None, (), timedelta(0), lambda _: None, work)
    connection = shop.read_connection()
    with duckdb.connect() as duck:
        duck.execute("set timezone = 'UTC'")
        (batch,) = connect(connection, connection.mapping("people")).batches(duck, request)
        return duck.sql(f"select {', '.join(columns)} from {batch.records} order by _row").fetchall()


@pytest.mark.parametrize("scheme", ["mysql", "mariadb", "mysql+pymysql", "mysql+mysqldb"])
def test_rows_are_read_once_and_then_from_the_watermark_on(people: Shop, server: MariadbServer, scheme: str) -> None:
    # Given a table, a password with every character that a URL escapes, and no driver that must be compiled
    people.connect(server.url(VARIABLE, scheme))
    insert(server, (1, "Ada", "2026-03-01 10:00"), (2, "Bob", "2026-03-02 10:00"), (3, "Cyd", None))
    assert people.load().counts.accepted == 3
    assert "MySQLdb" not in sys.modules

    # When it is loaded again, and after a change, a late row within the lookback, and a row before the lookback
    again = people.load()
    insert(server, (1, "Ann", "2026-03-03 10:00"), (4, "Dot", "2026-03-02 09:30"), (5, "Eve", "2026-01-01 10:00"))
    load = people.load()

    # Then the load reads rows after the watermark, rows within the lookback and rows without a time
    assert (again.counts.read, again.counts.known) == (2, 2)
    assert (load.counts.accepted, load.counts.known) == (2, 2)
    assert sorted(people.rows("name"), key=str) == ["Ada", "Ann", "Bob", "Cyd", "Dot"]
    assert people.rows("updated_at", where="name = 'Ann'") == [datetime(2026, 3, 3, 10)]


@pytest.mark.parametrize(
    ("kind", "contract", "first", "overlapping", "later", "before"),
    [
        ("timestamp", "timestamp", "2026-03-02 10:00", "2026-03-02 9:30", "2026-03-02 10:01", "2026-03-02 8:00"),
        ("datetime(6)", "timestamp", "2026-03-02 10:00:00.000002", "2026-03-02 09:30", "2026-03-02 10:01",
         "2026-03-02 08:00"),
        ("date", "date", "2026-03-02", "2026-03-02", "2026-03-03", "2026-02-28"),
        ("bigint unsigned", "decimal(20, 0)", "18446744073709551613", "18446744073709551613", "18446744073709551614",
         "99"),
        ("decimal(10, 2)", "decimal(18, 2)", "99.50", "99.50", "100.25", "9.50"),
        ("double", "double", "99.5", "99.5", "100.25", "9.5"),
        ("float", "double", "0.3", "0.3", "0.7", "0.1"),
        ("varchar(20)", "varchar", "b", "b", "c", "a"),
        ("varchar(40)", "timestamp", "2026-03-02T10:00Z", "2026-03-02T09:30Z", "2026-03-02T10:01Z",
         "2026-03-02T08:00Z"),
    ],
)  # fmt: skip
def test_watermarks_of_every_type_move_on_and_never_back(
    people: Shop, server: MariadbServer, kind: str, contract: str, first: str, overlapping: str, later: str, before: str
) -> None:
    # Given a table with a cursor of some type, whose naive times are those of another zone
    people.declare(
        "crm.people", {**COLUMNS, "updated_at": contract}, key=["id"], load="upsert", cursor="updated_at",
        lookback={"count": 1, "period": "hour"} if contract in ("timestamp", "date") else 0,
    )  # fmt: skip
    people.map(time_zone="Asia/Tokyo")
    server.execute(f"alter table people modify updated_at {kind} null")
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


def test_rows_with_an_empty_cursor_are_read_whenever_they_come(people: Shop, server: MariadbServer) -> None:
    # Given a cursor that is kept as text, and a watermark
    people.declare("crm.people", {**COLUMNS, "updated_at": "varchar"}, key=["id"], load="upsert", cursor="updated_at")
    server.execute("alter table people modify updated_at varchar(40)")
    insert(server, (1, "Ada", "2026-03-02 10:00"))
    people.load()

    # When rows arrive whose cursor is empty, blank or a dash
    insert(server, (2, "Bob", ""), (3, "Cyd", " "), (4, "Dot", "-"))
    people.load()

    # Then they are in the lake
    assert sorted(people.rows("name")) == ["Ada", "Bob", "Cyd", "Dot"]


EXACT: list[tuple[str, str, str, Any]] = [
    ("a_tinyint", "tinyint", "-128", -128),
    ("a_boolean", "boolean", "true", 1),
    ("a_tinyint_of_one_digit", "tinyint(1)", "2", 2),
    ("a_bigint", "bigint", "9223372036854775807", 2**63 - 1),
    ("a_large_unsigned", "bigint unsigned", "18446744073709551615", "18446744073709551615"),
    ("a_small_unsigned", "bigint unsigned", "1", 1),
    ("a_zerofill", "int(5) zerofill", "7", 7),
    ("a_decimal", "decimal(38, 18)", "12345678901234567890.123456789012345678",
     Decimal("12345678901234567890.123456789012345678")),
    ("a_long_decimal", "decimal(65, 30)", f"{'9' * 35}.{'1' * 30}", f"{'9' * 35}.{'1' * 30}"),
    ("a_double", "double", "0.1e0 + 0.2e0", 0.30000000000000004),
    ("a_float", "float", "0.1", 0.1),
    ("a_whole_float", "float", "16777215", 16777215.0),
    ("a_bit", "bit(1)", "b'1'", 1),
    ("a_long_bit", "bit(64)", "b'1000000000000000000000000000000000000000000000000000000000000001'",
     "9223372036854775809"),
    ("a_year", "year", "2026", 2026),
    ("a_date", "date", "'9999-12-31'", date(9999, 12, 31)),
    ("a_time", "time", "'10:00:00'", "10:00:00"),
    ("a_long_time", "time", "'-838:59:59'", "-838:59:59"),
    ("a_fine_time", "time(6)", "'26:00:00.000001'", "26:00:00.000001"),
    ("a_datetime", "datetime(6)", "'2026-03-01 10:00:00.123456'", datetime(2026, 3, 1, 10, 0, 0, 123456)),
    ("a_timestamp", "timestamp null", "'2026-03-01 10:00:00'", datetime(2026, 3, 1, 15, tzinfo=UTC)),
    ("a_text", "text", "'Zoë, \"x\"\t€ 100 % :y'", 'Zoë, "x"\t€ 100 % :y'),
    ("an_emoji", "varchar(10)", "'👩‍🔬🧪'", "👩‍🔬🧪"),
    ("an_empty_text", "longtext", "''", ""),
    ("a_latin1", "varchar(10) character set latin1", "'Zoë €'", "Zoë €"),
    ("a_utf16", "varchar(10) character set utf16", "'Zoë 🧪'", "Zoë 🧪"),
    ("a_binary_collation", "varchar(10) collate utf8mb4_bin", "'Zoë'", "Zoë"),
    ("a_char", "char(3)", "'x'", "x"),
    ("a_binary", "binary(3)", "x'00ff'", b"\x00\xff\x00"),
    ("a_blob", "blob", "x'00ff'", b"\x00\xff"),
    ("a_json", "json", '\'{"b": 1.10, "a": 12345678901234567890.5}\'', '{"b": 1.10, "a": 12345678901234567890.5}'),
    ("an_enum", "enum('sad ☹', 'ok')", "'sad ☹'", "sad ☹"),
    ("an_empty_enum", "enum('', 'ok')", "''", ""),
    ("a_set", "set('a', 'b', 'c')", "'c,a'", "a,c"),
    ("a_uuid", "uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("an_inet", "inet6", "'::1'", "::1"),
]  # fmt: skip


def test_every_type_is_read_exactly_or_as_text(people: Shop, server: MariadbServer, tmp_path: Path) -> None:
    # Given a table with a column of every type, and a server whose clock is not in UTC
    server.execute(
        f"create table things ({', '.join(f'{name} {kind}' for name, kind, _, _ in EXACT)}) character set utf8mb4;"
        f"insert into things values ({', '.join(value for _, _, value, _ in EXACT)});"
        "insert into things () values ()"
    )

    # When it is read
    people.map(**{"from": "things"})
    found = read(people, tmp_path, *(name for name, *_ in EXACT))

    # Then every value is exact, and null is null
    assert dict(zip([name for name, *_ in EXACT], found[0], strict=True)) == {name: value for name, *_, value in EXACT}
    assert set(found[1]) == {None}


def test_a_float_is_read_with_all_its_digits_beside_others(people: Shop, server: MariadbServer, tmp_path: Path) -> None:
    server.execute("create table numbers (id int, `a float` float, b double); ")
    server.execute("insert into numbers values (1, 16777215, 0.1), (2, 1.17549e-38, 0.2), (3, null, 0.3)")
    people.map(**{"from": "numbers"})
    assert read(people, tmp_path, '"a float"', "b") == [(16777215.0, 0.1), (1.17549e-38, 0.2), (None, 0.3)]


def test_times_with_a_zone_are_in_utc_and_others_in_the_zone_of_the_mapping(
    people: Shop, server: MariadbServer
) -> None:
    # Given one moment as a timestamp and as a naive time in London, in summer, written by a session in Tokyo
    people.declare("crm.people", {**COLUMNS, "seen": "timestamp"}, key=["id"], load="upsert", cursor="updated_at")
    people.map(time_zone="Europe/London")
    server.execute(
        "alter table people add seen datetime; set time_zone = '+09:00';"
        "insert into people values (1, 'Ada', '2026-07-01 18:00', '2026-07-01 10:00')"
    )

    # When it is loaded, and a row comes late within the lookback of an hour
    people.load()
    server.execute("set time_zone = '+09:00'; insert into people values (2, 'Bob', '2026-07-01 17:15', null)")
    assert people.load().counts.accepted == 1

    # Then both columns have the same moment
    assert people.rows("updated_at", "seen")[0] == (datetime(2026, 7, 1, 9), datetime(2026, 7, 1, 9))


NO_DATES = ("0000-00-00", "2026-00-00", "2026-02-00", "0000-01-01")
"""Dates that the server stores and no calendar has, or that lie before the year 1."""


@pytest.mark.parametrize("load", ["upsert", "full"])
@pytest.mark.parametrize("mapped", [True, False])
def test_fault_76_zero_dates_are_quarantined_and_keep_no_other_row_out(
    people: Shop, server: MariadbServer, mapped: bool, load: str
) -> None:
    """A table of MySQL had zero dates, in a mapped column, in another, or as its cursor: Q, I."""
    # Given such dates of each type, among others
    columns = {"id": "varchar not null", "updated_at": "timestamp"} | (
        {"d": "date", "t": "timestamp"} if mapped else {}
    )
    people.declare("crm.people", columns, key=["id"], load=load, cursor="updated_at" if load == "upsert" else None)
    server.execute("alter table people add d date, add t datetime(3)")
    loose = "set sql_mode = ''; set time_zone = '+00:00'; "
    for at, value in enumerate([*NO_DATES, "2026-03-01"]):
        server.execute(f"{loose} insert into people values ({at}, '', '2026-03-01 10:00', '{value}', '{value}')")

    # When it is loaded, twice, and rows come later, of which one has a zero date as its cursor
    first, again = people.load(), people.load()
    server.execute(f"{loose} insert into people values (8, 'x', '0000-00-00', null, null)")
    server.execute(f"{loose} insert into people values (9, 'y', '2026-03-02 10:00', null, null)")
    last, after = people.load(), people.load()

    # Then each is one quarantined record with its column named, or a text where no contract wants a date
    refused = len(NO_DATES) if mapped else 0
    assert (first.counts.accepted, first.counts.quarantined) == (5 - refused, refused)
    assert (again.counts.accepted, again.counts.quarantined) == (0, 0)
    assert (last.counts.accepted, last.counts.quarantined) == (1, 1)
    assert (after.counts.accepted, after.counts.quarantined) == (0, 0)
    *others, (raw, reasons) = people.quarantine()
    assert (b"0000-00-00 00:00:00" in raw, [one.partition(":")[0] for one in reasons]) == (True, ["updated_at"])
    for (record, why), value in zip(others, NO_DATES, strict=bool(others)):
        assert value.encode() in record
        assert {reason.partition(":")[0] for reason in why} == {"d", "t"}
    if not mapped:
        assert people.rows("cast(d as varchar)", where="id < '8'") == [*NO_DATES, "2026-03-01"]


def test_geometry_is_refused_by_name_and_a_query_reads_it(people: Shop, server: MariadbServer) -> None:
    # Given a table with a place
    server.execute("alter table people add place point; insert into people values (1, 'Ada', null, point(1, 2))")

    # When it is loaded, then the column is named, and how to read it
    with pytest.raises(SchemaMismatch, match=r"geometry is not read, .*: place") as failure:
        people.load()
    assert "ST_AsText(place)" in str(failure.value)

    # And by such a query it is read
    people.declare("crm.people", {**COLUMNS, "place": "varchar"}, key=["id"], load="upsert", cursor="updated_at")
    people.map(query="select id, name, updated_at, st_astext(place) as place from people")
    people.load()
    assert people.rows("place") == ["POINT(1 2)"]


@pytest.mark.parametrize("name", ["order lines", "a.b", "select", "shop2.order `lines`", "Shop", "shop2.Customer"])
def test_fault_75_a_table_may_have_any_name(people: Shop, server: MariadbServer, name: str) -> None:
    """A table's name had a space, a dot, a quote, capitals, its database before it, or was a word of SQL: I."""
    schema, _, table = name.partition(".") if name.startswith("shop2.") else ("shop", "", name)
    quoted = f"{schema}.`{table.replace('`', '``')}`"
    server.execute("drop database if exists shop2; create database shop2")
    server.execute(f"create table {quoted} like people; insert into {quoted} values (1, 'Ada', '2026-03-01 10:00')")
    people.map(**{"from": name})
    assert people.load().counts.accepted == 1
    server.execute("drop database shop2")


@pytest.mark.parametrize("end", [" -- the newest first", "; -- done; really", ";\n/* a; b */\n"])
def test_fault_75_a_query_may_end_in_a_comment(people: Shop, server: MariadbServer, end: str) -> None:
    """A query of MySQL ended in a comment, in a semicolon, or in both, with colons and percent signs in it: I."""
    insert(server, (1, "Ada", None))
    people.map(query=f"select *, ' :x 10:30 %s' as mark from people where name like 'A%'{end}")
    assert people.load().counts.accepted == 1


def test_fault_59_names_of_columns_are_quoted(people: Shop, server: MariadbServer) -> None:
    """A column had a name that ends a statement, and holds floats, so that it is read by an expression: I."""
    evil = "x`; drop table people; -- %s :a"
    people.declare("crm.people", {"id": "varchar not null", evil: "double"}, key=["id"], load="full")
    server.execute(
        f"create table things (id int, `{evil.replace('`', '``')}` float); insert into things values (1, .5)"
    )
    people.map(**{"from": "things"})
    assert (people.load().counts.accepted, people.load().counts.known) == (1, 1)
    assert server.execute("select count(*) from people") == "0"


def test_fault_74_two_columns_of_one_name_are_refused(people: Shop, server: MariadbServer) -> None:
    """A query of MySQL joined two tables that both have a name: F."""
    people.map(query="select 1 as id, 2 as id")
    with pytest.raises(SourceFailed, match="Duplicate column name 'id'"):
        people.load()
    people.map(**{"from": "people as one inner join people as other on one.id = other.id"})
    with pytest.raises(SchemaMismatch, match="'id' and 'id' do not"):
        people.load()


def test_a_session_reads_one_snapshot_in_utc_and_cannot_write(people: Shop, server: MariadbServer) -> None:
    # Given a query that shows the settings of its session
    shown = ("tx_isolation", "time_zone", "max_statement_time", "lock_wait_timeout", "net_write_timeout")
    settings = ", ' ', ".join(f"@@{name}" for name in shown)
    people.map(query=f"select 1 as id, concat({settings}) as name, now() as updated_at")
    people.load()
    assert people.rows("name") == ["REPEATABLE-READ +00:00 21600.000000 60 21600"]

    # When a query writes, then it is refused
    server.execute("create table log (id int); create function noted() returns int return nextval(numbers)")
    server.execute("create sequence numbers")
    people.map(query="select noted() as id, 'x' as name, now() as updated_at")
    with pytest.raises(SourceFailed, match="Cannot execute statement in a READ ONLY transaction"):
        people.load()


def test_errors_show_neither_values_nor_the_url(people: Shop, server: MariadbServer) -> None:
    # Given a value that a query cannot read
    insert(server, (1, "Hunter", "2026-03-01 10:00"))
    for query in (
        "select extractvalue(name, '//<') as id, name, updated_at from people",
        "select id, exp(1000 + length(name)) as name, updated_at from people",
        "select id, name, updated_at from people where (select concat(name, id) from people union select 'Hunter') = 1",
    ):
        people.map(query=query)
        with pytest.raises(SourceFailed, match="on a value, which is not shown") as failure:
            people.load()
        assert "Hunter" not in str(failure.value)

    # When the table is not there, the password is wrong, or no server listens, then the error says so
    people.map(**{"from": "nowhere"})
    with pytest.raises(SourceFailed, match=r"Table 'shop.nowhere' doesn't exist") as failure:
        people.load()
    assert not failure.value.is_transient
    for url, message, is_transient in (
        (server.url("hunter%402"), "Access denied for user 'tester'@'127.0.0.1'", False),
        (server.url(VARIABLE).replace("/shop", "/other"), "Unknown database 'other'", False),
        ("mysql://tester:hunter%402@127.0.0.1:1/shop", "Connection refused", True),
    ):
        people.connect(url)
        with pytest.raises(SourceFailed, match=message) as failure:
            people.load()
        assert (failure.value.is_transient, failure.value.is_unreachable) == (is_transient, True)
        assert "hunter" not in str(failure.value)
        assert PASSWORD not in str(failure.value)

    # And a URL with an unescaped password is refused, and the message does not contain it
    for url in ("mysql://tester:hunt@er2@127.0.0.1/shop", "mysql://tester:hunter2@127.0.0.1:port/shop"):
        people.connect(url)
        with pytest.raises(UsageError, match="url is not a valid URL") as refused:
            people.load()
        assert "er2" not in str(refused.value)


@pytest.mark.parametrize("load", ["append", "upsert", "full"])
def test_three_loads_of_another_trade_hold_what_the_server_held(shop: Shop, server: MariadbServer, load: str) -> None:
    # Given a table with values that Python cannot hold, in mapped columns and in others
    def write(shop: Shop, plants: Sequence[Plant], bad: Sequence[Bad]) -> None:
        shop.connect(server.url(VARIABLE))
        server.execute(
            "drop table if exists plants; create table plants (plant_code varchar(40), species text, girth_cm text, "
            "seedlings bigint, planted_on date, is_grafted boolean, seen datetime, "
            "checked_on date default '0000-00-00', notes json default '{\"a\": 1.10}')"
        )
        rows = [as_texts(one) for one in plants] + [as_bad(one) for one in bad]
        for row in rows:
            listed = ", ".join(map(written, row.values()))
            server.execute(f"insert into plants ({', '.join(row)}) values ({listed})")

    # Then all its values arrive as they were put in
    check_three_rounds(shop, write, load, is_whole=True)
