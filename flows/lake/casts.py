"""Casts that lose nothing: for a column's expression and types, the typed value and whether it is the same value."""

import re
from dataclasses import dataclass

import duckdb

from flows.names import identifier

INTEGERS = {
    "tinyint",
    "smallint",
    "integer",
    "int",
    "bigint",
    "hugeint",
    "utinyint",
    "usmallint",
    "uinteger",
    "ubigint",
}
FLOATS = {"double", "float", "real"}
TEXTS = {"varchar", "text", "string"}
BOOLEANS = {"boolean", "bool"}
TIMES = {"timestamp", "datetime", "timestamp without time zone"}

CLOCK_CHANGES = "clock_changes"
"""The variable with a bit a day, from 1900 to 2100 in UTC: whether the clocks of the session's time zone were changed
about that day, or will be."""

DAYS = 73_049
"""How many days that is."""


@dataclass(frozen=True)
class Cast:
    """SQL for a typed value, and for whether nothing was lost; the value is null where it cannot be had.

    `is_unclear` is SQL for whether a local time never was or was twice, because clocks were changed.
    """

    typed: str
    is_lossless: str
    is_unclear: str | None = None


def note_clock_changes(connection: duckdb.DuckDBPyConnection) -> bool:
    """Note, once a connection, about which days the clocks of its time zone change; tell whether there are any."""
    noted = f"select bit_count(getvariable('{CLOCK_CHANGES}'))"
    if connection.execute(noted).fetchall() == [(None,)]:
        connection.execute(
            f"set variable {CLOCK_CHANGES} = (select coalesce(bitstring_agg(day + near, 0, {DAYS}), '0'::bit) from ("
            "select day, timestamptz '1900-01-01 00:00:00+00' + to_hours(24 * day) as midnight "
            f"from range(1, {DAYS}) as days (day)), (values (-1), (0), (1)) as days_near (near) "
            "where cast(midnight + interval 24 hours as timestamp) - cast(midnight as timestamp) <> interval 24 hours)"
        )
    return connection.execute(noted).fetchall() != [(0,)]


def lossless_cast(name: str, found: str, wanted: str, *, clock_changes: bool = False) -> Cast:
    """Say how a column of the type found becomes the type wanted.

    DuckDB's try_cast alone rounds 3.7 to 4, cuts 1.23456 to four digits and drops a timestamp's offset; here such a
    value is not lossless. Naive times are taken in the session's time zone, and become UTC; with `clock_changes`, those
    that this zone does not have, or has twice, are looked for.
    """
    value, found = identifier(name), found.lower()
    typed = f"try_cast({value} as {wanted})"
    if wanted in TEXTS:
        nested = found.startswith(("struct", "map")) or found.endswith("]")
        return Cast(f"cast(to_json({value}) as varchar)" if nested else f"cast({value} as varchar)", "true")
    if wanted in TIMES:
        typed = f"timezone('UTC', try_cast({value} as timestamptz))"
        is_lossless = f"{_is_of_our_era(typed, 'timestamp')}{_is_of_microseconds(value, found)}"
        return Cast(typed, is_lossless, _is_unclear(value, typed, found) if clock_changes else None)
    if wanted in INTEGERS and found in TEXTS:
        exact = f"try_cast({value} as decimal(38, 10)) = {typed}"
        return Cast(typed, f"(not regexp_matches({value}, '[.eE]') or coalesce({exact}, false))")
    if wanted in INTEGERS:
        return Cast(typed, "true" if found in INTEGERS else f"{value} = {typed}")
    if wanted.startswith(("decimal", "numeric")) and found in TEXTS:
        return Cast(typed, _text_fits_decimal(value, typed, wanted))
    if wanted.startswith(("decimal", "numeric")):
        same = f"cast({typed} as double) = {value}" if found in FLOATS else f"{typed} = {value}"
        return Cast(typed, same)
    if wanted in FLOATS:
        return Cast(typed, f"isfinite({typed}){_is_exact_if_whole(value, typed, found)}")
    if wanted in BOOLEANS and found not in (*TEXTS, *BOOLEANS):
        return Cast(typed, f"try_cast({value} as double) in (0, 1)")
    if wanted == "date" and found != "date":
        moment = f"try_cast({value} as timestamp)"
        return Cast(typed, f"({_is_of_our_era(typed, 'date')} and cast({typed} as timestamp) = {moment})")
    return Cast(typed, _is_of_our_era(typed, "date") if wanted == "date" else "true")


def _is_of_our_era(typed: str, kind: str) -> str:
    """Refuse infinity, and years that Python, pandas and most databases have no date for."""
    last = "9999-12-31 23:59:59.999999" if kind == "timestamp" else "9999-12-31"
    return f"{typed} between {kind} '0001-01-01' and {kind} '{last}'"


def _is_unclear(value: str, typed: str, found: str) -> str | None:
    """Find local times that no moment has, or two have: of the offsets before and behind a change not just one fits.

    All that is not near a change is passed by its day; what bears an offset, or no time of day, is clear.
    """
    is_text = found in TEXTS
    if not is_text and (not found.startswith("timestamp") or "time zone" in found):
        return None
    local = f"try_cast({value} as timestamp)"
    day = f"greatest(0, least({DAYS}, date_diff('day', date '1900-01-01', cast({typed} as date))))::integer"
    before, behind = (
        f"(cast({moment} as timestamp) - timezone('UTC', {moment}))"
        for moment in (f"(timezone('UTC', {typed}) {sign} interval 24 hours)" for sign in "-+")
    )
    fits = [f"(cast(timezone('UTC', {local} - {offset}) as timestamp) = {local})" for offset in (before, behind)]
    is_local = f"contains({value}, ':') and not regexp_matches({value}, ':.*[-+A-Za-z]')" if is_text else "true"
    return (
        f"case when get_bit(getvariable('{CLOCK_CHANGES}'), {day}) = 1 then "
        f"case when {is_local} then {before} <> {behind} and {fits[0]} = {fits[1]} end end"
    )


def _is_of_microseconds(value: str, found: str) -> str:
    """Refuse the digits of a second that a timestamp has no room for."""
    if found in TEXTS:
        return f" and not regexp_matches({value}, '[.][0-9]{{6}}[0-9]*[1-9]')"
    return f" and epoch_ns({value}) % 1000 = 0" if found == "timestamp_ns" else ""


def _is_exact_if_whole(value: str, typed: str, found: str) -> str:
    """Refuse whole numbers that a float would round, such as 2^53 + 1."""
    same = f"try_cast({typed} as hugeint) is not distinct from try_cast({value} as hugeint)"
    if found in TEXTS:
        return f" and (not regexp_full_match(trim({value}), '[+-]?[0-9]{{7,}}') or {same})"
    return f" and {same}" if found in INTEGERS else ""


def _text_fits_decimal(value: str, typed: str, wanted: str) -> str:
    """Count the digits behind the point as they are written: a wider cast would round those that it does not hold."""
    scale = int(match[1]) if (match := re.search(r",\s*(\d+)\s*\)", wanted)) else 0
    digits = f"length(rtrim(split_part(trim({value}), '.', 2), '0'))"
    scientific = f"cast({typed} as double) = try_cast({value} as double)"
    return f"case when regexp_matches({value}, '[eE]') then {scientific} else {digits} <= {scale} end"
