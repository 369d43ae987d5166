"""Models to train, as exposures of type `ml` declare them in dbt's YAML: parsed and validated once, then frozen."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from flows.config.contract import meta_of
from flows.config.settings import command
from flows.config.validation import ConfigModel, Text, parse, suggest_key
from flows.core.errors import UsageError, join_usage_errors
from flows.core.names import did_you_mean
from flows.learning.project import DbtProject, Node

UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
PARTS = ("split", "fold")
"""Columns that say to which part of a training set a row belongs; no model reads them."""

MISSPELT = 0.81
REMEDY = "Fix the exposure; CONTRIBUTING.md, «Add an ML model», lists what it can declare."

BINARY, CLASSES, NUMBER, RANKING = "binary", "classes", "number", "ranking"
METRICS: Mapping[str, tuple[str, ...]] = {
    "roc_auc": (BINARY,),
    "average_precision": (BINARY,),
    "brier": (BINARY,),
    "log_loss": (BINARY, CLASSES),
    "accuracy": (BINARY, CLASSES),
    "macro_f1": (BINARY, CLASSES),
    "rmse": (NUMBER,),
    "mae": (NUMBER,),
    "pinball": (NUMBER,),
    "ndcg": (RANKING,),
    "recall": (RANKING,),
}
"""The kinds of task that each metric measures.

ndcg@10 and recall@10 look at the first ten, pinball@0.9 at a quantile.
"""

LOWER_IS_BETTER = ("brier", "log_loss", "rmse", "mae", "pinball")


def read_duration(value: Any) -> timedelta:
    """Read a duration such as 60d or 10m; raises ValueError for another text."""
    if isinstance(value, timedelta):
        return value
    found = re.fullmatch(r"\s*(\d+)\s*([smhdw])\s*", str(value))
    if found is None:
        raise ValueError(f"is {value!r}; write a number and a unit of {', '.join(UNITS)}, such as 60d")
    return timedelta(seconds=int(found[1]) * UNITS[found[2]])


def _read_share(value: Any) -> float:
    text = str(value).strip()
    number = re.fullmatch(r"(\d+(?:\.\d+)?)(%?)", text)
    share = float(number[1]) / (100 if number[2] else 1) if number else -1
    if not 0 < share < 1:
        raise ValueError(f"is {value!r}; write a share such as 20%")
    return share


def _read_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _read_metric(value: str) -> str:
    name, _, number = value.partition("@")
    if name not in METRICS:
        raise ValueError(f"is {value!r}{suggest_key(name, METRICS)}; write one of {', '.join(METRICS)}")
    if number and not re.fullmatch(r"\d+(\.\d+)?", number):
        raise ValueError(f"is {value!r}; write a number after the @, such as {name}@10")
    return value


def _read_estimator(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+", value):
        raise ValueError(f"is {value!r}; write the dotted path of a class, such as lightgbm.LGBMClassifier")
    return value


Length = Annotated[timedelta, BeforeValidator(read_duration)]
Share = Annotated[float, BeforeValidator(_read_share)]
Names = Annotated[tuple[Text, ...], BeforeValidator(_read_names)]


class Split(ConfigModel):
    """How test rows are chosen: the newest by time, some groups, or by a column with the values train and test."""

    by: Literal["time", "group", "column"] = "time"
    test: Share = 0.2
    gap: Length | None = None
    group: Names = ()
    column: Text = "split"

    @model_validator(mode="after")
    def _require_groups(self) -> "Split":
        if self.by == "group" and not self.group:
            raise ValueError("is by group; name its columns under `group`")
        return self


class Drift(ConfigModel):
    """The limits beyond which a model has drifted, and features whose drift says nothing, as that of a weekday."""

    psi: float = Field(default=0.25, gt=0)
    score_psi: float = Field(default=0.25, gt=0)
    missing_pct: float = Field(default=10, gt=0)
    rows: int = Field(default=100, ge=1)
    leave_out: Names = ()


class Federated(ConfigModel):
    """The column of the sites that keep their rows, and the rounds of training."""

    site: Text
    rounds: int = Field(default=30, ge=1)


class Declared(ConfigModel):
    """The keys of an exposure's `config.meta`."""

    label: Text
    entity: Names
    time: Text | None = None
    key: Names = ()
    item: Text | None = None
    estimator: Annotated[Text, AfterValidator(_read_estimator)]
    params: Mapping[str, Any] = Field(default_factory=dict)
    search: Mapping[str, tuple[Any, ...]] = Field(default_factory=dict)
    trials: int = Field(default=6, ge=1)
    metric: Annotated[Text, AfterValidator(_read_metric)]
    split: Split = Split()
    baseline: Names = ()
    features: Names = ()
    leave_out: Names = ()
    allow: Mapping[str, Text] = Field(default_factory=dict)
    too_well: Share = 0.95
    drift: Drift = Drift()
    on_drift: Literal["warn", "stop", "retrain"] = "warn"
    online: bool = False
    federated: Federated | None = None
    requires: Names = ()
    seed: int = 1


KEYS = tuple(Declared.model_fields)


@dataclass(frozen=True)
class MlExposure:
    """A model to train: what its exposure declares, and what its label model and training model say.

    `spine` are the columns of the label model: key, time and label, and what else no model may read.
    """

    name: str
    file: str
    owner: str
    declared: Declared
    train: str
    score: str | None
    label_model: str | None
    spine: tuple[str, ...]
    horizon: timedelta
    known_at: str | None

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that identify a row: those declared, else entity and time."""
        return self.declared.key or tuple(dict.fromkeys([*self.declared.entity, *filter(None, [self.declared.time])]))

    @property
    def gap(self) -> timedelta:
        """The time between training rows and test rows: the horizon of the label, unless a longer one is declared."""
        return max(self.horizon, self.declared.split.gap or timedelta(0))

    @property
    def where(self) -> str:
        """The file and the exposure, as errors name them."""
        return f"{self.file}: exposure {self.name}"

    def features_of(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the features among the columns of a training table; raises UsageError for one that is not there."""
        for named in (*self.declared.features, *self.declared.leave_out):
            if named not in columns:
                raise UsageError(
                    f"{self.where}: config.meta names the feature {named!r}, which {self.train} does not have."
                    f"{did_you_mean(named, columns)}",
                    REMEDY,
                )
        reserved = {*self.spine, *self.declared.leave_out}
        return tuple(
            name
            for name in columns
            if name not in reserved and (not self.declared.features or name in self.declared.features)
        )


def read_exposures(project: DbtProject, names: Sequence[str] = ()) -> list[MlExposure]:
    """Return the models to train, all or those named; raises UsageError with every mistake, and for unknown names.

    An exposure of type `ml` without an estimator is a use of marts, and nothing is trained for it.
    """
    declared = {one["name"]: one for one in project.exposures if one["type"] == "ml" and "estimator" in meta_of(one)}
    unknown = [name for name in names if name not in declared]
    if unknown:
        raise UsageError(
            f"No exposure of type ml with an estimator is called {unknown[0]}.{did_you_mean(unknown[0], declared)}",
            f"There are {', '.join(sorted(declared)) or 'no such exposures'}.",
        )
    found, errors = [], []
    for name in names or sorted(declared):
        try:
            found.append(_read(project, declared[name]))
        except UsageError as error:
            errors.append(error)
    if errors:
        raise join_usage_errors(errors)
    return found


def _read(project: DbtProject, node: Node) -> MlExposure:
    name, file = node["name"], node.get("original_file_path", "the project's YAML")
    where, meta = f"{file}: exposure {name}", meta_of(node)
    for word in meta.keys() - set(KEYS):
        if hint := suggest_key(word, KEYS, MISSPELT):
            raise UsageError(f"{where}: config.meta has the key {word}{hint}.", REMEDY)
    own = {key: meta[key] for key in KEYS if key in meta}
    train, score = _tables(project, node, where)
    label_model = project.label_model(train)
    about = meta_of(label_model).get("label") or {} if label_model else {}
    inherited = {"label": about.get("label"), "entity": about.get("entity"), "time": about.get("time")}
    inherited |= {"key": about.get("key")}
    own = {key: value for key, value in inherited.items() if value is not None} | own
    declared = parse(Declared, own, subject=where, place=("config.meta",), remedy=REMEDY)
    _require_columns(where, declared, train)
    try:
        horizon = read_duration(about.get("horizon") or "0d")
    except ValueError as error:
        raise UsageError(f"The label model {label_model['name']}: horizon {error}.", REMEDY) from None  # type: ignore[index]
    known_at = about.get("known_at")
    spine = [*(label_model["columns"] if label_model else ()), *declared.key, *declared.entity, declared.label, *PARTS]
    spine += [*filter(None, [declared.time, known_at, declared.item, declared.split.column]), *declared.split.group]
    return MlExposure(
        name,
        file,
        (node.get("owner") or {}).get("name") or "",
        declared,
        train["name"],
        score["name"] if score else None,
        label_model["name"] if label_model else None,
        tuple(dict.fromkeys(spine)),
        horizon,
        known_at,
    )


def _tables(project: DbtProject, node: Node, where: str) -> tuple[Node, Node | None]:
    """Return the training model and the model to score, which the exposure depends on."""
    models = [project.nodes[key] for key in node["depends_on"]["nodes"] if key in project.nodes]
    train = [one for one in models if one["name"].startswith("train_")]
    score = [one for one in models if one["name"].startswith("score_")]
    if len(train) != 1 or len(score) > 1:
        found = ", ".join(one["name"] for one in models) or "no model"
        raise UsageError(
            f"{where}: depends_on holds {found}; expected one model train_…, and one score_… to score with.", REMEDY
        )
    return train[0], score[0] if score else None


def _require_columns(where: str, declared: Declared, train: Node) -> None:
    """Require that the training model has the columns that the exposure names, as far as its YAML lists columns."""
    columns = train["columns"]
    named = {"label": (declared.label,), "entity": declared.entity, "time": (declared.time,), "key": declared.key}
    named |= {"item": (declared.item,), "split.group": declared.split.group}
    for key, names in named.items():
        for name in names:
            if name is not None and columns and name not in columns:
                raise UsageError(
                    f"{where}: config.meta.{key} is {name!r}, which {train['name']} does not have."
                    f"{did_you_mean(name, columns)}",
                    REMEDY,
                )


def require_exposures(project: DbtProject, names: Sequence[str], folder: Path) -> list[MlExposure]:
    """Return the models to train or score, as read_exposures does; raises UsageError if the project declares none."""
    if found := read_exposures(project, names):
        return found
    raise UsageError(
        f"No exposure of type ml names an estimator, so {folder.name} has nothing to train.",
        f"Declare one as CONTRIBUTING.md, «Add an ML model», shows; then: {command()} train",
    )
