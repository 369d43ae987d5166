"""Splits of a training set: test rows are newer than training rows by a gap, or are those of other groups."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from flows.core.errors import TooFewRows, UsageError
from flows.learning.exposures import Split

if TYPE_CHECKING:
    import pandas as pd

TRAIN, TEST = "train", "test"
FEWEST = 10
"""Rows that each part needs at least."""

REMEDY = "Load more days, or declare another `split` or a shorter horizon of the label."


@dataclass(frozen=True)
class Parts:
    """Training rows and test rows, and the number of rows between them that neither part has.

    `cut` is the time of the first test row, if the split is by time.
    """

    train: "pd.DataFrame"
    test: "pd.DataFrame"
    left_out: int
    cut: "pd.Timestamp | None" = None


def split_rows(
    frame: "pd.DataFrame",
    split: Split,
    *,
    time: str | None,
    gap: timedelta,
    known_at: str | None,
    seed: int,
    name: str,
) -> Parts:
    """Split rows as declared; raises UsageError if a part has too few rows.

    By time, the newest rows are test rows. A training row is older than the first of them by the gap at least, so its
    label was known by then. If there is a column `known_at`, that lies before the first test row too. With groups, no
    group has rows in both parts.
    """
    cut = None
    if split.by == "column":
        _require(name, "split.column", split.column, frame)
        is_test = (frame[split.column] == TEST).to_numpy()
        is_train = (frame[split.column] == TRAIN).to_numpy()
    elif split.by == "group":
        is_test = _is_drawn(frame, split.group, split.test, seed, name)
        is_train = ~is_test
    else:
        _require(name, "time", time, frame)
        assert time is not None, "it was just required"
        cut = _find_cut(frame[time], split.test)
        is_test = (frame[time] >= cut).to_numpy()
        is_train = (frame[time] + gap <= cut).to_numpy() & ~is_test
        if known_at is not None and known_at in frame:
            is_train = is_train & (frame[known_at] <= cut).to_numpy()
        if split.group:
            is_held_out = _is_drawn(frame, split.group, 0.5, seed, name)
            is_test, is_train = is_test & is_held_out, is_train & ~is_held_out
    parts = Parts(frame[is_train], frame[is_test], int((~is_train & ~is_test).sum()), cut)
    for part, rows in ((TRAIN, parts.train), (TEST, parts.test)):
        if len(rows) < FEWEST:
            about = f", with a gap of {gap} before {cut}" if cut is not None else ""
            raise TooFewRows(
                f"{name}: the split leaves {len(rows)} {part} rows of {len(frame):,}{about}; "
                f"{FEWEST} are needed at least.",
                REMEDY,
            )
    return parts


def _find_cut(times: "pd.Series", share: float) -> "pd.Timestamp":
    """Return the time from which on rows are test rows: of all times, that which comes nearest to the share."""
    counts = times.value_counts().sort_index(ascending=False)
    reached = counts.cumsum().to_numpy() / counts.sum()
    return counts.index[int(np.argmin(np.abs(reached - share)))]


def _is_drawn(frame: "pd.DataFrame", group: Sequence[str], share: float, seed: int, name: str) -> np.ndarray:
    """Draw a share of the groups by a hash of their values, so that a group is drawn in each later run too."""
    for column in group:
        _require(name, "split.group", column, frame)
    texts = frame[list(group)].astype(str).agg("\x1f".join, axis=1)
    drawn = {text: _fraction(f"{seed}:{text}") < share for text in texts.unique()}
    return np.asarray(texts.map(drawn), dtype=bool)


def _fraction(text: str) -> float:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64


def _require(name: str, key: str, column: str | None, frame: "pd.DataFrame") -> None:
    if column is None or column not in frame:
        raise UsageError(
            f"{name}: config.meta.{key} is {column!r}, which is no column of the training set.",
            f"Name one of {', '.join(map(str, frame.columns[:20]))}.",
        )
