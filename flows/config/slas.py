"""The promise of an exposure: `config.meta.sla: {fresh_within: 26h}`."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator

from flows.config.contract import meta_of
from flows.config.validation import ConfigModel, parse, suggest_key
from flows.core.errors import UsageError, join_usage_errors

SLA = "sla"
UNITS = {"m": 60, "h": 3_600, "d": 86_400}
MISSPELT = 0.75
REMEDY = "Write config.meta.sla: {fresh_within: 26h}, or leave it out; CONTRIBUTING.md, «Promise freshness», says more."


def _read_length(value: Any) -> timedelta:
    found = re.fullmatch(r"\s*([1-9]\d{0,4})\s*([mhd])\s*", str(value))
    if isinstance(value, timedelta):
        return value
    if found is None:
        raise ValueError(f"is {value!r}; write a number and a unit of {', '.join(UNITS)}, such as 26h")
    return timedelta(seconds=int(found[1]) * UNITS[found[2]])


class Sla(ConfigModel):
    """The promise that a run has brought the exposure's tables up to date within a length of time."""

    fresh_within: Annotated[timedelta, BeforeValidator(_read_length)]


def read_slas(exposures: Iterable[Mapping[str, Any]]) -> dict[str, Sla]:
    """Return the promises of exposures by their names, as a manifest holds them; raises UsageError for all mistakes."""
    found: dict[str, Sla] = {}
    errors = []
    for exposure in exposures:
        subject = f"{exposure.get('original_file_path', 'the project')}: exposure {exposure['name']}"
        meta = meta_of(exposure)
        try:
            for word in meta.keys() - {SLA}:
                if hint := suggest_key(str(word), (SLA,), MISSPELT):
                    raise UsageError(f"{subject}: config.meta has the key {word}{hint}.", REMEDY)
            if SLA in meta:
                found[exposure["name"]] = parse(
                    Sla, meta[SLA], subject=subject, place=("config.meta.sla",), remedy=REMEDY
                )
        except UsageError as error:
            errors.append(error)
    if errors:
        raise join_usage_errors(errors)
    return found
