"""The contract check: one SQL scan a batch, with every reason for every rejected record."""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from flows.config.contract import Check, Column, Contract
from flows.core.clock import utc_now
from flows.core.errors import SchemaMismatch
from flows.core.names import identifier, literal
from flows.core.relation import Relation
from flows.lake.casts import TIMES, ambiguous_local_time, lossless_cast, record_dst_transitions

CHECKED = "checked"
"""The relation that a check leaves: the contract's columns typed, extra columns as they came, then `_row` (order within
the batch, from 1), `_file`, `_position`, `_reasons` (null if the record passes, else joined by SEPARATOR) and `_raw`
(the record as it came, for those that do not)."""

SCHEMA = "_schema"
"""A further column of it: in which form the records came, should they be rejected."""

CHECKED_RECORDS = "checked_records"
"""The table behind it: records in their order, which DuckDB's row numbers keep, so that no scan has to count them."""

REPLACED_RECORDS = "replaced_records"
"""The table behind it once `replace_checked` has changed it."""

SEPARATOR = "\x1f"


@dataclass(frozen=True)
class Mapped:
    """What is to be checked: records with `_file` and `_row`, and SQL for each contract column and extra one.

    `record` is SQL for the record as it came, should it be rejected: a text, or a struct that is kept as JSON; `form`
    says of which columns.
    """

    records: Relation
    record: str
    is_text: bool
    form: str
    where: str
    expressions: Mapping[str, str]
    extras: tuple[str, ...]

    @property
    def source(self) -> str:
        """The CTE by which expressions of a mapping may call the records, if they qualify a column."""
        return f"with source as (from {self.records})"


def check_batch(connection: duckdb.DuckDBPyConnection, contract: Contract, mapped: Mapped) -> int:
    """Make the relation `checked`, and return how many records there were to check, counted from the relation itself.

    A record whose mapping or check raises an error is rejected; a mapping that fits none at all raises SchemaMismatch.
    """
    where = f" where {mapped.where}" if mapped.where else ""
    try:
        found = _mapped_types(connection, mapped)
        rules = [*_future_rules(contract), *_dst_rules(connection, contract, found)]
        try:
            read = connection.execute(f"{mapped.source} select count(*) from source{where}").fetchall()[0][0]
            connection.execute(_check_sql(contract, mapped, found, rules, is_careful=False))
        except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException):
            raise
        except duckdb.Error:
            _check_carefully(connection, _check_sql(contract, mapped, found, rules, is_careful=True))
            read = connection.execute(f"select count(*) from {CHECKED_RECORDS}").fetchall()[0][0]
        _number(connection, mapped.form)
    except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as error:
        raise SchemaMismatch(
            str(contract.name),
            "its mapping cannot be used: " + " ".join(line.strip() for line in str(error).splitlines()[:2]),
            tuple(mapped.records.types),
            f"Fix connections.yml under {contract.name.source}.tables.{contract.name.table}.",
        ) from None
    return int(read)


def _check_carefully(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Run the careful form as it is written: DuckDB would take what expressions have in common out of their `try`."""
    connection.execute("set disabled_optimizers = 'common_subexpressions'")
    try:
        connection.execute(sql)
    finally:
        connection.execute("reset disabled_optimizers")


def check_nothing(connection: duckdb.DuckDBPyConnection, contract: Contract, form: str) -> None:
    """Make the relation `checked` for a source that has no records, and so no columns either."""
    columns = ", ".join(f"cast(null as {kind}) as {identifier(name)}" for name, kind in contract.types.items())
    connection.execute(
        f"create or replace temp table {CHECKED_RECORDS} as select {columns}, null::varchar as _file, "
        "null::bigint as _number, null::varchar as _reasons, null::varchar as _raw where false"
    )
    _number(connection, form)


def replace_checked(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Put a query of `checked` in its place."""
    connection.execute(f"create or replace temp table {REPLACED_RECORDS} as {query}")
    connection.execute(f"create or replace temp view {CHECKED} as from {REPLACED_RECORDS}")


def _number(connection: duckdb.DuckDBPyConnection, form: str) -> None:
    connection.execute(
        f"create or replace temp view {CHECKED} as select * exclude (_file, _number, _reasons, _raw), "
        "rowid + 1 as _row, _file, _file || coalesce(':' || _number, '') as _position, _reasons, _raw, "
        f"{literal(form)} as {SCHEMA} "
        f"from {CHECKED_RECORDS}"
    )


def _mapped_types(connection: duckdb.DuckDBPyConnection, mapped: Mapped) -> list[str]:
    listed = ", ".join(f"{expression} as _m{at}" for at, expression in enumerate(mapped.expressions.values()))
    described = connection.execute(f"describe {mapped.source} select {listed} from source").fetchall()
    return [kind for _, kind, *_ in described]


@dataclass(frozen=True)
class Rule:
    """SQL for whether a record keeps a rule, never null, and for the reason if it does not."""

    holds: str
    reason: str


def _check_sql(contract: Contract, mapped: Mapped, found: list[str], further: list[Rule], *, is_careful: bool) -> str:
    """Write the scan: map, then type, then recheck; reasons are put into words for the records that break a rule alone.

    The careful form isolates the records whose expressions raise; it is slower, and used if the plain form has raised.
    """
    columns, where = contract.columns, mapped.where or "true"
    casts = [lossless_cast(f"_m{at}", found[at], column.data_type) for at, column in enumerate(columns)]
    rules = [
        Rule("_where_holds", "case when not _where_holds then 'where cannot be evaluated' end"),
        *(_type_rule(column, at, is_careful=is_careful) for at, column in enumerate(columns)),
        *(_check_rule(column, check, is_careful=is_careful) for column in columns for check in column.checks),
        *further,
    ]
    mapped_list, typed_list = [], []
    for at, (column, cast) in enumerate(zip(columns, casts, strict=True)):
        expression = mapped.expressions[column.name]
        mapped_list.append(f"{_tried(expression) if is_careful else expression} as _m{at}")
        if is_careful:
            mapped_list.append(f"{_raises(expression)} as _x{at}")
        typed_list.append(f"{cast.typed} as {identifier(column.name)}")
        typed_list.append(f"coalesce({cast.is_lossless}, false) as _l{at}")
    passed = ", ".join(map(identifier, [*contract.types, *mapped.extras]))
    reasons = f"concat_ws('{SEPARATOR}', {', '.join(rule.reason for rule in rules)})"
    raw = "_record" if mapped.is_text else "cast(to_json(_record) as varchar)"
    return f"""
        create or replace temp table {CHECKED_RECORDS} as
        {mapped.source},
        mapped as (
            select
                {", ".join([*mapped_list, *map(identifier, mapped.extras)])},
                {f"not {_raises(where)}" if is_careful else "true"} as _where_holds,
                _file,
                _row as _number,
                {mapped.record} as _record
            from source
            where {f"({_raises(where)} or {_tried(where)})" if is_careful else where}
        ),
        typed as (
            select *, {", ".join(typed_list)} from mapped
        ),
        rechecked as (
            select *, {" and ".join(rule.holds for rule in rules)} as _is_good from typed
        )
        select
            {passed},
            _file,
            _number,
            case when not _is_good then {reasons} end as _reasons,
            case when not _is_good then {raw} end as _raw
        from rechecked
    """


def _type_rule(column: Column, at: int, *, is_careful: bool) -> Rule:
    name, value, typed = literal(column.name), f"_m{at}", identifier(column.name)
    fits = f"({typed} is not null and _l{at})"
    holds = fits if column.is_required else f"({value} is null or {fits})"
    cases = f"when {value} is null then {name} || ': is missing' " if column.is_required else ""
    cases += f"when {value} is not null and not {fits} then {name} || {literal(': is no ' + column.data_type)}"
    if is_careful:
        holds = f"(not _x{at} and {holds})"
        cases = f"when _x{at} then {name} || ': cannot be mapped' {cases}"
    return Rule(holds, f"case {cases} end")


def _check_rule(column: Column, check: Check, *, is_careful: bool) -> Rule:
    tried = f"coalesce({_tried(f'({check.expression})')}, not {_raises(check.expression)})"
    holds = tried if is_careful else f"coalesce(({check.expression}), true)"
    return Rule(holds, f"case when not {holds} then {literal(f'{column.name}: {check.name}')} end")


def _future_rules(contract: Contract) -> list[Rule]:
    """Reject times from the future: one that orders a history orders it wrongly for good, and one order of the year
    2062 would make everybody's last one long ago.
    """
    rules = []
    for column in contract.columns:
        if not (column.has_happened or column.name == contract.cursor) or column.data_type not in (*TIMES, "date"):
            continue
        latest = f"cast(timestamp '{utc_now() + contract.future_tolerance}' as {column.data_type})"
        holds = f"coalesce({identifier(column.name)} <= {latest}, true)"
        reason = literal(f"{column.name}: lies further ahead than future_tolerance allows")
        rules.append(Rule(holds, f"case when not {holds} then {reason} end"))
    return rules


def _dst_rules(connection: duckdb.DuckDBPyConnection, contract: Contract, found: list[str]) -> list[Rule]:
    """Reject times between two clocks, if the zone of the source has changed them."""
    rules = []
    for at, column in enumerate(contract.columns):
        if column.data_type not in TIMES or not record_dst_transitions(connection):
            continue
        if (unclear := ambiguous_local_time(f"_m{at}", column.name, found[at])) is not None:
            holds = f"not coalesce({unclear}, false)"
            reason = literal(f"{column.name}: is no one moment, clocks were changed")
            rules.append(Rule(holds, f"case when not {holds} then {reason} end"))
    return rules


def _tried(expression: str) -> str:
    return f"try({expression})"


def _raises(expression: str) -> str:
    return f"(try(struct_pack(v := {expression})) is null)"
