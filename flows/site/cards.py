"""The cards of the models that exposures declare: the declaration, and what the registry keeps of their versions."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows.config import settings
from flows.learning.exposures import LOWER_IS_BETTER, MlExposure, read_exposures
from flows.learning.project import DbtProject, Node
from flows.learning.registry import CARD, CHAMPION, COMPARISON, OUTCOME, Registry
from flows.site.memory import read_memory, write_memory
from flows.site.model_facts import Card, Measure, ModelVersion
from flows.warehouse.dbt import Dbt

MEMORY = "cards.json"
COMMIT = re.compile(r"[0-9a-f]{40}")
SHOWN = 12
"""The most important features that are shown."""

PARAMETERS = {
    "train_rows": "Training rows",
    "test_rows": "Test rows",
    "cut": "Test rows from",
}
PARAMETERS |= {"left_out_rows": "Rows left out", "seed": "Seed"}
TAGS = {
    "release": "Release",
    "training_set": "Training set",
    "git_commit": "Commit",
    "immature_rows": "Labels not known",
}
CAUTIONS = (
    "It ranks and estimates; it does not say what an action would change.",
    "No decision on a person rests on its score alone.",
)
"""Uses that no model of a registry is made for."""


def cards_of(dbt: Dbt) -> list[Card]:
    """Return the card of each model that the project declares, as far as it was trained."""
    project = DbtProject.read(dbt.folder)
    exposures = read_exposures(project)
    declared = {node["name"]: node for node in project.exposures}
    kept = _registered(dbt, exposures)
    return [_card(exposure, declared[exposure.name], kept.get(exposure.name, {}), project) for exposure in exposures]


def _card(exposure: MlExposure, node: Node, kept: Mapping[str, Any], project: DbtProject) -> Card:
    declared, card, compared = exposure.declared, kept.get("card") or {}, kept.get("comparison") or {}
    names = {one["name"]: key for key, one in project.nodes.items()}
    tables = [names[name] for name in (exposure.label_model, exposure.train, exposure.score) if name in names]
    importances = sorted((card.get("importances") or {}).items(), key=lambda one: -one[1])[:SHOWN]
    params, tags = kept.get("params") or {}, kept.get("tags") or {}
    facts = {title: _fact(params[key]) for key, title in PARAMETERS.items() if params.get(key)}
    facts |= {title: _fact(tags[key]) for key, title in TAGS.items() if tags.get(key)}
    baselines = [_measure(name, one) for name, one in (compared.get("baselines") or {}).items()]
    is_lower = declared.metric.partition("@")[0] in LOWER_IS_BETTER
    return Card(
        exposure.name,
        str(node.get("label") or exposure.name),
        str(node.get("description") or ""),
        exposure.owner,
        declared.label,
        declared.entity,
        declared.estimator,
        declared.metric,
        tables,
        horizon=f"{exposure.horizon.days} days" if exposure.horizon else "",
        warnings=_cautions(exposure, node),
        measured=_measure(declared.metric, card["measured"]) if card.get("measured") else None,
        baselines=sorted(baselines, key=lambda one: one.value if is_lower else -one.value),
        versions=[_version(declared.metric, one) for one in kept.get("versions") or ()],
        calibration=[(score, truth) for score, truth, _ in card.get("calibration") or ()],
        importances=importances,
        facts=facts,
    )


def _fact(value: str) -> str:
    """Return a parameter or tag for reading: numbers with their thousands apart, a commit by its beginning."""
    if value.isdigit():
        return f"{int(value):,}"
    return value[:12] if COMMIT.match(value) else value.removesuffix(" 00:00:00")


def _measure(name: str, value: Mapping[str, float]) -> Measure:
    return Measure(name, value["value"], value.get("low"), value.get("high"))


def _version(metric: str, one: Mapping[str, Any]) -> ModelVersion:
    measured = _measure(metric, one["measured"]) if one.get("measured") else None
    registered = datetime.fromtimestamp(one["registered"] / 1000, UTC).replace(tzinfo=None)
    return ModelVersion(one["number"], one["release"], registered, one["is_champion"], measured, one["outcome"])


def _cautions(exposure: MlExposure, node: Node) -> list[str]:
    """Return the uses for which the model is not made: those that its exposure names, and those of any model."""
    declared, meta = exposure.declared, (node.get("config") or {}).get("meta") or {}
    named = meta.get("not_for") or ()
    found = [str(one) for one in ([named] if isinstance(named, str) else named)]
    entities = " and ".join(declared.entity)
    horizon = f", and for no time beyond {exposure.horizon.days} days" if exposure.horizon.days else ""
    found.append(f"It is made for each {entities} that its training set could have had{horizon}.")
    limits = declared.drift
    found.append(
        f"It is not to be used once a feature drifts beyond a PSI of {limits.psi:g}; on drift, scoring is set to: "
        f"{declared.on_drift}."
    )
    found += [f"It reads {name}, which is personal data: {reason}" for name, reason in declared.allow.items()]
    return [*found, *CAUTIONS]


def _registered(dbt: Dbt, exposures: Sequence[MlExposure]) -> dict[str, Any]:
    """Return what the registry keeps of each model; importing MLflow takes seconds, so it is asked only for news."""
    file, place = settings.mlflow_home() / "mlflow.db", dbt.folder.target / MEMORY
    if settings.mlflow_is_elsewhere():
        mark: list[int] = []
    elif file.exists():
        mark = [file.stat().st_mtime_ns, file.stat().st_size]
    else:
        return {}
    memory = read_memory(place)
    if mark and memory.get("mark") == mark:
        return dict(memory["cards"])
    registry = Registry(dbt.folder)
    found = {exposure.name: _versions(registry, exposure.name) for exposure in exposures}
    write_memory(place, {"mark": mark, "cards": found})
    return found


def _versions(registry: Registry, exposure: str) -> dict[str, Any]:
    """Return the versions of a model, the newest first, and the card of its champion."""
    name, client = registry.name_of(exposure), registry.client
    found: dict[str, Any] = {"versions": []}
    champions = {str(model.aliases.get(CHAMPION, "")) for model in client.search_registered_models(f"name = '{name}'")}
    for version in client.search_model_versions(f"name = '{name}'"):
        run = client.get_run(version.run_id)
        card, comparison = _artifact(client, version.run_id, CARD), _artifact(client, version.run_id, COMPARISON)
        is_champion = str(version.version) in champions
        found["versions"].append(
            {
                "number": int(version.version),
                "release": version.tags.get("release", ""),
                "registered": version.creation_timestamp,
                "is_champion": is_champion,
                "measured": card.get("measured"),
                "outcome": run.data.tags.get(OUTCOME, ""),
            }
        )
        if is_champion:
            shown = {key: card.get(key) for key in ("measured", "calibration", "importances")}
            found |= {"card": shown, "comparison": comparison, "params": run.data.params, "tags": run.data.tags}
    found["versions"].sort(key=lambda one: -one["number"])
    return found


def _artifact(client: Any, run_id: str, name: str) -> dict[str, Any]:
    """Return an artifact of a run as JSON; empty if the run has none."""
    with tempfile.TemporaryDirectory() as place:
        try:
            return dict(json.loads(Path(client.download_artifacts(run_id, name, place)).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}
