"""A PostgreSQL server for tests: Debian's package, a temporary data folder, 127.0.0.1 only.

`python -m tests.services.postgresql` starts one, prints its URL, and stops it at Ctrl-C or SIGTERM.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.services.debian import free_port, install_package

PASSWORD = "p@ss:w/rd?#1 50%"
"""Contains every character that a URL must escape."""

READY_SECONDS = 60
STOP_SECONDS = 30


@contextmanager
def postgresql() -> Iterator["PostgresqlServer"]:
    """Yield a running server; afterwards stop it and remove its data."""
    programs = _find_programs()
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = PostgresqlServer(programs, Path(folder), free_port())
        try:
            server.create()
            server.start()
            server.execute(f"create database {server.database}", database="postgres")
            yield server
        finally:
            server.stop()


class PostgresqlServer:
    """A server with one user, `tester`, and its database `shop`."""

    user, database = "tester", "shop"

    def __init__(self, programs: Path, folder: Path, port: int) -> None:
        self.port = port
        self._programs, self._folder = programs, folder
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {**os.environ, "PGPASSWORD": PASSWORD, "PGCLIENTENCODING": "UTF8"}
        self._owner: dict[str, Any] = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            self._owner = {"user": "postgres", "group": "postgres", "extra_groups": []}

    def create(self) -> None:
        """Create the data folder."""
        if self._owner:
            shutil.chown(self._folder, self._owner["user"], self._owner["group"])
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        data = str(self._folder / "data")
        self._run(
            "initdb", "--pgdata", data, "--username", self.user, "--pwfile", str(password),
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
        )  # fmt: skip
        password.unlink()

    def start(self) -> None:
        """Start the server on its data folder, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._programs / "postgres"), "-D", str(self._folder / "data"),
                    "-p", str(self.port), "-h", "127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
                ],
                cwd=self._folder, stdout=log, stderr=log, **self._owner,
            )  # fmt: skip
        deadline = time.monotonic() + READY_SECONDS
        while self._run("pg_isready", "-h", "127.0.0.1", "-p", str(self.port), check=False):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server by its process id; cut open connections."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def execute(self, sql: str, database: str | None = None) -> str:
        """Run SQL by psql, and return its output: one line per row, `|` between values."""
        done = subprocess.run(
            self._psql(database or self.database), input=sql, text=True, capture_output=True, env=self._environment
        )
        if done.returncode:
            raise RuntimeError(f"psql failed:\n{done.stderr}")
        return done.stdout.strip()

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Hold a lock on a table that blocks readers."""
        with self.uncommitted(f"lock table {table} in access exclusive mode"):
            yield

    @contextmanager
    def uncommitted(self, sql: str) -> Iterator[None]:
        """Run SQL in a transaction that is committed when the context ends."""
        with subprocess.Popen(
            self._psql(self.database), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self._environment
        ) as session:
            assert session.stdin is not None
            assert session.stdout is not None
            session.stdin.write(f"begin; {sql}; select 'done';\n")
            session.stdin.flush()
            session.stdout.readline()
            yield
            session.stdin.write("commit;\n")

    def _psql(self, database: str) -> list[str]:
        return [
            str(self._programs / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", self.user,
            "-d", database, "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "-qtA",
        ]  # fmt: skip

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        done = subprocess.run(
            [str(self._programs / program), *arguments], cwd=self._folder, capture_output=True, **self._owner
        )
        if check and done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stderr.decode()}")
        return done.returncode


def _find_programs() -> Path:
    """Return the program folder of the newest server; install Debian's package if there is no server."""
    if not _installed():
        install_package("postgresql")
    return _installed()[-1]


def _installed() -> list[Path]:
    folders = [initdb.parent for initdb in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return sorted(folders, key=lambda folder: int(folder.parent.name))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with postgresql() as server, suppress(KeyboardInterrupt):
        address = f"{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/{server.database}"
        print(f"postgresql://{server.user}:{address}", flush=True)  # noqa: T201
        signal.pause()
