"""A model is registered if it beats the baselines, and replaces the champion only if it is better on the same rows."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.gym import Gym, make_gym, make_members

from flows.config import settings
from flows.core.errors import StorageFailed
from flows.learning.promotion import TrainOutcome, train_and_register
from flows.learning.registry import Registry


@pytest.fixture
def gym(tmp_path: Path, empty_mlflow: Path, monkeypatch: pytest.MonkeyPatch) -> Gym:
    shutil.copytree(empty_mlflow, tmp_path / settings.MLFLOW)
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return make_gym(tmp_path)


def train(gym: Gym, members: pd.DataFrame | None = None, *, again: bool = False) -> TrainOutcome:
    if members is not None:
        gym.publish(members)
    return train_and_register(gym.folder, gym.project, gym.exposure, Registry(gym.folder), again=again)


def test_the_first_model_that_beats_the_baselines_is_the_champion_with_all_its_books(gym: Gym) -> None:
    outcome = train(gym, make_members())
    assert (outcome.verdict, outcome.version, outcome.champion) == ("first champion", 1, 1)

    registry = Registry(gym.folder)
    run = registry.client.get_run(outcome.run_id)
    record = outcome.training_set.record
    assert run.data.tags["training_set_content"] == record.content
    assert run.data.tags["release"] == record.release
    assert run.data.tags["git_commit"]
    assert run.data.params["estimator"] == "lightgbm.LGBMClassifier"
    assert run.data.metrics["roc_auc_low"] < run.data.metrics["roc_auc"] < run.data.metrics["roc_auc_high"]
    names = {one.path for one in registry.client.list_artifacts(outcome.run_id)}
    names |= {one.path for one in registry.client.list_artifacts(outcome.run_id, "plots")}
    assert {"model", "model.json", "comparison.json", "plots/calibration.svg", "plots/importances.svg"} <= names

    champion = registry.champion("member_leaving")
    assert champion is not None
    frame = outcome.training_set.to_pandas()
    scores = champion.task.score(champion.pipeline, frame)
    assert 0 <= scores.min() < scores.max() <= 1
    assert champion.features == outcome.training_set.features


def test_a_second_run_on_the_same_rows_trains_nothing_unless_asked_to(gym: Gym) -> None:
    first = train(gym, make_members())
    second = train(gym, make_members())
    assert (second.verdict, second.champion, second.run_id) == ("unchanged", 1, first.run_id)
    assert train(gym, again=True).verdict == "challenger"


def test_a_worse_challenger_is_refused_and_the_comparison_is_kept(gym: Gym) -> None:
    members = make_members()
    train(gym, members)
    gym.declare(params={"n_estimators": 3, "num_leaves": 2, "learning_rate": 0.01}, baseline=["majority"])
    outcome = train(gym)
    assert (outcome.verdict, outcome.version, outcome.champion) == ("challenger", 2, 1)
    assert "not better beyond the interval than champion 1 on the same 300 rows" in outcome.reasons[0]
    registry = Registry(gym.folder)
    version = registry.client.get_model_version_by_alias("gym.member_leaving", "challenger")
    assert version.tags["comparison"] == outcome.reasons[0]
    assert registry.champion("member_leaving").version == 1  # type: ignore[union-attr]


def test_a_better_challenger_replaces_the_champion(gym: Gym) -> None:
    members = make_members()
    gym.declare(features=["plan", "visits_30d"], params={"n_estimators": 1, "num_leaves": 2}, baseline=["majority"])
    train(gym, members)
    gym.declare(features=None, params={"n_estimators": 60, "num_leaves": 7})
    outcome = train(gym)
    assert (outcome.verdict, outcome.version, outcome.champion) == ("promoted", 2, 2)
    assert "better than champion 1" in outcome.reasons[0]


def test_what_does_not_beat_the_baselines_is_not_registered_and_its_run_says_why(gym: Gym) -> None:
    members = make_members()
    members["has_left"] = np.random.default_rng(5).random(len(members)) < 0.4
    outcome = train(gym, members)
    assert (outcome.verdict, outcome.version, outcome.champion) == ("not registered", None, None)
    registry = Registry(gym.folder)
    assert "does not beat" in registry.client.get_run(outcome.run_id).data.tags["outcome"]
    assert registry.champion("member_leaving") is None


def test_a_champion_whose_features_are_gone_is_replaced(gym: Gym) -> None:
    members = make_members()
    train(gym, members)
    gym.declare(features=["plan", "visits_30d"])
    outcome = train(gym, members.drop(columns=["is_student"]))
    assert (outcome.verdict, outcome.champion) == ("promoted", 2)
    assert "cannot be compared: the features is_student are gone" in outcome.reasons[0]


def test_a_model_file_that_was_changed_is_not_loaded(gym: Gym) -> None:
    train(gym, make_members())
    (file,) = (gym.folder.path.parent / settings.MLFLOW).rglob("model.pkl")
    file.write_bytes(file.read_bytes() + b"x")
    with pytest.raises(StorageFailed, match="not the one that was registered"):
        Registry(gym.folder).champion("member_leaving")
