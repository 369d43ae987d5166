"""MLflow's UI on loopback, from an environment of its own: it needs an older pyarrow than the project."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from flows.config import settings
from flows.orchestration.server import is_taken

PORT = 5000
STOP_SECONDS = 15


def mlflow_python() -> Path:
    """Return the Python of MLflow's environment, which `make ui` makes."""
    return settings.PROJECT / ".venv" / "mlflow" / "bin" / "python"


@contextmanager
def mlflow_ui(say: Callable[[str], None], port: int = PORT, python: Path | None = None) -> Iterator[None]:
    """Serve the runs and models of the data folder while the context lasts, and stop the server by its process.

    Without its environment, with another MLflow store, or on a port that is taken, it says so and serves nothing.
    """
    python = python or mlflow_python()
    if elsewhere := settings.mlflow_is_elsewhere():
        say(f"MLflow's runs and models are in {elsewhere.partition('?')[0]}; its own server shows them.")
    elif not python.exists():
        say("MLflow's UI is not set up; make ui sets it up.")
    elif is_taken(port):
        say(f"Port {port} of 127.0.0.1 is taken, so MLflow's UI is not served.")
    else:
        server = _start(port, python)
        say(f"MLflow is at http://127.0.0.1:{port}.")
        try:
            yield
        finally:
            _stop(server)
        return
    yield


def _start(port: int, python: Path) -> "subprocess.Popen[bytes]":
    home = settings.mlflow_home()
    home.mkdir(parents=True, exist_ok=True)
    arguments = ["server", "--backend-store-uri", settings.mlflow_uri(), "--host", "127.0.0.1", "--port", str(port)]
    arguments += ["--default-artifact-root", (home / "artifacts").as_uri(), "--workers", "1"]
    environment = settings.environment() | {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    with (home / "server.log").open("wb") as output:
        return subprocess.Popen(
            [str(python), "-m", "mlflow", *arguments],
            cwd=home,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """Stop the server and its workers, which are a process group of their own."""
    with suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
