"""A MariaDB server for tests: Debian's package, a temporary data folder, 127.0.0.1 only.

`python -m tests.services.mariadb` starts one, prints its URL, and stops it at Ctrl-C or SIGTERM.
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
from urllib.parse import quote

from tests.services.debian import free_port, install_package

PASSWORD = "p@ss:w/rd?#1 50%"
"""Contains every character that a URL must escape."""

READY_SECONDS = 60
STOP_SECONDS = 30


@contextmanager
def mariadb() -> Iterator["MariadbServer"]:
    """Yield a running server; afterwards stop it and remove its data."""
    if shutil.which("mariadbd", path=SEARCHED) is None:
        install_package("mariadb-server")
    with tempfile.TemporaryDirectory(prefix="mariadb-") as folder:
        server = MariadbServer(Path(folder), free_port())
        try:
            server.create()
            server.start()
            server.execute(
                f"create database shop; create user tester@'127.0.0.1' identified by '{PASSWORD}';"
                "grant all on *.* to tester@'127.0.0.1'",
                database="mysql",
            )
            yield server
        finally:
            server.stop()


SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


class MariadbServer:
    """A server with one user, `tester`, and its database `shop`; its own time zone is five hours from UTC."""

    user, database = "tester", "shop"

    def __init__(self, folder: Path, port: int) -> None:
        self.port = port
        self._folder, self._data = folder, folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = ["--user=mysql"] if os.geteuid() == 0 else []

    def create(self) -> None:
        """Create the data folder."""
        if self._owner:
            shutil.chown(self._folder, "mysql", "mysql")
        subprocess.run(
            [
                "mariadb-install-db", "--no-defaults", f"--datadir={self._data}", "--skip-test-db",
                "--auth-root-authentication-method=normal", *self._owner,
            ],
            check=True, capture_output=True,
        )  # fmt: skip

    def start(self) -> None:
        """Start the server on its data folder, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(shutil.which("mariadbd", path=SEARCHED)), "--no-defaults", f"--datadir={self._data}",
                    f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self._folder / 'socket'}",
                    f"--pid-file={self._folder / 'pid'}", "--skip-name-resolve", "--default-time-zone=-05:00",
                    "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--skip-log-bin",
                    *self._owner,
                ],
                stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + READY_SECONDS
        while subprocess.run([*self._client("mariadb-admin"), "ping"], capture_output=True).returncode:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"MariaDB did not start:\n{(self._folder / 'log').read_text()}")
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop the server by its process id; cut open connections."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the server at once, as a failing machine does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def execute(self, sql: str, database: str | None = None) -> str:
        """Run SQL as the server's owner, and return its output: one line per row, tabs between values."""
        done = subprocess.run(
            [*self._client("mariadb"), "--batch", "--skip-column-names", database or self.database],
            input=sql, text=True, capture_output=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"the client failed:\n{done.stderr}")
        return done.stdout.strip()

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Hold a lock on a table that blocks readers."""
        with self.uncommitted(f"lock tables {table} write"):
            yield

    @contextmanager
    def uncommitted(self, sql: str) -> Iterator[None]:
        """Run SQL in a transaction that is committed when the context ends."""
        with subprocess.Popen(
            [*self._client("mariadb"), "--batch", "--skip-column-names", "--unbuffered", self.database],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        ) as session:  # fmt: skip
            assert session.stdin is not None
            assert session.stdout is not None
            session.stdin.write(f"begin; {sql}; select 'done';\n")
            session.stdin.flush()
            session.stdout.readline()
            yield
            session.stdin.write("commit;\n")

    def _client(self, program: str) -> list[str]:
        return [
            program, "--no-defaults", "--user=root", f"--socket={self._folder / 'socket'}",
            "--default-character-set=utf8mb4",
        ]  # fmt: skip


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    with mariadb() as server, suppress(KeyboardInterrupt):
        address = f"{quote(PASSWORD, safe='')}@127.0.0.1:{server.port}/{server.database}"
        print(f"mysql://{server.user}:{address}", flush=True)  # noqa: T201
        signal.pause()
