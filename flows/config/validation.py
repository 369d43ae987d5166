"""Parsing of configuration: the base of all models, and pydantic's errors in plain English."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import date, timedelta
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails

from flows.core.errors import UsageError

Parsed = TypeVar("Parsed")
LoadMode = Literal["append", "upsert", "full"]
Text = Annotated[str, StringConstraints(pattern=r"\S")]

SECONDS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}
RENAMED = {"overlap": "lookback"}
"""Keys of earlier versions, and their names now."""

PLAIN_ENGLISH = {
    "missing": "is missing",
    "string_type": "is not text; write it in quotes",
    "string_pattern_mismatch": "is empty",
    "literal_error": "is {found!r}; write {expected}",
    "greater_than_equal": "is {found}; write {ge} or more",
    "int": "is not a whole number; write it without quotes",
    "float": "is not a number",
    "bool": "is neither true nor false",
    "model": "is not a map of names",
    "dict": "is not a map of names",
    "tuple": "is not a list",
}
"""Messages by pydantic's type of error, or its first word. Free text may be a secret, so they show none of it."""


class ConfigModel(BaseModel):
    """A map in a configuration file. A key without a value counts as absent."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _require_known_keys(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        known = [field.alias or name for name, field in cls.model_fields.items()]
        if unknown := [str(key) for key in value if key not in known]:
            hinted = ", ".join(key + suggest_key(key, known) for key in unknown)
            raise ValueError(f"has unknown keys: {hinted}; write one of {', '.join(sorted(known))}")
        return {key: one for key, one in value.items() if one is not None}


class OneOf(ConfigModel):
    """A map with exactly one key of several `kinds`."""

    model_config = ConfigDict(
        json_schema_extra=lambda schema, model: schema.update(oneOf=[{"required": [kind]} for kind in model.kinds])
    )
    kinds: ClassVar[tuple[str, ...]] = ()

    @property
    def kind(self) -> str:
        """The key that it has; empty for the default of an absent map."""
        return next((name for name in self.kinds if getattr(self, name)), "")

    @model_validator(mode="before")
    @classmethod
    def _require_one(cls, value: Any) -> Any:
        if isinstance(value, Mapping):
            found = [name for name in cls.kinds if value.get(name) is not None]
            if len(found) != 1:
                raise ValueError(f"has {' and '.join(found) or 'no kind'}; write one of {', '.join(cls.kinds)}")
        return value


class Span(ConfigModel):
    """A length of time, in dbt's format."""

    count: int
    period: Literal["second", "minute", "hour", "day"]

    @property
    def length(self) -> timedelta:
        """Its length."""
        return timedelta(seconds=self.count * SECONDS[self.period])


def _read_duration(value: Any) -> timedelta:
    try:
        return value if isinstance(value, timedelta) else Span.model_validate(value).length
    except ValidationError:
        periods = ", ".join(SECONDS)
    raise ValueError(f"is {value!r}; write a duration such as {{count: 10, period: day}}, with a period of {periods}")


Duration = Annotated[
    timedelta, BeforeValidator(_read_duration, json_schema_input_type=Span), PlainSerializer(str, when_used="json")
]


def _read_day(value: Any) -> date:
    with suppress(ValueError):
        return value if isinstance(value, date) else date.fromisoformat(str(value))
    raise ValueError(f"is {value!r}; write a day such as 1900-01-01")


Day = Annotated[date, BeforeValidator(_read_day, json_schema_input_type=date)]


def _read_lookback(value: Any) -> timedelta | float:
    if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0:
        return value
    if not isinstance(value, Mapping | timedelta):
        raise ValueError(f"is {value!r}; write a duration such as {{count: 10, period: day}}, or a number")
    length = _read_duration(value)
    if length < timedelta(0):
        raise ValueError("is negative; rows would be passed over")
    return length


Lookback = timedelta | int | float
"""How far before the watermark a source is read again: a time, or a number in the cursor's own units."""

DeclaredLookback = Annotated[
    Lookback,
    BeforeValidator(_read_lookback, json_schema_input_type=Span | float),
    PlainSerializer(str, when_used="json"),
]


def suggest_key(key: str, known: Collection[str], likeness: float = 0.6) -> str:
    """Return a hint at the key that was probably meant; empty if no key is that much alike."""
    if key in RENAMED:
        return f" (it is now called {RENAMED[key]})"
    word = key.casefold().replace("-", "_")
    near = [one for one in known if sorted(one) == sorted(word)] or get_close_matches(word, known, 1, likeness)
    return f" (did you mean {near[0]}?)" if near else ""


def parse(kind: type[Parsed], value: Any, *, subject: str, place: tuple[str, ...] = (), remedy: str) -> Parsed:
    """Return the parsed value; raises UsageError with each mistake and its place, and with no secret."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        mistakes = [
            f"{subject}: {_describe(place, one)}."
            for one in error.errors(include_url=False)
            if one["type"] != "default_factory_not_called"  # it follows from another mistake
        ]
    raise UsageError("\n".join(dict.fromkeys(mistakes)), remedy)


def _describe(place: tuple[str, ...], error: ErrorDetails) -> str:
    """Describe one of pydantic's errors in plain English."""
    where = ".".join(map(str, (*place, *(part for part in error["loc"] if part != "[key]"))))
    kind, context = error["type"], error.get("ctx", {})
    if kind == "value_error":  # raised by a validator of ours
        return f"{where} {context['error']}".strip()
    text = PLAIN_ENGLISH.get(kind) or PLAIN_ENGLISH.get(kind.partition("_")[0]) or error["msg"]
    return f"{where} {text.format(found=error['input'], **context)}".strip()
