"""A shop whose warehouse is released after every load: what has not changed is kept from the last release."""

import hashlib
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import duckdb
from dbt.contracts.graph.manifest import Manifest
from support.chance import NOON
from support.lake_by_hand import Lake, Warehouse

from flows.config.settings import DataFolder
from flows.warehouse.build import Build, build_candidate, prepare_candidate
from flows.warehouse.dbt import Dbt
from flows.warehouse.release import publish_candidate


def part_of(manifest: Manifest, *names: str, tested: bool = False) -> Manifest:
    """Return a project of some models and what they read, with the data tests of these alone or without tests.

    A lake whose records break many rules is built without tests.
    """
    part = manifest.deepcopy()
    kept: set[str] = set()
    wanted = [
        key for key, node in part.nodes.items() if node.resource_type != "test" and node.name in (names or [node.name])
    ]
    while wanted:
        key = wanted.pop()
        if key in part.nodes and key not in kept:
            kept.add(key)
            wanted += part.nodes[key].depends_on_nodes
    kept |= {key for key, node in part.nodes.items() if node.resource_type == "operation"}
    known = kept | part.sources.keys()
    tests = [node for node in part.nodes.values() if node.resource_type == "test" and tested]
    kept |= {node.unique_id for node in tests if known.issuperset(node.depends_on_nodes)}
    part.nodes = {key: node for key, node in part.nodes.items() if key in kept}
    part.unit_tests, part.exposures = {}, {}
    part.build_parent_and_child_maps()
    return part


def order_once(*orders: str) -> Lake:
    """Return a lake with orders of one customer, each of one piece of one product, that arrived together."""
    lake = Lake()
    lake.load(
        NOON,
        crm__customers=[{"customer_id": "C1", "city": "Leeds", "updated_at": NOON}],
        shop__products=[{"product_id": "P1", "product_name": "Lamp", "updated_at": NOON}],
        sales__orders=[
            {"order_id": order, "customer_id": "C1", "ordered_at": NOON, "updated_at": NOON, "status": "paid"}
            for order in orders
        ],
        sales__order_lines=[
            {"order_id": order, "line_number": 1, "product_id": "P1", "quantity": 1, "unit_price": 5}
            for order in orders
        ],
    )
    return lake


class Released(Warehouse):
    """The releases of a lake by hand, as the flow makes them."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        super().__init__(folder, manifest)
        self.data = DataFolder(folder / "shop")
        self.data.path.mkdir()
        self.path = self.data.warehouse

    @classmethod
    def once(cls, folder: Path, manifest: Manifest, lake: Lake, *models: str) -> "Released":
        """Return the first release of a lake, of some models with their tests."""
        released = cls(folder / "released", part_of(manifest, *models, tested=True))
        released.release(lake)
        return released

    def copy(self, folder: Path) -> "Released":
        """Return a copy in another folder, with a manifest of its own, so that a test may change it."""
        copied = Released(folder, self.manifest.deepcopy())
        shutil.copytree(self.folder, copied.folder, symlinks=True, dirs_exist_ok=True)
        return copied

    def release(
        self,
        lake: Lake,
        variables: Mapping[str, Any] | None = None,
        *,
        full_refresh: bool = False,
        held: Collection[str] = (),
    ) -> Build:
        """Build what has changed, but for what is held back, and publish it, without gates."""
        self.write_catalog(lake)
        prepare_candidate(self.data, empty=full_refresh or not self.data.warehouse.exists())
        dbt = Dbt(self.data, self.manifest, variables or {})
        build = build_candidate(dbt, full_refresh=full_refresh, select=None, held=held)
        assert all(result.status in ("success", "pass", "warn") for result in build.results), [
            (result.node.name, result.message) for result in build.results if result.status not in ("success", "pass")
        ]
        publish_candidate(self.data, build, {})
        return build

    def write_catalog(self, lake: Lake) -> None:
        """Write the lake with a pin for each table, as the flow does."""
        lake.write(self.data.catalog, self.manifest)
        with duckdb.connect(str(self.data.catalog)) as catalog:
            catalog.execute(
                "create table main.pins (source varchar, table_name varchar, version bigint, batch bigint, "
                "rows varchar, shape varchar)"
            )
            for name, rows in lake.arrived.items():
                state = hashlib.sha256(repr(rows).encode()).hexdigest()
                catalog.execute("insert into main.pins values (?, ?, 1, 1, ?, '')", [*name.split("."), state])

    def tables(self) -> list[str]:
        return [table for table in super().tables() if table not in ("main.release", "main.node_state")]
