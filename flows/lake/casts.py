"""Casts that lose nothing: for a column's expression and types, the typed value and whether it is the same value."""

import re
from dataclasses import dataclass

from flows.core.names import identifier, literal
from flows.lake.times import (
    TEXTS,
    TIMES,
    USUAL_DAYS,
    USUAL_TIMES,
    ZONED,
    in_utc,
    is_iso_8601,
    is_of_microseconds,
    is_of_our_era,
    why_no_time,
)

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
BOOLEANS = {"boolean", "bool"}

EXACT_IN_DOUBLE = 17
"""The characters of a number with an exponent that a double tells from all others; 15 of them are digits at most."""


@dataclass(frozen=True)
class Cast:
    """SQL for a typed value, null if it cannot be cast; for whether the cast lost nothing; and for why it did."""

    typed: str
    is_lossless: str
    why_not: str


def lossless_cast(name: str, found: str, wanted: str, source: str = "…") -> Cast:
    """Return the cast of a column from the type found to the type wanted.

    DuckDB's try_cast alone rounds 3.7 to 4, cuts 1.23456 to four digits and drops a timestamp's offset; here such a
    cast is not lossless. Naive times are read in the session's time zone, and become UTC. `source` is the mapping's
    SQL for the value, by which a reason shows how to map it.
    """
    value, found = identifier(name), found.lower()
    if wanted in TIMES or (wanted == "date" and found != "date"):
        return _to_time(value, found, wanted, source)
    typed, why_not = f"try_cast({value} as {wanted})", literal(f"is no {wanted}")
    if wanted.startswith(("decimal", "numeric")):
        return _to_decimal(value, found, wanted, source)
    return Cast(*_typed(value, found, wanted, typed), why_not)


def _typed(value: str, found: str, wanted: str, typed: str) -> tuple[str, str]:
    """Return SQL for a typed value, and for whether it is the same value; `typed` is what DuckDB would make of it."""
    if wanted in TEXTS and found == "blob":
        decoded = f"try(decode({value}))"  # a cast would write bytes as escapes
        return decoded, f"{decoded} is not null"
    if wanted in TEXTS:
        return (f"cast(to_json({value}) as varchar)" if is_nested(found) else f"cast({value} as varchar)"), "true"
    if is_nested(wanted):
        return _nested(value, found, wanted)
    if wanted in INTEGERS and found in TEXTS:
        exact = f"try_cast({value} as decimal(38, 10)) = {typed}"
        exact = f"{exact} and {_keeps_all_digits(value, typed, 0)}"
        return typed, f"case when {_has_any(value, '.eE')} then {exact} else true end"
    if wanted in INTEGERS:
        return typed, "true" if found in INTEGERS else f"{value} = {typed}"
    if wanted in FLOATS:
        return typed, f"isfinite({typed}){_is_kept_by_float(value, typed, found)}"
    if wanted in BOOLEANS and found not in (*TEXTS, *BOOLEANS):
        return typed, f"try_cast({value} as double) in (0, 1)"
    return typed, is_of_our_era(typed, "date") if wanted == "date" else "true"


def _to_time(value: str, found: str, wanted: str, source: str) -> Cast:
    why_not = why_no_time(value, found, wanted, source)
    if wanted == "date":
        typed = f"try_cast({value} as date)"
        is_midnight = (
            f"cast({typed} as timestamp) = try_cast({value} as timestamp) and {is_of_microseconds(value, found)}"
        )
        if found in TEXTS:
            is_midnight = f"{is_iso_8601(value, USUAL_DAYS)} and ({value} not like '%:%' or {is_midnight})"
        return Cast(typed, f"{is_of_our_era(typed, 'date')} and {is_midnight}", why_not)
    typed = in_utc(value, found)
    if wanted == ZONED:
        typed = f"timezone('UTC', {typed})"
    is_read = is_iso_8601(value, USUAL_TIMES) if found in TEXTS else is_of_microseconds(value, found)
    return Cast(typed, f"{is_of_our_era(typed, ZONED if wanted == ZONED else 'timestamp')} and {is_read}", why_not)


def _to_decimal(value: str, found: str, wanted: str, source: str) -> Cast:
    width, scale = map(int, match.groups()) if (match := re.search(r"(\d+)\s*,\s*(\d+)\s*\)", wanted)) else (18, 3)
    written = f"cast({value} as varchar)"
    typed = f"try_cast({written if found in ('float', 'real') else value} as {wanted})"
    if found in TEXTS:
        is_lossless = _text_fits_decimal(value, typed, scale)
    elif found in FLOATS:
        is_lossless = f"cast({typed} as {found}) = {value}"
    else:
        is_lossless = f"{typed} = {value}"
    return Cast(typed, is_lossless, _why_no_decimal(value, found, wanted, source, width - scale, scale))


def _why_no_decimal(value: str, found: str, wanted: str, source: str, whole: int, scale: int) -> str:
    """Return SQL for why a value is no decimal: how many digits it has, which shows nothing else of it."""
    number, written = f"try_cast({value} as double)", f"trim(cast({value} as varchar))"
    rounded = f"round({f'cast({source} as decimal(38, 18))' if found in TEXTS else source}, {scale})"
    fraction = (
        f"case when contains(lower({written}), 'e') then 'more than {scale}' else {_digits_after_point(written)} end"
    )
    too_long = f"is no {wanted}: it has more than {whole} digits before the point; write a wider type in the contract"
    too_fine = f" digits after the point; round it in the mapping: {rounded}"
    return (
        f"case when {number} is null or not isfinite({number}) then {literal('is no ' + wanted)} "
        f"when abs({number}) >= 1e{whole} then {literal(too_long)} "
        f"else {literal(f'is no {wanted}: it has ')} || {fraction} || {literal(too_fine)} end"
    )


def _digits_after_point(written: str) -> str:
    return f"cast(length(rtrim(split_part({written}, '.', 2), '0')) as varchar)"


def is_nested(kind: str) -> bool:
    """Tell whether a DuckDB type has parts of other types."""
    return kind.lower().startswith(("struct", "map")) or kind.endswith("]")


def _nested(value: str, found: str, wanted: str) -> tuple[str, str]:
    """Compare every part of a nested value: a cast alone makes null of the parts that do not fit."""
    if found == wanted:
        return value, "true"
    given = f"try_cast({value} as json)" if found in TEXTS else f"to_json({value})"
    typed = f"try_cast({given} as {wanted})"
    return typed, f"json_contains(to_json({typed}), {given})"


def _is_kept_by_float(value: str, typed: str, found: str) -> str:
    """Return SQL that is false for whole numbers that a float would round, such as 2^53 + 1, and for those near zero.

    A fraction is rounded to the nearest float in any case.
    """
    same = f"try_cast({typed} as hugeint) is not distinct from try_cast({value} as hugeint)"
    if found in TEXTS:
        is_whole = f"regexp_full_match(trim({value}), '[+-]?[0-9]{{7,}}([.]0*)?')"
        is_zero = f"regexp_full_match(trim({value}), '[-+0.]*([eE].*)?')"
        return f" and (not {is_whole} or {same}) and case when {typed} <> 0 then true else {is_zero} end"
    return f" and {same}" if found in INTEGERS else ""


def _text_fits_decimal(value: str, typed: str, scale: int) -> str:
    """Count the digits after the point as they are written: a cast would round those that it has no room for."""
    written = f"strpos({value}, '.') = 0 or length({value}) - strpos({value}, '.') <= {scale}"
    digits = f"length(rtrim(split_part(trim({value}), '.', 2), '0'))"
    scientific = _keeps_all_digits(value, typed, scale)
    return f"case when {_has_any(value, 'eE')} then {scientific} when {written} then true else {digits} <= {scale} end"


def _keeps_all_digits(value: str, typed: str, scale: int) -> str:
    """Return SQL for whether a number with an exponent is exact; without repeated parts, which DuckDB runs for all."""
    exponent = f"coalesce(try_cast(regexp_extract({value}, '[eE](.*)', 1) as integer), 0)"
    places = f"length(rtrim(regexp_extract({value}, '[.]([0-9]*)', 1), '0')) - {exponent}"
    is_near = f"cast({typed} as double) = try_cast({value} as double)"
    return f"{is_near} and (length({value}) <= {EXACT_IN_DOUBLE} or {places} <= {scale})"


def _has_any(value: str, signs: str) -> str:
    """Look for single characters, which is faster than a regular expression on every record."""
    return "(" + " or ".join(f"contains({value}, '{sign}')" for sign in signs) + ")"
