"""Duplicates of a small batch, searched in a table of 20 million rows, against reading all of its keys."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb
from deltalake import write_deltalake

from flows.config.contract import Column, Contract
from flows.core.names import TableName
from flows.core.relation import Relation
from flows.lake.check import Checked
from flows.lake.deduplicate import deduplicate
from flows.lake.delta import WRITTEN, open_table, relation_of
from tests.benchmarks.measures import Measure, report, run_alternately

ROWS, BATCHES, NEW = 20_000_000, 10, 1_000
KINDS = {
    "in the order of time": "'E' || lpad(cast(range as varchar), 10, '0')",
    "random": "md5(cast(range as varchar))",
}


def main() -> None:
    """Measure keys that increase with time (numbers and UUIDs of version 7), and random keys."""
    for kind, key in KINDS.items():
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, duckdb.connect() as connection:
            connection.execute("set threads = 2")
            connection.execute("set memory_limit = '400MB'")
            fill(connection, Path(folder), key)
            look_up, scan = prepared(connection, Path(folder), key)
            ours, theirs = run_alternately(look_up, scan)
            what = f"{NEW:,} new keys looked up among {ROWS:,}, {kind}"
            report(Measure(what, "reading every key", ours, theirs, at_most=0.5))


def fill(connection: duckdb.DuckDBPyConnection, table: Path, key: str) -> None:
    """Write the table as loads do: one file per batch."""
    size = ROWS // BATCHES
    for batch in range(BATCHES):
        rows = connection.sql(
            f"select {key} as event_id, range % 1000 as visitor, "
            "timestamp '2026-01-01' + to_seconds(range) as occurred_at, "
            f"{batch}::bigint as _batch, range as _row, false as _deleted "
            f"from range({batch * size}, {(batch + 1) * size})"
        )
        write_deltalake(table, rows.to_arrow_reader(100_000), mode="append", writer_properties=WRITTEN)


def prepared(
    connection: duckdb.DuckDBPyConnection, table: Path, key: str
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Return the look-up of a load, and a scan of all keys."""
    contract = Contract(
        name=TableName("web", "events"),
        columns=(
            Column(name="event_id", data_type="varchar", is_required=True),
            Column(name="visitor", data_type="bigint", is_required=False),
            Column(name="occurred_at", data_type="timestamp", is_required=False),
        ),
        key=("event_id",),
    )
    relation = relation_of(open_table(table))
    assert relation is not None, "the table was just written"
    stored = f"(select event_id, visitor, occurred_at, _batch, _row, _deleted from {relation})"
    query = (
        f"select {key} as event_id, 1::bigint as visitor, now()::timestamp as occurred_at, "
        f"range as _row, null::varchar as _position, null::varchar as _reasons from range({ROWS}, {ROWS + NEW})"
    )
    checked = Checked(Relation.table(connection, "checked_records", query), (), NEW)
    scan = f"select count(*) from {relation} where hash(event_id) in (select hash(event_id) from {checked.records})"
    return lambda: deduplicate(checked, contract, stored, BATCHES), lambda: connection.execute(scan).fetchall()


if __name__ == "__main__":
    main()
