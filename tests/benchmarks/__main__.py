"""`make bench`: run each benchmark in its own process, next to its reference, and print one table.

`python -m tests.benchmarks NAME …` runs some of them; see CASES.
"""

import json
import subprocess
import sys

from flows.config.settings import PROJECT
from tests.benchmarks.measures import Measure, as_table

CASES = (
    "loads",
    "kafka",
    "memory",
    "databases",
    "known_keys",
    "commits",
    "indexes",
    "first_run",
    "build_step",
    "full_build",
    "what_changed",
    "watching",
    "publishing",
    "day",
    "training_day",
    "features",
)


def main(names: list[str]) -> int:
    """Run cases, print the table, and count the measures that miss their bar."""
    measures: list[Measure] = []
    failed = []
    for name in names or CASES:
        sys.stderr.write(f"{name} …\n")
        done = subprocess.run(
            [sys.executable, "-m", f"tests.benchmarks.{name}"], cwd=PROJECT, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            failed.append(f"{name} ended with {done.returncode}")
        measures += [Measure(**json.loads(line)) for line in done.stdout.splitlines() if line.startswith("{")]
    missed = sum("MISSED" in measure.verdict for measure in measures)
    sys.stdout.write(f"{as_table(measures)}\n\n{missed} of {len(measures)} measures miss their bar\n")
    sys.stderr.write("\n".join(failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
