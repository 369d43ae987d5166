"""A gym whose members may leave: releases with a training table, made by hand, and the manifest of its project."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from flows.config.declared import source_nodes
from flows.config.settings import DataFolder
from flows.core.files import FileState
from flows.learning.exposures import MlExposure, read_exposures
from flows.learning.project import DbtProject
from flows.warehouse.build import Build, prepare_candidate
from flows.warehouse.release import publish_candidate

KEY = ["member_id", "as_of"]
SPINE = {name: {} for name in (*KEY, "has_left", "label_state", "label_known_at")}
FEATURES = ("visits_30d", "days_since_visit", "plan", "is_student", "paid_amount")
LABEL = {"key": KEY, "entity": ["member_id"], "time": "as_of", "label": "has_left", "horizon": "30d"}
LABEL |= {"known_at": "label_known_at"}

DECLARED: Mapping[str, Any] = {
    "label": "has_left",
    "entity": "member_id",
    "time": "as_of",
    "estimator": "lightgbm.LGBMClassifier",
    "params": {"n_estimators": 60, "num_leaves": 7},
    "metric": "roc_auc",
}


@cache
def _sources() -> list[Any]:
    return source_nodes()


def columns_of(*names: str, **classes: str) -> dict[str, Any]:
    """Return columns as a manifest has them; a class makes one personal."""
    return {name: {"config": {"meta": {"pii": classes[name]} if name in classes else {}}} for name in names}


@dataclass
class Gym:
    """The data folder of a gym, its project and its members."""

    folder: DataFolder
    declared: dict[str, Any] = field(default_factory=lambda: dict(DECLARED))
    classes: dict[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    connections: str = ""

    @property
    def project(self) -> DbtProject:
        """The project: a label model, a training model, a model to score, and the exposure."""
        return DbtProject.of(self.manifest)

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of dbt, as far as learning reads it."""

        def model(name: str, columns: Any, reads: list[str], **meta: Any) -> dict[str, Any]:
            return {
                "name": name,
                "resource_type": "model",
                "columns": columns,
                "depends_on": {"nodes": reads},
                "raw_code": f"select from {name}",
                "config": {"meta": meta},
            }

        features = columns_of(*FEATURES, *self.extra, **self.classes)
        nodes = {
            "model.gym.label_member_leaving": model("label_member_leaving", SPINE, [], label=LABEL),
            "model.gym.train_member_leaving": model(
                "train_member_leaving", SPINE | features, ["model.gym.label_member_leaving"]
            ),
            "model.gym.score_member_leaving": model("score_member_leaving", columns_of(*KEY) | features, []),
        }
        exposure = {
            "name": "member_leaving",
            "type": "ml",
            "original_file_path": "models/_exposures.yml",
            "owner": {"name": "Front desk"},
            "depends_on": {"nodes": ["model.gym.train_member_leaving", "model.gym.score_member_leaving"]},
            "config": {"meta": self.declared},
        }
        sources = {node["name"]: node for node in _sources() if node["source_name"] == "scoring"}
        return {"nodes": nodes, "sources": sources, "exposures": {"exposure.gym.member_leaving": exposure}}

    @property
    def exposure(self) -> MlExposure:
        """The exposure, parsed."""
        (found,) = read_exposures(self.project)
        return found

    def declare(self, **declared: Any) -> None:
        """Change what the exposure declares; None takes a key out."""
        self.declared = {key: one for key, one in (self.declared | declared).items() if one is not None}

    def write_manifest(self) -> None:
        """Write the manifest where a run of dbt leaves it."""
        self.folder.target.mkdir(parents=True, exist_ok=True)
        (self.folder.target / "manifest.json").write_text(json.dumps(self.manifest))

    def publish(self, members: pd.DataFrame, score: pd.DataFrame | None = None) -> str:
        """Publish a release with these rows, and return its name; rows without a label are those of the label model."""
        prepare_candidate(self.folder, empty=True)
        casts = "member_id::varchar as member_id, as_of::timestamp as as_of"
        label, paid = "has_left::boolean as has_left", "paid_amount::decimal(18, 4) as paid_amount"
        with duckdb.connect(str(self.folder.candidate)) as connection:
            connection.execute("create schema growth")
            connection.register("members", members)
            connection.execute(
                f"create table growth.train_member_leaving as select * replace ({casts}, {label}, {paid}) "
                "from members where has_left is not null"
            )
            state = "label_state" if "label_state" in members else "if(has_left is null, 'too recent', 'known')"
            connection.execute(
                f"create table growth.label_member_leaving as "
                f"select {casts}, {label}, {state} as label_state from members"
            )
            if score is not None:
                connection.register("now", score)
                connection.execute(
                    f"create table growth.score_member_leaving as select * replace ({casts}, {paid}) from now"
                )
            connection.unregister("members")
        build = Build((), "by hand", FileState.of(self.folder.candidate), 0.0, "code")
        return publish_candidate(self.folder, build, {}).name


def make_gym(root: Path) -> Gym:
    """Make a gym without any release."""
    folder = DataFolder(root / "gym")
    folder.path.mkdir(parents=True)
    return Gym(folder)


def make_members(
    months: int = 12, members: int = 150, seed: int = 1, *, first_month: int = 0, visits_a_month: float = 6
) -> pd.DataFrame:
    """Return the state of members at the begin of each month: who visits seldom leaves more often."""
    chance, horizon_days = np.random.default_rng(seed), 30
    rows = []
    for month in range(first_month, first_month + months):
        as_of = pd.Timestamp("2025-01-01") + pd.Timedelta(days=30 * month)
        visits = chance.poisson(visits_a_month, members)
        since = np.where(visits == 0, np.nan, chance.exponential(20 / (visits + 1)).round(1))
        student = chance.random(members) < 0.3
        plan = chance.choice(["basic", "plus", "family"], members)
        odds = -0.3 - 0.45 * (visits - visits_a_month + 2) + np.where(plan == "plus", -0.8, 0.4)
        left = chance.random(members) < 1 / (1 + np.exp(-odds))
        rows.append(
            pd.DataFrame(
                {
                    "member_id": [f"{n:04d}" for n in range(members)],
                    "as_of": as_of,
                    "has_left": left,
                    "label_known_at": as_of + pd.Timedelta(days=horizon_days),
                    "visits_30d": visits,
                    "days_since_visit": since,
                    "plan": np.where(chance.random(members) < 0.05, None, plan),
                    "is_student": student,
                    "paid_amount": (20 + 10 * chance.random(members)).round(2),
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def without_label(members: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of members as a model to score has them."""
    return members.drop(columns=["has_left", "label_known_at"])
