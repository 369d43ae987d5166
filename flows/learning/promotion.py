"""From training set to registry: a model must beat the baselines to be registered, and the champion to replace it."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from flows.config.settings import DataFolder
from flows.learning.companions import train_companions
from flows.learning.exposures import MlExposure
from flows.learning.fit import TrainedModel, train_model
from flows.learning.gates import require_packages
from flows.learning.metrics import Measured
from flows.learning.project import DbtProject
from flows.learning.registry import OUTCOME, RegisteredModel, Registry, fingerprint_of
from flows.learning.training_sets import TrainingSet, make_training_set

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """A challenger beside the champion on the same newest rows.

    `gain` is None if there is no champion, or if it cannot read the rows any more.
    """

    is_better: bool
    reason: str
    champion: int | None = None
    value: Measured | None = None
    gain: Measured | None = None


@dataclass(frozen=True)
class TrainOutcome:
    """The outcome of a training: the version, if it was registered, the champion after it, and the reasons in words."""

    name: str
    verdict: str
    version: int | None
    champion: int | None
    run_id: str
    training_set: TrainingSet
    reasons: tuple[str, ...] = ()
    metric: str = ""
    measured: Measured | None = None
    baselines: Mapping[str, Measured] = field(default_factory=dict)
    train_rows: int = 0
    test_rows: int = 0
    seconds: float = 0.0

    @property
    def row(self) -> dict[str, str]:
        """The outcome as a row of a table."""
        best = ", ".join(f"{name} {one.value:.3f}" for name, one in self.baselines.items())
        return {
            "model": self.name,
            "verdict": self.verdict,
            "champion": str(self.champion or "—"),
            "metric": f"{self.metric} {self.measured}" if self.measured else "",
            "baselines": best,
            "training rows": f"{self.train_rows:,}" if self.train_rows else "",
            "test rows": f"{self.test_rows:,}" if self.test_rows else "",
            "seconds": f"{self.seconds:.1f}",
        }


def train_and_register(
    folder: DataFolder, project: DbtProject, exposure: MlExposure, registry: Registry, *, again: bool = False
) -> TrainOutcome:
    """Train a model on the published release, record the run, and register and promote the model if it earns that.

    If a run with the same rows, declaration and packages is on record, nothing is trained, unless `again` asks for it.
    """
    require_packages(exposure)
    found = make_training_set(folder, project, exposure)
    fingerprint = fingerprint_of(exposure, found)
    champion = registry.champion(exposure.name)
    before = None if again else registry.last_run(exposure, fingerprint)
    if before is not None:
        said = before.data.tags.get(OUTCOME, "")
        reason = f"nothing is new since run {before.info.run_id}: {said}"
        number = champion.version if champion else None
        return TrainOutcome(exposure.name, "unchanged", None, number, before.info.run_id, found, (reason,))
    model = train_model(exposure, project, found)
    for note in model.notes:
        logger.warning("%s", note)
    run_id = registry.record(model, fingerprint)
    try:
        companions, notes = train_companions(model)
        registry.add_metrics(run_id, exposure.declared.metric, companions)
        outcome = _decide(model, registry, run_id, champion)
        outcome = replace(outcome, reasons=(*outcome.reasons, *notes))
        registry.end(run_id, f"{outcome.verdict}; {'; '.join(outcome.reasons)}", _describe(model, outcome))
    except BaseException:
        registry.fail(run_id)
        raise
    return outcome


def compare(model: TrainedModel, champion: RegisteredModel | None) -> Comparison:
    """Compare a model with the champion on the model's test rows, which neither of them was trained on."""
    if champion is None:
        return Comparison(True, "there is no champion yet")
    absent = [name for name in champion.features if name not in model.parts.test]
    task = champion.task
    if absent or (task.kind, task.classes) != (model.task.kind, model.task.classes):
        what = f"the features {', '.join(absent)} are gone" if absent else "the label has other values"
        return Comparison(True, f"champion {champion.version} cannot be compared: {what}", champion.version)
    metric, theirs = model.exposure.declared.metric, task.score(champion.pipeline, model.parts.test)
    gain, value = model.rows.gain(metric, model.scores, theirs), model.rows.measure(metric, theirs)
    is_better = gain.low > 0
    word = "better" if is_better else "not better beyond the interval"
    ours = model.metrics[metric]
    reason = (
        f"{word} than champion {champion.version} on the same {len(model.rows.truth):,} rows: "
        f"{metric} {ours} against {value}, gain {gain}"
    )
    return Comparison(is_better, reason, champion.version, value, gain)


def _decide(model: TrainedModel, registry: Registry, run_id: str, champion: RegisteredModel | None) -> TrainOutcome:
    """Register the model unless there are refusals, and promote it if it is better than the champion."""
    name, metric = model.exposure.name, model.exposure.declared.metric
    number = champion.version if champion else None
    version, reasons = None, model.refusals
    verdict = "not registered"
    if not model.refusals:
        comparison = compare(model, champion)
        tags = {"comparison": comparison.reason, "metric": f"{metric} {model.metrics[metric]}"}
        version = registry.register(model, run_id, tags)
        reasons, verdict = (comparison.reason,), "challenger"
        if comparison.is_better:
            registry.promote(name, version)
            verdict, number = "promoted" if champion else "first champion", version
    return TrainOutcome(
        name,
        verdict,
        version,
        number,
        run_id,
        model.training_set,
        reasons,
        metric,
        model.metrics[metric],
        model.baselines,
        len(model.parts.train),
        len(model.parts.test),
        model.seconds,
    )


def _describe(model: TrainedModel, outcome: TrainOutcome) -> dict[str, Any]:
    """Return what was compared, as it is kept with the run."""
    return {
        "verdict": outcome.verdict,
        "reasons": list(outcome.reasons),
        "metrics": {name: asdict(one) for name, one in model.metrics.items()},
        "baselines": {name: asdict(one) for name, one in model.baselines.items()},
        "gains": {name: asdict(one) for name, one in model.gains.items()},
        "champion": outcome.champion,
        "too_good": [str(one) for one in model.too_good],
    }
