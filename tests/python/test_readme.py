"""Every command of README.md and models/overview.md works, in the order in which they stand, right after the demo."""

import re
from pathlib import Path

import pytest
from support.copied_project import copy_project, type_in

from flows.config.settings import PROJECT

COMMAND = re.compile(r"`((?:python -m flows|dbt|make) [^`]+)`")
PAGES = ("README.md", "models/overview.md")
DEMO = "python -m flows demo --scale 0.02"
PLACES = {
    "--set NAME": "--set demo",
    "--connections PATH": "--connections connections.yml",
    "init URL": "init sqlite:///data/demo/source/crm.sqlite",
}
"""Placeholders of the page, and what a reader types for them."""

OF_DEVELOPERS = re.compile(
    r"make (test|test-slow|test-proofs|test-services|lint|format|faults|torture|bench|ui|run|train|deep)\b"
)
"""Targets that run tests, measure, serve until interrupted, or change code; `make run` is the demo at its full size."""


OF_SERVICES = {
    "python -m flows releases --to": "orchestration/test_elt_on_s3.py",
    "python -m flows ingest": "orchestration/test_ingest.py",
    "python -m flows demo --into": "demo/test_into.py",
}
"""Commands that need a service, and the test that types them beside a real one."""


def commands_of(page: str) -> list[str]:
    """Return the commands of a page in their order, with the placeholders filled in."""
    text = (PROJECT / page).read_text()
    for place, typed in PLACES.items():
        text = text.replace(place, typed)
    return [" ".join(command.replace("\\|", "|").split()) for command in COMMAND.findall(text)]


def test_every_target_of_make_on_the_pages_is_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    named = {found for page in PAGES for found in named_targets(page)}
    assert named - targets == set()


def named_targets(page: str) -> set[str]:
    return {command.split()[1] for command in commands_of(page) if command.startswith("make ")}


def test_a_command_that_needs_a_service_is_typed_by_a_test_of_services() -> None:
    for command, test in OF_SERVICES.items():
        assert any(typed.startswith(command) for page in PAGES for typed in commands_of(page)), command
        text = (PROJECT / "tests" / "python" / test).read_text()
        assert "mark.services" in text
        assert command.split()[-1].strip("-") in text, command


@pytest.mark.parametrize(
    "page", [pytest.param(PAGES[0], marks=pytest.mark.slow), pytest.param(PAGES[1], marks=pytest.mark.proof)]
)
def test_every_command_of_the_pages_works_right_after_the_demo(tmp_path: Path, page: str) -> None:
    # Given a copy of the project, like a clone, and one day of the demo at a small scale
    project = copy_project(tmp_path / "project")
    made = type_in(project, DEMO)
    assert made.returncode == 0, made.stdout + made.stderr

    # When each command is typed, in the order of the page
    left_out = tuple(OF_SERVICES)
    commands = dict.fromkeys(commands_of(page))
    asked = [one for one in commands if not OF_DEVELOPERS.match(one) and not one.startswith(left_out)]
    assert len(asked) > 20
    failed = [text for command in asked if (text := failure_of(project, command))]

    # Then it ends well
    assert failed == []


def failure_of(project: Path, command: str) -> str:
    """Run a command; return what it printed if it fails. Set-up is not repeated, and the demo keeps its scale."""
    typed = DEMO if command == "python -m flows demo" else command.replace("make ", "make -o .venv/ready ")
    done = type_in(project, typed)
    return "" if done.returncode == 0 else f"{command}: {done.returncode}\n{done.stdout[-800:]}{done.stderr[-1500:]}"
