"""How far a build is, in a log and on a terminal."""

import logging
import os
import pty
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from flows.config.settings import PROJECT
from flows.warehouse.progress import Progress


def event(name: str, node: str = "", total: int = 0, invocation: str = "first") -> Any:
    """Return an event like dbt's."""
    about = SimpleNamespace(node_name=node, unique_id=node)
    info = SimpleNamespace(name=name, invocation_id=invocation)
    return SimpleNamespace(info=info, data=SimpleNamespace(node_info=about, total=total))


def run(progress: Progress, *nodes: str, total: int, invocation: str = "first") -> None:
    for node in nodes:
        progress.see(event("LogStartLine", node, total, invocation))
        progress.see(event("NodeStart", node, invocation=invocation))
        progress.see(event("NodeFinished", node, invocation=invocation))


@pytest.fixture
def pace(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test sets; a log line may come at any time."""
    clock = [0.0]
    monkeypatch.setattr("flows.warehouse.progress.time.monotonic", lambda: clock[0])
    return clock


def test_a_build_says_its_total_the_node_at_work_and_the_seconds_left(pace: list[float]) -> None:
    # Given a build of eight nodes, of which two took ten seconds
    progress = Progress()
    assert str(progress) == "build: starting"
    run(progress, "seed", "staging", total=8)
    pace[0] = 10

    # When two are at work
    progress.see(event("NodeStart", "orders"))
    progress.see(event("NodeStart", "customers"))

    # Then the one that has been at work longest is named, with what is left at this pace
    assert str(progress) == "build: 2 of 8 nodes, orders, about 30 s left"


def test_the_total_may_be_corrected_and_several_commands_add_up(pace: list[float]) -> None:
    # Given a build in two commands whose totals dbt says one after the other
    progress = Progress()
    run(progress, "a", "b", total=2)
    run(progress, "c", total=4, invocation="second")
    pace[0] = 3
    assert str(progress) == "build: 3 of 6 nodes, c, about 3 s left"
    assert progress.invocation_id == "second"

    # When the caller knows better, then its number counts, and never fewer than are done
    progress.total = 30
    assert str(progress) == "build: 3 of 30 nodes, c, about 27 s left"
    progress.total = 2
    assert str(progress) == "build: 3 of 3 nodes, c"


def test_a_log_gets_a_line_every_ten_seconds(pace: list[float], caplog: pytest.LogCaptureFixture) -> None:
    # Given a build without a terminal, a node a second
    caplog.set_level(logging.INFO)
    with Progress().shown() as progress:
        for number in range(1, 26):
            pace[0] = number
            run(progress, f"node_{number}", total=100)

    # Then two lines say how far it is
    assert caplog.messages == [
        "build: 10 of 100 nodes, node_10, about 90 s left",
        "build: 20 of 100 nodes, node_20, about 80 s left",
    ]


ON_A_TERMINAL = """
import logging, sys, time
sys.path.insert(0, "tests/python/warehouse")
from test_progress import run
from flows.core.terminal import TerminalHandler
from flows.warehouse.progress import Progress

logging.getLogger("flows").addHandler(TerminalHandler())
with Progress().shown() as progress:
    for number in range(4):
        run(progress, f"node_{number}", total=40)
        time.sleep(0.3)
        logging.getLogger("flows.warehouse").info("a [bold]message[/bold]")
print("the summary", file=sys.stderr)
"""


def test_a_terminal_has_one_line_that_is_redrawn_below_the_log() -> None:
    # Given a terminal
    leader, follower = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}

    # When a build runs on it
    with subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL], cwd=PROJECT, stdin=follower, stderr=follower, env=environment
    ) as process:
        os.close(follower)
        said = b""
        try:
            while part := os.read(leader, 65536):
                said += part
        except OSError:  # the other side is closed
            pass
        os.close(leader)
    text = said.decode()
    assert process.returncode == 0, text

    # Then its line was drawn several times with other numbers, and erased each time and at the end
    drawn = re.findall(r"build: (\d) of 40 nodes, node_\d, about \d+ s left", text)
    assert len(set(drawn)) > 1
    assert text.count("\x1b[2K") >= len(drawn)
    assert text.rindex("\x1b[2K") > text.rindex("build:")
    assert text.rstrip().endswith("the summary")

    # And log lines are whole lines, as they were written
    assert len(re.findall(r"\d\d:\d\d:\d\d  a \[bold\]message\[/bold\]\s*\r\n", text)) == 4
