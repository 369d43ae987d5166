"""Features as the project's YAML declares them: parsed and checked once, then frozen values with names made by rule.

dbt's macros read the same declarations (macros/features). A mistake names the file, the model and the value.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from jinja2 import Environment, TemplateError, nodes
from pydantic import AfterValidator, BeforeValidator, Field

from flows.config.validation import ConfigModel, Text, parse
from flows.core.errors import UsageError, join_usage_errors
from flows.core.names import did_you_mean

SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
DURATION = re.compile(r"[1-9][0-9]*[smhd]")
NAME = re.compile(r"[a-z][a-z0-9_]*")
BACKFILL = "_is_backfill"
"""The column that tells which rows came by a first load, whose arrival tells nothing."""

REMEDY = "Fix config.meta.features there, then: python -m flows features"
SHOWING = ("min", "max", "first", "last")
"""Aggregates that show a value of one event."""

NUMERIC = ("sum", "avg", "stddev")
KINDS = {
    **dict.fromkeys(("decimal", "numeric"), "decimal"),
    **dict.fromkeys(("tinyint", "smallint", "integer", "int", "bigint"), "integer"),
    **dict.fromkeys(("utinyint", "usmallint", "uinteger", "ubigint"), "integer"),
    **dict.fromkeys(("boolean", "bool"), "boolean"),
    **dict.fromkeys(("double", "float", "real"), "double"),
}

Aggregate = Literal["count", "sum", "avg", "min", "max", "stddev", "first", "last", "count_distinct"]
Closed = Literal["left", "right"]


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _require_duration(value: str) -> str:
    if not DURATION.fullmatch(value):
        raise ValueError(f"is {value!r}; write a number and s, m, h or d, as in 10m or 30d")
    return value


Names = Annotated[tuple[Text, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
Span = Annotated[str, AfterValidator(_require_duration)]


class Through(ConfigModel):
    """The path from an event to its entity: the rows of a model whose `key` is the event's `from`."""

    model: Text
    from_: Names = Field(alias="from")
    key: Names | None = None
    to: Names | None = None
    available_at: Text | None = None
    backfill: Text | None = None


class EventValue(ConfigModel):
    """An aggregate over the events of an entity, in each of several windows."""

    agg: Aggregate
    description: Text
    of: Text | None = None
    windows: tuple[Span, ...] = ()
    where: Text | None = None
    delay: Span | None = None
    ttl: Span | None = None
    closed: Closed | None = None


class StateValue(ConfigModel):
    """A column of the state that is valid at a time."""

    of: Text
    description: Text


class EventGroup(ConfigModel):
    """Features of an entity over the rows of a model, each row an event."""

    entity: Names
    event_id: Names
    event_time: Text
    values: Mapping[str, EventValue]
    name: Text | None = None
    available_at: Text | None = None
    available_delay: Span | None = None
    backfill: Text | None = None
    lateness: Span | None = None
    where: Text | None = None
    delay: Span | None = None
    ttl: Span | None = None
    closed: Closed | None = None
    through: Through | None = None
    owner: Text | None = None
    description: Text | None = None


class StateGroup(ConfigModel):
    """Features of an entity from a model with one row per state and the time in which it was valid."""

    entity: Names
    valid_from: Text
    valid_to: Text
    values: Mapping[str, StateValue]
    name: Text | None = None
    where: Text | None = None
    owner: Text | None = None
    description: Text | None = None


@dataclass(frozen=True)
class Model:
    """A model that may declare features: what the YAML says of it."""

    name: str
    file: str
    declared: Any
    types: Mapping[str, str]
    classed: Collection[str] = ()
    """Columns that are tagged as personal or health data."""
    owner: str = ""
    is_of_today: bool = False
    """Whether rows show what is known today, by `config.meta.view`: they know what happened after their own time."""


@dataclass(frozen=True)
class Feature:
    """A declared feature; `window` is empty if all events before a time count, and for a state."""

    name: str
    value: str
    window: str
    data_type: str
    description: str
    declared: EventValue | StateValue = field(repr=False)


@dataclass(frozen=True)
class FeatureGroup:
    """The features of one entity that a model declares."""

    model: str
    name: str
    entity: tuple[str, ...]
    owner: str
    declared: EventGroup | StateGroup = field(repr=False)
    features: tuple[Feature, ...]

    def selected(self, patterns: Iterable[str]) -> Iterator[Feature]:
        """Yield the features that patterns such as fct_payments.card__* name."""
        wanted = list(patterns)
        for feature in self.features:
            if any(fnmatchcase(f"{self.model}.{feature.name}", pattern) for pattern in wanted):
                yield feature


def seconds_of(span: str | None) -> int:
    """Return the seconds of a duration such as 10m; 0 for none."""
    return int(span[:-1]) * SECONDS[span[-1]] if span else 0


def kind_of(data_type: str) -> str:
    """Return the class of a type, which decides how it is summed: decimal, integer, boolean, double or other."""
    return KINDS.get(data_type.lower().partition("(")[0].strip(), "other")


def type_of(aggregate: str | None, data_type: str) -> str:
    """Return the type of a feature; empty if its column has no declared type."""
    kind = kind_of(data_type)
    if aggregate in ("count", "count_distinct"):
        return "bigint"
    if aggregate in ("avg", "stddev"):
        return "double"
    if aggregate != "sum":
        return data_type.lower()
    if kind != "decimal":
        return "double" if kind == "double" else "bigint"
    scale = re.search(r", *([0-9]+)", data_type)
    return f"decimal(38, {scale[1] if scale else 0 if '(' in data_type else 3})"


def read_features(models: Iterable[Model]) -> list[FeatureGroup]:
    """Return all declared groups; raises UsageError with every mistake, its file, its model and its value."""
    groups: list[FeatureGroup] = []
    errors: list[UsageError] = []
    known = {model.name: model for model in models}
    for model in known.values():
        declared = model.declared if isinstance(model.declared, list) else [model.declared]
        for number, group in enumerate(declared if model.declared else ()):
            try:
                groups.append(_read_group(model, group, number, known))
            except UsageError as error:
                errors.append(error)
    errors += _repeated(groups, known)
    if errors:
        raise join_usage_errors(errors)
    return groups


def features_used(code: str) -> tuple[str, ...]:
    """Return the patterns of features in the calls of training_set in a model's SQL, as far as they are constants."""
    if "training_set" not in code:
        return ()
    try:
        calls = list(Environment(extensions=["jinja2.ext.do"]).parse(code).find_all(nodes.Call))
    except TemplateError:
        return ()
    patterns: list[str] = []
    for call in calls:
        if isinstance(call.node, nodes.Name) and call.node.name == "training_set":
            named = [one.value for one in call.kwargs if one.key == "features"]
            for given in [*call.args[1:2], *named]:
                try:
                    patterns += given.as_const()
                except nodes.Impossible:
                    continue
    return tuple(patterns)


def _read_group(model: Model, declared: Any, number: int, known: Mapping[str, Model]) -> FeatureGroup:
    kind = StateGroup if isinstance(declared, Mapping) and "valid_from" in declared else EventGroup
    named = declared.get("name") or declared.get("entity") if isinstance(declared, Mapping) else None
    place = named if isinstance(named, str) else ", ".join(map(str, named)) if named else f"group {number + 1}"
    subject = f"{model.file}: {model.name}: features of {place}"
    group: Any = parse(kind, declared, subject=subject, remedy=REMEDY)
    name = group.name or "_".join(one.removesuffix("_id") for one in group.entity)
    mistakes = [*_mistakes(model, group, name, known)]
    if mistakes:
        raise UsageError("\n".join(f"{subject}: {text}" for text in mistakes), REMEDY)
    features = []
    for value_name, value in group.values.items():
        aggregate = getattr(value, "agg", None)
        data_type = type_of(aggregate, model.types.get(value.of or "", ""))
        for window in getattr(value, "windows", ()) or ("",):
            full = f"{name}__{value_name}{'_' if window else ''}{window}"
            features.append(Feature(full, value_name, window, data_type, value.description, value))
    owner = group.owner or model.owner
    return FeatureGroup(model.name, name, group.entity, owner, group, tuple(features))


def _mistakes(model: Model, group: EventGroup | StateGroup, name: str, known: Mapping[str, Model]) -> Iterator[str]:
    """Yield what is wrong with a group beside its form: its columns, its path, what it shows."""
    if model.is_of_today:
        yield "its rows say view: today, so they know what came later; declare features of what was known then."
    if not NAME.fullmatch(name):
        yield f"name {name!r} is no name of a column; write lower-case letters, digits and _."
    own = group.entity
    fields = ["event_time", "available_at", "backfill", "valid_from", "valid_to"]
    if isinstance(group, EventGroup) and group.through is not None:
        own = group.through.from_
        yield from _mistakes_of_path(group, group.through, known)
    columns = [(one, getattr(group, one, None)) for one in fields] + [("entity", one) for one in own]
    columns += [("event_id", one) for one in getattr(group, "event_id", ())]
    for value_name, value in group.values.items():
        columns.append((f"values.{value_name}.of", value.of))
        if not NAME.fullmatch(value_name):
            yield f"value {value_name!r} is no name of a column; write lower-case letters, digits and _."
        yield from _mistakes_of_value(model, value_name, value)
    for place, column in columns:
        if column is not None and model.types and column not in model.types:
            yield f"{place} {column!r} is no column of {model.name}.{did_you_mean(column, model.types)}"


def _mistakes_of_path(group: EventGroup, through: Through, known: Mapping[str, Model]) -> Iterator[str]:
    reached = known.get(through.model)
    if reached is None:
        yield f"through.model {through.model!r} is no model.{did_you_mean(through.model, known)}"
        return
    for column in (*(through.key or through.from_), *(through.to or group.entity)):
        if reached.types and column not in reached.types:
            yield f"through {column!r} is no column of {reached.name}.{did_you_mean(column, reached.types)}"


def _mistakes_of_value(model: Model, name: str, value: EventValue | StateValue) -> Iterator[str]:
    aggregate = getattr(value, "agg", None)
    if aggregate not in (None, "count") and value.of is None:
        yield f"values.{name}.of is missing; {aggregate} needs a column."
    data_type = model.types.get(value.of or "", "")
    if aggregate in NUMERIC and data_type and kind_of(data_type) == "other":
        yield f"values.{name}.of {value.of!r} is {data_type}; {aggregate} needs a number or a boolean."
    if aggregate is None or aggregate in SHOWING:
        if value.of in model.classed:
            yield f"values.{name}.of {value.of!r} is tagged as personal data, which is no feature."
        if (value.of or "").endswith(("_id", "_key")):
            yield f"values.{name}.of {value.of!r} is an identifier, which is no feature; count_distinct counts them."


def _repeated(groups: Iterable[FeatureGroup], known: Mapping[str, Model]) -> Iterator[UsageError]:
    """Yield an error for each feature that a model declares twice."""
    seen: set[tuple[str, str]] = set()
    for group in groups:
        for feature in group.features:
            if (group.model, feature.name) in seen:
                where = f"{known[group.model].file}: {group.model}"
                yield UsageError(f"{where}: the feature {feature.name} is declared twice.", REMEDY)
            seen.add((group.model, feature.name))
