"""Schema evolution: stored rows are rewritten for a wider type, and must all fit a narrower one."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import duckdb

from flows.config.contract import Contract
from flows.core.errors import SchemaMismatch
from flows.core.names import folded, identifier
from flows.core.relation import Relation
from flows.lake.casts import Cast, is_nested, lossless_cast
from flows.lake.check import Checked
from flows.lake.raw import RawTable, kept_as, plain, storable
from flows.sources.watermark import FINITE

logger = logging.getLogger(__name__)

SURE_DIGITS = {"tinyint": 2, "smallint": 4, "integer": 9, "bigint": 18, "double": 15, "float": 6}
MOST_DIGITS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}
"""The digits that a type has room for in every whole number, and the digits of its largest whole number."""

FITTED = "fitted_records"

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
    """Return a type's digits before and after the point."""
    if kind.startswith("decimal("):
        width, scale = map(int, kind.removeprefix("decimal(").rstrip(")").split(","))
        return width - scale, scale
    return (whole[kind], 0) if kind in whole else None


def evolve(connection: duckdb.DuckDBPyConnection, raw: RawTable, contract: Contract, *, is_known: bool) -> None:
    """Bring the stored rows to the types of a contract, before anything is read under it.

    A column is rewritten if its type has no room for what the contract allows. Otherwise it stays, and its values must
    fit the narrower type, which was checked before if the contract `is_known`. Raises SchemaMismatch with
    the number of values that do not fit.
    """
    stored, kept = raw.kinds(connection), kept_as(connection, contract.types)
    rewritten = {}
    for column in contract.columns:
        kind = kept[column.name]
        spelling, found = stored.get(column.name.casefold(), (column.name, kind))
        if found == kind or (is_known and holds(found, kind)):
            continue
        cast, rows = lossless_cast(spelling, found, column.data_type), raw.stored([spelling])
        misfits = 0 if holds(kind, found) or rows is None else _misfits(connection, rows, spelling, cast)
        if misfits:
            raise SchemaMismatch(
                str(raw.name),
                f"the contract says that column {column.name!r} is {column.data_type}, and {misfits:,} of its "
                f"stored values do not fit",
                tuple(f"{name} {of.lower()}" for name, of in stored.values()),
                f"Keep {found.lower()} in the contract. Or take the source's rows alone: "
                f"python -m flows reload {raw.name} --afresh",
            )
        if not holds(found, kind):
            rewritten[spelling] = f"cast({cast.typed} as {kind})"
            logger.info("%s: column %s becomes %s", raw.name, spelling, column.data_type)
    if rewritten:
        raw.rewrite(connection, rewritten)


def fit_extras(raw: RawTable, contract: Contract, checked: Checked) -> Checked:
    """Give each extra column one type in checked records and in the table, widening the one that has less room.

    Raises SchemaMismatch if one differs by its Unicode form alone from another column.
    """
    records, connection = checked.records, checked.records.connection
    stored = raw.kinds(connection)
    _require_apart(raw, [*contract.types, *(spelling for spelling, _ in stored.values())], checked.extras)
    rewritten, retyped = {}, []
    for name in checked.extras:
        found = records.types[name]
        kind = "VARCHAR" if _has_odd_dates(records, name) else storable(found)
        spelling, wanted = stored.get(name.casefold(), (name, kind))
        cast = lossless_cast(name, found, wanted.lower())
        if not holds(wanted, kind) and _misfits(connection, f"{records} where _reasons is null", name, cast):
            wanted = kind if holds(kind, wanted) else "VARCHAR"
            rewritten[spelling] = f"cast({identifier(spelling)} as {wanted})"
            cast = lossless_cast(name, found, wanted.lower())
            logger.info("%s: extra column %s becomes %s", raw.name, spelling, wanted.lower())
        if found != wanted:
            typed = plain(name, found) if wanted == "VARCHAR" else cast.typed
            retyped.append(f"cast({typed} as {wanted}) as {identifier(name)}")
    if rewritten:
        raw.rewrite(connection, rewritten)
    if not retyped:
        return checked
    query = f"select * replace ({', '.join(retyped)}) from {records}"
    return replace(checked, records=Relation.table(connection, FITTED, query))


def _has_odd_dates(records: Relation, name: str) -> bool:
    """Tell whether a column holds infinity, or years that the files of the lake have no dates for."""
    is_ours = FINITE.get(records.types[name], "true").format(identifier(name))
    return is_ours != "true" and records.count(f"_reasons is null and not ({is_ours})") > 0


def _require_apart(raw: RawTable, known: Sequence[str], extras: Sequence[str]) -> None:
    spelled = {folded(name): name for name in known}
    for name in extras:
        other = spelled.get(folded(name), name)
        if other.casefold() != name.casefold():
            raise SchemaMismatch(
                str(raw.name),
                f"columns must differ by more than Unicode form, but {other!r} and {name!r} do not",
                tuple(extras),
                "Rename it in the source, or map it.",
            )


def _misfits(connection: duckdb.DuckDBPyConnection, rows: str, name: str, cast: Cast) -> int:
    """Count the values of a column that a cast would lose."""
    is_lost = f"{cast.typed} is null or not coalesce({cast.is_lossless}, false)"
    sql = f"select count(*) from (from {rows}) where {identifier(name)} is not null and ({is_lost})"
    return int(connection.execute(sql).fetchall()[0][0])
