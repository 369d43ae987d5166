"""A MariaDB server for tests: Debian's package, a temporary data folder, 127.0.0.1 only.

`python -m tests.services.mariadb` starts one, prints its URL, and stops it at Ctrl-C or SIGTERM.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.services.server import PASSWORD, DatabaseServer, free_ports, install_packages, one_installs, serve

SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


@contextmanager
def mariadb() -> Iterator["MariadbServer"]:
    """Yield a running server; afterwards stop it and remove its data."""
    with one_installs():
        if shutil.which("mariadbd", path=SEARCHED) is None:
            install_packages("mariadb-server")
    with tempfile.TemporaryDirectory(prefix="mariadb-") as folder:
        server = MariadbServer(Path(folder))
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


class MariadbServer(DatabaseServer):
    """A server of MariaDB, whose own time zone is five hours from UTC; its client writes tabs between values."""

    title = "MariaDB"
    scheme = "mysql"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, *free_ports(1))
        self._data = folder / "data"
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
        command = [
            str(shutil.which("mariadbd", path=SEARCHED)), "--no-defaults", f"--datadir={self._data}",
            f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self._folder / 'socket'}",
            f"--pid-file={self._folder / 'pid'}", "--skip-name-resolve", "--default-time-zone=-05:00",
            "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=64M", "--skip-log-bin",
            *self._owner,
        ]  # fmt: skip
        self._run(command, self._answers)

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Hold a lock on a table that blocks readers."""
        with self.uncommitted(f"lock tables {table} write"):
            yield

    def _client(self, database: str) -> list[str]:
        return [*self._as_root("mariadb"), "--batch", "--skip-column-names", "--unbuffered", database]

    def _answers(self) -> bool:
        return subprocess.run([*self._as_root("mariadb-admin"), "ping"], capture_output=True).returncode == 0

    def _as_root(self, program: str) -> list[str]:
        return [
            program, "--no-defaults", "--user=root", f"--socket={self._folder / 'socket'}",
            "--default-character-set=utf8mb4",
        ]  # fmt: skip


if __name__ == "__main__":
    serve(mariadb(), lambda server: server.url())
