"""Loads from a real PostgreSQL and MariaDB: time against a bare copy and against dlt, and memory."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import adbc_driver_postgresql.dbapi
from deltalake import write_deltalake

from tests.benchmarks.loads import DLT_PYTHON
from tests.benchmarks.measures import Measure, report, run_alternately
from tests.benchmarks.memory import LIMIT_MB
from tests.benchmarks.shop import Bench
from tests.python.support.memory import largest_resident_mb
from tests.services.mariadb import mariadb
from tests.services.postgresql import PostgresqlServer, postgresql

ROWS, LARGE_ROWS, MYSQL_ROWS = 2_000_000, 8_000_000, 1_000_000
COLUMNS = """
    'O' || lpad(cast(n / 3 as text), 9, '0') as order_id, n % 3 + 1 as line_number,
    'P' || lpad(cast((n * 7919) % 5000 as text), 5, '0') as product_id, n % 9 - 1 as quantity,
    cast((n * 31) % 10000 / 100.0 as numeric(18, 2)) as unit_price, cast(0 as numeric(18, 2)) as discount_amount,
    timestamptz '2025-01-01 00:00Z' + n * interval '2 seconds' as updated_at, 'left at the door, ' || n as note
"""
MYSQL_COLUMNS = """
    concat('O', lpad(seq div 3, 9, '0')) as order_id, seq % 3 + 1 as line_number,
    concat('P', lpad((seq * 7919) % 5000, 5, '0')) as product_id, cast(seq % 9 as signed) - 1 as quantity,
    cast((seq * 31) % 10000 / 100 as decimal(18, 2)) as unit_price, cast(0 as decimal(18, 2)) as discount_amount,
    timestamp '2025-01-01 00:00' + interval seq * 2 second as updated_at, concat('left at the door, ', seq) as note
"""


def main() -> None:
    """Measure all loads of databases."""
    with postgresql() as server, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        measure_postgresql(server, Bench(Path(folder)))
        make_lines(server, LARGE_ROWS)
        measure_memory(server.url(), "PostgreSQL", LARGE_ROWS, Path(folder))
    with mariadb() as server, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        server.execute(f"create table order_lines as select {MYSQL_COLUMNS} from seq_1_to_{MYSQL_ROWS}")
        measure_memory(server.url(), "MariaDB", MYSQL_ROWS, Path(folder))


def make_lines(server: PostgresqlServer, rows: int) -> None:
    """Make the table of order lines."""
    server.execute(
        f"drop table if exists order_lines; create table order_lines as select {COLUMNS} "
        f"from generate_series(0, cast({rows - 1} as bigint)) as n; vacuum analyze order_lines"
    )


def measure_postgresql(server: PostgresqlServer, bench: Bench) -> None:
    """Load two million rows of PostgreSQL, beside a bare copy and beside dlt."""
    make_lines(server, ROWS)
    url = server.url()

    def bare() -> None:
        shutil.rmtree(bench.work / "bare", ignore_errors=True)
        with adbc_driver_postgresql.dbapi.connect(url) as database, database.cursor() as cursor:
            cursor.execute("select * from order_lines")
            write_deltalake(bench.work / "bare", cursor.fetch_record_batch())

    ours, theirs = run_alternately(lambda: bench.load(url, {"load": "append"}), bare)
    what = f"PostgreSQL, {ROWS:,} rows"
    report(Measure(what, "ADBC → Delta", ours, theirs, at_least=0.6))
    report(Measure(what, "dlt → Delta", ours, time_dlt(url, bench.work, "sqlalchemy"), at_least=5))
    report(Measure(what, "dlt by pyarrow → Delta", ours, time_dlt(url, bench.work, "pyarrow"), at_least=1))


def time_dlt(url: str, work: Path, backend: str) -> float:
    """Return the seconds of dlt in its own environment, without its imports."""
    script = Path(__file__).with_name("dlt_sql.py")
    address = url.replace("postgresql:", "postgresql+psycopg:")
    command = [str(DLT_PYTHON), str(script), address, str(work / f"dlt-{backend}"), backend]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def measure_memory(url: str, kind: str, rows: int, work: Path) -> None:
    """Load the table in a process that prints its largest resident memory and its seconds."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.databases", url, str(work)], stdout=subprocess.PIPE, check=True
    )
    what = f"Memory of a load, {kind}: {rows:,} rows"
    report(Measure(what, "the limit", float(done.stdout.split()[-1]), LIMIT_MB, at_most=1, unit="MB"))


def load(url: str, folder: str) -> None:
    """Load the table, and write this process's largest memory in megabytes."""
    Bench(Path(folder)).load(url, {"load": "append"})
    sys.stdout.write(f"{largest_resident_mb():.0f}\n")


if __name__ == "__main__":
    load(*sys.argv[1:]) if sys.argv[1:] else main()
