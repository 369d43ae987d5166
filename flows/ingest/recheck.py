"""Records in quarantine, restored as they came and checked again by today's contract, mapping and stored rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import duckdb
import pyarrow as pa

from flows.config.contract import Contract
from flows.core.errors import SchemaMismatch
from flows.core.names import identifier, literal
from flows.core.relation import Relation
from flows.ingest.batch import check_batch
from flows.ingest.plan import LoadPlan, working_connection
from flows.ingest.progress import Progress
from flows.lake.casts import is_nested
from flows.lake.check import SEPARATOR, Checked
from flows.lake.delta import open_table, relation_of
from flows.lake.quarantine import quarantined_rows, resolve
from flows.lake.raw import RawTable
from flows.lake.schema_evolution import fit_extras
from flows.lake.states import same
from flows.sources.batches import Batch, RecordSchema
from flows.sources.json_records import json_pointer, keep_digits

CAME_AGAIN = "its key came again since, so what it says is not the newest"
HASH_LENGTH = 64
STANDS = "not known._deleted and coalesce(known._until >= landed._came, true)"
"""Whether a stored row was still the newest of its key when a record came."""
LANDED = pa.schema([("_record", pa.string()), ("_file", pa.string()), ("_hash", pa.string()), ("_came", pa.int64())])


@dataclass(frozen=True)
class QuarantinedRecords:
    """Records in quarantine of one schema; `schema` is None if they could not be read as records."""

    schema: RecordSchema | None
    is_backfill: bool
    records: int
    where: str


@dataclass(frozen=True)
class Rechecked:
    """Records of a quarantine that were checked again.

    `outcomes` has `_hash`, `_row` and `_reasons` of each (a list, null if it passes). It also has `is_known`:
    whether the record passes and the lake has an equal row.
    """

    checked: Checked
    outcomes: Relation

    def passed(self) -> Checked:
        """Return the records that pass and are not in the lake, with the positions that they came with."""
        query = (
            f"select * replace (substr(_position, {HASH_LENGTH + 1}) as _position) from {self.checked.records} "
            f"where _row in (select _row from {self.outcomes} where _reasons is null and not is_known)"
        )
        return replace(self.checked, records=Relation.table(self.outcomes.connection, "passed_records", query))


def quarantined_records(duck: duckdb.DuckDBPyConnection, raw: RawTable, key: str) -> list[QuarantinedRecords]:
    """Return the records in quarantine by schema, and by whether they came before the first load was complete."""
    relation, stored = quarantined_rows(raw), raw.stored([key])
    if relation is None:
        return []
    second = f"(select min(_batch) from {stored} where not _is_backfill)" if stored else "null"
    came_first = f"coalesce(_batch < {second}, true)"
    groups = duck.execute(
        f"select _schema, {came_first} as is_backfill, count(*) from {relation} group by all order by min(_batch)"
    ).fetchall()
    return [
        QuarantinedRecords(
            RecordSchema.parse(schema) if schema else None,
            is_backfill,
            records,
            f"_schema is not distinct from {literal(schema) if schema else 'null'} and {came_first} = {is_backfill}",
        )
        for schema, is_backfill, records in groups
    ]


def recheck(
    plan: LoadPlan, duck: duckdb.DuckDBPyConnection, group: QuarantinedRecords
) -> tuple[Rechecked | None, Progress]:
    """Check records in quarantine again by today's contract and mapping.

    Returns None for records that stay as they are: malformed ones, and those without the columns of the mapping.
    """
    in_quarantine = f"{plan.contract.name}: {group.records:,} in quarantine"
    if group.schema is None:
        return None, Progress(messages=(f"{in_quarantine} are malformed; fix them in the source",))
    others = Progress(messages=(f"{in_quarantine} do not have the columns that the mapping reads",))
    if group.schema.is_queried != bool(plan.mapping.query):
        return None, others
    landed = _land(duck, plan.raw, group)
    try:
        records = _restore(landed, group.schema)
        checked, _ = check_batch(plan, Batch(records, read=group.records), query_in_source=True)
    except SchemaMismatch:
        return None, others
    checked = fit_extras(plan.raw, plan.contract, checked)
    return Rechecked(checked, _outcomes(plan, checked, landed)), Progress()


def clear_quarantine(plan: LoadPlan) -> Progress:
    """Remove the records from quarantine that a load under a fixed contract or mapping has just read again."""
    name, messages = plan.contract.name, []
    with working_connection(plan) as (duck, _):
        for group in quarantined_records(duck, plan.raw, plan.contract.key[0]):
            if group.schema is None and (read := _read_again(plan, duck, group)).count():
                resolve(plan.raw, read, plan.load_id)
                messages.append(f"{name}: {read.count():,} left the quarantine, they can be read now")
            rechecked, _ = recheck(plan, duck, group)
            if rechecked is None:
                continue
            passed, known = rechecked.outcomes.count("_reasons is null"), rechecked.outcomes.count("is_known")
            if known:
                resolve(plan.raw, rechecked.outcomes, plan.load_id, "is_known")
                messages.append(f"{name}: {known:,} left the quarantine, the lake holds them now")
            if passed > known:
                messages.append(
                    f"{name}: {passed - known:,} in quarantine pass now, and the source did not show them again; "
                    f"python -m flows replay {name} moves them"
                )
    return Progress(messages=tuple(messages))


def _read_again(plan: LoadPlan, duck: duckdb.DuckDBPyConnection, group: QuarantinedRecords) -> Relation:
    """Return the malformed records in whose place the load has read a record, as `resolve` takes them."""
    rows = relation_of(open_table(plan.raw.path))
    read = f"select _position from {rows} where _load_id = {literal(plan.load_id)}" if rows else "select null"
    query = f"select _hash, null::varchar[] as _reasons from {quarantined_rows(plan.raw)} where {group.where}"
    return Relation.table(duck, "records_read_again", f"{query} and _position in ({read})")


def _land(duck: duckdb.DuckDBPyConnection, raw: RawTable, group: QuarantinedRecords) -> Relation:
    """Copy records out of quarantine; `_file` is a record's hash and position, so that both come through a check."""
    records = f"{quarantined_rows(raw)} where {group.where} order by _batch, _row"
    rows = _records(f"select _raw, _hash, _position, _batch from {records}")
    return Relation.from_arrow(duck, "landed_quarantine", pa.RecordBatchReader.from_batches(LANDED, rows))


def _records(sql: str) -> Iterator[pa.RecordBatch]:
    with duckdb.connect() as connection:
        for rows in connection.sql(sql).to_arrow_reader(10_000):
            raws, hashes, positions, batches = (column.to_pylist() for column in rows.columns)
            places = [digest + (position or "") for digest, position in zip(hashes, positions, strict=True)]
            columns = ([keep_digits(raw.decode()) for raw in raws], places, hashes, batches)
            arrays = [pa.array(values, of.type) for values, of in zip(columns, LANDED, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=LANDED)


def _restore(landed: Relation, schema: RecordSchema) -> Relation:
    """Return records with their own columns and types; one that cannot be restored exactly is left out."""
    columns, losses = [], ["false"]
    for name, kind in schema.columns.items():
        path = literal(json_pointer([name]))
        text = f"json_extract_string(_record, {path})"
        value = f"json_extract(_record, {path})" if is_nested(kind) or kind == "JSON" else text
        columns.append(f"try_cast({value} as {kind}) as {identifier(name)}, ")
        losses.append(f"({text} is not null and try_cast({value} as {kind}) is null)")
    return Relation.table(
        landed.connection,
        "restored_records",
        f"select {''.join(columns)}_file, cast(null as bigint) as _row, _record "
        f"from {landed} where not ({' or '.join(losses)})",
    )


def _outcomes(plan: LoadPlan, checked: Checked, landed: Relation) -> Relation:
    """Compare checked records with the stored rows.

    A record that would count as the newest of its key, though its key came again in a later batch, does not pass:
    keys tell events apart, and states of different times by their cursor; the rest is ordered by arrival.
    """
    stored, contract = plan.stored(checked), plan.contract
    is_known = came_again = "false"
    if stored:
        is_same, deletes = _same(checked.payload(contract)), "(known._deleted or checked._deleted)"
        is_later = (
            f"{_by_arrival(contract)} and (known._batch > landed._came or (known._batch = landed._came and {deletes}))"
        )
        was_deleted = f"checked._deleted and known._deleted and known._batch >= landed._came and {_same(contract.key)}"
        is_same = f"({is_same} and not checked._deleted and {STANDS} or {was_deleted})"
        is_known = f"exists (select 1 from {_with_successors(stored, contract)} as known where {is_same})"
        came_again = f"exists (select 1 from {stored} as known where {is_later})"
    query = f"""
        with compared as (
            select
                landed._hash, checked._row, {is_known} as is_known, {came_again} as came_again,
                string_split(checked._reasons, {literal(SEPARATOR)}) as found
            from {checked.records} as checked
            inner join {landed} as landed on checked._position = landed._file
        )
        select
            _hash, _row, is_known and found is null as is_known,
            case when found is null and came_again and not is_known then [{literal(CAME_AGAIN)}] else found end
            as _reasons
        from compared
    """
    return Relation.table(landed.connection, "recheck_outcomes", query)


def _with_successors(stored: str, contract: Contract) -> str:
    """Return stored rows with the batch that replaced each, where nothing but their arrival orders them.

    A record that came after that batch is no repetition of the row: the state came back.
    """
    if contract.load == "append" or (contract.load == "upsert" and contract.cursor):
        return f"(select *, null::bigint as _until from {stored})"
    window = f"partition by {contract.key_sql} order by _batch, _row"
    return f"(select *, lead(_batch) over ({window}) as _until from {stored})"


def _by_arrival(contract: Contract) -> str:
    """Return SQL for whether a stored row has the key of a checked one, and their order is that of arrival.

    A tombstone and a state of its key have no other order.
    """
    match contract.load:
        case "append":
            return "false"
        case "upsert":
            is_same_state = _same([contract.cursor]) if contract.cursor else "true"
            return f"{_same(contract.key)} and (known._deleted or checked._deleted or {is_same_state})"
        case "full":
            return _same(contract.key)


def _same(names: Sequence[str]) -> str:
    return same("known", "checked", names)
