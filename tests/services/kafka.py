"""A Kafka broker for tests: jars by Maven and pom.xml, a temporary data folder, 127.0.0.1 only.

`python -m tests.services.kafka` starts one, prints its URL, and stops it at Ctrl-C or SIGTERM.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.services.server import Server, free_ports, install_packages, one_installs, serve

INSTALL_SECONDS = 600
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
log.cleaner.backoff.ms=200
file.delete.delay.ms=100
"""


@contextmanager
def kafka() -> Iterator["KafkaBroker"]:
    """Yield a running broker; afterwards stop it and remove its data."""
    with one_installs():
        jars = _find_jars()
    with tempfile.TemporaryDirectory(prefix="kafka-") as folder:
        broker = KafkaBroker(jars, Path(folder))
        try:
            broker.format()
            broker.start()
            yield broker
        finally:
            broker.stop()


class KafkaBroker(Server):
    """One node that is broker and controller (KRaft), without passwords."""

    title = "Kafka"

    def __init__(self, jars: str, folder: Path) -> None:
        port, self._controller = free_ports(2)
        super().__init__(folder, port)
        self._jars = jars

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
        self._run(self._java("kafka.Kafka"), self._answers, cwd=self._folder)

    def lose_messages(self, topic: str, partition: int) -> None:
        """Restart the broker without what a partition held, as after a restore from an older copy of its disk."""
        self.stop()
        for path in (self._folder / "data" / f"{topic}-{partition}").iterdir():
            if path.name != "partition.metadata":  # which has the topic's id
                path.unlink()
        for path in (self._folder / "data").glob("*-checkpoint"):
            path.unlink()
        self.start()

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
        install_packages(*missing)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "classpath"
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:build-classpath", f"-Dmdep.outputFile={path}"]
        fetched = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        if fetched.returncode:
            raise RuntimeError(f"Maven did not fetch Kafka:\n{fetched.stdout}")
        return path.read_text()


if __name__ == "__main__":
    serve(kafka(), lambda broker: f"kafka://{broker.address}")
