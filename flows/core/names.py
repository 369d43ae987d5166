"""Names that the packages share."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches


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


def folded(name: str) -> str:
    """Return what a name has in common with those that only case or Unicode form tell from it."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def identifier(name: str) -> str:
    """Quote a name for SQL; any character may be in it."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a text for SQL; any character may be in it."""
    return "'" + text.replace("'", "''") + "'"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a question for the known name that was probably meant, with a space before it; empty if none is alike.

    A name without its schema or source may stand for the whole: custmers for crm.customers.
    """
    whole = {one.casefold(): one for one in known}
    last = {one.rpartition(".")[2]: whole[one] for one in whole}
    for names in (whole, last):
        if found := get_close_matches(name.casefold(), names, 1):
            return f" Did you mean {names[found[0]]}?"
    return ""
