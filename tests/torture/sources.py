"""A shop whose sources bring every case that a load can meet; the same days in each round.

Customers are rows of a table, which change. Products are a full copy in CSV files. Orders are states in JSON lines, and
order lines are events. Images are pictures in a folder, with tables derived from them. A day has two parts, so that the
second part can arrive between a kill and the next run.

Embedded, customers are in SQLite, and all else in a folder of files. The module `services` has real servers instead.
"""

import json
import shutil
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import yaml

from flows.config.settings import DataFolder
from flows.ingest.pixels import encode_png

SET = "torture"
DAYS = 4
DAY_BEFORE = datetime.now(UTC).date() - timedelta(days=6)
"""The day before the first one. The days are of this week, so that no load counts as one of old records: what a load of
old records shows depends on how often it was begun.
"""

Part = Literal["morning", "evening"]
Person = tuple[str, str, str, str]
"""Number, address, country and time of the last change."""

PARTS: tuple[Part, ...] = ("morning", "evening")

SMALL = {
    "flows.sources.files.table:FILES_A_BATCH": 2,
    "flows.sources.arrow_batches:ROWS_A_BATCH": 10,
    "flows.sources.sql.pieces:ROWS_A_FETCH": 5,
    "flows.ingest.derived_tables:PARENTS_A_BATCH": 2,
}
"""Small batches, so that a day of this shop has several."""

TABLES: dict[str, dict[str, Any]] = {
    "crm.customers": {
        "from": "people",
        "columns": {"customer_id": "number", "email": "mail", "country": "land", "updated_at": "changed"},
    },
    "shop.products": {
        "from": "articles-*.csv",
        "load": "full",
        "columns": {"product_id": "code", "product_name": "label", "unit_price": "price", "updated_at": "changed"},
    },
    "sales.orders": {"from": "orders-*.jsonl"},
    "sales.order_lines": {"from": "lines-*.csv", "load": "append"},
    "content.images": {
        "from": "images/*.png",
        "columns": {
            "image_id": "parse_filename(path, true)",
            "product_id": "split_part(parse_filename(path, true), '-', 1)",
        },
    },
}
ARTICLES = "code,label,price,currency,changed"
LINES = "order_id,line_number,product_id,quantity,unit_price"
FILES = 3
"""The number of files for the records of a part of a day."""


class Sources:
    """The folder with the shop's files and its database."""

    small: ClassVar[Mapping[str, Any]] = SMALL

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def connections(self) -> Path:
        """The path of the connections file with the shop's set."""
        return self.folder / "connections.yml"

    def clear(self, number: int) -> None:
        """Reset to the state before the first day, for a round of a number."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        entries: dict[str, Any] = {}
        for name, mapping in TABLES.items():
            source, _, table = name.partition(".")
            url, changed = self.place_of(name)
            entries.setdefault(source, {"url": url, "tables": {}})["tables"][table] = mapping | changed
        self.connections.write_text(yaml.safe_dump({SET: entries}))
        self.create_people()

    def add(self, day: int, part: Part) -> None:
        """Add a part of a day."""
        self.insert_people(list(_people(day, part)))
        self.send_orders(day, part, _files(f"orders-{day:02}-{part}", list(_orders(day, part))))
        self.send_lines(day, part, list(_lines(day, part)))
        self._draw(day, part)
        if part == "morning":
            self._spread("articles", ".csv", list(_articles(day)), ARTICLES)
        elif day > 1:
            first, second, *_ = _files("", list(_orders(day - 1, "morning"))).values()
            again = {f"orders-{day:02}-again-1": first, f"orders-{day:02}-again-2": [*reversed(second)]}
            self.send_orders(day, part, again)  # a file under another name, and another one in another order

    def place_of(self, name: str) -> tuple[str, dict[str, Any]]:
        """Return the URL of a table's source, and what differs from its mapping in TABLES."""
        return (f"sqlite:///{self.folder / 'people.sqlite'}" if name == "crm.customers" else f"file:{self.folder}"), {}

    def create_people(self) -> None:
        """Make the table of people, without rows."""
        with closing(sqlite3.connect(self.folder / "people.sqlite")) as database:
            database.execute("create table people (number text primary key, mail text, land text, changed text)")

    def insert_people(self, rows: list[Person]) -> None:
        """Insert people, or change those that are there."""
        with closing(sqlite3.connect(self.folder / "people.sqlite")) as database:
            database.executemany("insert or replace into people values (?, ?, ?, ?)", rows)
            database.commit()

    def send_orders(self, day: int, part: Part, files: Mapping[str, Sequence[str]]) -> None:
        """Send states of orders, as JSON, by the name of their file."""
        for name, records in files.items():
            self.write(f"{name}.jsonl", _text(records))

    def send_lines(self, day: int, part: Part, records: Sequence[str]) -> None:
        """Send lines of orders, as CSV."""
        self._spread(f"lines-{day:02}-{part}", ".csv", records, LINES)

    def write(self, name: str, content: bytes) -> None:
        """Write a file."""
        place = self.folder / name
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(content)

    def unlike_offsets(self, folder: DataFolder) -> Iterator[str]:
        """Yield differences between the offsets in the lake and the messages that were loaded: here are none."""
        yield from ()

    def _spread(self, name: str, ending: str, records: Sequence[str], *header: str) -> None:
        for file, lines in _files(name, records).items():
            self.write(f"{file}{ending}", _text([*header, *lines]))

    def _draw(self, day: int, part: Part) -> None:
        """Draw two pictures, and a third one that is truncated."""
        for number in range(1, 4):
            pixels = np.arange(3 * 8 * 8, dtype=np.uint8).reshape(8, 8, 3) * number + 16 * day + PARTS.index(part)
            content = encode_png(pixels)
            self.write(f"images/A{number:02}-{day}-{part}.png", content[:40] if number == 3 else content)


def _files(name: str, records: Sequence[str]) -> dict[str, Sequence[str]]:
    """Return the records of each file, by its name."""
    return {f"{name}-{number + 1}": records[number::FILES] for number in range(FILES)}


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _at(day: int, hour: int, minute: int = 0) -> str:
    return f"{DAY_BEFORE + timedelta(days=day)} {hour:02}:{minute:02}:00"


def _people(day: int, part: Part) -> Iterator[Person]:
    """Yield new and changed people; some emails are invalid. In the evening, one person is late-arriving."""
    if part == "evening":
        yield f"{100 + day}", f"late.{day}@example.com", "SE", _at(day, 5, 40)
        yield f"{200 + day}", "not an address", "SE", _at(day, 20)
        return
    for number in range(1, 26 + 2 * day):
        is_new = number > 23 + 2 * day or day == 1
        if is_new or (number + day) % 3 == 0:
            mail = "not an address" if number % 11 == day else f"p{number}@example.com"
            yield f"{number}", mail, "DE" if (number + day) % 2 else "AT", _at(day, 6, number)


def _articles(day: int) -> Iterator[str]:
    """Yield the articles of a day: some have a new price, some are deleted or back, and one breaks the contract."""
    for number in range(1, 19):
        if number % 6 == day:
            continue
        changed = max((one for one in range(1, day + 1) if one % 4 == number % 4), default=1)
        currency = "euros" if number == 11 + day else "EUR"
        yield f"A{number:02},Article {number},{number}.{changed}0,{currency},{_at(changed, 4)}"


def _orders(day: int, part: Part) -> Iterator[str]:
    """Yield new and changed orders, a late-arriving one in the evening, one with an invalid status, and half a line."""
    if part == "morning" and day > 1:
        for number in range(1, 13, 2):
            yield _order(day - 1, number, "cancelled" if number % 5 == 0 else "completed", _at(day, 7, number))
    if part == "evening" and day > 1:
        yield _order(day - 1, 30, "placed", _at(day - 1, 11))
    for number in _numbers(part):
        yield _order(day, number, "placed", _at(day, 8, number))
    yield _order(day, 40 + PARTS.index(part), "lost", _at(day, 9))
    yield f'{{"order_id": "O{day}-50", "customer_id": "{part}'


def _order(day: int, number: int, status: str, updated_at: str) -> str:
    customer = None if number % 7 == 0 else str(1 + number * day % 25)
    return json.dumps(
        {
            "order_id": f"O{day}-{number}",
            "customer_id": customer,
            "ordered_at": _at(day, 8, number),
            "status": status,
            "channel": "web" if number % 2 else "store",
            "currency": "EUR",
            "updated_at": updated_at,
        }
    )


def _lines(day: int, part: Part) -> Iterator[str]:
    """Yield two lines per order: some before their order, some twice, one with another payload, two invalid."""
    early = [13] if part == "morning" else [number for number in _numbers(part) if number != 13]
    for number in [*(_numbers(part) if part == "morning" else []), *early]:
        for line in (1, 2):
            product = f"A{1 + (number + line * day) % 18:02}"
            record = f"O{day}-{number},{line},{product},{-1 if number % 9 == 0 else line},{number}.50"
            yield record
            if number % 6 == 0:
                yield record
    first = _numbers(part)[0]
    if day > 1:
        yield f"O{day - 1}-{first},1,A01,77,1.50"
        yield f"O{day - 1}-30,{first},A02,1,2.50"
    yield f"O{day}-{first},3,A03,many,1.50"
    yield f"O{day}-{first},4"


def _numbers(part: Part) -> range:
    return range(1, 13) if part == "morning" else range(13, 19)
