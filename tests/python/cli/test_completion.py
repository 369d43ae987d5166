"""Completion in a shell, asked for as the shell does."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from flows.cli.completion import install_script
from flows.config.settings import PROJECT


def completed(home: Path, *words: str) -> list[str]:
    """Return what bash offers after these words, the last of which is incomplete."""
    typed = " ".join(map(shlex.quote, (sys.executable, *words)))
    script = (
        f"source <({shlex.quote(sys.executable)} -m flows --show-completion)\n"
        f"COMP_WORDS=({typed}); COMP_CWORD={len(words)}\n"
        "_ml_warehouse_flows\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    variables = {name: value for name, value in os.environ.items() if not name.startswith("ML_")}
    asked = subprocess.run(
        ["bash", "-c", script],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        env=variables | {"ML_WAREHOUSE_DATA": str(home)},
    )
    assert asked.stderr == ""
    return asked.stdout.split()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Data folders of two sets, one of which is in no connections file, and has two releases and a clone."""
    for place in ("demo/lake/raw/sales/orders", "tea/lake/raw/crm/customers", "tea/lake/quarantine/shop/products"):
        (tmp_path / place).mkdir(parents=True)
    for place in ("releases/2026-03-02.9", "releases/2026-03-02.10", "clones/experiment"):
        (tmp_path / "tea" / place).mkdir(parents=True)
        (tmp_path / "tea" / place / "warehouse.duckdb").touch()
    return tmp_path


def test_a_shell_completes_commands_options_sets_and_tables(home: Path) -> None:
    # When a user presses the tabulator key, then what can follow is offered
    assert "status" in completed(home, "-m", "flows", "")
    assert completed(home, "-m", "flows", "qu") == ["query", "quarantine"]
    assert completed(home, "-m", "flows", "query", "--f") == ["--format"]
    assert completed(home, "-m", "flows", "query", "--format", "") == ["table", "csv", "json"]
    assert completed(home, "-m", "flows", "elt", "--set", "") == ["demo", "online_retail", "tea"]
    assert completed(home, "-m", "flows", "quarantine", "") == ["sales.orders"]
    assert completed(home, "-m", "flows", "quarantine", "--set", "tea", "") == ["crm.customers", "shop.products"]

    assert completed(home, "-m", "flows", "rollback", "--set", "tea", "") == ["2026-03-02.10", "2026-03-02.9"]
    assert completed(home, "-m", "flows", "diff", "--set", "tea", "e") == ["experiment"]

    # And other uses of Python are left alone
    assert completed(home, "-m", "pytest", "") == []


def test_the_script_is_installed_once(tmp_path: Path) -> None:
    # Given a user's start file
    (tmp_path / ".bashrc").write_text("alias ll='ls -l'")

    # When the script is installed twice
    said = [install_script(tmp_path) for _ in range(2)]

    # Then the file keeps its lines, reads the script once, and no other file is made
    script = tmp_path / ".local" / "share" / "ml-warehouse" / "completion.sh"
    assert (tmp_path / ".bashrc").read_text() == f"alias ll='ls -l'\nsource '{script}'\n"
    assert "complete -o" in script.read_text()
    assert said == [f"Completion is in {script}, read by .bashrc. Open a new terminal to use it."] * 2
    assert not (tmp_path / ".zshrc").exists()
