"""Tombstones, as the sources of change events have them: each deletes its key, and none is a row of nulls."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from support.shop import Shop

from flows.core.errors import SourceFailed
from flows.ingest.replay import replay_table

COLUMNS = {
    "id": "varchar not null",
    "name": {
        "data_type": "varchar",
        "constraints": [{"type": "not_null"}, {"type": "check", "expression": "length(name) > 0"}],
    },
    "amount": "integer",
    "updated_at": "timestamp",
}
MAPPING = {"from": "*.jsonl", "columns": {"id": "coalesce(id, kafka_key)", "amount": "coalesce(amount, '0')"}}

Row = dict[str, Any]


@pytest.fixture
def clients(shop: Shop) -> Shop:
    """A table of states, whose records are as those of a topic."""
    shop.declare("crm.clients", COLUMNS, key=["id"], load="upsert", cursor="updated_at")
    shop.map(**MAPPING)
    return shop


def value(key: str, amount: int, day: int = 1) -> Row:
    return {"id": key, "name": f"N{key}", "amount": amount, "updated_at": f"2026-03-{day:02}", "kafka_key": key}


def tombstone(key: str) -> Row:
    return {"kafka_key": key, "kafka_is_tombstone": True}


def states(shop: Shop) -> Mapping[str, int]:
    """Return the amounts of the keys that are not deleted: of the rows after a key's last tombstone the newest."""
    found: dict[str, list[tuple[Any, int]]] = {}
    for key, amount, at, is_deleted in shop.rows("id", "amount", "updated_at", "_deleted", where="true"):
        found[key] = [] if is_deleted else [*found.get(key, []), (at, amount)]
    return {key: max(reversed(rows), key=lambda row: row[0])[1] for key, rows in found.items() if rows}


def load(shop: Shop, number: int, rows: Iterable[Row]) -> Any:
    shop.drop_rows(f"{number:03}.jsonl", rows)
    return shop.load()


def test_fault_53_a_tombstone_deletes_its_key_and_is_no_row_of_nulls(clients: Shop) -> None:
    """A tombstone became a row of nulls, and the key was still there: I."""
    # Given a key with a value, then its tombstone, and a key that stays
    first = load(clients, 1, [value("1", 10), value("2", 20)])
    second = load(clients, 2, [tombstone("1") | {"kafka_headers": {"by": "admin"}}])

    # Then it is accepted as a row that says that the key is deleted, and has nothing else but its headers
    assert (first.counts.accepted, second.counts.accepted, second.counts.deleted) == (2, 1, 0)
    assert clients.rows("id", "name", "amount", "updated_at", "kafka_headers", where="_deleted") == [
        ("1", None, None, None, '{"by":"admin"}')
    ]
    assert states(clients) == {"2": 20}
    assert clients.quarantine() == []


@pytest.mark.parametrize(
    ("batches", "rows", "left"),
    [
        ([[tombstone("1"), value("1", 10)]], 2, {"1": 10}),
        ([[value("1", 10), tombstone("1")]], 2, {}),
        ([[tombstone("1")]], 1, {}),
        ([[tombstone("1"), tombstone("1")], [tombstone("1")]], 1, {}),
        ([[value("1", 10), tombstone("1"), value("1", 10)]], 3, {"1": 10}),
        ([[value("1", 10)], [tombstone("1"), value("1", 10)], [value("1", 10)]], 3, {"1": 10}),
        ([[value("1", 10)], [tombstone("1")], [value("1", 10), value("1", 10), tombstone("1")]], 4, {}),
        ([[value("1", 10), value("2", 5), tombstone("2"), value("1", 11, 2)]], 4, {"1": 11}),
        ([[], [tombstone("1")], []], 1, {}),
    ],
)
def test_fault_53_tombstones_at_every_place_of_a_batch(
    clients: Shop, batches: list[list[Row]], rows: int, left: dict[str, int]
) -> None:
    """A tombstone that was the first, last or only record, or came again, was lost or counted twice: I."""
    for number, records in enumerate(batches):
        load(clients, number, records)
    assert len(clients.rows("id", where="true")) == rows
    assert states(clients) == left


def test_fault_53_a_tombstone_of_events_is_quarantined_with_its_reason(clients: Shop) -> None:
    """A tombstone came to a table of events, which declares no way to delete: Q."""
    clients.change(load="append")
    loaded = load(clients, 1, [value("1", 10), tombstone("1"), value("2", 20)])
    assert (loaded.counts.accepted, loaded.counts.quarantined) == (2, 1)
    ((raw, reasons),) = clients.quarantine()
    assert b'"kafka_key":"1"' in raw.replace(b" ", b"")
    assert reasons == ["is a tombstone, and load: append deletes no event; set load: upsert, or leave it out by where"]


def test_fault_53_a_tombstone_whose_key_is_not_mapped_says_so_and_can_be_replayed(clients: Shop) -> None:
    """The mapping did not read the message's key, which alone says what a tombstone deletes: Q."""
    clients.map(**{"from": "*.jsonl"})
    load(clients, 1, [value("1", 10)])
    load(clients, 2, [tombstone("1")])
    ((_, reasons),) = clients.quarantine()
    assert "id: is not found for a tombstone; map it from kafka_key as well" in reasons

    # When the mapping is fixed, then a replay deletes the key
    clients.map(**MAPPING)
    replay_table(clients.read_connection(), clients.contract, clients.lake, run_id="replay")
    assert (states(clients), clients.quarantine()) == ({}, [])


def test_a_record_in_quarantine_does_not_bring_back_a_key_that_was_deleted_since(clients: Shop) -> None:
    load(clients, 1, [value("1", 10) | {"name": ""}])
    load(clients, 2, [tombstone("1")])
    clients.declare("crm.clients", {**COLUMNS, "name": "varchar"}, key=["id"], load="upsert", cursor="updated_at")
    replay_table(clients.read_connection(), clients.contract, clients.lake, run_id="replay")
    assert states(clients) == {}
    assert clients.quarantine()[0][1] == ["its key came again since, so what it says is not the newest"]


def test_a_full_copy_ends_with_the_tombstone_of_a_key(clients: Shop) -> None:
    clients.change(load="full")
    load(clients, 1, [value("1", 10), value("2", 20), tombstone("1")])
    assert states(clients) == {"2": 20}
    second = load(clients, 2, [value("1", 11), tombstone("2")])
    assert states(clients) == {"1": 11}
    assert second.counts.deleted == 1


def test_a_query_that_does_not_read_tombstones_is_refused(clients: Shop) -> None:
    clients.map(**{"from": "*.jsonl", "query": "select kafka_key as id, name from source"})
    clients.drop_rows("1.jsonl", [value("1", 10), tombstone("1")])
    with pytest.raises(SourceFailed, match="the topic has tombstones, and it reads no kafka_is_tombstone"):
        clients.load()
    query = "select kafka_key as id, name, amount, updated_at, kafka_is_tombstone from source"
    clients.map(**{"from": "*.jsonl", "query": query})
    clients.load()
    assert states(clients) == {}


def test_a_condition_may_leave_tombstones_out(clients: Shop) -> None:
    clients.map(**MAPPING, where="kafka_is_tombstone is null")
    loaded = load(clients, 1, [value("1", 10), tombstone("1")])
    assert (loaded.counts.read, states(clients)) == (1, {"1": 10})


@pytest.mark.parametrize("seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.proof) for seed in range(3, 20))])
@pytest.mark.parametrize("cursor", ["updated_at", None])
def test_any_sequence_of_states_and_tombstones_ends_in_the_same_states(
    clients: Shop, seed: int, cursor: str | None
) -> None:
    """The oracle takes one record after the other; a topic that is read again ends in the same states, too."""
    clients.change(cursor=cursor)
    chance, expected = random.Random(seed), dict[str, int]()
    for number in range(4):
        rows = []
        for at in range(chance.randrange(12)):
            key = chance.choice("12345")
            if chance.random() < 0.35:
                rows.append(tombstone(key))
                expected.pop(key, None)
            else:
                expected[key] = chance.randrange(3)
                rows.append(value(key, expected[key], number * 7 + at // 2 + 1))
        load(clients, number, rows)
        assert states(clients) == expected
    clients.map(**MAPPING, time_zone="Europe/London")
    clients.load()
    assert states(clients) == expected
