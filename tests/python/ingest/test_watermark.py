"""The limits of a watermark: known files, full copies, changed mappings and changed contracts."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.rest_api import Serve, connect, page, person
from support.shop import Shop, make_contract

from flows.config.connections import TableMapping
from flows.core.errors import SchemaMismatch, SourceFailed, UsageError
from flows.core.names import TableName
from flows.core.relation import Relation
from flows.sources.rest.since import since
from flows.sources.watermark import advance_watermark, from_watermark, to_watermark

pytest_plugins = ["support.rest_fixtures"]

POSITIVE = {"type": "check", "name": "is_above_zero", "expression": "quantity > 0"}


def test_a_changed_mapping_reads_what_the_old_one_left_out(shop: Shop, tmp_path: Path) -> None:
    # Given a database, a mapping that takes some of its rows, and a watermark after all of them
    database = tmp_path / "shop.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("create table orders (order_id text, customer text, updated_at text)")
        rows = [
            ("1", "DE", "2026-03-01 10:00:00"),
            ("2", "SE", "2026-01-01 10:00:00"),
            ("3", "DE", "2026-03-02 10:00:00"),
        ]
        connection.executemany("insert into orders values (?, ?, ?)", rows)
    shop.connect(f"sqlite:///{database}")
    shop.map(where="customer = 'DE'")
    shop.load()

    # When the mapping takes all of them
    shop.map()
    load = shop.load()

    # Then the old row is read, although the watermark is after it
    assert (load.counts.accepted, load.counts.known) == (1, 2)
    assert sorted(shop.rows("order_id")) == ["1", "2", "3"]


def test_another_cursor_of_the_contract_reads_what_the_old_one_passed_over(shop: Shop, tmp_path: Path) -> None:
    # Given a database that is read by the time of creation, so that a change of an old row is missed
    database = tmp_path / "shop.sqlite"
    columns = {"order_id": "varchar", "customer": "varchar", "created_at": "timestamp", "updated_at": "timestamp"}
    with sqlite3.connect(database) as connection:
        connection.execute("create table orders (order_id text, customer text, created_at text, updated_at text)")
        rows = [("1", "DE", "2026-01-01", "2026-01-01"), ("2", "SE", "2026-01-10", "2026-01-10")]
        connection.executemany("insert into orders values (?, ?, ?, ?)", rows)
    shop.connect(f"sqlite:///{database}")
    shop.map()
    shop.declare(columns=columns, load="upsert", cursor="created_at")
    shop.load()
    with sqlite3.connect(database) as connection:
        connection.execute("update orders set customer = 'DK', updated_at = '2026-01-05' where order_id = '1'")

    # When the contract names the time of change
    shop.declare(columns=columns, load="upsert", cursor="updated_at")
    load, again = shop.load(), shop.load()

    # Then all is read once more, since the old watermark is of another column; then only what is new
    assert (load.counts.read, load.counts.accepted) == (2, 1)
    assert again.counts.accepted == 0
    assert ("1", "DK") in shop.rows("order_id", "customer")


def test_a_loosened_contract_takes_a_known_file_from_quarantine(shop: Shop) -> None:
    # Given a file with a record that breaks a check
    strict = {"order_id": "varchar", "quantity": {"data_type": "integer", "constraints": [POSITIVE]}}
    shop.declare(columns=strict, load="upsert")
    shop.drop_rows("1.jsonl", [{"order_id": "1", "quantity": 1}, {"order_id": "2", "quantity": -1}])
    assert shop.load().counts.quarantined == 1

    # When the contract is fixed
    shop.declare(columns={"order_id": "varchar", "quantity": "integer"}, load="upsert")
    load = shop.load()

    # Then the file is read again, and the record is accepted
    assert (load.counts.accepted, load.counts.known) == (1, 1)


def test_a_full_copy_is_right_even_where_its_cursor_goes_back(shop: Shop) -> None:
    # Given a copy of two customers
    columns = {"id": "varchar", "name": "varchar", "updated_at": "timestamp"}
    shop.declare("crm.customers", columns, key=["id"], load="full", cursor="updated_at")
    shop.map(**{"from": "*"})
    both = [{"id": one, "name": "Old", "updated_at": "2026-03-02 00:00:00"} for one in "12"]
    shop.drop_rows("all.jsonl", both)
    shop.load()

    # When the next copies show them changed, with an older time and without a time
    shop.drop_rows(
        "all.jsonl",
        [
            {"id": "1", "name": "New", "updated_at": "2026-03-01 00:00:00"},
            {"id": "2", "name": "New", "updated_at": None},
        ],
    )
    load = shop.load()

    # Then a tombstone before each change orders it last, and no row counts as deleted
    assert (load.counts.accepted, load.counts.deleted) == (2, 0)
    assert sorted(shop.rows("id", "_row", "name", "_deleted", where="_batch = 2")) == [
        ("1", 0, None, True),
        ("1", 1, "New", False),
        ("2", 0, None, True),
        ("2", 2, "New", False),
    ]
    assert shop.load().counts.known == 2


def test_a_table_without_the_cursors_column_is_read_whole_each_time(shop: Shop, tmp_path: Path) -> None:
    # Given a database without times of change
    database = tmp_path / "shop.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("create table orders (order_id text, quantity integer)")
        connection.execute("insert into orders values ('1', 1)")
    shop.connect(f"sqlite:///{database}")

    # When it is loaded twice, through each connector
    first, second = shop.load(), shop.load()
    shop.connect(f"sqlite+pysqlite:///{database}")
    third = shop.load()

    # Then its rows are accepted once
    assert (first.counts.accepted, second.counts.known, third.counts.known) == (1, 1, 1)


def test_a_history_that_loses_its_cursor_is_not_gone_on_with(shop: Shop) -> None:
    # Given orders whose history is ordered by a time
    shop.drop_rows("1.jsonl", [{"order_id": "1", "quantity": 1, "updated_at": "2026-03-01 10:00:00"}])
    shop.load()

    # When an export arrives without it
    shop.drop_rows("1.jsonl", [{"order_id": "1", "quantity": 2}])

    # Then its rows are refused, because they would be ordered before known rows
    with pytest.raises(SchemaMismatch, match="its history is ordered by 'updated_at'"):
        shop.load()


@pytest.mark.parametrize(
    ("data_type", "text"), [("int8", "3.7"), ("long", "3.7"), ("dec(18,4)", "1.12345"), ("int4", "2147483648")]
)
def test_types_under_other_names_lose_nothing_either(shop: Shop, data_type: str, text: str) -> None:
    # Given a contract that uses another name of a type
    shop.declare(columns={"id": "varchar", "value": data_type}, key=["id"], load="append")

    # When a value arrives that does not fit the type
    shop.drop("1.csv", f"id,value\n1,{text}\n")

    # Then it is quarantined, not rounded
    assert shop.load().counts.quarantined == 1


@pytest.mark.parametrize(
    "said", [{"on_extra_column": "evolv"}, {"lookback": {"count": 1, "period": "week"}}, {"key": ["nothing"]}]
)
def test_a_contract_that_says_what_nobody_knows_is_refused(said: dict[str, Any]) -> None:
    # When a contract has an unknown word, then the error is a UsageError
    with pytest.raises(UsageError, match=r"The contract of sales\.orders cannot be used"):
        make_contract(**said)


def test_a_run_tells_what_all_its_tries_have_done(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a load of several batches that fails after the first
    monkeypatch.setattr("flows.sources.files.table.FILES_A_BATCH", 1)
    shop.drop_rows("1.jsonl", [{"order_id": "1", "quantity": 1}])
    shop.drop_rows("2.parquet", [{"order_id": "2", "quantity": 1}])
    with pytest.raises(SourceFailed):
        shop.load()

    # When the run tries again
    shop.exports.joinpath("2.parquet").unlink()
    shop.drop_rows("2.jsonl", [{"order_id": "2", "quantity": 1}, {"order_id": "3", "quantity": 1}])
    load = shop.load()

    # Then the batches of the first try are part of the run's result
    assert (load.counts.accepted, load.earlier.accepted, load.total.accepted) == (2, 1, 3)


PEOPLE = TableMapping.model_construct(name=TableName("crm", "people"), file="own.yml")
HOUR, WEEK = timedelta(hours=1), timedelta(days=7)


def advance(values: Sequence[Any], kind: str = "varchar", lookback: Any = HOUR, before: str | None = None) -> str:
    """Return the watermark after some values, which came in their order from a database."""
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        connection.execute(f"create table found (changed {kind}, _row bigint)")
        connection.executemany("insert into found values (?, ?)", [(one, at) for at, one in enumerate(values)])
        found = Relation(connection, "found")
        return advance_watermark(found, "changed", before, lookback, PEOPLE, in_source_order=True) or ""


@pytest.mark.parametrize(
    ("values", "kind", "lookback", "start"),
    [
        # Times and dates: of a date, at least a day
        (["2026-03-02 10:00:00"], "timestamp", HOUR, datetime(2026, 3, 2, 9)),
        (["2026-03-02 10:00:00", "infinity"], "timestamp", HOUR, datetime(2026, 3, 2, 9)),
        (["2026-03-02 10:00:00"], "varchar", 0, "2026-03-02 10:00:00"),
        (["2026-03-02"], "date", HOUR, date(2026, 3, 1)),
        (["2026-03-02", "infinity"], "date", timedelta(hours=36), date(2026, 2, 28)),
        (["2026-03-02"], "varchar", HOUR, "2026-03-01"),
        (["2026-03-02"], "varchar", WEEK, "2026-02-23"),
        (["0001-01-01"], "date", WEEK, date(1, 1, 1)),
        (["0001-01-01 00:00:00"], "varchar", WEEK, "0001-01-01 00:00:00"),
        # Texts keep their own format
        (["2026-03-02T10:00:00Z"], "varchar", HOUR, "2026-03-02T09:00:00Z"),
        (["2026-03-02T10:00Z"], "varchar", HOUR, "2026-03-02T09:00Z"),
        (["2026-03-02 10:00:00.1"], "varchar", HOUR, "2026-03-02 09:00:00.1"),
        (["2026-03-02 10:00:00.123456789"], "varchar", HOUR, "2026-03-02 09:00:00.123456000"),
        (["2026-03-02 10:00:00+00:00"], "varchar", HOUR, "2026-03-02 09:00:00+00:00"),
        (["n/a", "2026-03-02 10:00:00"], "varchar", HOUR, "2026-03-02 09:00:00"),
        (["2026-03-02 10:00:00", "infinity"], "varchar", HOUR, "2026-03-02 09:00:00"),
        # Texts that sort otherwise than their times are read from a whole day on, half a day earlier for their offsets
        (["2026-03-02T10:00:00+02:00"], "varchar", HOUR, "2026-03-01"),
        (["2026-03-02T09:30:00Z", "2026-03-02T10:00:00+02:00"], "varchar", HOUR, "2026-03-01"),
        (["2026-03-02T23:30:00Z", "2026-03-02 23:40:00Z"], "varchar", HOUR, "2026-03-02"),
        # Numbers keep all their digits, and have a lookback of their own units
        ([2**62 + 1], "bigint", 0, 2**62 + 1),
        ([10**37 + 1], "hugeint", 1, 10**37),
        (["12345678901234567890.123456789012345678"], "decimal(38, 18)", 1,
         Decimal("12345678901234567889.123456789012345678")),
        ([1.5, float("nan"), float("inf")], "double", 0.25, 1.25),
        (["999", "1000"], "varchar", 10, "990"),
        (["000999", "001000"], "varchar", 10, "000990"),
        (["12345678901234567890.123456789012345678"], "varchar", 0, "12345678901234567890.123456789012345678"),
        # Texts and ids have none
        (["a1", "b2"], "varchar", 0, "b2"),
        (["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "uuid", 0, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ],
)  # fmt: skip
def test_fault_94_a_lookback_applies_to_every_kind_of_cursor(
    values: list[Any], kind: str, lookback: Any, start: Any
) -> None:
    """Cursors were times, dates, numbers, digits and ids, in any format; the source is read from before them: I."""
    assert from_watermark(advance(values, kind, lookback), lookback) == start


@pytest.mark.parametrize(
    ("values", "kind", "lookback", "says"),
    [
        ([1], "bigint", HOUR, "it is a time, and the cursor is a number"),
        (["1772445600"], "varchar", HOUR, "it is a time, and the cursor is a number"),
        ([Decimal("1.5")], "decimal(9, 2)", HOUR, "it is a time, and the cursor is a number"),
        (["b2"], "varchar", HOUR, "it is a time, and the cursor is a text that is no time"),
        (["b2"], "varchar", 5, "it is a number, and the cursor is a text that is none"),
        (["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], "uuid", HOUR, "a text that is no time"),
        (["2026-03-02"], "date", 5, "it is a number, and the cursor is a time"),
        (["10", "9"], "varchar", 0, "holds numbers as text, which sorts 10 before 9"),
        ([b"\x01"], "blob", 0, "the cursor changed holds bytes"),
    ],
)
def test_fault_94_a_lookback_that_does_not_apply_is_refused(
    values: list[Any], kind: str, lookback: Any, says: str
) -> None:
    """A lookback in hours met a cursor that is a number, a text or an id; rows could be passed over: F."""
    with pytest.raises(UsageError, match=r"own\.yml under crm\.tables\.people: the") as failure:
        advance(values, kind, lookback)
    assert says in str(failure.value)


def test_fault_94_a_watermark_never_moves_back_nor_past_now() -> None:
    """Rows lay in the year 9999, or came with an older time or another offset; the watermark stayed right: I."""
    # Given a watermark, then what comes earlier, in another offset, and far ahead
    first = advance(["2026-03-02T10:00:00Z"])
    earlier = advance(["2026-03-02T11:59:59+02:00"], before=first)
    assert from_watermark(earlier, HOUR) == "2026-03-01"  # the source mixes offsets from now on
    assert from_watermark(advance(["2026-03-02T10:30:00Z"], before=earlier), HOUR) == "2026-03-01"
    now = datetime.now(UTC)
    for text in ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59-12:00", "9999-12-31 23:59:59", "9999-12-31"):
        start = str(from_watermark(advance([text]), HOUR))
        assert (now - timedelta(days=2)).date().isoformat() <= start[:10] <= now.date().isoformat(), text

    # And a local time that lags behind UTC is not passed over
    start = from_watermark(advance(["9998-12-31 23:59:59"], "timestamp"), HOUR)
    assert isinstance(start, datetime)
    assert start <= now.replace(tzinfo=None) - timedelta(hours=12)


@pytest.mark.parametrize(
    ("cursor", "time_format", "lookback", "start"),
    [
        ("2026-03-02T05:00:00Z", "date", HOUR, "2026-03-01"),  # the evening of the first, in Los Angeles
        ("2026-03-02T00:30:00Z", "date", HOUR, "2026-03-01"),
        ("2026-03-02T23:30:00Z", "date", HOUR, "2026-03-01"),
        ("2026-03-02T05:00:00Z", "date", timedelta(days=2), "2026-02-27"),
        ("2026-03-02T05:00:00+02:00", "date", HOUR, "2026-03-01"),
        ("2026-03-02", "date", HOUR, "2026-03-01"),
        (date(2026, 3, 2), "date", HOUR, "2026-03-01"),
        ("2026-03-02", None, HOUR, "2026-03-01"),
        ("2026-03-02T10:00:00-05:00", None, HOUR, "2026-03-02T09:00:00-05:00"),
        ("2026-03-02T10:00:00+02:00", "iso", HOUR, "2026-03-02T07:00:00Z"),
        ("2026-03-02T10:00:00.5+02:00", "epoch", HOUR, 1772434800),
        ("1772445600", "epoch", HOUR, 1772442000),
        (1772445600123, "epoch_ms", HOUR, 1772442000123),
        (1772445600, "epoch", 60, 1772445540),
        (41, None, 1, "40"),
        ("0041", None, 1, "0040"),
    ],
)
def test_fault_94_an_api_is_asked_from_before_the_watermark(
    cursor: Any, time_format: str | None, lookback: Any, start: Any
) -> None:
    """An API filtered by its own local day, by seconds or by an id; what came late or in the evening was read: I."""
    assert since(to_watermark(cursor), lookback, time_format, "UTC") == start


def test_a_watermark_of_an_earlier_version_is_read_on() -> None:
    # Given watermarks as earlier versions wrote them, then they are read as what they are
    assert from_watermark(json.dumps({"value": 99.5}), 0.5) == 99.0
    assert from_watermark(json.dumps({"time": "2026-03-02T10:00:00"}), HOUR) == datetime(2026, 3, 2, 9)
    with pytest.raises(UsageError, match="it is a time, and the cursor is a number"):
        from_watermark(json.dumps({"value": 7}), HOUR)


def test_fault_94_an_api_that_filters_by_its_own_day_loses_no_evening(shop: Shop, serve: Serve) -> None:
    """An API took a date, and compared it with its own local day, eight hours behind UTC: I."""

    # Given people who changed in the evening of the first of March there, which is the second in UTC
    def changed(at: str) -> datetime:
        return datetime.fromisoformat(at) - timedelta(hours=8)

    known = [person(1, "2026-03-02T05:00:00Z")]
    api = serve(
        lambda asked: page([one for one in known if f"{changed(one['updated_at']):%F}" >= asked.params.get("from", "")])
    )
    connect(shop, api, since="from", since_format="date")
    shop.load()

    # When another comes the same evening, then it is read
    known.append(person(2, "2026-03-02T06:30:00Z"))
    assert shop.load().counts.accepted == 1
