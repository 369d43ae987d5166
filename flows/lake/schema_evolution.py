"""Columns whose type changes: stored rows are widened by a rewrite, or must all fit the narrower type."""

import logging
from collections.abc import Sequence

import duckdb

from flows.config.contract import Contract
from flows.core.errors import SchemaMismatch
from flows.core.names import folded, identifier
from flows.lake.casts import is_nested, lossless_cast
from flows.lake.check import CHECKED, replace_checked
from flows.lake.tables import LakeTable, kept_as, plain, storable

logger = logging.getLogger(__name__)

SURE_DIGITS = {"tinyint": 2, "smallint": 4, "integer": 9, "bigint": 18, "double": 15, "float": 6}
MOST_DIGITS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}
"""How many digits of a whole number every value of a type may have, and how many the largest one has."""

WIDER = (("tinyint", "smallint", "integer", "bigint"), ("float", "double"), ("date", "timestamp"))


def holds(kind: str, other: str) -> bool:
    """Tell whether a type has room for every value of another, both in DuckDB's spelling."""
    kind, other = kind.lower(), other.lower()
    if kind == other or other == '"null"':
        return True
    if kind == "varchar":
        return not is_nested(other)
    for row in WIDER:
        if kind in row and other in row:
            return row.index(kind) > row.index(other)
    room, needed = _digits(kind, SURE_DIGITS), _digits(other, MOST_DIGITS)
    if room is None or needed is None:
        return False
    if kind in ("double", "float"):
        return sum(room) >= sum(needed)
    return room[0] >= needed[0] and room[1] >= needed[1]


def _digits(kind: str, whole: dict[str, int]) -> tuple[int, int] | None:
    """Return a type's digits before and behind the point."""
    if kind.startswith("decimal("):
        width, scale = map(int, kind.removeprefix("decimal(").rstrip(")").split(","))
        return width - scale, scale
    return (whole[kind], 0) if kind in whole else None


def evolve(connection: duckdb.DuckDBPyConnection, table: LakeTable, contract: Contract, *, is_known: bool) -> None:
    """Bring the stored rows to the types of a contract, before anything is read under it.

    A column is rewritten if its type has no room for what the contract allows. If it has, it stays as it is stored:
    its values must fit the narrower type, which was seen before if the contract `is_known`. Raises SchemaMismatch with
    the number of values that do not fit.
    """
    stored = table.kinds(connection)
    rewritten = {}
    for column in contract.columns:
        kind = kept_as(connection, column.data_type)
        spelling, found = stored.get(column.name.casefold(), (column.name, kind))
        if found == kind or (is_known and holds(found, kind)):
            continue
        cast = lossless_cast(spelling, found, column.data_type)
        if not holds(kind, found):
            misfits = _misfits(connection, table.stored([spelling]), spelling, cast.typed, cast.is_lossless)
            if misfits:
                raise SchemaMismatch(
                    str(table.name),
                    f"the contract says that column {column.name!r} is {column.data_type}, and {misfits:,} of its "
                    f"stored values do not fit",
                    tuple(f"{name} {of.lower()}" for name, of in stored.values()),
                    f"Keep {found.lower()} in the contract, or move {table.raw_path} away to load the table anew.",
                )
        if not holds(found, kind):
            rewritten[spelling] = f"cast({cast.typed} as {kind})"
            logger.info("%s: column %s becomes %s", table.name, spelling, column.data_type)
    if rewritten:
        table.rewrite(connection, rewritten)


def fit_extras(
    connection: duckdb.DuckDBPyConnection, table: LakeTable, contract: Contract, extras: Sequence[str]
) -> None:
    """Give each extra column one type in the relation `checked` and in the table, widening whichever has less room.

    Raises SchemaMismatch if one differs by its Unicode form alone from a column that is known.
    """
    stored = table.kinds(connection)
    _require_apart(table, [*contract.types, *(spelling for spelling, _ in stored.values())], extras)
    kinds = {name: kind for name, kind, *_ in connection.execute(f"describe {CHECKED}").fetchall()}
    rewritten = {}
    for name in extras:
        kind = storable(kinds[name])
        spelling, wanted = stored.get(name.casefold(), (name, kind))
        cast = lossless_cast(name, kinds[name], wanted.lower())
        if not holds(wanted, kind) and _misfits(connection, CHECKED, name, cast.typed, cast.is_lossless):
            wanted = kind if holds(kind, wanted) else "VARCHAR"
            rewritten[spelling] = f"cast({identifier(spelling)} as {wanted})"
            cast = lossless_cast(name, kinds[name], wanted.lower())
            logger.info("%s: extra column %s becomes %s", table.name, spelling, wanted.lower())
        if kinds[name] != wanted:
            typed = plain(name, kinds[name]) if wanted == "VARCHAR" else cast.typed
            retyped = f"cast({typed} as {wanted}) as {identifier(name)}"
            replace_checked(connection, f"select * replace ({retyped}) from {CHECKED}")
    if rewritten:
        table.rewrite(connection, rewritten)


def _require_apart(table: LakeTable, known: Sequence[str], extras: Sequence[str]) -> None:
    spelled = {folded(name): name for name in known}
    for name in extras:
        other = spelled.get(folded(name), name)
        if other.casefold() != name.casefold():
            raise SchemaMismatch(
                str(table.name),
                f"columns must differ by more than Unicode form, but {other!r} and {name!r} do not",
                tuple(extras),
                "Rename it in the source, or map it in connections.yml.",
            )


def _misfits(
    connection: duckdb.DuckDBPyConnection, relation: str | None, name: str, typed: str, is_lossless: str
) -> int:
    """Count the values of a column that a cast would lose; rejected records are not stored, and do not count."""
    if relation is None:
        return 0
    passed = "_reasons is null and " if relation == CHECKED else ""
    rows = connection.execute(
        f"select count(*) from {relation} where {passed}{identifier(name)} is not null "
        f"and ({typed} is null or not coalesce({is_lossless}, false))"
    ).fetchall()
    return int(rows[0][0])
