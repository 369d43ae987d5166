"""Four faults of sources to their end: an alert to each owner, a release of the rest; then all is well."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest
from support.alert_server import AlertServer, alert_server
from support.four_faults import DAYS, STOPPED, load_days
from support.lake_by_hand import Lake
from support.released_shop import Released, part_of

from flows.config.settings import command
from flows.core.errors import GateFailed, HeldBack
from flows.warehouse.build import build_candidate, prepare_candidate
from flows.warehouse.dbt import Dbt
from flows.warehouse.gates import require_gates
from flows.warehouse.hold import Held, failed_roots
from flows.warehouse.release import publish_candidate

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("flow_home")]
pytest_plugins = ["support.warehouse_fixtures"]

FAULTS = {
    "fct_orders": ("fct_orders__nulls_are_usual", "Sales team", "customer_id is null in 52.5 percent of 80 rows"),
    "fct_web_events": ("fct_web_events__event_types_are_usual", "Web team", "event_type has the new value page"),
    "payments.transactions": (
        "payments_transactions__arrivals_are_usual", "Payments team", "nothing has arrived for 144.0 hours",
    ),
    "sensor_faults": ("sensor_faults__sensors_are_not_stuck", "Operations department", "No sensor is stuck."),
}  # fmt: skip
"""By table: the test that finds the fault, the owner, and what is said."""

MODELS = ("fct_orders", "fct_web_events", "fct_payments", "sensor_faults", "dim_product", "daily_sales")


class Shop(Released):
    """A shop that is published by dependency, and of which four tests of anomalies stop what they find."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        super().__init__(folder, part_of(manifest, *MODELS, tested=True))
        found = [node for node in self.manifest.nodes.values() if node.name in {test for test, *_ in FAULTS.values()}]
        assert len(found) == len(FAULTS)
        for node in found:
            node.config.severity = "ERROR"
        self.dbt = Dbt(self.data, self.manifest, {})

    def run(self, lake: Lake) -> HeldBack | None:
        """Build, hold back what depends on a failure, publish, and settle incidents, as the flow does."""
        from flows.orchestration.incidents import settle_held, settle_success

        self.write_catalog(lake)
        held = Held(self.dbt, is_allowed=True)
        while True:
            prepare_candidate(self.data, empty=not self.data.warehouse.exists())
            build = build_candidate(self.dbt, full_refresh=False, select=None, held=held.roots)
            try:
                verdict = require_gates(self.dbt, build)
                break
            except GateFailed as failure:
                held.take(failure, failed_roots(self.dbt, build))
        release = publish_candidate(self.data, build, {})
        error = HeldBack(tuple(held.causes), held.names, release.name) if held.causes else None
        with self.manifest_written():
            if error is None:
                settle_success(self.data, verdict.findings, "--set shop")
            else:
                settle_held(self.data, error, (), "--set shop")
        return error

    @contextmanager
    def manifest_written(self) -> Iterator[None]:
        """Write the manifest for a while: with it, a build would complete a catalog that is written by hand."""
        place = self.data.target / "manifest.json"
        place.parent.mkdir(exist_ok=True)
        self.manifest.write(str(place))
        yield
        place.unlink()


@pytest.fixture
def alerts(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server with a place for each owner."""
    with alert_server() as server:
        monkeypatch.setenv("ML_WAREHOUSE_ALERTS", server.url("others"))
        for table, (_, owner, _) in FAULTS.items():
            variable = owner.upper().replace(" ", "_")
            monkeypatch.setenv(f"ML_WAREHOUSE_ALERTS_{variable}", server.url(table))
        yield server


def test_each_fault_ends_in_one_alert_to_its_owner_and_the_rest_is_published(
    tmp_path: Path, manifest: Manifest, alerts: AlertServer
) -> None:
    # Given a shop of usual days, which is released
    shop = Shop(tmp_path / "released", manifest)
    usual, faulty = Lake(), Lake()
    load_days(usual, days=STOPPED)
    load_days(faulty, is_faulty=True)
    assert shop.run(usual) is None
    assert alerts.taken == []
    orders = shop.rows("from core.fct_orders order by all")

    # When the next day has four faults, and is run twice
    error = shop.run(faulty)
    shop.run(faulty)

    # Then each owner gets one message about the table, with what is wrong and the command that leads on
    assert error is not None
    for table, (_, owner, text) in FAULTS.items():
        (message,) = alerts.messages(table)
        assert message.splitlines()[:2] == ["shop: 1 incident opened", f"{owner}:"]
        assert f"- {table}, build gate (error)" in message
        assert text in message
        assert message.endswith(f"Fix source or model, and run: {command()} elt --set shop")
    assert alerts.taken == []

    # And readers see the new name of a product, and the orders of the release before
    assert shop.rows("select product_name from core.dim_product where product_id = 'P1' and is_current") == [
        ("Lamp 35",)
    ]
    assert shop.rows("from core.fct_orders order by all") == orders
    assert {"fct_orders", "daily_sales", "fct_payments", "sensor_faults"} <= set(error.tables)
    assert "dim_product" not in error.tables

    # When two days are as usual again, then all is published, and each owner is told that it is over
    mended = Lake()
    load_days(mended, is_faulty=True, days=DAYS + 2)
    assert shop.run(mended) is None
    for table in FAULTS:
        assert sum(f"{table}, build gate: resolved" in one for one in alerts.messages(table)) == 1
    assert len(shop.rows("from core.fct_orders")) == (DAYS + 2) * 80
