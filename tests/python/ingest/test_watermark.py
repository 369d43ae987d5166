"""The limits of a watermark: known files, full copies, changed mappings and changed contracts."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from support.shop import Shop, make_contract

from flows.core.errors import SchemaMismatch, SourceFailed, UsageError

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
    assert (load.counts.accepted, load.counts.duplicate) == (1, 2)
    assert sorted(shop.rows("order_id")) == ["1", "2", "3"]


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
    assert (load.counts.accepted, load.counts.duplicate) == (1, 1)


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
    assert shop.load().counts.duplicate == 2


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
    assert (first.counts.accepted, second.counts.duplicate, third.counts.duplicate) == (1, 1, 1)


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
