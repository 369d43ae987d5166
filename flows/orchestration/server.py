"""Prefect on loopback: the server of a run, or the one PREFECT_API_URL names; its database is in the data folder."""

import socket
import sqlite3
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from flows.config import settings
from flows.core.errors import UsageError, WarehouseError
from flows.core.redaction import scrub
from flows.core.storage import set_aside
from flows.orchestration.deployments import deployments_file

STARTUP_SECONDS = 90
ELSEWHERE_SECONDS = 10
WORK_POOL, DOCS_PATH = "local", "/sites"
CHECKED_BYTES = 256 * 1024 * 1024
"""A database up to this size is read through before a server is started on it; that takes about a second."""

SERVERS: dict[int, "subprocess.Popen[bytes]"] = {}
"""The servers that this process has started, by port."""


def prepare_prefect() -> None:
    """Set where Prefect keeps its runs and what it logs; call it before Prefect is imported."""
    settings.reach_loopback_directly()
    if not settings.prefect_is_elsewhere():
        home = settings.data_root() / "prefect"
        set_damaged_files_aside(home)
        settings.export(PREFECT_HOME=str(home))
    settings.export(
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
        PREFECT_LOGGING_EXTRA_LOGGERS="flows",
        PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW="ignore",
        PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL="CRITICAL",
        PREFECT_LOGGING_INTERNAL_LEVEL="CRITICAL",
        PREFECT_CLI_PROMPT="false",
        DO_NOT_TRACK="1",
    )
    if not settings.prefect_is_elsewhere():  # the server of make ui shows the sites of all sets
        settings.export_default(settings.DOCS_VARIABLE, DOCS_PATH)


@contextmanager
def prefect_server() -> Iterator[str]:
    """Give a run a Prefect API and yield its URL: the one PREFECT_API_URL names, or a server that ends with the run.

    It starts in the background; `wait_for_server` waits for it, so that other work goes on meanwhile. Raises
    WarehouseError if it was lost on the way and nothing else went wrong.
    """
    if url := settings.prefect_is_elsewhere():
        wait_for_server(url, ELSEWHERE_SECONDS)
        with flushing(url):
            yield url
        return
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    settings.export(PREFECT_API_URL=url, PREFECT_CLIENT_MAX_RETRIES="2")  # a process that is gone does not come back
    with serving(port, with_ui=False), flushing(url):
        yield url


@contextmanager
def flushing(url: str) -> Iterator[None]:
    """Send the last logs and events at the end; if the server is lost, raise the error of the run itself."""
    try:
        yield
    except Exception as error:
        from httpx import TransportError

        if not isinstance(error, TransportError):
            raise
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, WarehouseError):
            cause = cause.__context__
        raise cause or WarehouseError(
            f"Prefect was lost during the run, so it does not show how the run ended: {scrub(url)}.\n"
            "The work of the run is kept; readers have the last good release. Run again to be sure."
        ) from None
    finally:
        flush_logs_and_events()


def flush_logs_and_events() -> None:
    """Send the last logs and events to the server while it still runs."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=10)
    EventsWorker.drain_all(timeout=10)


def serve_schedules(port: int, say: Callable[[str], None], connection_set: str | None = None) -> None:
    """Serve the UI, deploy prefect.yaml to it and run its schedules until interrupted.

    With a set, the schedules and triggers that are off in prefect.yaml are on for it. A run of a schedule that meets
    another one waits for its turn.
    """
    if is_taken(port):
        raise UsageError(f"Port {port} of 127.0.0.1 is taken.", "Name another: python -m flows ui --port …")
    url = f"http://127.0.0.1:{port}/api"
    settings.export(PREFECT_API_URL=url)
    with serving(port, with_ui=True):
        wait_for_server(url)
        file = deployments_file(connection_set, server_log().with_name("prefect.yaml"))
        for arguments in (
            ["work-pool", "create", WORK_POOL, "--type", "process", "--overwrite"],
            ["--no-prompt", "deploy", "--all", "--prefect-file", str(file)],
        ):
            subprocess.run(
                [sys.executable, "-m", "prefect", *arguments],
                cwd=settings.PROJECT,
                env=settings.environment(),
                stdout=subprocess.DEVNULL,
                check=True,
            )
        said = f"the schedules of {connection_set} run" if connection_set else "the schedules that are on run"
        say(f"Prefect is at http://127.0.0.1:{port}, and {said}; Ctrl-C ends both.")
        say(f"The history of loads, gates and changes: http://127.0.0.1:{port}/artifacts")
        if connection_set is None:
            say("Most schedules are off. To switch them on for a set: make ui ML_WAREHOUSE_SET=NAME")
        worker = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", WORK_POOL],
            cwd=settings.PROJECT,
            env=settings.environment(),
        )
        try:
            worker.wait()
        except KeyboardInterrupt:  # the worker was interrupted as well
            say("Stopping …")
            return
        finally:
            _end(worker)
        raise WarehouseError("The worker of the schedules ended by itself; see above.")


@contextmanager
def serving(port: int, *, with_ui: bool) -> Iterator[subprocess.Popen[bytes]]:
    """Run a Prefect server on loopback, and stop it by its process in the end."""
    log = server_log()
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.is_dir():
        set_aside(log, "is a folder")
    environment = settings.environment() | {"PREFECT_UI_ENABLED": str(int(with_ui))}
    if not with_ui:
        environment |= {"PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "flows.orchestration.server_process", str(port)],
            cwd=settings.PROJECT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        SERVERS[port] = server
        try:
            yield server
        finally:
            del SERVERS[port]
            _end(server)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def server_log() -> Path:
    """Return the log of the server that a run starts."""
    return settings.data_root() / "prefect" / "server.log"


def set_damaged_files_aside(home: Path) -> None:
    """Set aside files of Prefect that it cannot read; it makes them again, without the runs that they showed."""
    if home.exists() and not home.is_dir():
        set_aside(home, "is no folder")
    for name in ("profiles.toml", "memo_store.toml"):
        path = home / name
        try:
            if path.exists():
                tomllib.loads(path.read_text())
        except (ValueError, OSError):
            set_aside(path, "is damaged")
    database = home / "prefect.db"
    if database.exists() and _is_damaged(database):
        set_aside(database, "is damaged")
        for further in (home / "prefect.db-wal", home / "prefect.db-shm"):
            if further.exists():
                set_aside(further, "belongs to a damaged database")


def _is_damaged(database: Path) -> bool:
    """Tell whether SQLite cannot read a database; one that another process holds is not damaged."""
    if not database.is_file():
        return True
    is_small = database.stat().st_size <= CHECKED_BYTES
    try:
        with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            if is_small and connection.execute("pragma quick_check(1)").fetchall() != [("ok",)]:
                return True
            tables = {name for (name,) in connection.execute("select name from sqlite_master")}
            return bool(tables) and "alembic_version" not in tables
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True


def wait_for_server(url: str, seconds: float = STARTUP_SECONDS) -> None:
    """Wait until a Prefect API answers; raises WarehouseError if it does not, at once if its process has ended."""
    deadline = time.monotonic() + seconds
    server = SERVERS.get(urlsplit(url).port or 0)
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError, ValueError):
            if server is not None and server.poll() is not None:
                home = server_log().parent
                raise WarehouseError(
                    f"Prefect's server ended before it answered; {server_log()} says why. Nothing was done.\n"
                    "It may not read its database, which holds the history of runs alone. "
                    f"Fix: mv {home} {home}.aside; the next run makes another one."
                ) from None
            if time.monotonic() > deadline:
                raise WarehouseError(
                    f"Prefect did not answer at {scrub(url)} within {seconds:.0f} seconds. Nothing was done.\n"
                    f"The server that a run starts logs to {server_log()}; "
                    "another one is named by PREFECT_API_URL."
                ) from None
            time.sleep(0.1)


def is_taken(port: int) -> bool:
    """Tell whether a port of loopback is taken."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    """Return a port of loopback that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
