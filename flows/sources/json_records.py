"""Records that came as JSON text: kept as text until DuckDB reads them, so that nothing is rounded on the way."""

import duckdb
import pyarrow as pa

from flows.errors import SchemaMismatch
from flows.names import identifier, literal
from flows.sources.batches import SOURCE, Rejected

LANDED = "landed_json"


def land_json(connection: duckdb.DuckDBPyConnection, records: pa.Table, table: str) -> tuple[Rejected, ...]:
    """Make `source` from a table with the columns `_record` (text), `_file` and `_row`; return what is no JSON object.

    Every key that any record has becomes a text column; nested values stay JSON text.
    Raises SchemaMismatch if two keys differ by case alone.
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
    paths = ", ".join(literal(f'$."{key}"') for key in keys)
    columns = "".join(f"_values[{at}] as {identifier(key)}, " for at, key in enumerate(keys, start=1))
    values = f"json_extract_string(_record, [{paths}])" if keys else "[]"
    connection.execute(
        f"create or replace temp table {SOURCE} as select {columns}_file, _row "
        f"from (select {values} as _values, _file, _row from {LANDED} where _is_object)"
    )
    rejected = connection.execute(
        f"select _record, _file || ':' || _row from {LANDED} where not coalesce(_is_object, false)"
    ).fetchall()
    return tuple(Rejected((text or "").encode(), "is no JSON object", position) for text, position in rejected)


def refuse_colliding_names(table: str, names: list[str]) -> None:
    """Raise SchemaMismatch if two columns of a source differ by case alone, or one is named like the lake's own."""
    folded: dict[str, str] = {}
    for name in names:
        if name.casefold() in folded:
            raise SchemaMismatch(
                table,
                f"columns must differ by more than case, but {folded[name.casefold()]!r} and {name!r} do not",
                tuple(names),
                "Rename one of them in the source.",
            )
        folded[name.casefold()] = name
