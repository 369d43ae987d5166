"""Mappings: from a source's columns to the contract's; columns that a mapping does not name keep their name."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

import duckdb

from flows.config.connections import TableMapping
from flows.core.errors import SchemaMismatch, SourceFailed
from flows.core.names import folded, identifier, literal
from flows.core.redaction import without_values
from flows.core.relation import Relation
from flows.sources.batches import RECORD, SERVICE_COLUMNS, ExpectedColumns, RecordSchema, source_columns

QUERIED, RECORDED = "queried_records", "whole_records"
ALIKE = 0.5
"""The least similarity of a missing column's name to one that is suggested: qty is like quantity."""

UNTYPED = '"NULL"'
"""The DuckDB type of a column without any value."""

ExtraColumns = Literal["evolve", "ignore", "freeze"]


@dataclass(frozen=True)
class MappedBatch:
    """Records whose expressions yield the contract's columns, and what else the source offers.

    `expressions` are by contract column. `extras` are further columns of the source that the lake takes as they
    are, and `ignored` those that the contract leaves out. `missing` are nullable columns that the source does not have.
    `is_text` tells whether each record came as a text, RECORD; otherwise it came as columns, by its `schema`.
    `place` is where a user finds the mapping.
    """

    records: Relation
    schema: RecordSchema
    is_text: bool
    where: str
    expressions: Mapping[str, str]
    extras: tuple[str, ...]
    ignored: tuple[str, ...]
    missing: tuple[str, ...]
    place: str

    @property
    def record(self) -> str:
        """SQL for a record as it came: a text, or a struct."""
        columns = map(identifier, self.schema.columns)
        return RECORD if self.is_text else f"struct_pack({', '.join(f'{column} := {column}' for column in columns)})"


def map_batch(
    records: Relation,
    mapping: TableMapping,
    columns: Mapping[str, bool],
    on_extra_column: ExtraColumns,
    *,
    query_in_source: bool,
) -> MappedBatch:
    """Return how records become the contract's columns (name → whether it is required).

    Raises SchemaMismatch if a required column cannot be had, or an extra one may not be; SourceFailed if the mapping's
    query fails, naming the file.
    """
    is_text = RECORD in records.types and (query_in_source or not mapping.query)
    if mapping.query and not query_in_source:
        records = _run_query(records, mapping)
    referenced = _referenced(records.connection, [*mapping.columns.values(), mapping.where])
    if RECORD in referenced:
        records = _with_record(records)
    schema = RecordSchema(source_columns(records), is_queried=bool(mapping.query))
    offered = {name.casefold(): name for name in schema.columns}
    unknown = sorted(set(mapping.columns) - set(columns))
    if unknown:
        raise SchemaMismatch(
            str(mapping.name),
            f"its mapping names {', '.join(unknown)}, which the contract does not have",
            tuple(columns),
            f"Add the column to the contract, or fix {mapping.place}.",
        )
    expressions, missing = {}, []
    for column, is_required in columns.items():
        if column in mapping.columns:
            expressions[column] = f"({mapping.columns[column]})"
        elif column.casefold() in offered:
            expressions[column] = identifier(offered[column.casefold()])
        elif is_required:
            raise SchemaMismatch(
                str(mapping.name),
                f"the contract requires column {column!r}",
                tuple(offered.values()),
                f"Map it in {mapping.place}.columns, "
                "or make it nullable in the contract."
                + "".join(f"\n{text}" for text in suggest_mapping([column], _unused(offered, columns))),
            )
        else:
            expressions[column] = "null"
            missing.append(column)
    used = referenced | {name.casefold() for name in columns}
    is_kept_whole = any(expression.strip() == RECORD for expression in mapping.columns.values())
    known = {name: kind for name, kind in schema.columns.items() if kind != UNTYPED}
    further = () if is_kept_whole else tuple(name for name in known if name.casefold() not in used)
    _require_extras_allowed(mapping, tuple(offered.values()), further, on_extra_column)
    evolving = further if on_extra_column == "evolve" else ()
    ignored = further if on_extra_column == "ignore" else ()
    return MappedBatch(
        records, schema, is_text, mapping.where, expressions, evolving, ignored, tuple(missing), mapping.place
    )


def suggest_mapping(missing: Sequence[str], further: Sequence[str]) -> list[str]:
    """Suggest further columns of a source whose names are similar to missing ones; people must decide."""
    by_name = {name.casefold(): name for name in further}
    likely = {column: get_close_matches(column.casefold(), by_name, n=1, cutoff=ALIKE) for column in missing}
    return [
        f"Was {column} renamed? The source has {by_name[found[0]]}; if so, map it: {{{column}: {by_name[found[0]]}}}"
        for column, found in likely.items()
        if found
    ]


def _unused(offered: Mapping[str, str], columns: Mapping[str, bool]) -> list[str]:
    """Return the source's columns that the contract does not have."""
    named = {column.casefold() for column in columns}
    return [name for folded, name in offered.items() if folded not in named]


def _require_extras_allowed(
    mapping: TableMapping, offered: tuple[str, ...], further: tuple[str, ...], on_extra_column: ExtraColumns
) -> None:
    """Raise SchemaMismatch for extra columns of a frozen contract, and for those that are named like the lake's own."""
    if further and on_extra_column == "freeze":
        raise SchemaMismatch(
            str(mapping.name),
            f"the contract is frozen, and {', '.join(further)} is not in it",
            offered,
            "Add it to the contract, or set on_extra_column to evolve or ignore.",
        )
    reserved = [name for name in further if name.startswith("_")]
    if reserved and on_extra_column == "evolve":
        raise SchemaMismatch(
            str(mapping.name),
            f"names that begin with _ are the lake's own, and {', '.join(reserved)} is not in the contract",
            offered,
            "Map it to a contract column, or set on_extra_column to ignore.",
        )


def mapped_cursor(mapping: TableMapping, cursor: str | None) -> str | None:
    """Return the source's column for the contract's cursor; None if it is computed, so that all records are read."""
    if cursor is None or mapping.query:
        return cursor
    expression = mapping.columns.get(cursor, cursor).strip()
    quoted = expression.startswith('"') and expression.endswith('"') and '"' not in expression[1:-1]
    if quoted:
        return expression[1:-1]
    return expression if expression.replace("_", "").isalnum() and not expression[0].isdigit() else None


def identity_of(mapping: TableMapping, key: Sequence[str], cursor: str | None) -> tuple[str, ...]:
    """Return the source's columns for key and cursor, which identify a record; none if the mapping computes them."""
    if mapping.query or mapping.where:
        return ()
    columns = [mapped_cursor(mapping, name) for name in dict.fromkeys((*key, cursor or key[0]))]
    return tuple(name for name in columns if name) if all(columns) else ()


def _with_record(records: Relation) -> Relation:
    """Return records with each record whole: the text that it came as, else its columns as one JSON object."""
    if RECORD in records.types:
        return records
    packed = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in source_columns(records))
    query = f"select *, cast(to_json(struct_pack({packed})) as varchar) as {RECORD} from {records}"
    return Relation.view(records.connection, RECORDED, query)


def _run_query(records: Relation, mapping: TableMapping) -> Relation:
    """Run the query of a mapping, and give its rows the service columns that they lack."""
    connection, sql = records.connection, mapping.query.strip().rstrip(";")
    try:
        queried = _query_source(records, "true", sql)
    except duckdb.Error as error:
        raise SourceFailed(
            str(mapping.name),
            f"the query of its mapping fails{_first_failing_file(records, sql)}: {without_values(error)}",
            f"Fix the query in {mapping.place}.",
        ) from None
    for column, kind in zip(SERVICE_COLUMNS, ("varchar", "bigint"), strict=True):
        connection.execute(f"alter table {queried} add column if not exists {column} {kind}")
    return queried


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


def _referenced(connection: duckdb.DuckDBPyConnection, expressions: Sequence[str]) -> set[str]:
    """Return the columns that expressions name, in lower case, found in DuckDB's own syntax tree."""
    names: set[str] = set()
    for expression in filter(None, expressions):
        tree = connection.execute("select json_serialize_sql($sql)", {"sql": f"select {expression}"}).fetchall()[0][0]
        names |= _column_names(json.loads(tree))
    return names


def _column_names(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(_column_names, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {name.casefold() for name in node["column_names"]} if node.get("class") == "COLUMN_REF" else set()
    return own.union(*map(_column_names, node.values()))


def expect_columns(
    connection: duckdb.DuckDBPyConnection, mapping: TableMapping, columns: Mapping[str, bool]
) -> ExpectedColumns:
    """Return the columns that a source must have for the contract's (name → whether it is required)."""
    required: tuple[str, ...] = ()
    names = {folded(name) for name in columns}
    if mapping.query:
        tree = connection.execute("select json_serialize_sql($sql)", {"sql": mapping.query}).fetchall()[0][0]
        named = _column_names(json.loads(tree))
        names = {folded(name) for name in named} | (names if '"class":"STAR"' in tree else set())
    else:
        required = tuple(name for name, is_required in columns.items() if is_required and name not in mapping.columns)
        named = _referenced(connection, [*mapping.columns.values(), mapping.where])
        names = {name for name in names if name not in map(folded, mapping.columns)} | set(map(folded, named))
    is_known = names - {*SERVICE_COLUMNS} and RECORD not in names
    return ExpectedColumns(required, frozenset(names) if is_known else None)
