"""Steps that the scripts of services share: missing Debian packages, free ports, and a process that serves."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

PASSWORD = "p@ss:w/rd?#1 50%"
"""Of the databases' user. It contains every character that a URL must escape."""

ESCAPED = quote(PASSWORD, safe="")

READY_SECONDS, STOP_SECONDS = 60, 30

S = TypeVar("S", bound="Server")


@contextmanager
def one_installs() -> Iterator[None]:
    """Let one process at a time look for what is missing and install it; two workers may need the same."""
    with Path(tempfile.gettempdir(), "services-of-tests.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install_packages(*names: str) -> None:
    """Install Debian packages; raises RuntimeError with the command for a user who may not."""
    if os.geteuid() != 0:
        raise RuntimeError(f"{' and '.join(names)} must be installed. Fix: apt-get install {' '.join(names)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in (["update"], ["install", "--yes", "--no-install-recommends", *names]):
        subprocess.run(["apt-get", "-qq", *step], check=True, capture_output=True, env=environment)


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 on which no server listens, all of them different."""
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Server:
    """A server in a process of its own, on 127.0.0.1; its files and its log are in a folder."""

    title: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def stop(self, *, is_kill: bool = False) -> None:
        """Stop the server by its process id, or kill it as a failing machine does; its data stay."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL if is_kill else self.stop_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _run(self, command: Sequence[str], answers: Callable[[], bool], **options: Any) -> None:
        """Start the process, and wait until it answers; raises RuntimeError with its log if it does not."""
        log = self._folder / "log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=output, **options)
        deadline = time.monotonic() + READY_SECONDS
        while not answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.title} did not start:\n{log.read_text()}")
            time.sleep(0.1)


class DatabaseServer(Server):
    """A database server with one user, `tester`, and its database `shop`."""

    scheme: ClassVar[str]
    user, database = "tester", "shop"

    def url(self, password: str = ESCAPED, scheme: str | None = None) -> str:
        """Return a URL, with a password as URLs have it, or with a template for one."""
        return f"{scheme or self.scheme}://{self.user}:{password}@127.0.0.1:{self.port}/{self.database}"

    def execute(self, sql: str, database: str | None = None) -> str:
        """Run SQL by the server's own client, and return its output, one line per row; raises RuntimeError."""
        client = self._client(database or self.database)
        done = subprocess.run(client, input=sql, text=True, capture_output=True, env=self._environment())
        if done.returncode:
            raise RuntimeError(f"the client failed:\n{done.stderr}")
        return done.stdout.strip()

    @contextmanager
    def uncommitted(self, sql: str) -> Iterator[Callable[[str], None]]:
        """Run SQL in a transaction that is committed when the context ends; yield what sends it more SQL."""
        client, pipe = self._client(self.database), subprocess.PIPE
        with subprocess.Popen(client, stdin=pipe, stdout=pipe, text=True, env=self._environment()) as session:
            assert session.stdin is not None
            assert session.stdout is not None
            pipe_in = session.stdin

            def send(text: str) -> None:
                pipe_in.write(f"{text};\n")
                pipe_in.flush()

            send(f"begin; {sql}; select 'done'")
            session.stdout.readline()
            yield send
            send("commit")

    def wait_for(self, sql: str) -> None:
        """Wait until a query counts something; raises RuntimeError if it does not."""
        deadline = time.monotonic() + READY_SECONDS
        while self.execute(sql) == "0":
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing came: {sql}")
            time.sleep(0.05)

    def _client(self, database: str) -> list[str]:
        """Return the command of a client that reads SQL, and writes rows without a header as they come."""
        raise NotImplementedError

    def _environment(self) -> Mapping[str, str]:
        return os.environ


def serve(running: AbstractContextManager[S], told: Callable[[S], str]) -> None:
    """Run a server until Ctrl-C or SIGTERM, and print what leads to it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with running as server, suppress(KeyboardInterrupt):
        print(told(server), flush=True)  # noqa: T201
        signal.pause()
