"""The generator's own probabilities fit the labels, and each model comes between its baselines and them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np
import pytest

from demo.best import Recovery, compute_odds, measure_recovery
from demo.pharmacy import compute_truth
from flows.config.settings import DataFolder
from flows.core.errors import UsageError
from flows.learning.exposures import BINARY, CLASSES, NUMBER, RANKING, MlExposure, read_exposures
from flows.learning.project import DbtProject
from flows.learning.training_sets import make_training_set

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures"]
pytestmark = pytest.mark.slow

MODELS = (
    "customer_churn", "customer_value", "loan_default", "next_purchase", "payment_fraud", "product_category",
    "product_demand", "review_sentiment", "unit_failure",
)  # fmt: skip

LEAST_POSITIVES = 10


@pytest.fixture(scope="module")
def made(pharmacy: "Pharmacy") -> Iterator[duckdb.DuckDBPyConnection]:
    with compute_truth(pharmacy.folder / "source") as connection:
        yield connection


@pytest.fixture(scope="module")
def folder(pharmacy: "Pharmacy", tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """The pharmacy's releases, and a lake of their own for training sets."""
    place = tmp_path_factory.mktemp("trained") / "demo"
    place.mkdir()
    for name in ("releases", "target", "warehouse.duckdb"):
        (place / name).symlink_to((pharmacy.folder / name).resolve())
    return DataFolder(place)


def exposures(folder: DataFolder) -> dict[str, MlExposure]:
    return {one.name: one for one in read_exposures(DbtProject.read(folder))}


def recover(made: duckdb.DuckDBPyConnection, folder: DataFolder, name: str) -> Recovery:
    project, exposure = DbtProject.read(folder), exposures(folder)[name]
    make_training_set(folder, project, exposure)
    return measure_recovery(made, folder, project, exposure)


@pytest.mark.parametrize("name", MODELS)
def test_the_generators_own_probabilities_fit_the_labels_and_no_model_is_better(
    made: duckdb.DuckDBPyConnection, folder: DataFolder, name: str
) -> None:
    # Given a model, and the generator's own probabilities of the same rows
    found = recover(made, folder, name)
    truth, odds, kind = found.model.rows.truth, found.odds, found.model.task.kind

    # Then these are as high as the labels are frequent; a median of demand is below the mean
    if kind == CLASSES:
        assert np.allclose(odds.sum(axis=1), 1)
        assert odds.max(axis=1).mean() == pytest.approx((odds.argmax(axis=1) == truth).mean(), abs=0.15)
    elif kind in (BINARY, RANKING):
        assert odds.min() >= 0
        assert odds.max() <= 1
        assert odds.mean() == pytest.approx(truth.mean(), rel=0.25, abs=0.02)
    elif kind == NUMBER:
        assert odds.mean() == pytest.approx(truth.mean(), rel=0.25)

    # And the model is not better beyond what chance explains; an interval of a few frauds says nothing
    few = kind == BINARY and truth.sum() < LEAST_POSITIVES
    assert few or not found.model.rows.gain(found.metric, found.model.scores, odds).low > 0


def test_a_model_that_was_never_trained_or_has_no_truth_says_so(
    made: duckdb.DuckDBPyConnection, folder: DataFolder, tmp_path: Path
) -> None:
    exposure = exposures(folder)["customer_churn"]
    with pytest.raises(UsageError, match="customer_churn has no training set yet"):
        measure_recovery(made, DataFolder(tmp_path), DbtProject.read(folder), exposure)
    found = recover(made, folder, "review_sentiment").model
    other = replace(found.exposure, name="another")
    with pytest.raises(UsageError, match="plants no truth for another"):
        compute_odds(made, other, found.task, found.parts.test)
