"""Quarantine, a dead-letter table a source table: rejected records as they came, once each, with their reasons."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from flows.config.contract import Contract
from flows.core.errors import Finding, GateFailed
from flows.core.names import identifier, literal
from flows.lake.check import CHECKED, SCHEMA, SEPARATOR
from flows.lake.tables import QUARANTINE, BatchMetadata, LakeTable

FEW = 20
"""A load never fails for fewer rejected records than this, whatever their share."""

Rejection = tuple[bytes, list[str], str, str | None]
"""A record as it came, every reason, where it stood, and its form."""


@dataclass(frozen=True)
class RecordSchema:
    """How records came: the columns of a source, or of what its mapping's query yielded, with their DuckDB types."""

    columns: Mapping[str, str]
    is_queried: bool

    def __str__(self) -> str:
        return json.dumps({"queried": self.is_queried, "columns": dict(self.columns)}, ensure_ascii=False)

    @classmethod
    def parse(cls, text: str) -> "RecordSchema":
        """Read a form as it is written in quarantine."""
        entry = json.loads(text)
        return cls(entry["columns"], entry["queried"])


def quarantine_rejected(
    connection: duckdb.DuckDBPyConnection, table: LakeTable, malformed: Iterable[Rejection], stamp: BatchMetadata
) -> tuple[int, int]:
    """Write what is malformed or failed the check, once; return how many are new in quarantine and how many are not."""
    rejections = [
        *malformed,
        *(
            (raw.encode(), reasons.split(SEPARATOR), position, form)
            for raw, reasons, position, form in connection.execute(
                f"select _raw, _reasons, _position, {SCHEMA} from {CHECKED} where _reasons is not null order by _row"
            ).fetchall()
        ),
    ]
    quarantined = table.quarantined() if rejections else None
    known = set()
    if quarantined:
        known = {digest for (digest,) in connection.execute(f"select _hash from {quarantined}").fetchall()}
    rows = []
    for row, (raw, reasons, position, form) in enumerate(rejections, start=1):
        digest = hashlib.sha256(raw).hexdigest()
        if digest not in known:
            known.add(digest)
            rows.append((raw, digest, reasons, position, row, stamp.batch, stamp.load_id, stamp.loaded_at, form))
    columns = list(zip(*rows, strict=True)) or [()] * len(QUARANTINE)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, QUARANTINE, strict=True)]
    table.quarantine(pa.Table.from_arrays(arrays, schema=QUARANTINE), stamp.batch)
    return len(rows), len(rejections) - len(rows)


def require_contract(
    connection: duckdb.DuckDBPyConnection, contract: Contract, accepted: int, quarantined: int
) -> None:
    """Fail the load if so much of what is new was rejected that the source, not a record, must be wrong.

    Raises GateFailed with the reasons and the keys of some records, but for keys that are personal data.
    """
    new = accepted + quarantined
    if quarantined < FEW or quarantined * 100 <= contract.quarantine_limit_pct * new:
        return
    reasons = connection.execute(
        "select reason, count(*) as records "
        f"from (select unnest(string_split(_reasons, {literal(SEPARATOR)})) as reason from {CHECKED}) "
        "where reason is not null group by all order by records desc, reason limit 5"
    ).fetchall()
    keys = []
    personal = {column.name for column in contract.columns if column.is_personal}
    shown = [column for column in contract.key if column not in personal]
    if shown:
        listed = ", ".join(f"{literal(column + '=')} || {identifier(column)}" for column in shown)
        keys = connection.execute(
            f"select concat_ws(', ', {listed}) from {CHECKED} where _reasons is not null order by _row limit 5"
        ).fetchall()
    name = str(contract.name)
    broken = f"{quarantined:,} of {new:,} new records break the contract"
    raise limit_passed(
        contract,
        Finding(name, broken, rows=tuple(f"for example {key}" for (key,) in keys if key)),
        *(Finding(name, f"{reason}: {records:,} records") for reason, records in reasons),
        limit="quarantine_limit_pct in the contract's meta",
    )


def limit_passed(contract: Contract, *findings: Finding, limit: str) -> GateFailed:
    """Return the error of a load of which more is wrong than a limit of its contract allows."""
    hint = f"Fix the source, its mapping in connections.yml or the contract of {contract.name}; the limit is {limit}."
    return GateFailed("contract", findings, hint)
