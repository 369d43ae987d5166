"""Online learning beside the nightly batch: a linear model is fed in the order of time, and measured prequentially.

Each row is scored before its label is used. A label is used only from the time on at which it was known.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from flows.core.errors import UsageError
from flows.learning.exposures import BINARY, REMEDY
from flows.learning.fit import TrainedModel
from flows.learning.metrics import Measured
from flows.learning.preprocess import build_pipeline
from flows.learning.task import Scores

if TYPE_CHECKING:
    import pandas as pd

ROWS_A_STEP, MOST_STEPS = 50, 200
"""Rows between two updates, unless that would be more updates than these."""


@dataclass(frozen=True)
class OnlineResult:
    """Scores of the batch model's test rows by the online model, its metric, and its gain over the batch model."""

    scores: Scores
    measured: Measured
    gain: Measured
    learned_rows: int

    @property
    def note(self) -> str:
        """The result in words."""
        return f"online learning, prequentially on the same rows: {self.measured}, gain over the batch {self.gain}"


def learn_online(model: TrainedModel) -> OnlineResult:
    """Feed a stochastic-gradient classifier in the order of time, and score the test rows on the way.

    Preprocessing is that of the training rows. Raises UsageError for a label of more than two classes, or no time.
    """
    from sklearn.linear_model import SGDClassifier

    exposure, parts, time = model.exposure, model.parts, model.exposure.declared.time
    if model.task.kind != BINARY or time is None:
        raise UsageError(f"{exposure.where}: online learning needs a time and a label of two classes.", REMEDY)
    features = list(model.training_set.features)
    estimator = SGDClassifier(loss="log_loss", alpha=1e-4, average=True, random_state=exposure.declared.seed)
    encode = build_pipeline(parts.train, features, estimator)[:-1]
    encode.fit(parts.train[features])
    train = parts.train.sort_values(time, kind="stable")
    test = parts.test.reset_index(drop=True).sort_values(time, kind="stable")
    step = max(ROWS_A_STEP, -(-len(test) // MOST_STEPS))
    truth, known = model.task.encode(test), _known_at(model, test)
    for rows in _chunks(len(train), max(step, len(train) // MOST_STEPS)):
        piece = train.iloc[rows]
        estimator.partial_fit(encode.transform(piece[features]), model.task.encode(piece), classes=[0, 1])
    encoded, times = encode.transform(test[features]), test[time].to_numpy()
    scores, is_learned = np.zeros(len(test)), np.zeros(len(test), dtype=bool)
    for rows in _chunks(len(test), step):
        ready = (known <= times[rows][0]) & ~is_learned
        if ready.any():
            estimator.partial_fit(encoded[ready], truth[ready])
            is_learned |= ready
        scores[rows] = estimator.predict_proba(encoded[rows])[:, 1]
    in_order = np.empty(len(test))
    in_order[test.index.to_numpy()] = scores
    metric = exposure.declared.metric
    return OnlineResult(
        in_order,
        model.rows.measure(metric, in_order),
        model.rows.gain(metric, in_order, model.scores),
        len(train) + int(is_learned.sum()),
    )


def _known_at(model: TrainedModel, frame: "pd.DataFrame") -> np.ndarray:
    """Return when the label of each row was known: by its column, else a gap after the row's own time."""
    known_at, time = model.training_set.record.known_at, model.exposure.declared.time
    gap = timedelta(seconds=model.training_set.record.gap)
    return np.asarray(frame[known_at] if known_at is not None else frame[time] + gap)


def _chunks(count: int, size: int) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, max(size, 1))]
