"""The cost of many small commits: seconds to open a table and to read its view, before and after compaction."""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from flows.config.contract import Column, Contract
from flows.core.clock import utc_now
from flows.core.names import TableName
from flows.core.relation import Relation
from flows.lake.catalog import pin_catalog
from flows.lake.counts import Counts
from flows.lake.deduplicate import NewRows
from flows.lake.maintenance import compact_and_vacuum_table
from flows.lake.raw import BatchMetadata, RawTable
from tests.benchmarks.measures import Measure, report

COMMITS, ROWS = 500, 200
REPEATS = 9
TABLE = Contract(
    name=TableName("bench", "events"),
    columns=(
        Column(name="event_id", data_type="varchar", is_required=True),
        Column(name="amount", data_type="decimal(18, 4)", is_required=False),
    ),
    key=("event_id",),
)


def measure() -> dict[str, float]:
    """Return median seconds by name: `open` opens a RawTable with its watermark, `read` counts and sums its view."""
    with tempfile.TemporaryDirectory(prefix="commits-") as folder:
        one, many = Path(folder) / "one", Path(folder) / "many"
        write_commits(one, 1, COMMITS * ROWS)
        write_commits(many, COMMITS, ROWS)
        found = {**_timed("one_commit", one), **_timed(f"{COMMITS}_commits", many)}
        started = time.perf_counter()
        compact_and_vacuum_table(RawTable(many, TABLE.name).path)
        found["compaction"] = time.perf_counter() - started
        return found | _timed(f"{COMMITS}_commits_compacted", many)


def write_commits(lake: Path, commits: int, rows: int) -> None:
    """Load a table in a number of batches of a given size."""
    with duckdb.connect() as connection:
        table = RawTable(lake, TABLE.name)
        for batch in range(1, commits + 1):
            query = (
                f"select '{batch}-' || range as event_id, "
                "range as amount, range + 1 as _row, null as _position, false as _deleted "
                f"from range({rows})"
            )
            new = NewRows(Relation.table(connection, "new_rows", query))
            metadata = BatchMetadata(batch, f"load-{batch}", utc_now(), is_backfill=False)
            carry = {"watermark": f'"watermark {batch}"', "config_hash": "a config hash", "contract_version": "1"}
            table.append(new, TABLE, metadata, Counts(rows, rows), carry)


def _timed(name: str, lake: Path) -> dict[str, float]:
    catalog = lake / "catalog.duckdb"
    pin_catalog(catalog, lake, {TABLE.name: TABLE})

    def read() -> object:
        with duckdb.connect(str(catalog), read_only=True) as connection:
            return connection.execute("select count(*), sum(amount) from bench.events").fetchall()

    return {
        f"{name}_open": _median(lambda: RawTable(lake, TABLE.name).last_commit()),
        f"{name}_read": _median(read),
    }


def _median(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def main() -> None:
    """Compare a table of many small commits, after compaction, with a table of one commit."""
    found, many = measure(), f"{COMMITS}_commits"
    for state, bar in ((many, None), (f"{many}_compacted", 1.5)):
        ours = found[f"{state}_open"] + found[f"{state}_read"]
        theirs = found["one_commit_open"] + found["one_commit_read"]
        what = f"Open and read {state.replace('_', ' ')}"
        report(Measure(what, "the same rows in one commit", ours * 1000, theirs * 1000, at_most=bar, unit="ms"))


if __name__ == "__main__":
    main()
