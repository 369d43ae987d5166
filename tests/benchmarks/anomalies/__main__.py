"""How well anomalies are found: `python -m tests.benchmarks.anomalies` prints the table of planted ones.

`--write` writes it into README.md. With the PATH of a folder of series in the layout of the Numenta benchmark (CSV
files with timestamp and value, and a JSON file with labels by their paths), it prints the score of that benchmark.
"""

import sys
from pathlib import Path

import duckdb

from flows.config.settings import PROJECT
from tests.benchmarks.anomalies.injected import CASES, Found, count, generate, judge, load, wilson
from tests.benchmarks.anomalies.windows import best_threshold, measure, read_labels, score_all, windows_of

START, END = "<!-- anomalies: written by python -m tests.benchmarks.anomalies --write -->", "<!-- end of anomalies -->"
SEED, REPEATS = 2, 40
"""Limits were chosen on seed 1."""

DETECTORS = {"is_found": "tests of this project", "is_found_by_sigma": "three sigma over all days"}


def describe_planted(seed: int = SEED, repeats: int = REPEATS) -> str:
    """Return a Markdown table of recall and precision by anomaly and size, with intervals, and one of false alarms."""
    cases = list(generate(seed, repeats))
    with duckdb.connect() as database:
        load(database, cases)
        judge(database)
        by_size = [count(database, cases, "anomaly|size", detector) for detector in DETECTORS]
        by_series = [count(database, cases, "series", detector) for detector in DETECTORS]
    titles = " | ".join(f"{what}, {name}" for name in DETECTORS.values() for what in ("recall", "precision"))
    lines = [f"| anomaly | size | series | {titles} |", "|---|---|---|---|---|---|---|"]
    for anomaly, sizes in CASES.items():
        for size in sizes:
            found = [of[f"{anomaly} | {size}"] for of in by_size]
            cells = " | ".join(f"{recall_of(one)} | {precision_of(one)}" for one in found)
            lines.append(f"| {anomaly} | {size} | {found[0].series} | {cells} |")
    lines += [
        "",
        "| series | days | " + " | ".join(f"false alarms in 1,000 days, {name}" for name in DETECTORS.values()),
    ]
    lines[-1] += " |"
    lines.append("|---|---|---|---|")
    for series in by_series[0]:
        rates = " | ".join(f"{1000 * of[series].false_alarms / of[series].days:.1f}" for of in by_series)
        lines.append(f"| {series} | {by_series[0][series].days:,} | {rates} |")
    return "\n".join(lines)


def recall_of(one: Found) -> str:
    """Return the share of planted anomalies that were found, with its interval."""
    return _share(one.found, one.series)


def precision_of(one: Found) -> str:
    """Return the share of what was found that was planted, with its interval."""
    return _share(one.found, one.found + one.false_alarms)


def _share(part: int, whole: int) -> str:
    low, high = wilson(part, whole)
    return f"{part / whole:.2f} ({low:.2f}–{high:.2f})" if whole else "–"


def describe_folder(folder: Path) -> str:
    """Return the scores of all series of a folder that its labels name."""
    labels = read_labels(folder)
    scored: tuple[list, list] = ([], [])  # type: ignore[type-arg]
    for name, of_series in sorted(labels.items()):
        path = next(iter(sorted(folder.rglob(name))), None)
        if path is None:
            continue
        both = measure(path)
        windows = windows_of(of_series, [time for time, _ in both[0]])
        for side, points in zip(scored, both, strict=True):
            side.append((points, windows))
    lines = [f"{len(scored[0])} series; 0 is a detector that finds nothing, 100 a perfect one"]
    for name, series in zip(DETECTORS.values(), scored, strict=True):
        as_used, (threshold, best) = score_all(series), best_threshold(series)
        lines.append(
            f"{name}: {as_used.score:.1f} at its own limits ({as_used.found} of {as_used.windows} windows, "
            f"{as_used.false_alarms} false alarms), {best.score:.1f} at {threshold:.2f} times these"
        )
    return "\n".join(lines)


def write_readme(table: str) -> None:
    """Write the table between its markers in README.md."""
    path = PROJECT / "README.md"
    before, rest = path.read_text(encoding="utf-8").split(START)
    after = rest.split(END)[1]
    path.write_text(f"{before}{START}\n\n{table}\n\n{END}{after}", encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Print what was asked for, or write it."""
    folders = [Path(one) for one in arguments if one != "--write"]
    table = describe_folder(folders[0]) if folders else describe_planted()
    if "--write" in arguments and not folders:
        write_readme(table)
    sys.stdout.write(f"{table}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
