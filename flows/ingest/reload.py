"""Reload: a table of the lake that was damaged is made again from its source, beside the damaged one."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from flows.config.connections import Connections
from flows.config.contract import Contract
from flows.core.errors import UsageError
from flows.core.names import TableName, did_you_mean
from flows.ingest.derived_tables import derive_table
from flows.ingest.load import LoadResult, load_table
from flows.ingest.tables import tables_to_load
from flows.lake.damage import OPERATIONS, known_batches, require_readable
from flows.lake.quarantine import quarantine_path
from flows.lake.raw import raw_path
from flows.lake.reconcile import require_reconciliation
from flows.lake.reload import (
    begin_staging,
    finish_reloads,
    keep_rows,
    keep_sound_batches,
    missing_keys,
    restore_loads,
    stage_records,
    take_place,
)


@dataclass(frozen=True)
class Reload:
    """The result of a reload: rows kept of the old table, rows of it that were left out, and where it lies now.

    `load` is the load of the source, None for a table of operations. `missing` counts keys that the old table has, as
    far as it can be read, and the new one lacks.
    """

    name: str
    kept: int
    aside: Path
    left_out: int = 0
    missing: int = 0
    load: LoadResult | None = None


def reload_table(
    sources: Connections, contracts: Mapping[TableName, Contract], name: TableName, *, released: int, afresh: bool
) -> Reload:
    """Make a table again of its sound batches and its source, then put it in the place of the old one.

    With `afresh` the source alone is used. The old table stays until the new one is complete, and is set aside then.
    Batches are numbered on from the newest that the lake's records or the release (`released`) know. Raises UsageError
    for a table without a source, and the errors of a load.
    """
    lake = sources.folder.lake
    for part in OPERATIONS:
        require_readable(lake / "ops" / part)
    finish_reloads(lake)
    wanted = dict(tables_to_load(sources, contracts))
    contract = contracts.get(name)
    if contract is None or (name not in wanted and contract.derivation is None):
        raise UsageError(
            f"{name} is no table that the set {sources.name} loads.{did_you_mean(str(name), map(str, wanted))}",
            f"It loads {', '.join(map(str, wanted))}.",
        )
    stage, run_id = begin_staging(lake, str(name)), f"reload-{uuid4()}"
    known = max(known_batches(lake).get(str(name), 0), released)
    kept, left_out = keep_sound_batches(lake, stage, name, known, afresh=afresh)
    stage_records(lake, stage, name, afresh=afresh)
    if contract.derivation is None:
        load = load_table(wanted[name], contract, stage, run_id=run_id)
    else:
        load = derive_table(contract, contracts, sources.folder, run_id=run_id, into=stage)
    require_reconciliation(stage, {name: (load.load_id, load.counts)})
    missing = missing_keys(lake, stage, contract)
    parts = [str(place(lake, name).relative_to(lake)) for place in (raw_path, quarantine_path)]
    aside = take_place(lake, stage, parts, name)
    return Reload(str(name), kept, aside, left_out, missing, load)


def restore_operations(lake: Path, name: str) -> Reload:
    """Make a table of operations, such as ops/loads, again of its rows that can be read.

    Rows that it lacks then cost time alone: files are read again, and their records are known.
    """
    if not (lake / name).is_dir():
        known = sorted(str(path.parent.relative_to(lake)) for path in (lake / "ops").rglob("_delta_log"))
        raise UsageError(f"The lake has no {name}.", f"It has {', '.join(known) or 'no table of operations yet'}.")
    stage = begin_staging(lake, name)
    kept = keep_rows(lake / name, stage / name)
    if name == "ops/loads":
        restore_loads(lake, stage)
    return Reload(name, kept, take_place(lake, stage, [name]))
