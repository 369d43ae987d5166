"""Columns that a mapping names and that no record of a batch has: they are null, unless the mapping needs them."""

import re
from collections.abc import Callable
from typing import TypeVar

import duckdb

from flows.core.names import identifier
from flows.core.relation import Relation

COMPLETED = "completed_records"
NOT_FOUND = re.compile(
    r'Referenced (?:column|table) "?(?P<one>.+?)"? not found|does not have a column named "(?P<other>[^"]+)"'
)
"""DuckDB's errors for a column that it does not find; it takes a field of such a column for a table's column."""

Bound = TypeVar("Bound")


def bind_with_nulls(records: Relation, bind: Callable[[Relation], Bound]) -> tuple[Bound, Relation, tuple[str, ...]]:
    """Return what a mapping gives, with the records that it reads and the names of the columns that they lack.

    An API leaves a field out if it has no value, and an old file has no column that came later. Such a column is null
    and has no type, so that every expression takes it. Raises duckdb.BinderException for any other fault.
    """
    absent: list[str] = []
    completed = records
    while True:
        try:
            return bind(completed), completed, tuple(absent)
        except duckdb.BinderException as error:
            found = NOT_FOUND.search(str(error))
            name = (found["one"] or found["other"]) if found else None
            if name is None or name.casefold() in map(str.casefold, (*absent, *records.types)):
                raise
            absent.append(name)
            nulls = "".join(f", null as {identifier(one)}" for one in absent)
            completed = Relation.view(records.connection, COMPLETED, f"select *{nulls} from {records}")
