"""Metrics with intervals, by a seeded bootstrap of entities; the resamples are equal for all scores of the rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from flows.learning.exposures import BINARY, CLASSES, LOWER_IS_BETTER, NUMBER, RANKING
from flows.learning.task import Scores, Task

if TYPE_CHECKING:
    import pandas as pd

Measure = Callable[[np.ndarray], float]
"""A metric of fixed truths and scores, for weights of the rows."""

RESAMPLES, MOST_WEIGHTS = 200, 40_000_000
CONFIDENCE = (2.5, 97.5)
SMALLEST = 1e-15
FIRST, QUANTILE = 10.0, 0.5
"""How many of a ranking count, and the quantile of the pinball loss, if the metric does not say it."""

FURTHER = {
    BINARY: ("roc_auc", "average_precision", "log_loss", "brier"),
    CLASSES: ("accuracy", "macro_f1", "log_loss"),
    NUMBER: ("rmse", "mae"),
    RANKING: ("ndcg@10", "recall@10"),
}
"""The metrics that each kind of task is measured by, besides the declared one."""


@dataclass(frozen=True)
class Measured:
    """A value with the interval that holds 95 % of its resamples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


@dataclass(frozen=True)
class EvaluationRows:
    """Rows to measure on: their truths, the rows of one entity together, and the lists that are ranked, as codes."""

    task: Task
    truth: np.ndarray
    entities: np.ndarray
    lists: np.ndarray
    seed: int

    @classmethod
    def of(
        cls, task: Task, frame: "pd.DataFrame", entity: Sequence[str], lists: Sequence[str], seed: int
    ) -> "EvaluationRows":
        """Take the rows of a frame."""
        return cls(task, task.encode(frame), _codes(frame, entity), _codes(frame, lists), seed)

    def measure(self, metric: str, scores: Scores) -> Measured:
        """Return a metric with its interval."""
        measure = prepare(metric, self, scores)
        return _summarise(measure(np.ones(len(self.truth))), [measure(weights) for weights in self._resamples()])

    def gain(self, metric: str, scores: Scores, other: Scores) -> Measured:
        """Return how much better some scores are than others, with the interval of the paired difference."""
        sign = -1 if metric.partition("@")[0] in LOWER_IS_BETTER else 1
        ours, theirs = prepare(metric, self, scores), prepare(metric, self, other)

        def difference(weights: np.ndarray) -> float:
            return sign * (ours(weights) - theirs(weights))

        return _summarise(difference(np.ones(len(self.truth))), [difference(one) for one in self._resamples()])

    def _resamples(self) -> list[np.ndarray]:
        """Return weights of rows, as if as many entities had been drawn again, with repetition."""
        chance = np.random.default_rng(self.seed)
        count = int(self.entities.max()) + 1
        number = int(min(RESAMPLES, max(20, MOST_WEIGHTS // max(len(self.truth), 1))))
        drawn = (np.bincount(chance.integers(0, count, count), minlength=count) for _ in range(number))
        return [one[self.entities].astype(float) for one in drawn]


def prepare(metric: str, rows: EvaluationRows, scores: Scores) -> Measure:
    """Return a metric of these rows and scores, as a function of weights."""
    name, _, number = metric.partition("@")
    truth = rows.truth
    match name:
        case "roc_auc":
            return _by_threshold(truth, scores, _auc)
        case "average_precision":
            return _by_threshold(truth, scores, _precision)
        case "brier":
            return _mean((scores - truth) ** 2)
        case "log_loss":
            likely = np.where(truth == 1, scores, 1 - scores) if scores.ndim == 1 else _of_truth(truth, scores)
            return _mean(-np.log(np.clip(likely, SMALLEST, 1)))
        case "accuracy":
            return _mean((_decide(scores) == truth).astype(float))
        case "macro_f1":
            return _f1(truth, _decide(scores))
        case "mae":
            return _mean(np.abs(scores - truth))
        case "pinball":
            quantile = float(number or QUANTILE)
            return _mean(np.maximum(quantile * (truth - scores), (quantile - 1) * (truth - scores)))
        case "rmse":
            squares = _mean((scores - truth) ** 2)
            return lambda weights: float(np.sqrt(squares(weights)))
        case _:
            return _by_list(name, rows, scores, int(float(number or FIRST)))


def _summarise(value: float, resamples: Sequence[float]) -> Measured:
    found = np.array([one for one in resamples if np.isfinite(one)])
    low, high = np.percentile(found, CONFIDENCE) if len(found) else (np.nan, np.nan)
    return Measured(float(value), float(low), float(high))


def _codes(frame: "pd.DataFrame", columns: Sequence[str]) -> np.ndarray:
    if not columns:
        return np.arange(len(frame))
    return np.asarray(frame.groupby(list(columns), dropna=False, sort=False).ngroup())


def _mean(losses: np.ndarray) -> Measure:
    return lambda weights: float(np.average(losses, weights=weights)) if weights.sum() else float("nan")


def _of_truth(truth: np.ndarray, scores: Scores) -> np.ndarray:
    """Return the probability of each row's true class; 0 for a class that no score knows."""
    return np.where(truth >= 0, scores[np.arange(len(truth)), np.maximum(truth, 0)], 0)


def _decide(scores: Scores) -> np.ndarray:
    return scores.argmax(axis=1) if scores.ndim == 2 else (scores >= 0.5).astype(int)


def _by_threshold(truth: np.ndarray, scores: Scores, curve: Callable[[np.ndarray, np.ndarray], float]) -> Measure:
    """Return a metric of positives and negatives by distinct score, the highest first."""
    distinct, place = np.unique(-scores, return_inverse=True)

    def measure(weights: np.ndarray) -> float:
        positives = np.bincount(place, weights * truth, len(distinct))
        negatives = np.bincount(place, weights * (1 - truth), len(distinct))
        if not positives.sum() or not negatives.sum():
            return float("nan")
        return curve(positives, negatives)

    return measure


def _auc(positives: np.ndarray, negatives: np.ndarray) -> float:
    below = negatives.sum() - np.cumsum(negatives)
    return float((positives * (below + negatives / 2)).sum() / (positives.sum() * negatives.sum()))


def _precision(positives: np.ndarray, negatives: np.ndarray) -> float:
    caught, flagged = np.cumsum(positives), np.cumsum(positives + negatives)
    precision = np.divide(caught, flagged, out=np.zeros_like(caught), where=flagged > 0)
    return float((positives * precision).sum() / positives.sum())


def _f1(truth: np.ndarray, decided: np.ndarray) -> Measure:
    classes = np.unique(truth)

    def measure(weights: np.ndarray) -> float:
        found = []
        for one in classes:
            hits = weights[(truth == one) & (decided == one)].sum()
            total = weights[truth == one].sum() + weights[decided == one].sum()
            found.append(2 * hits / total if total else 0.0)
        return float(np.mean(found))

    return measure


def _by_list(name: str, rows: EvaluationRows, scores: Scores, first: int) -> Measure:
    """Return a metric of ranked lists: each list with a hit counts once; of equal scores, chance decides the order."""
    chance = np.random.default_rng(rows.seed).random(len(scores))
    order = np.lexsort((chance, -scores, rows.lists))
    lists, truth = rows.lists[order], rows.truth[order]
    starts = np.flatnonzero(np.r_[True, lists[1:] != lists[:-1]])
    rank = np.arange(len(lists)) - np.repeat(starts, np.diff(np.r_[starts, len(lists)]))
    hits = np.add.reduceat(truth, starts)
    if name == "recall":
        values = np.add.reduceat(truth * (rank < first), starts) / np.maximum(hits, 1)
    else:
        discount = np.where(rank < first, 1 / np.log2(rank + 2), 0)
        best = np.cumsum(1 / np.log2(np.arange(first) + 2))
        values = np.add.reduceat(truth * discount, starts) / best[np.clip(hits, 1, first) - 1]
    place = order[starts]

    def measure(weights: np.ndarray) -> float:
        counted = weights[place] * (hits > 0)
        return float((values * counted).sum() / counted.sum()) if counted.sum() else float("nan")

    return measure
