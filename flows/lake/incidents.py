"""Incidents: findings of which owners are notified once, and once more when they are over; a Delta table."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import pyarrow as pa

from flows.core.clock import utc_now
from flows.lake.delta import append_rows, open_table, query

Event = Literal["opened", "notified", "ended", "resolved"]
"""An incident has ended if it is over, and no place has taken that message yet."""

Severity = Literal["error", "warning"]
Key = tuple[str, str, str]
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
    def key(self) -> Key:
        """The table, the kind and the owner, by which one incident of a set differs from another."""
        return self.table, self.kind, self.owner


@dataclass(frozen=True)
class OpenIncident:
    """An incident that is not over: since when, in UTC, and whether its owner was notified."""

    incident: Incident
    since: datetime
    is_notified: bool


Incidents = dict[Key, OpenIncident]
"""Incidents by their keys."""


def open_incidents(lake: Path) -> Incidents:
    """Return the incidents of a set that are not over."""
    return read_incidents(lake)[0]


def read_incidents(lake: Path) -> tuple[Incidents, Incidents]:
    """Return the incidents of a set that are not over, and those that are, but whose owner was not told so yet."""
    sql = "select table_name, kind, event, happened_at, severity, owner, text, remedy from {table} order by happened_at"
    found: Incidents = {}
    ended: Incidents = {}
    for table, kind, event, happened_at, severity, owner, text, remedy in query(open_table(_place(lake)), sql):
        key = (table, kind, owner)
        if event == "opened":
            since = found[key].since if key in found else happened_at  # a warning that has become an error
            found[key] = OpenIncident(Incident(table, kind, severity, owner, text, remedy), since, False)
            ended.pop(key, None)
        elif event == "notified" and key in found:
            found[key] = OpenIncident(found[key].incident, found[key].since, True)
        elif event == "ended" and key in found:
            ended[key] = found.pop(key)
        elif event == "resolved":
            found.pop(key, None)
            ended.pop(key, None)
    return found, ended


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
