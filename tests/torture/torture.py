"""Rounds of the shop: runs and commands are killed, started again, and compared with undisturbed ones."""

import random
import shutil
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import typer
from commands import COMMANDS, Command, Options, digests_of, keep_training_set
from runs import Runs, first_day
from sources import DAYS, PARTS, SET, TABLES, Part, Sources
from states import State, files_of, orphans, violations
from support.flow_shop import clear
from support.kills import Child, Ended, Point, Visit, When
from support.reader import Reader, Seen, reading

from flows.config.settings import DataFolder
from flows.core.errors import RunLocked
from flows.core.names import TableName
from flows.core.object_store import S3Path
from flows.lake import lease
from flows.lake.ops import was_loaded
from flows.orchestration.run_lock import run_lock

KILLS_A_DAY, KILLS_A_COMMAND = 6, 2
AIMED = 0.7
"""The share of kills that are aimed at a step; the others come at any moment."""

SHORT = ("delete", "mkdir", "rename", "replace", "symlink", "unlink", "unlink_object")
"""System calls and requests that are killed only before or after: they are too short to kill within."""

PAUSE_SECONDS = 0.2
"""The pause of the reader between two looks, so that the runs have the cores."""

WATCHED_SECONDS = 1.0
"""For how long another machine watches a lock, in place of half a minute."""

Work = Part | str
"""The run after a part of a day, or a command by its name."""


@dataclass(frozen=True)
class Undisturbed:
    """The steps of undisturbed work on a day, and the state that a run leaves."""

    ended: Ended
    state: State | None = None


@dataclass
class Tally:
    """The counts of kills, of violations and of what the reader saw."""

    kills: int = 0
    found: int = 0
    orphans: int = 0
    by_step: dict[str, Counter[str]] = field(default_factory=dict)
    by_work: Counter[str] = field(default_factory=Counter)
    seen: Seen = field(default_factory=Seen)

    def count(self, step: str, what: str) -> None:
        """Count a kill, or a violation after it, at a step."""
        self.by_step.setdefault(step, Counter())[what] += 1


@dataclass
class Torture:
    """The shop, its data folder, the states after undisturbed runs, and the tally."""

    home: Path
    sources: Sources
    seed: int
    step: str | None
    broken: str | None
    tally: Tally = field(default_factory=Tally)
    undisturbed: dict[tuple[int, Work], Undisturbed] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = DataFolder(self.home / SET)
        self.runs = Runs(self.sources, self.home)
        self.first_day = first_day()
        self.kills_of = dict.fromkeys(COMMANDS, KILLS_A_COMMAND) | {"elt": KILLS_A_DAY}

    def run(self, day: int, broken: str | None = None) -> Child:
        """Return the run of a day."""
        return self.runs.elt(self._moment(day), broken)

    def type(self, command: Command, options: Options, day: int, broken: str | None = None) -> Child:
        """Return the run of a command on a day."""
        return self.runs.command(command.function, options, self._moment(day), broken)

    def _moment(self, day: int) -> datetime:
        return self.first_day + timedelta(minutes=day)

    @property
    def digests(self) -> set[str]:
        """The digests of the releases that undisturbed runs have left."""
        return {done.state.digest for done in self.undisturbed.values() if done.state is not None}

    # Undisturbed

    def look_at_undisturbed_runs(self) -> None:
        """Run all days and commands without a kill; check that they meet every case that they are for."""
        self.begin(0)
        for day in range(1, DAYS + 1):
            for part in PARTS:
                self.sources.add(day, part)
                self._look(day, part, self.run(day))
            if day == 1:
                keep_training_set(self.folder)
            for name, command in COMMANDS.items():
                options = command.options(self.folder) if day in command.days else None
                if options is not None:
                    self._look(day, name, self.type(command, options, day))
                    require_none(command.undone(self.folder, options), f"{name} on day {day}")
        last = self.undisturbed[DAYS, "evening"].state
        assert last is not None
        for name in ("crm.customers", "sales.orders", "sales.order_lines", "shop.products"):
            assert last.rows[f"quarantine {name}"], f"{name}: nothing was quarantined"
        assert any("True" in row for row in last.rows["lake shop.products"]), "nothing was deleted"
        steps = {visit.step.rpartition("/")[2] for done in self.undisturbed.values() for visit in done.ended.visits}
        assert {"merge", "vacuum_files"} <= steps, "nothing was compacted"

    def _look(self, day: int, work: Work, child: Child) -> None:
        ended = child.run()
        require_none([ended.error] if ended.error else self.violations(), f"{work} on day {day}")
        state = State.of(self.folder) if work in PARTS else None
        self.undisturbed[day, work] = Undisturbed(ended, state)
        batches = f", {ended.steps['commit']} batches" if state is not None else ""
        say(f"undisturbed: day {day}, {work}, {ended.seconds:.1f} s{batches}")

    def begin(self, number: int) -> None:
        """Reset to the state before the first day."""
        clear(self.folder)
        files_of.cache_clear()
        self.sources.clear(number)

    def violations(self) -> Iterator[str]:
        """Yield what must never be, whatever was killed."""
        yield from violations(self.folder)
        yield from self.sources.unlike_offsets(self.folder)

    def points(self, kind: str) -> list[Point]:
        """Return every point of runs ("elt") or of a command, in an order that depends on the seed."""
        steps = {visit.step for visit in self._visits(kind)}
        found = []
        for step in sorted(steps):
            name = step.rpartition("/")[2]
            is_there_already = name == "mkdir" and not step.startswith("publish")
            if not is_there_already and step.startswith(self.step or ""):
                whens: tuple[When, ...] = ("before", "within", "after")
                found += [Point(step, when) for when in whens if when != "within" or name not in SHORT]
        random.Random(self.seed).shuffle(found)
        return found

    def seconds_of_steps(self, kind: str | None = None) -> dict[str, float]:
        """Return the longest duration of each step."""
        longest: dict[str, float] = {}
        for visit in self._visits(kind):
            longest[visit.step] = max(longest.get(visit.step, 0.0), visit.seconds or 0.0)
        return longest

    def _visits(self, kind: str | None = None) -> Iterator[Visit]:
        for (_, work), done in self.undisturbed.items():
            if kind in (None, kind_of(work)):
                yield from done.ended.visits

    # Rounds

    def go_round(self, number: int, kills: int) -> None:
        """Run all days with at most this number of kills; a violation ends the round."""
        chance = random.Random(f"{self.seed}-{number}")
        aims = {kind: self._aims(kind, number) for kind in self.kills_of}
        self.begin(number)
        with reading(self.folder.warehouse, PAUSE_SECONDS) as reader:
            for day in range(1, DAYS + 1):
                today = Day(self, number, day, chance, aims, reader, kills)
                today.go()
                kills -= len(today.killed)
                if today.found:
                    self.report(number, today)
                    return
                if not kills:
                    break
        self.tally.orphans += orphans(self.folder)

    def _aims(self, kind: str, number: int) -> deque[Point]:
        """Return the points of a round: a round goes on where the one before has ended."""
        points = self.points(kind)
        days = DAYS if kind == "elt" else len(COMMANDS[kind].days)
        aimed = round(days * self.kills_of[kind] * (AIMED if self.step is None else 1))
        return deque(points[(number * aimed + nth) % len(points)] for nth in range(aimed if points else 0))

    def report(self, number: int, today: "Day") -> None:
        """Report the violations and the command that repeats them; keep a copy of the folder."""
        self.tally.found += 1
        kept = self.home.with_name(f"{self.home.name}-round-{number}")
        shutil.copytree(self.folder.path, kept, symlinks=True, dirs_exist_ok=True)
        for one in self.folder.lake.rglob("*") if self.has_servers else ():
            place = kept / "lake" / one.relative_to(self.folder.lake)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(one.read_bytes())
        values = (("STEP", self.step), ("BREAK", self.broken), ("EMBEDDED", None if self.has_servers else 1))
        options = "".join(f" {name}={value}" for name, value in values if value)
        say(f"\nVIOLATION: seed {self.seed}, round {number}, day {today.day}, after kill {self.tally.kills}")
        for line in today.killed or ["nothing was killed that day"]:
            say(f"  killed     {line}")
        for line in list(dict.fromkeys(today.found))[:10]:
            say(f"  found      {line}")
        say(f"  repeat     make torture SEED={self.seed} ROUND={number}{options}")
        say(f"  look       {kept}\n")

    @property
    def has_servers(self) -> bool:
        """Whether the lake is on S3."""
        return isinstance(self.folder.lake, S3Path)


@dataclass
class Day:
    """One day of a round: killed runs and one that completes, then killed commands, each until it completes."""

    torture: Torture
    round: int
    day: int
    chance: random.Random
    aims: dict[str, deque[Point]]
    reader: Reader
    kills: int
    killed: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)

    def go(self) -> None:
        """Kill at most so many children; what was killed and what was violated is in `killed` and `found`."""
        self._go_runs()
        if self.day == 1 and not self.found:
            keep_training_set(self.torture.folder)
        for name, command in COMMANDS.items():
            if self.found or self.day not in command.days:
                continue
            options = command.options(self.torture.folder)
            if options is not None and (self.day, name) in self.torture.undisturbed:
                self._go_command(name, command, options)

    def _go_runs(self) -> None:
        part = PARTS[0]
        left = most = self._left("elt")
        self.torture.sources.add(self.day, part)
        while not self.found:
            run = self.torture.run(self.day, self.torture.broken)
            ended, place = self._run(run, part, is_first=left == most, is_armed=left > 0)
            left -= ended.was_killed
            if ended.error is None and not ended.was_killed:
                expected = self.torture.undisturbed[self.day, part].state
                assert expected is not None
                self.found += State.of(self.torture.folder).differences(expected)
            if self.found:
                self.torture.tally.count(place, "violations")
            elif not ended.was_killed and part == "evening":
                break
            elif part == "morning" and self._is_begun():  # the rest of the day arrives before the next run
                part = "evening"
                self.torture.sources.add(self.day, part)

    def _is_begun(self) -> bool:
        """Tell whether each table was loaded once: until then all its records count as old, whenever they arrived."""
        return all(was_loaded(self.torture.folder.lake, TableName.parse(name)) for name in TABLES)

    def _go_command(self, name: str, command: Command, options: Options) -> None:
        folder = self.torture.folder
        left = most = self._left(name)
        while not self.found:
            child = self.torture.type(command, options, self.day, self.torture.broken)
            ended, place = self._run(child, name, is_first=left == most, is_armed=left > 0)
            left -= ended.was_killed
            self.found += command.broken(folder, options)
            if not ended.was_killed and not self.found:
                expected = self.torture.undisturbed[self.day, "evening"].state
                assert expected is not None
                self.found += [*command.undone(folder, options), *expected.lake_differences(folder)]
                known = self.torture.digests
                self.found += [
                    f"{release} is as no undisturbed run has left it"
                    for release, digest in digests_of(folder).items()
                    if digest not in known
                ]
                if not self.found:
                    return
            if self.found:
                self.torture.tally.count(place, "violations")

    def _left(self, kind: str) -> int:
        """Return how many kills of a kind are left for the day; none if it does not have the step to kill at."""
        is_meant = self.torture.step is None or self.aims[kind]
        return min(self.kills - len(self.killed), self.torture.kills_of[kind]) if is_meant else 0

    def _run(self, child: Child, work: Work, *, is_first: bool, is_armed: bool) -> tuple[Ended, str]:
        """Run once, with a kill if armed, and check what must hold; return how it ended, and the step."""
        ended, aim = self._kill(child, work, is_first=is_first) if is_armed else (child.run(), None)
        place = aim.step if aim is not None else ended.last.split()[-1]
        if ended.was_killed:
            self._record_kill(ended, aim, work)
            self.torture.tally.count(place, "any" if aim is None else aim.when)
            if len(self.killed) == 1 and self.day == 1 + self.round % DAYS:  # once a round, since it takes seconds
                self.found += taken_over_elsewhere(self.torture)
        self._check(ended)
        return ended, place

    def _kill(self, child: Child, work: Work, *, is_first: bool) -> tuple[Ended, Point | None]:
        """Run with a kill at a point or at any moment; return how it ended, and the point."""
        waiting = self.aims[kind_of(work)]
        comes_at_any_moment = self.torture.step is None and self.chance.random() > AIMED
        if comes_at_any_moment or not waiting:
            whole = self.torture.undisturbed[self.day, work].ended.seconds
            return child.run(after_seconds=self.chance.uniform(0, whole)), None
        steps = self.torture.undisturbed[self.day, work].ended.steps
        for _ in range(len(waiting)):  # until the first point that such work comes to
            if waiting[0].step in steps:
                break
            waiting.rotate(-1)
        aim = self._timed(waiting[0], work, is_first=is_first)
        ended = child.run(aim)
        if ended.was_killed:
            waiting.popleft()
        else:
            waiting.rotate(-1)
        return ended, aim

    def _timed(self, point: Point, work: Work, *, is_first: bool) -> Point:
        """Choose which repetition of a step is killed, and how long after its start."""
        times = max(1, self.torture.undisturbed[self.day, work].ended.steps[point.step])
        seconds = self.torture.seconds_of_steps(kind_of(work))[point.step] if point.when == "within" else 0.0
        time_of_step = self.chance.randint(1, times) if is_first else 1
        return Point(point.step, point.when, time_of_step, self.chance.uniform(0, seconds))

    def _record_kill(self, ended: Ended, aim: Point | None, work: Work) -> None:
        tally = self.torture.tally
        tally.kills += 1
        tally.by_work[kind_of(work)] += 1
        self.killed.append(f"{work}: {aim or 'at any moment'}; it was {ended.last}")
        say(f"kill {tally.kills:4}  round {self.round}, day {self.day}  {ended.seconds:4.1f} s  {self.killed[-1]}")

    def _check(self, ended: Ended) -> None:
        """Check the folder, and compare the reader's releases with the allowed ones."""
        torture = self.torture
        if ended.error is not None:
            self.found.append(f"what begins again should come to its end; it ended in {ended.error}")
        self.found += torture.violations()
        seen = self.reader.ask()
        torture.tally.seen.add(seen)
        self.found += [f"the reader failed: {text}" for text in seen.failures]
        self.found += [f"the reader saw a mixture: {text}" for text in seen.mixtures]
        self.found += [
            f"the reader saw a mixture: {name} is as no undisturbed run has left it"
            for name, digest in seen.releases.items()
            if digest not in torture.digests
        ]


def taken_over_elsewhere(torture: Torture) -> Iterator[str]:
    """Yield what keeps another machine from the lock that a killed run has left on S3, once it was watched."""
    if not torture.has_servers:
        return
    before = lease.WATCHED, lease.STEP
    lease.WATCHED, lease.STEP = WATCHED_SECONDS, WATCHED_SECONDS / 5
    end = time.monotonic() + 5 * WATCHED_SECONDS
    try:
        while True:
            try:
                with run_lock(DataFolder(torture.home / "elsewhere" / SET)):
                    return
            except RunLocked as locked:
                if time.monotonic() > end:
                    yield f"another machine does not get the lock of a run that is dead: {locked}"
                    return
            time.sleep(WATCHED_SECONDS / 5)
    finally:
        lease.WATCHED, lease.STEP = before


def kind_of(work: Work) -> str:
    """Return what is run: "elt", or the name of a command."""
    return "elt" if work in PARTS else work


def require_none(wrong: Iterable[str], what: str) -> None:
    """End the torture if something is wrong without any kill."""
    for text in wrong:
        raise SystemExit(f"undisturbed, {what}: {text}")


def say(text: str) -> None:
    """Print a text without delay."""
    typer.echo(text)
    sys.stdout.flush()
