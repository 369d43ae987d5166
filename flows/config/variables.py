"""The variables of a set: a team's own values for what dbt_project.yml declares under `vars`."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from flows.config.settings import PROJECT
from flows.config.validation import suggest_key
from flows.core.errors import UsageError

KEY = "vars"
"""The key of a set that holds them, beside its sources."""

REMEDY = "dbt_project.yml lists the vars under `vars`, each with its default."


def parse_variables(value: Any, place: str) -> Mapping[str, Any]:
    """Return a set's own variables by name; raises UsageError for an unknown one and for a value of another kind."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise UsageError(f"{place} is not a map of names.", REMEDY)
    defaults = declared_variables()
    for name, own in value.items():
        if name not in defaults:
            hint = suggest_key(str(name), list(defaults))
            raise UsageError(f"{place} has {name}{hint}, which is no var of the project.", REMEDY)
        expected = _kind(defaults[name])
        if _kind(own) != expected:
            raise UsageError(f"{place}.{name} is {_kind(own)}, and must be {expected}.", REMEDY)
    return dict(value)


@cache
def declared_variables() -> Mapping[str, Any]:
    """Return the project's vars with their defaults."""
    declared: Mapping[str, Any] = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    return declared


def _kind(value: Any) -> str:
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a map"}
    return kinds.get(type(value), "empty")
