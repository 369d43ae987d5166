"""Known records and duplicates: what the lake held before a load, and what came more than once within it."""

import json
from pathlib import Path

import pytest
from support.shop import Shop

from flows.core.clock import utc_now
from flows.core.errors import GateFailed
from flows.core.names import TableName
from flows.lake.counts import Counts
from flows.lake.delta import append_row, open_table, query
from flows.lake.ops import LOADS, LoadRecord, earlier_loads, record_load
from flows.lake.reconcile import require_reconciliation


def order(number: int, quantity: object = 1, at: str | None = "2026-03-01 10:00:00") -> dict[str, object]:
    return {"order_id": str(number), "customer": "Ada", "quantity": quantity, "price": "1.50", "updated_at": at}


def counted(shop: Shop) -> tuple[int, int, int, int]:
    """Load, and return the records that were accepted, quarantined, known and duplicate."""
    counts = shop.load().counts
    return counts.accepted, counts.quarantined, counts.known, counts.duplicate


@pytest.fixture
def one_file_a_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.sources.files.table.FILES_A_BATCH", 1)


@pytest.mark.parametrize("load", ["append", "upsert", "full"])
def test_a_record_that_the_lake_holds_is_known_and_one_that_comes_twice_is_a_duplicate(shop: Shop, load: str) -> None:
    # Given a stored record
    shop.change(load=load)
    shop.drop_rows("all.jsonl", [order(1)])
    assert counted(shop) == (1, 0, 0, 0)

    # When it comes again, twice, beside a new one that comes three times
    shop.drop_rows("all.jsonl", [order(1), order(2), order(1), order(2), order(2)])

    # Then both of the first are known, and two of the second are duplicates
    assert counted(shop) == (1, 0, 2, 2)
    assert len(shop.rows()) == 2


@pytest.mark.parametrize("load", ["append", "upsert"])
@pytest.mark.usefixtures("one_file_a_batch")
def test_a_record_of_an_earlier_batch_of_the_same_load_is_a_duplicate(shop: Shop, load: str) -> None:
    # Given two new files with one record in common, which are two batches of one load
    shop.change(load=load)
    shop.drop_rows("1.jsonl", [order(1), order(2)])
    shop.drop_rows("2.jsonl", [order(2), order(3)])

    # When they are loaded, then the record counts as a duplicate, though the lake holds it by then
    assert counted(shop) == (3, 0, 0, 1)

    # And in the next load, the files are known, whole
    assert counted(shop) == (0, 0, 4, 0)


def test_a_stored_key_with_another_payload_is_not_known(shop: Shop) -> None:
    # Given an event
    shop.change(load="append")
    shop.drop_rows("1.jsonl", [order(1)])
    shop.load()

    # When its key comes with another payload, alone and beside a record that is unchanged
    shop.drop_rows("2.jsonl", [order(1, 9), order(1)])
    load = shop.load()

    # Then it is a conflict and no known record; the file of before and the unchanged record are known
    assert (load.counts.accepted, load.counts.known, load.counts.duplicate, load.counts.conflicts) == (0, 2, 1, 1)


def test_without_a_cursor_the_state_before_a_record_decides(shop: Shop) -> None:
    # Given two states that nothing but their arrival orders
    shop.change(cursor=None)
    shop.drop_rows("1.jsonl", [order(1), order(2)])
    shop.load()

    # When the state of one is repeated, and that of the other changes, returns and is repeated
    shop.drop_rows("1.jsonl", [order(1), order(2, 5), order(2), order(2)])

    # Then the first is known; the last repeats a record of the same load
    assert counted(shop) == (2, 0, 1, 1)
    assert shop.rows("order_id", "quantity") == [("1", 1), ("2", 1), ("2", 5), ("2", 1)]


@pytest.mark.usefixtures("one_file_a_batch")
def test_without_a_cursor_a_state_of_an_earlier_batch_is_a_duplicate(shop: Shop) -> None:
    # Given a stored state
    shop.change(cursor=None)
    shop.drop_rows("0.jsonl", [order(1)])
    shop.load()

    # When it changes, returns and is repeated in three batches of one load
    for number, quantity in ((1, 5), (2, 1), (3, 1)):
        shop.drop_rows(f"{number}.jsonl", [order(1, quantity), order(10 + number)])

    # Then only the record of the first file is known
    assert counted(shop) == (5, 0, 1, 1)


def test_a_rejected_record_is_known_once_it_is_in_quarantine(shop: Shop) -> None:
    # Given a record that breaks the contract, twice in its file
    shop.drop_rows("1.jsonl", [order(1, "many"), order(1, "many"), order(2)])
    assert counted(shop) == (1, 1, 0, 1)

    # When another file brings it again, twice
    shop.drop_rows("2.jsonl", [order(1, "many"), order(1, "many"), order(3)])

    # Then the quarantine holds it once, and all of its records are known, beside the first file
    assert counted(shop) == (1, 0, 5, 0)
    assert len(shop.quarantine()) == 1


def test_a_load_that_counts_a_known_record_twice_is_not_reconciled(shop: Shop) -> None:
    # Given a load with counts that do not add up
    shop.drop_rows("1.jsonl", [order(1)])
    load = shop.load()
    wrong = Counts(read=1, accepted=1, known=1)

    # When it is recounted, then the gate names all of its terms
    with pytest.raises(GateFailed, match="1 read, but 1 accepted \\+ 0 quarantined \\+ 1 known \\+ 0 duplicate"):
        require_reconciliation(shop.lake, {shop.name: (load.load_id, wrong)})


def test_counts_of_version_0_1_0_are_read_as_they_were_written(tmp_path: Path) -> None:
    # Given a commit and a record of a load that know no known records
    assert Counts.stored(json.loads("[5, 2, 1, 2, 0, 0]")) == Counts(5, 2, 1, 2)
    of_old = LOADS.remove(LOADS.get_field_index("known"))
    row = {"load_id": "old", "run_id": "a-run", "table_name": "sales.orders", "outcome": "failed", "read": 3}
    append_row(tmp_path / "ops" / "loads", row | {"duplicate": 3}, of_old)

    # When another load of the run looks at it, then its counts are those of then
    name = TableName("sales", "orders")
    assert earlier_loads(tmp_path, "a-run", name).tries == Counts(read=3, duplicate=3)

    # And the next record stands beside it
    counts = Counts(read=2, accepted=1, known=1)
    record_load(tmp_path, LoadRecord("new", "a-run", str(name), utc_now(), 1.0, counts, 1, "failed"))
    assert earlier_loads(tmp_path, "a-run", name).tries == Counts(read=5, accepted=1, duplicate=3, known=1)
    rows = query(open_table(tmp_path / "ops" / "loads"), "select load_id, known from {table} order by load_id")
    assert rows == [("new", 1), ("old", None)]
