"""Loads against bare copies of the same data by the same libraries: the cost of checks, counts and exactly-once."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import adbc_driver_sqlite.dbapi
import duckdb
import yaml
from deltalake import write_deltalake

from flows.config.settings import PROJECT
from tests.benchmarks.measures import REPEATS, Measure, report, run_alternately
from tests.benchmarks.shop import Bench, make_json_lines, make_sqlite

RETAIL_COLUMNS = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
]
SQLITE_ROWS, JSON_ROWS = 2_000_000, 1_000_000
DLT_PYTHON = PROJECT / ".venv" / "bench" / "bin" / "python"


def main() -> None:
    """Measure all loads."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        bench = Bench(Path(folder))
        measure_online_retail(bench)
        measure_sqlite(bench)
        measure_json_lines(bench)


def measure_online_retail(bench: Bench) -> None:
    """Load 305 CSV files of real invoices, mapped by columns and by a query."""
    archive = (
        Path(os.environ.get("ONLINE_RETAIL", PROJECT.parent / "shared" / "data" / "online_retail")) / "by-day.tar.gz"
    )
    if not archive.exists():
        sys.stderr.write("Online Retail is not measured: ONLINE_RETAIL names no folder with by-day.tar.gz\n")
        return
    days = bench.work / "days"
    with tarfile.open(archive) as tarred:
        tarred.extractall(days, filter="data")
    files = sorted(map(str, days.rglob("*.csv")))
    pattern = str(Path(files[0]).parent.relative_to(days) / "*.csv")

    def bare() -> None:
        columns = dict.fromkeys(RETAIL_COLUMNS, "VARCHAR")
        with duckdb.connect() as connection:
            rows = connection.sql(
                f"from read_csv({files}, auto_detect = false, header = true, delim = ',', quote = '\"', escape = '\"', "
                f"columns = {columns})"
            )
            write_new_table(bench.work / "bare", rows)

    columns = {
        "order_id": "InvoiceNo",
        "line_number": "_row",
        "product_id": "StockCode",
        "quantity": "Quantity",
        "unit_price": "UnitPrice",
    }
    connections = yaml.safe_load((PROJECT / "connections.yml").read_text())
    query = connections["online_retail"]["sales"]["tables"]["order_lines"] | {"from": pattern}
    for kind, mapping, share in (
        ("columns", {"from": pattern, "load": "append", "columns": columns}, 0.5),
        ("query", query, 0.25),
    ):
        ours, theirs = run_alternately(lambda mapping=mapping: bench.load(f"file:{days}", mapping), bare)
        what = f"Online Retail, 305 CSV files by {kind}"
        report(Measure(what, "DuckDB read_csv, explicit texts → Delta", ours, theirs, at_least=share))


def measure_sqlite(bench: Bench) -> None:
    """Load two million rows of SQLite."""
    path = bench.work / "shop.sqlite"
    make_sqlite(path, SQLITE_ROWS)

    def bare() -> None:
        shutil.rmtree(bench.work / "bare", ignore_errors=True)
        uri = f"file:{path}?mode=ro"
        with adbc_driver_sqlite.dbapi.connect(uri) as database, database.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": "50000"})
            cursor.execute("select * from order_lines")
            write_deltalake(bench.work / "bare", cursor.fetch_record_batch())

    ours, theirs = run_alternately(lambda: bench.load(f"sqlite:///{path}", {"load": "append"}), bare)
    report(Measure("SQLite, 2,000,000 rows", "ADBC → Delta", ours, theirs, at_least=0.8))


def measure_json_lines(bench: Bench) -> None:
    """Load a million JSON lines."""
    path = bench.work / "lines.jsonl"
    make_json_lines(path, JSON_ROWS)

    def bare() -> None:
        with duckdb.connect() as connection:
            rows = connection.sql(f"from read_json('{path}', format = 'newline_delimited')")
            write_new_table(bench.work / "bare", rows)

    def load() -> None:
        bench.load(f"file:{bench.work}", {"from": path.name, "load": "append"})

    ours, theirs = run_alternately(load, bare)
    report(Measure("JSON lines, 1,000,000", "DuckDB read_json → Delta", ours, theirs, at_least=0.5))
    dlt = time_dlt(path, bench.work / "dlt")
    report(Measure("JSON lines, 1,000,000", "dlt → Delta", ours, dlt, at_least=2))


def time_dlt(path: Path, work: Path) -> float:
    """Return the seconds of dlt in its own environment, without its imports."""
    script = Path(__file__).with_name("dlt_load.py")
    done = subprocess.run(
        [str(DLT_PYTHON), str(script), str(path), str(work)], check=True, capture_output=True, text=True
    )
    return float(done.stdout.split()[-1])


def write_new_table(path: Path, rows: duckdb.DuckDBPyRelation) -> None:
    """Write rows as one new Delta table."""
    shutil.rmtree(path, ignore_errors=True)
    write_deltalake(path, rows.to_arrow_reader(100_000))


if __name__ == "__main__":
    assert REPEATS > 1, "a median needs more than one run"
    main()
