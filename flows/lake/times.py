"""Times: which texts are read as times, how local times become UTC, and which of them are no single moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import duckdb

from flows.config.contract import Column, Contract
from flows.core.names import identifier, literal

TEXTS = {"varchar", "text", "string"}
NUMBERS = ("tinyint", "smallint", "int", "bigint", "hugeint", "uint", "ubigint", "double", "float", "real", "decimal")
ZONED = "timestamp with time zone"
TIMES = {"timestamp", "datetime", "timestamp without time zone", ZONED}

ISO_8601 = (
    r"\s*[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}"
    r"([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?"
    r"(Z| ?UTC| ?GMT|[+-](0[0-9]|1[0-5])(:?[0-5][0-9]){0,2})?)?\s*"
)
"""The texts that have one meaning everywhere: a year of four digits first, and an offset, UTC or nothing last.

EST, IST and CST are zones of several countries. DuckDB's cast reads them all, and 1/2/24 as a day of the year 1.
"""

USUAL_TIMES = tuple(f"____-__-_____:__:__{rest}" for rest in ("", "Z", ".___Z", ".______Z"))
USUAL_DAYS = ("____-__-__",)
"""Patterns of texts that are ISO 8601 if a cast reads them as well."""

DST_TRANSITIONS = "dst_transitions"
"""The variable with a bit a day, from 1900 to 2100 in UTC: whether the clocks of the session's time zone change near
that day."""

DAYS = 73_049
"""The number of these days."""


def times_of_events(contract: Contract) -> list[Column]:
    """Return the columns that say when something has happened: those declared so, and a cursor of times."""
    return [
        column
        for column in contract.columns
        if (column.has_happened or column.name == contract.cursor) and column.data_type in (*TIMES, "date")
    ]


def is_iso_8601(value: str, usual: Sequence[str]) -> str:
    """Return SQL for whether a text is one of ISO_8601; LIKE patterns of the usual ones are faster than the regex."""
    return f"case when {_is_like(value, usual)} then true else regexp_full_match({value}, {literal(ISO_8601)}) end"


def _is_like(value: str, patterns: Sequence[str]) -> str:
    """Return SQL for the form of a text; its first character is a digit, since a cast would skip spaces."""
    alternatives = " or ".join(f"{value} like '{pattern}'" for pattern in patterns)
    return f"({value} between '0' and ':' and ({alternatives}))"


def is_of_our_era(typed: str, kind: str) -> str:
    """Return SQL that is false for infinity, and for years that Python and most databases have no date for."""
    last = "9999-12-31" if kind == "date" else "9999-12-31 23:59:59.999999"
    zone = "+00" if kind == ZONED else ""
    first = f"0001-01-01 00:00:00{zone}" if zone else "0001-01-01"
    return f"{typed} between {kind} '{first}' and {kind} '{last}{zone}'"


def in_utc(value: str, found: str) -> str:
    """Return SQL for a time in UTC; the calendar, which is slow, is used only for zones and offsets."""
    by_calendar = f"timezone('UTC', try_cast({value} as timestamptz))"
    is_plain = "current_setting('TimeZone') = 'UTC'"
    if found in TEXTS:
        is_utc = f"ends_with({value}, 'Z') and substr({value}, -2, 1) between '0' and '9'"  # NZ is a zone
        is_plain = f"({is_plain} and {_is_like(value, USUAL_TIMES[:1])}) or ({is_utc})"
    elif found != "timestamp":
        return by_calendar
    return f"case when {is_plain} then try_cast({value} as timestamp) else {by_calendar} end"


def is_of_microseconds(value: str, found: str) -> str:
    """Return SQL that is false for digits of a second that a timestamp has no room for."""
    return f"epoch_ns({value}) % 1000 = 0" if found.endswith("_ns") else "true"


def why_no_time(value: str, found: str, wanted: str, source: str) -> str:
    """Return SQL for why a value is no time, and what its mapping may say; `source` is the mapping's SQL for it."""
    if found in TEXTS:
        form = "%d/%m/%Y" if wanted == "date" else "%d/%m/%Y %H:%M"
        hint = f"name another format in the mapping: strptime({source}, '{form}')"
        return literal(f"is no {wanted} in ISO 8601, with six digits of a second at most; {hint}")
    if found.startswith(NUMBERS):
        hint = f"map one that counts seconds since 1970: to_timestamp({source})"
        return literal(f"is no {wanted} but a number; {hint}")
    if wanted == "date":
        return literal(f"is no date: it has a time of day; cut it in the mapping: cast({source} as date)")
    if found.endswith("_ns"):
        kind = "timestamptz" if "tz" in found else "timestamp"
        cut = literal(f"is no {wanted}: it has nanoseconds; cut them in the mapping: cast({source} as {kind})")
        return f"case when {is_of_microseconds(value, found)} then {literal('is no ' + wanted)} else {cut} end"
    return literal(f"is no {wanted}")


def record_dst_transitions(connection: duckdb.DuckDBPyConnection) -> bool:
    """Record, once a connection, near which days the clocks of its time zone change; tell whether there are any."""
    recorded, zone = connection.execute(
        f"select getvariable('{DST_TRANSITIONS}') is not null, current_setting('TimeZone')"
    ).fetchall()[0]
    days = _dst_transitions(zone)
    if not recorded:
        connection.execute(f"set variable {DST_TRANSITIONS} = '{days}'::bit")
    return "1" in days


@cache
def _dst_transitions(zone: str) -> str:
    """Return the bits of DST_TRANSITIONS, for which all days must be looked at."""
    with duckdb.connect() as connection:
        connection.execute(f"set TimeZone = {literal(zone)}")
        days: str = connection.execute(
            f"select cast(coalesce(bitstring_agg(day + near, 0, {DAYS}), '0'::bit) as varchar) from ("
            "select day, timestamptz '1900-01-01 00:00:00+00' + to_hours(24 * day) as midnight "
            f"from range(1, {DAYS}) as days (day)), (values (-1), (0), (1)) as days_near (near) "
            "where cast(midnight + interval 24 hours as timestamp) - cast(midnight as timestamp) <> interval 24 hours"
        ).fetchall()[0][0]
        return days


@dataclass(frozen=True)
class LocalTime:
    """SQL over a local time near a DST change: whether it is skipped or repeated, and then its two moments."""

    is_skipped: str
    is_repeated: str
    first: str
    second: str


def near_dst_change(name: str, typed: str, found: str) -> LocalTime | None:
    """Return what a DST change makes of a local time and its moment in UTC; None if no value can be such a time.

    A time is clear if its day is not near a change, or if it has an offset or no time of day. Another one is clear if
    only one of the offsets before and after the change fits it.
    """
    value, found = identifier(name), found.lower()
    if found not in TEXTS and (not found.startswith("timestamp") or "time zone" in found or "tz" in found):
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
    is_clear = f"get_bit(getvariable('{DST_TRANSITIONS}'), {day}) = 0 or {has_offset}"

    def when(fit: str) -> str:
        return f"coalesce(case when {is_clear} then false else {before} <> {after} and {fit} end, false)"

    return LocalTime(
        when(f"not {fits[0]} and not {fits[1]}"),
        when(f"{fits[0]} and {fits[1]}"),
        f"({local} - {before})",
        f"({local} - {after})",
    )
