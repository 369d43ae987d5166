"""Features by the definition, one event after the other in plain Python: what the compiled SQL is compared with."""

import math
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from flows.config.features import EventGroup, EventValue, Feature, FeatureGroup, StateGroup, kind_of, seconds_of

Row = Mapping[str, Any]
EPOCH = datetime(1970, 1, 1)
SECOND = 1_000_000
ALWAYS = -(10**19)
GROUP_CONDITION = "group"
"""The name under which an event has the result of its group's `where`; a value's is under the value's name."""


def microseconds(moment: datetime | None) -> int | None:
    """Return the microseconds of a time since 1970; none for none."""
    return None if moment is None else (moment - EPOCH) // timedelta(microseconds=1)


def arrival_of(declared: EventGroup, row: Row, backfill: str | None) -> int | None:
    """Return when a row was known; none for a row that is no event, as its time or arrival is missing."""
    at = microseconds(row[declared.event_time])
    if at is None:
        return None
    if declared.available_at and not (backfill and row[backfill]):
        return microseconds(row[declared.available_at])
    return at + seconds_of(declared.available_delay) * SECOND


def identify(declared: EventGroup, row: Row) -> Any:
    """Return the id of a row's event; that of several columns is their text, joined by a slash; none if one is null."""
    parts = [row[name] for name in declared.event_id]
    if len(parts) == 1:
        return parts[0]
    return None if None in parts else "/".join(map(str, parts))


class Events:
    """The events of a group of features, as the definition takes them from the rows of a model.

    `met` tells for each row which conditions it meets. `paths` are the rows of the model that leads to the entity.
    """

    def __init__(
        self,
        group: FeatureGroup,
        rows: Sequence[Row],
        met: Sequence[Mapping[str, bool]],
        *,
        backfill: str | None,
        paths: Sequence[Row] = (),
        path_backfill: str | None = None,
        types: Mapping[str, str] | None = None,
    ) -> None:
        assert isinstance(group.declared, EventGroup)
        self._declared, self._types = group.declared, types or {}
        self._entity = group.entity
        columns = dict.fromkeys(value.of for value in group.declared.values.values() if value.of)
        conditions = [name for name, value in group.declared.values.items() if value.where]
        timed = [event for event in map(self._timed(backfill), rows, met) if event is not None]
        own = group.declared.through.from_ if group.declared.through else group.entity
        timed.sort(
            key=lambda one: (
                *(one["known"], one["at"], one["backfill"], one["met"][GROUP_CONDITION]),
                *(_nulls_last(one["row"][name]) for name in (*own, *columns)),
                *(one["met"][f"value {name}"] for name in conditions),
            )
        )
        first: dict[Any, Any] = {}
        for event in timed:
            first.setdefault(event["id"], event)
        kept = [one for one in first.values() if one["met"][GROUP_CONDITION] and not self._is_late(one)]
        self._of_entity: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
        for event in kept:
            for entity, known in self._entities(event, paths, path_backfill):
                if None not in entity:
                    reached = {**event, "known": max(event["known"], known)}
                    self._of_entity.setdefault(entity, []).append(reached)

    def value(self, feature: Feature, entity: tuple[Any, ...], at: int) -> Any:
        """Return the value of a feature for an entity at a time, in microseconds."""
        value = feature.declared
        assert isinstance(value, EventValue)
        values = [event["row"][value.of] if value.of else 1 for event in self.counted(feature, entity, at)]
        return _aggregate(value.agg, values, self._types.get(value.of or "", ""))

    def counted(self, feature: Feature, entity: tuple[Any, ...], at: int) -> list[dict[str, Any]]:
        """Return the events that a feature counts for an entity at a time, in their order."""
        value = feature.declared
        assert isinstance(value, EventValue)
        delay = (seconds_of(value.delay) or seconds_of(self._declared.delay)) * SECOND
        is_right = (value.closed or self._declared.closed) == "right"
        counted = []
        for event in self._of_entity.get(entity, []):
            happened = event["at"] + delay
            has_begun = happened <= at if is_right else happened < at
            if not has_begun or event["known"] > at or (value.where and not event["met"][f"value {feature.value}"]):
                continue
            if feature.window:
                begin = at - seconds_of(feature.window) * SECOND
                if not (begin < happened if is_right else begin <= happened):
                    continue
            if value.of is None or event["row"][value.of] is not None:
                counted.append(event)
        ttl = seconds_of(value.ttl) or seconds_of(self._declared.ttl)
        if ttl and counted:
            oldest = at - ttl * SECOND
            newest = max(event["at"] + delay for event in counted)
            if not (oldest < newest if is_right else oldest <= newest):
                counted = []
        return sorted(counted, key=lambda one: (one["at"], one["known"], one["id"]))

    def _timed(self, backfill: str | None) -> Callable[[Row, Mapping[str, bool]], dict[str, Any] | None]:
        declared = self._declared

        def read(row: Row, met: Mapping[str, bool]) -> dict[str, Any] | None:
            known = arrival_of(declared, row, backfill)
            event_id = identify(declared, row)
            if known is None or event_id is None:
                return None
            times = {"at": microseconds(row[declared.event_time]), "known": known}
            return {
                **times,
                **{"id": event_id, "backfill": bool(backfill and row[backfill]), "row": row, "met": met},
            }

        return read

    def _is_late(self, event: Mapping[str, Any]) -> bool:
        lateness = self._declared.lateness
        if lateness is None or event["backfill"]:
            return False
        return bool(event["known"] > event["at"] + seconds_of(lateness) * SECOND)

    def _entities(
        self, event: Mapping[str, Any], paths: Sequence[Row], path_backfill: str | None
    ) -> Iterator[tuple[tuple[Any, ...], int]]:
        """Yield the entities that an event is about, with the moment from which this was known."""
        through = self._declared.through
        if through is None:
            yield tuple(event["row"][name] for name in self._entity), ALWAYS
            return
        own = [event["row"][name] for name in through.from_]
        known_from: dict[tuple[Any, ...], int] = {}
        for path in paths:
            if None in own or own != [path[name] for name in through.key or through.from_]:
                continue
            known: int | None = ALWAYS
            if through.available_at:
                seen = microseconds(path[through.available_at])
                known = ALWAYS if seen is not None and path_backfill and path[path_backfill] else seen
            entity = tuple(path[name] for name in through.to or self._entity)
            if known is not None:
                known_from[entity] = min(known, known_from.get(entity, known))
        yield from known_from.items()


def state_at(group: FeatureGroup, feature: Feature, rows: Sequence[Row], entity: tuple[Any, ...], at: datetime) -> Any:
    """Return the value of a state's feature for an entity at a time: of the last state to begin, if several hold."""
    declared = group.declared
    assert isinstance(declared, StateGroup)
    columns = list(dict.fromkeys(value.of for value in declared.values.values()))
    valid = [
        row
        for row in rows
        if None not in entity
        and tuple(row[name] for name in group.entity) == entity
        and row[declared.valid_from] is not None
        and row[declared.valid_from] <= at
        and (row[declared.valid_to] is None or at < row[declared.valid_to])
    ]
    if not valid:
        return None
    valid.sort(
        key=lambda row: (
            -(microseconds(row[declared.valid_from]) or 0),
            *(_nulls_last(row[name]) for name in (declared.valid_to, *columns)),
        )
    )
    return valid[0][str(feature.declared.of)]


def _nulls_last(value: Any) -> tuple[bool, Any]:
    return value is None, 0 if value is None else value


def _aggregate(aggregate: str, values: list[Any], data_type: str) -> Any:
    """Return the aggregate of values in their order; without any 0 for counts and sums, else none."""
    is_exact = kind_of(data_type) in ("decimal", "integer", "boolean")
    if aggregate == "count":
        return len(values)
    if aggregate == "count_distinct":
        return len(set(values))
    if aggregate == "sum":
        return sum(values, start=Decimal(0) if is_exact else 0.0)
    if not values:
        return None
    if aggregate == "avg":
        return float(sum(values, start=Decimal(0) if is_exact else 0.0)) / len(values)
    if aggregate == "stddev":
        return statistics.stdev(map(float, values)) if len(values) > 1 else None
    if aggregate in ("min", "max"):
        return min(values) if aggregate == "min" else max(values)
    return values[0] if aggregate == "first" else values[-1]


def is_same(expected: Any, found: Any) -> bool:
    """Tell whether two values are equal: exactly, or for floating-point numbers up to their last digits."""
    if expected is None or found is None:
        return expected is found
    if isinstance(expected, float) or isinstance(found, float):
        return math.isclose(expected, found, rel_tol=1e-9, abs_tol=1e-9)
    return bool(expected == found)
