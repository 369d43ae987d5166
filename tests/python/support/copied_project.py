"""A copy of the project in a folder of its own, like a clone after set-up."""

import os
import shutil
import subprocess
from pathlib import Path

from support.flow_shop import bring_prefect_database, bring_template

from flows.config.settings import PROJECT


def copy_project(place: Path) -> Path:
    """Copy what git tracks, link the environment, and bring what set-up makes."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in tracked.stdout.splitlines():
        if (PROJECT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, place / name)
    (place / ".venv").symlink_to(PROJECT / ".venv")
    bring_prefect_database(place / "data")
    bring_template(place / "data")
    return place


def type_in(project: Path, script: str) -> "subprocess.CompletedProcess[str]":
    """Run a script as a user types it in the project's folder, with the environment activated."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ML_", "PREFECT", "DBT"))}
    return subprocess.run(
        ["bash", "-c", f"set -e\nsource .venv/bin/activate\n{script}"],
        cwd=project,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment | {"COLUMNS": "200"},
    )
