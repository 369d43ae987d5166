"""Event logs for the check of features: few keys, and times at every edge of the declared windows."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from flows.config.features import EventGroup, FeatureGroup, StateGroup, kind_of, seconds_of

BEGIN = datetime(2026, 1, 10, 12)
MOMENT = timedelta(microseconds=1)
KEYS = (*["k1"] * 5, *["k2"] * 2, "k9")
"""Keys by how often they are drawn; often the spine has one that no event has."""

LITERAL = re.compile(r"'([^']*)'")
TEXTS = ("a", "b", "Z")


@dataclass(frozen=True)
class Log:
    """A spine, the rows of the model that declares the features, and those of the model of its path."""

    spine: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    paths: list[dict[str, Any]]


@dataclass(frozen=True)
class Tables:
    """The columns of a group's tables with their types, and whether the ids of its events are unique."""

    own: Mapping[str, str]
    path: Mapping[str, str]
    is_unique: bool
    backfill: str | None
    path_backfill: str | None


def make_log(group: FeatureGroup, tables: Tables, chance: Random) -> Log:
    """Make a log of a group with ties, repeats, late and future events, and times exactly at the edges."""
    moments = [BEGIN + chance.choice([timedelta(), timedelta(days=1), MOMENT]) * number for number in range(3)]
    spine = [
        {
            **{name: _key(chance, tables.own.get(name) or tables.path.get(name, "varchar")) for name in group.entity},
            "as_of": chance.choice(moments) if chance.random() < 0.97 else None,
        }
        for _ in range(chance.randint(1, 6))
    ]
    if isinstance(group.declared, StateGroup):
        return Log(spine, _states(group.declared, group.entity, tables, moments, chance), [])
    rows = [_event(group.declared, group.entity, tables, moments, chance, n) for n in range(chance.randint(0, 14))]
    if tables.is_unique:
        rows = list({tuple(row[one] for one in group.declared.event_id): row for row in rows}.values())
    return Log(spine, rows, _paths(group.declared, group.entity, tables, moments, chance))


def _event(
    declared: EventGroup, entity: Sequence[str], tables: Tables, moments: list[datetime], chance: Random, number: int
) -> dict[str, Any]:
    texts = [*TEXTS, *(text for one in _conditions(declared) for text in LITERAL.findall(one))]
    row = {name: _value(chance, data_type, texts) for name, data_type in tables.own.items()}
    for name in declared.through.from_ if declared.through else entity:
        row[name] = _key(chance, tables.own[name], null=0.08)
    repeated = not tables.is_unique and chance.random() < 0.3
    event_number = chance.randint(0, number) if repeated else number
    for name in declared.event_id:
        row[name] = row[name] if name in entity else _identify(event_number, tables.own[name])
    at = chance.choice(list(_edges(declared, chance.choice(moments))))
    row[declared.event_time] = at
    if declared.available_at:
        row[declared.available_at] = _arrival(declared, at, moments, chance)
    if tables.backfill:
        row[tables.backfill] = chance.random() < 0.2
    if not tables.is_unique and chance.random() < 0.03:
        row[chance.choice([*declared.event_id, declared.event_time])] = None
    return row


def _edges(declared: EventGroup, moment: datetime) -> Iterator[datetime]:
    """Yield times of events at, just before and just after each edge of each window that ends at a moment."""
    delays = {seconds_of(declared.delay), *(seconds_of(value.delay) for value in declared.values.values())}
    spans = {seconds_of(window) for value in declared.values.values() for window in value.windows}
    spans |= {seconds_of(value.ttl) for value in declared.values.values() if value.ttl} | {0}
    for delay in sorted(delays):
        for span in sorted(spans):
            edge = moment - timedelta(seconds=delay + span)
            yield from (edge - MOMENT, edge, edge + MOMENT)
        yield moment - timedelta(seconds=delay + max(spans) / 3)
    yield moment + timedelta(hours=5)
    yield moment - timedelta(days=900)


def _arrival(declared: EventGroup, at: datetime, moments: list[datetime], chance: Random) -> datetime:
    lateness = timedelta(seconds=seconds_of(declared.lateness) or 3600)
    usual = [at, at + MOMENT, at + timedelta(minutes=1), at - timedelta(minutes=1)]
    late = [at + lateness, at + lateness + MOMENT, at + lateness - MOMENT, at + 3 * lateness]
    moment = chance.choice(moments)
    return chance.choice([*usual, *late, moment, moment + MOMENT, moment - MOMENT])


def _paths(
    declared: EventGroup, entity: Sequence[str], tables: Tables, moments: list[datetime], chance: Random
) -> list[dict[str, Any]]:
    through = declared.through
    if through is None:
        return []
    paths = []
    for _ in range(chance.randint(0, 6)):
        row = {name: _value(chance, data_type, TEXTS) for name, data_type in tables.path.items()}
        for own, name in zip(through.from_, through.key or through.from_, strict=True):
            is_id = own in declared.event_id
            kind = tables.path[name]
            row[name] = _identify(chance.randint(0, 8), kind) if is_id else _key(chance, kind)
        for name in through.to or entity:
            row[name] = _key(chance, tables.path[name], null=0.1)
        if through.available_at:
            moment = chance.choice(moments)
            row[through.available_at] = chance.choice([moment, moment + MOMENT, moment - timedelta(days=40)])
        if tables.path_backfill:
            row[tables.path_backfill] = chance.random() < 0.2
        paths.append(row)
    return paths


def _states(
    declared: StateGroup, entity: Sequence[str], tables: Tables, moments: list[datetime], chance: Random
) -> list[dict[str, Any]]:
    rows = []
    for _ in range(chance.randint(0, 7)):
        row = {name: _value(chance, data_type, TEXTS) for name, data_type in tables.own.items()}
        row |= {name: _key(chance, tables.own[name]) for name in entity}
        begin = chance.choice(moments) + chance.choice([-1, 0, 1, -90_000_000]) * MOMENT
        row[declared.valid_from] = begin
        row[declared.valid_to] = chance.choice([None, begin + MOMENT, begin + timedelta(days=1), *moments])
        rows.append(row)
    return rows


def _conditions(declared: EventGroup) -> list[str]:
    return [one for one in (declared.where, *(value.where for value in declared.values.values())) if one]


def _key(chance: Random, data_type: str, null: float = 0.05) -> Any:
    if chance.random() < null:
        return None
    key = chance.choice(KEYS)
    return _convert(key, int(key[1:]), data_type)


def _identify(number: int, data_type: str) -> Any:
    return _convert(f"e{number}", number, data_type)


def _convert(text: str, number: int, data_type: str) -> Any:
    return {"integer": number, "decimal": Decimal(number), "double": float(number)}.get(kind_of(data_type), text)


def _value(chance: Random, data_type: str, texts: Sequence[str]) -> Any:
    """Return a value of a type, of few different ones; null for types that no feature is computed from."""
    if chance.random() < 0.15:
        return None
    kind, number = kind_of(data_type), chance.choice([-3, 0, 1, 1, 7])
    if kind == "other":
        name = data_type.lower()
        if name.startswith(("varchar", "text", "string", "char")):
            return chance.choice(texts)
        day = BEGIN + timedelta(days=number)
        return day if name == "timestamp" else day.date() if name == "date" else None
    return {
        "integer": abs(number),
        "decimal": Decimal(number) / 4,
        "boolean": number > 0,
        "double": number * 0.1,
    }[kind]
