"""The registry of models: MLflow keeps runs and versions, and its aliases say which version is the champion."""

import hashlib
import json
import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.config import settings
from flows.config.settings import DataFolder
from flows.core.errors import StorageFailed
from flows.core.git import describe_commit
from flows.learning.drift import Trend, profile_features, profile_scores
from flows.learning.exposures import MlExposure
from flows.learning.fit import TrainedModel
from flows.learning.metrics import Measured
from flows.learning.plots import draw_bars, draw_calibration, draw_intervals
from flows.learning.task import Task
from flows.learning.training_sets import TrainingSet

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.tracking import MlflowClient
    from sklearn.pipeline import Pipeline

CHAMPION, CHALLENGER = "champion", "challenger"
FINGERPRINT, OUTCOME = "fingerprint", "outcome"
MODEL, CARD, COMPARISON = "model", "model.json", "comparison.json"
PICKLE = "model.pkl"
LONGEST_TAG, SHOWN_FEATURES, EXAMPLES = 4_000, 15, 50
PACKAGES = ("scikit-learn", "lightgbm", "numpy", "pandas")


@dataclass(frozen=True)
class RegisteredModel:
    """A version of a model in the registry: its pipeline, and what its card says of it.

    The card holds task, features, metric with its interval, and the profiles of features and scores in training.
    """

    name: str
    version: int
    run_id: str
    pipeline: "Pipeline" = field(repr=False)
    card: Mapping[str, Any] = field(repr=False)

    @property
    def task(self) -> Task:
        """The task that it was trained for."""
        found = self.card["task"]
        return Task(found["kind"], found["label"], tuple(found["classes"]))

    @property
    def features(self) -> tuple[str, ...]:
        """The columns that it reads."""
        return tuple(self.card["features"])

    @property
    def measured(self) -> Measured:
        """The declared metric on its test rows."""
        return Measured(**self.card["measured"])


@dataclass(frozen=True)
class Registry:
    """The MLflow store of a set: experiments and models are named by set and exposure."""

    folder: DataFolder

    def __post_init__(self) -> None:
        """Keep MLflow from reporting its use, and from drawing progress; it decides on that when it is imported."""
        settings.reach_loopback_directly()
        settings.export(
            MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true", MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false"
        )

    @cached_property
    def client(self) -> "MlflowClient":
        """The client of MLflow; importing it takes a second, and making its database another."""
        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)
        if not settings.mlflow_is_elsewhere():
            settings.mlflow_home().mkdir(parents=True, exist_ok=True)
        from mlflow.tracking import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        return MlflowClient(settings.mlflow_uri(), settings.mlflow_uri())

    def name_of(self, exposure: str) -> str:
        """Return the name of a model in the registry."""
        return f"{self.folder.path.name}.{exposure}"

    def last_run(self, exposure: MlExposure, fingerprint: str) -> "Run | None":
        """Return the newest completed run with a fingerprint: equal rows, declaration and packages; None if none."""
        found = self.client.get_experiment_by_name(self.name_of(exposure.name))
        if found is None:
            return None
        query = f"tags.{FINGERPRINT} = '{fingerprint}' and attributes.status = 'FINISHED'"
        runs = self.client.search_runs([found.experiment_id], query, max_results=1)
        return runs[0] if runs else None

    def record(self, model: TrainedModel, fingerprint: str) -> str:
        """Record a run with parameters, metrics, plots, model and signature, and return its id."""
        run = self.client.create_run(self._experiment(model.exposure.name), run_name=model.training_set.record.release)
        run_id: str = run.info.run_id
        from mlflow.entities import Metric, Param, RunTag

        moment = run.info.start_time
        metrics = [Metric(name, value, moment, 0) for name, value in _metrics(model).items() if value == value]
        params = [Param(name, str(value)[:LONGEST_TAG]) for name, value in _params(model).items()]
        tags = [RunTag(name, str(value)[:LONGEST_TAG]) for name, value in _tags(model, fingerprint).items()]
        self.client.log_batch(run_id, metrics, params, tags)
        with tempfile.TemporaryDirectory() as place:
            _write_artifacts(model, Path(place))
            self.client.set_tag(run_id, "model_sha256", _hash(Path(place) / MODEL / PICKLE))
            self.client.log_artifacts(run_id, place)
        return run_id

    def add_metrics(self, run_id: str, metric: str, measured: Mapping[str, Measured]) -> None:
        """Add the metric of other models on the same rows, each under its own name."""
        for name, one in measured.items():
            plain = f"{name}_{metric.replace('@', '_at_')}"
            for ending, value in (("", one.value), ("_low", one.low), ("_high", one.high)):
                self.client.log_metric(run_id, plain + ending, value)

    def end(self, run_id: str, outcome: str, comparison: Mapping[str, Any]) -> None:
        """Close a run with its outcome, and keep the comparison with baselines and champion."""
        self.client.set_tag(run_id, OUTCOME, outcome[:LONGEST_TAG])
        self.client.log_dict(run_id, dict(comparison), COMPARISON)
        self.client.set_terminated(run_id)

    def fail(self, run_id: str) -> None:
        """Close a run that was not completed."""
        self.client.set_terminated(run_id, "FAILED")

    def register(self, model: TrainedModel, run_id: str, tags: Mapping[str, str]) -> int:
        """Register the model of a run as a new version, the challenger, and return its number."""
        from mlflow.exceptions import MlflowException

        name = self.name_of(model.exposure.name)
        try:
            self.client.create_registered_model(name, description=model.exposure.where)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        artifacts = self.client.get_run(run_id).info.artifact_uri
        record = model.training_set.record
        about = {"release": record.release, "training_set": str(model.training_set.version), **tags}
        made = self.client.create_model_version(
            name, f"{artifacts}/{MODEL}", run_id, tags={key: value[:LONGEST_TAG] for key, value in about.items()}
        )
        self.client.set_registered_model_alias(name, CHALLENGER, made.version)
        return int(made.version)

    def promote(self, exposure: str, number: int) -> None:
        """Make a version the champion."""
        name = self.name_of(exposure)
        self.client.set_registered_model_alias(name, CHAMPION, str(number))
        self.client.delete_registered_model_alias(name, CHALLENGER)

    def champion(self, exposure: str) -> RegisteredModel | None:
        """Return the champion; None if no model is registered. Raises StorageFailed if its file was changed."""
        from mlflow.exceptions import MlflowException

        try:
            found = self.client.get_model_version_by_alias(self.name_of(exposure), CHAMPION)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            return None
        with tempfile.TemporaryDirectory() as place, _quietly():
            import mlflow.sklearn

            model = Path(self.client.download_artifacts(found.run_id, MODEL, place))
            card = json.loads(Path(self.client.download_artifacts(found.run_id, CARD, place)).read_text())
            if _hash(model / PICKLE) != self.client.get_run(found.run_id).data.tags.get("model_sha256"):
                raise StorageFailed(
                    f"model {found.name}, version {found.version}",
                    "its file is not the one that was registered, so it was not loaded",
                    f"Restore the artifacts of run {found.run_id}, or train again: "
                    f"{settings.command()} train {exposure} --again",
                )
            pipeline = mlflow.sklearn.load_model(str(model))
        return RegisteredModel(found.name, int(found.version), found.run_id, pipeline, card)

    def _experiment(self, exposure: str) -> str:
        name = self.name_of(exposure)
        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        elsewhere = settings.mlflow_is_elsewhere()
        place = None if elsewhere else (settings.mlflow_home() / "artifacts" / name).as_uri()
        return str(self.client.create_experiment(name, artifact_location=place))


def fingerprint_of(exposure: MlExposure, found: TrainingSet) -> str:
    """Return a hash of all that decides on a trained model: rows, their meaning, the declaration, and packages."""
    record = found.record
    meaning = [record.definition, record.content, exposure.declared.model_dump_json(), record.gap]
    meaning.append(json.dumps({package: version_of(package) for package in PACKAGES}))
    return hashlib.sha256(json.dumps(meaning).encode()).hexdigest()


def _metrics(model: TrainedModel) -> dict[str, float]:
    values: dict[str, float] = {"train_seconds": model.seconds}
    for name, one in model.metrics.items():
        plain = name.replace("@", "_at_")
        values |= {plain: one.value, f"{plain}_low": one.low, f"{plain}_high": one.high}
    for name, one in model.baselines.items():
        plain = name.replace(" ", "_")
        values |= {f"baseline_{plain}": one.value, f"gain_over_{plain}": model.gains[name].value}
        values[f"gain_over_{plain}_low"] = model.gains[name].low
    return values


def _params(model: TrainedModel) -> dict[str, Any]:
    declared, parts = model.exposure.declared, model.parts
    return {
        "estimator": declared.estimator,
        "metric": declared.metric,
        "split": declared.split.model_dump_json(exclude_none=True),
        "gap": model.exposure.gap,
        "cut": parts.cut,
        "train_rows": len(parts.train),
        "test_rows": len(parts.test),
        "left_out_rows": parts.left_out,
        "seed": declared.seed,
        **{f"param_{name}": value for name, value in model.params.items()},
    }


def _tags(model: TrainedModel, fingerprint: str) -> dict[str, Any]:
    record = model.training_set.record
    return {
        FINGERPRINT: fingerprint,
        "release": record.release,
        "training_set": f"{model.training_set.path.name} version {model.training_set.version}",
        "training_set_definition": record.definition,
        "training_set_spine": record.spine,
        "training_set_content": record.content,
        "immature_rows": record.immature_rows,
        "git_commit": describe_commit(settings.PROJECT) or "no checkout",
        "owner": model.exposure.owner,
    }


def _write_artifacts(model: TrainedModel, place: Path) -> None:
    """Write card, plots and model."""
    metric = model.exposure.declared.metric
    first = dict(list(model.importances.items())[:SHOWN_FEATURES])
    plots = place / "plots"
    plots.mkdir()
    (plots / "calibration.svg").write_text(draw_calibration(model.calibration, f"{model.exposure.name}: calibration"))
    (plots / "importances.svg").write_text(draw_bars(first, f"{model.exposure.name}: importance of features"))
    compared = {model.exposure.name: model.metrics[metric], **model.baselines}
    (plots / "baselines.svg").write_text(draw_intervals(compared, f"{metric} beside baselines"))
    _save(model, place / MODEL)
    time = model.exposure.declared.time
    trend = Trend.of(model.parts, time)
    card = {
        "task": {"kind": model.task.kind, "label": model.task.label, "classes": model.task.classes},
        "features": model.training_set.features,
        "training_set": model.training_set.version,
        "importances": model.importances,
        "metric": metric,
        "measured": asdict(model.metrics[metric]),
        "calibration": model.calibration,
        "profiles": profile_features(model.parts.train, model.training_set.features, trend),
        "score_profile": profile_scores(model.scores, model.parts, time),
        "trend": [trend.since, trend.seconds] if trend else None,
    }
    (place / CARD).write_text(json.dumps(card, ensure_ascii=False, default=_plain))


def _save(model: TrainedModel, place: Path) -> None:
    with _quietly():
        import mlflow.sklearn
        from mlflow.models import infer_signature

        examples = model.parts.test[list(model.training_set.features)].head(EXAMPLES)
        signature = infer_signature(examples, model.scores[:EXAMPLES])
        requirements = [f"{package}=={version_of(package)}" for package in PACKAGES]
        mlflow.sklearn.save_model(
            model.pipeline,
            str(place),
            signature=signature,
            pip_requirements=requirements,
            serialization_format="cloudpickle",
        )


def _hash(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else ""


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep hints of MLflow off the terminal: on integers that may be null later, and on the format of models."""
    logging.getLogger("mlflow").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
