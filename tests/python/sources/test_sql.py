"""SQL sources: SQLite and every database of SQLAlchemy, read from a watermark, with any values in their columns."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.shop import Shop

from flows.core.errors import SchemaMismatch, SourceFailed

COLUMNS = {"id": "varchar not null", "name": "varchar", "updated_at": "timestamp"}
BOTH = pytest.mark.parametrize("scheme", ["sqlite", "sqlite+pysqlite"])


def connect(shop: Shop, scheme: str = "sqlite") -> Path:
    path = shop.folder / "a shop's #1 50%.db" if scheme == "sqlite" else shop.folder / "shop.db"
    shop.declare("crm.people", COLUMNS, key=["id"], load="upsert", cursor="updated_at")
    shop.connect(f"{scheme}:///{path}")
    return path


def execute(path: Path, *statements: str, rows: Iterable[tuple[Any, ...]] = ()) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)
        for row in rows:
            database.execute(f"insert into people values ({', '.join('?' * len(row))})", row)


@BOTH
def test_rows_are_read_once_and_then_from_the_watermark_on(shop: Shop, scheme: str) -> None:
    # Given a table
    path = connect(shop, scheme)
    rows = [("1", "Ada", "2026-03-01 10:00:00"), ("2", "Bob", "2026-03-02 10:00:00"), ("3", "Cyd", None)]
    execute(path, "create table people (id text, name text, updated_at text)", rows=rows)
    assert shop.load().counts.accepted == 3

    # When it is loaded again, and after a change, a late row within the lookback, and a row before the lookback
    again = shop.load()
    late = [
        ("1", "Ann", "2026-03-03 10:00:00"),
        ("4", "Dot", "2026-03-02 09:30:00"),
        ("5", "Eve", "2026-01-01 10:00:00"),
    ]
    execute(path, rows=late)
    load = shop.load()

    # Then rows before the watermark are not read, except within the lookback and without a time
    assert (again.counts.read, again.counts.known) == (2, 2)
    assert (load.counts.accepted, load.counts.known) == (2, 2)
    assert sorted(shop.rows("name"), key=str) == ["Ada", "Ann", "Bob", "Cyd", "Dot"]


@pytest.mark.parametrize(
    ("scheme", "kind", "first", "overlapping", "later", "before"),
    [
        (
            "sqlite",
            "timestamp",
            "2026-03-02T10:00:00Z",
            "2026-03-02T09:30:00Z",
            "2026-03-02T10:00:01Z",
            "2026-03-02T08:00:00Z",
        ),
        (
            "sqlite",
            "timestamp",
            "2026-03-02 10:00:00.123456",
            "2026-03-02 09:30:00",
            "2026-03-02 10:00:01",
            "2026-03-02 08:00:00",
        ),
        (
            "sqlite",
            "timestamp",
            "2026-03-02 10:00:00+00:00",
            "2026-03-02 09:30:00+00:00",
            "2026-03-02 11:00:00+00:00",
            "2026-03-01 10:00:00+00:00",
        ),
        ("sqlite", "date", "2026-03-02", "2026-03-02", "2026-03-03", "2026-02-28"),
        ("sqlite", "bigint", 100, 100, 1000, 99),
        ("sqlite", "double", 99.5, 99.5, 100.25, 9.5),
        (
            "sqlite+pysqlite",
            "timestamp",
            "2026-03-02 10:00:00",
            "2026-03-02 09:30:00",
            "2026-03-02 10:00:01",
            "2026-03-02 08:00:00",
        ),
        ("sqlite+pysqlite", "bigint", 100, 100, 1000, 99),
        ("sqlite", "varchar", "b", "b", "c", "a"),
    ],
)
def test_watermarks_of_every_kind_move_on_and_never_back(
    shop: Shop, scheme: str, kind: str, first: Any, overlapping: Any, later: Any, before: Any
) -> None:
    # Given a table with a cursor of some kind
    path = connect(shop, scheme)
    shop.declare(
        "crm.people",
        {**COLUMNS, "updated_at": kind},
        key=["id"],
        load="upsert",
        cursor="updated_at",
        lookback={"count": 1, "period": "hour"} if kind in ("timestamp", "date") else 0,
    )
    execute(path, "create table people (id text, name text, updated_at)", rows=[("1", "Ada", first)])
    shop.load()

    # When rows arrive with the same, a later and an earlier value
    execute(path, rows=[("2", "Bob", overlapping), ("3", "Cyd", before)])
    assert (shop.load().counts.accepted, shop.rows("name")) == (1, ["Ada", "Bob"])
    execute(path, "delete from people where id = '1'", rows=[("4", "Dot", later)])
    assert shop.load().counts.accepted == 1

    # Then the watermark stays at the largest value, even if the source's clock goes back
    execute(path, "delete from people where id <> '3'")
    with pytest.raises(SourceFailed, match="older copy"):
        shop.load()
    execute(path, rows=[("5", "Eve", later)])
    assert shop.load().counts.accepted == 1


@BOTH
def test_a_watermark_does_not_go_back_with_the_sources_clock(shop: Shop, scheme: str) -> None:
    # Given a table whose latest row disappears, so that only a row within the lookback is read
    path = connect(shop, scheme)
    rows = [("1", "Ada", "2026-03-02 10:00:00"), ("2", "Bob", "2026-03-02 09:30:00")]
    execute(path, "create table people (id text, name text, updated_at text)", rows=rows)
    shop.load()
    execute(path, "delete from people where id = '1'")
    assert shop.load().counts.read == 1

    # When a row before the lookback arrives, then the watermark is unchanged
    execute(path, rows=[("3", "Cyd", "2026-03-02 08:45:00")])
    assert shop.load().counts.read == 1


def test_a_cursor_cell_that_is_no_time_does_not_hide_what_follows(shop: Shop) -> None:
    # Given a cursor column with a cell that sorts after every time
    path = connect(shop)
    rows = [("1", "Ada", "2026-03-01 10:00:00"), ("2", "Bob", "n/a")]
    execute(path, "create table people (id text, name text, updated_at text)", rows=rows)
    assert shop.load().counts.quarantined == 1

    # When more rows arrive, then they are read
    execute(path, rows=[("3", "Cyd", "2026-03-02 10:00:00")])
    assert shop.load().counts.accepted == 1
    assert shop.rows("name") == ["Ada", "Cyd"]


@BOTH
@pytest.mark.parametrize("first", ["2026-03-01 10:00:00", "b"])
def test_fault_119_what_sorts_before_a_watermark_of_text_is_read(shop: Shop, scheme: str, first: str) -> None:
    """A cursor column of SQLite had texts first, and later numbers and blank cells, which sort before all texts: I."""
    # Given a table whose cursor is a text
    path = connect(shop, scheme)
    shop.declare("crm.people", {**COLUMNS, "updated_at": "varchar"}, key=["id"], cursor="updated_at", lookback=0)
    if first.startswith("2026"):
        shop.change(lookback=timedelta(hours=1))
    execute(path, "create table people (id text, name text, updated_at)", rows=[("1", "Ada", first)])
    shop.load()

    # When rows come whose cursor is a number, empty, blank or a dash
    later = [1772359200, 2.5, -7, "", " ", "-"]
    execute(path, rows=[(str(at), "Bob", value) for at, value in enumerate(later, 2)])

    # Then they are read, and loaded once
    assert shop.load().counts.accepted == len(later)
    assert shop.load().counts.accepted == 0


@pytest.mark.parametrize("load", ["upsert", "full"])
@BOTH
def test_columns_of_several_types_lose_nothing(
    shop: Shop, scheme: str, load: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a column whose type changes after the rows that the driver samples, and values that fit no other type
    monkeypatch.setattr("flows.sources.sql.pieces.ROWS_A_FETCH", 2)
    monkeypatch.setattr("flows.sources.arrow_batches.ROWS_A_BATCH", 4)
    path = connect(shop, scheme)
    columns = {
        "id": "varchar not null",
        "value": "varchar",
        "n": "bigint",
        "x": "double",
        "y": "varchar",
        "updated_at": "bigint",
    }
    cursor = None if load == "full" else "updated_at"
    shop.declare("crm.people", columns, key=["id"], load=load, cursor=cursor, lookback=0)
    whole = 2**53 + 1
    rows = [(str(n), n, n, 0.1 + 0.2, 0.5, n) for n in range(1, 8)]
    rows += [("8", whole, whole, 1.5, whole, 8), ("9", "text", 9, 2, 1.5, 9)]
    rows += [("10", 2.5, 10, None, 1, 10), ("11", None, 11, 9.99, None, 11)]
    execute(path, "create table people (id, value, n, x, y, updated_at)", rows=rows)

    # When it is loaded, twice
    loaded, again = shop.load(), shop.load()

    # Then every value is exact, and every row is there once
    assert loaded.counts.accepted == 11
    assert loaded.counts.read == 11 or load == "upsert"
    assert again.counts.accepted == 0
    execute(path, rows=[("12", None, 12, None, None, 12)])
    assert shop.load().counts.accepted == 1
    stored = {row[0]: row[1:] for row in shop.rows("id", "value", "n", "x", "y")}
    assert stored["1"] == ("1", 1, 0.30000000000000004, "0.5")
    assert stored["8"] == (str(whole), whole, 1.5, str(whole))
    assert stored["9"] == ("text", 9, 2.0, "1.5")
    assert stored["10"][:3] == ("2.5", 10, None)
    assert stored["11"] == (None, 11, 9.99, None)


def test_a_fraction_that_was_read_as_text_is_still_a_number_as_watermark(shop: Shop) -> None:
    # Given a table that is read as text, since a column has several types, with a cursor of fractions
    path = connect(shop)
    columns = {"id": "varchar not null", "name": "varchar", "updated_at": "double"}
    shop.declare("crm.people", columns, key=["id"], load="upsert", cursor="updated_at", lookback=0)
    execute(path, "create table people (id, name, updated_at)", rows=[("1", 1, 9.25), ("2", "Bob", 9.5)])
    assert shop.load().counts.accepted == 2

    # When a row arrives with a larger number that is a smaller text, then it is read
    execute(path, rows=[("3", "Cyd", 10.25)])
    assert shop.load().counts.accepted == 1


@pytest.mark.parametrize("load", ["upsert", "full"])
@BOTH
def test_a_column_that_is_null_for_long_is_read_once_it_is_not(
    shop: Shop, scheme: str, load: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a table with so few deletion marks that the driver's sample has no mark
    monkeypatch.setattr("flows.sources.sql.pieces.ROWS_A_FETCH", 2)
    path = connect(shop, scheme)
    columns = {"id": "varchar not null", "deleted_at": "timestamp", "note": "varchar", "updated_at": "timestamp"}
    shop.declare("crm.people", columns, key=["id"], load=load, cursor=None if load == "full" else "updated_at")
    rows = [(str(n), None, None, f"2026-03-0{n} 10:00:00") for n in range(1, 6)]
    rows += [("6", "2026-03-07 10:00:00", "", "2026-03-07 10:00:00"), ("7", None, "=", "2026-03-08 10:00:00")]
    execute(path, "create table people (id text, deleted_at text, note text, updated_at text)", rows=rows)

    # When it is loaded, twice
    loaded, again = shop.load(), shop.load()

    # Then the mark is there, and a missing text still differs from an empty one
    assert (loaded.counts.accepted, again.counts.accepted) == (7, 0)
    stored = {row[0]: row[1:] for row in shop.rows("id", "deleted_at", "note")}
    assert stored["5"] == (None, None)
    assert stored["6"] == (datetime(2026, 3, 7, 10), "")
    assert stored["7"] == (None, "=")


@BOTH
def test_a_table_in_several_batches_keeps_its_order_and_watermark(
    shop: Shop, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given more rows than a batch has
    monkeypatch.setattr("flows.sources.sql.pieces.ROWS_A_FETCH", 10)
    monkeypatch.setattr("flows.sources.arrow_batches.ROWS_A_BATCH", 30)
    path = connect(shop, scheme)
    rows = [(str(n), "x", f"2026-03-{1 + n % 28:02} 10:00:00") for n in range(100)]
    execute(path, "create table people (id text, name text, updated_at text)", rows=rows)

    # When they are loaded, twice
    load, again = shop.load(), shop.load()

    # Then they arrived in the order of the cursor
    assert (load.counts.accepted, load.batch, again.counts.read) == (100, 4, 3)
    times = shop.rows("updated_at")
    assert times == sorted(times)
    assert shop.rows("_position")[-1] == "people:100"


@BOTH
def test_a_query_runs_in_the_source(shop: Shop, scheme: str) -> None:
    # Given a mapping with a query in the source's own SQL, with colons and percent signs
    path = connect(shop, scheme)
    shop.map(query="select id, upper(name) || ' :x 10:30 %s' as name, updated_at from people where name like 'A%';")
    rows = [("1", "Ada", "2026-03-01 10:00:00"), ("2", "Bob", "2026-03-02 10:00:00")]
    execute(path, "create table people (id text, name text, updated_at text)", rows=rows)

    # When it is loaded, twice, then its rows are there once
    assert shop.load().counts.accepted == 1
    assert shop.load().counts.known == 1
    assert shop.rows("name") == ["ADA :x 10:30 %s"]


@BOTH
def test_an_empty_table_is_no_failure(shop: Shop, scheme: str) -> None:
    # Given a table without rows
    path = connect(shop, scheme)
    execute(path, "create table people (id text, name text, updated_at text)")

    # When it is loaded, twice, then no row is read
    assert shop.load().counts.read == 0
    assert shop.load().counts.read == 0
    execute(path, rows=[("1", "Ada", "2026-03-01 10:00:00")])
    assert shop.load().counts.accepted == 1


@BOTH
def test_what_is_missing_is_named(shop: Shop, scheme: str) -> None:
    # Given a database without the table, then without a required column
    path = connect(shop, scheme)
    execute(path, "create table other (id text)")
    with pytest.raises(SourceFailed, match="no such table: people"):
        shop.load()
    execute(path, "create table people (number text, name text, updated_at text)")

    # When it is loaded, then the error names what is missing
    with pytest.raises(SchemaMismatch, match="requires column 'id'; the source has number, name, updated_at"):
        shop.load()


def test_a_file_that_is_not_there_is_not_made(shop: Shop) -> None:
    # Given a URL of a missing file
    path = connect(shop)

    # When it is loaded, then the error says so, and the file is not created
    with pytest.raises(SourceFailed, match="there is no SQLite file"):
        shop.load()
    assert not path.exists()


@BOTH
def test_fault_49_a_locked_source_is_waited_for_and_then_worth_another_try(shop: Shop, scheme: str) -> None:
    """A writer held the source's lock for longer than a load waits, and released it: F, I."""
    # Given a database that another process locks
    path = connect(shop, scheme)
    row = ("1", "Ada", "2026-03-01 10:00:00")
    execute(path, "create table people (id text, name text, updated_at text)", rows=[row])
    if scheme == "sqlite+pysqlite":
        shop.connect(f"{scheme}:///{path}?timeout=0.1")
    hold = f"import sqlite3, sys; c = sqlite3.connect({str(path)!r}); c.execute('begin exclusive'); print(flush=True)"
    hold += "; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdout.readline()

        # When it is loaded, then the failure is transient
        with pytest.raises(SourceFailed, match="locked") as failure:
            shop.load()
        assert failure.value.is_transient
        other.stdin.close()

    # And after the lock is released, it is read
    assert shop.load().counts.accepted == 1


@BOTH
def test_fault_50_an_older_copy_of_a_source_is_not_taken_for_it(shop: Shop, scheme: str) -> None:
    """A replica answered that lacked rows which the source had before, and then caught up: F, I."""
    # Given a table that was read, and a copy of it from a day before
    path = connect(shop, scheme)
    execute(
        path, "create table people (id text, name text, updated_at text)", rows=[("1", "Ada", "2026-03-01 10:00:00")]
    )
    copy = path.read_bytes()
    execute(path, rows=[("2", "Bob", "2026-03-02 10:00:00")])
    shop.load()
    source = path.read_bytes()

    # When the copy answers, then the error calls it an older copy, and transient
    path.write_bytes(copy)
    with pytest.raises(
        SourceFailed, match=r"before the updated_at that was read already\. It is an older copy"
    ) as failure:
        shop.load()
    assert failure.value.is_transient
    assert len(shop.rows()) == 2

    # And a copy that lags by less than the lookback, one without new rows and an empty one are not older copies
    path.write_bytes(source)
    assert shop.load().counts.known == 1
    execute(path, "update people set updated_at = '2026-03-02 09:30:00' where id = '2'")
    assert shop.load().counts.read == 1
    execute(path, "delete from people")
    assert shop.load().counts.read == 0

    # And a user who deleted the newest rows on purpose can say so in the mapping
    path.write_bytes(copy)
    shop.map(where="true")
    assert shop.load().counts.known == 1
    execute(path, rows=[("3", "Cyd", "2026-03-03 10:00:00")])
    assert shop.load().counts.accepted == 1


@BOTH
def test_fault_59_columns_and_tables_of_a_database_are_quoted(shop: Shop, scheme: str) -> None:
    """The names of a table and its cursor column contained the end of a statement and a drop: I."""
    # Given a table and columns named like SQL
    path = connect(shop, scheme)
    evil = 'x"; drop table people; --'
    doubled = evil.replace('"', '""')
    shop.declare("crm.people", {"id": "varchar not null", evil: "timestamp"}, key=["id"], load="upsert", cursor=evil)
    shop.map(**{"from": f'"{doubled}"'})
    execute(path, "create table people (id)", f'create table "{doubled}" (id text, "{doubled}" text)')
    execute(path, f"insert into \"{doubled}\" values ('1', '2026-03-01 10:00:00')")

    # When it is loaded, twice, then it is read, and the source is unchanged
    assert shop.load().counts.accepted == 1
    assert shop.load().counts.known == 1
    execute(path, "select * from people")


VALUES = [None, 7, 2**53 + 1, 20.0, 0.1 + 0.2, 1234567.25, 1e20, 1e-7, "x", "", b"caf\xc3\xa9 '\\", True]
"""Values of every type that SQLite has, and such as a neighbour's type would change."""


def text_of(value: Any) -> str | None:
    """Return the one text that a value has, whatever stands beside it."""
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, bool):
        return str(int(value))
    return None if value is None else str(value)


@BOTH
def test_fault_73_no_neighbour_changes_a_value(shop: Shop, scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every type of value was first, last and alone beside every other, within and past a fetch and a batch: I."""
    # Given columns in which each value stands beside each other one, before and after it, near and far
    monkeypatch.setattr("flows.sources.sql.pieces.ROWS_A_FETCH", 3)
    monkeypatch.setattr("flows.sources.sql.sqlite.Sqlite.sample_rows", 3)
    monkeypatch.setattr("flows.sources.arrow_batches.ROWS_A_BATCH", 6)
    path = connect(shop, scheme)
    count = len(VALUES)
    columns = {f"rotated_{at}": [*VALUES[at:], *VALUES[:at]] for at in range(count)}
    for one in range(count):
        for other in range(one):
            columns[f"near_{one}_{other}"] = [VALUES[one], VALUES[other]] * (count // 2)
            columns[f"far_{one}_{other}"] = [VALUES[one]] * (count - 1) + [VALUES[other]]
            columns[f"early_{one}_{other}"] = [VALUES[other]] + [VALUES[one]] * (count - 1)
    contract = {"id": "varchar not null", **dict.fromkeys(columns, "varchar")}
    shop.declare("crm.people", contract, key=["id"], load="full")
    rows = [(f"{at:02}", *(values[at] for values in columns.values())) for at in range(count)]
    execute(path, f"create table people (id, {', '.join(columns)})", rows=rows)

    # When it is loaded, twice
    loaded, again = shop.load(), shop.load()

    # Then each value has its own text, and is known again
    assert (loaded.counts.accepted, again.counts.accepted) == (count, 0)
    stored = shop.rows("id", *columns)
    assert len(stored) == count
    for at, (_, *found) in enumerate(sorted(stored)):
        assert dict(zip(columns, found, strict=True)) == {name: text_of(values[at]) for name, values in columns.items()}


OBJECTS: dict[str, Any] = {
    "true": True,
    "7": 7,
    "18446744073709551615": 2**64 - 1,
    "-9223372036854775808": -(2**63),
    "1.10": Decimal("1.10"),
    "2.345": Decimal("2.345"),
    "1" + "0" * 30: Decimal("1E+30"),
    "1E+101": Decimal("1E+101"),
    "1" * 50 + ".5": Decimal("1" * 50 + ".5"),
    "NaN": Decimal("NaN"),
    "20.0": 20.0,
    "1e+20": 1e20,
    "2026-03-01": date(2026, 3, 1),
    "2026-03-01 00:00:00": datetime(2026, 3, 1),
    "2026-03-01 10:00:00.5": datetime(2026, 3, 1, 10, 0, 0, 500_000),
    "2026-03-01 10:00:00+00": datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=2))),
    "10:00:00": time(10),
    "10:00:00+02:00": time(10, tzinfo=timezone(timedelta(hours=2))),
    "-26:00:01": -timedelta(hours=26, seconds=1),
    '{"a": 1.10}': '{"a": 1.10}',
    '["é", 1]': ["é", 1],
    "café '\\": b"caf\xc3\xa9 '\\",
    "9223372036854775807": memoryview(b"9223372036854775807"),
}
"""Objects that drivers of databases return, by the one text that each has."""


@pytest.mark.parametrize("fetch", [2, 100])
def test_fault_73_no_neighbour_changes_an_object_of_a_driver(
    shop: Shop, fetch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers, decimals, dates, booleans and bytes of a driver stood beside each other: I."""
    # Given columns in which each object stands beside each other one
    sqlite3.register_converter("objecttext", lambda raw: OBJECTS[raw.decode()])
    monkeypatch.setattr("flows.sources.sql.pieces.ROWS_A_FETCH", fetch)
    path = connect(shop, "sqlite+pysqlite")
    shop.connect(f"sqlite+pysqlite:///{path}?detect_types=1")
    texts = list(OBJECTS)
    columns = {f"rotated_{at}": [*texts[at:], *texts[:at]] for at in range(len(texts))}
    columns |= {f"only_{at}": [text] * len(texts) for at, text in enumerate(texts)}
    contract = {"id": "varchar not null", **dict.fromkeys(columns, "varchar")}
    shop.declare("crm.people", contract, key=["id"], load="append")
    rows = [(f"{at:02}", *(values[at] for values in columns.values())) for at in range(len(texts))]
    execute(path, f"create table people (id text, {', '.join(f'{name} objecttext' for name in columns)})", rows=rows)

    # When it is loaded, twice
    loaded, again = shop.load(), shop.load()

    # Then each object has its own text
    assert (loaded.counts.accepted, again.counts.accepted) == (len(texts), 0)
    for at, (_, *found) in enumerate(sorted(shop.rows("id", *columns))):
        assert dict(zip(columns, found, strict=True)) == {name: values[at] for name, values in columns.items()}


@BOTH
def test_fault_73_an_empty_cell_does_not_round_prices(shop: Shop, scheme: str) -> None:
    """A table was imported with an empty cell among its prices, which became a text: Q."""
    # Given prices as real numbers, a stray text among them, a date among numbers, and booleans
    path = connect(shop, scheme)
    columns = {
        "id": "varchar not null",
        "price": "decimal(18, 4)",
        "rate": "double",
        "day": "date",
        "n": "bigint",
        "is_new": "boolean",
    }
    shop.declare("crm.people", columns, key=["id"], load="append")
    rows = [
        ("1", 1234.5678, 0.1 + 0.2, "2026-03-01", 1.0, 1),
        ("2", 1234567.25, 7, "2026-03-02", 2**53 + 1, 0),
        ("3", 19.99, 1e-7, "2026-03-03", 3, None),
        ("4", "", 1.5, "2026-03-04", 4, 1),
    ]
    execute(path, "create table people (id text, price real, rate, day numeric, n integer, is_new boolean)", rows=rows)

    # When it is loaded
    assert shop.load().counts.accepted == 3

    # Then prices have all their digits, and the row with the empty cell waits in quarantine
    assert [str(price) for price in shop.rows("price")] == ["1234.5678", "1234567.2500", "19.9900"]
    assert shop.rows("rate") == [0.1 + 0.2, 7.0, 1e-7]
    assert [str(day) for day in shop.rows("day")] == ["2026-03-01", "2026-03-02", "2026-03-03"]
    assert shop.rows("n", "is_new") == [(1, True), (2**53 + 1, False), (3, None)]
    ((_, reasons),) = shop.quarantine()
    assert reasons == ["price: is no decimal(18, 4)"]


@pytest.mark.parametrize("kind", ["table", "view", "virtual table"])
@pytest.mark.parametrize("declared", ["text", "varchar(20)", "char(2)", "charint", "clob", ""])
def test_fault_73_a_text_column_keeps_what_it_holds(
    shop: Shop, declared: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numbers and bytes stood in columns that were declared as text; some of these SQLite turns into texts: I."""
    # Given numbers and bytes in the first rows of a column, and in later ones
    monkeypatch.setattr("flows.sources.sql.pieces.ROWS_A_FETCH", 3)
    monkeypatch.setattr("flows.sources.sql.sqlite.Sqlite.sample_rows", 3)
    path = connect(shop, "sqlite")
    values = ["x", 1234567.25, 0.1 + 0.2, None, b"ab", 7, "1e3", 2**53 + 1, b"", "", 1e300, "z"]
    shop.declare("crm.people", {"id": "varchar not null", "value": "varchar"}, key=["id"], load="append")
    table = "create virtual table people using fts5(id, value)"
    if kind != "virtual table":
        table = f"create table {'people' if kind == 'table' else 'stored'} (id text, value {declared})"
    execute(path, table)
    if kind == "view":
        execute(path, "create view people as select id, value from stored")
    stored = "stored" if kind == "view" else "people"
    rows = [(f"{at:02}", value) for at, value in enumerate(values)]
    with closing(sqlite3.connect(path)) as database, database:
        database.executemany(f"insert into {stored} values (?, ?)", rows)
        texts = database.execute(f"select value, typeof(value) from {stored} order by id").fetchall()

    # When it is loaded
    assert shop.load().counts.accepted == len(values)

    # Then each value has its own text
    expected = [text_of(value) for value, _ in texts]
    assert [value for _, value in sorted(shop.rows("id", "value"))] == expected


@BOTH
def test_fault_35_a_text_of_a_database_that_is_not_utf_8_is_quarantined(shop: Shop, scheme: str) -> None:
    """A program wrote Latin-1 into a database that holds UTF-8: Q."""
    # Given a name in another encoding, a number beside it, and rows before and after
    path = connect(shop, scheme)
    shop.declare("crm.people", {**COLUMNS, "n": "bigint"}, key=["id"], load="append")
    execute(path, "create table people (id text, name text, updated_at text, n integer)")
    execute(
        path,
        "insert into people values ('1', 'Zoë', '2026-03-01 10:00:00', 1)",
        "insert into people values ('2', cast(x'5a6feb' as text), null, 9007199254740993)",
        "insert into people values ('3', 'Ada', '2026-03-01 10:00:00', 3)",
        "insert into people values ('4', x'00ff', '2026-03-01 10:00:00', 4)",
    )

    # When it is loaded, then that row and one with bytes are in quarantine as they came, and the others are there
    load = shop.load()
    assert (load.counts.read, load.counts.accepted, load.counts.quarantined) == (4, 2, 2)
    assert shop.rows("name") == ["Zoë", "Ada"]
    (raw, reasons), (other, _) = shop.quarantine()
    assert other.startswith(b'{"id": "4", "name": "\\u0000\xff", ')
    assert raw == b'{"id": "2", "name": "Zo\xeb", "updated_at": null, "n": 9007199254740993}'
    assert reasons == ["name: is not UTF-8"]
    assert shop.load().counts.known == 4


@BOTH
@pytest.mark.parametrize("second", ["brand", "Brand"])
def test_fault_74_two_columns_of_one_name_are_refused(shop: Shop, scheme: str, second: str) -> None:
    """A query joined two tables that both have a brand: F."""
    # Given a query with two columns of one name, of which a driver keeps one or renames it
    path = connect(shop, scheme)
    execute(path, "create table goods (id, brand, maker)", f'create table makers (maker_id, "{second}")')
    execute(path, "insert into goods values ('1', 'A', 1)", "insert into makers values (1, 'B')")
    join = "goods as g join makers as m on g.maker = m.maker_id"
    for mapping in ({"query": f"select g.*, m.* from {join}"}, {"from": join}):
        shop.map(**mapping)

        # When it is loaded, then both names are in the error
        with pytest.raises(SchemaMismatch, match=f"'brand' and '{second}' do not"):
            shop.load()

    # And a query that gives each its own name is read
    shop.map(query=f"select g.id, m.{second} as name, null as updated_at from {join}")
    assert shop.load().counts.accepted == 1


@BOTH
@pytest.mark.parametrize(
    "end", [" -- the newest first", "; -- done; really", ";\n/* a; b */\n", " where ';' = '--' || ';' or 1 = 1 ; ; "]
)
def test_fault_75_a_query_may_end_in_a_comment(shop: Shop, scheme: str, end: str) -> None:
    """A query ended in a comment, in semicolons, or in both: I."""
    path = connect(shop, scheme)
    execute(path, "create table people (id text, name text, updated_at text)", rows=[("1", "Ada", None)])
    shop.map(query=f"select id, name, updated_at from people{end}")
    assert shop.load().counts.accepted == 1


@BOTH
@pytest.mark.parametrize(
    "name", ["order lines", "shop.order-lines", 'quo"ted', "main.order lines", "select", "sql_records", "arrow_rows"]
)
def test_fault_75_a_table_may_have_any_name(shop: Shop, scheme: str, name: str) -> None:
    """A table's name had a space, a dot, a quote, its schema before it, or was a word of SQL or of ours: I."""
    # Given such a table, and another one that an alias would read
    path = connect(shop, scheme)
    quoted = name.removeprefix("main.").replace('"', '""')
    execute(path, f'create table "{quoted}" (id text, name text, updated_at text, source_rows text, sql_records text)')
    execute(path, f"insert into \"{quoted}\" values ('1', 'Ada', null, 'a', 'b')")
    shop.map(**{"from": name})

    # When it is loaded, then it is read, with columns that are called like relations of a load
    assert shop.load().counts.accepted == 1
    assert shop.rows("source_rows", "sql_records") == [("a", "b")]
