"""Records that came as JSON text: kept as text until DuckDB reads them, so that nothing is rounded on the way."""

import re
from decimal import Decimal

import duckdb
import pyarrow as pa

from flows.errors import SchemaMismatch
from flows.names import folded, identifier, literal
from flows.sources.batches import RECORD, SERVICE_COLUMNS, SOURCE, Rejected

RECORDS = pa.schema([("_record", pa.string()), ("_file", pa.string()), ("_row", pa.int64())])
"""Records on their way into `source`: the text, where it stood, and its number there."""

LANDED = "landed_json"
TEXTS_AND_FRACTIONS = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9]+(?:\.[0-9]+(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)')
LONG_NUMBER = re.compile(r"[0-9][0-9.]{15}")


def keep_digits(text: str) -> str:
    """Write numbers that a double cannot hold as texts within a JSON text: DuckDB reads fractions as doubles."""
    return TEXTS_AND_FRACTIONS.sub(_exact, text) if LONG_NUMBER.search(text) else text


def _exact(match: re.Match[str]) -> str:
    token = match[0]
    if token.startswith('"') or Decimal(repr(float(token))) == Decimal(token):
        return token
    return f'"{token}"'


def land_json(
    connection: duckdb.DuckDBPyConnection, records: pa.Table | pa.RecordBatchReader, table: str
) -> tuple[Rejected, ...]:
    """Make `source` from a table with the columns `_record` (text), `_file` and `_row`; return what is no JSON object.

    Every key that any record has becomes a text column; nested values stay JSON text.
    Raises SchemaMismatch if two keys differ by case or Unicode form alone.
    """
    connection.register("arrow_json", records)
    connection.execute(
        f"create or replace temp table {LANDED} as select *, "
        "case when json_valid(_record) then json_type(_record) = 'OBJECT' else false end as _is_object from arrow_json"
    )
    connection.unregister("arrow_json")
    keys = [
        key
        for (key,) in connection.execute(
            f"select distinct unnest(json_keys(_record)) as key from {LANDED} where _is_object order by key"
        ).fetchall()
    ]
    refuse_colliding_names(table, keys)
    paths = ", ".join(literal(json_pointer([key])) for key in keys)
    columns = "".join(f"_values[{at}] as {identifier(key)}, " for at, key in enumerate(keys, start=1))
    values = f"json_extract_string(_record, [{paths}])" if keys else "[]"
    connection.execute(
        f"create or replace temp table {SOURCE} as select {columns}_file, _row, _record as {RECORD} "
        f"from (select {values} as _values, _file, _row, _record from {LANDED} where _is_object)"
    )
    rejected = connection.execute(
        f"select _record, _file || ':' || _row from {LANDED} where not coalesce(_is_object, false)"
    ).fetchall()
    connection.execute(f"drop table {LANDED}")
    return tuple(Rejected((text or "").encode(), "is no JSON object", position) for text, position in rejected)


def json_pointer(keys: list[str]) -> str:
    """Return the path of nested keys, whatever stands in them."""
    return "".join("/" + key.replace("~", "~0").replace("/", "~1") for key in keys)


def refuse_colliding_names(table: str, names: list[str]) -> None:
    """Raise SchemaMismatch for columns that differ by case or Unicode form alone, are unnamed or named like ours."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(folded(name), name)
        if not name:
            raise SchemaMismatch(table, "every column must have a name", tuple(names), "Name it in the source.")
        if name.casefold() in (*SERVICE_COLUMNS, RECORD):
            raise SchemaMismatch(
                table, f"columns must not be called {name!r}, which says where a record stood", tuple(names),
                "Rename it in the source, or by a query in its mapping where the source is a database.",
            )  # fmt: skip
        if other is not name:
            raise SchemaMismatch(
                table,
                f"columns must differ by more than case or Unicode form, but {other!r} and {name!r} do not",
                tuple(names),
                "Rename one of them in the source.",
            )
