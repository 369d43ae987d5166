"""The commands of models, as a person sees them."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.gym import Gym, make_gym, make_members

from flows.cli.learning import summarise_scoring, summarise_training, training_set
from flows.config import settings
from flows.core.errors import UsageError
from flows.learning.metrics import Measured
from flows.learning.promotion import TrainOutcome
from flows.learning.report import ScoreOutcome, ScoreReport, TrainReport


@pytest.fixture
def gym(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gym:
    monkeypatch.setenv(settings.DATA_VARIABLE, str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["flows"])
    (tmp_path / "connections.yml").write_text("gym: {crm: {url: 'file:nowhere'}}\n")
    monkeypatch.chdir(tmp_path)
    return make_gym(tmp_path)


def test_a_release_that_was_deleted_gives_its_training_set_as_a_file_of_the_same_bytes(
    gym: Gym, tmp_path: Path
) -> None:
    gym.write_manifest()
    release = gym.publish(make_members(3))
    first, second = tmp_path / "first.parquet", tmp_path / "second.parquet"
    options: dict[str, Any] = {"connection_set": "gym", "connections": Path("connections.yml")}
    training_set("member_leaving", release, output=first, **options)
    gym.publish(make_members(3, seed=7))
    shutil.rmtree(gym.folder.releases / release)
    training_set("member_leaving", release, output=second, **options)
    assert first.read_bytes() == second.read_bytes()
    assert pq.read_metadata(first).num_rows == 450


def test_mistakes_are_said_before_a_server_is_started(gym: Gym, tmp_path: Path) -> None:
    from flows.cli.learning import train

    with pytest.raises(UsageError, match="Nothing is published in gym yet"):
        train(None, "gym", Path("connections.yml"))
    with pytest.raises(UsageError, match=r"is no \.parquet file"):
        training_set("member_leaving", output=tmp_path / "rows.csv")
    gym.publish(make_members(3))
    gym.write_manifest()
    with pytest.raises(UsageError, match=r"called member_leavin\. Did you mean member_leaving"):
        training_set("member_leavin", connection_set="gym", connections=Path("connections.yml"))


def test_a_training_is_told_with_metric_interval_baselines_and_reasons(gym: Gym) -> None:
    made: Any = None
    outcome = TrainOutcome(
        "member_leaving",
        "not registered",
        None,
        3,
        "run",
        made,
        ("it does not beat visits_30d alone",),
        "roc_auc",
        Measured(0.71234, 0.69, 0.73),
        {"majority": Measured(0.5, 0.5, 0.5), "visits_30d alone": Measured(0.72, 0.7, 0.74)},
        1200,
        300,
        2.0,
    )
    text = summarise_training(TrainReport(gym.folder, "2026-01-01.1", (outcome,), 4.2))
    assert "roc_auc 0.712 (0.690 to 0.730)" in text
    assert "majority 0.500, visits_30d alone 0.720" in text
    assert "1 models on release 2026-01-01.1: 1 not registered, 4 s" in text
    assert "member_leaving: not registered; it does not beat visits_30d alone" in text


def test_a_scoring_names_the_command_that_publishes_the_predictions(gym: Gym) -> None:
    outcome = ScoreOutcome("member_leaving", "scored", 2, 1500)
    text = summarise_scoring(ScoreReport(gym.folder, "2026-01-01.1", (outcome,), (), 1.0))
    assert "1,500 predictions for release 2026-01-01.1, 1 s" in text
    assert "-m flows elt" in text
