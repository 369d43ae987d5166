"""`python -m flows ingest`: loads topics until it is stopped."""

import signal
import sys
import threading
from types import FrameType

from flows.cli.arguments import DEFAULT_CONNECTIONS, ConnectionSet, ConnectionsFile, say_step
from flows.cli.check import check_before_run


def ingest(connection_set: ConnectionSet = None, connections: ConnectionsFile = DEFAULT_CONNECTIONS) -> None:
    """Load what comes from topics of Kafka, every few seconds, until Ctrl-C or SIGTERM; nothing is built."""
    check_before_run(connection_set, connections)
    from flows.config.connections import read_connections
    from flows.config.contract import contracts_of
    from flows.orchestration.run_lock import run_lock
    from flows.stream import keep_loading, streams_of
    from flows.warehouse.dbt import Dbt

    sources = read_connections(connections.resolve(), connection_set)
    with run_lock(sources.folder, is_brief=True):
        contracts = contracts_of(Dbt.parse(sources.folder, sources.variables).manifest.sources.values())
    streams = streams_of(sources, contracts)
    say_step(f"ingesting {', '.join(str(stream.name) for stream in streams)}; Ctrl-C stops it")
    keep_loading(sources.folder, streams, stop_when_asked())


def stop_when_asked() -> threading.Event:
    """Return an event that is set at Ctrl-C or SIGTERM; asked a second time, the process ends at once."""
    stop = threading.Event()

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            sys.exit(128 + number)
        say_step("stopping after the commit at hand")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, ask)
    return stop
