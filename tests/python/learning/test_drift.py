"""A feature that grows by itself is no drift; one that leaves its trend, or moves without one, is."""

import numpy as np
import pandas as pd
import pytest

from flows.learning.drift import measure_drift, profile_features, profile_scores, stretch_trend
from flows.learning.exposures import Drift

ROWS, FEATURES = 2000, ("months_since_start", "visits", "plan")


def rows(month: float, *, visits: float = 6, plus: float = 0.5, seed: int = 1) -> pd.DataFrame:
    """Return rows of the months around one: members since the beginning, with visits that do not change."""
    chance = np.random.default_rng([seed, int(month)])
    return pd.DataFrame(
        {
            "as_of": month,
            "months_since_start": month + chance.normal(0, 4, ROWS),
            "visits": chance.poisson(visits, ROWS),
            "plan": np.where(chance.random(ROWS) < plus, "plus", "basic"),
        }
    )


def beyond(now: pd.DataFrame, *, has_trend: bool = True) -> set[str]:
    """Return the features beyond their limits, for training rows of month 4 and test rows of month 8."""
    train, test, scores = rows(4), rows(8), np.linspace(0, 1, ROWS)
    profiles = profile_features(train, FEATURES, test if has_trend else None)
    stretch = stretch_trend(4, 8, now["as_of"].mean())
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


def test_rows_that_are_not_newer_have_no_trend() -> None:
    assert stretch_trend(4, 8, 8) == 1
    assert stretch_trend(4, 8, 12) == 4
    assert stretch_trend(4, 8, 2) == 0
    assert stretch_trend(8, 8, 12) == 0
