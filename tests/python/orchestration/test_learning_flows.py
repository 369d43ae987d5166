"""The flows `train` and `score`: predictions and drift in the lake, and what drift starts."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.gym import Gym, make_gym, make_members, without_label

from flows.config import settings
from flows.core.errors import GateFailed, UsageError
from flows.core.names import TableName
from flows.lake.delta import open_table, query
from flows.lake.raw import raw_path
from flows.lake.verify import verify_table


@pytest.fixture
def rewritten() -> list[str]:
    """The sets whose model cards were written again."""
    return []


@pytest.fixture
def gym(
    flow_home: Path, empty_mlflow: Path, rewritten: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Gym:
    """A gym whose project is not parsed by dbt: its manifest is at hand."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for left in (flow_home / "gym", flow_home / settings.MLFLOW / "artifacts"):
        shutil.rmtree(left, ignore_errors=True)
    shutil.copy(empty_mlflow / "mlflow.db", tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    gym = make_gym(flow_home)
    connections = tmp_path / "connections.yml"
    connections.write_text("gym: {crm: {url: 'file:nowhere'}}\n")
    gym.connections = str(connections)
    import flows.score
    import flows.train

    for module in (flows.train, flows.score):
        monkeypatch.setattr(module, "parse_exposures", lambda _sources: gym.project)
        monkeypatch.setattr(module, "rewrite_model_cards", lambda sources: rewritten.append(sources.folder.path.name))
    monkeypatch.chdir(tmp_path)
    return gym


def train(gym: Gym, **options: Any) -> Any:
    from flows.train import train as flow

    return flow("gym", gym.connections, **options)


def score(gym: Gym) -> Any:
    from flows.score import score as flow

    return flow("gym", gym.connections)


def stored(gym: Gym, table: str, sql: str) -> list[tuple[Any, ...]]:
    return query(open_table(raw_path(gym.folder.lake, TableName("scoring", table))), sql)


def now(**options: Any) -> pd.DataFrame:
    return without_label(make_members(1, first_month=12, seed=3, **options))


def test_predictions_of_a_release_are_in_the_lake_once_and_verified(gym: Gym) -> None:
    release = gym.publish(make_members(), now())
    assert score(gym).outcomes[0].verdict == "no champion"
    (trained,) = train(gym).outcomes
    assert trained.verdict == "first champion"

    (outcome,) = score(gym).outcomes
    assert (outcome.verdict, outcome.version, outcome.rows, outcome.drifted) == ("scored", 1, 150, ())
    (again,) = score(gym).outcomes
    assert again.verdict == "unchanged"

    sql = (
        "select count(*), count(distinct prediction_id), min(score) > 0, max(score) < 1, min(model_version), "
        "any_value(release_name), min(entity_id), min(as_of) = max(as_of) from {table}"
    )
    assert stored(gym, "predictions", sql) == [(150, 150, True, True, 1, release, "0000", True)]
    for table in ("predictions", "drift_measures"):
        assert verify_table(gym.folder.lake, TableName("scoring", table)).faults == ()
    measures = "select count(*), count(*) filter (is_beyond), count(distinct subject) from {table}"
    assert stored(gym, "drift_measures", measures) == [(11, 0, 6)]


def test_drift_starts_a_retraining_and_the_new_champion_scores(gym: Gym, rewritten: list[str]) -> None:
    # Given a champion of a year in which members came six times a month
    gym.declare(on_drift="retrain")
    gym.publish(make_members(), now())
    train(gym)

    # When a year follows in which they come twenty times, and leave if they come fewer than eighteen times
    later = make_members(first_month=12, seed=4, visits_a_month=20)
    gym.publish(
        pd.concat([make_members(), later]),
        without_label(make_members(1, first_month=24, seed=5, visits_a_month=20)),
    )
    report = score(gym)

    # Then the drift is measured, a training is started, and its model replaces the champion and scores
    (outcome,) = report.outcomes
    assert outcome.verdict == "trained again"
    assert {one.subject for one in outcome.drifted} >= {"visits_30d"}
    assert [one.verdict for one in report.trained] == ["promoted"]
    assert rewritten == ["gym", "gym"]
    assert stored(gym, "predictions", "select model_version, count(*) from {table} group by all") == [(2, 150)]
    beyond = "select distinct model_version from {table} where subject = 'visits_30d' and is_beyond"
    assert (1,) in stored(gym, "drift_measures", beyond)


def test_drift_stops_scoring_where_the_exposure_says_so(gym: Gym) -> None:
    gym.declare(on_drift="stop")
    gym.publish(make_members(), now())
    train(gym)
    gym.publish(make_members(), now(visits_a_month=20).assign(plan=None))
    with pytest.raises(GateFailed, match=r"plan: missing_pct_more 9(?s:.)*train member_leaving --again"):
        score(gym)
    assert stored(gym, "predictions", "select 1 from {table}") == []
    assert stored(gym, "drift_measures", "select count(*) from {table} where is_beyond") != [(0,)]


def test_realised_performance_is_measured_once_labels_are_mature(gym: Gym) -> None:
    gym.publish(make_members(), now())
    train(gym)
    score(gym)

    # When the labels of the scored month are known, and have nothing to do with the predictions
    known = make_members(1, first_month=12, seed=3)
    known["has_left"] = np.random.default_rng(9).random(len(known)) < 0.5
    gym.publish(pd.concat([make_members(), known]), now())
    (outcome,) = score(gym).outcomes

    (measure,) = [one for one in outcome.drifted if one.subject == "realised"]
    assert (measure.measure, measure.rows) == ("roc_auc", 150)
    assert measure.value < 0.65 < measure.limit


def test_rows_to_score_that_are_of_another_kind_or_known_to_the_model_are_no_drift(gym: Gym) -> None:
    # Given a forest that knows its training rows by heart, and members whose leaving will never be known
    gym.declare(estimator="sklearn.ensemble.RandomForestClassifier", params={"n_estimators": 20}, baseline="majority")
    lost = make_members(1, first_month=13, seed=4, visits_a_month=20).assign(
        has_left=None, plan=None, label_state="not followed"
    )
    members = pd.concat([make_members().assign(label_state="known"), lost])
    gym.publish(members, without_label(members).drop(columns="label_state"))
    train(gym)

    # When both are scored with the rows of the last release, then nothing has drifted
    (outcome,) = score(gym).outcomes
    assert (outcome.verdict, outcome.rows, outcome.drifted) == ("scored", 1950, ())

    # When the same members look different all at once, then it has
    changed = members.assign(plan=None)
    gym.publish(members, without_label(changed).drop(columns="label_state"))
    (outcome,) = score(gym).outcomes
    assert {one.subject for one in outcome.drifted} == {"plan"}


def test_one_model_that_fails_does_not_keep_the_others_from_being_trained(
    gym: Gym, rewritten: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gym.publish(make_members(), now())
    manifest = gym.manifest
    exposure = dict(manifest["exposures"]["exposure.gym.member_leaving"])
    exposure |= {"name": "a_broken_one", "config": {"meta": gym.declared | {"estimator": "nowhere.Model"}}}
    manifest["exposures"]["exposure.gym.a_broken_one"] = exposure
    import flows.train
    from flows.learning.registry import Registry

    monkeypatch.setattr(flows.train, "parse_exposures", lambda _sources: type(gym.project).of(manifest))
    with pytest.raises(UsageError, match=r"nowhere\.Model cannot be imported"):
        train(gym)
    assert Registry(gym.folder).champion("member_leaving") is not None
    assert rewritten == ["gym"]


def test_a_model_without_rows_is_left_out_unless_it_is_named(gym: Gym) -> None:
    gym.publish(make_members().head(0), now())
    report = train(gym)
    assert (report.outcomes, report.headline.split(":")[0]) == ((), f"0 models on release {report.release}")
    with pytest.raises(UsageError, match="has no rows; no label is known yet"):
        train(gym, names=["member_leaving"])


def test_without_a_release_or_an_exposure_nothing_is_trained(gym: Gym) -> None:
    with pytest.raises(UsageError, match="Nothing is published in gym yet"):
        train(gym)
    gym.publish(make_members(3))
    gym.declare(estimator=None)
    with pytest.raises(UsageError, match="No exposure of type ml names an estimator"):
        train(gym)
