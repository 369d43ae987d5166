"""A PostgreSQL server for tests: Debian's package, a temporary data folder, 127.0.0.1 only.

`python -m tests.services.postgresql` starts one, prints its URL, and stops it at Ctrl-C or SIGTERM.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from tests.services.server import PASSWORD, DatabaseServer, free_ports, install_packages, one_installs, serve


@contextmanager
def postgresql() -> Iterator["PostgresqlServer"]:
    """Yield a running server; afterwards stop it and remove its data."""
    programs = _find_programs()
    with tempfile.TemporaryDirectory(prefix="postgresql-") as folder:
        server = PostgresqlServer(programs, Path(folder))
        try:
            server.create()
            server.start()
            server.execute(f"create database {server.database}", database="postgres")
            yield server
        finally:
            server.stop()


class PostgresqlServer(DatabaseServer):
    """A server of PostgreSQL; its client writes `|` between values."""

    title = "PostgreSQL"
    scheme = "postgresql"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # cuts open connections

    def __init__(self, programs: Path, folder: Path) -> None:
        super().__init__(folder, *free_ports(1))
        self._programs = programs
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
        self._call(
            "initdb", "--pgdata", data, "--username", self.user, "--pwfile", str(password),
            "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
        )  # fmt: skip
        password.unlink()

    def start(self) -> None:
        """Start the server on its data folder, and wait until it answers."""
        command = [
            str(self._programs / "postgres"), "-D", str(self._folder / "data"),
            "-p", str(self.port), "-h", "127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
        ]  # fmt: skip
        self._run(command, self._answers, cwd=self._folder, **self._owner)

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Hold a lock on a table that blocks readers."""
        with self.uncommitted(f"lock table {table} in access exclusive mode"):
            yield

    def _client(self, database: str) -> list[str]:
        return [
            str(self._programs / "psql"), "-h", "127.0.0.1", "-p", str(self.port), "-U", self.user,
            "-d", database, "-v", "ON_ERROR_STOP=1", "--no-psqlrc", "-qtA",
        ]  # fmt: skip

    def _environment(self) -> Mapping[str, str]:
        return {**os.environ, "PGPASSWORD": PASSWORD, "PGCLIENTENCODING": "UTF8"}

    def _answers(self) -> bool:
        return self._call("pg_isready", "-h", "127.0.0.1", "-p", str(self.port), check=False) == 0

    def _call(self, program: str, *arguments: str, check: bool = True) -> int:
        done = subprocess.run(
            [str(self._programs / program), *arguments], cwd=self._folder, capture_output=True, **self._owner
        )
        if check and done.returncode:
            raise RuntimeError(f"{program} failed:\n{done.stderr.decode()}")
        return done.returncode


def _find_programs() -> Path:
    """Return the program folder of the newest server; install Debian's package if there is no server."""
    with one_installs():
        if not _installed():
            install_packages("postgresql")
    return _installed()[-1]


def _installed() -> list[Path]:
    folders = [initdb.parent for initdb in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    return sorted(folders, key=lambda folder: int(folder.parent.name))


if __name__ == "__main__":
    serve(postgresql(), lambda server: server.url())
