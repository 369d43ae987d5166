"""Days of small sources of which the last one may have four faults."""

from datetime import datetime, timedelta
from typing import Any

from support.lake_by_hand import Lake

FIRST = datetime(2026, 1, 5)
DAYS = 36
STOPPED = DAYS - 6
"""The first day on which a faulty source sends no payments."""


def load_days(lake: Lake, *, is_faulty: bool = False, days: int = DAYS) -> None:
    """Load so many days; with faults, half of the last day's orders lack the customer, events have lost a column and
    a type, payments have stopped six days before, and one of two fridges shows the same
    temperature. A product has another name each day.
    """
    for day in range(days):
        at = FIRST + timedelta(days=day)
        is_last = is_faulty and day == DAYS - 1
        tables: dict[str, list[dict[str, Any]]] = {
            "sales__orders": [
                {
                    "order_id": f"O{day}-{n}",
                    "customer_id": None if n % 40 == 0 or (is_last and n % 2) else f"C{n}",
                    "ordered_at": at + timedelta(minutes=10 * n),
                    "status": "completed",
                    "channel": "web",
                    "ship_country": "DE",
                    "currency": "EUR",
                }
                for n in range(80)
            ],
            "web__events": [
                {
                    "event_id": f"E{day}-{n}",
                    "visitor_id": f"V{n}",
                    "event_type": "page" if is_last else "page_view",
                    "product_id": None if is_last or n % 4 == 0 else "P1",
                    "occurred_at": at + timedelta(minutes=9 * n),
                }
                for n in range(80)
            ],
            "equipment__readings": [
                {
                    "unit_id": unit,
                    "read_at": at + timedelta(minutes=30 * n),
                    "payload": "{}",
                    "temperature_celsius": 5.3 if is_last and unit == "U2" else 4 + ((day * 48 + n) * 37 % 19) / 10,
                    "humidity_pct": 40 + n % 7,
                }
                for unit in ("U1", "U2")
                for n in range(48)
                if day > DAYS - 4
            ],
        }
        if not is_faulty or not STOPPED <= day < DAYS:
            tables["payments__transactions"] = [
                {
                    "transaction_id": f"T{day}-{n}",
                    "amount": 10 + n,
                    "currency": "EUR",
                    "transacted_at": at + timedelta(minutes=10 * n),
                }
                for n in range(30)
            ]
        tables["shop__products"] = [{"product_id": "P1", "product_name": f"Lamp {day}", "updated_at": at}]
        lake.load(at + timedelta(days=1), **tables)
