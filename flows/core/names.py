"""Names that the packages share."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any


@dataclass(frozen=True, order=True)
class TableName:
    """A source table by its dbt names, such as `crm.customers`."""

    source: str
    table: str

    @classmethod
    def parse(cls, text: str) -> "TableName":
        """Read `source.table`; raises ValueError if it is anything else."""
        source, dot, table = text.partition(".")
        if not (source and dot and table) or "." in table:
            raise ValueError(f"{text!r} is no source table; it is written source.table")
        return cls(source, table)

    def __str__(self) -> str:
        return f"{self.source}.{self.table}"


PERIODS = {"second": 1, "minute": 60, "hour": 3_600, "day": 86_400}


def duration(entry: Mapping[str, Any]) -> timedelta:
    """Read a duration as dbt writes it, `{count: 10, period: day}`; raises ValueError if it is no duration."""
    try:
        return timedelta(seconds=int(entry["count"]) * PERIODS[entry["period"]])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{entry!r} is no duration; write {{count: 10, period: {' or '.join(PERIODS)}}}") from None


def folded(name: str) -> str:
    """Return what a name has in common with those that only case or Unicode form tell from it."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def identifier(name: str) -> str:
    """Quote a name for SQL; any character may be in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL; any character may be in it."""
    return "'" + text.replace("'", "''") + "'"
