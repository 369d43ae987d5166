"""The check of declared features: the compiled SQL against the definition, on made-up logs, value by value."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any

import duckdb

from flows.config.features import BACKFILL, EventGroup, FeatureGroup, Model, StateGroup
from flows.core.errors import Finding, GateFailed
from flows.core.names import identifier
from flows.learning.feature_logs import Log, Tables, make_log
from flows.learning.feature_oracle import GROUP_CONDITION, Events, arrival_of, identify, is_same, microseconds, state_at

STRATEGIES = ("range_join", "prefix_sums")
BEFORE_ALL = -(10**19)
SPINE, OWN, PATH = "spine_given", "rows_given", "paths_given"

TEMPLATE = """
-- case: {number} {strategy}
{{%- for group in select_features(['{model}.*']) if group.name == '{name}' %}}
{{%- do group.update(relation='{own}') %}}
{{%- if group.through %}}{{% do group.through.update(relation='{path}') %}}{{% endif %}}
{{{{ join_features('{spine}', 'as_of', [group], strategy='{strategy}') }}}}
{{%- endfor %}}
"""


@dataclass(frozen=True)
class CompiledGroup:
    """A group of features with its SQL by strategy, over tables with these columns."""

    group: FeatureGroup
    tables: Tables
    sql: Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """A value of the compiled SQL that is not that of the definition."""

    feature: str
    strategy: str
    row: Mapping[str, Any]
    expected: Any
    found: Any

    def __str__(self) -> str:
        row = ", ".join(f"{name} {value}" for name, value in self.row.items())
        return f"{self.feature} by {self.strategy} for {row}: {self.found!r}, by the definition {self.expected!r}"


def compile_groups(
    groups: Sequence[FeatureGroup],
    models: Mapping[str, Model],
    unique: Iterable[tuple[str, tuple[str, ...]]],
    compile_sql: Callable[[str], str],
) -> list[CompiledGroup]:
    """Compile groups by dbt in one run; `unique` names the models and columns that are tested to be unique."""
    wanted = [(group, strategy) for group in groups for strategy in STRATEGIES]
    inline = "".join(
        TEMPLATE.format(
            **{"number": number, "strategy": strategy, "model": group.model, "name": group.name},
            **{"own": OWN, "path": PATH, "spine": SPINE},
        )
        for number, (group, strategy) in enumerate(wanted)
    )
    parts = [part.partition("\n")[2] for part in compile_sql(inline).split("-- case: ")[1:]]
    known = set(unique)
    compiled = []
    for number, group in enumerate(groups):
        sql = parts[number * len(STRATEGIES) : (number + 1) * len(STRATEGIES)]
        tables = tables_of(group, models, known)
        compiled.append(CompiledGroup(group, tables, dict(zip(STRATEGIES, sql, strict=True))))
    return compiled


def compare(connection: duckdb.DuckDBPyConnection, compiled: CompiledGroup, log: Log) -> tuple[int, list[Difference]]:
    """Return how many values were compared on a log, and those that differ from the definition."""
    fill_tables(connection, compiled, log)
    expected = _expected(connection, compiled, log)
    counted, differences = 0, []
    for strategy in STRATEGIES:
        found = values_of(connection, compiled, strategy)
        if len(found) != len(log.spine):
            differences.append(Difference("number of rows", strategy, {}, len(log.spine), len(found)))
            continue
        for number, row in enumerate(log.spine):
            for feature in compiled.group.features:
                counted += 1
                wanted, value = expected[number][feature.name], found[number][feature.name]
                if not is_same(wanted, value):
                    differences.append(Difference(feature.name, strategy, row, wanted, value))
    return counted, differences


def values_of(connection: duckdb.DuckDBPyConnection, compiled: CompiledGroup, strategy: str) -> list[dict[str, Any]]:
    """Return the features that the SQL computes for each row of the spine, in its order."""
    cursor = connection.execute(f"select * from ({compiled.sql[strategy]}) order by row_number_given")
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def fill_tables(connection: duckdb.DuckDBPyConnection, compiled: CompiledGroup, log: Log) -> None:
    """Write a log into the tables that the compiled SQL reads."""
    tables, entity = compiled.tables, compiled.group.entity
    kinds = {name: tables.own.get(name) or tables.path.get(name) or "varchar" for name in entity}
    spine = [{"row_number_given": number, **row} for number, row in enumerate(log.spine)]
    _fill(connection, SPINE, {"row_number_given": "integer", **kinds, "as_of": "timestamp"}, spine)
    rows = [{**row, "row_number_given": number} for number, row in enumerate(log.rows)]
    _fill(connection, OWN, {**tables.own, "row_number_given": "integer"}, rows)
    if tables.path:
        _fill(connection, PATH, tables.path, log.paths)


def check_features(compiled: Sequence[CompiledGroup], wanted: int, seed: int = 0) -> int:
    """Compare at least so many values over all groups; raises GateFailed with the first values that differ."""
    counted, number = 0, 0
    findings: list[Finding] = []
    with duckdb.connect(config={"threads": 1}) as connection:
        while compiled and counted < wanted and not findings:
            for one in compiled:
                chance = Random(f"{seed} {number} {one.group.model} {one.group.name}")
                log = make_log(one.group, one.tables, chance)
                values, differences = compare(connection, one, log)
                counted += values + compare_unknown(connection, one, log, chance, differences)
                rows = tuple(map(str, differences[:3]))
                if differences:
                    what = "a value is not that of the definition"
                    findings.append(Finding(f"{one.group.model}.{one.group.name}", what, len(differences), rows))
            number += 1
    if findings:
        raise GateFailed("features", tuple(findings), f"Change the macros, or repeat it: seed {seed}.")
    return counted


def compare_unknown(
    connection: duckdb.DuckDBPyConnection,
    compiled: CompiledGroup,
    log: Log,
    chance: Random,
    differences: list[Difference],
) -> int:
    """Change all that was not known at a time, and add to `differences` each value of that time that changes."""
    moments = [row["as_of"] for row in log.spine if row["as_of"] is not None]
    if not moments or isinstance(compiled.group.declared, StateGroup):
        return 0
    at = chance.choice(moments)
    spine = [{**row, "as_of": at} for row in log.spine]
    other = make_log(compiled.group, compiled.tables, chance)
    known = [row for row in log.rows if _is_known(compiled, row, at)]
    ids = {identify(compiled.group.declared, row) for row in known} if compiled.tables.is_unique else set()
    later = [row for row in other.rows if not _is_known(compiled, row, at)]
    later = [row for row in later if identify(compiled.group.declared, row) not in ids]
    counted = 0
    for strategy in STRATEGIES:
        fill_tables(connection, compiled, Log(spine, log.rows, log.paths))
        before = values_of(connection, compiled, strategy)
        fill_tables(connection, compiled, Log(spine, known + later, log.paths))
        after = values_of(connection, compiled, strategy)
        for first, second in zip(before, after, strict=True):
            for feature in compiled.group.features:
                counted += 1
                if first[feature.name] != second[feature.name]:
                    row = {name: first[name] for name in (*compiled.group.entity, "as_of")}
                    what = f"{feature.name}, after a change of what was not known"
                    differences.append(Difference(what, strategy, row, first[feature.name], second[feature.name]))
    return counted


def _is_known(compiled: CompiledGroup, row: Mapping[str, Any], at: datetime) -> bool:
    """Tell whether a row had arrived at a time; a row without a time is no event, and counts as known."""
    assert isinstance(compiled.group.declared, EventGroup)
    arrived = arrival_of(compiled.group.declared, row, compiled.tables.backfill)
    return arrived is None or arrived <= (microseconds(at) or 0)


def _expected(connection: duckdb.DuckDBPyConnection, compiled: CompiledGroup, log: Log) -> list[dict[str, Any]]:
    """Return the features of each row of the spine by the definition."""
    group, tables = compiled.group, compiled.tables
    keys = [tuple(row[name] for name in group.entity) for row in log.spine]
    met = conditions_met(connection, group.declared, f"(from {OWN} order by row_number_given)")
    if isinstance(group.declared, StateGroup):
        rows = [row for row, one in zip(log.rows, met, strict=True) if one[GROUP_CONDITION]]
        return [
            {
                one.name: None if row["as_of"] is None else state_at(group, one, rows, key, row["as_of"])
                for one in group.features
            }
            for row, key in zip(log.spine, keys, strict=True)
        ]
    events = Events(
        group,
        log.rows,
        met,
        backfill=tables.backfill,
        paths=log.paths,
        path_backfill=tables.path_backfill,
        types=tables.own,
    )
    moments = [microseconds(row["as_of"]) for row in log.spine]
    return [
        {one.name: events.value(one, key, BEFORE_ALL if moment is None else moment) for one in group.features}
        for key, moment in zip(keys, moments, strict=True)
    ]


def conditions_met(
    connection: duckdb.DuckDBPyConnection, declared: EventGroup | StateGroup, rows: str, given: Sequence[Any] = ()
) -> list[dict[str, bool]]:
    """Return which conditions each row of a query meets; they are the user's own SQL over its columns."""
    conditions = {GROUP_CONDITION: declared.where or "true"}
    if isinstance(declared, EventGroup):
        conditions |= {f"value {name}": value.where for name, value in declared.values.items() if value.where}
    shown = ", ".join(f"coalesce(({one}), false)" for one in conditions.values())
    found = connection.execute(f"select {shown} from {rows}", given).fetchall()
    return [dict(zip(conditions, row, strict=True)) for row in found]


def tables_of(group: FeatureGroup, models: Mapping[str, Model], unique: set[tuple[str, tuple[str, ...]]]) -> Tables:
    """Return the columns of a group's tables, each with the type that its YAML declares."""
    declared = group.declared
    own = {name: data_type or "varchar" for name, data_type in models[group.model].types.items()}
    if isinstance(declared, StateGroup):
        return Tables(own, {}, False, None, None)
    backfill = declared.backfill or (BACKFILL if BACKFILL in own else None)
    is_unique = (group.model, declared.event_id) in unique
    if declared.through is None:
        return Tables(own, {}, is_unique, backfill, None)
    path = {name: data_type or "varchar" for name, data_type in models[declared.through.model].types.items()}
    path_backfill = declared.through.backfill or (BACKFILL if BACKFILL in path else None)
    return Tables(own, path, is_unique, backfill, path_backfill)


def _fill(
    connection: duckdb.DuckDBPyConnection, table: str, types: Mapping[str, str], rows: Sequence[Mapping[str, Any]]
) -> None:
    columns = ", ".join(f"{identifier(name)} {data_type}" for name, data_type in types.items())
    connection.execute(f"create or replace temporary table {table} ({columns})")
    if rows:
        values = ", ".join(f"({', '.join('?' * len(types))})" for _ in rows)
        given = [row.get(name) for row in rows for name in types]
        connection.execute(f"insert into {table} values {values}", given)
