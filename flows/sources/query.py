"""Queries of mappings over records of files and of JSON: they run once a batch."""

import re
from collections.abc import Mapping

import duckdb

from flows.config.connections import TableMapping
from flows.core.errors import SourceFailed
from flows.core.names import identifier, literal
from flows.core.redaction import without_values
from flows.core.relation import Relation
from flows.sources.absent_columns import bind_with_nulls
from flows.sources.batches import SERVICE_COLUMNS, TOMBSTONE
from flows.sources.suggestions import did_you_mean

QUERIED = "queried_records"
CANDIDATES = re.compile(r"\s*Candidate (bindings|tables): .*", re.DOTALL)


def run_query(
    records: Relation, mapping: TableMapping, columns: Mapping[str, bool], *, may_lack: bool, was_used: bool
) -> tuple[Relation, tuple[str, ...]]:
    """Run the query of a mapping, and give its rows the service columns that they lack.

    Return the names of columns that the query reads and no record has as well.
    """
    connection, sql = records.connection, mapping.query.strip().rstrip(";")
    if TOMBSTONE in records.types and TOMBSTONE not in sql and "*" not in sql:
        raise _query_failed(mapping, f": the topic has tombstones, and it reads no {TOMBSTONE}")
    absent: tuple[str, ...] = ()
    try:
        if may_lack:
            queried, _, absent = bind_with_nulls(records, lambda completed: _query_source(completed, "true", sql))
        else:
            queried = _query_source(records, "true", sql)
    except duckdb.Error as error:
        cause = CANDIDATES.sub("", without_values(error)) if may_lack else without_values(error)
        where = _first_failing_file(records, sql)
        raise _query_failed(mapping, f"{where}: {cause}") from None
    if absent and (queried.count() or not was_used):
        yielded = {name.casefold() for name in queried.types}
        for name in (name for name, is_required in columns.items() if is_required):
            if name.casefold() not in yielded or queried.count(f"{identifier(name)} is not null") == 0:
                cause = f': column "{absent[0]}" not found in any record, and the contract requires {name}'
                raise _query_failed(mapping, cause, did_you_mean(absent[0], records))
    for column, kind in zip(SERVICE_COLUMNS, ("varchar", "bigint"), strict=True):
        connection.execute(f"alter table {queried} add column if not exists {column} {kind}")
    return queried, absent


def _query_failed(mapping: TableMapping, cause: str, hint: str = "") -> SourceFailed:
    remedy = f"Fix the query in {mapping.place}.{hint}"
    return SourceFailed(str(mapping.name), f"the query of its mapping fails{cause}", remedy)


def _query_source(records: Relation, predicate: str, sql: str) -> Relation:
    """Run a query that reads records from `source`, a view that exists only meanwhile."""
    source = Relation.view(records.connection, "source", f"from {records} where {predicate}")
    try:
        return Relation.table(records.connection, QUERIED, sql)
    finally:
        records.connection.execute(f"drop view {source}")


def _first_failing_file(records: Relation, sql: str) -> str:
    files = records.connection.execute(f"select distinct _file from {records} order by 1").fetchall()
    for (file,) in files:
        try:
            _query_source(records, f"_file = {literal(file)}", sql)
        except duckdb.BinderException:
            return ""
        except duckdb.Error:
            return f" on {file}"
    return ""
