"""Kill runs at every step and at random moments, start them again, and compare the result with undisturbed runs.

`make torture KILLS=200 SEED=1`. A round is all days of the shop. On each day some runs are killed, restarted runs too,
until one run completes. Seed and round number determine the kills: `ROUND=3` repeats the third round. `STEP=publish`
kills at that step only. `BREAK=watermark-first` breaks a guarantee in the child on purpose; the torture must find it.
"""

import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from runs import first_day, run_of
from sources import DAYS, PARTS, SET, Part, Sources
from states import State, orphans, violations
from support.breaks import BREAKS
from support.flow_shop import clear, prefect_for_tests
from support.kills import Child, Ended, Point, When
from support.reader import Reader, Seen, reading

from flows.config.settings import DataFolder

KILLS_A_DAY = 5
KILLS_A_ROUND = KILLS_A_DAY * DAYS
POINTS_A_ROUND = 15
"""The number of kills of a round that are aimed at a step; the others come at any moment."""

SHORT = ("delete", "mkdir", "rename", "replace", "symlink", "unlink")
"""System calls, which are killed only before or after: they are too short to kill within."""

PAUSE_SECONDS = 0.2
"""The pause of the reader between two looks, so that the runs have the cores."""


@dataclass(frozen=True)
class Undisturbed:
    """The steps and the resulting state of an undisturbed run on a part of a day."""

    state: State
    ended: Ended


@dataclass
class Tally:
    """The counts of kills, of violations and of what the reader saw."""

    kills: int = 0
    found: int = 0
    orphans: int = 0
    by_step: dict[str, Counter[str]] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)

    def count(self, step: str, what: str) -> None:
        """Count a kill, or a violation after it, at a step."""
        self.by_step.setdefault(step, Counter())[what] += 1


@dataclass
class Torture:
    """The shop, its data folder, the states after undisturbed runs, and the tally."""

    home: Path
    seed: int
    step: str | None
    broken: str | None
    tally: Tally = field(default_factory=Tally)
    undisturbed: dict[tuple[int, Part], Undisturbed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = DataFolder(self.home / SET)
        self.sources = Sources(self.home / "sources")
        self.first_day = first_day()

    def run(self, day: int, *, broken: str | None = None) -> Child:
        """Return the run of a day."""
        return run_of(self.sources, self.first_day + timedelta(minutes=day), broken, self.home)

    # Undisturbed

    def look_at_undisturbed_runs(self) -> None:
        """Run all days without a kill; check that they meet every case that they are for."""
        self.sources.clear()
        for day, part in days():
            self.sources.add(day, part)
            ended = self.run(day).run()
            wrong = [ended.error] if ended.error else list(violations(self.folder))
            if wrong:
                raise SystemExit(f"an undisturbed run on day {day}, {part}: {wrong[0]}")
            self.undisturbed[day, part] = Undisturbed(State.of(self.folder), ended)
            say(f"undisturbed: day {day}, {part}, {ended.seconds:.1f} s, {ended.steps['commit']} batches")
        last = self.undisturbed[DAYS, "evening"].state.rows
        for name in ("crm.customers", "sales.orders", "sales.order_lines", "shop.products"):
            assert last[f"quarantine {name}"], f"{name}: nothing was quarantined"
        assert any("True" in row for row in last["lake shop.products"]), "nothing was deleted"

    def points(self) -> list[Point]:
        """Return every point that a kill can hit, in an order that depends on the seed."""
        steps = {visit.step for undisturbed in self.undisturbed.values() for visit in undisturbed.ended.visits}
        found = []
        for step in sorted(steps):
            name = step.rpartition("/")[2]
            is_there_already = name == "mkdir" and not step.startswith("publish")
            if not is_there_already and step.startswith(self.step or ""):
                whens: tuple[When, ...] = ("before", "within", "after")
                found += [Point(step, when) for when in whens if when != "within" or name not in SHORT]
        random.Random(self.seed).shuffle(found)
        return found

    def seconds_of_steps(self) -> dict[str, float]:
        """Return the longest duration of each step."""
        longest: dict[str, float] = {}
        for undisturbed in self.undisturbed.values():
            for visit in undisturbed.ended.visits:
                longest[visit.step] = max(longest.get(visit.step, 0.0), visit.seconds or 0.0)
        return longest

    # Rounds

    def go_round(self, number: int, kills: int) -> None:
        """Run all days with at most this number of kills; a violation ends the round."""
        chance = random.Random(f"{self.seed}-{number}")
        points = self.points()
        first = number * POINTS_A_ROUND
        aimed = POINTS_A_ROUND if self.step is None else KILLS_A_ROUND
        waiting = deque(points[(first + nth) % len(points)] for nth in range(aimed))
        clear(self.folder)
        self.sources.clear()
        with reading(self.folder.warehouse, PAUSE_SECONDS) as reader:
            for day in range(1, DAYS + 1):
                today = Day(self, number, day, chance, waiting, reader)
                kills -= today.go(kills)
                if today.found:
                    self.report(number, today)
                    return
                if not kills:
                    break
        self.tally.orphans += orphans(self.folder)

    def report(self, number: int, today: "Day") -> None:
        """Report the violations and the command that repeats them; keep a copy of the folder."""
        self.tally.found += 1
        kept = self.home.with_name(f"{self.home.name}-round-{number}")
        shutil.copytree(self.folder.path, kept, symlinks=True, dirs_exist_ok=True)
        options = "".join(f" {name}={value}" for name, value in (("STEP", self.step), ("BREAK", self.broken)) if value)
        say(f"\nVIOLATION: seed {self.seed}, round {number}, day {today.day}, after kill {self.tally.kills}")
        for line in today.killed or ["no run was killed that day"]:
            say(f"  killed     {line}")
        for line in list(dict.fromkeys(today.found))[:10]:
            say(f"  found      {line}")
        say(f"  repeat     make torture SEED={self.seed} ROUND={number}{options}")
        say(f"  look       {kept}\n")


@dataclass
class Day:
    """One day of a round: killed runs, and one run that completes."""

    torture: Torture
    round: int
    day: int
    chance: random.Random
    waiting: deque[Point]
    reader: Reader
    killed: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)

    def go(self, kills: int) -> int:
        """Kill at most this number of runs; return the number of killed runs. Violations are in `found`."""
        left = min(kills, KILLS_A_DAY)
        part: Part = "morning"
        self.torture.sources.add(self.day, part)
        while not self.found:
            ended, aim = self._run(part, left > 0)
            place = aim.step if aim is not None else ended.last.split()[-1]
            if ended.was_killed:
                left -= 1
                self._record_kill(ended, aim)
                self.torture.tally.count(place, "any" if aim is None else aim.when)
            self._check(ended, part)
            if self.found:
                self.torture.tally.count(place, "violations")
            elif not ended.was_killed and part == "evening":
                break
            elif part == "morning":  # the rest of the day arrives before the next run
                part = "evening"
                self.torture.sources.add(self.day, part)
        return len(self.killed)

    def _run(self, part: Part, is_armed: bool) -> tuple[Ended, Point | None]:
        """Run once, with a kill at a point or at any moment if armed; return how the run ended, and the point."""
        run = self.torture.run(self.day, broken=self.torture.broken)
        if not is_armed:
            return run.run(), None
        comes_at_any_moment = self.torture.step is None and self.chance.random() > POINTS_A_ROUND / KILLS_A_ROUND
        if comes_at_any_moment or not self.waiting:
            whole = self.torture.undisturbed[self.day, part].ended.seconds
            return run.run(after_seconds=self.chance.uniform(0, whole)), None
        aim = self._timed(self.waiting[0], part)
        ended = run.run(aim)
        if ended.was_killed:
            self.waiting.popleft()
        else:
            self.waiting.rotate(-1)
        return ended, aim

    def _timed(self, point: Point, part: Part) -> Point:
        """Choose which repetition of a step is killed, and how long after its start."""
        times = max(1, self.torture.undisturbed[self.day, part].ended.steps[point.step])
        seconds = self.torture.seconds_of_steps()[point.step] if point.when == "within" else 0.0
        time_of_step = self.chance.randint(1, times) if not self.killed else 1
        return Point(point.step, point.when, time_of_step, self.chance.uniform(0, seconds))

    def _record_kill(self, ended: Ended, aim: Point | None) -> None:
        tally = self.torture.tally
        tally.kills += 1
        nth = f"again, {len(self.killed)}" if self.killed else "first run"
        self.killed.append(f"{aim or 'at any moment'}; it was {ended.last}")
        where = f"round {self.round}, day {self.day}, {nth:9}"
        say(f"kill {tally.kills:3}  {where}  {ended.seconds:4.1f} s  {self.killed[-1]}")

    def _check(self, ended: Ended, part: Part) -> None:
        """Compare the folder with its expected state, and the reader's releases with the allowed ones."""
        torture = self.torture
        if ended.error is not None:
            self.found.append(f"a run that begins again should come to its end; it ended in {ended.error}")
        self.found += violations(torture.folder)
        seen = self.reader.ask()
        torture.tally.seen.add(seen)
        self.found += [f"the reader failed: {text}" for text in seen.failures]
        self.found += [f"the reader saw a mixture: {text}" for text in seen.mixtures]
        whole = {undisturbed.state.digest for undisturbed in torture.undisturbed.values()}
        self.found += [
            f"the reader saw a mixture: {name} is as no undisturbed run has left it"
            for name, digest in seen.releases.items()
            if digest not in whole
        ]
        if ended.error is None and not ended.was_killed and not self.found:
            self.found += State.of(torture.folder).differences(torture.undisturbed[self.day, part].state)


def days() -> Iterator[tuple[int, Part]]:
    """Yield the parts of all days in their order."""
    for day in range(1, DAYS + 1):
        for part in PARTS:
            yield day, part


def say(text: str) -> None:
    """Print a text without delay."""
    typer.echo(text)
    sys.stdout.flush()


def summarise(torture: Torture, seconds: float) -> None:
    """Print the counts of kills and violations for each step."""
    tally = torture.tally
    columns = ("before", "within", "after", "any", "violations")
    order = [*torture.seconds_of_steps()]
    steps = sorted(tally.by_step, key=lambda step: (order.index(step) if step in order else len(order), step))
    say(f"\n  {'step':26}" + "".join(f"{column:>12}" for column in columns))
    for step in steps:
        say(f"  {step:26}" + "".join(f"{tally.by_step[step][column] or '':>12}" for column in columns))
    hit = {(step, when) for step, counts in tally.by_step.items() for when in counts}
    missed = [f"{point.when} {point.step}" for point in torture.points() if (point.step, point.when) not in hit]
    say(f"\n  {len(torture.points())} points, not reached: {', '.join(missed) or 'none'}")
    say(f"  {tally.orphans} data files that no commit names, of kills between writing and committing")
    say(f"  {len(list(torture.home.glob('load-*')))} temporary folders that killed loads have left")
    say(f"  {tally.seen}")
    say(f"  {seconds:.0f} s, {seconds / max(1, tally.kills):.1f} s a kill")
    say(f"\n{tally.kills} kills, {tally.found} violations, seed {torture.seed}")


def main(
    kills: Annotated[int, typer.Option(help="How many runs are killed in all.", min=0)] = 200,
    seed: Annotated[int | None, typer.Option(help="Decides points and moments; default: the clock's.")] = None,
    only: Annotated[int | None, typer.Option("--round", help="Go this round alone.")] = None,
    step: Annotated[str | None, typer.Option(help="Kill at this step and its parts alone.")] = None,
    broken: Annotated[str | None, typer.Option("--break", help=f"Break a promise: {', '.join(BREAKS)}.")] = None,
) -> None:
    """Kill runs, start them again, compare; exit code 1 if there is a violation."""
    if broken is not None and broken not in BREAKS:
        raise typer.BadParameter(f"--break is one of {', '.join(BREAKS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = int(time.time()) % 100_000 if seed is None else seed
    say(f"seed {seed}")
    with tempfile.TemporaryDirectory(prefix="torture-") as home, prefect_for_tests(Path(home)):
        torture = Torture(Path(home), seed, step, broken)
        torture.look_at_undisturbed_runs()
        started = time.monotonic()
        number = 0 if only is None else only
        while torture.tally.kills < kills and not (broken and torture.tally.found):
            torture.go_round(number, kills - torture.tally.kills)
            number += 1
            if only is not None:
                break
        summarise(torture, time.monotonic() - started)
    raise typer.Exit(1 if torture.tally.found else 0)


if __name__ == "__main__":
    typer.run(main)
