"""Casts that lose nothing: for a column's expression and types, the typed value and whether it is the same value."""

import re
from dataclasses import dataclass

import duckdb

from flows.core.names import identifier

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

DST_TRANSITIONS = "dst_transitions"
"""The variable with a bit a day, from 1900 to 2100 in UTC: whether the clocks of the session's time zone change near
that day."""

DAYS = 73_049
"""The number of these days."""


@dataclass(frozen=True)
class Cast:
    """SQL for a typed value, null if it cannot be cast, and SQL for whether the cast lost nothing."""

    typed: str
    is_lossless: str


def lossless_cast(name: str, found: str, wanted: str) -> Cast:
    """Return the cast of a column from the type found to the type wanted.

    DuckDB's try_cast alone rounds 3.7 to 4, cuts 1.23456 to four digits and drops a timestamp's offset; here such a
    cast is not lossless. Naive times are read in the session's time zone, and become UTC.
    """
    value, found = identifier(name), found.lower()
    typed = f"try_cast({value} as {wanted})"
    if wanted in TEXTS and found == "blob":
        decoded = f"try(decode({value}))"  # a cast would write bytes as escapes
        return Cast(decoded, f"{decoded} is not null")
    if wanted in TEXTS:
        return Cast(f"cast(to_json({value}) as varchar)" if is_nested(found) else f"cast({value} as varchar)", "true")
    if is_nested(wanted):
        return _nested(value, found, wanted)
    if wanted in TIMES:
        typed = _in_utc(value, found)
        return Cast(typed, f"{_is_of_our_era(typed, 'timestamp')}{_is_of_microseconds(value, found)}")
    if wanted in INTEGERS and found in TEXTS:
        exact = f"try_cast({value} as decimal(38, 10)) = {typed}"
        return Cast(typed, f"case when {_has_any(value, '.eE')} then {exact} else true end")
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
    """Return SQL that is false for infinity, and for years that Python and most databases have no date for."""
    last = "9999-12-31 23:59:59.999999" if kind == "timestamp" else "9999-12-31"
    return f"{typed} between {kind} '0001-01-01' and {kind} '{last}'"


def _in_utc(value: str, found: str) -> str:
    """Return SQL for a time in UTC; the calendar, which is slow, is used only for zones and offsets."""
    by_calendar = f"timezone('UTC', try_cast({value} as timestamptz))"
    is_plain = "current_setting('TimeZone') = 'UTC'"
    if found in TEXTS:
        is_naive = f"strlen({value}) = 19 and substr({value}, 16, 2) similar to '[0-9]:'"
        is_utc = f"ends_with({value}, 'Z') and substr({value}, -2, 1) between '0' and '9'"  # NZ is a zone
        is_plain = f"({is_utc}) or ({is_plain} and {is_naive})"
    elif found != "timestamp":
        return by_calendar
    return f"case when {is_plain} then try_cast({value} as timestamp) else {by_calendar} end"


def is_nested(kind: str) -> bool:
    """Tell whether a DuckDB type has parts of other types."""
    return kind.lower().startswith(("struct", "map")) or kind.endswith("]")


def _nested(value: str, found: str, wanted: str) -> Cast:
    """Compare every part of a nested value: a cast alone makes null of the parts that do not fit."""
    if found == wanted:
        return Cast(value, "true")
    given = f"try_cast({value} as json)" if found in TEXTS else f"to_json({value})"
    typed = f"try_cast({given} as {wanted})"
    return Cast(typed, f"json_contains(to_json({typed}), {given})")


def _is_of_microseconds(value: str, found: str) -> str:
    """Return SQL that is false for digits of a second that a timestamp has no room for."""
    if found in TEXTS:
        too_fine = f"regexp_matches({value}, '[.][0-9]{{6}}[0-9]*[1-9]')"
        return f" and case when contains({value}, '.') then not {too_fine} else true end"
    return f" and epoch_ns({value}) % 1000 = 0" if found in ("timestamp_ns", "timestamptz_ns") else ""


def _is_exact_if_whole(value: str, typed: str, found: str) -> str:
    """Return SQL that is false for whole numbers that a float would round, such as 2^53 + 1."""
    same = f"try_cast({typed} as hugeint) is not distinct from try_cast({value} as hugeint)"
    if found in TEXTS:
        return f" and (not regexp_full_match(trim({value}), '[+-]?[0-9]{{7,}}') or {same})"
    return f" and {same}" if found in INTEGERS else ""


def _text_fits_decimal(value: str, typed: str, wanted: str) -> str:
    """Count the digits after the point as they are written: a cast would round those that it has no room for."""
    scale = int(match[1]) if (match := re.search(r",\s*(\d+)\s*\)", wanted)) else 0
    written = f"strpos({value}, '.') = 0 or length({value}) - strpos({value}, '.') <= {scale}"
    digits = f"length(rtrim(split_part(trim({value}), '.', 2), '0'))"
    scientific = f"cast({typed} as double) = try_cast({value} as double)"
    return f"case when {_has_any(value, 'eE')} then {scientific} when {written} then true else {digits} <= {scale} end"


def _has_any(value: str, signs: str) -> str:
    """Look for single characters, which is faster than a regular expression on every record."""
    return "(" + " or ".join(f"contains({value}, '{sign}')" for sign in signs) + ")"


def record_dst_transitions(connection: duckdb.DuckDBPyConnection) -> bool:
    """Record, once a connection, near which days the clocks of its time zone change; tell whether there are any."""
    recorded = f"select bit_count(getvariable('{DST_TRANSITIONS}'))"
    if connection.execute(recorded).fetchall() == [(None,)]:
        connection.execute(
            f"set variable {DST_TRANSITIONS} = (select coalesce(bitstring_agg(day + near, 0, {DAYS}), '0'::bit) from ("
            "select day, timestamptz '1900-01-01 00:00:00+00' + to_hours(24 * day) as midnight "
            f"from range(1, {DAYS}) as days (day)), (values (-1), (0), (1)) as days_near (near) "
            "where cast(midnight + interval 24 hours as timestamp) - cast(midnight as timestamp) <> interval 24 hours)"
        )
    return connection.execute(recorded).fetchall() != [(0,)]


def ambiguous_local_time(name: str, typed: str, found: str) -> str | None:
    """Return SQL for whether a local time was skipped or repeated by a DST change; None if no value can be.

    A time is clear if its day is not near a change, or if it has an offset or no time of day. Another one is clear if
    only one of the offsets before and after the change fits it.
    """
    value, typed, found = identifier(name), identifier(typed), found.lower()
    has_zone = "time zone" in found or found.startswith("timestamptz")
    if found not in TEXTS and (not found.startswith("timestamp") or has_zone):
        return None
    local = f"try_cast({value} as timestamp)"
    day = f"greatest(0, least({DAYS}, date_diff('day', date '1900-01-01', cast({typed} as date))))::integer"
    before, after = (
        f"(cast({moment} as timestamp) - timezone('UTC', {moment}))"
        for moment in (f"(timezone('UTC', {typed}) {sign} interval 24 hours)" for sign in "-+")
    )
    fits = [f"(cast(timezone('UTC', {local} - {offset}) as timestamp) = {local})" for offset in (before, after)]
    has_offset = (
        f"not contains({value}, ':') or regexp_matches({value}, ':.*[-+A-Za-z]')" if found in TEXTS else "false"
    )
    return (
        f"case when get_bit(getvariable('{DST_TRANSITIONS}'), {day}) = 0 or {has_offset} then false "
        f"else {before} <> {after} and {fits[0]} = {fits[1]} end"
    )
