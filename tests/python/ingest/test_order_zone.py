"""The time zone of an order is one that exists, or the order goes to quarantine."""

from pathlib import Path

import yaml
from support.shop import Shop

from flows.config.contract import contracts_of
from flows.config.settings import PROJECT

SOURCES = PROJECT / "models" / "staging" / "sales" / "_sales__sources.yml"


def orders_node() -> dict[str, object]:
    (source,) = yaml.safe_load(Path(SOURCES).read_text())["sources"]
    (table,) = [table for table in source["tables"] if table["name"] == "orders"]
    columns = {column["name"]: column for column in table["columns"]}
    return {"source_name": "sales", "name": "orders", "config": table["config"], "columns": columns}


def test_an_order_of_an_unknown_zone_is_quarantined(shop: Shop) -> None:
    # Given the contract of orders, and orders of three shops
    (shop.contract,) = contracts_of([orders_node()]).values()
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
