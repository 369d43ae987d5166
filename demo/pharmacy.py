"""Make the sources of the demo pharmacy, and move them on by one day at a time.

The pharmacy is a function of seed, scale and day. The SQL files of this folder compute it in DuckDB. The state of a row
on a day does not depend on earlier calls, so an interrupted step can be repeated.
"""

import json
import logging
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from demo.packs import draw_packs
from flows.core.errors import UsageError
from flows.core.names import literal

HISTORY_STARTS = date(2025, 1, 1)
FIRST_DAY = date(2026, 3, 1)
"""The day of the clock after the first call; the history before it is 14 months long."""
USUAL_DELAY = timedelta(days=2)
"""The usual delay of late-arriving changes in a source. A few take up to nine days, so a loader needs a lookback."""
ORDER_LIFE_DAYS = 45
"""An order appears and changes only within so many days after it was placed."""
MADE_UP_KEY = "the demo's own key, known to everybody"
"""It protects no real person. All users have the same key, so the demo has the same pseudonyms everywhere."""

SMALLEST_SCALE, LARGEST_SCALE = 0.01, 100
BEFORE_EVERYTHING = -100_000
CHUNK_ROWS = 50_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SourceTable:
    """A table of one of the pharmacy's SQLite databases; the DuckDB table `made_as` holds its new and changed rows."""

    name: str
    database: str
    made_as: str
    key: str
    columns: Mapping[str, str]

    @property
    def file_name(self) -> str:
        """The file of the database."""
        return f"{self.database}.sqlite"

    def create(self, database: sqlite3.Connection) -> None:
        """Create the empty table, with an index for queries of changed rows."""
        columns = ", ".join(f"{column} {kind}" for column, kind in self.columns.items())
        database.execute(f"create table {self.name} ({columns})")
        database.execute(f"create index {self.name}_by_updated_at on {self.name} (updated_at)")

    def upsert(self, database: sqlite3.Connection, made: duckdb.DuckDBPyConnection) -> None:
        """Write the new and changed rows to the table; a second call changes nothing."""
        assignments = ", ".join(f"{column} = excluded.{column}" for column in self.columns if column != self.key)
        database.executemany(
            f"insert into {self.name} ({', '.join(self.columns)}) values ({', '.join('?' * len(self.columns))}) "
            f"on conflict ({self.key}) do update set {assignments}",
            self._rows(made),
        )

    def _rows(self, made: duckdb.DuckDBPyConnection) -> Iterator[tuple[object, ...]]:
        values = (
            f"strftime({column}, '%Y-%m-%d %H:%M:%S')" if kind.startswith("timestamp") else column
            for column, kind in self.columns.items()
        )
        result = made.execute(f"select {', '.join(values)} from {self.made_as} order by {self.key}")
        while chunk := result.fetchmany(CHUNK_ROWS):
            yield from chunk


@dataclass(frozen=True)
class SourceFiles:
    """Files of the pharmacy's other systems, in `source/<source>/<name>/`, named by the date on which they were sent.

    `made_as` is the DuckDB table of the new rows. `_sent_day_number` is the day on which a row was sent, and `_place`
    orders the rows of a file. JSON lines are the texts of the column `record`. A CSV file has all columns that have no
    leading underscore.
    """

    source: str
    name: str
    made_as: str
    suffix: str = "jsonl"

    def write(self, folder: Path, made: duckdb.DuckDBPyConnection) -> None:
        """Write the new files, each by an atomic rename: one per month of the history, then one per day."""
        place = folder / self.source / self.name
        place.mkdir(parents=True, exist_ok=True)
        made.execute(
            "create or replace temp table files_made as select *, moment(_sent_day_number, 0) as _sent_at, "
            "left(cast(_sent_at as varchar), if(_sent_at <= $first_day, 7, 10)) as _file "
            f"from {self.made_as}",
            {"first_day": FIRST_DAY},
        )
        columns = "record" if self.suffix == "jsonl" else "columns(lambda name: name[1] <> '_')"
        options = "header false, quote '', delimiter '\x01'" if self.suffix == "jsonl" else "header true"
        for (file,) in made.execute("select distinct _file from files_made order by _file").fetchall():
            path = place / f"{file}.{self.suffix}"
            unfinished = path.with_suffix(".unfinished")
            made.execute(
                f"copy (select {columns} from files_made where _file = {literal(file)} "
                f"order by _sent_day_number, _place) to {literal(str(unfinished))} (format csv, {options})"
            )
            unfinished.replace(path)


RECORD_COLUMNS = {"id": "integer primary key", "updated_at": "integer not null", "record": "text not null"}
TABLES = (
    SourceTable(
        name="customers",
        database="crm",
        made_as="crm_customers",
        key="customer_id",
        columns={
            "customer_id": "text primary key not null",
            "given_name": "text",
            "family_name": "text",
            "email": "text",
            "phone": "text",
            "birth_date": "date",
            "gender": "text",
            "street": "text",
            "postcode": "text",
            "city": "text",
            "country": "text",
            "consent": "integer",
            "referred_by_customer_id": "text",
            "registered_at": "timestamp not null",
            "updated_at": "timestamp not null",
        },
    ),
    SourceTable(
        name="experiment_assignments",
        database="crm",
        made_as="crm_experiment_assignments",
        key="assignment_id",
        columns={
            "assignment_id": "integer primary key",
            "experiment_name": "text",
            "customer_id": "text",
            "variant": "text",
            "assigned_at": "timestamp",
            "exposed_at": "timestamp",
            "removed_at": "timestamp",
            "updated_at": "timestamp not null",
        },
    ),
    SourceTable(
        name="experiments",
        database="crm",
        made_as="crm_experiments",
        key="experiment_name",
        columns={
            "experiment_name": "text primary key not null",
            "metric": "text",
            "minimum_value": "integer",
            "window_days": "integer",
            "updated_at": "timestamp not null",
        },
    ),
    SourceTable(
        name="experiment_variants",
        database="crm",
        made_as="crm_experiment_variants",
        key="variant_id",
        columns={
            "variant_id": "integer primary key",
            "experiment_name": "text",
            "variant": "text",
            "weight": "integer",
            "is_control": "integer",
            "updated_at": "timestamp not null",
        },
    ),
    SourceTable(
        name="products",
        database="shop",
        made_as="shop_products",
        key="product_id",
        columns={
            "product_id": "text primary key not null",
            "product_name": "text",
            "category": "text",
            "brand": "text",
            "unit_price_cents": "integer",
            "currency": "text",
            "prescription_only": "integer",
            "updated_at": "timestamp not null",
        },
    ),
    SourceTable(
        name="prescriptions",
        database="clinic",
        made_as="clinic_prescriptions",
        key="prescription_id",
        columns={
            "prescription_id": "text primary key not null",
            "customer_id": "text",
            "diagnosis_code": "text",
            "drug_code": "text",
            "dosage": "text",
            "prescriber": "text",
            "notes": "text",
            "prescribed_at": "text",
            "updated_at": "timestamp not null",
        },
    ),
    SourceTable(name="orders", database="sales", made_as="sales_orders", key="id", columns=RECORD_COLUMNS),
    SourceTable(name="order_lines", database="sales", made_as="sales_order_lines", key="id", columns=RECORD_COLUMNS),
)
FILES: tuple[SourceFiles, ...] = (
    SourceFiles(source="web", name="events", made_as="web_events"),
    SourceFiles(source="equipment", name="units", made_as="equipment_units", suffix="csv"),
    SourceFiles(source="equipment", name="maintenance", made_as="equipment_maintenance", suffix="csv"),
    SourceFiles(source="equipment", name="readings", made_as="equipment_readings"),
    SourceFiles(source="content", name="reviews", made_as="content_reviews"),
    SourceFiles(source="payments", name="transactions", made_as="payments_transactions"),
    SourceFiles(source="payments", name="chargebacks", made_as="payments_chargebacks"),
    SourceFiles(source="lending", name="loans", made_as="lending_loans", suffix="csv"),
    SourceFiles(source="lending", name="repayments", made_as="lending_repayments", suffix="csv"),
)
STEPS = (
    "chance", "vocabulary", "shop", "plans", "crm", "sales", "web", "equipment", "content", "payments", "lending",
    "clinic",
)  # fmt: skip
"""The SQL files that make the pharmacy, in the order of execution."""


@dataclass(frozen=True)
class TableNews:
    """The number of new rows of a table, and the number of other rows that changed."""

    new: int = 0
    changed: int = 0


@dataclass(frozen=True)
class DemoDay:
    """The demo's clock after a call: the last day that the sources include, and its news by `source.table`."""

    day: date
    is_first: bool
    news: Mapping[str, TableNews]

    @property
    def has_news(self) -> bool:
        """Whether the clock moved. It stops at yesterday, the last complete day."""
        return bool(self.news)


@dataclass(frozen=True)
class _Clock:
    """The content of `clock.json`: seed and scale of the pharmacy, and its day."""

    seed: int
    scale: float
    day: date

    @classmethod
    def read(cls, path: Path) -> "_Clock | None":
        """Read a clock; None if there is no file yet. Raises UsageError if the file is damaged."""
        try:
            state = json.loads(path.read_text(encoding="utf-8"))
            return cls(seed=state["seed"], scale=state["scale"], day=date.fromisoformat(state["day"]))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(
                f"{path} is not a clock of the demo.", f"Delete the folder {path.parent} to start the demo again."
            ) from error

    def write(self, path: Path) -> None:
        """Replace the file by an atomic rename after its content is on disk."""
        unfinished = path.with_suffix(".unfinished")
        with unfinished.open("w", encoding="utf-8") as file:
            json.dump({"seed": self.seed, "scale": self.scale, "day": self.day.isoformat()}, file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)


def advance(folder: Path, *, scale: float = 1.0, seed: int = 1, today: date | None = None) -> DemoDay:
    """Make the pharmacy's sources in `folder`, or move them on by one day; a day is added only when it is over (UTC).

    Scale 1 starts with 10,000 customers, 500 products, 100,000 order lines and 1,000,000 events and readings. It adds
    about 100 orders per day.
    A killed call loses nothing: the clock is written last, and the next call repeats the step. If one database is
    missing, all are made again.
    Raises UsageError if the scale is out of range, or if the folder has another seed or scale.
    """
    if not SMALLEST_SCALE <= scale <= LARGEST_SCALE:
        raise UsageError(
            f"The demo's scale is {scale}; it goes from {SMALLEST_SCALE} to {LARGEST_SCALE}.", "Choose a scale within."
        )
    last_day = (today or datetime.now(UTC).date()) - timedelta(days=1)
    if last_day < FIRST_DAY:
        raise UsageError(f"The demo begins with {FIRST_DAY}, which is not over yet.", "Set this machine's clock.")
    clock = _Clock.read(folder / "clock.json")
    _require_same_pharmacy(folder, clock, scale, seed)
    is_whole = clock is not None and all((folder / table.file_name).exists() for table in TABLES)
    day = FIRST_DAY if clock is None else min(clock.day + timedelta(days=1), max(clock.day, last_day))
    if clock is not None and day == clock.day and is_whole:
        log.info("The demo's clock stays at %s: the next day is not over yet.", day)
        return DemoDay(day=day, is_first=False, news={})

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="demo-") as temporary, closing(duckdb.connect()) as made:
        made.execute("set temp_directory = ?", [temporary])
        _make(made, scale=scale, seed=seed, since=clock.day if clock and is_whole else None, until=day)
        for database in dict.fromkeys(table.database for table in TABLES):
            _write(folder, database, made, is_new=not is_whole)
        for files in FILES:
            files.write(folder, made)
        draw_packs(folder / "content" / "images", made)
        news = {f"{table.database}.{table.name}": _count_news(made, table) for table in TABLES}
    _Clock(seed=seed, scale=scale, day=day).write(folder / "clock.json")
    log.info("The demo's clock is at %s.", day)
    return DemoDay(day=day, is_first=clock is None, news=news)


def read_truth(folder: Path) -> dict[str, tuple[list[str], list[tuple[Any, ...]]]]:
    """Return the truth that was planted in the pharmacy of `folder` up to its day: columns and rows by subject.

    A subject is an SQL file in `truth/`. It queries facts that no source shows, such as lapsed customers, pairs of
    accounts that are one person, and fraudulent payments.
    Raises UsageError if there is no pharmacy yet.
    """
    with compute_truth(folder) as made:
        truth = {}
        for path in sorted(Path(__file__).with_name("truth").glob("*.sql")):
            found = made.execute(path.read_text(encoding="utf-8"))
            truth[path.stem] = ([name for name, *_ in found.description or ()], found.fetchall())
        return truth


@contextmanager
def compute_truth(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Compute the pharmacy of `folder` from its beginning, and yield the database with all tables of the generator.

    They hold causes and future events too, which no source shows. Raises UsageError if there is no pharmacy yet.
    """
    clock = _Clock.read(folder / "clock.json")
    if clock is None:
        raise UsageError(f"There is no pharmacy in {folder} yet.", "Make one: python -m flows demo")
    with tempfile.TemporaryDirectory(prefix="demo-") as temporary, closing(duckdb.connect()) as made:
        made.execute("set temp_directory = ?", [temporary])
        _make(made, scale=clock.scale, seed=clock.seed, since=None, until=clock.day)
        yield made


def _require_same_pharmacy(folder: Path, clock: _Clock | None, scale: float, seed: int) -> None:
    if clock is not None and (clock.scale, clock.seed) != (scale, seed):
        raise UsageError(
            f"The demo in {folder} has scale {clock.scale} and seed {clock.seed}, not scale {scale} and seed {seed}.",
            f"Ask for the same, or delete the folder {folder} to start the demo again.",
        )


def _make(made: duckdb.DuckDBPyConnection, *, scale: float, seed: int, since: date | None, until: date) -> None:
    """Compute, as DuckDB tables, the rows that the sources show on day `until` and did not show on day `since`."""
    made.execute("set variable history_starts = ?", [HISTORY_STARTS])
    numbers = {
        "seed": seed,
        "scale_permille": round(scale * 1000),
        "since_day": BEFORE_EVERYTHING if since is None else (since - HISTORY_STARTS).days,
        "until_day": (until - HISTORY_STARTS).days,
        "order_life_days": ORDER_LIFE_DAYS,
    }
    for name, number in numbers.items():
        made.execute(f"set variable {name} = cast(? as bigint)", [number])
    for step in STEPS:
        made.execute(Path(__file__).with_name(f"{step}.sql").read_text(encoding="utf-8"))


def _write(folder: Path, database: str, made: duckdb.DuckDBPyConnection, *, is_new: bool) -> None:
    """Write the news to one database in one transaction; a new database gets its name when it is complete."""
    path = folder / f"{database}.sqlite"
    target = path.with_suffix(".unfinished") if is_new else path
    if is_new:
        for leftover in (target, Path(f"{target}-journal"), Path(f"{path}-journal")):
            leftover.unlink(missing_ok=True)
    with closing(sqlite3.connect(target)) as connection, connection:
        connection.execute("begin immediate")
        for table in TABLES:
            if table.database == database:
                if is_new:
                    table.create(connection)
                table.upsert(connection, made)
    if is_new:
        target.replace(path)


def _count_news(made: duckdb.DuckDBPyConnection, table: SourceTable) -> TableNews:
    counted = made.execute(
        f"select count(*) filter (is_new), count(*) filter (not is_new) from {table.made_as}"
    ).fetchall()
    return TableNews(*counted[0])
