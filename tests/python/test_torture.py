"""The torture names steps, constants and commands as texts: each must be there, or its kills would be of nothing."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module

import pytest
from support.kills import PARTS, STEPS, find

from flows.config.settings import PROJECT

MODULES = ("commands", "runs", "services", "sources", "states")


@pytest.fixture
def torture(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Find the torture's modules while a test runs."""
    monkeypatch.syspath_prepend(str(PROJECT / "tests" / "torture"))
    yield
    for name in MODULES:
        sys.modules.pop(name, None)


def test_all_that_the_torture_names_is_there(torture: None) -> None:
    services, runs, commands = (import_module(name) for name in ("services", "runs", "commands"))
    constants = [*services.ServedSources.small, *runs.OFTEN]
    functions = [command.function for command in commands.COMMANDS.values()]
    for place in (*STEPS.values(), *PARTS.values(), *constants, *functions):
        owner, name = find(place)
        assert hasattr(owner, name), place


@pytest.mark.proof
def test_a_few_kills_find_nothing_and_a_broken_promise_is_found() -> None:
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests' / 'python'}"}
    for options, code, told in (
        (["--kills", "6"], 0, "6 kills, 0 violations, seed 1"),
        (["--kills", "40", "--break", "prune-readers"], 1, "VIOLATION: seed 1"),
    ):
        command = [sys.executable, "tests/torture", "--embedded", "--seed", "1", *options]
        done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=900)
        assert (done.returncode, told in done.stdout) == (code, True), done.stdout + done.stderr
