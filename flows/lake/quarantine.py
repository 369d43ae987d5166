"""Quarantine, a dead-letter table a source table: rejected records as they came, once each, with their reasons."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from flows.config.contract import Contract
from flows.core.errors import Finding, GateFailed
from flows.core.names import TableName, identifier, literal
from flows.core.relation import Relation
from flows.lake.check import SEPARATOR, Checked
from flows.lake.delta import as_table, open_table, relation_of, replace_batch, write_rows, write_with_retries
from flows.lake.raw import BatchMetadata, RawTable
from flows.sources.batches import Rejected

FEW = 20
"""A load never fails for fewer rejected records than this, whatever their share."""

DELETED_LIMIT = "deleted_limit_pct in the contract's meta; raise it for a copy that is right"

QUARANTINE = pa.schema(
    [
        ("_raw", pa.binary()),
        ("_hash", pa.string()),
        ("_reasons", pa.list_(pa.string())),
        ("_position", pa.string()),
        ("_row", pa.int64()),
        ("_batch", pa.int64()),
        ("_load_id", pa.string()),
        ("_loaded_at", pa.timestamp("us")),
        ("_schema", pa.string()),
    ]
)
"""Rejected records. `_load_id` is the load or replay that rechecked them last; `_schema` is their RecordSchema, or null
if they could not be read as records."""


def quarantine_path(lake: Path, name: TableName) -> Path:
    """Return the path of a table's quarantine."""
    return lake / "quarantine" / name.source / name.table


def quarantined_rows(raw: RawTable) -> str | None:
    """Return SQL for the rejected records of committed batches, or None if there is no such record."""
    relation = relation_of(open_table(quarantine_path(raw.lake, raw.name)))
    if relation is None:
        return None
    kept = f"select * from {relation} where _batch <= {raw.batch}"
    return f"({kept} union all by name select null::varchar as _schema where false)"


def quarantine_rejected(
    raw: RawTable, checked: Checked, malformed: Iterable[Rejected], metadata: BatchMetadata, last_batch: int
) -> tuple[int, int, int]:
    """Write malformed records and those that failed the check, once each.

    Returns how many are new in quarantine, how many were in it after `last_batch`, and how many came more than once
    since then.
    """
    connection = checked.records.connection
    failed = connection.execute(
        f"select _raw, _reasons, _position, _schema from {checked.records} where _reasons is not null order by _row"
    ).fetchall()
    rejections: list[tuple[bytes, list[str], str, str | None]] = [
        *((reject.raw, [reject.reason], reject.position, None) for reject in malformed),
        *((text.encode(), reasons.split(SEPARATOR), position, schema) for text, reasons, position, schema in failed),
    ]
    relation = quarantined_rows(raw) if rejections else None
    sql = f"select _hash, _batch <= {last_batch} from {relation}"
    was_known: dict[str, bool] = dict(connection.execute(sql).fetchall()) if relation else {}
    rows, known = [], 0
    for row, (record, reasons, position, schema) in enumerate(rejections, start=1):
        digest = hashlib.sha256(record).hexdigest()
        if digest in was_known:
            known += was_known[digest]
        else:
            was_known[digest] = False
            place = (position, row, metadata.batch, metadata.load_id, metadata.loaded_at)
            rows.append((record, digest, reasons, *place, schema))
    write_quarantine(raw, as_table(rows, QUARANTINE), metadata.batch)
    return len(rows), known, len(rejections) - len(rows) - known


def write_quarantine(raw: RawTable, records: pa.Table, batch: int) -> None:
    """Write a batch's rejected records, instead of those that an earlier try under the same number left."""
    replace_batch(quarantine_path(raw.lake, raw.name), records, f"_batch = {batch}")


def resolve(raw: RawTable, rechecked: Relation, load_id: str, predicate: str = "true") -> None:
    """Take records out of quarantine, or give them other reasons, in one commit.

    `rechecked` has `_hash`, and `_reasons`, which are null for a record that leaves. Records that it does not name, and
    those of a batch that was never committed, stay as they are.
    """

    def write() -> None:
        table = open_table(quarantine_path(raw.lake, raw.name))
        relation = relation_of(table)
        if table is None or relation is None:
            return
        rows = rechecked.connection.sql(
            f"select quarantined.* replace (coalesce(rechecked._reasons, quarantined._reasons) as _reasons, "
            f"case when rechecked._hash is null then quarantined._load_id else {literal(load_id)} end as _load_id) "
            f"from {relation} as quarantined "
            f"left join (from {rechecked} where {predicate}) as rechecked "
            f"on quarantined._hash = rechecked._hash and quarantined._batch <= {raw.batch} "
            "where rechecked._hash is null or rechecked._reasons is not null"
        ).to_arrow_reader(10_000)
        write_rows(table, quarantine_path(raw.lake, raw.name), rows, mode="overwrite")

    write_with_retries(write)


def require_contract(checked: Checked, contract: Contract, accepted: int, rejected: int) -> None:
    """Fail the load if so many of the new records were rejected that the source, not a record, must be wrong.

    Raises GateFailed with the reasons and the keys of some records, unless the keys are personal data.
    """
    new = accepted + rejected
    if rejected < FEW or rejected * 100 <= contract.quarantine_limit_pct * new:
        return
    connection, records = checked.records.connection, checked.records
    keys = []
    personal = {column.name for column in contract.columns if column.is_personal}
    shown = [column for column in contract.key if column not in personal]
    if shown:
        listed = ", ".join(f"{literal(column + '=')} || {identifier(column)}" for column in shown)
        keys = connection.execute(
            f"select concat_ws(', ', {listed}) from {records} where _reasons is not null order by _row limit 5"
        ).fetchall()
    name = str(contract.name)
    broken = f"{rejected:,} of {new:,} new records break the contract"
    raise limit_passed(
        contract,
        Finding(name, broken, rows=tuple(f"for example {key}" for (key,) in keys if key)),
        *(Finding(name, f"{reason}: {count:,} records") for reason, count in commonest_reasons(checked)),
        limit="quarantine_limit_pct in the contract's meta",
    )


def commonest_reasons(checked: Checked) -> list[tuple[str, int]]:
    """Return the five commonest reasons for which checked records are rejected, each with its number of records."""
    return checked.records.connection.execute(
        "select reason, count(*) as records "
        f"from (select unnest(string_split(_reasons, {literal(SEPARATOR)})) as reason from {checked.records}) "
        "where reason is not null group by all order by records desc, reason limit 5"
    ).fetchall()


def require_kept(contract: Contract, deleted: int, current: int) -> None:
    """Raise GateFailed if a full copy lacks more of the current keys than the contract allows.

    Such a copy is likelier cut short than right. A table of few keys may lose any number of them.
    """
    if current >= FEW and deleted * 100 > contract.deleted_limit_pct * current:
        lost = (
            f"{deleted:,} of {current:,} keys are not in the full copy any more, "
            f"of which {contract.deleted_limit_pct:g} % may be; nothing was deleted"
        )
        raise limit_passed(contract, Finding(str(contract.name), lost), limit=DELETED_LIMIT)


def limit_passed(contract: Contract, *findings: Finding, limit: str) -> GateFailed:
    """Return the error of a load of which more is wrong than a limit of its contract allows."""
    hint = f"Fix the source, its mapping or the contract of {contract.name}; the limit is {limit}."
    return GateFailed("contract", findings, hint)
