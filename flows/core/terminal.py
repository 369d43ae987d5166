"""Log lines on the standard error and, on a terminal, one line below them that is redrawn while work goes on."""

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from flows.core.clock import utc_now

if TYPE_CHECKING:  # rich takes a tenth of a second to import, and most commands draw nothing
    from rich.console import Console

REDRAWN_PER_SECOND = 2


def age_in_words(moment: datetime) -> str:
    """Say how long ago a moment in UTC was."""
    return in_words(utc_now() - moment)


def in_words(time: timedelta) -> str:
    """Say a length of time in its largest unit of which there are two."""
    for unit, seconds in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = time.total_seconds() / seconds
        if count >= 2:
            digits = 0 if count >= 10 else 1
            return f"{count:.{digits}f}".removesuffix(".0") + f" {unit}s"
    return f"{max(time.total_seconds(), 0):.0f} seconds"


_drawing: "list[Console]" = []
"""The console of the line that is being redrawn, if there is one."""


class TerminalHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes log lines with their time of day; they go above the line that is being redrawn."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        if not _drawing:
            super().emit(record)
            return
        try:
            _drawing[-1].print(self.format(record), markup=False, highlight=False, emoji=False, soft_wrap=True)
        except Exception:  # noqa: BLE001 - logging's own way with a stream that is gone
            self.handleError(record)


def is_terminal() -> bool:
    """Tell whether the standard error is a terminal on which a line can be redrawn."""
    if not sys.stderr.isatty():
        return False
    from rich.console import Console

    return not Console(stderr=True).is_dumb_terminal


@contextmanager
def redrawn_line(text: Callable[[], str]) -> Iterator[None]:
    """Show a text on the last line of the terminal, and draw it again twice a second; at the end it disappears."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(file=sys.stderr, force_terminal=True, highlight=False)

    def line() -> Text:
        return Text(text(), no_wrap=True, overflow="ellipsis")

    with Live(
        console=console,
        get_renderable=line,
        refresh_per_second=REDRAWN_PER_SECOND,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    ):
        _drawing.append(console)
        try:
            yield
        finally:
            _drawing.remove(console)
