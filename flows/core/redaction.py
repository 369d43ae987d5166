"""Redaction: errors without the data that they quote, texts without secrets."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

_secrets: set[str] = set()


HARMLESS = re.compile(
    r"(Binder|Catalog|Parser) Error: [^\n]*(\s+(Candidate bindings|Did you mean)[^\n]*)?"
    r"|(IO|Out of Memory) Error: [^\n]*|Corrupt database file: [^\n]*"
    r"|Constraint Error: (NOT NULL constraint failed: [\w.]+|CHECK constraint failed on table \w+)"
    r"|Compilation Error[^\n]*\n[^\n]*"
)
"""Errors of DuckDB and dbt that hold names and rules alone. Every other error may quote a value."""


def without_values(error: object) -> str:
    """Return the part of an error that names columns, rules and models; of any other, only its kind."""
    message = str(error)
    if found := HARMLESS.search(message):
        return scrub(" ".join(found[0].split()))
    kind = re.search(r"(\w+ Error|\w+Exception)(?=:)", message.replace("Runtime Error in", ""))
    unnamed = "an error" if isinstance(error, str) else type(error).__name__
    return f"{kind[0] if kind else unnamed} on a value, which is not shown"


def remember_secret(value: str) -> None:
    """Have `scrub` hide a value from now on, in every form that URLs and messages write it in."""
    if len(value) >= 4:  # a shorter one is part of many words, and no secret
        for form in (value, value.strip()):
            _secrets.update({form, repr(form)[1:-1], quote(form, safe=""), quote(form), unquote(form)})


def scrub_values(value: Any) -> Any:
    """Hide secrets in the texts of a structure of JSON; its keys are names, and stay."""
    if isinstance(value, Mapping):
        return {key: scrub_values(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [scrub_values(one) for one in value]
    return scrub(value) if isinstance(value, str) else value


def scrub(text: str) -> str:
    """Hide every secret that was read from the environment, and passwords within URLs."""
    for secret in sorted(filter(None, _secrets), key=len, reverse=True):
        text = text.replace(secret, "***")
    return re.sub(r"(?<=://)[^/\s:@]*:[^/\s@]*(?=@)", "***", text)
