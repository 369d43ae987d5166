"""The workflows of GitHub: no code of a stranger's request runs with a token that writes."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[2]
WORKFLOWS = sorted((PROJECT / ".github" / "workflows").glob("*.yml"))


def jobs_of(path: Path) -> Iterator[tuple[Any, Any]]:
    """Yield a workflow with each of its jobs."""
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    yield from ((workflow, job) for job in workflow["jobs"].values())


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_job_that_may_write_runs_no_code_of_a_request(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    events = workflow[True]  # YAML reads `on` as true
    assert "pull_request_target" not in events
    assert "workflow_run" not in events
    for _, job in jobs_of(path):
        granted = job.get("permissions", workflow.get("permissions", {"contents": "read"}))
        if "write" in granted.values():
            used = {step.get("uses", "").partition("@")[0] for step in job["steps"]}
            assert used <= {"", "actions/download-artifact"}
            assert not any("flows" in step.get("run", "") or "make " in step.get("run", "") for step in job["steps"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_scripts_are_bash_and_take_what_a_stranger_wrote_from_variables(path: Path) -> None:
    for _, job in jobs_of(path):
        for script in (step["run"] for step in job["steps"] if "run" in step):
            assert "${{" not in script, "a title or branch name would become a part of the script"
            subprocess.run(["bash", "-n", "-c", script], check=True)
