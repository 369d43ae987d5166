"""The score of the Numenta Anomaly Benchmark (NAB) by windows, of any folder of series.

Source of the formulas: A. Lavin and S. Ahmad, "Evaluating Real-time Anomaly Detection Algorithms – the Numenta Anomaly
Benchmark", 2015, https://arxiv.org/abs/1510.03336, and the standard profile of https://github.com/numenta/NAB.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp
from pathlib import Path

import duckdb

from tests.benchmarks.anomalies.detector import MACROS, score

TRUE_POSITIVE, FALSE_POSITIVE, FALSE_NEGATIVE = 1.0, 0.11, 1.0
"""The weights of NAB's standard profile."""

PROBATION_SHARE, LONGEST_PROBATION = 0.15, 750
"""The first rows of a series are not counted: a share of them, at most so many."""

QUIET_SHARE = 0.01
"""An alarm is told once per incident: a row within this share of the series after another one is the same incident."""

WINDOW_SHARE = 0.1
"""The share of a series that its windows take, where the labels are moments alone."""

Points = Sequence[tuple[datetime, float]]
"""Time and measure of each row: from one on, it is taken for an anomaly."""

Windows = Sequence[tuple[datetime, datetime]]


@dataclass(frozen=True)
class WindowScore:
    """NAB's normalised score: 0 for a detector that finds nothing, 100 for a perfect one, and its parts."""

    score: float
    windows: int
    found: int
    false_alarms: int


def read_labels(folder: Path) -> Mapping[str, Sequence[str | Sequence[str]]]:
    """Return the labels of a folder, by the path of a series: windows, or moments. Raises FileNotFoundError."""
    files = sorted(folder.rglob("*.json"), key=lambda path: ("window" not in path.name, len(path.name), str(path)))
    for path in files:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and any(name.endswith(".csv") for name in found):
            return found
    raise FileNotFoundError(f"{folder} has no JSON file with labels by the path of a CSV file")


def windows_of(labels: Sequence[str | Sequence[str]], times: Sequence[datetime]) -> Windows:
    """Return the windows of a series; around a moment they are as long as NAB makes them."""
    found = []
    reach = int(WINDOW_SHARE * len(times) / max(1, len(labels)) / 2)
    for label in labels:
        if isinstance(label, str):
            moment = datetime.fromisoformat(label)
            at = next((place for place, time in enumerate(times) if time >= moment), len(times) - 1)
            found.append((times[max(0, at - reach)], times[min(len(times) - 1, at + reach)]))
        else:
            first, last = (datetime.fromisoformat(end) for end in label)
            found.append((first, last))
    return sorted(found)


def scale(position: float) -> float:
    """Return NAB's scaled sigmoid: near 1 at the start of a window, 0 at its end, and -1 far after it."""
    return -1.0 if position > 3 else 2 / (1 + exp(5 * position)) - 1


def alarms(points: Points, threshold: float) -> Iterator[int]:
    """Yield the rows at which an incident begins."""
    last, quiet = None, int(QUIET_SHARE * len(points))
    for place, (_, measure) in enumerate(points):
        if measure >= threshold:
            if last is None or place - last > quiet:
                yield place
            last = place


def score_series(points: Points, windows: Windows, threshold: float = 1.0) -> tuple[float, int, int]:
    """Return the raw score of a series, the windows that were found, and the number of false alarms."""
    total, found, false_alarms = 0.0, 0, 0
    probation = min(int(PROBATION_SHARE * len(points)), LONGEST_PROBATION)
    places = {time: place for place, (time, _) in enumerate(points)}
    ends = [
        (min((places[t] for t, _ in points if t >= first), default=0), max(places[t] for t, _ in points if t <= last))
        for first, last in windows
    ]
    best: list[float | None] = [None] * len(ends)
    for place in alarms(points, threshold):
        if place < probation:
            continue
        inside = next((number for number, (first, last) in enumerate(ends) if first <= place <= last), None)
        if inside is not None:
            first, last = ends[inside]
            value = TRUE_POSITIVE * scale(-(last - place + 1) / (last - first + 1)) / scale(-1)
            best[inside] = max(value, -FALSE_NEGATIVE if best[inside] is None else best[inside] or 0)
            continue
        before = [(first, last) for first, last in ends if last < place]
        false_alarms += 1
        if before:
            first, last = before[-1]
            total += FALSE_POSITIVE * scale((place - last) / max(1, last - first))
        else:
            total -= FALSE_POSITIVE
    counted = [value for value, (_, last) in zip(best, ends, strict=True) if last >= probation]
    found = sum(value is not None for value in counted)
    total += sum(-FALSE_NEGATIVE if value is None else value for value in counted)
    return total, found, false_alarms


def score_all(series: Iterable[tuple[Points, Windows]], threshold: float = 1.0) -> WindowScore:
    """Return the normalised score of several series."""
    scored = [(score_series(points, windows, threshold), len(windows)) for points, windows in series]
    count = sum(windows for _, windows in scored)
    total = sum(raw for (raw, _, _), _ in scored)
    normalised = 100 * (total + FALSE_NEGATIVE * count) / ((TRUE_POSITIVE + FALSE_NEGATIVE) * max(1, count))
    return WindowScore(normalised, count, sum(found for (_, found, _), _ in scored), sum(one[2] for one, _ in scored))


def best_threshold(series: Sequence[tuple[Points, Windows]]) -> tuple[float, WindowScore]:
    """Return the threshold with the best score over all series, as NAB chooses it, and that score."""
    tried = [0.5 * 1.15**step for step in range(30)]
    scores = {threshold: score_all(series, threshold) for threshold in tried}
    threshold = max(scores, key=lambda one: scores[one].score)
    return threshold, scores[threshold]


def measure(path: Path) -> tuple[Points, Points]:
    """Return the measures of a series, by the project's detector and by three standard deviations over all rows.

    The level is of one day of rows, and the phase is the time of day. Raises ValueError for a file of another layout.
    """
    with duckdb.connect() as database:
        database.execute(
            "create table rows_read as select cast(timestamp as timestamp) as unit_at, "
            "avg(cast(value as double)) as value from read_csv(?, header = true, all_varchar = true) group by all",
            [str(path)],
        )
        rows = database.execute(
            "select count(*), median(seconds) from (select epoch(unit_at - lag(unit_at) over (order by unit_at)) as "
            "seconds from rows_read)"
        ).fetchall()
        ((count, seconds),) = rows
        if count < 2 or not seconds:
            raise ValueError(f"{path} has fewer than two rows")
        a_day = max(28, round(86400 / seconds))
        database.execute(
            "create table series as select '' as series_name, unit_at, value, "
            f"cast(floor(epoch(unit_at) % 86400 / {seconds}) as integer) as phase, "
            "0.001 * coalesce(stddev_pop(value) over (order by unit_at rows between unbounded preceding and 1 "
            "preceding), 0) + 1e-9 as noise from rows_read"
        )
        score(database, "series", reach=min(a_day, count // 8), recent=max(7, a_day // 8)).create("scored")
        limits = MACROS["get_limits"]()
        ours = database.execute(
            f"select unit_at, coalesce(greatest(abs(score) / {limits['warn_score']}, "
            f"abs(shift_score) / {limits['warn_score']}, stuck_score / {limits['stuck_score']}), 0) "
            "from scored order by unit_at"
        ).fetchall()
        theirs = database.execute(
            "select unit_at, coalesce(abs(value - avg(value) over ()) / (3 * nullif(stddev_pop(value) over (), 0)), 0) "
            "from series order by unit_at"
        ).fetchall()
    return ours, theirs
