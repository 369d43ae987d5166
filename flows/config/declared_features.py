"""The features that the project declares, from dbt's manifest, or from the YAML alone, which takes no dbt."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from flows.config import settings
from flows.config.contract import PERSONAL_TAGS, meta_of
from flows.config.declared import TEMPLATE, read_yaml
from flows.config.features import FeatureGroup, Model, features_used, read_features

DECLARES_MODELS = re.compile(r"^(models|seeds|snapshots)\s*:", re.MULTILINE)
TODAY = "today"
"""The `config.meta.view` of models whose rows change with what comes later."""
TABLES = ("model", "seed", "snapshot")


def features_of(manifest: Any) -> list[FeatureGroup]:
    """Return the declared features of a parsed project; raises UsageError for those that cannot be used."""
    return read_features(models_of(manifest).values())


def models_of(manifest: Any) -> dict[str, Model]:
    """Return what a parsed project's YAML says of its models, by their names."""
    return {node.name: _model_of(node) for node in _tables(manifest)}


def unique_columns(manifest: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield model and columns of each data test that keeps columns unique, as the macro is_tested_unique does."""
    for node in manifest.nodes.values():
        metadata = getattr(node, "test_metadata", None)
        if metadata is None or node.config.where or node.attached_node not in manifest.nodes:
            continue
        columns = metadata.kwargs.get("columns") or [node.column_name]
        if metadata.name in ("unique", "unique_combination_of_columns"):
            yield manifest.nodes[node.attached_node].name, tuple(columns)


def describe_training_sets(manifest: Any, groups: list[FeatureGroup]) -> None:
    """Give the columns of each training set that its YAML does not name the feature's type and description.

    So a feature is described once, where it is declared, and the docs and the release show it everywhere.
    """
    for node in _tables(manifest):
        patterns = features_used(getattr(node, "raw_code", "") or "")
        for group in groups if patterns else ():
            for feature in group.selected(patterns):
                if feature.name not in node.columns:
                    node.columns[feature.name] = _column(feature.name, feature.description, feature.data_type)


def document_features(manifest: Mapping[str, Any]) -> None:
    """Write the features into the descriptions of dbt's manifest as JSON, from which the docs site is made."""
    tables = [node for node in manifest["nodes"].values() if node["resource_type"] in TABLES]
    groups = read_features(_model_in_json(node) for node in tables)
    for node in tables:
        own = [group for group in groups if group.model == node["name"]]
        if own:
            node["description"] += "\n\n**Features declared on these rows**\n\n" + "\n".join(
                f"- `{feature.name}` ({feature.data_type}): {feature.description}"
                for group in own
                for feature in group.features
            )
        patterns = features_used(node.get("raw_code") or "")
        for group in groups if patterns else ():
            for feature in group.selected(patterns):
                column = node["columns"].setdefault(feature.name, {"name": feature.name, "meta": {}, "tags": []})
                column.setdefault("data_type", feature.data_type)
                column["description"] = column.get("description") or feature.description


def declared_features(project: Path = settings.PROJECT) -> list[FeatureGroup]:
    """Return the declared features without dbt; those of a model whose declaration holds templates are left to dbt."""
    models = []
    for path in sorted((project / "models").rglob("*.y*ml")):
        text = path.read_text(encoding="utf-8")
        if DECLARES_MODELS.search(text):
            entries = read_yaml(path)
            for kind in ("models", "seeds", "snapshots"):
                models += [_model_in_yaml(one, path.relative_to(project)) for one in entries.get(kind) or []]
    return read_features(models)


def _tables(manifest: Any) -> Iterator[Any]:
    return (node for node in manifest.nodes.values() if node.resource_type in TABLES)


def _model_of(node: Any) -> Model:
    columns = node.columns.values()
    return Model(
        node.name,
        (node.patch_path or node.original_file_path).split("://")[-1],
        node.config.meta.get("features"),
        {column.name: column.data_type or "" for column in columns},
        [column.name for column in columns if any(column.config.meta.get(one) for one in PERSONAL_TAGS)],
        node.config.group or "",
        node.config.meta.get("view") == TODAY,
    )


def _model_in_json(node: Mapping[str, Any]) -> Model:
    path = (node.get("patch_path") or node.get("original_file_path") or "").split("://")[-1]
    entry = {**node, "columns": list(node["columns"].values())}
    return _model_in_yaml(entry, Path(path))


def _model_in_yaml(entry: Mapping[str, Any], path: Path) -> Model:
    columns = entry.get("columns") or []
    declared = meta_of(entry).get("features")
    return Model(
        entry["name"],
        path.as_posix(),
        None if _holds_template(declared) else declared,
        {column["name"]: column.get("data_type") or "" for column in columns},
        [column["name"] for column in columns if any(meta_of(column).get(one) for one in PERSONAL_TAGS)],
        is_of_today=meta_of(entry).get("view") == TODAY,
    )


def _holds_template(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_holds_template(one) for key, one in value.items() if key != "description")
    if isinstance(value, list):
        return any(map(_holds_template, value))
    return isinstance(value, str) and bool(TEMPLATE.search(value))


def _column(name: str, description: str, data_type: str) -> Any:
    from dbt.artifacts.resources import ColumnInfo  # dbt takes seconds to import, and a parsed project has it

    return ColumnInfo(name=name, description=description, data_type=data_type or None)
