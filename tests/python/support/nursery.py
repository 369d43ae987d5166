"""A tree nursery, a trade of its own: the plants that it saw, as several kinds of sources hold them."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import parquet
from support.shop import Shop

LARGE = 2**53 + 1
COLUMNS = {
    "plant_code": "varchar not null",
    "species": "varchar",
    "girth": "decimal(18, 4)",
    "seedlings": "bigint",
    "planted_on": "date",
    "is_grafted": "boolean",
    "seen_at": "timestamp",
}


class Plant(NamedTuple):
    """One state of a plant, in the order of COLUMNS."""

    plant_code: str
    species: str | None
    girth: Decimal | None
    seedlings: int | None
    planted_on: date | None
    is_grafted: bool | None
    seen_at: datetime


def plant(code: str, hour: int, girth: str | None = "19.99", **further: Any) -> Plant:
    """Return a plant that was seen in some hour of one day."""
    usual = {"species": "Acer", "seedlings": 1, "planted_on": date(1999, 12, 31), "is_grafted": True, **further}
    return Plant(code, girth=Decimal(girth) if girth else None, seen_at=datetime(2026, 3, 1, hour), **usual)


FIRST = [
    plant("007", 1, "1234.5678"),
    plant("8", 1, "1234567.25", species='Quercus "rubra"\nNo. 2', seedlings=LARGE),
    plant(str(LARGE), 2, None, species="Bouleau d’Évreux", planted_on=None),
    plant("1e3", 2, "0.1", is_grafted=False, seedlings=-LARGE),
    plant("-0", 2, "-0.0001", species=None, is_grafted=None, seedlings=None),
]
SECOND = [plant("007", 4, "1234.5679"), plant("9", 5, "12345678901.2345", seedlings=2**63 - 1)]
THIRD = [plant("007", 6, "1234.5678"), plant("10", 7, "5", species="=1+1")]
ROUNDS = [FIRST, SECOND, THIRD]
GONE = "8"
"""The plant that the third copy of the nursery lacks."""


class Bad(NamedTuple):
    """A plant whose girth is no number."""

    plant_code: str
    girth: str
    seen_at: datetime


def write_sqlite(shop: Shop, plants: Sequence[Plant], bad: Sequence[Bad]) -> None:
    """Write a whole table; one column holds numbers, texts and empty cells side by side."""
    shop.connect(f"sqlite:///{shop.folder / 'nursery.sqlite'}")
    with sqlite3.connect(shop.folder / "nursery.sqlite") as database:
        database.execute("drop table if exists plants")
        database.execute(
            "create table plants (plant_code, species text, girth_cm real, seedlings integer, planted_on, "
            "is_grafted boolean, seen text, file_index blob)"
        )
        rows = [
            (
                one.plant_code,
                one.species,
                "" if one.girth is None else float(one.girth),
                one.seedlings,
                one.planted_on and one.planted_on.isoformat(),
                one.is_grafted,
                one.seen_at.isoformat(" "),
                b"\x00\xff",
            )
            for one in plants
        ]
        rows += [(one.plant_code, None, one.girth, None, None, None, one.seen_at.isoformat(" "), None) for one in bad]
        database.executemany(f"insert into plants values ({', '.join('?' * 8)})", rows)


def as_texts(one: Plant) -> dict[str, Any]:
    """Return a plant as files hold it, by the names of the source."""
    values = {name: None if value is None else str(value) for name, value in one._asdict().items()}
    return {
        "plant_code": one.plant_code,
        "species": one.species,
        "girth_cm": values["girth"],
        "seedlings": one.seedlings,
        "planted_on": values["planted_on"],
        "is_grafted": one.is_grafted,
        "seen": one.seen_at.isoformat(),
    }


def write_csv(shop: Shop, plants: Sequence[Plant], bad: Sequence[Bad]) -> None:
    """Write CSV as Excel for Mac does, with lines that end in CR, and one line that is no record."""

    def line(values: Iterable[object]) -> str:
        texts = ("" if value is None else str(value) for value in values)
        return ";".join('"' + text.replace('"', '""') + '"' if set(text) & set('";\n') else text for text in texts)

    rows = [as_texts(one) for one in plants] + [as_bad(one) for one in bad]
    text = "\r".join([line(rows[0]), *(line(row.values()) for row in rows)])
    shop.drop(f"plants [{next_number(shop)}].csv", text + "\rragged;line\r")


def write_json(shop: Shop, plants: Sequence[Plant], bad: Sequence[Bad]) -> None:
    """Write JSON lines in which a girth is a number or a text, into a file whose name is a pattern."""
    rows = [as_texts(one) for one in plants] + [as_bad(one) for one in bad]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    bare = [
        re.sub(r'"girth_cm": "([-0-9.]+)"', r'"girth_cm": \1', line) if at % 2 else line
        for at, line in enumerate(lines)
    ]
    shop.drop(f"plants[{next_number(shop)}].jsonl", "\n".join(bare))


def write_parquet(shop: Shop, plants: Sequence[Plant], bad: Sequence[Bad]) -> None:
    """Write Parquet files of unlike types, with a column that is named like an internal one."""
    for unit, size, some in (("ms", 30, plants[0::2]), ("us", 25, plants[1::2])):
        table = {
            "file_index": pa.array([0] * len(some), pa.int8()),
            "plant_code": pa.array([one.plant_code for one in some]).dictionary_encode(),
            "species": pa.array([one.species for one in some], pa.large_string()),
            "girth_cm": pa.array([one.girth for one in some], pa.decimal128(size, 6)),
            "seedlings": pa.array([one.seedlings for one in some], pa.int64()),
            "planted_on": pa.array([one.planted_on for one in some], pa.date64()),
            "is_grafted": pa.array([one.is_grafted for one in some], pa.bool_()),
            "seen": pa.array([one.seen_at for one in some], pa.timestamp(unit)),
        }
        if some:
            parquet.write_table(pa.table(table), shop.exports / f"plants {next_number(shop)}.parquet")
    rows = [as_bad(one) for one in bad]
    parquet.write_table(pa.Table.from_pylist(rows), shop.exports / f"plants {next_number(shop)}.parquet")


def as_bad(one: Bad) -> dict[str, Any]:
    """Return a record as files hold it whose girth is no number."""
    return as_texts(plant(one.plant_code, 0)) | {"girth_cm": one.girth, "seen": one.seen_at.isoformat()}


def next_number(shop: Shop) -> int:
    """Return the number of the next file, from 8 on: names need one digit, then two."""
    return 8 + len(list(shop.exports.iterdir()))


Write = Callable[[Shop, Sequence[Plant], Sequence[Bad]], None]


def expected_states(load: str) -> set[Plant]:
    """Return what the lake holds after three rounds: first events, all states, or what the last copy has."""
    every = [one for plants in ROUNDS for one in plants]
    if load == "append":
        return {next(one for one in every if one.plant_code == code) for code in {one.plant_code for one in every}}
    return set(every)


def check_three_rounds(
    shop: Shop, write: Write, load: str, *, is_whole: bool, girth: str = "girth_cm", ragged: int = 0
) -> None:
    """Load three rounds of a nursery, and compare every value and every quarantined record.

    A source that is whole shows all its records in each round; another shows the new ones. Over all rounds, `ragged`
    different lines are no records, and three records have a girth that is no number. `girth` is its mapping. A full
    copy with a line that is no record deletes nothing, since the line may be any plant.
    """
    # Given a contract, and a nursery whose cursor rises
    shop.declare("nursery.plants", COLUMNS, key=["plant_code"], load=load, cursor="seen_at", quarantine_limit_pct=90)
    current: dict[str, Plant] = {}
    for number, plants in enumerate(ROUNDS, start=1):
        # When each round is loaded by a connections file alone
        current |= {one.plant_code: one for one in plants}
        if load == "full" and number == 3:
            current.pop(GONE)
        bad = [
            Bad(f"bad {at}", "n/a", ROUNDS[at - 1][-1].seen_at) for at in range(1 if is_whole else number, number + 1)
        ]
        if is_whole:
            for path in shop.exports.iterdir():
                path.unlink()
        write(shop, list(current.values()) if is_whole else plants, bad)
        shop.map(
            **{"from": "*" if any(shop.exports.iterdir()) else "plants", "columns": {"girth": girth, "seen_at": "seen"}}
        )
        shop.load()

    # Then every value is what was put in
    assert {Plant(*row) for row in shop.rows(*COLUMNS)} == expected_states(load)
    gone = set(shop.rows("plant_code", where="_deleted and _position is null"))
    assert gone == ({GONE} if load == "full" and not ragged else set())

    # And each bad record is in quarantine once, with its reason
    reasons = [reason for _, reasons in shop.quarantine() for reason in reasons]
    assert len([reason for reason in reasons if reason.startswith("girth")]) == 3
    assert len(reasons) == 3 + ragged
