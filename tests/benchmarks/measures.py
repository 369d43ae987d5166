"""The result of every benchmark: our figure, the reference's figure, their ratio, and the bar."""

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

REPEATS = 5


@dataclass(frozen=True)
class Measure:
    """One line of the table; `ours` and `theirs` have the same unit, and are medians of several alternating runs.

    `at_least` is the required share of the reference's rate. `at_most` is the allowed multiple of the reference's
    figure. A measure has one of them, or neither if it has no bar.
    """

    what: str
    reference: str
    ours: float
    theirs: float
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "s"

    @property
    def ratio(self) -> float:
        """Return the share of the reference's rate, or the multiple of its figure."""
        return self.theirs / self.ours if self.at_least is not None else self.ours / self.theirs

    @property
    def verdict(self) -> str:
        """Return whether the bar is met, with the bar."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}  {'met' if self.ratio >= self.at_least else 'MISSED'}"
        if self.at_most is not None:
            return f"≤ {self.at_most:g}  {'met' if self.ratio <= self.at_most else 'MISSED'}"
        return ""


def run_alternately(
    ours: Callable[[], object], theirs: Callable[[], object], repeats: int = REPEATS
) -> tuple[float, float]:
    """Run two functions alternately, after one run each to warm up; return median seconds. Noise then affects both."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 1):
        for taken, work in zip(seconds, (ours, theirs), strict=True):
            started = time.perf_counter()
            work()
            if repeat:
                taken.append(time.perf_counter() - started)
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def report(*measures: Measure) -> None:
    """Send measures to the process that prints the table."""
    for measure in measures:
        sys.stdout.write(json.dumps(asdict(measure)) + "\n")
    sys.stdout.flush()


def as_table(measures: list[Measure]) -> str:
    """Return the table."""
    rows = [
        (
            one.what,
            f"{one.ours:,.3g} {one.unit}",
            f"{one.theirs:,.3g} {one.unit}",
            one.reference,
            f"{one.ratio:.2f}",
            one.verdict,
        )
        for one in measures
    ]
    table = [("what", "ours", "reference", "which is", "ratio", "bar"), *rows]
    widths = [max(len(row[at]) for row in table) for at in range(6)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table
    )
