"""Schema evolution: the effects of a changed source or contract on stored rows, and the reports about it."""

import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet
from support.shop import ORDERS, Row, Shop, make_contract

from flows.config.contract import contracts_of
from flows.core.errors import SchemaMismatch, UsageError
from flows.lake.catalog import pin_catalog
from flows.lake.contract_versions import CONTRACTS, changes_since, record_contract_version
from flows.lake.delta import append_row, open_table, relation_of
from flows.lake.raw import RawTable
from flows.lake.schema_evolution import evolve, holds

HEADER = "order_id,customer,quantity,price,updated_at\n"
MARCH = HEADER + "1,Ada,1,1.50,2026-03-01 10:00:00\n2,Bob,2,2.50,2026-03-01 11:00:00\n"


def versions(shop: Shop) -> list[tuple[int, Row]]:
    relation = relation_of(open_table(shop.lake / "ops" / "contracts"))
    rows = duckdb.sql(f"select version, definition from {relation} order by table_name, version").fetchall()
    return [(version, json.loads(definition)) for version, definition in rows]


# Types of the contract


@pytest.mark.parametrize(
    ("before", "after", "text", "stored", "new", "then"),
    [
        ("integer", "bigint", "7", 7, "9007199254740993", 9007199254740993),
        ("smallint", "decimal(38, 0)", "7", Decimal(7), "9" * 38, Decimal("9" * 38)),
        ("decimal(10, 2)", "decimal(18, 4)", "1.50", Decimal("1.5"), "1.2345", Decimal("1.2345")),
        ("date", "timestamp", "2026-03-01", datetime(2026, 3, 1), "2026-03-01 10:00", datetime(2026, 3, 1, 10)),
        ("boolean", "varchar", "true", "true", "maybe", "maybe"),
    ],
)
def test_fault_26_a_widened_type_evolves_and_what_stands_is_seen_under_it(
    shop: Shop, before: str, after: str, text: str, stored: object, new: str, then: object
) -> None:
    """A contract's column was widened: stored rows have the new type; batches, order and watermark stay (I)."""
    # Given rows in two batches, and a catalog and a release that name their version
    shop.declare(columns={"id": "varchar", "value": before}, key=["id"], load="append")
    shop.drop("1.csv", f"id,value\n1,{text}\n2,\n")
    shop.load()
    shop.drop("2.csv", f"id,value\n3,{text}\n")
    shop.load()
    old_version = RawTable(shop.lake, shop.name).version
    kept = shop.rows("id", "_batch", "_row", "_position", "_load_id", "_loaded_at", "_is_backfill")

    # When the contract is widened, and a value arrives that only the wider type holds
    shop.declare(columns={"id": "varchar", "value": after}, key=["id"], load="append")
    shop.drop("3.csv", f"id,value\n4,{new}\n")
    load = shop.load()

    # Then all rows have the wider type, their other values are unchanged, and stored records are known
    assert counted(load) == (4, 1, 0, 3)
    assert shop.rows("value") == [stored, None, stored, then]
    assert shop.rows("id", "_batch", "_row", "_position", "_load_id", "_loaded_at", "_is_backfill")[:3] == kept
    assert any(note == f"sales.orders: contract version 2: value {before} → {after}" for note in load.notes)

    # And the version that the release names is unchanged
    raw = shop.lake / "raw" / "sales" / "orders"
    old = duckdb.sql(f"select id, value from {relation_of(open_table(raw, old_version))} order by id").fetchall()
    assert [row[0] for row in old] == ["1", "2", "3"]
    catalog = shop.folder / "catalog.duckdb"
    pin_catalog(catalog, shop.lake, {shop.name: shop.contract})
    with duckdb.connect(str(catalog), read_only=True) as connection:
        assert connection.execute("select value from sales.orders order by id").fetchall()[-1] == (then,)


def counted(load: object) -> tuple[int, ...]:
    """Return the records that were read, accepted, quarantined and known."""
    counts = load.counts  # type: ignore[attr-defined]
    return counts.read, counts.accepted, counts.quarantined, counts.known


def test_fault_26_a_narrowed_type_quarantines_new_offenders_and_refuses_what_stands_with_its_count(shop: Shop) -> None:
    """A contract's column was narrowed: new offenders are quarantined, stored offenders stop the load: Q, F."""
    # Given stored values that all fit a narrower type
    shop.declare(columns={**ORDERS, "quantity": "bigint"}, load="upsert", cursor="updated_at")
    shop.drop("1.csv", MARCH)
    shop.load()

    # When the contract is narrowed
    shop.declare(load="upsert", cursor="updated_at")
    shop.drop("2.csv", HEADER + "3,Cyd,3000000000,1.50,2026-03-05 10:00:00\n4,Dot,4,1.50,2026-03-05 10:00:00\n")
    load, again = shop.load(), shop.load()

    # Then values that do not fit are quarantined, and stored records are known under either type
    assert (counted(load), counted(again)) == ((4, 1, 1, 2), (4, 0, 0, 4))
    assert [reasons for _, reasons in shop.quarantine()] == [["quantity: is no integer"]]

    # And if stored values do not fit, no source is read, and the error has their number
    shop.declare(columns={**ORDERS, "price": "integer"}, load="upsert", cursor="updated_at")
    (shop.exports / "2.csv").unlink()
    shop.map(**{"from": "nothing.csv"})
    with pytest.raises(SchemaMismatch, match="column 'price' is integer, and 3 of its stored values do not fit"):
        shop.load()
    assert shop.rows("price") == [Decimal("1.5"), Decimal("2.5"), Decimal("1.5")]


def test_a_rewrite_carries_on_where_the_source_stands(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a loaded source, and no reader of versions before the last commit
    monkeypatch.setattr("flows.lake.delta.HISTORY", 1)
    shop.drop("1.csv", MARCH)
    shop.load()
    before = RawTable(shop.lake, shop.name)

    # When the table is rewritten, and the load dies after that
    shop.declare(columns={**ORDERS, "quantity": "bigint"}, load="upsert", cursor="updated_at")
    with duckdb.connect() as connection:
        evolve(connection, RawTable(shop.lake, shop.name), shop.contract, is_known=False)

    # Then its last commit has the metadata of the commit before, under the same batch
    after = RawTable(shop.lake, shop.name)
    assert (before.version, after.version) == (0, 1)
    assert set(after.last_commit()) == {"watermark", "config_hash", "cursor", "contract_version", "total_rows"}
    assert (after.last_commit(), after.batch) == (before.last_commit(), before.batch)


def test_a_type_is_widened_where_nothing_was_ever_accepted(shop: Shop) -> None:
    # Given a table without rows
    shop.drop("1.csv", HEADER + "1,Ada,many,1.50,2026-03-01 10:00:00\n")
    shop.load()

    # When its contract is widened, then it takes values that only the wider type holds
    shop.declare(columns={**ORDERS, "quantity": "bigint"}, load="upsert", cursor="updated_at")
    shop.drop("2.csv", HEADER + "3,Cyd,9007199254740993,1.50,2026-03-05 10:00:00\n")
    shop.load()
    assert shop.rows("quantity") == [9007199254740993]


def test_what_has_room_for_what() -> None:
    # When types are compared, then a type is wider only if no value is lost
    assert holds("BIGINT", "INTEGER")
    assert holds("DECIMAL(38,0)", "BIGINT")
    assert holds("DECIMAL(18,4)", "DECIMAL(10,2)")
    assert holds("DOUBLE", "INTEGER")
    assert holds("VARCHAR", "TIMESTAMP")
    assert not holds("INTEGER", "BIGINT")
    assert not holds("INTEGER", "DECIMAL(10,0)")
    assert not holds("DOUBLE", "BIGINT")
    assert not holds("DECIMAL(18,4)", "DECIMAL(18,2)")
    assert not holds("DATE", "TIMESTAMP")
    assert not holds("BIGINT", "VARCHAR")
    assert not holds("VARCHAR", "STRUCT(a INTEGER)")


# Types of extra columns


def test_fault_26_an_extra_column_whose_type_changes_is_widened(shop: Shop) -> None:
    """A column without a contract changed its type: it becomes a type that holds all its values (I)."""
    # Given additional columns of whole numbers
    shop.declare(columns={"id": "varchar"}, key=["id"], load="upsert")

    def drop(number: int, **columns: pa.Array) -> None:
        parquet.write_table(pa.table({"id": [str(number)], **columns}), shop.exports / f"{number}.parquet")
        shop.load()

    drop(1, n=pa.array([1], pa.int32()), m=pa.array([1]), o=pa.array([7]))
    before = RawTable(shop.lake, shop.name).last_commit()

    # When larger numbers, fractions, whole fractions, lists and nulls arrive in them
    drop(2, n=pa.array([2**40]), m=pa.array([1.5]), o=pa.array([8.0]))
    drop(3, n=pa.array([3]), m=pa.array([[1, 2]]), o=pa.array([None]))

    # Then no value is lost or rounded
    assert shop.rows("n", "m", "o") == [(1, "1", 7), (2**40, "1.5", 8), (3, "[1,2]", None)]
    assert set(before) == set(RawTable(shop.lake, shop.name).last_commit())
    assert shop.load().counts.known == 3


def test_a_rejected_record_does_not_widen_anything(shop: Shop) -> None:
    # Given an additional column of whole numbers
    shop.declare(columns={"id": "varchar not null"}, key=["id"], load="append")
    parquet.write_table(pa.table({"id": ["1"], "n": [1]}), shop.exports / "1.parquet")
    shop.load()

    # When a record with a text in it arrives, and is rejected for another reason
    table = pa.table({"id": pa.array([None, "2"]), "n": ["x", "2"]})
    parquet.write_table(table, shop.exports / "2.parquet")
    shop.load()

    # Then the column is unchanged
    assert shop.rows("id", "n") == [("1", 1), ("2", 2)]
    assert shop.quarantine() == [(b'{"id":null,"n":"x"}', ["id: is missing"])]


# Names


def test_fault_25_a_renamed_column_is_seen_as_removed_and_added_and_a_mapping_is_suggested(shop: Shop) -> None:
    """A column was renamed in the source: if it is required, the error suggests its name; no mapping changes (F, A)."""
    # Given a loaded source
    shop.drop("1.csv", MARCH)
    shop.load()

    # When a column that may be null is renamed
    shop.drop("2.csv", "order_id,customer_name,qty,price,updated_at\n3,canary,7,1.50,2026-03-05 10:00:00\n")
    load = shop.load()

    # Then it is null and reported, and the new one is stored as additional; names that are alike tell nothing
    assert shop.rows("customer", "quantity", "customer_name", "qty")[-1] == (None, None, "canary", "7")
    said = "\n".join(load.notes)
    assert "the source has no customer, quantity; taken as null" in said
    assert "renamed?" not in said
    assert "canary" not in said

    # And if the column is required, the error suggests the mapping
    shop.map(**{"from": "*.jsonl"})
    shop.drop_rows("3.jsonl", [{"order_number": "4", "customer": "Dot"}])
    with pytest.raises(SchemaMismatch, match=r'Was "order_id" renamed\? The source has "order_number"'):
        shop.load()


@pytest.mark.parametrize(("one", "other"), [("größe", "GRÖSSE"), ("caf\u00e9", "cafe\u0301"), ("\ufb01ts", "fits")])
def test_fault_29_names_that_collide_by_case_or_unicode_form_are_refused(shop: Shop, one: str, other: str) -> None:
    """Names of columns differ only by case or Unicode form, in a source or a contract; no record is loaded (F)."""
    # Given a source whose columns collide, as CSV, JSON and Parquet
    shop.declare(columns={"id": "varchar"}, key=["id"], load="append")
    shop.drop("1.csv", f"id,{one},{other}\n1,a,b\n")
    shop.drop("1.jsonl", json.dumps({"id": "1", one: 1, other: 2}, ensure_ascii=False))
    parquet.write_table(pa.table({"id": ["1"], one: [1], other: [2]}), shop.exports / "1.parquet")
    for name in ("1.csv", "1.jsonl", "1.parquet"):
        # When it is loaded, then the error names both columns
        shop.map(**{"from": name})
        with pytest.raises(SchemaMismatch, match="must differ by more than case or Unicode form"):
            shop.load()
    assert RawTable(shop.lake, shop.name).version is None

    # And contracts with colliding columns or tables are refused
    with pytest.raises(UsageError, match="two columns differ by case or Unicode form alone"):
        make_contract(columns={"id": "varchar", one: "varchar", other: "varchar"}, key=["id"])


def test_fault_29_contracts_of_tables_whose_names_collide_are_refused() -> None:
    """Names of two source tables differ only by case: the contracts are refused before any work (F)."""
    # Given two tables
    nodes = [
        {
            "source_name": "sales",
            "name": name,
            "config": {"meta": {"key": ["id"]}},
            "columns": {"id": {"name": "id", "data_type": "varchar"}},
        }
        for name in ("orders", "Orders")
    ]

    # When their contracts are read, then the error names both tables
    with pytest.raises(UsageError, match=r"sales\.orders and sales\.Orders differ by case or Unicode form alone"):
        contracts_of(nodes)


def test_fault_29_a_column_that_comes_later_in_another_unicode_form_is_refused(shop: Shop) -> None:
    """The name of an additional column differs from a stored one only by Unicode form; the batch is refused (F)."""
    # Given a stored column
    shop.declare(columns={"id": "varchar"}, key=["id"], load="append")
    shop.drop("1.csv", "id,caf\u00e9\n1,a\n")
    shop.load()

    # When another column has the same name in decomposed form, then no record of it is loaded
    shop.drop("2.csv", "id,cafe\u0301\n2,b\n")
    with pytest.raises(SchemaMismatch, match="must differ by more than Unicode form"):
        shop.load()
    assert shop.rows("id") == ["1"]


# Nested types


@pytest.mark.parametrize(
    ("data_type", "good", "changed"),
    [
        ("struct(city varchar, zip integer)", {"city": "Rome", "zip": 1}, {"city": "Rome", "zip": "one"}),
        ("struct(city varchar, zip integer)", {"zip": 1, "city": "Rome"}, {"city": "Rome", "zip": 1, "state": "RM"}),
        ("struct(city varchar, zip integer)", {"city": "Rome", "zip": None}, {"city": ["Rome"], "zip": 1}),
        ("integer[]", [1, 2], [1, "x"]),
        ("integer[]", [1, 2], [1, 2.5]),
        ("integer", 1, {"value": 1}),
    ],
)
def test_fault_30_a_nested_type_that_changed_is_quarantined(
    shop: Shop, data_type: str, good: object, changed: object
) -> None:
    """A nested value changed its type: its records are quarantined as they came, the others are loaded (Q)."""
    # Given a contract with a nested column
    shop.declare(columns={"id": "varchar", "value": data_type}, key=["id"], load="append")

    # When some records have another shape
    rows = [{"id": "1", "value": good}, {"id": "2", "value": changed}]
    shop.drop_rows("1.jsonl", rows)
    load, again = shop.load(), shop.load()

    # Then these are quarantined as they came, and the others are not
    assert (counted(load), counted(again)) == ((2, 1, 1, 0), (2, 0, 0, 2))
    assert shop.rows("id", "value") == [("1", good)]
    assert shop.quarantine() == [(json.dumps(rows[1]).encode(), [f"value: is no {shop.contract.types['value']}"])]


# Versions of contracts


def test_each_version_of_a_contract_is_recorded_and_named_by_the_batches_under_it(shop: Shop) -> None:
    # Given a load, and another under the same contract
    shop.drop("1.csv", MARCH)
    assert not [note for note in shop.load().notes if "contract version" in note]
    shop.load()
    assert [version for version, _ in versions(shop)] == [1]

    # When the contract changes
    columns = {**ORDERS, "quantity": "bigint", "note": "varchar", "customer": "varchar not null"}
    del columns["price"]
    shop.declare(columns=columns, load="append", cursor="updated_at")
    notes = shop.load().notes
    shop.load()

    # Then the changes are reported once, in words, the version is recorded, and its batches name it
    assert notes[0] == (
        "sales.orders: contract version 2: customer required, note added, quantity integer → bigint, price removed, "
        "load upsert → append"
    )
    (first, before), (second, now) = versions(shop)
    assert (first, second) == (1, 2)
    assert {column["name"]: column["data_type"] for column in now["columns"]}["quantity"] == "bigint"
    assert before["key"] == ["order_id"]
    table = open_table(shop.lake / "raw" / "sales" / "orders")
    assert table is not None
    assert [commit["contract_version"] for commit in table.history() if "counts" in commit] == ["2", "1"]


def test_the_order_of_columns_is_no_version_of_a_contract(shop: Shop) -> None:
    # Given a load
    shop.drop("1.csv", MARCH)
    shop.load()

    # When the columns are listed in another order, then the contract is the same
    shop.declare(columns=dict(reversed(ORDERS.items())), load="upsert", cursor="updated_at")
    shop.load()
    assert len(versions(shop)) == 1


def test_a_contract_that_version_0_1_0_stored_is_no_other_contract(shop: Shop) -> None:
    # Given a contract as version 0.1.0 stored it: with the field `overlap`, and without a limit of nulls
    column = {"is_personal": False, "has_happened": False, "checks": []}
    stored = {
        "columns": [
            {"name": "at", "data_type": "timestamp", "is_required": False, **column},
            {"name": "id", "data_type": "varchar", "is_required": True, **column},
        ],
        **{"key": ["id"], "load": "upsert", "cursor": "at", "on_extra_column": "evolve", "quarantine_limit_pct": 50.0},
        **{"overlap": "10 days, 0:00:00", "future_tolerance": "1 day, 0:00:00", "derivation": None},
    }
    row = {"table_name": "sales.orders", "version": 1, "definition": json.dumps(stored), "since": datetime(2026, 3, 1)}
    append_row(shop.lake / "ops" / "contracts", row, CONTRACTS)

    # When the same contract is loaded, then no change is reported
    columns = {"at": "timestamp", "id": "varchar not null"}
    ten_days = {"count": 10, "period": "day"}
    shop.declare(columns=columns, key=["id"], load="upsert", cursor="at", lookback=ten_days)
    assert record_contract_version(shop.lake, shop.contract) == 1

    # And later changes are reported by the present names
    shop.declare(columns=columns, key=["id"], load="upsert", cursor="at")
    assert record_contract_version(shop.lake, shop.contract) == 2
    assert changes_since(shop.lake, shop.contract, 1) == "lookback 10 days, 0:00:00 → 1:00:00"


def test_a_day_and_a_column_of_the_day_are_apart(shop: Shop, tmp_path: Path) -> None:
    # Given dates in a time zone, whose type is widened
    shop.declare(columns={"id": "varchar", "day": "date"}, key=["id"], load="append")
    shop.map(**{"from": "*", "time_zone": "Europe/Berlin"})
    shop.drop("1.csv", "id,day\n1,2026-03-01\n")
    shop.load()
    assert shop.rows("day") == [date(2026, 3, 1)]

    # When they become times, then they are equal to a new load of the same records
    shop.declare(columns={"id": "varchar", "day": "timestamp"}, key=["id"], load="append")
    shop.drop("2.csv", "id,day\n2,2026-03-01\n")
    shop.load()
    assert shop.rows("day") == [datetime(2026, 2, 28, 23), datetime(2026, 2, 28, 23)]


def test_a_batch_of_which_no_row_is_stored_brings_no_column_that_the_next_load_cannot_read(shop: Shop) -> None:
    """All rows of a batch waited, its extra column was stored without a file, and each later load failed."""
    # Given a table without columns that may be null, and a batch with an extra column, of which all rows wait
    shop.declare(columns={"id": "varchar not null"}, key=["id"], load="append", quarantine_limit_pct=100.0)
    shop.map(**{"from": "*.jsonl"})
    shop.drop_rows("1.jsonl", [{"id": "1"}])
    shop.load()
    shop.drop_rows("2.jsonl", [{"id": None, "further": "2"}])
    assert shop.load().counts.quarantined == 1

    # When a row with that column comes, then it is stored
    shop.drop_rows("3.jsonl", [{"id": "3", "further": "3"}])
    shop.load()
    assert shop.rows("id", "further") == [("1", None), ("3", "3")]
