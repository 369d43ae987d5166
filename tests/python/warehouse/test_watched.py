"""Four faults of sources, each found by the tests of a build: a finding has the table, its owner, and what is wrong."""

from dataclasses import replace
from pathlib import Path

import pytest
from support.four_faults import load_days
from support.lake_by_hand import Lake

from flows.config.settings import DataFolder
from flows.core.errors import Finding, GateFailed
from flows.core.files import FileState
from flows.warehouse.build import Build, build_candidate, prepare_candidate
from flows.warehouse.dbt import Dbt
from flows.warehouse.gates import require_gates

pytestmark = pytest.mark.slow

SELECTED = "+fct_orders +fct_web_events +sensor_faults +fct_payments source:sales source:payments.transactions"


class Watched:
    """A candidate that is built from a lake, and what its gates say."""

    def __init__(self, place: Path) -> None:
        self.dbt = Dbt.parse(DataFolder(place / "watched"))

    def build(self, *, is_faulty: bool) -> Build:
        lake = Lake()
        load_days(lake, is_faulty=is_faulty)
        lake.write(self.dbt.folder.catalog, self.dbt.manifest)
        prepare_candidate(self.dbt.folder)
        return build_candidate(self.dbt, full_refresh=False, select=SELECTED)

    def findings(self, build: Build) -> list[Finding]:
        return [one for one in require_gates(self.dbt, build).findings if "no record in" not in one.what]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    return Watched(tmp_path_factory.mktemp("watched"))


@pytest.fixture(scope="module")
def faulty(watched: Watched) -> Build:
    return watched.build(is_faulty=True)


def test_usual_days_end_without_a_finding(watched: Watched) -> None:
    assert watched.findings(watched.build(is_faulty=False)) == []


def test_each_fault_ends_in_a_warning_with_the_table_and_its_owner(watched: Watched, faulty: Build) -> None:
    found = {(one.where, one.owner): one.what for one in watched.findings(faulty)}
    assert {one.severity for one in watched.findings(faulty)} == {"warn"}
    assert "customer_id is null in 52.5 percent of 80 rows" in found["fct_orders", "sales"]
    assert "product_id is null in 100.0 percent of 80 rows" in found["fct_web_events", "web"]
    assert "nothing has arrived for 144.0 hours, and 24.0 were usual" in found["payments.transactions", "payments"]
    assert "unit_id=U2" in found["sensor_faults", "operations"]


def test_a_schema_that_changes_is_told_by_what_is_gone_and_by_what_is_new(watched: Watched, faulty: Build) -> None:
    told = [one.what for one in watched.findings(faulty) if one.where == "fct_web_events"]
    assert any("event_type has the new value page in 80 of 80 rows" in text for text in told)
    assert any("none of 80 rows has the value page_view of event_type" in text for text in told)


def test_as_an_error_a_finding_stops_the_release_and_names_its_owner(watched: Watched, faulty: Build) -> None:
    tests = ["fct_orders__nulls_are_usual", "payments_transactions__arrivals_are_usual"]
    nodes = [node for node in watched.dbt.manifest.nodes.values() if node.name in tests]
    with pytest.MonkeyPatch.context() as patched:
        for node in nodes:
            patched.setattr(node.config, "severity", "ERROR")
        results = watched.dbt.run("test", "--select", *tests)
    build = replace(faulty, results=tuple(results), file=FileState.of(watched.dbt.folder.candidate))
    with pytest.raises(GateFailed) as failed:
        require_gates(watched.dbt, build)
    found = {one.where: one for one in failed.value.findings}
    assert (found["fct_orders"].owner, found["fct_orders"].severity) == ("sales", "error")
    assert "customer_id is null in 52.5 percent" in found["fct_orders"].what


def test_no_test_of_anomalies_may_be_without_an_owner_a_date_and_a_cause(watched: Watched, faulty: Build) -> None:
    (node,) = (node for node in watched.dbt.manifest.nodes.values() if node.name == "fct_orders__nulls_are_usual")
    tolerance = dict(node.config.meta["tolerance"])
    del node.config.meta["tolerance"]["owner"]
    try:
        with pytest.raises(Exception, match="fct_orders__nulls_are_usual has limits without owner"):
            watched.dbt.run("test", "--select", node.name)
    finally:
        node.config.meta["tolerance"] = tolerance
