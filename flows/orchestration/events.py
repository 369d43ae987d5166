"""Events for automations: rows that were accepted, releases, failed gates, drift, late tables, incidents."""

import logging
from collections.abc import Iterable, Mapping

from prefect.events import emit_event

from flows.config.settings import DataFolder
from flows.ingest.load import LoadResult
from flows.lake.incidents import Incident
from flows.warehouse.release import Release

logger = logging.getLogger(__name__)

ROWS_ACCEPTED = "ml-warehouse.rows.accepted"
RELEASE_PUBLISHED = "ml-warehouse.release.published"
GATE_FAILED = "ml-warehouse.gate.failed"
SLA_BREACHED = "ml-warehouse.sla.breached"
DRIFT_FOUND = "ml-warehouse.drift.found"
INCIDENT_OPENED, INCIDENT_RESOLVED = "ml-warehouse.incident.opened", "ml-warehouse.incident.resolved"
EVENTS_OF_KINDS = {"late": SLA_BREACHED, "drift": DRIFT_FOUND}
"""Kinds of incidents that have an event of their own; every other kind is an incident."""


def emit_rows_accepted(folder: DataFolder, loads: Iterable[LoadResult]) -> None:
    """Emit an event for each table that accepted rows: its resource is `ml-warehouse.table.<set>.<source>.<table>`.

    The rows are in the lake by then, even if the run fails later. The payload holds counts, no data.
    """
    for load in loads:
        total = load.total
        if total.accepted:
            counts = {
                "read": total.read,
                "accepted": total.accepted,
                "quarantined": total.quarantined,
                "known": total.known,
                "duplicate": total.duplicate,
            }
            _emit(ROWS_ACCEPTED, f"ml-warehouse.table.{folder.path.name}.{load.table}", str(load.table), counts)


def emit_release_published(folder: DataFolder, release: Release) -> None:
    """Emit that a set has a new release: its resource is `ml-warehouse.set.<set>`."""
    name = folder.path.name
    _emit(RELEASE_PUBLISHED, f"ml-warehouse.set.{name}", name, {"release": release.name})


def emit_incident(folder: DataFolder, incident: Incident, *, is_over: bool) -> None:
    """Emit that an incident has begun, or is over; its kind decides on the event, for automations that react to one.

    Its resource is `ml-warehouse.table.<set>.<table>`, and `ml-warehouse.set.<set>` for an incident of the whole set.
    """
    name = folder.path.name
    resource = f"ml-warehouse.table.{name}.{incident.table}" if incident.table else f"ml-warehouse.set.{name}"
    event = INCIDENT_RESOLVED if is_over else EVENTS_OF_KINDS.get(incident.kind, INCIDENT_OPENED)
    if incident.kind.endswith(" gate") and not is_over:
        event = GATE_FAILED
    payload = {"kind": incident.kind, "severity": incident.severity, "owner": incident.owner, "text": incident.text}
    _emit(event, resource, incident.table or name, {"set": name, **payload})


def _emit(event: str, resource: str, name: str, payload: Mapping[str, object]) -> None:
    """Emit an event; a run is worth more than what Prefect makes of it."""
    try:
        emit_event(event, {"prefect.resource.id": resource, "prefect.resource.name": name}, payload=dict(payload))
    except Exception as error:  # noqa: BLE001 - whatever it is, the data is there
        logger.warning("Prefect did not receive the event of %s: %s", resource, type(error).__name__)
