"""Models that are published as Delta tables, too: `config.meta.publish: delta`."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.core.errors import UsageError

PUBLISH, DELTA = "publish", "delta"
TABLES = ("table", "incremental")
"""Materializations that a release holds as tables, and that are built again of the lake."""


@dataclass(frozen=True)
class Publication:
    """A model that is published as a Delta table: dbt's unique id, the table's name, and the columns of its key."""

    unique_id: str
    schema: str
    table: str
    key: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The table's name with its schema."""
        return f"{self.schema}.{self.table}"


def publications_of(nodes: Iterable[Any]) -> list[Publication]:
    """Return the models to publish as Delta tables; raises UsageError for one that cannot be."""
    found = []
    for node in nodes:
        wanted = node.config.meta.get(PUBLISH) if node.resource_type == "model" else None
        if wanted is None:
            continue
        place, kind = f"{node.patch_path or node.name}: {node.name}", node.config.materialized
        if wanted != DELTA:
            raise UsageError(f"{place}: meta.{PUBLISH} is {wanted!r}.", f"Write {DELTA}, or leave the key out.")
        if kind not in TABLES:
            raise UsageError(
                f"{place}: meta.{PUBLISH} is for tables, and the model is a {kind.replace('_', ' ')}.",
                f"Materialize it as {' or '.join(TABLES)}, or leave the key out.",
            )
        key = tuple(node.config.meta.get("key", ()))
        found.append(Publication(node.unique_id, node.schema, node.alias, key))
    return found


def publication_path(lake: Path, name: str) -> Path:
    """Return the path of the Delta table of a published table, by its name with the schema."""
    schema, _, table = name.partition(".")
    return lake / "published" / schema / table
