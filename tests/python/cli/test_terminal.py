"""Commands in a terminal: dbt at any time, and the exit codes of the command line."""

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.flow_shop import command

from flows.config.settings import PROJECT, DataFolder
from flows.orchestration.run_lock import run_lock

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures"]

DBT = str(Path(sys.executable).with_name("dbt"))


def typed(arguments: list[str], home: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command as a user does, in the test's own data folder."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ML_", "PREFECT", "COL"))}
    environment = inherited | {"ML_WAREHOUSE_DATA": str(home), "DBT_TARGET_PATH": str(home / "target")} | variables
    return subprocess.run(arguments, cwd=PROJECT, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_dbt_build_works_before_anything_was_loaded_and_while_a_run_is_going_on(tmp_path: Path) -> None:
    # Given a project after set-up, without a run, and a run that holds the lock of its data folder
    with run_lock(DataFolder(tmp_path / "demo")):
        # When a user types dbt build in a terminal, and again once its incremental models have a table
        built = typed([DBT, "build"], tmp_path)
        again = typed([DBT, "build", "--exclude-resource-type", "unit_test"], tmp_path)

    # Then every model and test passes on typed, empty sources, and none warns
    for run in (built, again):
        assert run.returncode == 0, run.stdout
        assert "WARN=0 ERROR=0 SKIP=0" in run.stdout
    assert (tmp_path / "demo" / "dev.duckdb").exists()
    assert not (tmp_path / "demo" / "warehouse.duckdb").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["elt", "--set", "nowhere"], 2, "holds no set 'nowhere'; it holds demo"),
        (["elt", "--connections", "nowhere.yml"], 2, "no connections file"),
        (["elt", "--sett", "demo"], 2, "No such option"),
        (["query", "select 1"], 2, "Nothing is published in demo yet"),
        (["query", "select 1", "--set", "nowhere"], 2, "holds no set 'nowhere'; it holds demo"),
        (["quarantine", "--set", "nowhere"], 2, "holds no set 'nowhere'; it holds demo"),
        (["quarantine", "--set", "../demo"], 2, "holds no set '../demo'; it holds demo"),
        (["quarantine", "--set", "dmo"], 2, "Did you mean demo?"),
        (["quarantine", "crm.nothing"], 2, "crm.nothing was never loaded in this set"),
        (["tables"], 2, "Nothing is published in demo yet"),
        (["describe", "churn_states", "--set", "dmo"], 2, "Did you mean demo?"),
        (["replay", "--set", "nowhere"], 2, "holds no set 'nowhere'; it holds demo"),
        (["--help"], 0, "Exit codes: 0 done"),
    ],
)
def test_wrong_use_is_told_apart_from_failure(tmp_path: Path, arguments: list[str], code: int, said: str) -> None:
    # When a user types a command
    ended = typed(command(*arguments), tmp_path, COLUMNS="200")

    # Then its exit code and its message say what to do, without a traceback
    assert ended.returncode == code
    assert said in ended.stdout + ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_demo_runs_by_one_command_and_its_next_step_can_be_pasted(pharmacy: "Pharmacy") -> None:
    # Given a small pharmacy, made by a command
    home = pharmacy.folder.parent

    # Then the query that it prints works without a change
    step = next(line for line in pharmacy.said.splitlines() if "look:" in line).partition("look:")[2].strip()
    looked = typed(["bash", "-c", step], home)
    assert looked.returncode == 0, looked.stderr
    assert "│" in looked.stdout
    assert (pharmacy.folder / "docs" / "index.html").exists()

    # And the run leaves no process: each process would have the data folder in its environment
    assert pharmacy.left_running == []


def test_what_was_planted_is_printed_on_request(pharmacy: "Pharmacy") -> None:
    # When a user asks for the planted truth
    told = typed(command("demo", "--truth"), pharmacy.folder.parent)

    # Then each subject has its rows, and no run has started
    assert told.returncode == 0, told.stderr
    for subject in (path.stem for path in (PROJECT / "flows" / "demo" / "truth").glob("*.sql")):
        count = len(pharmacy.planted(subject))
        assert f"{subject.replace('_', ' ')}: {count:,} rows" in told.stdout
    assert "published" not in told.stdout + told.stderr
