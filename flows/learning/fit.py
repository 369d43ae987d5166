"""Training: split, search, fit, and measurement against baselines on the same rows."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import is_regressor

from flows.config.settings import command
from flows.core.errors import Finding, TooFewRows, UsageError
from flows.learning.baselines import make_baselines, score_single_features
from flows.learning.exposures import LOWER_IS_BETTER, NUMBER, RANKING, Declared, MlExposure, Split
from flows.learning.gates import find_too_good, require_features
from flows.learning.metrics import FURTHER, EvaluationRows, Measured, prepare
from flows.learning.preprocess import REMEDY, build_pipeline, make_estimator, weigh_features
from flows.learning.project import DbtProject
from flows.learning.split import Parts, split_rows
from flows.learning.task import Scores, Task
from flows.learning.training_sets import TrainingSet

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

INNER_SHARE, INNER_DRAWS, BINS = 0.25, 4, 10


@dataclass(frozen=True)
class TrainedModel:
    """A fitted pipeline, and how it did on test rows that it never saw.

    `gains` says by how much it is better than each baseline, by the declared metric, in pairs. `calibration` has a
    row for each tenth of the scores: their mean, the mean of the label, and the number of rows.
    """

    exposure: MlExposure
    training_set: TrainingSet
    task: Task
    pipeline: "Pipeline"
    params: Mapping[str, Any]
    parts: Parts
    rows: EvaluationRows
    scores: Scores
    metrics: Mapping[str, Measured]
    baselines: Mapping[str, Measured]
    gains: Mapping[str, Measured]
    calibration: tuple[tuple[float, float, int], ...]
    importances: Mapping[str, float]
    too_good: tuple[Finding, ...]
    seconds: float
    notes: tuple[str, ...] = field(default=())

    @property
    def refusals(self) -> tuple[str, ...]:
        """The reasons not to register it; empty if it may be registered."""
        metric, value = self.exposure.declared.metric, self.metrics[self.exposure.declared.metric]
        beaten = [
            f"it does not beat {name}: {metric} {value} against {self.baselines[name]}, gain {gain}"
            for name, gain in self.gains.items()
            if not gain.low > 0
        ]
        return (*beaten, *(f"{one.where}: {one.what}; it probably knows the label" for one in self.too_good))


def train_model(exposure: MlExposure, project: DbtProject, found: TrainingSet) -> TrainedModel:
    """Train a model on a training set, and measure it on the rows that the split keeps for that.

    Raises UsageError for a split, estimator or metric that does not fit the rows, GateFailed for refused features.
    """
    started, declared = time.monotonic(), exposure.declared
    frame = found.to_pandas()
    frame = frame[frame[declared.label].notna()].reset_index(drop=True)
    require_features(exposure, project, found.features, frame)
    task = Task.of(exposure, frame)
    parts = _split(exposure, found, frame, declared.split)
    _require_outcomes(exposure, task, parts)
    params, notes = _search(exposure, found, task, parts.train)
    pipeline = _fit(exposure, found, task, parts.train, params)
    scores = task.score(pipeline, parts.test)
    rows = evaluation_rows(exposure, task, parts.test)
    singles = score_single_features(exposure, task, found.features, parts.train, parts.test)
    baselines = make_baselines(exposure, task, singles, parts.train, rows, parts.test)
    metric = declared.metric
    return TrainedModel(
        exposure,
        found,
        task,
        pipeline,
        params,
        parts,
        rows,
        scores,
        {name: rows.measure(name, scores) for name in dict.fromkeys([metric, *FURTHER[task.kind]])},
        {one.name: rows.measure(metric, one.scores) for one in baselines},
        {one.name: rows.gain(metric, scores, one.scores) for one in baselines},
        calibrate(task, rows.truth, scores),
        weigh_features(pipeline),
        find_too_good(exposure, singles, task.kind),
        time.monotonic() - started,
        notes,
    )


def evaluation_rows(exposure: MlExposure, task: Task, frame: "pd.DataFrame") -> EvaluationRows:
    """Return rows to measure on; the lists of a ranking are those of one entity at one time."""
    declared = exposure.declared
    entity = [name for name in declared.entity if name in frame and name != declared.item]
    lists = [name for name in exposure.key if name in frame and name != declared.item] if task.kind == RANKING else []
    return EvaluationRows.of(task, frame, entity, lists, declared.seed)


def calibrate(task: Task, truth: np.ndarray, scores: Scores) -> tuple[tuple[float, float, int], ...]:
    """Return the mean score, the mean truth and the number of rows of each tenth; of classes, of the likeliest one."""
    if scores.ndim == 2:
        truth, scores = (scores.argmax(axis=1) == truth).astype(float), scores.max(axis=1)
    order = np.argsort(scores, kind="stable")
    tenths = [one for one in np.array_split(order, BINS) if len(one)]
    return tuple((float(scores[one].mean()), float(truth[one].mean()), len(one)) for one in tenths)


def _inner(declared: Declared) -> Split:
    """Return the split of training rows for a search: like the declared one, or by time or entity for a column."""
    if declared.split.by != "column":
        return declared.split.model_copy(update={"test": INNER_SHARE})
    if declared.time is not None:
        return Split(by="time", test=INNER_SHARE)
    return Split(by="group", group=declared.entity, test=INNER_SHARE)


def _split(
    exposure: MlExposure, found: TrainingSet, frame: "pd.DataFrame", split: Split, seed: int | None = None
) -> Parts:
    return split_rows(
        frame,
        split,
        time=exposure.declared.time,
        gap=exposure.gap,
        known_at=found.record.known_at,
        seed=exposure.declared.seed if seed is None else seed,
        name=exposure.where,
    )


def _require_outcomes(exposure: MlExposure, task: Task, parts: Parts) -> None:
    """Require both values of a label in each part: without them nothing is learned, and no metric is defined."""
    for part, rows in (("train", parts.train), ("test", parts.test)):
        if len(task.classes) == 2 and rows[task.label].nunique() < 2:
            raise TooFewRows(
                f"{exposure.where}: all {len(rows):,} {part} rows have one value of {task.label}, "
                f"{rows[task.label].iloc[0]!r}; expected both of {list(task.classes)!r}",
                f"Load more days, then: {command()} elt",
            )


def _fit(
    exposure: MlExposure, found: TrainingSet, task: Task, rows: "pd.DataFrame", params: Mapping[str, Any]
) -> "Pipeline":
    declared = exposure.declared
    estimator = make_estimator(declared.estimator, params, declared.seed, exposure.where)
    if task.kind != NUMBER and is_regressor(estimator):
        raise UsageError(
            f"{exposure.where}: {declared.estimator} predicts numbers, and {declared.metric} measures classes.", REMEDY
        )
    pipeline = build_pipeline(rows, found.features, estimator)
    try:
        return pipeline.fit(rows[list(found.features)], task.encode(rows))
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{exposure.where}: {declared.estimator} cannot be fitted with {dict(params)}: {error}", REMEDY
        ) from None


def _search(
    exposure: MlExposure, found: TrainingSet, task: Task, train: "pd.DataFrame"
) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """Try some of the declared parameters on the newest training rows, in the order of time, and return the best."""
    declared = exposure.declared
    combinations = [dict(zip(declared.search, values, strict=True)) for values in product(*declared.search.values())]
    if len(combinations) < 2:
        return {**declared.params, **combinations[0]}, ()
    tried = random.Random(declared.seed).sample(combinations, min(declared.trials, len(combinations)))
    try:
        splits = _split_again(exposure, found, task, train)
    except UsageError as error:
        note = f"{exposure.name}: no search, its inner split leaves too few rows ({error.what.rpartition(': ')[2]})"
        return dict(declared.params), (note,)
    results = []
    for one in tried:
        params = {**declared.params, **one}
        values = []
        for parts in splits:
            pipeline, rows = (
                _fit(exposure, found, task, parts.train, params),
                evaluation_rows(exposure, task, parts.test),
            )
            values.append(_better(declared.metric, rows, task.score(pipeline, parts.test)))
        results.append((float(np.mean(values)), params))
    return max(results, key=lambda result: result[0])[1], ()


def _split_again(exposure: MlExposure, found: TrainingSet, task: Task, train: "pd.DataFrame") -> list[Parts]:
    """Split training rows for a search; where they are too short for a split by time, by entity.

    Groups are drawn several times, since chance decides much where they are few. Their seeds are others than the
    declared one, by which the groups that it draws are in the test rows already.
    """

    def split_all(split: Split) -> list[Parts]:
        seeds = range(1, 1 + (INNER_DRAWS if split.by == "group" else 1))
        found_parts = [_split(exposure, found, train, split, declared.seed + one) for one in seeds]
        for parts in found_parts:
            _require_outcomes(exposure, task, parts)
        return found_parts

    declared = exposure.declared
    try:
        return split_all(_inner(declared))
    except TooFewRows:
        return split_all(Split(by="group", group=declared.entity, test=INNER_SHARE))


def _better(metric: str, rows: EvaluationRows, scores: Scores) -> float:
    value = prepare(metric, rows, scores)(np.ones(len(rows.truth)))
    return -value if metric.partition("@")[0] in LOWER_IS_BETTER else value
