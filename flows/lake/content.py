"""Content hashes: each batch's commit holds one of its rows, and the stored rows must still agree with it.

A batch's hash is the sum of its rows' hashes: no order of rows and no compaction changes it, and one flipped bit
does. DuckDB computes them. Its hash is part of no standard, so `method` names it by its result for a fixed row.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from flows.core.names import identifier
from flows.lake.delta import commits, relation_of

BATCHES, COLUMNS, METHOD = "batches", "hashed_columns", "hash_method"
"""The metadata of a commit: rows and hash by batch, the columns in their order, and how they were hashed."""

PROBE = "select hash('text', 1::bigint, 1.5::decimal(18, 4), 0.5::double, true, timestamp '2026-01-01', null::varchar)"


@dataclass(frozen=True)
class Content:
    """The content of a batch by its commit: number of rows, hash, the columns that were hashed, and the method."""

    rows: int
    digest: str
    columns: tuple[str, ...]
    method: str


@cache
def method() -> str:
    """Return the name of the hash that this version of DuckDB computes."""
    with duckdb.connect() as connection:
        return f"duckdb {connection.execute(PROBE).fetchall()[0][0]:016x}"


def hash_rows(rows: duckdb.DuckDBPyRelation, columns: Sequence[str]) -> dict[int, tuple[int, str]]:
    """Return number and hash of rows by batch; the columns are hashed in their order."""
    hashed = ", ".join(map(identifier, columns))
    found = rows.aggregate(f"_batch, count(*), sum(cast(hash({hashed}) as hugeint))", "_batch").fetchall()
    return {batch: (count, f"{total:x}") for batch, count, total in found}


def hashed_columns(rows: duckdb.DuckDBPyRelation) -> list[str]:
    """Return the columns of stored rows that are hashed: all but the batch that they are hashed by."""
    return [name for name in rows.columns if name != "_batch"]


def content_metadata(hashes: Mapping[int, tuple[int, str]], columns: Sequence[str]) -> dict[str, str]:
    """Return the metadata that a commit holds of its batches."""
    return {BATCHES: json.dumps(hashes), COLUMNS: json.dumps(list(columns)), METHOD: method()}


def stated_contents(table: DeltaTable, limit: int | None = None) -> dict[int, Content]:
    """Return the content of each batch, as the newest commit that names it says."""
    stated: dict[int, Content] = {}
    for commit in commits(table, limit):
        if BATCHES in commit:
            columns = tuple(json.loads(commit[COLUMNS]))
            for batch, (rows, digest) in json.loads(commit[BATCHES]).items():
                stated.setdefault(int(batch), Content(rows, digest, columns, commit[METHOD]))
    return stated


def stored_rows(table: DeltaTable) -> int:
    """Return how many rows the files of a table hold, as its log says."""
    return sum(pa.table(table.get_add_actions()).column("num_records").to_pylist())


def unlike_batches(
    table: DeltaTable,
    stated: Mapping[int, Content],
    batches: Collection[int] | None = None,
    relation: str | None = None,
) -> dict[int, str]:
    """Compare the stored rows of batches, or of all, with their commits; return the differences by batch.

    Rows are those of the table's files, or of a `relation` with some of them. A batch that another method hashed is
    counted alone.
    """
    found: dict[int, str] = {}
    relation = relation or relation_of(table)
    wanted = stated if batches is None else {batch: stated[batch] for batch in batches if batch in stated}
    with duckdb.connect() as connection:
        for columns in {content.columns for content in wanted.values()}:
            of_these = {batch: content for batch, content in wanted.items() if content.columns == columns}
            listed = ", ".join(map(str, of_these))
            stored = (
                hash_rows(connection.sql(f"from {relation} where _batch in ({listed})"), columns) if relation else {}
            )
            for batch, content in of_these.items():
                rows, digest = stored.get(batch, (0, "0"))
                if rows != content.rows:
                    found[batch] = f"its commit holds {content.rows:,} rows, the files {rows:,}"
                elif digest != content.digest and content.method == method():
                    found[batch] = "its stored values differ from those that were committed"
    return found
