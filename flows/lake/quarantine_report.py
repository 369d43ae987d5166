"""A report of the quarantine: the rules that records break, how many break each, and the shape of a few records."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from flows.core.names import TableName
from flows.lake.quarantine import quarantined_rows
from flows.lake.raw import RawTable
from flows.sources.batches import RecordSchema

SAMPLE = 3

CONTROLS = re.compile(r"[\x00-\x08\x0e-\x1f]")
"""Control characters: texts have none, and nearly every image or archive has some."""


@dataclass(frozen=True)
class Reason:
    """A rule that records in quarantine break: how many, and a sample by position with masked values."""

    table: TableName
    reason: str
    records: int
    sample: tuple[tuple[str, str], ...]


def quarantined_tables(lake: Path) -> list[TableName]:
    """Return the tables that have a quarantine, by name."""
    return sorted(TableName(path.parent.name, path.name) for path in (lake / "quarantine").glob("*/*") if path.is_dir())


def count_quarantine(lake: Path) -> dict[TableName, int]:
    """Return how many records are in quarantine, by table, for tables that have some."""
    counts = {}
    with duckdb.connect() as connection:
        for table in quarantined_tables(lake):
            relation = quarantined_rows(RawTable(lake, table))
            if relation is not None:
                counts[table] = int(connection.execute(f"select count(*) from {relation}").fetchall()[0][0])
    return {table: count for table, count in counts.items() if count}


def reasons_of(lake: Path, table: TableName) -> list[Reason]:
    """Return the reasons for a table's quarantine, the commonest first; a record may have more than one."""
    relation = quarantined_rows(RawTable(lake, table))
    if relation is None:
        return []
    with duckdb.connect() as connection:
        rows = connection.execute(
            "select reason, count(*) as records, "
            "(array_agg({position: _position, raw: _raw, schema: _schema} order by _batch, _row))"
            f"[:{SAMPLE}] as sample "
            f"from (select unnest(_reasons) as reason, _position, _raw, _schema, _batch, _row from {relation}) "
            "group by reason order by records desc, reason"
        ).fetchall()
    return [
        Reason(table, reason, records, tuple((record["position"] or "", _masked_record(record)) for record in sample))
        for reason, records, sample in rows
    ]


def _masked_record(record: Mapping[str, Any]) -> str:
    columns = RecordSchema.parse(record["schema"]).columns if record["schema"] else {}
    return masked(record["raw"], [name for name, kind in columns.items() if kind == "BLOB"])


def masked(raw: bytes, binary: Collection[str] = ()) -> str:
    """Return a record's shape: its names, and each value with letters as a and digits as 9.

    Bytes that are not text, and values of a `binary` column, are not shown.
    """
    text = raw.decode("utf-8", errors="replace")
    if CONTROLS.search(text):
        return f"<{len(raw):,} bytes>"
    try:
        values = _masked_values(json.loads(text))
        if isinstance(values, dict):
            values |= {name: "<bytes>" for name in binary if values.get(name) is not None}
        return json.dumps(values, ensure_ascii=False)
    except ValueError:
        return shape(text)


def _masked_values(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked_values(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_masked_values(one) for one in value]
    return value if value is None or isinstance(value, bool) else shape(str(value))


def shape(text: str) -> str:
    """Keep the form of a text; a word keeps three letters at most, so that its length tells nothing."""
    shape = re.sub(r"[^\W\d_]", "a", text)
    return re.sub(r"a{3,}", "aaa", re.sub(r"\d", "9", shape))[:80]
