"""`python -m demo.best`: each model beside the best that the planted truth allows, on the same test rows.

The generator's own probabilities are those of `odds/`, one SQL file a model. No model can be better, but for chance.
They know the causes that no source shows, such as who has lapsed or which payment is a fraud. They do not know the
draws of the days to come.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from demo.pharmacy import compute_truth
from flows.config.settings import DataFolder, command
from flows.core.errors import UsageError
from flows.learning.exposures import CLASSES, LOWER_IS_BETTER, MlExposure, read_exposures
from flows.learning.fit import TrainedModel, train_model
from flows.learning.metrics import Measured
from flows.learning.project import DbtProject
from flows.learning.task import Scores, Task
from flows.learning.training_sets import stored_sets

if TYPE_CHECKING:
    import pandas as pd

ODDS = Path(__file__).with_name("odds")
PREPARED = {
    "customer_churn": ("_orders", "_customers"),
    "customer_value": ("_orders", "_customers"),
    "next_purchase": ("_orders", "_customers"),
    "product_demand": ("_orders",),
}
"""The files that make what the odds of a model are computed from."""

ODDS_OF = {"product_pixels": "product_category"}
"""The file of a model that has that of another."""

HORIZON_DAYS = {"customer_churn": 120, "customer_value": 90, "next_purchase": 28}


@dataclass(frozen=True)
class Recovery:
    """A model, and the metric of the generator's own probabilities on the model's test rows."""

    model: TrainedModel
    odds: Scores
    best: Measured

    @property
    def metric(self) -> str:
        """The declared metric."""
        return self.model.exposure.declared.metric

    @property
    def baseline(self) -> tuple[str, Measured]:
        """The best baseline, by name."""
        sign = -1 if self.metric.partition("@")[0] in LOWER_IS_BETTER else 1
        return max(self.model.baselines.items(), key=lambda one: sign * one[1].value)

    @property
    def share(self) -> float:
        """The share of the way from the best baseline to the best that the truth allows."""
        start = self.baseline[1].value
        return (self.model.metrics[self.metric].value - start) / (self.best.value - start)

    @property
    def row(self) -> tuple[str, ...]:
        """The recovery as a row of a table."""
        name, baseline = self.baseline
        measured = self.model.metrics[self.metric]
        verdict = "not registered" if self.model.refusals else "registered"
        texts = (f"{self.metric} {measured}", f"{name} {baseline.value:.3f}", str(self.best), f"{self.share:.0%}")
        return (self.model.exposure.name, *texts, verdict)


COLUMNS = ("model", "metric", "best baseline", "best that the truth allows", "share of the way", "verdict")


def compute_odds(made: duckdb.DuckDBPyConnection, exposure: MlExposure, task: Task, rows: "pd.DataFrame") -> Scores:
    """Return the generator's own scores of these rows: probabilities, one column a class, or expected numbers.

    `made` is the database of `compute_truth`. Raises UsageError if the generator knows nothing of the model.
    """
    path = _odds_of(exposure)
    if not path.exists():
        raise UsageError(f"The demo plants no truth for {exposure.name}.", f"Write {path.name} in demo/odds.")
    declared = exposure.declared
    known = dict.fromkeys([*exposure.spine, *exposure.key, *declared.entity, *filter(None, [declared.time])])
    given = rows[[name for name in known if name in rows and name != declared.label]].reset_index(drop=True)
    made.register("given", given.assign(row_number=np.arange(len(given))))
    made.execute("create or replace table test_rows as from given")
    made.unregister("given")
    made.execute("set variable horizon_days = ?", [HORIZON_DAYS.get(exposure.name)])
    for name in PREPARED.get(exposure.name, ()):
        made.execute((ODDS / f"{name}.sql").read_text(encoding="utf-8"))
    found = made.execute(path.read_text(encoding="utf-8")).df()
    every = np.zeros((len(rows), len(task.classes))) if task.kind == CLASSES else np.zeros(len(rows))
    place = found["row_number"].to_numpy(dtype=int)
    if task.kind == CLASSES:
        columns = {value: column for column, value in enumerate(task.classes)}
        found = found[found["class"].isin(columns)]
        place = (found["row_number"].to_numpy(dtype=int), found["class"].map(columns).to_numpy(dtype=int))
    every[place] = found["odds"].to_numpy(dtype=float)
    return every


def measure_recovery(
    made: duckdb.DuckDBPyConnection, folder: DataFolder, project: DbtProject, exposure: MlExposure
) -> Recovery:
    """Train a model on its newest training set, and score its test rows by the generator's own probabilities too.

    Raises UsageError if it was never trained.
    """
    found = next(stored_sets(folder, exposure.name), None)
    if found is None:
        raise UsageError(f"{exposure.name} has no training set yet.", f"Train it: {command()} train {exposure.name}")
    model = train_model(exposure, project, found)
    odds = compute_odds(made, exposure, model.task, model.parts.test)
    return Recovery(model, odds, model.rows.measure(exposure.declared.metric, odds))


def main(names: Sequence[str]) -> None:
    """Print a row for each model of the demo, all or those named."""
    from demo.flow import SET
    from flows.cli.report import draw_table

    folder = DataFolder.of(SET)
    project = DbtProject.read(folder)
    with compute_truth(folder.path / "source") as made:
        found = [one for one in read_exposures(project, names) if _is_asked_for(one, folder, names)]
        rows = [measure_recovery(made, folder, project, one).row for one in found]
    sys.stdout.write("\n".join(draw_table(list(COLUMNS), rows)) + "\n")


def _odds_of(exposure: MlExposure) -> Path:
    return ODDS / f"{ODDS_OF.get(exposure.name, exposure.name)}.sql"


def _is_asked_for(exposure: MlExposure, folder: DataFolder, names: Sequence[str]) -> bool:
    """Tell whether a model is named, or was trained and has a planted truth."""
    return exposure.name in names or (_odds_of(exposure).exists() and any(stored_sets(folder, exposure.name)))


if __name__ == "__main__":
    main(sys.argv[1:])
