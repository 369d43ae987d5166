"""The time zone of an order is one that exists, or the order goes to quarantine."""

from dbt.contracts.graph.manifest import Manifest
from support.shop import Shop

from flows.config.contract import contracts_of
from flows.core.names import TableName

pytest_plugins = ["support.warehouse_fixtures"]


def test_an_order_of_an_unknown_zone_is_quarantined(shop: Shop, manifest: Manifest) -> None:
    # Given the contract of orders, and orders of three shops
    shop.contract = contracts_of(manifest.sources.values())[TableName("sales", "orders")]
    moment = "2026-03-01T21:30:00Z"
    zones = ["Australia/Sydney", None, "Mars/Crater"]
    shop.drop_rows(
        "orders.jsonl",
        [
            {"order_id": f"O{number}", "ordered_at": moment, "updated_at": moment, "time_zone": zone}
            for number, zone in enumerate(zones)
        ],
    )

    # When they are loaded, then a zone that does not exist stops its own order alone
    shop.load()
    assert shop.rows("order_id", "time_zone") == [("O0", "Australia/Sydney"), ("O1", None)]
    ((_, reasons),) = shop.quarantine()
    assert [reason.partition(":")[0] for reason in reasons] == ["time_zone"]
