"""The contract check: one SQL scan a batch that gives each rejected record all its reasons."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from flows.config.connections import RepeatedHour
from flows.config.contract import Check, Column, Contract
from flows.core.errors import SchemaMismatch
from flows.core.names import identifier, literal
from flows.core.relation import Relation
from flows.lake.casts import Cast, lossless_cast
from flows.lake.rules import Rule, range_rules, tombstone_rules, unless_deleted
from flows.lake.times import TIMES, ZONED, LocalTime, near_dst_change, record_dst_transitions
from flows.sources.absent_columns import NOT_FOUND
from flows.sources.batches import RecordSchema, source_columns
from flows.sources.mapping import MappedBatch
from flows.sources.suggestions import did_you_mean

TYPED, CHECKED = "typed_records", "checked_records"
SEPARATOR = "\x1f"
LENIENT = re.compile(r"strptime|\bcast\s*\(|::", re.IGNORECASE)
"""The SQL by which a mapping reads a text as a time: it lets years of two digits pass."""

SHORT = 60
"""The characters of a mapping's expression that a reason quotes."""


@dataclass(frozen=True)
class Checked:
    """Records that were checked, good ones and rejected ones; `read` is how many there were.

    `records` has the contract's columns typed and the extra columns as they came. Then come `_row` (the order within
    the batch, from 1), `_file`, `_position` and `_reasons` (null if the record passes, else joined by SEPARATOR).
    `_deleted` is true for a tombstone, of which all contract columns but the key are null.
    `_raw` is a rejected record as it came, `_schema` its RecordSchema.
    """

    records: Relation
    extras: tuple[str, ...]
    read: int

    def payload(self, contract: Contract) -> list[str]:
        """Return the columns that the source decides: the contract's and the extra ones."""
        return [*contract.types, *self.extras]


def check(mapped: MappedBatch, contract: Contract) -> Checked:
    """Check mapped records against a contract.

    A record whose mapping or check raises an error is rejected; a mapping that fits none at all raises SchemaMismatch.
    """
    connection = mapped.records.connection
    where = f" where {mapped.where}" if mapped.where else ""
    try:
        found = _mapped_types(mapped)
        local = _near_dst_changes(connection, contract, found)
        rules = [*range_rules(contract), *_year_rules(contract, mapped), *_dst_rules(local, mapped.repeated_hour)]
        moments = _moments(local, mapped.repeated_hour)
        try:
            read = connection.execute(f"{_source(mapped)} select count(*) from source{where}").fetchall()[0][0]
            typed = Relation.table(
                connection, TYPED, _check_sql(contract, mapped, found, rules, moments, is_careful=False)
            )
        except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException):
            raise
        except duckdb.Error:
            typed = _check_carefully(connection, _check_sql(contract, mapped, found, rules, moments, is_careful=True))
            read = typed.count()
    except (duckdb.BinderException, duckdb.ParserException, duckdb.CatalogException) as error:
        lines = (line.strip() for line in str(error).splitlines()[:2])
        raise SchemaMismatch(
            str(contract.name),
            "its mapping cannot be used: " + " ".join(line for line in lines if not line.startswith("Candidate")),
            () if mapped.hides_names else tuple(source_columns(mapped.records)),
            f"Fix {mapped.place}{_failing_part(mapped)}.{_hint(mapped, error)}",
        ) from None
    return Checked(_numbered(typed, mapped.schema), mapped.extras, read)


def check_nothing(connection: duckdb.DuckDBPyConnection, contract: Contract) -> Checked:
    """Return what a check of no records gives, for a source that has no records and so no columns."""
    columns = ", ".join(f"cast(null as {kind}) as {identifier(name)}" for name, kind in contract.types.items())
    further = "null::varchar as _file, null::bigint as _number, false as _deleted, "
    further += "null::varchar as _reasons, null::varchar as _raw"
    typed = Relation.table(connection, TYPED, f"select {columns}, {further} where false")
    return Checked(_numbered(typed, RecordSchema({})), (), 0)


def _check_carefully(connection: duckdb.DuckDBPyConnection, sql: str) -> Relation:
    """Run the careful form as it is written: DuckDB would move expressions that repeat out of their `try`."""
    connection.execute("set disabled_optimizers = 'common_subexpressions'")
    try:
        return Relation.table(connection, TYPED, sql)
    finally:
        connection.execute("reset disabled_optimizers")


def _failing_part(mapped: MappedBatch) -> str:
    """Return the place of the first expression that cannot be used, below that of the mapping; empty if all can."""
    parts = {"": "true"} | {f".columns.{name}": sql for name, sql in mapped.expressions.items()}
    for part, sql in (parts | {".where": mapped.where or "true"}).items():
        try:
            mapped.records.connection.execute(f"describe {_source(mapped)} select {sql} from source")
        except duckdb.Error:
            return part
    return ""


def _hint(mapped: MappedBatch, error: duckdb.Error) -> str:
    found = NOT_FOUND.search(str(error))
    name = (found["one"] or found["other"]) if found else ""
    return did_you_mean(name, mapped.records) if name else ""


def _numbered(typed: Relation, schema: RecordSchema) -> Relation:
    """Number typed records by DuckDB's own row numbers, which keep their order, so that no scan has to count them.

    A column of the source may have their name; then the records are counted.
    """
    number = "row_number() over ()" if "rowid" in map(str.casefold, typed.types) else "rowid + 1"
    query = (
        f"select * exclude (_file, _number, _reasons, _raw), {number} as _row, _file, "
        f"_file || coalesce(':' || _number, '') as _position, _reasons, _raw, {literal(str(schema))} as _schema "
        f"from {typed}"
    )
    return Relation.view(typed.connection, CHECKED, query)


def _source(mapped: MappedBatch) -> str:
    """Return the CTE by which expressions of a mapping may call the records, if they qualify a column."""
    return f"with source as (from {mapped.records})"


def _mapped_types(mapped: MappedBatch) -> list[str]:
    listed = ", ".join(f"{expression} as _m{at}" for at, expression in enumerate(mapped.expressions.values()))
    sql = f"describe {_source(mapped)} select {listed} from source"
    return [kind for _, kind, *_ in mapped.records.connection.execute(sql).fetchall()]


def _check_sql(
    contract: Contract,
    mapped: MappedBatch,
    found: list[str],
    further: list[Rule],
    moments: Mapping[str, str],
    *,
    is_careful: bool,
) -> str:
    """Write the scan: map, then type, then check; only records that break a rule get reasons.

    The careful form isolates the records whose expressions raise; it is slower, and runs after the plain form raised.
    """
    columns, where = contract.columns, mapped.where or "true"
    casts = _casts(contract, mapped, found)
    rules = [*_rules(contract, mapped, casts, is_careful=is_careful), *further]
    typed_list = [
        f"{cast.typed} as {identifier(column.name)}, coalesce({cast.is_lossless}, false) as _l{at}"
        for at, (column, cast) in enumerate(zip(columns, casts, strict=True))
    ]
    passed = ", ".join(map(identifier, [*contract.types, *mapped.extras]))
    reasons = f"concat_ws('{SEPARATOR}', {', '.join(rule.reason for rule in rules)})"
    replaced = ", ".join(f"{moment} as {identifier(name)}" for name, moment in moments.items())
    raw = "_record" if mapped.is_text else mapped.schema.as_json("_record")
    return f"""
        {_source(mapped)},
        mapped as (
            select
                {", ".join([*_mapped_list(mapped, contract, is_careful=is_careful), *map(identifier, mapped.extras)])},
                {mapped.deletes} as _deletes,
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
        resolved as (
            select * {f"replace ({replaced})" if replaced else ""} from typed
        ),
        checked as (
            select *, {" and ".join(rule.holds for rule in rules)} as _is_good from resolved
        )
        select
            {passed},
            _file,
            _number,
            _deletes as _deleted,
            case when not _is_good then {reasons} end as _reasons,
            case when not _is_good then {raw} end as _raw
        from checked
    """


def _rules(contract: Contract, mapped: MappedBatch, casts: list[Cast], *, is_careful: bool) -> list[Rule]:
    """Return the rules of the columns; those that are not for the key do not apply to tombstones."""
    columns = contract.columns
    where = Rule("_where_holds", "case when not _where_holds then 'where cannot be evaluated' end")
    types = [_type_rule(column, at, casts[at], is_careful=is_careful) for at, column in enumerate(columns)]
    checks = [_check_rule(column, check, is_careful=is_careful) for column in columns for check in column.checks]
    if mapped.deletes != "false":
        pairs = zip(columns, types, strict=True)
        types = [rule if column.name in contract.key else unless_deleted(rule) for column, rule in pairs]
        checks = [*tombstone_rules(contract), *map(unless_deleted, checks)]
    return [where, *types, *checks]


def _casts(contract: Contract, mapped: MappedBatch, found: list[str]) -> list[Cast]:
    return [
        lossless_cast(f"_m{at}", found[at], column.data_type, _shown(mapped.expressions[column.name]))
        for at, column in enumerate(contract.columns)
    ]


def _mapped_list(mapped: MappedBatch, contract: Contract, *, is_careful: bool) -> list[str]:
    """List the mapped columns; the careful form tells of each whether its expression raises."""
    mapped_list = []
    for at, (name, expression) in enumerate(mapped.expressions.items()):
        if mapped.deletes != "false" and name not in contract.key:
            expression = f"case when not {mapped.deletes} then {expression} end"
        mapped_list.append(f"{_tried(expression) if is_careful else expression} as _m{at}")
        if is_careful:
            mapped_list.append(f"{_raises(expression)} as _x{at}")
    return mapped_list


def _shown(expression: str) -> str:
    """Return an expression of a mapping as a remedy shows it: without the parentheses around it, if it is short."""
    inner = expression[1:-1] if expression.startswith("(") else expression
    return inner if len(inner) <= SHORT else "…"


def _type_rule(column: Column, at: int, cast: Cast, *, is_careful: bool) -> Rule:
    name, value, typed = literal(column.name), f"_m{at}", identifier(column.name)
    fits = f"({typed} is not null and _l{at})"
    holds = fits if column.is_required else f"({value} is null or {fits})"
    cases = f"when {value} is null then {name} || ': is missing' " if column.is_required else ""
    cases += f"when {value} is not null and not {fits} then {name} || ': ' || {cast.why_not}"
    if is_careful:
        holds = f"(not _x{at} and {holds})"
        cases = f"when _x{at} then {name} || ': cannot be mapped' {cases}"
    return Rule(holds, f"case {cases} end")


def _check_rule(column: Column, check: Check, *, is_careful: bool) -> Rule:
    tried = f"coalesce({_tried(f'({check.expression})')}, not {_raises(check.expression)})"
    holds = tried if is_careful else f"coalesce(({check.expression}), true)"
    return Rule(holds, f"case when not {holds} then {literal(f'{column.name}: {check.name}')} end")


def _year_rules(contract: Contract, mapped: MappedBatch) -> list[Rule]:
    """Reject years before 1000 that a mapping's own cast or format found: it reads 1/2/24 as a day of the year 24."""
    rules = []
    for column in contract.columns:
        expression = mapped.expressions[column.name]
        if column.data_type in (*TIMES, "date") and LENIENT.search(expression):
            holds = f"coalesce(year({identifier(column.name)}) >= 1000, true)"
            reason = "has a year of fewer than four digits; name another format in the mapping, such as %y"
            rules.append(Rule(holds, f"case when not {holds} then {literal(f'{column.name}: {reason}')} end"))
    return rules


def _near_dst_changes(
    connection: duckdb.DuckDBPyConnection, contract: Contract, found: list[str]
) -> dict[Column, LocalTime]:
    """Return the columns of local times, if the time zone of the source has DST changes."""
    local = {}
    for at, column in enumerate(contract.columns):
        if column.data_type in TIMES and record_dst_transitions(connection):
            local[column] = near_dst_change(f"_m{at}", _in_utc(column), found[at])
    return {column: time for column, time in local.items() if time is not None}


def _dst_rules(local: Mapping[Column, LocalTime], repeated_hour: RepeatedHour) -> list[Rule]:
    """Reject a local time that was skipped, and one that was repeated unless the mapping says which moment it is."""
    rules = []
    for column, time in local.items():
        holds = f"not {time.is_skipped}"
        if repeated_hour == "quarantine":
            holds = f"not ({time.is_skipped} or {time.is_repeated})"
        reason = literal(f"{column.name}: ambiguous local time (DST change)")
        rules.append(Rule(holds, f"case when not {holds} then {reason} end"))
    return rules


def _moments(local: Mapping[Column, LocalTime], repeated_hour: RepeatedHour) -> dict[str, str]:
    """Return SQL for times, by column, in which a time of the repeated hour is the moment that the mapping says."""
    if repeated_hour == "quarantine":
        return {}
    moments = {}
    for column, time in local.items():
        moment = time.first if repeated_hour == "first" else time.second
        moment = f"timezone('UTC', {moment})" if column.data_type == ZONED else moment
        moments[column.name] = f"case when {time.is_repeated} then {moment} else {identifier(column.name)} end"
    return moments


def _in_utc(column: Column) -> str:
    """Return SQL for a typed time as a naive one in UTC."""
    name = identifier(column.name)
    return f"timezone('UTC', {name})" if column.data_type == ZONED else name


def _tried(expression: str) -> str:
    return f"try({expression})"


def _raises(expression: str) -> str:
    return f"(try(struct_pack(v := {expression})) is null)"
