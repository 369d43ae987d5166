"""A build of the whole warehouse: dbt against the same SQL in DuckDB, within 1 GB, by scale, and of one day.

`python -m tests.benchmarks.full_build 1 10 50` measures other scales than `make bench`. Above scale 10 it runs one full
build, to show how the seconds grow.
"""

import logging
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import yaml
from dbt.adapters.duckdb.connections import DuckDBConnectionManager
from dbt.cli.main import dbtRunner

from demo.api import serve_sales
from demo.flow import SET
from demo.pharmacy import MADE_UP_KEY, advance
from flows.config import settings
from flows.config.connections import read_connections
from flows.config.contract import contracts_of
from flows.config.settings import PROJECT, DataFolder
from flows.ingest.load import load_table
from flows.ingest.tables import tables_to_load
from flows.lake.catalog import pin_catalog
from flows.warehouse.build import WITHOUT_UNIT_TESTS, prepare_candidate
from flows.warehouse.dbt import GOOD, Dbt
from flows.warehouse.pseudonyms import hand_over_key
from tests.benchmarks.measures import Measure, report

SCALES = (1.0, 10.0)
GROWTH_ONLY_ABOVE = 10.0
"""At scale 50, making the lake takes 15 minutes; eleven builds of it would take more than one hour."""
REPEATS = 3
NODE_SECONDS = 0.04
"""The allowed cost of a node besides its SQL: dbt renders it, keeps its state, and reports it."""
MEMORY_LIMIT = "1GB"

Statements = dict[str, list[str]]


@dataclass
class Shop:
    """The sources and the lake of the demo at one scale, and builds of a warehouse from them."""

    scale: float
    dbt: Dbt
    sent: Statements = field(default_factory=dict)
    nodes: int = 0

    @classmethod
    def open(cls, work: Path, scale: float) -> "Shop":
        """Make the sources and the lake with their first day."""
        settings.export(**{settings.DATA_VARIABLE: str(work / f"scale-{scale:g}")})
        shop = cls(scale, Dbt.parse(DataFolder.of(SET)))
        shop.move_on()
        return shop

    @property
    def folder(self) -> DataFolder:
        """The data folder with all files of the benchmark."""
        return self.dbt.folder

    def move_on(self, *loaded: str) -> None:
        """Add the next day to the sources, and to the lake what these sources have, or all of them."""
        advance(self.folder.path / "source", scale=self.scale)
        self.load(*loaded)

    def load(self, *loaded: str) -> None:
        """Load what is new in these sources, or in all of them."""
        self.folder.made_up_key.write_text(MADE_UP_KEY)
        contracts = contracts_of(self.dbt.manifest.sources.values())
        with serve_sales(self.folder.path / "source", "bench") as url:
            settings.export(DEMO_SALES_URL=url, DEMO_SALES_TOKEN="bench")
            sources = read_connections(PROJECT / "connections.yml", SET)
            for name, connection in tables_to_load(sources, contracts):
                if loaded and name.source not in loaded:
                    continue
                load_table(connection, contracts[name], self.folder.lake, run_id="bench")
        pin_catalog(self.folder.catalog, self.folder.lake, contracts)

    def count_rows(self) -> int:
        """Count the rows of all tables in the lake."""
        with duckdb.connect(str(self.folder.catalog), read_only=True) as catalog:
            tables = catalog.execute("select schema_name, view_name from duckdb_views() where not internal").fetchall()
            return sum(catalog.execute(f'select count(*) from "{s}"."{t}"').fetchall()[0][0] for s, t in tables)

    def build_all(self, **settings_of_duckdb: str) -> float:
        """Build everything into an empty candidate; record dbt's SQL, and return the seconds."""
        prepare_candidate(self.folder, empty=True)
        return self.build(**settings_of_duckdb)

    def build(self, *further: str, **settings_of_duckdb: str) -> float:
        """Build everything into the candidate as it is; return the seconds. Raises AssertionError if a node failed."""
        sent: defaultdict[str, list[str]] = defaultdict(list)

        def see(event: Any) -> None:
            if event.info.name == "SQLQuery":  # without a node: the first statements, which make the schemas
                node = event.data.node_info.unique_id
                sent[node or event.data.conn_name].append(self._unabridged(node, event.data.sql))

        runner = dbtRunner(manifest=self.dbt.manifest, callbacks=[see])
        started = time.perf_counter()
        try:
            done = runner.invoke(
                [
                    *("--log-level", "none", "--log-level-file", "none", "build", "--no-write-json", *further),
                    *("--project-dir", str(PROJECT), "--profiles-dir", str(self._write_profile(settings_of_duckdb))),
                    *("--target", "candidate", "--target-path", str(self.folder.target)),
                    *("--log-path", str(self.folder.target)),
                ]
            )
        finally:
            DuckDBConnectionManager.close_all_connections()
        seconds = time.perf_counter() - started
        results = list(getattr(done.result, "results", None) or [])
        failed = [f"{one.node.name}: {one.message}" for one in results if one.status not in GOOD]
        assert results, done.exception
        assert not failed, failed
        self.sent, self.nodes = dict(sent), len(results)
        return seconds

    def build_straight(self) -> float:
        """Send DuckDB the SQL of the last full build, node by node; return the seconds."""
        database = self.folder.path / "straight" / self.folder.candidate.name
        shutil.rmtree(database.parent, ignore_errors=True)
        database.parent.mkdir()
        started = time.perf_counter()
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"attach '{self.folder.catalog}' as lake (read_only)")
            hand_over_key(connection, self.folder)
            for name, value in self._settings.items():
                connection.execute(f"set {name} = '{value}'")
            for statements in self.sent.values():
                _send(connection, statements)
        seconds = time.perf_counter() - started
        assert _row_counts(database) == _row_counts(self.folder.candidate), "what was built straight is not the same"
        return seconds

    def _unabridged(self, unique_id: str, statement: str) -> str:
        """Return a complete statement: dbt abridges the rows of a seed, so a seed becomes a copy statement."""
        if not (unique_id.startswith("seed.") and statement.endswith("...")):
            return statement
        seed = self.dbt.manifest.nodes[unique_id]
        return f"copy {seed.schema}.{seed.alias} from '{PROJECT / seed.original_file_path}' (header)"

    @property
    def _settings(self) -> dict[str, Any]:
        return self._profiles["ml_warehouse"]["outputs"]["candidate"]["settings"]

    @property
    def _profiles(self) -> dict[str, Any]:
        return yaml.safe_load((PROJECT / "profiles.yml").read_text())

    def _write_profile(self, settings_of_duckdb: dict[str, str]) -> Path:
        """Write the project's profiles with additional settings of DuckDB; return their folder."""
        profiles = self._profiles
        profiles["ml_warehouse"]["outputs"]["candidate"]["settings"] |= settings_of_duckdb
        place = self.folder.path / "profiles"
        place.mkdir(exist_ok=True)
        (place / "profiles.yml").write_text(yaml.safe_dump(profiles))
        return place


def _send(connection: duckdb.DuckDBPyConnection, statements: list[str]) -> None:
    """Send the statements of a node; dbt leaves a read-only transaction open, so it is rolled back."""
    in_transaction = False
    for statement in statements:
        if statement == "BEGIN" and in_transaction:
            connection.rollback()
        in_transaction = statement not in ("COMMIT", "ROLLBACK") and (in_transaction or statement == "BEGIN")
        connection.execute(statement).fetchall()
    if in_transaction:
        connection.rollback()


def _row_counts(database: Path) -> dict[str, int]:
    with duckdb.connect(str(database), read_only=True) as connection:
        tables = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() where database_name = current_database()"
        ).fetchall()
        return {table: connection.execute(f"select count(*) from {table}").fetchall()[0][0] for (table,) in tables}


def median(work: Callable[[], float]) -> float:
    """Return the median seconds of repeated builds."""
    return statistics.median(work() for _ in range(REPEATS))


def measure_day(shop: Shop) -> float:
    """Return the seconds of a build on top of the last full build, with one new day."""
    yesterday = shop.folder.path / "yesterday.duckdb"
    shutil.copy(shop.folder.candidate, yesterday)
    shop.move_on()

    def build_day() -> float:
        shutil.copy(yesterday, shop.folder.candidate)
        return shop.build(*WITHOUT_UNIT_TESTS)  # as a run does

    return median(build_day)


def measure(work: Path, scale: float) -> tuple[float, int]:
    """Measure and report the builds at one scale; return the seconds of a full build, and the rows in the lake."""
    shop = Shop.open(work, scale)
    rows = shop.count_rows()
    if scale > GROWTH_ONLY_ABOVE:
        return shop.build_all(), rows
    shop.build_all()  # warms up, like the first build without dbt
    shop.build_straight()
    full, straight = (
        statistics.median(seconds)
        for seconds in zip(*((shop.build_all(), shop.build_straight()) for _ in range(REPEATS)), strict=True)
    )
    nodes = shop.nodes
    limited = median(lambda: shop.build_all(memory_limit=MEMORY_LIMIT))
    shop.build_all()
    day = measure_day(shop)
    allowed = 1.3 * straight + nodes * NODE_SECONDS
    what = f"Full build, scale {scale:g}, {rows:,} rows"
    report(
        Measure(
            what, f"1.3 × its SQL straight, {straight:.2f} s, and 40 ms a node ({nodes})", full, allowed, at_most=1
        ),
        Measure(f"{what}, in {MEMORY_LIMIT}", "without a limit", limited, full, at_most=1.5),
        Measure(f"Build with one new day, scale {scale:g}", "the full build", day, full, at_most=0.1),
    )
    return full, rows


def main(scales: tuple[float, ...]) -> None:
    """Measure at each scale, and report how the seconds grow from one scale to the next."""
    logging.getLogger("flows").setLevel(logging.WARNING)
    smaller: tuple[float, int, float] | None = None
    for scale in scales:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            seconds, rows = measure(Path(folder), scale)
        if smaller is not None:
            what = f"Growth of a full build's seconds, scale {smaller[2]:g} to {scale:g}"
            grown = Measure(
                what, "growth of the rows", seconds / smaller[0], rows / smaller[1], at_most=1, unit="times"
            )
            report(grown)
        smaller = seconds, rows, scale


if __name__ == "__main__":
    main(tuple(map(float, sys.argv[1:])) or SCALES)
    sys.stdout.flush()
    os._exit(0)  # otherwise DuckDB lists the objects of Prefect's threads
