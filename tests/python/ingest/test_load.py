"""Loads of a table: new, known and refused records; and repeated loads without harm."""

import random
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.breaks import add_to_quarantine, commit_watermark_first
from support.killed_loads import fill, load_in_a_child, state
from support.kills import Point
from support.shop import ORDERS, Shop, make_shop

from flows.core.errors import GateFailed, SchemaMismatch, SourceFailed
from flows.ingest.load import LoadResult
from flows.lake.delta import append_row, open_table, relation_of
from flows.lake.raw import RawTable

HEADER = "order_id,customer,quantity,price,updated_at\n"
MARCH = HEADER + "1,Ada,1,1.50,2026-03-01 10:00:00\n2,Bob,2,2.50,2026-03-01 11:00:00\n"
APRIL = HEADER + "3,Cyd,3,3.50,2026-04-01 10:00:00\n"


def order(
    number: int, *, customer: str | None = "Ada", quantity: int = 1, at: str = "2026-03-01 10:00:00"
) -> dict[str, object]:
    return {"order_id": f"{number:04}", "customer": customer, "quantity": quantity, "price": "1.50", "updated_at": at}


# The same again


@pytest.mark.parametrize("load", ["append", "upsert", "full"])
def test_fault_15_the_same_file_again_changes_nothing(shop: Shop, load: str) -> None:
    """A file was unchanged, and arrived again under another name: I."""
    # Given a loaded file, and another file that arrived after it
    shop.change(load=load)
    shop.drop("march.csv", MARCH)
    shop.load()
    shop.drop("april.csv", APRIL)
    assert shop.load().counts.accepted == 1
    before, batch = shop.rows(), RawTable(shop.lake, shop.name).batch

    # When the first file is still there, and arrives again under another name
    shop.drop("march (1).csv", MARCH)
    load_again = shop.load()

    # Then every record is known, by the file's hash if it is no full copy, and the lake has the same rows
    assert load == "full" or load_again.batch == batch
    assert load_again.counts.known == load_again.counts.read == 5
    assert load_again.counts.conflicts == 0
    assert shop.rows() == before


def test_fault_15_the_same_records_in_another_file_change_nothing(shop: Shop) -> None:
    """Records arrived again in another file and order, a quarantined one among them: I."""
    # Given a loaded file with one quarantined record
    shop.drop("march.csv", MARCH + "9,Eve,many,1.50,2026-03-01 12:00:00\n")
    assert shop.load().counts.quarantined == 1
    before = shop.rows(), shop.quarantine()

    # When its records arrive again in another file, in another order
    lines = MARCH.splitlines(keepends=True)
    shop.drop("march-corrected.csv", HEADER + lines[2] + "9,Eve,many,1.50,2026-03-01 12:00:00\n" + lines[1])
    load = shop.load()

    # Then each record is known, including the quarantined one
    assert load.counts.known == load.counts.read == 6
    assert (shop.rows(), shop.quarantine()) == before


def test_a_known_file_is_read_again_once_its_mapping_changed(shop: Shop) -> None:
    # Given a loaded file
    shop.drop("march.csv", MARCH)
    shop.load()

    # When its mapping changes
    shop.map(**{"from": "*", "columns": {"customer": "upper(customer)"}})
    load = shop.load()

    # Then its rows are read again, and are new states
    assert (load.counts.accepted, load.counts.known) == (2, 0)
    assert shop.rows("customer") == ["Ada", "Bob", "ADA", "BOB"]


# The same key, another payload


def test_fault_16_of_an_event_that_comes_again_the_first_stays(shop: Shop) -> None:
    """Events arrived again with another payload, in another file and in the same: I, A."""
    # Given events
    shop.change(load="append")
    shop.drop_rows("1.jsonl", [order(1), order(2)])
    shop.load()

    # When a key arrives again with another payload, another key with the same, and one key twice in a file
    again = [order(1, quantity=9), order(2), order(3), order(3, quantity=9)]
    shop.drop_rows("2.jsonl", again)
    load = shop.load()

    # Then the first arrival stays, and the conflicts are counted and reported
    assert (load.counts.accepted, load.counts.known, load.counts.duplicate, load.counts.conflicts) == (1, 3, 2, 2)
    assert shop.rows("order_id", "quantity") == [("0001", 1), ("0002", 1), ("0003", 1)]
    assert "sales.orders: 2 came again under the same key with another payload" in load.notes


def test_fault_16_an_event_is_known_even_if_it_comes_again_with_a_later_cursor(shop: Shop) -> None:
    """An event arrived again with a later cursor: I, A."""
    # Given events with a cursor
    shop.change(load="append")
    shop.drop_rows("1.jsonl", [order(1), order(2)])
    shop.load()

    # When one of them arrives again with a later cursor
    shop.drop_rows("2.jsonl", [order(1, at="2026-06-01 10:00:00")])
    load = shop.load()

    # Then its key is in the lake once
    assert (load.counts.accepted, load.counts.conflicts) == (0, 1)
    assert shop.rows("order_id") == ["0001", "0002"]


def test_fault_16_of_a_state_every_change_is_kept_and_one_at_the_same_time_is_a_conflict(shop: Shop) -> None:
    """States changed later, and at the same time: I, A."""
    # Given states
    shop.drop_rows("1.jsonl", [order(1), order(2)])
    shop.load()

    # When one changes later, and another at the same time
    shop.drop_rows("2.jsonl", [order(1, quantity=5, at="2026-03-02 10:00:00"), order(2, quantity=9)])
    load = shop.load()

    # Then both are stored in the order of arrival, and the second is a conflict
    assert (load.counts.accepted, load.counts.conflicts) == (2, 1)
    assert shop.rows("order_id", "quantity") == [("0001", 1), ("0002", 1), ("0001", 5), ("0002", 9)]


def test_fault_16_of_a_key_twice_in_a_full_copy_the_last_stands(shop: Shop) -> None:
    """A full copy contained a key twice: I, A."""
    # Given a full copy that holds a key twice
    shop.change(load="full")
    shop.drop_rows("all.jsonl", [order(1), order(1, quantity=9), order(2)])

    # When it is loaded, twice
    load, again = shop.load(), shop.load()

    # Then the last row wins, and the conflict is counted each time
    assert (load.counts.accepted, load.counts.duplicate, load.counts.conflicts) == (2, 1, 1)
    assert (again.counts.known, again.counts.duplicate, again.counts.conflicts) == (2, 1, 1)
    assert shop.rows("order_id", "quantity") == [("0001", 9), ("0002", 1)]


def test_states_without_a_cursor_value_are_changes_and_no_conflicts(shop: Shop) -> None:
    # Given a state without a time
    shop.drop_rows("1.jsonl", [{"order_id": "1", "quantity": 1}])
    shop.load()

    # When it changes
    shop.drop_rows("2.jsonl", [{"order_id": "1", "quantity": 2}])
    load = shop.load()

    # Then the change is stored
    assert (load.counts.accepted, load.counts.conflicts) == (1, 0)


@pytest.mark.parametrize("cursor", [None, "updated_at"])
@pytest.mark.parametrize("source", ["jsonl", "sqlite"])
def test_fault_104_a_state_that_comes_back_is_a_change(shop: Shop, source: str, cursor: str | None) -> None:
    """States without a cursor went from A to B and back to A, in loads of their own and within one: I."""
    # Given states whose time is not known, by a contract without a cursor and with an empty one
    shop.change(load="upsert", cursor=cursor)
    path = shop.folder / "shop.sqlite"
    if source == "sqlite":
        shop.connect(f"sqlite:///{path}")
        shop.map()

    def arrive(name: str, *quantities: int) -> LoadResult:
        rows = [{"order_id": str(key), "quantity": quantity} for quantity in quantities for key in (1, 2)]
        if source == "jsonl":
            shop.drop_rows(f"{name}.jsonl", [*rows, {"order_id": name, "quantity": 0}])
        else:
            with closing(sqlite3.connect(path)) as database, database:
                database.execute("drop table if exists orders")
                database.execute("create table orders (order_id text, quantity integer)")
                database.executemany("insert into orders values (:order_id, :quantity)", rows)
        return shop.load()

    # When a state comes back, then it is a change; one that stays is none
    for name, quantity, accepted in (("a", 7, 2), ("b", 8, 2), ("c", 7, 2), ("d", 7, 0)):
        assert arrive(name, quantity).counts.accepted == accepted + (source == "jsonl")
    assert shop.rows("quantity", where="order_id = '1'") == [7, 8, 7]

    # And so it is within a batch
    arrive("e", 7, 8, 8, 7)
    assert shop.rows("quantity", where="order_id = '2'") == [7, 8, 7, 8, 7]


def test_fault_17_any_order_of_arrival_gives_the_same_set(shop: Shop, tmp_path: Path) -> None:
    """The same states arrived in three orders, some twice: I."""
    # Given states in several files, some of them twice in one
    rows = [order(n % 5, quantity=n, at=f"2026-03-{1 + n % 9:02} 10:00:00") for n in range(40)] + [order(3)] * 6
    chance = random.Random(17)
    sets = []
    for attempt in range(3):
        # When they arrive one file at a time, in some order
        shop.connect(f"file:{tmp_path / str(attempt)}")
        shop.declare(f"sales.orders_{attempt}", load="upsert", cursor="updated_at")
        shop.map(**{"from": "*.jsonl"})
        chance.shuffle(rows)
        for number in range(3):
            shop.drop_rows(f"../{attempt}/{chance.random()}.jsonl", rows[number::3])
            shop.load()
        sets.append(shop.stored())
        assert len(shop.rows()) == len(sets[-1])

    # Then the same states are stored
    assert sets[0] == sets[1] == sets[2]
    assert len(sets[0]) == 41


# Full copies


def test_what_is_gone_from_a_full_copy_leaves_a_tombstone_and_may_return(shop: Shop) -> None:
    # Given a full copy
    shop.change(load="full")
    shop.drop_rows("all.jsonl", [order(1), order(2)])
    shop.load()

    # When a key disappears, is still absent, and returns
    shop.drop_rows("all.jsonl", [order(1)])
    gone, still_gone = shop.load(), shop.load()
    shop.drop_rows("all.jsonl", [order(1), order(2)])
    returned = shop.load()

    # Then there is one tombstone, and the return is a new row
    assert (gone.counts.deleted, still_gone.counts.deleted, returned.counts.deleted) == (1, 0, 0)
    assert (returned.counts.accepted, returned.counts.known) == (1, 1)
    history = shop.rows("order_id", "quantity", "_deleted", where="order_id = '0002'")
    assert history == [("0002", 1, False), ("0002", None, True), ("0002", 1, False)]


def test_an_empty_full_copy_deletes_nothing_and_is_told(shop: Shop) -> None:
    # Given a full copy
    shop.change(load="full")
    shop.drop("all.csv", MARCH)
    shop.load()

    # When the next one is empty
    for content in (HEADER, ""):
        shop.drop("all.csv", content)
        load = shop.load()

        # Then no row is deleted
        assert (load.counts.read, load.counts.deleted) == (0, 0)
        assert load.notes == ("sales.orders: the full copy of the source was empty; nothing was deleted",)


def test_fault_105_a_full_copy_that_lost_most_of_its_keys_deletes_nothing(shop: Shop) -> None:
    """A full copy came with less than half of its keys, and with other keys instead: F, I."""
    # Given a full copy of twenty keys
    shop.change(load="full")
    shop.drop_rows("all.jsonl", [order(n) for n in range(20)])
    shop.load()

    # When most of them are gone, then the load fails and deletes nothing, whatever came instead
    for further in (0, 20):
        shop.drop_rows("all.jsonl", [order(n) for n in [*range(9), *range(50, 50 + further)]])
        with pytest.raises(GateFailed, match=r"11 of 20 keys are not in the full copy any more") as failure:
            shop.load()
        assert "deleted_limit_pct" in str(failure.value)
        assert len(shop.rows("order_id")) == 20

    # And half of them may go, or as many as the contract says
    shop.drop_rows("all.jsonl", [order(n) for n in range(10)])
    assert shop.load().counts.deleted == 10
    shop.drop_rows("all.jsonl", [order(n) for n in range(30)])
    shop.load()
    shop.change(deleted_limit_pct=100.0)
    shop.drop_rows("all.jsonl", [order(1)])
    assert shop.load().counts.deleted == 29

    # And a table of few keys may lose any number
    shop.change(deleted_limit_pct=50.0)
    shop.drop_rows("all.jsonl", [order(n) for n in range(19)])
    shop.load()
    shop.drop_rows("all.jsonl", [order(1)])
    assert shop.load().counts.deleted == 18


def test_a_key_in_quarantine_is_not_taken_for_deleted(shop: Shop) -> None:
    # Given a full copy
    shop.change(load="full")
    shop.drop("all.csv", MARCH)
    shop.load()

    # When one of its records breaks the contract, and another key is really absent
    shop.drop("all.csv", HEADER + "1,Ada,many,1.50,2026-03-01 10:00:00\n")
    load = shop.load()

    # Then only the absent key is deleted
    assert (load.counts.quarantined, load.counts.deleted) == (1, 0)  # no record passed, so the copy proves no deletion
    shop.drop("all.csv", HEADER + "1,Ada,many,1.50,2026-03-01 10:00:00\n3,Cyd,1,1.50,2026-03-01 10:00:00\n")
    load = shop.load()
    assert (load.counts.accepted, load.counts.known, load.counts.deleted) == (1, 1, 1)
    assert shop.rows("order_id", where="_deleted") == ["2"]


def test_a_full_copy_with_unreadable_records_deletes_nothing(shop: Shop) -> None:
    # Given a full copy
    shop.change(load="full")
    shop.drop("all.csv", MARCH)
    shop.load()

    # When the next one has a malformed line, whose key is unknown
    shop.drop("all.csv", HEADER + "1,Ada,1,1.50,2026-03-01 10:00:00\n2,Bob\n")
    load = shop.load()

    # Then the key may be in this line, so no row is deleted
    assert (load.counts.quarantined, load.counts.deleted) == (1, 0)
    assert "sales.orders: some records of the full copy have no readable key; nothing was deleted" in load.notes


def test_a_full_copy_in_several_batches_is_one_copy(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a full copy in files with different columns, read one file per batch
    monkeypatch.setattr("flows.sources.files.table.FILES_A_BATCH", 1)
    shop.change(load="full")
    shop.drop_rows("1.jsonl", [order(1), order(2)])
    shop.drop_rows("2.jsonl", [order(3) | {"gift": "yes"}])
    shop.drop_rows("3.jsonl", [order(4) | {"gift": "no", "note": "x"}])

    # When it is loaded, twice
    load, again = shop.load(), shop.load()

    # Then no row is deleted between the batches, and the additional columns are stored
    assert (load.counts.accepted, load.counts.deleted, load.batch) == (4, 0, 1)
    assert (again.counts.known, again.counts.deleted) == (4, 0)
    assert shop.rows("order_id", "gift", "note")[2:] == [("0003", "yes", None), ("0004", "no", "x")]


# Columns that come and go


def test_fault_23_an_added_column_is_kept_and_told(shop: Shop) -> None:
    """A source had an additional column, and the contract allows it: A."""
    # Given a loaded source
    shop.drop("1.csv", MARCH)
    shop.load()

    # When it has an additional column
    shop.drop("2.csv", "order_id,gift,updated_at\n7,yes,2026-03-05 10:00:00\n")
    load = shop.load()

    # Then its values are stored, earlier rows have null, and it is reported
    assert shop.rows("order_id", "gift") == [("1", None), ("2", None), ("7", "yes")]
    assert "sales.orders: the source has new columns, which the lake keeps: gift" in load.notes

    # And a spelling that differs only by case is the same column
    shop.drop("3.csv", "order_id,GIFT,updated_at\n8,no,2026-03-05 10:00:00\n")
    shop.load()
    assert shop.rows("gift") == [None, None, "yes", "no"]

    # And when the contract declares it in another spelling, its values belong to the contract's column
    shop.declare(columns={**ORDERS, "Gift": "varchar"}, load="upsert", cursor="updated_at")
    shop.drop("4.csv", "order_id,gift,updated_at\n9,yes,2026-03-05 10:00:00\n")
    shop.load()
    assert shop.rows("gift") == [None, None, "yes", "no", "yes"]


def test_fault_23_an_added_column_is_left_out_where_the_contract_says_so_and_told(shop: Shop) -> None:
    """A source had an additional column, and the contract ignores it: A."""
    # Given a contract that ignores additional columns
    shop.change(on_extra_column="ignore")
    shop.drop("1.csv", "order_id,gift\n7,yes\n")

    # When a source has one
    load = shop.load()

    # Then it is left out, and it is reported
    assert "sales.orders: the contract ignores the source's columns gift" in load.notes
    assert "gift" not in RawTable(shop.lake, shop.name).types()


def test_fault_23_an_added_column_fails_the_load_where_the_contract_is_frozen(shop: Shop) -> None:
    """A source had an additional column, and the contract is frozen: F."""
    # Given a frozen contract
    shop.change(on_extra_column="freeze")
    shop.drop("1.csv", "order_id,gift\n7,yes\n")

    # When a source has an additional column, then no record is loaded, and the error names it
    with pytest.raises(SchemaMismatch, match="frozen, and gift is not in it"):
        shop.load()
    assert shop.rows() == []


def test_fault_24_a_removed_column_fails_the_load_if_required_and_is_null_and_told_if_not(shop: Shop) -> None:
    """A source lost a nullable column, and a required one: F, A."""
    # Given a loaded source
    shop.drop("1.csv", MARCH)
    shop.load()

    # When it loses a nullable column
    shop.drop("2.csv", "order_id,customer,price,updated_at\n3,Cyd,1.50,2026-03-05 10:00:00\n")
    load = shop.load()

    # Then that column is null, and it is reported
    assert shop.rows("quantity") == [1, 2, None]
    assert "sales.orders: the source has no quantity; taken as null" in load.notes

    # And when it loses a required one, the load fails and names it, and the lake is unchanged
    shop.drop("3.csv", "customer,price\nDot,1.50\n")
    with pytest.raises(SchemaMismatch, match="the contract requires column 'order_id'"):
        shop.load()
    assert len(shop.rows()) == 3


# Records that break the contract


def test_fault_27_a_null_where_none_is_allowed_is_quarantined_with_its_record(shop: Shop) -> None:
    """A record arrived without its key: Q, I."""
    # Given a record without its key
    shop.drop("1.csv", HEADER + ",Ada,1,1.50,2026-03-01 10:00:00\n2,Bob,1,1.50,2026-03-01 10:00:00\n")
    shop.drop_rows("2.jsonl", [])
    shop.map(**{"from": "*.csv"})

    # When it is loaded, twice
    load, again = shop.load(), shop.load()

    # Then it is quarantined once, as it came
    assert (load.counts.accepted, load.counts.quarantined, again.counts.known) == (1, 1, 2)
    raw, reasons = shop.quarantine()[0]
    assert reasons == ["order_id: is missing"]
    assert raw == b'{"order_id":null,"customer":"Ada","quantity":"1","price":"1.50","updated_at":"2026-03-01 10:00:00"}'


def test_every_reason_of_a_rejected_record_is_told(shop: Shop) -> None:
    # Given a record with several faults
    shop.declare(
        columns={
            "order_id": "varchar not null",
            "quantity": "integer",
            "status": {
                "data_type": "varchar",
                "constraints": [{"type": "check", "name": "is_known", "expression": "status in ('open')"}],
            },
        },
        load="append",
    )
    shop.drop("1.csv", "order_id,quantity,status\n,3.7,lost\n2,1,open\n3,,\n")

    # When it is loaded
    shop.load()

    # Then all faults are reported; null passes a check
    assert [reasons for _, reasons in shop.quarantine()] == [
        ["order_id: is missing", "quantity: is no integer", "status: is_known"]
    ]
    assert shop.rows("order_id") == ["2", "3"]


def test_a_batch_that_breaks_the_contract_is_refused_without_personal_data(shop: Shop) -> None:
    # Given a loaded source
    pii = {"data_type": "varchar", "config": {"meta": {"pii": "email"}}}
    email = {
        **pii,
        "constraints": [{"type": "check", "name": "looks_like_an_email", "expression": "email like '%@%.%'"}],
    }
    shop.declare(columns={"customer_id": "varchar not null", "email": email}, key=["customer_id"], load="append")
    shop.drop("1.csv", "customer_id,email\n1,ada@example.com\n")
    shop.load()
    batch = RawTable(shop.lake, shop.name).batch

    # When most of a batch breaks the contract
    shop.drop("2.csv", "customer_id,email\n" + "".join(f"c{n},jane.doe.{n}-at-example\n" for n in range(30)))
    with pytest.raises(GateFailed) as failure:
        shop.load()

    # Then no batch is committed, and the error names the rule and the keys, but no other values
    assert RawTable(shop.lake, shop.name).batch == batch
    assert (len(shop.rows()), shop.quarantine()) == (1, [])
    text = str(failure.value)
    assert "30 of 30 new records break the contract" in text
    assert "email: looks_like_an_email: 30 records" in text
    assert "for example customer_id=c0" in text
    assert "jane" not in text
    assert "jane" not in str(shop.loads()[-1]["error"])

    # And a second try fails in the same way: records of the failed one are not known
    with pytest.raises(GateFailed):
        shop.load()

    # And after the file is fixed, all of it is loaded
    shop.drop("2.csv", "customer_id,email\n" + "".join(f"c{n},jane.doe.{n}@example.com\n" for n in range(30)))
    assert shop.load().counts.accepted == 30
    assert shop.quarantine() == []


def test_a_personal_key_is_not_shown_when_a_batch_is_refused(shop: Shop) -> None:
    # Given a contract whose key is personal
    columns = {"email": {"data_type": "varchar", "config": {"meta": {"pii": "email"}}}, "visits": "integer"}
    shop.declare(columns=columns, key=["email"], load="append")
    shop.drop("1.csv", "email,visits\n" + "".join(f"jane.doe.{n}@example.com,many\n" for n in range(30)))

    # When a batch is refused, then the error contains no key
    with pytest.raises(GateFailed) as failure:
        shop.load()
    assert "jane" not in str(failure.value)


# Crashes


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> object:
    """The state after an undisturbed load of several batches, with some quarantined records."""
    with pytest.MonkeyPatch.context() as patched:
        shop = make_shop(tmp_path_factory.mktemp("undisturbed"), patched)
        fill(shop)
        steps = load_in_a_child(shop).steps
        assert (steps["commit"], len(shop.rows()), len(shop.quarantine())) == (3, 24, 6)
        return state(shop)


def kill_and_begin_again(shop: Shop, at: Point, *breaks: Callable[[], None]) -> object:
    """Load until the kill, then load again in an undisturbed process; return the state."""
    fill(shop)
    assert load_in_a_child(shop, at, *breaks).was_killed, f"{at} was never reached"
    load_in_a_child(shop, None, *breaks)
    assert shop.load().counts.accepted == 0
    return state(shop)


def named(points: Sequence[Point]) -> Any:
    return pytest.mark.parametrize("at", points, ids=str)


@named([Point("extract", "before", 2), Point("extract", "within", 2, 0.002), Point("extract", "after", 3)])
def test_fault_01_a_kill_while_extracting_changes_nothing_in_the_end(
    shop: Shop, undisturbed: object, at: Point
) -> None:
    """A load was killed while it read its second batch, and started again; its state equals an undisturbed one: I."""
    assert kill_and_begin_again(shop, at) == undisturbed


@named([Point("commit/write", "before", 2), Point("commit/write", "within", 2, 0.004), Point("commit/write", "after")])
def test_fault_02_a_kill_between_data_and_position_changes_nothing_in_the_end(
    shop: Shop, undisturbed: object, at: Point
) -> None:
    """A load was killed before, within and after a batch's commit, and started again; no row is lost or doubled: I."""
    assert kill_and_begin_again(shop, at) == undisturbed


@named([Point("quarantine/write", "within", 2, 0.003), Point("quarantine", "after", 2), Point("files", "after", 2)])
def test_fault_05_a_kill_while_writing_quarantine_changes_nothing_in_the_end(
    shop: Shop, undisturbed: object, at: Point
) -> None:
    """A load was killed within and after its quarantine, and started again; each rejected record is there once: I."""
    assert kill_and_begin_again(shop, at) == undisturbed


@pytest.mark.parametrize(
    ("broken", "at"),
    [
        (commit_watermark_first, Point("commit/write", "after")),
        (add_to_quarantine, Point("quarantine", "after", 2)),
    ],
)
def test_a_promise_broken_on_purpose_is_found_by_a_kill(
    shop: Shop, undisturbed: object, broken: Callable[[], None], at: Point
) -> None:
    # Given a load that commits its watermark before its rows, or one that keeps what a dead batch left
    # When it is killed in between and started again, then the state differs
    assert kill_and_begin_again(shop, at, broken) != undisturbed


def test_fault_02_05_what_a_batch_left_that_was_never_committed_does_not_count(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load died after its quarantine and before its commit, and the next load found another source: I."""

    # Given a load that dies after quarantine and files, before its commit
    class Died(BaseException):
        pass

    def die(*_args: object, **_further: object) -> None:
        raise Died

    shop.drop("1.csv", MARCH + "9,Eve,many,1.50,2026-03-01 12:00:00\n")
    with monkeypatch.context() as patched:
        patched.setattr(RawTable, "append", die)
        with pytest.raises(Died):
            shop.load()
    assert (shop.loads()[-1]["outcome"], shop.loads()[-1]["error"]) == ("failed", "interrupted")

    # When the next load finds another source under the same batch number
    (shop.exports / "1.csv").unlink()
    shop.drop("2.csv", APRIL)
    assert shop.load().counts.accepted == 1

    # Then the first file and its quarantined record are unknown until they are loaded
    assert shop.quarantine() == []
    shop.drop("1.csv", MARCH + "9,Eve,many,1.50,2026-03-01 12:00:00\n")
    load = shop.load()
    assert (load.counts.accepted, load.counts.quarantined, load.counts.known) == (2, 1, 1)


def test_what_a_dead_batch_noted_of_files_is_gone_even_if_the_next_batch_has_none(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a load of files that dies before its commit
    shop.drop("1.csv", MARCH)
    with monkeypatch.context() as patched:
        patched.setattr(RawTable, "append", lambda *_args: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            shop.load()

    # When a full copy, which records no files, takes its batch number
    shop.change(load="full")
    shop.drop("all/2.csv", APRIL)
    shop.map(**{"from": "all/*"})
    shop.load()

    # Then the file is unknown
    shop.change(load="upsert")
    shop.map(**{"from": "1.csv"})
    assert shop.load().counts.accepted == 2


# Bookkeeping


def test_a_failed_load_leaves_a_row_that_says_why(shop: Shop) -> None:
    # Given a source that does not exist
    shop.map(**{"from": "nothing-*.csv"})

    # When it is loaded
    with pytest.raises(SourceFailed, match=r"no file matches nothing-\*\.csv"):
        shop.load()

    # Then ops/loads records it
    entry = shop.loads()[-1]
    assert (entry["table_name"], entry["run_id"], entry["outcome"]) == ("sales.orders", "a-run", "failed")
    assert "no file matches" in entry["error"]


def test_a_load_records_how_many_values_are_missing_in_each_column(shop: Shop) -> None:
    # Given a file of two records, and one whose record lacks the customer
    shop.drop("1.csv", MARCH)
    shop.load()
    shop.drop("2.csv", APRIL.replace("Cyd", ""))

    # When both are loaded
    shop.load()

    # Then ops/loads has the nulls of each load, by column
    assert [entry["nulls"] for entry in shop.loads()] == [{}, {"customer": 1}]


def test_a_load_records_the_newest_event_of_what_it_brought(shop: Shop) -> None:
    # Given a file, then one with nothing new, then one of a later day
    shop.drop("1.csv", MARCH)
    shop.load()
    shop.load()
    shop.drop("2.csv", APRIL)

    # When all are loaded
    shop.load()

    # Then ops/loads has the newest event of each load
    newest = [entry["newest_at"] for entry in shop.loads()]
    assert newest == [datetime(2026, 3, 1, 11), None, datetime(2026, 4, 1, 10)]


def test_rows_of_the_first_load_are_a_backfill_and_later_ones_are_not(shop: Shop) -> None:
    # Given a first load that fails, and a second
    shop.drop("1.csv", "nothing\n1\n")
    with pytest.raises(SchemaMismatch):
        shop.load()
    shop.drop("1.csv", MARCH)
    shop.load()

    # When more files arrive
    shop.drop("2.csv", APRIL)
    shop.load()

    # Then only rows of the first completed load are a backfill
    assert shop.rows("_is_backfill", "_batch", "_row", "_position") == [
        (True, 1, 1, "1.csv:1"), (True, 1, 2, "1.csv:2"), (False, 2, 1, "2.csv:1"),
    ]  # fmt: skip
    assert all(isinstance(at, datetime) for at in shop.rows("_loaded_at"))


def test_loads_at_the_same_time_can_all_make_the_tables_that_they_share(tmp_path: Path) -> None:
    # Given several loads that end at the same time, and no table yet
    import pyarrow as pa

    schema = pa.schema([("load_id", pa.string())])
    failures: list[Exception] = []
    together = threading.Barrier(4)

    def note(number: int) -> None:
        together.wait()
        try:
            append_row(tmp_path / "loads", {"load_id": str(number)}, schema)
        except Exception as failure:  # noqa: BLE001 - whatever it is
            failures.append(failure)

    # When each records itself
    threads = [threading.Thread(target=note, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # Then all rows are there
    assert failures == []
    rows = duckdb.sql(f"select load_id from {relation_of(open_table(tmp_path / 'loads'))} order by 1").fetchall()
    assert rows == [("0",), ("1",), ("2",), ("3",)]


# Secrets and names


def test_fault_58_a_secret_is_in_no_error_log_or_file(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Loads with passwords in five kinds of URL failed: F."""
    # Given passwords and tokens in the environment
    canary = "c4nary-5ecret"
    monkeypatch.setenv("THE_PASSWORD", canary)
    caplog.set_level("DEBUG")
    texts = []
    for url, further in (
        ("postgresql+nodriver://jane:{{ env_var('THE_PASSWORD') }}@127.0.0.1:1/shop", {}),
        ("sqlite+pysqlite:////nowhere/{{ env_var('THE_PASSWORD') }}/shop.db", {}),
        ("http://127.0.0.1:1/{{ env_var('THE_PASSWORD') }}", {"auth": {"bearer": "{{ env_var('THE_PASSWORD') }}"}}),
        ("file:{{ env_var('THE_PASSWORD') }}", {}),
        ("sqlite:////nowhere/{{ env_var('THE_PASSWORD') }}.db", {}),
    ):
        monkeypatch.setattr("flows.sources.rest.client.ATTEMPTS", 1)
        shop.connect(url, **further)

        # When a load with them fails
        with pytest.raises(Exception) as failure:  # noqa: PT011
            shop.load()
        raised: BaseException | None = failure.value
        while raised is not None:
            texts += [str(raised), repr(raised)]
            raised = raised.__cause__ or (None if raised.__suppress_context__ else raised.__context__)

    # Then no file and no message contains them
    assert not [text for text in texts if canary in text]
    assert canary not in caplog.text
    written = [path for path in shop.folder.rglob("*") if path.is_file()]
    assert written
    assert not [path for path in written if canary in path.name or canary.encode() in path.read_bytes()]


def test_fault_59_names_and_values_that_look_like_sql_are_only_names_and_values(shop: Shop) -> None:
    """Names and values of JSON contained the end of a statement and a drop: Q, I."""
    # Given names and values that contain the end of a statement
    evil = '"; drop table checked; --'
    quote = "'; drop table new_rows; --"
    shop.declare(f"sales.{evil}", {evil: "varchar not null", quote: "integer"}, key=[evil], load="upsert")
    shop.drop_rows(f"{evil}.jsonl", [{evil: quote, quote: 1, "a.b": evil, 'x"y': quote, "b{c} d": 1, "$.a": 2}])
    shop.map(**{"from": "*"})

    # When they are loaded, twice
    load, again = shop.load(), shop.load()

    # Then they are stored unchanged
    assert (load.counts.accepted, again.counts.known) == (1, 1)
    doubled = evil.replace('"', '""')
    assert shop.rows(f'"{doubled}"', f'"{quote}"', '"a.b"', '"x""y"', '"b{c} d"', '"$.a"') == [
        (quote, 1, evil, quote, "1", "2")
    ]

    # And quarantined values and the names of files are unchanged too
    shop.drop_rows(f"2 {quote}.jsonl", [{evil: evil, quote: "many"}])
    assert shop.load().counts.quarantined == 1
    assert shop.quarantine()[0][1] == [f"{quote}: is no integer"]


def test_fault_59_csv_and_tables_with_such_names_are_read_too(shop: Shop) -> None:
    """The header and name of a CSV file contained the end of a statement: I."""
    # Given a CSV header and a file name with quotes
    evil = "a'b\"; drop table x; --"
    shop.declare(columns={"id": "varchar not null", evil: "varchar"}, key=["id"], load="append")
    header = evil.replace('"', '""')
    shop.drop(f"{evil}.csv", f'id,"{header}"\n1,{evil}\n2,"{header}"\n')

    # When it is loaded, then its values are there
    shop.load()
    doubled = evil.replace('"', '""')
    assert shop.rows(f'"{doubled}"') == [evil, evil]


@pytest.mark.parametrize("folder", ["a b", "ünï", "it's", "a#b", "{a}"])
def test_a_lake_may_be_in_a_folder_of_any_usual_name(shop: Shop, monkeypatch: pytest.MonkeyPatch, folder: str) -> None:
    # Given a data folder with a space or another special character in its name
    monkeypatch.setenv("ML_WAREHOUSE_DATA", str(shop.folder / folder))
    shop.drop("1.csv", MARCH)

    # When it is loaded, twice, then the lake can be written and read
    assert shop.load().counts.accepted == 2
    assert shop.load().counts.known == 2
    assert len(shop.rows()) == 2
