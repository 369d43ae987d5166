"""Runs of the whole flow, and of commands, in a child process, with a clock that is fixed for each day of the shop."""

import pickle
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from dbt.contracts.graph.manifest import Manifest
from sources import SET, Sources
from support.breaks import BREAKS
from support.kills import Child, preload, replace_everywhere, set_constants

from flows.config.settings import DataFolder
from flows.core import clock
from flows.lake import maintenance
from flows.warehouse import release
from flows.warehouse.dbt import Dbt

RELEASES_KEPT = 3
"""A small number, so that old releases are deleted within a round."""

FEW_FILES = 4
"""So many small files are compacted, so that it happens within a round."""

MODELS = ("customer_segments", "fct_order_lines", "image_features", "segment_changes", "similar_images")
"""These are built, with all that they read: views, tables, incremental tables, a snapshot, and rows that are kept."""

OFTEN = {"flows.lake.maintenance:MANY": FEW_FILES, "flows.learning.training_sets:RELEASES_KEPT": RELEASES_KEPT}

preload(
    "flows.backfill",
    "flows.cli.backfill",
    "flows.cli.releases",
    "flows.elt",
    "flows.reproduce",
    "flows.sources.files.table",
    "flows.sources.kafka.table",
    "flows.sources.sql.postgresql",
    "flows.sources.sql.sqlite",
    "flows.warehouse.copies",
    "flows.warehouse.lake_plugin",
    "dbt.adapters.duckdb",
    "dbt.task.build",
    "dbt.task.compile",
    "dbt.task.freshness",
    "fastapi",
    "obstore",
    "prefect.flow_engine",
    "prefect.task_engine",
    "pyarrow.compute",
    "pyarrow.parquet",
)


@dataclass(frozen=True)
class Runs:
    """Makes children that work on the shop, whose output and temporary files are kept under `home`."""

    sources: Sources
    home: Path

    def elt(self, day_began: datetime, broken: str | None) -> Child:
        """Return a run of the whole flow on a day."""
        return self._child("flows.elt:elt", (SET, str(self.sources.connections)), {}, day_began, broken)

    def command(self, function: str, options: Mapping[str, Any], day_began: datetime, broken: str | None) -> Child:
        """Return a run of a command on a day."""
        options = {**options, "connection_set": SET, "connections": self.sources.connections}
        return self._child(function, (), options, day_began, broken)

    def _child(
        self, target: str, arguments: Sequence[Any], options: Mapping[str, Any], day_began: datetime, broken: str | None
    ) -> Child:
        constants = {**self.sources.small, **OFTEN, "tempfile:tempdir": str(self.home)}
        preparations = [partial(set_constants, constants), partial(stop_clock, day_began), clean_up_often]
        preparations.append(partial(build_few_models, self.home / "few-models.pickle"))
        if broken is not None:
            preparations.append(BREAKS[broken])
        return Child(target, arguments, options, preparations, str(self.home / "output.txt"))


def stop_clock(moment: datetime) -> None:
    """Give rows of a killed run and of the next run the same load time, which dates deletions."""
    replace_everywhere(clock, "utc_now", lambda: moment)


def clean_up_often() -> None:
    """Keep only a few releases, and files of the lake no longer than they are needed, so that old ones are deleted."""
    prune = release.prune_releases
    replace_everywhere(release, "prune_releases", partial(prune_few, prune))
    clean_up = partial(maintenance.compact_and_vacuum_lake, age=timedelta(0), least=FEW_FILES)
    replace_everywhere(maintenance, "compact_and_vacuum_lake", clean_up)


def prune_few(
    prune: Callable[..., dict[str, int]], folder: DataFolder, keep: int = RELEASES_KEPT, left: str | None = None
) -> dict[str, int]:
    """Delete all but a few releases."""
    return prune(folder, keep, left)


def build_few_models(place: Path) -> None:
    """Build a tenth of the project, parsed once into a file: the crash is the point here, and not the SQL."""
    parse = Dbt.parse.__func__  # type: ignore[attr-defined]

    def parse_once(cls: type[Dbt], folder: DataFolder, variables: Mapping[str, Any] | None = None) -> Dbt:
        if not place.exists():
            part = place.with_suffix(".part")
            part.write_bytes(pickle.dumps(some_of(parse(cls, folder, variables).manifest)))
            part.replace(place)
        return Dbt(folder, pickle.loads(place.read_bytes()), variables or {})

    Dbt.parse = classmethod(parse_once)  # type: ignore[assignment, arg-type]


def some_of(manifest: Manifest) -> Manifest:
    """Return a project of MODELS, of what they read, and of the data tests of these."""
    kept: set[str] = set()
    waiting = [key for key, node in manifest.nodes.items() if node.name in MODELS]
    while waiting:
        key = waiting.pop()
        if key not in kept and key in manifest.nodes:
            kept.add(key)
            waiting += manifest.nodes[key].depends_on_nodes
    known = kept | manifest.sources.keys()
    nodes = {
        key: node
        for key, node in manifest.nodes.items()
        if key in kept
        or node.resource_type == "operation"
        or (node.resource_type == "test" and known.issuperset(node.depends_on_nodes or [""]))
    }
    manifest.nodes, manifest.unit_tests, manifest.exposures = nodes, {}, {}
    manifest.build_parent_and_child_maps()
    for name in [name for name in vars(manifest) if name.endswith("_lookup")]:
        setattr(manifest, name, None)  # dbt-core 1.11 pickles these in another order than it reads them in
    return manifest


def first_day() -> datetime:
    """Return the start of the shop's first day: recent enough for the freshness that its sources promise."""
    return clock.utc_now() - timedelta(hours=1)
