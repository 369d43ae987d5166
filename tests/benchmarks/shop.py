"""Generated order lines in several formats, and a lake to load them into, for the benchmarks."""

import logging
import shutil
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import yaml

from flows.config import settings
from flows.config.connections import read_connections
from flows.config.contract import Contract, contracts_of
from flows.config.settings import DataFolder
from flows.core.names import TableName
from flows.ingest.load import LoadResult, load_table
from flows.warehouse.dbt import Dbt

LINES = TableName("sales", "order_lines")
SET = "bench"
ROWS = """
    select
        'O' || lpad(cast(range // 3 as varchar), 9, '0') as order_id,
        range % 3 + 1 as line_number,
        'P' || lpad(cast((range * 7919) % 5000 as varchar), 5, '0') as product_id,
        range % 9 - 1 as quantity,
        cast((range * 31) % 10000 / 100 as decimal(18, 2)) as unit_price,
        0 as discount_amount,
        strftime(timestamp '2025-01-01' + to_seconds(range * 2), '%Y-%m-%dT%H:%M:%SZ') as updated_at,
        'left at the door, ' || range as note
    from range({rows})
"""


@dataclass(frozen=True)
class Bench:
    """A working folder, with the project's contract of order lines."""

    work: Path

    @cached_property
    def contract(self) -> Contract:
        """Return the contract as it is in dbt's manifest."""
        logging.getLogger("flows").setLevel(logging.WARNING)
        settings.export(**{settings.DATA_VARIABLE: str(self.work / "data")})
        folder = DataFolder.of(SET)
        return contracts_of(Dbt.parse(folder).manifest.sources.values())[LINES]

    def load(self, url: str, mapping: Mapping[str, Any]) -> LoadResult:
        """Load the table into a new lake."""
        shutil.rmtree(self.work / "lake", ignore_errors=True)
        return self.load_on(url, mapping)

    def load_on(self, url: str, mapping: Mapping[str, Any]) -> LoadResult:
        """Load the table into the existing lake."""
        place = self.work / "connections.yml"
        place.write_text(yaml.safe_dump({SET: {"sales": {"url": url, "tables": {LINES.table: dict(mapping)}}}}))
        connection = read_connections(place, SET).sources["sales"]
        return load_table(connection, self.contract, self.work / "lake", run_id="bench")


def make_json_lines(place: Path, rows: int) -> None:
    """Write order lines as JSON lines."""
    with duckdb.connect() as connection:
        connection.execute(f"copy ({ROWS.format(rows=rows)}) to '{place}' (format json)")


def make_csv(place: Path, rows: int) -> None:
    """Write order lines as CSV."""
    with duckdb.connect() as connection:
        connection.execute(f"copy ({ROWS.format(rows=rows)}) to '{place}' (header)")


def make_sqlite(place: Path, rows: int) -> None:
    """Write order lines into a SQLite table; amounts are texts, since SQLite has no decimals."""
    with closing(sqlite3.connect(place)) as database, duckdb.connect() as connection:
        database.execute(
            "create table order_lines (order_id text, line_number integer, product_id text, quantity integer, "
            "unit_price text, discount_amount text, updated_at text, note text)"
        )
        result = connection.execute(
            "select * replace (cast(unit_price as varchar) as unit_price, '0' as discount_amount) "
            f"from ({ROWS.format(rows=rows)})"
        )
        database.executemany("insert into order_lines values (?, ?, ?, ?, ?, ?, ?, ?)", _fetched(result))
        database.commit()


def _fetched(result: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := result.fetchmany(10_000):
        yield from rows
