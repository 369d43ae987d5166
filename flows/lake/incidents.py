"""Incidents: findings of which owners are notified once, and once more when they are over; a Delta table."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa

from flows.core.clock import utc_now
from flows.lake.delta import append_rows, open_table, query

Event = Literal["opened", "notified", "resolved"]
Severity = Literal["error", "warning"]
INCIDENTS = pa.schema(
    [
        ("table_name", pa.string()),
        ("kind", pa.string()),
        ("event", pa.string()),
        ("happened_at", pa.timestamp("us")),
        ("severity", pa.string()),
        ("owner", pa.string()),
        ("text", pa.string()),
        ("remedy", pa.string()),
    ]
)


@dataclass(frozen=True)
class Incident:
    """A kind of finding on a table, source, model or exposure of a set; the table is empty for the set as a whole.

    `text` and `remedy` hold no value of a row. An error stops a release, a warning does not.
    """

    table: str
    kind: str
    severity: Severity
    owner: str
    text: str
    remedy: str

    @property
    def key(self) -> tuple[str, str]:
        """The table and the kind, by which one incident of a set differs from another."""
        return self.table, self.kind


@dataclass(frozen=True)
class OpenIncident:
    """An incident that is not over: since when, in UTC, and whether its owner was notified."""

    incident: Incident
    since: datetime
    is_notified: bool


def open_incidents(lake: Path) -> dict[tuple[str, str], OpenIncident]:
    """Return the incidents of a set that are not over, by their keys."""
    sql = "select table_name, kind, event, happened_at, severity, owner, text, remedy from {table} order by happened_at"
    found: dict[tuple[str, str], OpenIncident] = {}
    for table, kind, event, happened_at, severity, owner, text, remedy in query(open_table(_place(lake)), sql):
        key = (table, kind)
        if event == "opened":
            found[key] = OpenIncident(Incident(table, kind, severity, owner, text, remedy), happened_at, False)
        elif event == "notified" and key in found:
            found[key] = OpenIncident(found[key].incident, found[key].since, True)
        elif event == "resolved":
            found.pop(key, None)
    return found


def record(lake: Path, incidents: Iterable[Incident], event: Event) -> None:
    """Record what became of incidents, in one commit."""
    at = utc_now()
    rows = [
        {
            "table_name": one.table,
            "kind": one.kind,
            "event": event,
            "happened_at": at,
            "severity": one.severity,
            "owner": one.owner,
            "text": one.text,
            "remedy": one.remedy,
        }
        for one in incidents
    ]
    if rows:
        append_rows(_place(lake), rows, INCIDENTS)


def _place(lake: Path) -> Path:
    return lake / "ops" / "incidents"
