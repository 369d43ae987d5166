"""The plan of a load: what is read, under which contract, and where it is written."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import duckdb

from flows.config.config_hash import hash_config
from flows.config.connections import Connection, TableMapping
from flows.config.contract import Contract
from flows.config.settings import DataFolder
from flows.core.clock import utc_now
from flows.core.errors import UsageError
from flows.core.names import literal
from flows.ingest.progress import Progress
from flows.lake.check import Checked
from flows.lake.contract_versions import changes_since, record_contract_version
from flows.lake.ops import was_loaded
from flows.lake.raw import BatchMetadata, RawTable, watermark_of
from flows.lake.schema_evolution import evolve
from flows.sources.lookups import hash_lookups

MEMORY_LIMIT = "400MB"
THREADS = min(os.cpu_count() or 1, 4)
"""For one load; more would take more memory each, and several loads share the cores."""


@dataclass(frozen=True)
class LoadPlan:
    """The facts of a load or replay that are fixed before it reads a record; `take_contract` fills the last three.

    `last_batch` is the last one that was committed before the load. A backfill is all that is loaded until the table's
    first load is complete.
    """

    connection: Connection
    mapping: TableMapping
    contract: Contract
    raw: RawTable
    load_id: str
    config_hash: str
    last_batch: int
    contract_version: int = 0
    is_config_changed: bool = False
    is_backfill: bool = False

    @property
    def is_of_last_load(self) -> bool:
        """Whether the last batch was committed under this mapping and contract, so that its watermark holds."""
        return self._has_made(self.raw.last_commit())

    @property
    def watermark(self) -> str | None:
        """The source's watermark after the last batch; None if another mapping, contract or cursor has led to it."""
        last = self.raw.last_commit()
        return watermark_of(last) if self._has_made(last) else None

    def _has_made(self, commit: Mapping[str, str]) -> bool:
        """Tell whether a commit is of this mapping, contract and cursor; commits of old name no cursor."""
        cursor = self.contract.cursor or ""
        return commit.get("config_hash") == self.config_hash and commit.get("cursor", cursor) == cursor

    def stored(self, checked: Checked) -> str | None:
        """Return SQL for the stored rows with the columns of checked records; None if there are no rows."""
        return self.raw.stored(checked.payload(self.contract), self.contract.types)

    def next_batch(self) -> BatchMetadata:
        """Return the metadata of the batch that comes after the last committed one."""
        return BatchMetadata(self.raw.batch + 1, self.load_id, utc_now(), self.is_backfill)


def plan_load(connection: Connection, contract: Contract, lake: Path) -> LoadPlan:
    """Plan a load of a table; nothing is read or written yet."""
    mapping = connection.mapping(contract.name.table)
    contract = as_mapped(contract, mapping)
    load_id = f"{utc_now():%Y%m%dT%H%M%S}-{uuid4().hex[:8]}"
    raw = RawTable(lake, contract.name)
    config_hash = hash_config(mapping, contract, hash_lookups(connection, mapping))
    return LoadPlan(connection, mapping, contract, raw, load_id, config_hash, raw.batch)


def as_mapped(contract: Contract, mapping: TableMapping) -> Contract:
    """Return a contract with the load mode, cursor and lookback of its mapping.

    Raises UsageError for a cursor that the contract does not have.
    """
    contract = contract.model_copy(
        update={
            "load": mapping.load or contract.load,
            "cursor": mapping.cursor or contract.cursor,
            "lookback": contract.lookback if mapping.lookback is None else mapping.lookback,
        }
    )
    if contract.cursor is not None and contract.cursor not in contract.types:
        raise UsageError(
            f"{mapping.file}: the cursor {contract.cursor!r} of {contract.name} is not in its contract.",
            f"It is one of {', '.join(contract.types)}.",
        )
    return contract


def take_contract(plan: LoadPlan, duck: duckdb.DuckDBPyConnection) -> tuple[LoadPlan, Progress]:
    """Record the contract's version, and bring the stored rows to its types; return the plan under that version.

    Raises SchemaMismatch if they do not fit.
    """
    lake, contract, last = plan.raw.lake, plan.contract, plan.raw.last_commit()
    is_config_changed = bool(last) and last.get("config_hash") != plan.config_hash
    version = record_contract_version(lake, contract)
    before = int(last.get("contract_version", version))
    messages: tuple[str, ...] = ()
    if before != version:
        messages = (f"{contract.name}: contract version {version}: {changes_since(lake, contract, before)}",)
    evolve(duck, plan.raw, contract, is_known=not is_config_changed)
    is_backfill = plan.raw.version is None or not was_loaded(lake, contract.name)
    plan = replace(plan, contract_version=version, is_config_changed=is_config_changed, is_backfill=is_backfill)
    return plan, Progress(messages=messages)


@contextmanager
def working_connection(plan: LoadPlan) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """Open a DuckDB that spills to a folder of its own, in the time zone of the source's naive times.

    Spilled files hold personal data, so they stay below the set's data folder. The next run deletes the files that a
    killed load left there.
    """
    work = DataFolder(plan.connection.data).work
    work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="load-", dir=work) as folder:
        config: dict[str, str | bool | int | float | list[str]] = {
            "threads": str(THREADS),
            "memory_limit": MEMORY_LIMIT,
            "temp_directory": f"{folder}/spill",
        }
        with duckdb.connect(config=config) as duck:
            set_time_zone(duck, plan.mapping)
            yield duck, Path(folder)


def set_time_zone(duck: duckdb.DuckDBPyConnection, mapping: TableMapping) -> None:
    """Let a DuckDB read naive times in the zone of the mapping; raises UsageError if there is no such zone."""
    try:
        duck.execute(f"set TimeZone = {literal(mapping.zone)}")
    except duckdb.Error:
        raise UsageError(
            f"{mapping.place}: {mapping.zone!r} is no time zone.", "Write one such as Europe/London."
        ) from None
