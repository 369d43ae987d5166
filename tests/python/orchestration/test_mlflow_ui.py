"""MLflow's UI is a child of `make ui`: it ends with it, and its absence is said."""

import os
import time
from pathlib import Path

import pytest

from flows.config import settings


@pytest.fixture
def said(flow_home: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return []


def test_the_server_ends_with_the_context_together_with_its_children(said: list[str], tmp_path: Path) -> None:
    from flows.orchestration.mlflow_ui import mlflow_ui
    from flows.orchestration.server import free_port

    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/parent\nsleep 600 & echo $! > {tmp_path}/child\nwait\n")
    python.chmod(0o755)
    with mlflow_ui(said.append, free_port(), python):
        until = time.monotonic() + 20
        while not (tmp_path / "child").exists() and time.monotonic() < until:
            time.sleep(0.05)
        processes = [int((tmp_path / name).read_text()) for name in ("parent", "child")]
        assert all(Path(f"/proc/{one}").exists() for one in processes)
    assert [one for one in processes if is_alive(one)] == []
    assert said[0].startswith("MLflow is at http://127.0.0.1:")


def is_alive(process: int) -> bool:
    """Tell whether a process runs; a dead child that no parent has fetched does not."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        try:
            os.kill(process, 0)
            if ") Z " in Path(f"/proc/{process}/stat").read_text():
                return False
        except (ProcessLookupError, FileNotFoundError):
            return False
        time.sleep(0.05)
    return True


def test_it_says_why_it_serves_nothing(said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flows.orchestration.mlflow_ui import mlflow_ui

    with mlflow_ui(said.append, 1, tmp_path / "absent"):
        pass
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://models.example.com/?token=secret")
    with mlflow_ui(said.append):
        pass
    assert said == [
        "MLflow's UI is not set up; make ui sets it up.",
        "MLflow's runs and models are in https://models.example.com/; its own server shows them.",
    ]
    assert settings.mlflow_uri().startswith("https://")
