"""Drift: how far the rows to score, and the scores, have moved away from those that a model was trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from flows.learning.exposures import Drift
from flows.learning.preprocess import LIST, NUMBER, kind_of
from flows.learning.split import Parts
from flows.learning.task import Scores

if TYPE_CHECKING:
    import pandas as pd

Profile = Mapping[str, Any]
"""How the values of a column are spread: shares of bins or of values, and of nulls."""

BINS, MOST_VALUES, SMALLEST = 10, 20, 1e-4
SHORTEST_TREND = 86_400.0
"""Seconds that earlier and later rows must be apart to show a trend: what moves within hours says nothing of days."""
DEVIATIONS = 3.0
"""Standard deviations of an index of unchanged values that pass as chance."""

SCORE, REALISED = "score", "realised"


@dataclass(frozen=True)
class DriftMeasure:
    """A measure of drift, its limit, and the number of rows that it was taken of."""

    subject: str
    measure: str
    value: float
    limit: float
    rows: int
    is_beyond: bool

    def __str__(self) -> str:
        return f"{self.subject}: {self.measure} {self.value:.3f}, limit {self.limit:.3f}, of {self.rows:,} rows"


@dataclass(frozen=True)
class Trend:
    """Earlier and later rows that show how features move by themselves, and the mean times of both in seconds.

    `since` is the mean time of the rows that profiles are made of, which a trend is counted from.
    """

    earlier: "pd.DataFrame"
    later: "pd.DataFrame"
    seconds: float
    since: float

    @classmethod
    def of(cls, parts: Parts, time: str | None) -> "Trend | None":
        """Take training rows and test rows of a split by time, else the older and the newer half of training rows."""
        if time is None or time not in parts.train:
            return None
        earlier, later = parts.train, parts.test
        if parts.cut is None:
            earlier, later = halve(parts.train, time)
        if later.empty:
            return None
        begin, end, since = (rows[time].mean().timestamp() for rows in (earlier, later, parts.train))
        return cls(earlier, later, end - begin, since) if end - begin >= SHORTEST_TREND else None


def halve(rows: "pd.DataFrame", time: str) -> tuple["pd.DataFrame", "pd.DataFrame"]:
    """Return the rows up to the median time, and the newer ones; all are in the first part if they have one time."""
    is_old = rows[time] <= rows[time].sort_values().iloc[(len(rows) - 1) // 2]
    return rows[is_old], rows[~is_old]


def profile_features(frame: "pd.DataFrame", features: Sequence[str], trend: Trend | None = None) -> dict[str, Profile]:
    """Return the profile of each feature; lists have none.

    With a trend, a profile also says how far each feature `moved` by itself, by its stability index.
    """
    kinds = {name: kind_of(frame[name]) for name in features}
    found = {name: _profile(frame[name], kind) for name, kind in kinds.items() if kind != LIST}
    if trend is None:
        return found
    before = {name: _profile(trend.earlier[name], kinds[name]) for name in found}
    return {
        name: {**one, "moved": stability(before[name], _like(before[name], trend.later[name]))}
        for name, one in found.items()
    }


def _profile(values: "pd.Series", kind: str) -> Profile:
    return _profile_numbers(values.to_numpy(dtype=float)) if kind == NUMBER else _profile_texts(values)


def stretch_trend(since: float, seconds: float, now: float) -> float:
    """Return how many times as far as it was seen to move a feature may have moved by now, by a stability index.

    The index grows with the square of the distance: from `since` to now, in place of `seconds`.
    """
    return max(0.0, (now - since) / seconds) ** 2 if seconds > 0 else 0.0


def profile_scores(scores: Scores, parts: Parts | None = None, time: str | None = None) -> Profile:
    """Return the profile of scores; of classes, that of the likeliest one's probability.

    Test rows that are as old as training rows show how far scores `moved` by themselves. Rows that are all new do not.
    """
    flat = scores.max(axis=1) if scores.ndim == 2 else scores
    profile = _profile_numbers(flat)
    if parts is None or parts.cut is not None or time is None or time not in parts.test:
        return profile
    is_old = parts.test.index.isin(halve(parts.test, time)[0].index)
    if is_old.all():
        return profile
    before = _profile_numbers(flat[is_old])
    return {**profile, "moved": stability(before, _shares_of(flat[~is_old], before))}


def measure_drift(
    reference: Mapping[str, Profile],
    frame: "pd.DataFrame",
    scores: Scores,
    score_profile: Profile,
    limits: Drift,
    stretch: float = 0.0,
) -> list[DriftMeasure]:
    """Compare rows and scores with the profiles of training; with too few rows nothing is beyond its limit.

    A stability index is of values that are known, since nulls have a measure of their own, and only more of them is a
    spike. Its limit is the declared one and what chance makes of so few values. A feature that moved among the rows of
    training moves on, as a count since the beginning does. The trend by now comes on top; `stretch` comes from
    `stretch_trend`. Scores may be of fewer rows.
    """
    found, count = [], len(frame)
    is_enough = count >= limits.rows
    for name, before in reference.items():
        if name in limits.leave_out:
            continue
        now = _like(before, frame[name])
        psi = stability(before, now)
        limit = limits.psi + allow_chance(before, now) + stretch * before.get("moved", 0.0)
        found.append(DriftMeasure(name, "psi", psi, limit, count, is_enough and psi > limit))
        more = 100 * (now["missing"] - before["missing"])
        is_spike = is_enough and more > limits.missing_pct
        found.append(DriftMeasure(name, "missing_pct_more", more, limits.missing_pct, count, is_spike))
    flat = scores.max(axis=1) if scores.ndim == 2 else scores
    now = _shares_of(flat, score_profile)
    psi = stability(score_profile, now)
    limit = limits.score_psi + allow_chance(score_profile, now) + stretch * score_profile.get("moved", 0.0)
    found.append(DriftMeasure(SCORE, "psi", psi, limit, len(flat), len(flat) >= limits.rows and psi > limit))
    return found


def stability(before: Profile, now: Profile) -> float:
    """Return the population stability index of the known values of two profiles with the same bins; 0 without any."""
    known = [1 - one["missing"] for one in (before, now)]
    if min(known) <= 0:
        return 0.0
    expected, actual = (
        np.clip(np.array(one["shares"]) / share, SMALLEST, None)
        for one, share in zip((before, now), known, strict=True)
    )
    return float(((actual - expected) * np.log(actual / expected)).sum())


def allow_chance(before: Profile, now: Profile) -> float:
    """Return the index that chance alone may give to values that have not changed, by their bins and their number.

    Such an index is a chi-square of bins less one, times the sum of both numbers' reciprocals.
    """
    freedom = max(len(before["shares"]) - 1, 1)
    rows = [one["rows"] * (1 - one["missing"]) for one in (before, now) if "rows" in one]
    return float((freedom + DEVIATIONS * (2 * freedom) ** 0.5) * sum(1 / max(count, 1) for count in rows))


def _profile_numbers(values: np.ndarray) -> Profile:
    known = values[np.isfinite(values)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1])) if len(known) else np.array([])
    return _shares_of(values, {"edges": edges.tolist()})


def _shares_of(values: np.ndarray, profile: Profile) -> Profile:
    """Return the shares of the bins of another profile: a value on an edge belongs to the bin above."""
    edges, known = np.array(profile["edges"], dtype=float), values[np.isfinite(values)]
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    total = max(len(values), 1)
    missing = 1 - len(known) / total
    return {"edges": edges.tolist(), "shares": (counts / total).tolist(), "missing": missing, "rows": len(values)}


def _profile_texts(values: "pd.Series") -> Profile:
    counts = values.dropna().astype(str).value_counts()
    return _shares_of_texts(values, [str(one) for one in counts.index[:MOST_VALUES]])


def _shares_of_texts(values: "pd.Series", known: Sequence[str]) -> Profile:
    """Return the shares of the known values, then that of all others."""
    counts = values.dropna().astype(str).value_counts()
    total = max(len(values), 1)
    shares = [float(counts.get(one, 0)) / total for one in known]
    missing = float(values.isna().sum()) / total
    shares.append(max(0.0, 1 - sum(shares) - missing))
    return {"values": list(known), "shares": shares, "missing": missing, "rows": len(values)}


def _like(profile: Profile, values: "pd.Series") -> Profile:
    """Return the profile of values by the bins of another."""
    if "values" in profile:
        return _shares_of_texts(values, profile["values"])
    import pandas as pd

    return _shares_of(np.asarray(pd.to_numeric(values, errors="coerce"), dtype=float), profile)
