"""A gate on the SQL itself: what is kept while nothing changes must not depend on the time or on chance.

A model that means it says so: `config.meta.volatile`, with the reason. It is then built in every run.
"""

import re
from collections.abc import Iterable
from typing import Any

from flows.core.errors import Finding, GateFailed

FUNCTIONS = (
    "now|random|setseed|uuid|uuidv4|uuidv7|gen_random_uuid|today|current_date|current_time|current_timestamp|"
    "get_current_time|get_current_timestamp|localtime|localtimestamp|current_localtime|current_localtimestamp|"
    "transaction_timestamp|nextval|txid_current|current_query"
)
WORDS = "current_date|current_time|current_timestamp|localtime|localtimestamp"
CALL = re.compile(rf"(?<![\w.\"])(?:({FUNCTIONS})\s*\(|({WORDS})\b)", re.IGNORECASE)
NO_CODE = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
SAMPLE = re.compile(r"\b(?:using\s+sample|tablesample)\b", re.IGNORECASE)


def is_volatile(node: Any) -> bool:
    """Tell whether a node declares that its rows depend on more than code and inputs."""
    return bool(node.config.meta.get("volatile"))


def require_no_volatile_sql(nodes: Iterable[Any]) -> None:
    """Require that nodes, as they were compiled, call nothing volatile, unless they declare it; raises GateFailed."""
    findings = []
    for node in nodes:
        calls = find_volatile(getattr(node, "compiled_code", None) or "")
        if calls and not is_volatile(node):
            findings.append(Finding(node.name, f"its SQL calls {', '.join(calls)}, so its rows change by themselves"))
    if findings:
        raise GateFailed(
            "build",
            tuple(findings),
            "Take the time from the data, or declare the reason in the model's YAML: config.meta.volatile.",
        )


def find_volatile(sql: str) -> list[str]:
    """Return the volatile functions and samples in SQL, outside of comments and texts."""
    code = NO_CODE.sub(" ", sql)
    found = {(call[1] or call[2]).lower() for call in CALL.finditer(code)}
    return sorted(found | {"a sample" for _ in SAMPLE.finditer(code)})
