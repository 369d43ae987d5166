"""The largest memory of a load, by kind of source. Each load is a process of its own, and its imports count."""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.measures import Measure, report
from tests.benchmarks.shop import Bench, make_csv, make_json_lines, make_sqlite
from tests.python.support.memory import largest_resident_mb

LIMIT_MB = 1000
MADE = {
    "CSV": (make_csv, "lines.csv", 10_000_000),
    "JSON lines": (make_json_lines, "lines.jsonl", 5_000_000),
    "SQLite": (make_sqlite, "lines.sqlite", 5_000_000),
}


def main() -> None:
    """Make each source, and load it in a process that prints its largest resident memory."""
    for kind, (make, name, rows) in MADE.items():
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            make(Path(folder) / name, rows)
            size = (Path(folder) / name).stat().st_size / 1e6
            done = subprocess.run(
                [sys.executable, "-m", "tests.benchmarks.memory", folder, name], stdout=subprocess.PIPE, check=True
            )
        what = f"Memory of a load, {kind}: {rows:,} rows, {size:,.0f} MB"
        report(Measure(what, "the limit", float(done.stdout.split()[-1]), LIMIT_MB, at_most=1, unit="MB"))


def load(folder: str, name: str) -> None:
    """Load one source, and write this process's largest memory in megabytes."""
    is_sqlite = name.endswith(".sqlite")
    url = f"sqlite:///{folder}/{name}" if is_sqlite else f"file:{folder}"
    Bench(Path(folder)).load(url, {"load": "append"} if is_sqlite else {"from": name, "load": "append"})
    sys.stdout.write(f"{largest_resident_mb():.0f}\n")


if __name__ == "__main__":
    load(*sys.argv[1:]) if sys.argv[1:] else main()
