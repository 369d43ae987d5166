"""Mappings: from a source's columns to the contract's; columns that a mapping does not name keep their name."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import duckdb

from flows.config.connections import RepeatedHour, TableMapping
from flows.config.validation import suggest_key
from flows.core.errors import SchemaMismatch
from flows.core.names import folded, identifier
from flows.core.relation import Relation
from flows.sources.absent_columns import bind_with_nulls
from flows.sources.batches import RECORD, SERVICE_COLUMNS, TOMBSTONE, ExpectedColumns, RecordSchema, source_columns
from flows.sources.query import run_query
from flows.sources.suggestions import count_like_data, did_you_mean, suggest_mapping

RECORDED = "whole_records"
NEEDED = ", and the contract requires what is made of it"
NO_RECORD = ", so that where lets no record pass"

UNTYPED = '"NULL"'
"""The DuckDB type of a column without any value."""

ExtraColumns = Literal["evolve", "ignore", "freeze"]


@dataclass(frozen=True)
class MappedBatch:
    """Records whose expressions yield the contract's columns, and what else the source offers.

    `expressions` are by contract column. `extras` are further columns of the source that the lake takes as they
    are, and `ignored` those that the contract leaves out. `missing` are nullable columns that the source does not have,
    and `absent` columns that the mapping names and no record has.
    `is_text` tells whether each record came as a text, RECORD; otherwise it came as columns, by its `schema`.
    `place` is where a user finds the mapping. With `hides_names`, errors show no names of the source's columns: those
    of a file without a header are values. `deletes` is SQL for whether a record deletes its key.
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
    absent: tuple[str, ...] = ()
    hides_names: bool = False
    repeated_hour: RepeatedHour = "quarantine"
    deletes: str = "false"

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
    is_file: bool = False,
    may_lack: bool = False,
    was_used: bool = False,
) -> MappedBatch:
    """Return how records become the contract's columns (name → whether it is required).

    Records of files and of JSON `may_lack` columns that the mapping names, as others may. `was_used` tells whether
    earlier records were loaded by this mapping: then a `where` may read such a column, and let no record pass.
    Raises SchemaMismatch if a required column cannot be had, or an extra one may not be; SourceFailed if the mapping's
    query fails, naming the file.
    """
    is_text = RECORD in records.types and (query_in_source or not mapping.query)
    is_each_own = (may_lack and was_used and RECORD in records.types) or TOMBSTONE in records.types
    may_lack |= is_file or RECORD in records.types
    absent: tuple[str, ...] = ()
    if mapping.query and not query_in_source:
        records, absent = run_query(records, mapping, columns, may_lack=may_lack, was_used=was_used)
    referenced = _referenced(records.connection, [*mapping.columns.values(), mapping.where])
    if RECORD in referenced:
        records = _with_record(records)
    schema = RecordSchema(source_columns(records), is_queried=bool(mapping.query))
    offered = {name.casefold(): name for name in schema.columns}
    wanted = {*map(folded, columns), *map(folded, referenced)}
    is_header = names_are_known(list(offered.values()), wanted, is_file=is_file)
    shown = tuple(offered.values()) if is_header else ()
    unknown = sorted(set(mapping.columns) - set(columns))
    if unknown:
        free = [name for name in columns if name not in mapping.columns]
        named = ", ".join(name + suggest_key(name, free) for name in unknown)
        raise SchemaMismatch(
            str(mapping.name),
            f"its mapping names {named}, which the contract does not have; it has {', '.join(columns)}",
            shown,
            f"Add the column to the contract, or fix {mapping.place}.",
        )
    expressions, missing = _expressions(mapping, columns, offered, referenced, None if is_each_own else shown)
    if may_lack:
        needed = {name: is_required and not is_each_own for name, is_required in columns.items()}
        records, lacking = _complete(records, mapping, needed, shown, was_used=was_used)
        absent += lacking
    used = referenced | {name.casefold() for name in (*columns, *absent)}
    is_kept_whole = any(expression.strip() == RECORD for expression in mapping.columns.values())
    known = {name: kind for name, kind in schema.columns.items() if kind != UNTYPED and name != TOMBSTONE}
    further = () if is_kept_whole else tuple(name for name in known if name.casefold() not in used)
    _require_extras_allowed(mapping, tuple(offered.values()), further, on_extra_column)
    evolving = further if on_extra_column == "evolve" else ()
    ignored = further if on_extra_column == "ignore" else ()
    deletes = f"coalesce(try_cast({TOMBSTONE} as boolean), false)" if TOMBSTONE in schema.columns else "false"
    told = (evolving, ignored, tuple(missing), mapping.place, absent, not is_header, mapping.repeated_hour, deletes)
    return MappedBatch(records, schema, is_text, mapping.where, expressions, *told)


def _expressions(
    mapping: TableMapping,
    columns: Mapping[str, bool],
    offered: Mapping[str, str],
    referenced: set[str],
    shown: tuple[str, ...] | None,
) -> tuple[dict[str, str], list[str]]:
    """Return SQL for each contract column, and the columns that are null because the source does not have them.

    The columns that the source has are `shown`; None if each record has its own, so that all may lack a required one.
    """
    expressions: dict[str, str] = {}
    missing: list[str] = []
    lacking: list[str] = []
    for column, is_required in columns.items():
        if column in mapping.columns:
            expressions[column] = f"({mapping.columns[column]})"
        elif column.casefold() in offered:
            expressions[column] = identifier(offered[column.casefold()])
        elif is_required and shown is not None:
            lacking.append(column)
        else:
            expressions[column] = "null"
            missing.append(column)
    if lacking and shown is not None:
        unused = _unused(offered, columns, referenced)
        named = ", ".join(map(repr, lacking))
        raise SchemaMismatch(
            str(mapping.name),
            f"the contract requires column {named}" if len(lacking) == 1 else f"the contract requires columns {named}",
            shown,
            f"Map {'it' if len(lacking) == 1 else 'them'} in {mapping.place}.columns, or make "
            f"{'it' if len(lacking) == 1 else 'them'} nullable in the contract."
            + "".join(suggest_mapping(column, unused) for column in lacking),
        )
    return expressions, missing


def _complete(
    records: Relation, mapping: TableMapping, columns: Mapping[str, bool], shown: tuple[str, ...], *, was_used: bool
) -> tuple[Relation, tuple[str, ...]]:
    """Return records with a null column for each that the mapping names and none of them has, and these names.

    Raises SchemaMismatch if a required column is null in all records for that, or if no record passes `where`.
    """
    where = mapping.where or "true"

    def bind(records: Relation) -> None:
        listed = ", ".join(f"({expression})" for expression in mapping.columns.values()) or "1"
        records.connection.execute(
            f"describe with source as (from {records}) select {listed} from source where {where}"
        )

    try:
        _, completed, absent = bind_with_nulls(records, bind)
    except duckdb.Error:  # the check says what is wrong
        return records, ()
    for column, sql, fault in (
        *(("columns." + name, sql, NEEDED) for name, sql in mapping.columns.items() if columns[name]),
        *([] if was_used else [("where", f"nullif({where}, false)", NO_RECORD)]),
    ):
        named = _referenced(records.connection, [sql] if absent else []) & {name.casefold() for name in absent}
        count = f"with source as (from {completed}) select count(try({sql})) from source"
        if named and records.connection.execute(count).fetchall() == [(0,)]:
            spelt = next(name for name in absent if name.casefold() in named)
            raise SchemaMismatch(
                str(mapping.name),
                f'column "{spelt}" not found in any record{fault}',
                shown,
                f"Fix {mapping.place}.{column}.{did_you_mean(spelt, records)}",
            )
    return completed, absent


def _unused(offered: Mapping[str, str], columns: Mapping[str, bool], referenced: set[str]) -> list[str]:
    """Return the source's columns that neither the contract nor the mapping names."""
    return [name for one, name in offered.items() if one not in referenced | {*map(str.casefold, columns)}]


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
    if expression.startswith('"') and expression.endswith('"') and '"' not in expression[1:-1]:
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
    query = f"select *, {RecordSchema(source_columns(records)).as_json()} as {RECORD} from {records}"
    return Relation.view(records.connection, RECORDED, query)


def names_are_known(offered: Sequence[str], wanted: Collection[str], *, is_file: bool) -> bool:
    """Tell whether errors may show the names of a source's columns: those of a file without a header are values.

    A header has a column that mapping or contract name (`wanted`, folded), and no name that looks like a value.
    """
    return not is_file or (not {*map(folded, offered)}.isdisjoint(wanted) and not count_like_data(offered))


def read_columns(connection: duckdb.DuckDBPyConnection, mapping: TableMapping) -> dict[str, set[str]]:
    """Return the source's columns that each expression of a mapping reads, folded, by contract column."""
    return {
        column: set(map(folded, _referenced(connection, [expression])))
        for column, expression in mapping.columns.items()
    }


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
