"""The task of a model: which values its label has, and the form of its scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.core.errors import TooFewRows, UsageError
from flows.learning.exposures import BINARY, CLASSES, METRICS, NUMBER, RANKING, MlExposure

if TYPE_CHECKING:
    import pandas as pd

Scores = np.ndarray
"""Probabilities of the positive class, one column a class, or predicted numbers."""

MOST_CLASSES = 200


@dataclass(frozen=True)
class Task:
    """A kind of task, the label's classes in order (the second of two is the positive one), and the label's column."""

    kind: str
    label: str
    classes: tuple[Any, ...] = ()

    @classmethod
    def of(cls, exposure: MlExposure, frame: "pd.DataFrame") -> "Task":
        """Find the task from the metric and the label's values; raises UsageError if they do not fit."""
        declared = exposure.declared
        kinds, label = METRICS[declared.metric.partition("@")[0]], frame[declared.label]
        if NUMBER in kinds:
            if label.dtype == object:
                raise _misfit(exposure, "is text; expected a number")
            return cls(NUMBER, declared.label)
        classes = tuple(sorted(label.dropna().unique().tolist()))
        if len(classes) < 2:
            what = f"has one value alone, {classes[0]!r}" if classes else "has no value"
            raise _misfit(exposure, what, TooFewRows)
        if len(classes) > MOST_CLASSES:
            raise _misfit(exposure, f"has {len(classes):,} values; expected {MOST_CLASSES} classes at most")
        if len(classes) == 2 and kinds != (RANKING,):
            return cls(BINARY, declared.label, classes)
        if CLASSES in kinds:
            return cls(CLASSES, declared.label, classes)
        if len(classes) > 2:
            raise _misfit(exposure, f"has {len(classes)} values; expected 2")
        return cls(RANKING, declared.label, classes)

    def encode(self, frame: "pd.DataFrame") -> np.ndarray:
        """Return the label as numbers: the class's place, or the number itself."""
        if self.kind == NUMBER:
            return np.asarray(frame[self.label], dtype=float)
        places = {value: place for place, value in enumerate(self.classes)}
        return np.array([places.get(value, -1) for value in frame[self.label]], dtype=int)

    def score(self, pipeline: Any, frame: "pd.DataFrame") -> Scores:
        """Return a fitted pipeline's scores; a class that it was not trained on has the probability 0."""
        if self.kind == NUMBER:
            return np.asarray(pipeline.predict(frame), dtype=float)
        if not hasattr(pipeline, "predict_proba"):
            decided = np.asarray(pipeline.decision_function(frame), dtype=float)
            return np.asarray(1 / (1 + np.exp(-np.clip(decided, -50, 50))))
        found = np.asarray(pipeline.predict_proba(frame), dtype=float)
        places: Sequence[int] = [int(place) for place in pipeline.classes_]
        every = np.zeros((len(frame), len(self.classes)))
        every[:, places] = found
        return every if self.kind == CLASSES else every[:, 1]

    def predict(self, scores: Scores) -> list[Any]:
        """Return the predicted class or number of each row."""
        if self.kind == CLASSES:
            return [self.classes[place] for place in scores.argmax(axis=1)]
        if self.kind == NUMBER:
            return [float(one) for one in scores]
        return [self.classes[int(one >= 0.5)] for one in scores]


def _misfit(exposure: MlExposure, what: str, kind: type[UsageError] = UsageError) -> UsageError:
    return kind(
        f"{exposure.where}: the label {exposure.declared.label} {what}, for the metric {exposure.declared.metric}.",
        "Declare another metric or label, or load more days.",
    )
