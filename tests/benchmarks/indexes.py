"""Look-ups of one key by an index, against a scan and a sorted table; joins, which use none; the cost of writes."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import duckdb

from tests.benchmarks.measures import Measure, report, run_alternately

CUSTOMERS, LINES, LOOKUPS, TOUCHED = 100_000, 1_000_000, 100, 1_000

TABLES = {
    "customers": f"""
        select
            lpad(cast(hash(range) % 100000000 as varchar), 8, '0') || range as customer_id,
            range % 7 as segment,
            cast(range % 9973 as decimal(18, 4)) as net_amount,
            md5(cast(range as varchar)) as customer_key,
            date '2026-01-01' + cast(range % 365 as integer) as as_of_date
        from range({CUSTOMERS})
        order by hash(range)
    """,
    "order_lines": f"""
        select
            'O' || lpad(cast(range // 3 as varchar), 9, '0') as order_id,
            range % 3 + 1 as line_number,
            range % {CUSTOMERS} as customer_number,
            md5(cast(range % 5000 as varchar)) as product_key,
            cast(range % 9973 as decimal(18, 4)) as net_amount,
            timestamp '2026-01-01' + to_seconds(range) as ordered_at
        from range({LINES})
        order by hash(range // 1000)
    """,
}
KEYS = {"customers": "customer_id", "order_lines": "order_id"}


def main() -> None:
    """Measure a mart of customers and a fact table of a million lines, each without an index, with one, and sorted by
    key.
    """
    for table in TABLES:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            measure(Path(folder), table, KEYS[table])


def measure(folder: Path, table: str, key: str) -> None:
    """Write a table three times, and report the seconds of look-ups, joins and changes."""
    plain, indexed, ordered = (folder / f"{kind}.duckdb" for kind in ("plain", "indexed", "ordered"))
    index = f"create index by_key on {table} ({key})"
    costs = run_alternately(lambda: write(indexed, table, index), lambda: write(plain, table), repeats=3)
    write(ordered, table, order_by=key)
    report_look_ups(table, plain, indexed, ordered)
    changes = run_alternately(lambda: rewrite(indexed, table), lambda: rewrite(plain, table))
    report(
        Measure(f"Joining all {table} by {key}, indexed", "without", *timed_joins(table, indexed, plain)),
        Measure(f"Writing {table} with an index", "without", *costs),
        Measure(f"Forgetting and writing {TOUCHED:,} keys of {table}, indexed", "without", *changes),
        Measure(f"Bytes of {table} with an index", "without", size(indexed), size(plain), unit="MB"),
    )


def write(place: Path, table: str, *then: str, order_by: str | None = None) -> None:
    """Write a table into its own file."""
    place.unlink(missing_ok=True)
    with connect(place) as database:
        order = f"select * from ({TABLES[table]}) order by {order_by}" if order_by else TABLES[table]
        for statement in (f"create table {table} as {order}", *then, "checkpoint"):
            database.execute(statement)


def report_look_ups(table: str, plain: Path, indexed: Path, ordered: Path) -> None:
    """Compare the medians of many look-ups, each a statement for one key, as a service sends them."""
    key = KEYS[table]
    with connect(plain) as database:
        wanted = [
            found for (found,) in database.execute(f"select {key} from {table} using sample {LOOKUPS}").fetchall()
        ]
    with connect(indexed) as by_index, connect(plain) as by_scan, connect(ordered) as by_order:
        asked = f"select * from {table} where {key} = ?"
        for kind, found_by in (("indexed", by_index), ("sorted", by_order)):
            times = run_alternately(looking_up(found_by, asked, wanted), looking_up(by_scan, asked, wanted))
            ours, theirs = (seconds * 1000 / len(wanted) for seconds in times)
            what = f"One of {table} looked up by {key}, {kind}"
            report(Measure(what, "a scan", ours, theirs, unit="ms"))


def looking_up(database: duckdb.DuckDBPyConnection, asked: str, wanted: Sequence[str]) -> Callable[[], None]:
    """Return a function that looks up each key by its own statement."""

    def look_up() -> None:
        for key in wanted:
            database.execute(asked, [key]).fetchall()

    return look_up


def timed_joins(table: str, indexed: Path, plain: Path) -> tuple[float, float]:
    """Return the seconds of joining the table to itself by its key."""
    key = KEYS[table]
    joined = f"select count(*) from {table} as one inner join {table} as other using ({key})"
    with connect(indexed) as by_index, connect(plain) as by_scan:
        return run_alternately(lambda: by_index.execute(joined).fetchall(), lambda: by_scan.execute(joined).fetchall())


def rewrite(place: Path, table: str) -> None:
    """Delete and insert the rows of some keys in one transaction, as an incremental model does."""
    key = KEYS[table]
    with connect(place) as database:
        database.execute(f"create temp table touched as select {key} from {table} using sample {TOUCHED}")
        database.execute(f"create temp table rows as from {table} where {key} in (from touched)")
        database.execute(f"begin; delete from {table} where {key} in (from touched)")
        database.execute(f"insert into {table} from rows; commit")


def connect(place: Path) -> duckdb.DuckDBPyConnection:
    """Open a file with the project's settings, on two threads."""
    return duckdb.connect(str(place), config={"threads": 2, "memory_limit": "1GB"})


def size(place: Path) -> float:
    """Return the size of a file in megabytes."""
    return place.stat().st_size / 1e6


if __name__ == "__main__":
    main()
