"""The features of one entity at a time, by their definition, and the events from which each value came."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import duckdb

from flows.config.features import EventGroup, FeatureGroup, Model, StateGroup
from flows.core.errors import UsageError
from flows.core.names import did_you_mean, identifier
from flows.learning.feature_check import conditions_met, tables_of
from flows.learning.feature_logs import Tables
from flows.learning.feature_oracle import Events, microseconds, state_at

LISTED = 5
"""Ids of events that are shown; a value may come from thousands."""


@dataclass(frozen=True)
class FeatureValue:
    """The value of a feature, and the ids of the events that it counts; a state has none."""

    feature: str
    value: Any
    events: tuple[str, ...]


def find_groups(groups: Sequence[FeatureGroup], entity: str) -> list[FeatureGroup]:
    """Return the groups of an entity, by its columns such as customer_id or by a group's name.

    Raises UsageError for an entity without features.
    """
    named = tuple(sorted(entity.split(",")))
    found = [
        group
        for group in groups
        if entity == group.name
        or named in (tuple(sorted(group.entity)), tuple(sorted(one.removesuffix("_id") for one in group.entity)))
    ]
    if not found:
        known = sorted({",".join(one.removesuffix("_id") for one in group.entity) for group in groups})
        hint = did_you_mean(entity, known)
        raise UsageError(f"No features are declared of {entity}.{hint}", f"There are: {', '.join(known) or 'none'}.")
    return found


def values_at(
    connection: duckdb.DuckDBPyConnection,
    group: FeatureGroup,
    models: Mapping[str, Model],
    key: Sequence[str],
    at: datetime,
) -> Iterator[FeatureValue]:
    """Yield the features of an entity at a time, from the tables of a release.

    Raises UsageError if the key has another number of parts than the entity.
    """
    if len(key) != len(group.entity):
        parts = ", ".join(group.entity)
        raise UsageError(
            f"The key {','.join(key)} has {len(key)} parts, and the entity is {parts}.", "Join with commas."
        )
    tables = tables_of(group, models, set())
    entity = _typed(connection, group, models, key)
    if isinstance(group.declared, StateGroup):
        condition, given = _is_entity(group.entity, key)
        condition += f" and ({group.declared.where or 'true'})"
        rows = _rows(connection, group.model, tables.own, condition, given)
        for feature in group.features:
            yield FeatureValue(feature.name, state_at(group, feature, rows, entity, at), ())
        return
    events = _events(connection, group, group.declared, tables, key)
    for feature in group.features:
        moment = microseconds(at) or 0
        counted = tuple(str(event["id"]) for event in events.counted(feature, entity, moment))
        yield FeatureValue(feature.name, events.value(feature, entity, moment), counted)


def _events(
    connection: duckdb.DuckDBPyConnection,
    group: FeatureGroup,
    declared: EventGroup,
    tables: Tables,
    key: Sequence[str],
) -> Events:
    """Read the events that may be an entity's: all rows of each id of which one row is the entity's."""
    through, paths = declared.through, []
    place = identifier(group.model)
    if through is None:
        condition, given = _is_entity(group.entity, key)
    else:
        is_path, given = _is_entity(through.to or group.entity, key)
        own = ", ".join(map(identifier, through.from_))
        keys = ", ".join(map(identifier, through.key or through.from_))
        condition = f"({own}) in (select ({keys}) from {identifier(through.model)} where {is_path})"
        paths = _rows(connection, through.model, tables.path, is_path, given)
    own_id = f"({', '.join(map(identifier, declared.event_id))})"
    wanted = f"{own_id} in (select {own_id} from {place} where {condition})"
    rows = _rows(connection, group.model, tables.own, wanted, given)
    shown = ", ".join(map(identifier, tables.own))
    met = conditions_met(connection, declared, f"(select {shown} from {place} where {wanted} order by all)", given)
    return Events(
        group,
        rows,
        met,
        backfill=tables.backfill,
        paths=paths,
        path_backfill=tables.path_backfill,
        types=tables.own,
    )


def _rows(
    connection: duckdb.DuckDBPyConnection, model: str, types: Mapping[str, str], condition: str, given: Sequence[Any]
) -> list[dict[str, Any]]:
    shown = ", ".join(map(identifier, types))
    found = connection.execute(f"select {shown} from {identifier(model)} where {condition} order by all", given)
    return [dict(zip(types, row, strict=True)) for row in found.fetchall()]


def _is_entity(columns: Sequence[str], key: Sequence[str]) -> tuple[str, list[str]]:
    """Return the condition of an entity's rows and its parameters."""
    return " and ".join(f"cast({identifier(column)} as varchar) = ?" for column in columns), list(key)


def _typed(
    connection: duckdb.DuckDBPyConnection, group: FeatureGroup, models: Mapping[str, Model], key: Sequence[str]
) -> tuple[Any, ...]:
    """Return the parts of a key as the values that its columns hold."""
    through = getattr(group.declared, "through", None)
    types = models[through.model if through else group.model].types
    columns = (through.to or group.entity) if through else group.entity
    kinds = [types.get(name) or "varchar" for name in columns]
    shown = ", ".join(f"try_cast(? as {kind})" for kind in kinds)
    (row,) = connection.execute(f"select {shown}", list(key)).fetchall()
    return tuple(row)
