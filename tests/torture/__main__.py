"""Kill runs and commands at every step and at random moments, start them again, and compare with undisturbed ones.

`make torture KILLS=200 SEED=1`. A round is all days of the shop, on PostgreSQL, Kafka and S3; `EMBEDDED=1` does without
servers. On each day some runs are killed, restarted runs too, until one completes, and then some commands. Seed and
round number determine the kills: `ROUND=3` repeats the third round. `STEP=publish` kills at that step only.
`BREAK=watermark-first` breaks a guarantee in the child on purpose; the torture must find it.
"""

import logging
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from sources import Sources
from support.breaks import BREAKS
from support.flow_shop import prefect_for_tests
from torture import Torture, say


def summarise(torture: Torture, seconds: float) -> None:
    """Print the counts of kills and violations for each step."""
    tally = torture.tally
    columns = ("before", "within", "after", "any", "violations")
    order = [*torture.seconds_of_steps()]
    steps = sorted(tally.by_step, key=lambda step: (order.index(step) if step in order else len(order), step))
    say(f"\n  {'step':34}" + "".join(f"{column:>12}" for column in columns))
    for step in steps:
        say(f"  {step:34}" + "".join(f"{tally.by_step[step][column] or '':>12}" for column in columns))
    hit = {(step, when) for step, counts in tally.by_step.items() for when in counts}
    points = {(point.step, point.when) for kind in torture.kills_of for point in torture.points(kind)}
    missed = [f"{when} {step}" for step, when in sorted(points - hit)]
    say(f"\n  {len(points)} points, not reached: {', '.join(missed) or 'none'}")
    say(f"  {', '.join(f'{count} kills of {kind}' for kind, count in tally.by_work.most_common())}")
    say(f"  {tally.orphans} data files that no commit names, of kills between writing and committing")
    say(f"  {len(list(torture.home.glob('load-*')))} temporary folders that killed loads have left")
    say(f"  {tally.seen}")
    say(f"  {seconds:.0f} s, {seconds / max(1, tally.kills):.1f} s a kill")
    say(f"\n{tally.kills} kills, {tally.found} violations, seed {torture.seed}")


@contextmanager
def sources_in(folder: Path, *, is_embedded: bool) -> Iterator[Sources]:
    """Yield the shop's sources, on servers that run meanwhile or in files alone."""
    if is_embedded:
        yield Sources(folder)
        return
    from services import served_sources  # which needs the clients of the servers

    with served_sources(folder) as sources:
        yield sources


def main(
    kills: Annotated[int, typer.Option(help="How many runs and commands are killed in all.", min=0)] = 200,
    seed: Annotated[int | None, typer.Option(help="Decides points and moments; default: the clock's.")] = None,
    only: Annotated[int | None, typer.Option("--round", help="Go this round alone.")] = None,
    step: Annotated[str | None, typer.Option(help="Kill at this step and its parts alone.")] = None,
    broken: Annotated[str | None, typer.Option("--break", help=f"Break a promise: {', '.join(BREAKS)}.")] = None,
    is_embedded: Annotated[bool, typer.Option("--embedded", help="Do without servers.")] = False,
) -> None:
    """Kill runs and commands, start them again, compare; exit code 1 if there is a violation."""
    if broken is not None and broken not in BREAKS:
        raise typer.BadParameter(f"--break is one of {', '.join(BREAKS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    logging.getLogger("flows").setLevel(logging.ERROR)
    seed = int(time.time()) % 100_000 if seed is None else seed
    say(f"seed {seed}")
    with (
        tempfile.TemporaryDirectory(prefix="torture-") as home,
        sources_in(Path(home) / "sources", is_embedded=is_embedded) as sources,
        prefect_for_tests(Path(home)),
    ):
        torture = Torture(Path(home), sources, seed, step, broken)
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
