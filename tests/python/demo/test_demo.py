"""The demo pharmacy: reproducible, one day at a time, as dirty as real data, and safe to interrupt."""

import hashlib
import json
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import httpx
import pytest

from demo.api import LARGEST_PAGE, serve_sales
from demo.pharmacy import FIRST_DAY, TABLES, USUAL_DELAY, DemoDay, advance, read_truth
from flows.core.errors import UsageError

PROJECT = Path(__file__).parents[3]
SMALL = 0.02
TOKEN = "a-token-for-tests"

Row = dict[str, Any]
Rows = dict[str, dict[Any, Row]]


def read_sources(folder: Path) -> Rows:
    """Return the rows of the sources by key, by `source.table`; sales are the records of the API."""
    rows: Rows = {}
    for table in TABLES:
        with closing(sqlite3.connect(folder / table.file_name)) as database:
            database.row_factory = sqlite3.Row
            found = [dict(row) for row in database.execute(f"select * from {table.name}")]
        records = {
            row[table.key]: json.loads(row["record"], parse_float=Decimal) if "record" in row else row for row in found
        }
        rows[f"{table.database}.{table.name}"] = records
    return rows


def read_files(folder: Path) -> dict[str, str]:
    """Return the digest of each file of the other systems: events, readings, payments, loans, pictures."""
    paths = [path for path in folder.glob("*/**/*") if path.is_file()]
    return {
        path.relative_to(folder).as_posix(): hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        for path in paths
    }


def count_lines(folder: Path, name: str) -> int:
    """Count the records of a source's files, by `source/table`."""
    return sum(path.read_bytes().count(b"\n") for path in (folder / name).glob("*.jsonl"))


def updated_at(row: Row) -> datetime:
    return datetime.fromisoformat(row["updated_at"]).replace(tzinfo=None)


@dataclass(frozen=True)
class Step:
    """A day of the demo, with the sources before and after it."""

    demo_day: DemoDay
    before: Rows
    after: Rows

    @property
    def end(self) -> datetime:
        return datetime.combine(self.demo_day.day + timedelta(days=1), datetime.min.time())

    def changed(self, table: str) -> list[tuple[Row, Row]]:
        """Return the rows that existed before and differ now, as (before, after)."""
        before, after = self.before[table], self.after[table]
        return [(row, after[key]) for key, row in before.items() if row != after[key]]

    def new(self, table: str) -> list[Row]:
        return [row for key, row in self.after[table].items() if key not in self.before[table]]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small pharmacy after its first call; tests work on copies."""
    folder = tmp_path_factory.mktemp("history")
    advance(folder, scale=SMALL)
    return folder


@pytest.fixture
def pharmacy(history: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(history, tmp_path / "source"))


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> list[Step]:
    """Two weeks of a pharmacy that is large enough for rare events."""
    folder = tmp_path_factory.mktemp("steps")
    advance(folder, scale=0.2)
    made, before = [], read_sources(folder)
    for _ in range(14):
        demo_day = advance(folder, scale=0.2)
        after = read_sources(folder)
        made.append(Step(demo_day, before, after))
        before = after
    return made


def test_the_same_seed_gives_the_same_pharmacy_and_another_seed_another(history: Path, tmp_path: Path) -> None:
    # Given a pharmacy; when it is made again, and once more with another seed
    advance(tmp_path / "again", scale=SMALL)
    advance(tmp_path / "other", scale=SMALL, seed=2)

    # Then every row and file is the same, or nearly all of them differ
    assert read_sources(tmp_path / "again") == read_sources(history)
    assert read_files(tmp_path / "again") == read_files(history)
    same, other = read_sources(history)["crm.customers"], read_sources(tmp_path / "other")["crm.customers"]
    assert sum(same[key] == other.get(key) for key in same) < len(same) / 20
    files = read_files(history), read_files(tmp_path / "other")
    assert {name.partition("/")[0] for name in files[0]} == {"web", "equipment", "content", "payments", "lending"}
    assert sum(digest == files[1].get(name) for name, digest in files[0].items()) < len(files[0]) / 20


def roll(scale_permille: int, until_day: int) -> duckdb.DuckDBPyConnection:
    """Return a connection with the generator's macros and calendar, with seed 7."""
    connection = duckdb.connect()
    for name, number in {"seed": 7, "scale_permille": scale_permille, "until_day": until_day}.items():
        connection.execute(f"set variable {name} = {number}::bigint")
    connection.execute("set variable history_starts = date '2025-01-01'")
    connection.execute((PROJECT / "demo/chance.sql").read_text(encoding="utf-8"))
    return connection


def test_draws_come_from_md5_alone_so_that_every_machine_and_version_draws_the_same() -> None:
    # Given the macros of the generator; when values are drawn
    with closing(roll(scale_permille=10, until_day=3)) as connection:
        drawn = connection.execute(
            "select bits_of('buyer', 42), draw(bits_of('buyer', 42), 2, 10), "
            "draw_of_many(bits_of('buyer', 42), 1, 1000000)"
        ).fetchall()

    # Then they depend on the md5 digest only
    bits = int.from_bytes(hashlib.md5(b"7:buyer:42", usedforsecurity=False).digest(), "little") % 2**64
    assert drawn == [(bits, (bits >> 32) % 2**16 * 10 // 2**16, (bits >> 32) % 2**32 * 1000000 // 2**32)]


def test_its_arithmetic_holds_at_the_largest_scale_for_years_to_come() -> None:
    # Given a calendar of twenty years at scale 100; when its numbers are summed, then no sum overflows
    with closing(roll(scale_permille=100_000, until_day=7_300)) as connection:
        counted = connection.execute(
            "select max(orders_before), customers_by(7300), products_by(7300) from calendar"
        ).fetchall()
    assert all(number > 100_000 for number in counted[0])


@pytest.mark.slow
def test_a_day_reached_in_steps_equals_the_day_made_at_once(pharmacy: Path, tmp_path: Path) -> None:
    # Given two equal pharmacies, of which one lost a database, so that all of it is made again
    for _ in range(9):
        advance(pharmacy, scale=SMALL)
    at_once = Path(shutil.copytree(pharmacy, tmp_path / "at-once"))
    (at_once / "shop.sqlite").unlink()

    # When both move on by a day
    advance(pharmacy, scale=SMALL)
    advance(at_once, scale=SMALL)

    # Then both have the same rows
    assert read_sources(at_once) == read_sources(pharmacy)
    assert read_files(at_once) == read_files(pharmacy)


def test_the_clock_moves_by_a_day_and_stops_before_the_day_that_is_not_over(pharmacy: Path) -> None:
    # Given a pharmacy at its first day, and a clock three days later
    today = FIRST_DAY + timedelta(days=3)

    # When it is moved on more often than there are days
    days = [advance(pharmacy, scale=SMALL, today=today) for _ in range(4)]

    # Then it moves one day at a time up to yesterday, stops there, and reports it
    assert [demo_day.day - FIRST_DAY for demo_day in days] == [timedelta(days=n) for n in (1, 2, 2, 2)]
    assert [demo_day.has_news for demo_day in days] == [True, True, False, False]
    assert not any(demo_day.is_first for demo_day in days)


def test_a_clock_that_went_back_leaves_the_pharmacy_as_it_is(pharmacy: Path) -> None:
    # Given a pharmacy some days old
    for _ in range(3):
        reached = advance(pharmacy, scale=SMALL)
    before = read_sources(pharmacy)

    # When the machine's clock is before its day
    demo_day = advance(pharmacy, scale=SMALL, today=FIRST_DAY + timedelta(days=1))

    # Then nothing changes
    assert (demo_day.day, demo_day.has_news) == (reached.day, False)
    assert read_sources(pharmacy) == before


def test_it_does_not_begin_before_its_first_day_is_over(tmp_path: Path) -> None:
    # Given a machine whose clock is slow; when the pharmacy is made, then it is refused
    with pytest.raises(UsageError, match="not over yet"):
        advance(tmp_path, scale=SMALL, today=FIRST_DAY)


def test_nothing_lies_in_the_future_and_news_are_what_was_counted(steps: list[Step]) -> None:
    for step in steps:
        for table, news in step.demo_day.news.items():
            # Given the step of a day; then no row is newer than the end of the day
            assert max(map(updated_at, step.after[table].values())) < step.end
            # and the counts are the numbers of new and changed rows; no row disappears
            assert (news.new, news.changed) == (len(step.new(table)), len(step.changed(table)))
            assert step.before[table].keys() <= step.after[table].keys()
            # and a changed row has a later time than before
            assert all(updated_at(before) < updated_at(after) for before, after in step.changed(table))


def test_most_late_changes_show_up_within_the_usual_delay_and_a_few_after_it(steps: list[Step]) -> None:
    # Given all new rows of two weeks
    ages = [
        step.end - timedelta(days=1) - updated_at(row)
        for step in steps
        for table in step.after
        for row in (*step.new(table), *(after for _, after in step.changed(table)))
    ]

    # Then most are of their own day, some are late-arriving, and a few are later than usual
    late = [age for age in ages if age > timedelta(0)]
    very_late = [age for age in late if age > USUAL_DELAY]
    assert 0.005 < len(late) / len(ages) < 0.1
    assert 0 < len(very_late) < len(late) / 2
    assert max(very_late) <= timedelta(days=9)


def test_orders_run_through_their_stages_and_returns_come_later(steps: list[Step]) -> None:
    # Given the changes of two weeks
    stages = ["placed", "paid", "shipped", "completed", "returned"]
    changes = {(old["status"], new["status"]) for step in steps for old, new in step.changed("sales.orders")}

    # Then the status of an order only moves forward, or it is cancelled before shipment
    assert {("placed", "paid"), ("paid", "shipped"), ("shipped", "completed"), ("completed", "returned")} <= changes
    for old, new in changes:
        assert old in ("placed", "paid") if new == "cancelled" else stages.index(old) < stages.index(new)

    # and returned lines have their own line numbers, with the price that was paid
    orders = {row["order_id"]: row for row in steps[-1].after["sales.orders"].values()}
    sent_back = [row for step in steps for row in step.new("sales.order_lines") if row["quantity"] < 0]
    bought = {
        (row["order_id"], row["product_id"], -row["quantity"]): row
        for row in steps[-1].after["sales.order_lines"].values()
        if row["quantity"] > 0
    }
    assert sent_back
    for row in sent_back:
        line = bought[row["order_id"], row["product_id"], row["quantity"]]
        assert orders[row["order_id"]]["status"] == "returned"
        assert updated_at(row) > updated_at(line)
        assert row["line_number"] > line["line_number"]


def test_products_change_price_and_an_order_pays_the_price_of_its_time(steps: list[Step]) -> None:
    # Given products whose price changed within two weeks
    changes = [change for step in steps for change in step.changed("shop.products")]
    repriced = {
        new["product_id"]: (old, new) for old, new in changes if old["unit_price_cents"] != new["unit_price_cents"]
    }
    assert repriced

    # When they are bought in the currency of the price list
    orders = {row["order_id"]: row for row in steps[-1].after["sales.orders"].values() if row["currency"] == "EUR"}
    paid = [
        (datetime.fromisoformat(orders[line["order_id"]]["ordered_at"]).replace(tzinfo=None), line)
        for step in steps
        for line in step.new("sales.order_lines")
        if line["order_id"] in orders and line["quantity"] > 0 and line["unit_price"] and line["product_id"] in repriced
    ]
    first_day = datetime.combine(FIRST_DAY, datetime.min.time())
    within = [(ordered_at, line, *repriced[line["product_id"]]) for ordered_at, line in paid if ordered_at >= first_day]

    # Then the line has the price of its time, even if the catalogue showed the price later
    assert {ordered_at < updated_at(new) for ordered_at, _, _, new in within} == {True, False}
    at_their_time = [
        line["unit_price"] * 100 == (old if ordered_at < updated_at(new) else new)["unit_price_cents"]
        for ordered_at, line, old, new in within
    ]
    assert sum(at_their_time) > 0.97 * len(at_their_time)  # customer service corrected the other prices


@pytest.mark.slow
def test_size_is_linear_in_scale(tmp_path: Path) -> None:
    # Given a small pharmacy and one ten times its size
    small = advance(tmp_path / "small", scale=0.03)
    large = advance(tmp_path / "large", scale=0.3)

    # Then each table has ten times the rows, within random noise, and scale 1 has the promised rows
    for table, rows_at_scale_1 in {
        "crm.customers": 10_000, "shop.products": 500, "sales.orders": 40_000, "sales.order_lines": 100_000,
    }.items():  # fmt: skip
        assert large.news[table].new == pytest.approx(10 * small.news[table].new, rel=0.08)
        assert large.news[table].new == pytest.approx(0.3 * rows_at_scale_1, rel=0.08)
    events = {size: count_lines(tmp_path / size, "web/events") for size in ("small", "large")}
    assert events["large"] == pytest.approx(10 * events["small"], rel=0.08)
    # A small shop has at least three fridges, so its readings are more than a tenth of the large shop's.
    readings = count_lines(tmp_path / "large", "equipment/readings")
    assert events["large"] + readings == pytest.approx(0.3 * 1_000_000, rel=0.1)


def test_its_data_are_as_dirty_as_real_data(steps: list[Step]) -> None:
    # Given the sources
    rows = {table: list(found.values()) for table, found in steps[-1].after.items()}
    customers, products = rows["crm.customers"], rows["shop.products"]
    orders, lines = rows["sales.orders"], rows["sales.order_lines"]

    def share(found: list[Row], condition: Any) -> float:
        return sum(map(condition, found)) / len(found)

    # Then some email addresses are invalid
    is_email = re.compile(r"^[^@\s]+@[^@\s]+\.[^@\s]+$")
    assert 0.002 < share(customers, lambda row: row["email"] is not None and not is_email.search(row["email"])) < 0.01
    # and some customers are duplicates
    persons: dict[tuple[str, ...], set[str]] = {}
    for row in customers:
        key = (row["birth_date"], row["street"], row["postcode"])
        persons.setdefault(key, set()).add(row["customer_id"])
    twice = [ids for (birth_date, *_), ids in persons.items() if birth_date is not None and len(ids) > 1]
    assert 0.005 < len(twice) / len(customers) < 0.03
    # and ids have leading zeros, names are not all in ASCII, and some people moved
    assert all(row["customer_id"].startswith("0") for row in customers)
    assert any(row["postcode"].startswith("0") for row in customers)
    assert any(row["product_id"].startswith("0") for row in products)
    assert {"Müller", "Lefèvre", "佐藤"} <= {row["family_name"] for row in customers}
    assert len({row["country"] for row in customers}) == 8
    # and many values are missing
    for column in ("email", "phone", "birth_date", "gender", "consent", "referred_by_customer_id"):
        assert 0.01 < share(customers, lambda row: row[column] is None) < 0.95, column  # noqa: B023
    # and there are guests, cancellations, returns and gifts
    assert 0.04 < share(orders, lambda row: row["customer_id"] is None) < 0.1
    assert 0.02 < share(orders, lambda row: row["status"] == "cancelled") < 0.06
    assert 0.03 < share(orders, lambda row: row["status"] == "returned") < 0.08
    assert 0.02 < share(lines, lambda row: row["quantity"] < 0) < 0.06
    assert 0.003 < share(lines, lambda row: row["unit_price"] == 0) < 0.01
    # and few customers buy often
    counts: dict[str, int] = {}
    for row in orders:
        counts[row["customer_id"] or ""] = counts.get(row["customer_id"] or "", 0) + 1
    del counts[""]
    most = sorted(counts.values(), reverse=True)
    assert sum(most[: len(most) // 5]) > 0.4 * sum(most)


@pytest.mark.slow
def test_nobody_buys_after_they_lapsed(tmp_path: Path) -> None:
    # Given a pharmacy some days old, and its lapsed customers
    for _ in range(3):
        advance(tmp_path, scale=0.3)
    _, lapsed = read_truth(tmp_path)["lapsed_customers"]
    lapsed_on = {customer: day for customer, day, *_ in lapsed}
    assert len(lapsed_on) > 300

    # When their orders are read, then there are some, but none after the day of lapsing
    orders = [row for row in read_sources(tmp_path)["sales.orders"].values() if row["customer_id"] in lapsed_on]
    assert len(orders) > 300
    late = [row for row in orders if datetime.fromisoformat(row["ordered_at"]).date() >= lapsed_on[row["customer_id"]]]
    assert late == []


def test_nobody_in_it_can_be_reached(steps: list[Step]) -> None:
    # Given all customers; then email domains are reserved for examples, and telephone numbers for films
    reserved = re.compile(
        r"(030 ?23125|069 ?90009|040 ?66969|0221 ?4710|089 ?99998|01 ?99 ?00|02 ?61 ?91|06 ?39 ?98"
        r"|020 ?7946 ?0|0117 ?496 ?0|07700 ?900|031 ?390 ?06|08 ?465 ?004|040 ?628 ?04)"
    )
    for row in steps[-1].after["crm.customers"].values():
        assert row["phone"] is None or reserved.match(row["phone"])
        assert row["email"] is None or "@" not in row["email"] or re.search(r"@(example|$)", row["email"])


KILLED = """
import os, sys
from pathlib import Path
from demo import pharmacy

calls = 0

def kill_at(call, function):
    def wrapped(*args, **kwargs):
        global calls
        calls += 1
        if calls == call:
            if sys.argv[4] == "after":
                function(*args, **kwargs)
            os._exit(9)
        return function(*args, **kwargs)
    return wrapped

if sys.argv[2] == "upsert":
    pharmacy.SourceTable.upsert = kill_at(int(sys.argv[3]), pharmacy.SourceTable.upsert)
else:
    os.replace = kill_at(int(sys.argv[3]), os.replace)
pharmacy.advance(Path(sys.argv[1]), scale=0.02)
"""


@pytest.mark.parametrize(
    ("is_first", "function", "call", "moment"),
    [
        (True, "upsert", 4, "after"),
        pytest.param(True, "replace", 2, "before", marks=pytest.mark.slow),
        pytest.param(True, "replace", 4, "before", marks=pytest.mark.slow),
        pytest.param(False, "upsert", 1, "after", marks=pytest.mark.slow),
        (False, "upsert", 4, "after"),
        pytest.param(False, "replace", 1, "before", marks=pytest.mark.slow),
        (False, "replace", 1, "after"),
    ],
)
def test_a_kill_at_any_moment_leaves_a_folder_that_goes_on_as_if_nothing_had_happened(
    history: Path, tmp_path: Path, is_first: bool, function: str, call: int, moment: str
) -> None:
    # Given the state of an undisturbed pharmacy a day later
    undisturbed = Path(shutil.copytree(history, tmp_path / "undisturbed"))
    reached = advance(undisturbed, scale=SMALL)

    # When another one is killed in the middle of a step
    folder = tmp_path / "killed" if is_first else Path(shutil.copytree(history, tmp_path / "killed"))
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), function, str(call), moment], cwd=PROJECT, check=False
    )
    assert killed.returncode == 9

    # Then it reaches the same day with the same rows
    for _ in range(3):
        if (demo_day := advance(folder, scale=SMALL, today=reached.day + timedelta(days=1))).day == reached.day:
            break
    assert demo_day.day == reached.day
    assert read_sources(folder) == read_sources(undisturbed)


@pytest.mark.parametrize(("scale", "seed"), [(0.03, 1), (SMALL, 2)])
def test_another_scale_or_seed_than_the_folders_is_refused(pharmacy: Path, scale: float, seed: int) -> None:
    # Given a pharmacy; when it is requested with another seed or scale
    before = read_sources(pharmacy)
    with pytest.raises(UsageError) as refused:
        advance(pharmacy, scale=scale, seed=seed)

    # Then the error names both and the remedy, and no file has changed
    message = str(refused.value)
    for text in (f"scale {SMALL} and seed 1", f"scale {scale} and seed {seed}", "delete the folder", str(pharmacy)):
        assert text in message
    assert read_sources(pharmacy) == before


@pytest.mark.parametrize("scale", [0, 0.005, 101, float("nan")])
def test_a_scale_out_of_range_is_refused(tmp_path: Path, scale: float) -> None:
    with pytest.raises(UsageError, match=r"from 0\.01 to 100"):
        advance(tmp_path, scale=scale)


def test_a_clock_that_cannot_be_read_is_refused(pharmacy: Path) -> None:
    # Given a damaged clock file; when the pharmacy moves on, then the error says what to do
    (pharmacy / "clock.json").write_text("[]")
    with pytest.raises(UsageError, match="Delete the folder"):
        advance(pharmacy, scale=SMALL)


@pytest.fixture(scope="module")
def api(history: Path) -> Iterator[httpx.Client]:
    """A client with the token, for an API over the small pharmacy."""
    with (
        serve_sales(history, TOKEN) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}) as client,
    ):
        yield client


def read_pages(api: httpx.Client, path: str, **query: Any) -> list[list[Row]]:
    """Follow the next links from a path, and return the rows of each page."""
    pages, url = [], str(api.get(path, params=query).url)
    while url is not None:
        body = json.loads(api.get(url).raise_for_status().text, parse_float=Decimal)
        pages.append(body["data"])
        url = body["next"]
    return pages


@pytest.mark.parametrize("table", ["orders", "order_lines"])
def test_pages_cover_every_row_once_in_the_order_of_change(api: httpx.Client, history: Path, table: str) -> None:
    # Given the rows of the database; when all pages are read, with rows of one time on several pages
    pages = read_pages(api, f"/{table}", limit=97)

    # Then each row is there once, oldest change first, and all pages but the last are full
    received = [row for page in pages for row in page]
    stored = read_sources(history)[f"sales.{table}"].values()
    assert sorted(map(str, received)) == sorted(map(str, stored))
    assert [row["updated_at"] for row in received] == sorted(row["updated_at"] for row in received)
    assert {len(page) for page in pages[:-1]} == {97}
    assert 0 < len(pages[-1]) <= 97


def test_a_full_last_page_is_followed_by_none(api: httpx.Client) -> None:
    # Given the number of orders; when a page has the same size, then there is no next page
    count = sum(map(len, read_pages(api, "/orders")))
    assert len(read_pages(api, "/orders", limit=count)) == 1
    assert count < LARGEST_PAGE


def test_updated_since_is_inclusive_and_takes_any_iso_time(api: httpx.Client) -> None:
    # Given the time of an order's change
    orders = [row for page in read_pages(api, "/orders") for row in page]
    since = orders[-20]["updated_at"]
    expected = [row for row in orders if row["updated_at"] >= since]
    moment = datetime.fromisoformat(since)

    # When orders since then are requested, in several time formats, then it is included, and no earlier one
    elsewhere = (moment.replace(tzinfo=None) + timedelta(hours=5, minutes=30)).isoformat() + "+05:30"
    for text in (since, moment.replace(tzinfo=None).isoformat(sep=" "), elsewhere):
        assert [row for page in read_pages(api, "/orders", updated_since=text, limit=7) for row in page] == expected

    # and from one second later on it is not included
    later = (moment + timedelta(microseconds=1)).isoformat()
    rows = [row for page in read_pages(api, "/orders", updated_since=later) for row in page]
    assert rows == [row for row in expected if row["updated_at"] > since]


def test_records_have_text_ids_null_guests_and_exact_prices(api: httpx.Client) -> None:
    # Given the records of the API
    orders = [row for page in read_pages(api, "/orders") for row in page]
    lines = [row for page in read_pages(api, "/order_lines") for row in page]

    # Then ids are text, guests are null, and amounts have two decimals
    assert all(isinstance(row["order_id"], str) for row in (*orders, *lines))
    assert any(row["customer_id"] is None for row in orders)
    assert all(isinstance(row["unit_price"], Decimal) for row in lines)
    assert {row["unit_price"].as_tuple().exponent for row in lines} == {-2}


@pytest.mark.parametrize("header", [{}, {"Authorization": "Bearer another"}, {"Authorization": TOKEN}])
def test_without_the_token_nothing_is_sent(api: httpx.Client, header: dict[str, str]) -> None:
    # Given a client without the token; when it sends a request, then it gets no row and no detail
    answer = httpx.get(f"{api.base_url}/orders", headers=header)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert answer.json().keys() == {"error"}
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/customers", 404),
        ("/orders?limit=many", 400),
        ("/orders?limit=0", 400),
        ("/orders?updated_since=yesterday", 400),
        ("/orders?after=nonsense", 400),
        ("/orders?after=WzFd", 400),
    ],
)
def test_what_it_does_not_understand_is_refused(api: httpx.Client, path: str, status: int) -> None:
    assert api.get(path).status_code == status


def test_it_sends_5000_rows_at_most(tmp_path: Path) -> None:
    # Given more lines than the largest page
    made = advance(tmp_path, scale=0.06)
    assert made.news["sales.order_lines"].new > LARGEST_PAGE

    # When a larger page is requested, then it is cut, and the link leads to the rest
    with serve_sales(tmp_path, TOKEN) as url:
        body = httpx.get(f"{url}/order_lines?limit=100000", headers={"Authorization": f"Bearer {TOKEN}"}).json()
    assert len(body["data"]) == LARGEST_PAGE
    assert body["next"].startswith(url)


def test_it_shows_the_new_day_while_it_runs_and_ends_with_its_context(pharmacy: Path) -> None:
    # Given an API, and a client that keeps its connection
    with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
        with serve_sales(pharmacy, TOKEN) as url:
            before = client.get(f"{url}/orders").json()["data"]

            # When the pharmacy moves on, then the API shows the new day
            news = advance(pharmacy, scale=SMALL).news["sales.orders"]
            after = client.get(f"{url}/orders").json()["data"]
            assert len(after) == len(before) + news.new

        # and after the end of the context, the API no longer answers
        with pytest.raises(httpx.TransportError):
            client.get(f"{url}/orders")


def test_it_does_not_start_without_a_token_or_sales(history: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs a token"), serve_sales(history, ""):
        pass
    with pytest.raises(FileNotFoundError), serve_sales(tmp_path, TOKEN):
        pass
