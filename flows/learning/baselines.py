"""Naive baselines, fitted on training rows: what a model must beat before it is worth its upkeep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.core.errors import UsageError
from flows.core.names import did_you_mean
from flows.learning.exposures import BINARY, NUMBER, RANKING, REMEDY, MlExposure
from flows.learning.metrics import EvaluationRows
from flows.learning.preprocess import LIST, build_pipeline, kind_of
from flows.learning.task import Scores, Task

if TYPE_CHECKING:
    import pandas as pd

MAJORITY, MEAN, POPULARITY, BEST_FEATURE = "majority", "mean", "popularity", "best_feature"
DEFAULTS: Mapping[str, tuple[str, ...]] = {NUMBER: (MEAN, BEST_FEATURE), RANKING: (POPULARITY, BEST_FEATURE)}
"""The baselines of each kind of task; of others majority and best_feature."""

ROWS = 20_000
"""Training rows that a single feature is fitted on."""

LEAVES, FEWEST_OF_A_LEAF = 16, 20


@dataclass(frozen=True)
class Baseline:
    """A baseline, by a name that says of which feature it is, and its scores of the test rows."""

    name: str
    scores: Scores


@dataclass(frozen=True)
class Single:
    """A feature alone: its scores of the test rows, and how well they separate the label, from 0 to 1."""

    feature: str
    scores: Scores
    strength: float


def score_single_features(
    exposure: MlExposure, task: Task, features: tuple[str, ...], train: "pd.DataFrame", test: "pd.DataFrame"
) -> list[Single]:
    """Fit a small tree on each feature alone, and score the test rows.

    The strength is the area under the ROC curve, of numbers the share of variance that is explained.
    """
    seed = exposure.declared.seed
    rows = train if len(train) <= ROWS else train.sample(ROWS, random_state=seed)
    label = task.encode(rows)
    found = []
    for feature in features:
        if kind_of(rows[feature]) == LIST or rows[feature].nunique(dropna=False) < 2:
            continue
        pipeline = build_pipeline(rows, [feature], _tree(task, seed))
        pipeline.fit(rows[[feature]], label)
        scores = task.score(pipeline, test)
        found.append(Single(feature, scores, _strength(exposure, task, test, scores)))
    return found


def make_baselines(
    exposure: MlExposure,
    task: Task,
    singles: list[Single],
    train: "pd.DataFrame",
    rows: EvaluationRows,
    test: "pd.DataFrame",
) -> list[Baseline]:
    """Return the declared baselines, or those of the task; raises UsageError for another name."""
    by_name = {one.feature: one for one in singles}
    makers: dict[str, Callable[[], Scores]] = {
        MAJORITY: lambda: _shares(task, train, len(test)),
        MEAN: lambda: _middle(exposure, task, train, len(test)),
        POPULARITY: lambda: _popularity(exposure, task, train, test),
    }
    found = []
    for name in exposure.declared.baseline or DEFAULTS.get(task.kind, (MAJORITY, BEST_FEATURE)):
        if name == BEST_FEATURE:
            if singles:
                best = max(singles, key=lambda one: _value(exposure, rows, one))
                found.append(Baseline(f"{best.feature} alone", best.scores))
        elif name in by_name:
            found.append(Baseline(f"{name} alone", by_name[name].scores))
        elif name in makers:
            found.append(Baseline(name, makers[name]()))
        else:
            known = [*makers, BEST_FEATURE, *by_name]
            raise UsageError(
                f"{exposure.where}: config.meta.baseline is {name!r}, which is no baseline and no feature."
                f"{did_you_mean(name, known)}",
                REMEDY,
            )
    return found


def _tree(task: Task, seed: int) -> Any:
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    kind = DecisionTreeRegressor if task.kind == NUMBER else DecisionTreeClassifier
    return kind(max_leaf_nodes=LEAVES, min_samples_leaf=FEWEST_OF_A_LEAF, random_state=seed)


def _strength(exposure: MlExposure, task: Task, test: "pd.DataFrame", scores: Scores) -> float:
    truth = task.encode(test)
    if task.kind == NUMBER:
        spread = float(((truth - truth.mean()) ** 2).sum())
        return 1 - float(((truth - scores) ** 2).sum()) / spread if spread else 0.0
    if task.kind in (BINARY, RANKING):
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(truth, scores)) if len(set(truth.tolist())) == 2 else 0.5
    return float((scores.argmax(axis=1) == truth).mean())


def _value(exposure: MlExposure, rows: EvaluationRows, one: Single) -> float:
    """Return the declared metric of a feature alone, the greater the better: the best one is chosen in its favour."""
    from flows.learning.exposures import LOWER_IS_BETTER
    from flows.learning.metrics import prepare

    metric = exposure.declared.metric
    value = prepare(metric, rows, one.scores)(np.ones(len(rows.truth)))
    return -value if metric.partition("@")[0] in LOWER_IS_BETTER else value


def _shares(task: Task, train: "pd.DataFrame", count: int) -> Scores:
    """Return the share of each class among the training rows, for every row."""
    label = task.encode(train)
    if task.kind in (BINARY, RANKING):
        return np.full(count, label.mean())
    shares = np.bincount(label, minlength=len(task.classes)) / len(label)
    return np.tile(shares, (count, 1))


def _middle(exposure: MlExposure, task: Task, train: "pd.DataFrame", count: int) -> Scores:
    """Return the training label's mean, or the quantile that the metric is about, for every row."""
    label, (name, _, number) = task.encode(train), exposure.declared.metric.partition("@")
    if name in ("mae", "pinball"):
        return np.full(count, np.quantile(label, float(number or 0.5)))
    return np.full(count, label.mean())


def _popularity(exposure: MlExposure, task: Task, train: "pd.DataFrame", test: "pd.DataFrame") -> Scores:
    """Return how often each item was chosen in the training rows."""
    item = exposure.declared.item
    if item is None:
        raise UsageError(
            f"{exposure.where}: a ranking of items needs config.meta.item, the column of the items.", REMEDY
        )
    chosen = train.assign(_chosen=task.encode(train)).groupby(item)["_chosen"].sum()
    return np.asarray(test[item].map(chosen).fillna(0), dtype=float)
