"""Topics of Kafka to committed Delta rows, against a bare consumer that parses the same JSON, and against dlt.

The bare consumer has the same properties and assigned partitions. It parses each value by `json.loads`, and keeps
nothing. dlt has no source for Kafka in its own package: a resource of dlt yields what the bare consumer parses.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import duckdb
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from flows.config.settings import PROJECT
from tests.benchmarks.bare_consumer import parsed
from tests.benchmarks.measures import Measure, report, run_alternately
from tests.benchmarks.shop import ROWS, Bench
from tests.python.support.memory import largest_resident_mb
from tests.services.kafka import kafka

MESSAGES, PARTITIONS, RUNS = 1_000_000, 2, 3
TOPIC, LIMIT_MB = "order-lines", 1000
DLT_PYTHON = PROJECT / ".venv" / "bench" / "bin" / "python"
LOADED = {"from": TOPIC, "load": "append"}


def main() -> None:
    """Fill a topic, then measure."""
    with kafka() as broker, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        fill(broker.address)
        bench, url = Bench(Path(folder)), f"kafka://{broker.address}"
        ours, theirs = run_alternately(lambda: bench.load(url, LOADED), lambda: consume(broker.address), RUNS)
        what = f"Kafka, {MESSAGES:,} messages of JSON"
        report(Measure(what, "confluent-kafka, json.loads", ours, theirs, at_least=0.7))
        started = time.perf_counter()
        bench.load(url, LOADED)
        ours = time.perf_counter() - started
        report(Measure(what, "dlt → Delta", ours, time_dlt(broker.address, Path(folder)), at_least=3))
        done = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.kafka", url, folder], stdout=subprocess.PIPE, check=True
        )
        memory = float(done.stdout.split()[-1])
        report(Measure(f"Memory of a load, {what}", "the limit", memory, LIMIT_MB, at_most=1, unit="MB"))


def fill(address: str) -> None:
    """Produce order lines, in batches as producers send them."""
    admin = AdminClient({"bootstrap.servers": address})
    admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])[TOPIC].result()
    producer = Producer({"bootstrap.servers": address, "linger.ms": 50, "batch.size": 1_000_000})
    with duckdb.connect() as connection:
        rows = connection.execute(
            f"select order_id, cast(to_json(lines) as varchar) from ({ROWS.format(rows=MESSAGES)}) as lines"
        )
        while found := rows.fetchmany(10_000):
            for key, value in found:
                producer.produce(TOPIC, value=value, key=key, partition=hash(key) % PARTITIONS)
            producer.flush()


def consume(address: str) -> None:
    """Read the topic to its ends, and parse each value."""
    for _ in parsed(address, TOPIC, PARTITIONS):
        pass


def time_dlt(address: str, work: Path) -> float:
    """Return the seconds of dlt in its own environment, without its imports."""
    script = Path(__file__).with_name("dlt_kafka.py")
    done = subprocess.run(
        [str(DLT_PYTHON), str(script), address, TOPIC, str(PARTITIONS), str(work / "dlt")],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(done.stdout.split()[-1])


def load(url: str, folder: str) -> None:
    """Load the topic, and write this process's largest memory in megabytes."""
    Bench(Path(folder)).load(url, LOADED)
    sys.stdout.write(f"{largest_resident_mb():.0f}\n")


if __name__ == "__main__":
    load(*sys.argv[1:]) if sys.argv[1:] else main()
