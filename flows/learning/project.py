"""The part of dbt's manifest that learning reads: exposures, label models, and the classes of personal columns."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flows.config.contract import PERSONAL_TAGS, meta_of
from flows.config.settings import DataFolder, command
from flows.core.errors import UsageError

Node = Mapping[str, Any]

COUNTING = ("count", "count_distinct")
"""Aggregates whose value tells nothing of the values that they count."""


@dataclass(frozen=True)
class DbtProject:
    """The nodes of a manifest by dbt's id, and its exposures."""

    nodes: Mapping[str, Node]
    sources: Mapping[str, Node]
    exposures: Sequence[Node]

    @classmethod
    def read(cls, folder: DataFolder) -> "DbtProject":
        """Read the manifest of the set's last run; raises UsageError if dbt has not written one yet."""
        file = folder.target / "manifest.json"
        if not file.exists():
            raise UsageError(
                f"dbt has not parsed the project for {folder.path.name} yet.", f"Run first: {command()} elt"
            )
        return cls.of(json.loads(file.read_text(encoding="utf-8")))

    @classmethod
    def of(cls, manifest: Mapping[str, Any]) -> "DbtProject":
        """Take what learning needs of a manifest, as JSON."""
        models = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] != "test"}
        return cls(models, manifest.get("sources") or {}, list(manifest.get("exposures", {}).values()))

    def label_model(self, train: Node) -> Node | None:
        """Return the label model that a training model reads, directly or through others; None if it reads none."""
        waiting, seen = [train], set()
        while waiting:
            for key in waiting.pop(0)["depends_on"]["nodes"]:
                node = self.nodes.get(key)
                if node is None or key in seen:
                    continue
                if "label" in meta_of(node):
                    return node
                seen.add(key)
                waiting.append(node)
        return None

    def model(self, name: str) -> Node | None:
        """Return a model by its name."""
        return next((node for node in self.nodes.values() if node["name"] == name), None)

    def personal_columns(self) -> dict[str, str]:
        """Return columns that are tagged personal in any contract or model, with their class.

        A declared feature that passes on the values of a tagged column is of that column's class too.
        """
        classes: dict[str, str] = {}
        for node in (*self.sources.values(), *self.nodes.values()):
            for name, column in node["columns"].items():
                if found := _class_of(column):
                    classes.setdefault(name, found)
        for node in self.nodes.values():
            for name, column in _passed_on(node):
                if found := _class_of(node["columns"].get(column) or {}):
                    classes.setdefault(name, found)
        return classes

    def code_of(self, name: str | None) -> dict[str, Any]:
        """Return the raw code of a model and what its meta declares of label and features."""
        node = self.model(name) if name else None
        if node is None:
            return {}
        declared = {key: one for key, one in meta_of(node).items() if key in ("label", "spine", "features")}
        return {"code": node.get("raw_code") or "", "meta": declared}


def _class_of(column: Node) -> str | None:
    meta = meta_of(column)
    found = [str(meta[tag]) for tag in sorted(PERSONAL_TAGS) if meta.get(tag, "none") != "none"]
    return ", ".join(found) or None


def _passed_on(node: Node) -> list[tuple[str, str]]:
    """Return the beginnings of names of declared features, each with the column whose values it passes on."""
    declared = meta_of(node).get("features") or []
    found = []
    for group in [declared] if isinstance(declared, Mapping) else declared:
        entity = group.get("entity") or []
        name = group.get("name") or "_".join(one.removesuffix("_id") for one in entity)
        for value, about in (group.get("values") or {}).items():
            if about.get("of") and about.get("agg") not in COUNTING:
                windows = about.get("windows") or [None]
                found += [(f"{name}__{value}" + (f"_{window}" if window else ""), about["of"]) for window in windows]
    return found
