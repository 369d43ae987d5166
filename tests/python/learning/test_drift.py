"""A feature that grows by itself is no drift; one that leaves its trend, or moves without one, is."""

import numpy as np
import pandas as pd
import pytest

from flows.learning.drift import Trend, measure_drift, profile_features, profile_scores, stretch_trend
from flows.learning.exposures import Drift
from flows.learning.split import Parts

ROWS, FEATURES = 2000, ("months_since_start", "visits", "plan")


def rows(month: float, *, visits: float = 6, plus: float = 0.5, seed: int = 1) -> pd.DataFrame:
    """Return rows of the months around one: members since the beginning, with visits that do not change."""
    chance = np.random.default_rng([seed, int(month)])
    return pd.DataFrame(
        {
            "as_of": pd.Timestamp("2025-01-01") + pd.Timedelta(days=30 * month),
            "months_since_start": month + chance.normal(0, 4, ROWS),
            "visits": chance.poisson(visits, ROWS),
            "plan": np.where(chance.random(ROWS) < plus, "plus", "basic"),
        }
    )


def beyond(now: pd.DataFrame, *, has_trend: bool = True) -> set[str]:
    """Return the features beyond their limits, for training rows of month 4 and test rows of month 8."""
    train, test, scores = rows(4), rows(8), np.linspace(0, 1, ROWS)
    trend = Trend.of(Parts(train, test, 0, cut=test["as_of"].min()), "as_of") if has_trend else None
    profiles = profile_features(train, FEATURES, trend)
    stretch = stretch_trend(trend.since, trend.seconds, now["as_of"].mean().timestamp()) if trend else 0
    found = measure_drift(profiles, now, scores, profile_scores(scores), Drift(), stretch)
    return {one.subject for one in found if one.is_beyond}


@pytest.mark.parametrize("month", [9, 11, 14])
def test_a_feature_that_grows_by_itself_is_no_drift(month: int) -> None:
    assert beyond(rows(month)) == set()
    assert beyond(rows(month), has_trend=False) == {"months_since_start"}


def test_a_feature_that_leaves_its_trend_is_drift() -> None:
    jumped = rows(11).assign(months_since_start=rows(24)["months_since_start"])
    assert beyond(jumped) == {"months_since_start"}


def test_a_feature_without_a_trend_has_the_declared_limit() -> None:
    assert beyond(rows(11, visits=12)) == {"visits"}
    assert beyond(rows(11, plus=0.95)) == {"plan"}


def test_rows_of_a_split_by_group_show_their_trend_by_their_halves() -> None:
    """Older loans have paid back more, and are scored lower, though test rows are as old as training rows."""
    parts = Parts(pd.concat([rows(2), rows(6)]), pd.concat([rows(2, seed=2), rows(6, seed=2)], ignore_index=True), 0)
    scores = -parts.test["months_since_start"].to_numpy(dtype=float)
    trend = Trend.of(parts, "as_of")
    assert trend is not None
    now, later = rows(10), -rows(10)["months_since_start"].to_numpy(dtype=float)
    stretch = stretch_trend(trend.since, trend.seconds, now["as_of"].mean().timestamp())
    assert stretch == pytest.approx(2.25)
    profiles, by_score = profile_features(parts.train, FEATURES, trend), profile_scores(scores, parts, "as_of")
    assert not [one for one in measure_drift(profiles, now, later, by_score, Drift(), stretch) if one.is_beyond]
    steady = measure_drift(profile_features(parts.train, FEATURES), now, later, profile_scores(scores), Drift())
    assert {one.subject for one in steady if one.is_beyond} == {"months_since_start", "score"}


def test_rows_that_are_not_newer_have_no_trend() -> None:
    assert stretch_trend(4, 4, 8) == 1
    assert stretch_trend(4, 4, 12) == 4
    assert stretch_trend(4, 4, 2) == 0
    assert stretch_trend(8, 0, 12) == 0
    assert Trend.of(Parts(rows(4), rows(4), 0), "as_of") is None
    assert Trend.of(Parts(rows(4), rows(8), 0), None) is None


def test_features_that_are_left_out_by_name_are_not_measured() -> None:
    scores, now = np.linspace(0, 1, ROWS), rows(4, visits=12)
    profiles = profile_features(rows(4), FEATURES)
    found = measure_drift(profiles, now, scores, profile_scores(scores), Drift(leave_out="visits"))
    assert {one.subject for one in found} == {"months_since_start", "plan", "score"}
    assert not [one for one in found if one.is_beyond]


def measured(train: pd.Series, now: pd.Series) -> dict[str, float]:
    """Return the measures that are beyond their limits of one feature, by their names."""
    profiles = profile_features(train.to_frame("feature"), ["feature"])
    scores = np.linspace(0, 1, ROWS)
    found = measure_drift(profiles, now.to_frame("feature"), scores, profile_scores(scores), Drift())
    return {one.measure: one.value for one in found if one.is_beyond}


def test_values_that_were_not_known_yet_in_training_are_no_drift() -> None:
    """A first load shows the last state alone: earlier rows lack it, and those of today never do."""
    plans, visits = rows(4)["plan"], rows(4)["visits"]
    few = np.arange(ROWS) % 4 == 0
    assert measured(plans.where(few), plans) == {}
    assert measured(visits.where(few), visits) == {}
    assert measured(visits.where(visits < 0), visits) == {}


def test_more_nulls_are_a_spike_and_a_value_in_their_place_is_drift() -> None:
    visits = rows(4)["visits"]
    few = np.arange(ROWS) % 4 == 0
    assert measured(visits, visits.where(few)).keys() == {"missing_pct_more"}
    assert measured(visits.where(~few), visits.where(~few, 0)).keys() == {"psi"}


def test_a_few_rows_of_many_values_differ_by_chance() -> None:
    """An index of 21 values in 100 rows has the mean 0.2 though nothing changed."""
    beyond_by_chance = 0
    for seed in range(50):
        chance = np.random.default_rng(seed)
        train, now = (pd.Series(chance.integers(0, 21, number).astype(str)) for number in (20_000, 100))
        beyond_by_chance += measured(train, now) != {}
    assert beyond_by_chance == 0
    assert measured(rows(4)["visits"], rows(4, visits=12)["visits"].head(100)).keys() == {"psi"}


def test_rows_of_one_moment_show_no_trend() -> None:
    """Rows that arrived in one load differ by parts of a second; stretched to a day, every limit would be endless."""
    times = pd.Timestamp("2025-01-01") + pd.to_timedelta(np.arange(ROWS), unit="ms")
    parts = Parts(rows(4).assign(as_of=times), rows(4), 0)
    assert Trend.of(parts, "as_of") is None
