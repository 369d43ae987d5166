"""The command line, run in this process as a user types it."""

import signal
import sys
from dataclasses import dataclass

import pytest

from flows.__main__ import main


@dataclass(frozen=True)
class Said:
    """The exit code of a command, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err


def run_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> Said:
    """Run `python -m flows` with these arguments."""
    monkeypatch.setattr(sys, "argv", ["flows", *arguments])
    before = signal.getsignal(signal.SIGTERM)
    capsys.readouterr()
    try:
        code = main()
    finally:
        signal.signal(signal.SIGTERM, before)
    printed = capsys.readouterr()
    return Said(code, printed.out, printed.err)
