"""What may be shown of a database's error: names and rules, never the data that it quotes."""

import re

from flows.settings import scrub

HARMLESS = re.compile(
    r"(Binder|Catalog|Parser) Error: [^\n]*(\s+(Candidate bindings|Did you mean)[^\n]*)?"
    r"|(IO|Out of Memory) Error: [^\n]*|Corrupt database file: [^\n]*"
    r"|Constraint Error: (NOT NULL constraint failed: [\w.]+|CHECK constraint failed on table \w+)"
    r"|Compilation Error[^\n]*\n[^\n]*"
)
"""What DuckDB or dbt says of names and rules alone. All else may quote a value, in forms too many to list."""


def without_values(error: object) -> str:
    """Return the part of an error that names columns, rules and models; of any other, only its kind."""
    message = str(error)
    if found := HARMLESS.search(message):
        return scrub(" ".join(found[0].split()))
    kind = re.search(r"(\w+ Error|\w+Exception)(?=:)", message.replace("Runtime Error in", ""))
    unnamed = "an error" if isinstance(error, str) else type(error).__name__
    return f"{kind[0] if kind else unnamed} on a value, which is not shown"
