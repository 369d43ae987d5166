"""Reconciliation: the counts of loads, counted again from the tables themselves."""

from collections.abc import Mapping
from pathlib import Path

from flows.core.errors import Finding, GateFailed
from flows.core.names import TableName
from flows.lake.counts import MADE_BY_A_RECORD, Counts
from flows.lake.delta import open_table, query
from flows.lake.quarantine import quarantine_path
from flows.lake.raw import raw_path


def require_reconciliation(lake: Path, loads: Mapping[TableName, tuple[str, Counts]]) -> None:
    """Recount each load (its id and counts, by table) in raw history and quarantine; raises GateFailed if it differs.

    Tombstones of a full copy are not read from the source, so they do not count.
    """
    findings = []
    for name, (load_id, counts) in loads.items():
        accepted = _count(raw_path(lake, name), f"_load_id = $1 and {MADE_BY_A_RECORD}", load_id)
        quarantined = _count(quarantine_path(lake, name), "_load_id = $1", load_id)
        if (accepted, quarantined) != (counts.accepted, counts.quarantined):
            counted = f"the load counted {counts.accepted:,} accepted and {counts.quarantined:,} quarantined"
            findings.append(Finding(str(name), f"{counted}, the lake holds {accepted:,} and {quarantined:,}"))
        if not counts.is_reconciled:
            findings.append(Finding(str(name), f"{counts.read:,} read, but {counts}"))
    if findings:
        raise GateFailed(
            "reconciliation", tuple(findings), "Records were lost or doubled on their way; keep the lake and report it."
        )


def _count(path: Path, predicate: str, load_id: str) -> int:
    rows = query(open_table(path), f"select count(*) from {{table}} where {predicate}", [load_id])
    return int(rows[0][0]) if rows else 0
