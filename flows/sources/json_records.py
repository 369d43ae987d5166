"""Records that came as JSON text: they stay text until DuckDB reads them, so that no number is rounded."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

import duckdb
import pyarrow as pa

from flows.core.errors import SchemaMismatch
from flows.core.names import folded, identifier, literal
from flows.core.relation import Relation
from flows.sources.batches import RECORD, SERVICE_COLUMNS, Rejected

RECORDS = pa.schema([("_record", pa.string()), ("_file", pa.string()), ("_row", pa.int64())])
"""Records as texts, before `land_json` gives them columns: the text, its place, and its number there."""

JSON_RECORDS = "json_records"
TEXTS_AND_FRACTIONS = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)')
REPEATS = "(len(keys) <> len(list_distinct(keys)))"
ALIKE = "has a key that differs by case or Unicode form alone from another one"
RESERVED = (*SERVICE_COLUMNS, RECORD)
IS_OBJECT = "case when json_valid(_record) then json_type(_record) = 'OBJECT' else false end"
LONG_NUMBER = re.compile(r"[0-9][0-9.]{15}|[0-9][eE]-[0-9]{3}")
"""A first look at a text: only a number that is this long, or this small, may be none that a double holds."""

LONG_FRACTION = re.compile(rb"[:,\[\s]-?(?:(?=[0-9.]{17})[0-9]*\.[0-9]|[0-9]{16,}[eE])")
SMALL_NUMBER = re.compile(rb"[:,\[\s]-?[0-9]+(?:\.[0-9]+)?[eE]-[0-9]{3}")
"""Numbers that a double may not hold; a digit within a text, such as an id in hexadecimal, begins none."""

LONGEST_NUMBER = 400
"""The characters of the longest number that is looked for: a double has 309 digits before its point at most."""

OUTLINE = bytes.maketrans(b"123456789.E", b"0000000000e")
"""Makes all digits alike, so that one search finds all numbers of a length."""

ZEROS, SMALL = b"0" * 16, b"e-000"


def keep_digits(text: str) -> str:
    """Write numbers that a double cannot hold as texts within a JSON text: DuckDB reads fractions as doubles."""
    return TEXTS_AND_FRACTIONS.sub(_exact, text) if LONG_NUMBER.search(text) else text


def may_lose_digits(text: bytes) -> bool:
    """Tell whether JSON texts, joined in any way, may hold a number that `keep_digits` would change.

    Regexes are slow, so they run around the places where the outline of the bytes has such a number.
    """
    outline = text.translate(OUTLINE)
    return any(
        pattern.search(text, max(at - LONGEST_NUMBER, 0), at + LONGEST_NUMBER)
        for sign, pattern in ((ZEROS, LONG_FRACTION), (SMALL, SMALL_NUMBER))
        for at in _places(outline, sign)
    )


def _places(text: bytes, sign: bytes) -> Iterator[int]:
    at = text.find(sign)
    while at >= 0:
        yield at
        at = text.find(sign, at + len(sign))


def _exact(match: re.Match[str]) -> str:
    token = match[0]
    if token.startswith('"') or Decimal(repr(float(token))) == Decimal(token):
        return token
    return f'"{token}"'


def land_json(
    records: Relation,
    table: str,
    further: Mapping[str, str] | None = None,
    whole: str = "_record",
    *,
    is_file: bool = False,
) -> tuple[Relation, tuple[Rejected, ...]]:
    """Give records (as RECORDS) columns; return them, and those that are no JSON object or have an unusable key.

    Every key that any record has becomes a text column; nested values stay JSON text. `further` columns are no part of
    the text, as SQL by name. With them, `whole` is SQL for the text of the whole record.
    Raises SchemaMismatch if no record is left for its keys, and they are of a file: one can fix it, and no message.
    """
    objects, rejected, own = str(records), list[Rejected](), dict(further or {})
    try:
        found = _keys_of(records, objects)
    except duckdb.InvalidInputException:
        found = [(None, False)]
    if any(key is None for key, _ in found):
        rejected = _reject(records, objects, f"not {IS_OBJECT}", "is no JSON object")
        objects = f"(from {records} where {IS_OBJECT})"
        found = _keys_of(records, objects)
    names = [key for key in dict.fromkeys(key for key, _ in found) if key is not None]
    taken, keys = [key for key in names if key in own], [key for key in names if key not in own]
    reserved = [key for key in keys if key.casefold() in RESERVED]
    named = ", ".join(sorted({key.casefold() for key in reserved}))
    for is_found, condition, reason in (
        (any(repeats for _, repeats in found), REPEATS, "has a key twice"),  # its true value is unknown
        (taken, _has_any(taken), f"has a key that names a field of the message: {', '.join(taken)}"),
        ("" in keys, _has_any([""]), "has a key without a name"),
        (reserved, _has_any(reserved), f"has a key that is reserved for the place of a record: {named}"),
    ):
        if is_found:
            objects = _split_off(records, objects, condition, reason, rejected)
    columns = [key for key in keys if key and key not in reserved]
    if others := _other_spellings(records, objects, columns, own):
        columns = [key for key in columns if key not in others]
        objects = _split_off(records, objects, _has_any(others), ALIKE, rejected)
    if is_file and len(columns) < len(keys) and not records.connection.execute(f"from {objects} limit 1").fetchall():
        refuse_colliding_names(table, [*keys, *own])
    return _with_columns(records, objects, columns, own, whole), tuple(rejected)


def _with_columns(records: Relation, objects: str, keys: list[str], own: Mapping[str, str], whole: str) -> Relation:
    paths = ", ".join(literal(json_pointer([key])) for key in keys)
    columns = "".join(f"_values[{at}] as {identifier(key)}, " for at, key in enumerate(keys, start=1))
    columns += "".join(f"{sql} as {identifier(name)}, " for name, sql in own.items())
    values = f"json_extract_string(_record, [{paths}])" if keys else "[]"
    query = f"select {columns}_file, _row, {whole} as {RECORD} from (select *, {values} as _values from {objects})"
    return Relation.view(records.connection, JSON_RECORDS, query)


def _keys_of(records: Relation, objects: str) -> list[tuple[str | None, bool]]:
    """Return all keys in their order, and whether an object has one twice; a record without keys gives null.

    Raises duckdb.InvalidInputException if a record is no JSON.
    """
    return records.connection.execute(
        f"select distinct unnest(if(len(keys) > 0, keys, [null])) as key, {REPEATS} as repeats "
        f"from (select distinct json_keys(_record) as keys from {objects}) order by key"
    ).fetchall()


def _has_any(names: list[str]) -> str:
    return f"list_has_any(keys, [{', '.join(map(literal, names))}])"


def _other_spellings(records: Relation, objects: str, keys: list[str], own: Mapping[str, str]) -> list[str]:
    """Return keys that differ by case or Unicode form alone from a field of the message, or from a more frequent key.

    The key of most records stays, so that one odd record does not turn the others away.
    """
    spellings: dict[str, list[str]] = {}
    for key in keys:
        spellings.setdefault(folded(key), []).append(key)
    fields = set(map(folded, own))
    alike = {form: names for form, names in spellings.items() if len(names) > 1 or form in fields}
    if not alike:
        return []
    counts = dict(
        records.connection.execute(
            f"select key, count(*) from (select unnest(json_keys(_record)) as key from {objects}) group by key"
        ).fetchall()
    )
    kept = {max(names, key=lambda name: counts.get(name, 0)) for form, names in alike.items() if form not in fields}
    return [name for names in alike.values() for name in names if name not in kept]


def _split_off(records: Relation, objects: str, condition: str, reason: str, rejected: list[Rejected]) -> str:
    """Add the records whose keys meet a condition to the rejected ones; return SQL for the others."""
    with_keys = f"(select *, json_keys(_record) as keys from {objects})"
    rejected += _reject(records, with_keys, condition, reason)
    return f"(select * exclude (keys) from {with_keys} where not {condition})"


def _reject(records: Relation, relation: str, condition: str, reason: str) -> list[Rejected]:
    rows = records.connection.execute(
        f"select _record, _file || ':' || _row from {relation} where {condition} order by _file, _row"
    ).fetchall()
    return [Rejected((text or "").encode(), reason, position) for text, position in rows]


def json_pointer(keys: list[str]) -> str:
    """Return the path of nested keys, of any characters."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def refuse_colliding_names(table: str, names: list[str]) -> None:
    """Raise SchemaMismatch for columns without a name, with a reserved name, or that differ by case or form only."""
    seen: dict[str, int] = {}
    for at, name in enumerate(names):
        other = seen.setdefault(folded(name), at)
        problem, remedy = "", "Rename it in the source, or by a query in its mapping if the source is a database."
        if not name:
            problem = "every column must have a name"
        elif name.casefold() in RESERVED:
            problem = f"columns must not be called {name!r}, which is reserved for the position of a record"
        elif other != at:
            problem = f"columns must differ by more than case or Unicode form, but {names[other]!r} and {name!r} do not"
        if problem:
            raise SchemaMismatch(table, problem, tuple(names), remedy)
