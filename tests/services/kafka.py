"""A Kafka broker for tests: jars by Maven and pom.xml, a temporary data folder, 127.0.0.1 only.

`python -m tests.services.kafka` starts one, prints its URL, and stops it at Ctrl-C or SIGTERM.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

READY_SECONDS, STOP_SECONDS, INSTALL_SECONDS = 60, 30, 600
POM = Path(__file__).with_name("pom.xml")
PACKAGES = {"java": "openjdk-17-jre-headless", "mvn": "maven"}
"""Debian packages by the program that each brings."""

PROPERTIES = """
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
log.retention.check.interval.ms=200
file.delete.delay.ms=100
"""


@contextmanager
def kafka() -> Iterator["KafkaBroker"]:
    """Yield a running broker; afterwards stop it and remove its data."""
    jars = _find_jars()
    with tempfile.TemporaryDirectory(prefix="kafka-") as folder:
        broker = KafkaBroker(jars, Path(folder))
        try:
            broker.format()
            broker.start()
            yield broker
        finally:
            broker.stop()


class KafkaBroker:
    """One node that is broker and controller (KRaft), without passwords."""

    def __init__(self, jars: str, folder: Path) -> None:
        self.port, self._controller = _free_ports(2)
        self._jars, self._folder = jars, folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def format(self) -> None:
        """Write the properties, and make the data folder."""
        text = PROPERTIES.format(port=self.port, controller=self._controller, folder=self._folder)
        (self._folder / "server.properties").write_text(text)
        made = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", "-t", "A" * 22, "-c"), capture_output=True
        )
        if made.returncode:
            raise RuntimeError(f"Kafka's data folder was not made:\n{made.stderr.decode()}")

    def start(self) -> None:
        """Start the broker, on the data that it has, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._java("kafka.Kafka"), cwd=self._folder, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"Kafka did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.1)

    def stop(self, *, is_kill: bool = False) -> None:
        """Stop the broker by its process id, or kill it; its data stay."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL if is_kill else signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _java(self, program: str, *arguments: str) -> list[str]:
        options = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        options.append("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
        return ["java", *options, "-cp", self._jars, program, *arguments, str(self._folder / "server.properties")]

    def _answers(self) -> bool:
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

        with suppress(KafkaException):
            client = AdminClient({"bootstrap.servers": self.address, "log_level": 0})
            return bool(client.list_topics(timeout=2).brokers)
        return False


def _find_jars() -> str:
    """Return the class path of the broker; Maven fetches jars that are missing, Debian's packages bring Maven."""
    if missing := [package for program, package in PACKAGES.items() if shutil.which(program) is None]:
        if os.geteuid() != 0:
            raise RuntimeError(f"Kafka needs Java and Maven. Fix: apt-get install {' '.join(missing)}")
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
            subprocess.run(["apt-get", "-qq", *step], check=True, capture_output=True, env=environment)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "classpath"
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:build-classpath", f"-Dmdep.outputFile={path}"]
        fetched = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        if fetched.returncode:
            raise RuntimeError(f"Maven did not fetch Kafka:\n{fetched.stdout}")
        return path.read_text()


def _free_ports(count: int) -> list[int]:
    """Return ports that are free now, all of them different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with kafka() as broker, suppress(KeyboardInterrupt):
        print(f"kafka://{broker.address}", flush=True)  # noqa: T201
        signal.pause()
