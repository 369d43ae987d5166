"""A model is trained on rows that are older by the horizon, measured with intervals, and must beat naive baselines."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, ndcg_score, roc_auc_score
from support.gym import Gym, make_gym, make_members

from flows.core.errors import GateFailed, TooFewRows, UsageError
from flows.learning.fit import TrainedModel, train_model
from flows.learning.metrics import EvaluationRows, prepare
from flows.learning.task import Task
from flows.learning.training_sets import make_training_set


@pytest.fixture
def gym(tmp_path: Path) -> Gym:
    return make_gym(tmp_path)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Gym:
    """A gym with a release of a year, for all tests that declare something else of the same rows."""
    gym = make_gym(tmp_path_factory.mktemp("published"))
    members = make_members()
    gym.publish(members.assign(fold=np.where(members["member_id"] < "0050", "test", "train")))
    return gym


@pytest.fixture
def year(published: Gym) -> Gym:
    """The published gym, with a declaration of its own."""
    return Gym(published.folder)


def trained(gym: Gym, members: pd.DataFrame | None = None) -> TrainedModel:
    """Train on the release, or on one of these members."""
    if members is not None:
        gym.publish(members)
    made = make_training_set(gym.folder, gym.project, gym.exposure)
    return train_model(gym.exposure, gym.project, made)


def test_a_planted_signal_is_recovered_and_beats_the_baselines(year: Gym) -> None:
    year.declare(search={"num_leaves": [3, 7], "learning_rate": [0.05, 0.1]}, trials=2)
    model = trained(year)
    auc = model.metrics["roc_auc"]
    assert model.refusals == ()
    assert auc.low < auc.value < auc.high
    assert auc.value > 0.75
    assert set(model.baselines) == {"majority", "visits_30d alone"}
    assert model.gains["visits_30d alone"].low > 0
    assert next(iter(model.importances)) == "visits_30d"
    assert sum(model.importances.values()) == pytest.approx(1)
    assert model.params["num_leaves"] in (3, 7)
    assert sum(count for *_, count in model.calibration) == len(model.parts.test)
    again = train_model(year.exposure, year.project, model.training_set)
    assert np.array_equal(again.scores, model.scores)


SPLITS: list[dict[str, object]] = [
    {"by": "time"},
    {"by": "group", "group": ["member_id"], "test": "30%"},
    {"by": "time", "group": ["member_id"]},
    {"by": "column", "column": "fold"},
]


@pytest.mark.parametrize("split", SPLITS, ids=lambda split: "-".join(map(str, split)))
def test_a_search_has_rows_of_its_own_whatever_the_split(year: Gym, split: dict[str, object]) -> None:
    """The worse of two parameters is found by training rows alone."""
    year.declare(split=split, search={"num_leaves": [2, 7]}, params={"n_estimators": 1})
    model = trained(year)
    assert model.notes == ()
    assert model.params["num_leaves"] == 7


def test_a_search_compares_entities_where_the_training_rows_are_too_short_for_a_split_by_time(gym: Gym) -> None:
    """A gap of five months leaves months enough for one split, and not for a second one within its training rows."""
    gym.declare(split={"gap": "150d"}, search={"num_leaves": [2, 7]}, params={"n_estimators": 1})
    model = trained(gym, make_members(9))
    assert model.notes == ()
    assert model.params["num_leaves"] == 7


def test_noise_does_not_beat_the_baselines_and_says_so(gym: Gym) -> None:
    members = make_members()
    members["has_left"] = np.random.default_rng(5).random(len(members)) < 0.4
    model = trained(gym, members)
    assert any("does not beat" in reason for reason in model.refusals)


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_part_with_one_outcome_says_so(gym: Gym, part: str) -> None:
    """Without it, each metric would be no number."""
    members = make_members()
    months = members["as_of"].rank(method="dense")
    members.loc[months >= 7 if part == "test" else months < months.max(), "has_left"] = False
    with pytest.raises(TooFewRows, match=rf"all .* {part} rows have one value of has_left, .*; expected both of"):
        trained(gym, members)


def test_encoders_see_training_rows_alone(gym: Gym) -> None:
    members = make_members()
    newest = members["as_of"] == members["as_of"].max()
    members.loc[newest, "plan"] = "a plan that came later"
    members.loc[newest, "visits_30d"] = 10**9
    model = trained(gym, members)
    encoder = model.pipeline.named_steps["encode"].named_transformers_["texts"]
    assert "a plan that came later" not in {one for found in encoder.categories_ for one in found}


@pytest.mark.parametrize(
    "estimator",
    [
        "sklearn.linear_model.LogisticRegression",
        "sklearn.ensemble.HistGradientBoostingClassifier",
        "sklearn.svm.LinearSVC",
    ],
)
def test_any_class_of_scikit_learn_can_be_named(year: Gym, estimator: str) -> None:
    year.declare(estimator=estimator, params={})
    model = trained(year)
    assert model.metrics["roc_auc"].value > 0.7


def test_a_leak_put_in_on_purpose_is_caught_and_can_be_allowed_by_name(gym: Gym) -> None:
    members = make_members()
    noise = np.random.default_rng(2).random(len(members)) < 0.01
    members["closed_account"] = (members["has_left"] ^ noise).astype(int)
    gym.extra = ("closed_account",)
    model = trained(gym, members)
    (reason,) = model.refusals
    assert "closed_account: alone it predicts has_left with 0.9" in reason
    gym.declare(allow={"closed_account": "known at the desk on that day"})
    assert train_model(gym.exposure, gym.project, model.training_set).refusals == ()


def test_identifiers_personal_columns_and_times_are_refused_by_name(gym: Gym) -> None:
    members = make_members(6)
    members["card_id"] = 7
    members["nickname"] = [f"nick {n}" for n in range(len(members))]
    members["last_visit_at"] = members["as_of"]
    gym.extra, gym.classes = ("card_id", "nickname", "last_visit_at", "town"), {"town": "city"}
    with pytest.raises(GateFailed) as failed:
        trained(gym, members.assign(town="Graz"))
    assert {one.where for one in failed.value.findings} == {"card_id", "nickname", "last_visit_at", "town"}
    gym.declare(leave_out=["card_id", "nickname", "last_visit_at"], allow={"town": "the gym's own town"})
    assert trained(gym, members.assign(town="Graz")).metrics["roc_auc"].value > 0.6


def test_a_declared_feature_that_passes_on_a_personal_column_is_personal(gym: Gym) -> None:
    manifest = gym.manifest
    meta = {"features": {"entity": ["member_id"], "values": {"home": {"agg": "last", "of": "town"}}}}
    node = {"name": "fct_visits", "resource_type": "model", "depends_on": {"nodes": []}, "config": {"meta": meta}}
    node["columns"] = {"town": {"config": {"meta": {"pii": "city"}}}}
    manifest["nodes"]["model.gym.fct_visits"] = node
    assert type(gym.project).of(manifest).personal_columns() == {"town": "city", "member__home": "city"}


MISTAKES: list[tuple[dict[str, object], str]] = [
    ({"metrics": "x"}, r"models/_exposures.yml: exposure member_leaving: config.meta has the key metrics \(did"),
    ({"metric": "roc_acu"}, r"config.meta.metric is 'roc_acu' \(did you mean roc_auc\?\)"),
    ({"label": "has_lef"}, r"label is 'has_lef', which train_member_leaving does not have. Did you mean has_left"),
    ({"estimator": "LGBM"}, "config.meta.estimator is 'LGBM'; write the dotted path"),
    ({"split": {"by": "tim"}}, "config.meta.split.by is 'tim'; write"),
    ({"split": {"test": "200%"}}, "config.meta.split.test is '200%'; write a share"),
    ({"split": {"gap": "60 days"}}, "config.meta.split.gap is '60 days'; write a number and a unit"),
    ({"leave_out": ["visit_30d"]}, "names the feature 'visit_30d', which train_member_leaving does not have. Did"),
    ({"estimator": "lightgbm.LGBMClasifier"}, "no estimator 'LGBMClasifier'. Did you mean LGBMClassifier"),
    ({"estimator": "nowhere.Model"}, "estimator nowhere.Model cannot be imported"),
    ({"estimator": "sklearn.linear_model.LogisticRegression", "params": {"c": 1}}, "no parameter 'c'"),
    ({"estimator": "lightgbm.LGBMRegressor"}, "predicts numbers, and roc_auc measures classes"),
    ({"baseline": "recencie"}, "config.meta.baseline is 'recencie', which is no baseline"),
    ({"metric": "ndcg@10"}, "needs config.meta.item"),
    ({"split": {"gap": "9000d"}}, "the split leaves 0 train rows of 1,800"),
]


@pytest.mark.parametrize(("declared", "message"), MISTAKES)
def test_mistakes_name_file_exposure_key_and_value(year: Gym, declared: dict[str, object], message: str) -> None:
    year.declare(**declared)
    with pytest.raises(UsageError, match=message):
        trained(year)


def rows_of(task: Task, truth: np.ndarray, lists: np.ndarray | None = None) -> EvaluationRows:
    return EvaluationRows(task, truth, np.arange(len(truth)), np.arange(len(truth)) if lists is None else lists, 1)


def test_weighted_metrics_equal_those_of_scikit_learn() -> None:
    chance = np.random.default_rng(3)
    truth = chance.integers(0, 2, 500)
    scores = np.clip((truth + chance.normal(0, 1, 500)).round(1) / 4 + 0.4, 0.01, 0.99)
    weights = chance.integers(0, 4, 500).astype(float)
    rows = rows_of(Task("binary", "label", (0, 1)), truth)
    for name, reference in {
        "roc_auc": roc_auc_score(truth, scores, sample_weight=weights),
        "average_precision": average_precision_score(truth, scores, sample_weight=weights),
        "brier": brier_score_loss(truth, scores, sample_weight=weights),
        "log_loss": log_loss(truth, scores, sample_weight=weights),
    }.items():
        assert prepare(name, rows, scores)(weights) == pytest.approx(reference)


def test_rankings_equal_those_of_scikit_learn() -> None:
    chance = np.random.default_rng(4)
    truth, scores = chance.integers(0, 2, (40, 12)), chance.random((40, 12))
    truth[:, 0] |= truth.sum(axis=1) == 0
    rows = rows_of(Task("ranking", "label", (0, 1)), truth.ravel(), np.repeat(np.arange(40), 12))
    measured = prepare("ndcg@5", rows, scores.ravel())(np.ones(480))
    assert measured == pytest.approx(ndcg_score(truth, scores, k=5))


def test_an_interval_is_wider_where_entities_repeat() -> None:
    chance = np.random.default_rng(6)
    people = np.repeat(np.arange(50), 20)
    truth = (chance.random(50) < 0.5).astype(int)[people]
    scores = np.clip(truth * 0.2 + chance.normal(0, 0.4, 50)[people] + 0.5, 0, 1)
    task = Task("binary", "label", (0, 1))
    as_rows = EvaluationRows(task, truth, np.arange(1000), people, 1).measure("roc_auc", scores)
    as_people = EvaluationRows(task, truth, people, people, 1).measure("roc_auc", scores)
    assert as_people.high - as_people.low > 2 * (as_rows.high - as_rows.low)


def test_sensors_with_any_number_of_quantities_and_revolving_credit_train_by_the_same_path(gym: Gym) -> None:
    """A number is predicted from lists of quantities, and classes from text and numbers."""
    members = make_members()
    chance = np.random.default_rng(8)
    wear = chance.random(len(members))
    members["quantities"] = [list(wear[n] + chance.normal(0, 0.2, 5)) for n in range(len(members))]
    members["drift_celsius"] = 3 * wear + chance.normal(0, 0.1, len(members))
    gym.extra = ("quantities", "drift_celsius")
    gym.declare(label="drift_celsius", metric="rmse", estimator="lightgbm.LGBMRegressor", baseline=["mean"])
    number = trained(gym, members)
    assert number.refusals == ()
    assert number.metrics["rmse"].value < 0.5

    members["grade"] = np.select([members["visits_30d"] > 7, members["visits_30d"] > 4], ["high", "middle"], "low")
    members["payments"] = members["visits_30d"] + chance.normal(0, 1.0, len(members))
    gym.extra = ("payments", "grade")
    gym.declare(
        label="grade", metric="log_loss", estimator="lightgbm.LGBMClassifier", leave_out=["visits_30d"], baseline=None
    )
    classes = trained(gym, members.drop(columns=["quantities", "drift_celsius"]))
    assert classes.task.classes == ("high", "low", "middle")
    assert classes.gains["majority"].low > 0
