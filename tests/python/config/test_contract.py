"""The contract check: casts lose no information, and an impossible contract is refused."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.shop import Shop, make_contract

from flows.core.errors import UsageError


@pytest.mark.parametrize(
    ("data_type", "values"),
    [
        ("integer", {"42": 42, " -7 ": -7, "42.0": 42, "1e3": 1000}),
        ("bigint", {"9007199254740993": 9007199254740993}),
        (
            "decimal(18, 4)",
            {
                "1.2345": Decimal("1.2345"),
                "1.23450000": Decimal("1.2345"),
                "-99999999999999.9999": Decimal("-99999999999999.9999"),
                "1.5e2": Decimal("150"),
            },
        ),
        ("decimal(38, 0)", {"9007199254740993": Decimal(9007199254740993)}),
        ("double", {"0.1": 0.1, "-1e300": -1e300, "9007199254740992": 2.0**53}),
        ("boolean", {"true": True, "FALSE": False, "1": True}),
        ("date", {"2026-03-01": date(2026, 3, 1), "2026-03-01 00:00:00": date(2026, 3, 1)}),
        (
            "timestamp",
            {
                "2026-03-01 10:00:00": datetime(2026, 3, 1, 10),
                "2026-03-01T10:00:00Z": datetime(2026, 3, 1, 10),
                "2026-03-01T10:00:00+02:00": datetime(2026, 3, 1, 8),
                "2026-03-01T10:00:00.123456-05:30": datetime(2026, 3, 1, 15, 30, 0, 123456),
                "2026-03-01": datetime(2026, 3, 1),
                "1900-01-01 00:00:00": datetime(1900, 1, 1),
            },
        ),
        ("varchar", {"007": "007", " x ": " x "}),
    ],
)
def test_a_text_becomes_what_it_says(shop: Shop, data_type: str, values: dict[str, object]) -> None:
    # Given cells
    shop.declare(columns={"id": "varchar", "value": data_type}, key=["id"], load="append")
    shop.drop("1.csv", "id,value\n" + "".join(f"{n},{text}\n" for n, text in enumerate(values)))

    # When they are loaded, then their values are exact
    shop.load()
    assert shop.rows("value") == list(values.values())


@pytest.mark.parametrize(
    ("data_type", "texts"),
    [
        ("integer", ["3.7", "3000000000", "1e-1", "twelve"]),
        ("bigint", ["9223372036854775808"]),
        ("decimal(18, 4)", ["1.23456", "1.23456e0", "100000000000000.0", "NaN", "1e400"]),
        ("double", ["NaN", "inf", "-Infinity", "1e400", "9007199254740993"]),
        ("boolean", ["2", "maybe"]),
        ("date", ["2026-02-30", "2026-03-01 10:00:00", "infinity", "01/03/2026"]),
        ("timestamp", ["2026-03-01 25:00:00", "2026-03-01 10:00:00.1234567", "infinity", "1700000000"]),
    ],
)
def test_a_text_that_would_lose_something_is_quarantined_as_it_came(
    shop: Shop, data_type: str, texts: list[str]
) -> None:
    # Given cells that do not fit their type
    shop.declare(columns={"id": "varchar", "value": data_type}, key=["id"], load="append")
    shop.drop("1.csv", "id,value\n" + "".join(f"1,{text}\n" for text in texts))

    # When they are loaded, then they are neither rounded nor lost
    shop.load()
    assert shop.rows() == []
    assert [raw for raw, _ in shop.quarantine()] == [f'{{"id":"1","value":"{text}"}}'.encode() for text in texts]
    assert all(reason.startswith(f"value: is no {data_type}") for _, (reason,) in shop.quarantine())


@pytest.mark.parametrize(
    ("data_type", "values", "good"),
    [
        ("integer", pa.array([1.0, 3.7, 3e9]), [1]),
        ("integer", pa.array([1, 2**40]), [1]),
        ("integer", pa.array([True, False]), [1, 0]),
        ("bigint", pa.array([2**53 + 1]), [2**53 + 1]),
        ("double", pa.array([2**53, 2**53 + 1]), [2.0**53]),
        ("double", pa.array([1.5, float("nan"), float("inf")]), [1.5]),
        ("decimal(18, 4)", pa.array([0.1, 1.23456, float("nan")]), [Decimal("0.1")]),
        ("decimal(18, 4)", pa.array([Decimal("1.2345"), Decimal("1.23456")]), [Decimal("1.2345")]),
        ("boolean", pa.array([0, 1, 2]), [False, True]),
        ("boolean", pa.array([True]), [True]),
        ("date", pa.array([datetime(2026, 3, 1), datetime(2026, 3, 1, 10)]), [date(2026, 3, 1)]),
        ("timestamp", pa.array([date(2026, 3, 1)]), [datetime(2026, 3, 1)]),
        ("timestamp", pa.array([1_700_000_000]), []),
        ("varchar", pa.array([[1, 2]]), ["[1,2]"]),
        ("varchar", pa.array([{"a": None}]), ['{"a":null}']),
        ("varchar", pa.array([2**53 + 1]), ["9007199254740993"]),
    ],
)
def test_a_typed_value_that_would_lose_something_is_quarantined(
    shop: Shop, data_type: str, values: pa.Array, good: list[object]
) -> None:
    # Given values of another type
    shop.declare(columns={"id": "varchar", "value": data_type}, key=["id"], load="append")
    table = pa.table({"id": [str(n) for n in range(len(values))], "value": values})
    parquet.write_table(table, shop.exports / "1.parquet")

    # When they are loaded, then the values that fit are stored, and the others are quarantined
    shop.load()
    assert shop.rows("value") == good
    assert len(shop.quarantine()) == len(values) - len(good)


def test_naive_times_are_of_the_mappings_zone_and_others_of_their_own(shop: Shop) -> None:
    # Given times with and without an offset, in summer and winter
    shop.declare(columns={"id": "varchar", "at": "timestamp"}, key=["id"], load="upsert", cursor="at")
    shop.map(**{"from": "*", "time_zone": "Europe/London"})
    shop.drop("1.csv", "id,at\n1,2026-07-01 10:00:00\n2,2026-01-01 10:00:00\n3,2026-07-01T10:00:00Z\n")

    # When they are loaded, twice, then all are UTC
    shop.load()
    assert shop.rows('"at"') == [datetime(2026, 7, 1, 9), datetime(2026, 1, 1, 10), datetime(2026, 7, 1, 10)]
    assert shop.load().counts.known == 3

    # And an unknown time zone is reported
    shop.map(**{"from": "*", "time_zone": "Europe/Lundun"})
    with pytest.raises(UsageError, match="'Europe/Lundun' is no time zone"):
        shop.load()


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"key": []}, "it has no key; write a list of columns"),
        ({"key": ["nothing"]}, r"its key \['nothing'\] is not among its columns"),
        ({"cursor": "nothing"}, "its cursor 'nothing' is not among its columns"),
        ({"load": "merge"}, "load is 'merge'; write 'append', 'upsert' or 'full'"),
        ({"columns": {"order_id": "varchar", "_row": "integer"}}, "names that begin with _"),
        (
            {"columns": {"order_id": "varchar", "ORDER_ID": "varchar"}},
            "two columns differ by case or Unicode form alone",
        ),
        (
            {"columns": {"order_id": "varchar", "n": "ubigint"}},
            r"the lake cannot store; write decimal\(20, 0\)",
        ),
        ({"columns": {"order_id": {"data_type": None}}}, r"columns\.order_id\.data_type is missing"),
    ],
)
def test_a_contract_that_cannot_be_kept_is_refused(said: dict[str, Any], text: str) -> None:
    # When a contract is invalid, then the error says how to fix it
    with pytest.raises(UsageError, match=text):
        make_contract(**said)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"overlap": {"count": 1, "period": "day"}}, r"config\.meta has the key overlap \(it is now called lookback\)"),
        ({"Lookback": {"count": 1, "period": "day"}}, r"the key Lookback \(did you mean lookback\?\)"),
        ({"on-extra-columns": "freeze"}, r"the key on-extra-columns \(did you mean on_extra_column\?\)"),
        ({"laod": "full"}, r"the key laod \(did you mean load\?\)"),
        ({"curser": "order_id"}, r"the key curser \(did you mean cursor\?\)"),
        (
            {"columns": {"order_id": {"data_type": "varchar", "config": {"meta": {"has_hapened": True}}}}},
            r"columns\.order_id: config\.meta has the key has_hapened \(did you mean has_happened\?\)",
        ),
    ],
)
def test_a_misspelt_key_of_a_contract_is_refused(said: dict[str, Any], text: str) -> None:
    # When a key of a contract is nearly one of ours, then the error suggests ours
    with pytest.raises(UsageError, match=text):
        make_contract(**said)


def test_keys_of_other_tools_are_left_alone() -> None:
    # Given a contract whose meta has keys of other tools
    column = {"data_type": "varchar", "config": {"meta": {"owner": "sales", "is_pii": False, "data_classification": 3}}}
    meta = {
        "owner": "sales",
        "loader": "airbyte",
        "loaded": 1,
        "primary_key": "id",
        "tier": 1,
        "sla": "daily",
        "lead": 1,
    }

    # Then the contract is the same as without them
    assert make_contract(columns={"order_id": column}, **meta) == make_contract(columns={"order_id": "varchar"})
