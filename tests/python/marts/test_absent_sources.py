"""Any source may be absent: its marts are empty, all other marts are unchanged, and every gate passes."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
import pytest
from support.flow_shop import leave_out_unit_tests

from flows.config.contract import contracts_of
from flows.config.settings import PROJECT, DataFolder
from flows.lake.catalog import pin_catalog
from flows.warehouse import build as building
from flows.warehouse.dbt import Dbt
from flows.warehouse.gates import require_gates

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures"]
pytestmark = pytest.mark.slow

SOURCES = sorted(path.name for path in (PROJECT / "models" / "staging").iterdir() if path.is_dir())
MARTS_OF = {
    "clinic": {"clinical.prescriptions_deidentified"},
    "content": {"machine_learning.review_text_features", "machine_learning.image_features"},
    "crm": {"marketing.customer_360", "marketing.duplicate_customer_pairs"},
    "equipment": {"operations.equipment_health", "operations.cold_chain_breaches", "operations.unit_service_history"},
    "graph": set(),
    "lending": {"finance.credit_histories"},
    "payments": {"risk.payment_fraud_labels", "machine_learning.train_payment_fraud"},
    "sales": {"finance.daily_sales", "growth.churn_states", "marketing.product_affinity"},
    "scoring": set(),
    "shop": set(),
    "web": {"growth.funnel", "growth.sessions_by_day"},
}
"""Marts that have rows with this source only, and no rows without it, from whatever other sources they read."""

NEEDED_BY_MOST = ("crm", "sales")
"""Sources that most marts read; without each other one, the same is shown as a proof."""


@dataclass
class Builds:
    """A data folder in which the pharmacy is built several times, from different sources of its lake."""

    pharmacy: "Pharmacy"
    dbt: Dbt

    @property
    def folder(self) -> DataFolder:
        return self.dbt.folder

    def build(self, present: Iterable[str]) -> None:
        """Build from the present sources, as the flow does; raises GateFailed."""
        shutil.rmtree(self.folder.lake, ignore_errors=True)
        self.folder.catalog.unlink(missing_ok=True)
        raw = self.folder.lake / "raw"
        raw.mkdir(parents=True)
        for source in present:
            if (self.pharmacy.folder / "lake" / "raw" / source).exists():
                (raw / source).symlink_to(self.pharmacy.folder / "lake" / "raw" / source)
        pin_catalog(self.folder.catalog, self.folder.lake, contracts_of(self.dbt.manifest.sources.values()))
        self.begin_with_the_release()
        require_gates(self.dbt, building.build_candidate(self.dbt, full_refresh=False, select=None))

    def begin_with_the_release(self) -> None:
        """Begin with what the pharmacy's release holds, so that only what reads an absent source is built again.

        Its history is left out, since that stays when a source goes.
        """
        self.folder.warehouse.unlink(missing_ok=True)
        self.folder.warehouse.symlink_to((self.pharmacy.folder / "warehouse.duckdb").resolve())
        building.prepare_candidate(self.folder)
        with duckdb.connect(str(self.folder.candidate)) as candidate:
            for schema, snapshot in self.dbt.snapshots():
                candidate.execute(f"drop table if exists {schema}.{snapshot}")

    def sources_of(self, unique_id: str) -> set[str]:
        """Return the sources that a node depends on."""
        found, waiting = set(), [unique_id]
        while waiting:
            key = waiting.pop()
            if key.endswith(".dim_date"):  # covers the days of all sources, and no mart needs it
                continue
            if key in self.dbt.manifest.sources:
                found.add(self.dbt.manifest.sources[key].source_name)
            elif key in self.dbt.manifest.nodes:
                waiting += self.dbt.manifest.nodes[key].depends_on_nodes
        return found

    def differing(self, present: set[str]) -> dict[str, str]:
        """Return the problems by mart: rows without a source, or rows that differ from the pharmacy's."""
        wrong = {}
        with duckdb.connect(str(self.folder.candidate), read_only=True) as candidate:
            candidate.execute(f"attach '{self.pharmacy.folder / 'warehouse.duckdb'}' as whole (read_only)")
            for node in self.dbt.manifest.nodes.values():
                if node.resource_type != "model" or node.fqn[1] != "marts" or node.config.materialized != "table":
                    continue
                mart, needed = f"{node.schema}.{node.alias}", self.sources_of(node.unique_id)
                if needed and not needed & present and candidate.execute(f"select 1 from {mart} limit 1").fetchall():
                    wrong[mart] = "has rows without any of its sources"
                there, here = f"from whole.{mart}", f"from {mart}"
                differing = f"({there} except all {here}) union all ({here} except all {there})"
                if needed <= present and candidate.execute(differing).fetchall():
                    wrong[mart] = "has other rows, though all of its sources are there"
        return wrong

    def filled(self) -> set[str]:
        """Return the marts of single sources that have rows."""
        with duckdb.connect(str(self.folder.candidate), read_only=True) as candidate:
            return {
                mart
                for mart in set().union(*MARTS_OF.values())
                if candidate.execute(f"select 1 from {mart} limit 1").fetchall()
            }


@pytest.fixture(scope="module")
def builds(pharmacy: "Pharmacy", tmp_path_factory: pytest.TempPathFactory) -> "Iterable[Builds]":
    with pytest.MonkeyPatch.context() as patched:
        for variable in ("ML_WAREHOUSE_SET", "ML_WAREHOUSE_DATA", "ML_WAREHOUSE_LAKE"):
            patched.delenv(variable, raising=False)
        folder = DataFolder(tmp_path_factory.mktemp("absent") / "demo")
        dbt = Dbt.parse(folder)
        shutil.copy(DataFolder(pharmacy.folder).made_up_key, folder.made_up_key)
        leave_out_unit_tests(patched)  # the pharmacy's own build has passed them
        yield Builds(pharmacy, dbt)


@pytest.mark.parametrize(
    "absent",
    [pytest.param(one, marks=[] if one in NEEDED_BY_MOST else pytest.mark.proof) for one in SOURCES],
)
def test_without_a_source_all_else_is_as_it_was(builds: Builds, absent: str) -> None:
    present = {*SOURCES} - {absent}
    builds.build(present)
    assert builds.differing(present) == {}
    assert builds.filled() == set().union(*(MARTS_OF[source] for source in present))


@pytest.mark.proof
@pytest.mark.parametrize("source", SOURCES)
def test_with_one_source_alone_what_needs_others_is_empty(builds: Builds, source: str) -> None:
    builds.build({source})
    assert builds.differing({source}) == {}
    assert builds.filled() == MARTS_OF[source]
