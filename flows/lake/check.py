"""The contract check: one SQL scan a batch, with every reason for every rejected record."""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from flows.clock import utc_now
from flows.errors import SchemaMismatch
from flows.lake.casts import TIMES, Cast, lossless_cast, note_clock_changes
from flows.lake.contract import Check, Column, Contract
from flows.names import identifier, literal

CHECKED = "checked"
"""The relation that a check leaves: the contract's columns typed, extra columns as they came, then `_row` (order within
the batch, from 1), `_position`, `_reasons` (null if the record passes, else joined by SEPARATOR) and `_raw` (the record
as it came, for those that do not)."""

SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Mapped:
    """What is to be checked: a relation with `_file` and `_row`, and SQL for each contract column and extra one.

    `record` is SQL for the record as it came, should it be rejected: a text, or a struct that is kept as JSON.
    """

    relation: str
    record: str
    is_text: bool
    where: str
    expressions: Mapping[str, str]
    extras: tuple[str, ...]


def check_batch(connection: duckdb.DuckDBPyConnection, contract: Contract, mapped: Mapped) -> int:
    """Make the relation `checked`, and return how many records there were to check, counted from the relation itself.

    A record whose mapping or check raises an error is rejected; a mapping that fits none at all raises SchemaMismatch.
    """
    where = f" where {mapped.where}" if mapped.where else ""
    try:
        casts = _casts(connection, contract, _mapped_types(connection, mapped))
        try:
            read = connection.execute(f"select count(*) from {mapped.relation}{where}").fetchall()[0][0]
            connection.execute(_check_sql(contract, mapped, casts, is_careful=False))
        except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException):
            raise
        except duckdb.Error:
            _check_carefully(connection, _check_sql(contract, mapped, casts, is_careful=True))
            read = connection.execute(f"select count(*) from {CHECKED}").fetchall()[0][0]
    except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as error:
        raise SchemaMismatch(
            str(contract.name),
            "its mapping cannot be used: " + " ".join(line.strip() for line in str(error).splitlines()[:2]),
            tuple(name for name, *_ in connection.execute(f"describe {mapped.relation}").fetchall()),
            f"Mend connections.yml under {contract.name.source}.tables.{contract.name.table}.",
        ) from None
    return int(read)


def _check_carefully(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Run the careful form as it is written: DuckDB would take what expressions have in common out of their `try`."""
    connection.execute("set disabled_optimizers = 'common_subexpressions'")
    try:
        connection.execute(sql)
    finally:
        connection.execute("reset disabled_optimizers")


def check_nothing(connection: duckdb.DuckDBPyConnection, contract: Contract) -> None:
    """Make the relation `checked` for a source that has no records, and so no columns either."""
    columns = ", ".join(f"cast(null as {kind}) as {identifier(name)}" for name, kind in contract.types.items())
    connection.execute(
        f"create or replace temp table {CHECKED} as select {columns}, null::bigint as _row, "
        "null::varchar as _position, null::varchar as _reasons, null::varchar as _raw where false"
    )


def _mapped_types(connection: duckdb.DuckDBPyConnection, mapped: Mapped) -> list[str]:
    listed = ", ".join(f"{expression} as _m{at}" for at, expression in enumerate(mapped.expressions.values()))
    described = connection.execute(f"describe select {listed} from {mapped.relation}").fetchall()
    return [kind for _, kind, *_ in described]


def _casts(connection: duckdb.DuckDBPyConnection, contract: Contract, found: list[str]) -> list[Cast]:
    """Say how each column becomes what the contract wants; clock changes only matter to a contract with times."""
    changes = any(column.data_type in TIMES for column in contract.columns) and note_clock_changes(connection)
    return [
        lossless_cast(f"_m{at}", kind, column.data_type, clock_changes=changes)
        for at, (column, kind) in enumerate(zip(contract.columns, found, strict=True))
    ]


def _check_sql(contract: Contract, mapped: Mapped, casts: list[Cast], *, is_careful: bool) -> str:
    """Write the scan: map, then type, then judge.

    The careful form isolates the records whose expressions raise; it is slower, and used if the plain form has raised.
    """
    columns = contract.columns
    expressions = [mapped.expressions[column.name] for column in columns]
    extras = [identifier(name) for name in mapped.extras]

    mapped_list = [f"{_tried(sql) if is_careful else sql} as _m{at}" for at, sql in enumerate(expressions)]
    raised = [_raises(sql) if is_careful else "false" for sql in expressions]
    where = mapped.where or "true"
    kept = f"({_raises(where)} or {_tried(where)})" if is_careful else where
    where_raised = _raises(where) if is_careful and mapped.where else "false"

    typed_list = [f"{cast.typed} as {identifier(column.name)}" for column, cast in zip(columns, casts, strict=True)]
    faults = [
        _type_fault(column, f"_m{at}", cast, f"_x{at}")
        for at, (column, cast) in enumerate(zip(columns, casts, strict=True))
    ]
    reasons = [f"_f{at}" for at in range(len(columns))] + [
        _check_fault(column, check, is_careful=is_careful) for column in columns for check in column.checks
    ]
    reasons += _future_fault(contract)
    raw = "_record" if mapped.is_text else "cast(to_json(_record) as varchar)"
    passed = ", ".join([*(identifier(column.name) for column in columns), *extras])
    return f"""
        create or replace temp table {CHECKED} as
        with mapped as (
            select
                {", ".join(mapped_list)},
                {", ".join(f"{sql} as _x{at}" for at, sql in enumerate(raised))},
                {"".join(f"{extra}, " for extra in extras)}
                case when {where_raised} then 'where cannot be evaluated' end as _where_fault,
                row_number() over () as _seq,
                _file || coalesce(':' || _row, '') as _place,
                {mapped.record} as _record
            from {mapped.relation}
            where {kept}
        ),
        typed as (
            select
                {", ".join(typed_list)},
                {", ".join(f"{fault} as _f{at}" for at, fault in enumerate(faults))},
                {"".join(f"{extra}, " for extra in extras)}
                _where_fault, _seq, _place, _record
            from mapped
        ),
        judged as (
            select
                {passed}, _seq, _place, _record,
                concat_ws('{SEPARATOR}', {", ".join(["_where_fault", *reasons])}) as _judgement
            from typed
        )
        select
            {passed},
            _seq as _row,
            _place as _position,
            nullif(_judgement, '') as _reasons,
            case when _judgement <> '' then {raw} end as _raw
        from judged
    """


def _type_fault(column: Column, value: str, cast: Cast, raised: str) -> str:
    name = literal(column.name)
    missing = f"when {value} is null then {name} || ': is missing' " if column.is_required else ""
    unclear = (
        f"when {cast.is_unclear} then {name} || ': is no one moment, clocks were changed' " if cast.is_unclear else ""
    )
    return (
        f"case when {raised} then {name} || ': cannot be mapped' {missing}"
        f"when {value} is not null and ({cast.typed} is null or not coalesce({cast.is_lossless}, false)) "
        f"then {name} || {literal(': is no ' + column.data_type)} {unclear}end"
    )


def _future_fault(contract: Contract) -> list[str]:
    """Reject a cursor from the future: a clock that is wrong would order a history wrongly, and for good."""
    cursor = contract.cursor
    if cursor is None or contract.types[cursor] not in (*TIMES, "date"):
        return []
    latest = f"cast(timestamp '{utc_now() + contract.future_tolerance}' as {contract.types[cursor]})"
    reason = literal(f"{cursor}: lies further ahead than future_tolerance allows")
    return [f"case when {identifier(cursor)} > {latest} then {reason} end"]


def _check_fault(column: Column, check: Check, *, is_careful: bool) -> str:
    holds = f"coalesce({_tried(f'({check.expression})')}, not {_raises(check.expression)})" if is_careful else None
    broken = f"not {holds}" if holds else f"not coalesce(({check.expression}), true)"
    return f"case when {broken} then {literal(f'{column.name}: {check.name}')} end"


def _tried(expression: str) -> str:
    return f"try({expression})"


def _raises(expression: str) -> str:
    return f"(try(struct_pack(v := {expression})) is null)"
