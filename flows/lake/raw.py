"""Raw history: one append-only Delta table per source table; its log is the ledger of its loads.

A batch is one commit with an application transaction (app id = table, version = batch number) and the source's
watermark in its metadata. Quarantine and files are written before it under the same number. Readers ignore their rows
with a number above the last committed one. So the next load repeats a dead batch: no record is lost or doubled.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction

from flows.config.contract import Contract
from flows.core.names import TableName, identifier
from flows.core.storage import lake_table_damaged
from flows.lake.casts import is_nested
from flows.lake.content import content_metadata, hash_rows, hashed_columns, stated_contents, stored_rows, unlike_batches
from flows.lake.counts import Counts
from flows.lake.deduplicate import NewRows
from flows.lake.delta import (
    KEEP_COMMITS,
    ROWS_VERSION,
    WRITTEN,
    carried,
    open_table,
    relation_of,
    rows_version,
    write_rows,
)

ROWS_A_PIECE = 20_000
"""The number of rows that the Delta writer gets at a time."""

SIMPLE_TYPES = {"VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP", "SMALLINT", "FLOAT", "BLOB"}


@dataclass(frozen=True)
class BatchMetadata:
    """The values that all rows of a batch have in common."""

    batch: int
    load_id: str
    loaded_at: datetime
    is_backfill: bool


def raw_path(lake: Path, name: TableName) -> Path:
    """Return the path of a table's history."""
    return lake / "raw" / name.source / name.table


@dataclass
class RawTable:
    """The history of one table for one load: opened once, not reloaded between a batch's number and its commit.

    With `at` it is read as it was in that Delta version.
    """

    lake: Path
    name: TableName
    at: int | None = None
    _delta: DeltaTable | None = field(init=False)

    def __post_init__(self) -> None:
        self._delta = open_table(self.path, self.at)

    @property
    def path(self) -> Path:
        """The path of the Delta table."""
        return raw_path(self.lake, self.name)

    @property
    def version(self) -> int | None:
        """The Delta version, None if the table was never loaded."""
        return self._delta.version() if self._delta is not None else None

    @property
    def batch(self) -> int:
        """The number of the last committed batch; 0 before the first."""
        return (self._delta.transaction_version(str(self.name)) or 0) if self._delta is not None else 0

    @property
    def table_id(self) -> str | None:
        """The id of the Delta table; a table that was made again has another one. None if it was never loaded."""
        return str(self._delta.metadata().id) if self._delta is not None else None

    @property
    def rows_state(self) -> str:
        """A text that changes exactly when the rows do: the table's id, and the version that last changed rows."""
        if self._delta is None:
            return ""
        return f"{self.table_id}:{rows_version(self._delta)}"

    def last_commit(self) -> Mapping[str, str]:
        """Return the metadata of the last batch's commit, under the names of CARRIED; empty before the first."""
        return carried(self._delta) if self._delta is not None else {}

    def stored_rows(self) -> int:
        """Return the number of rows that the log says are stored."""
        return stored_rows(self._delta) if self._delta is not None else 0

    def unlike_batches(self, batches: Collection[int] | None = None) -> Mapping[int, str]:
        """Return what differs, by batch, from what was committed, in some batches or in all of them."""
        return {} if self._delta is None else unlike_batches(self._delta, stated_contents(self._delta), batches)

    def require_contents(self) -> None:
        """Refuse to write rows again that are not those that were committed; raises StorageFailed."""
        for batch, difference in self.unlike_batches().items():
            raise lake_table_damaged(self.path, f"batch {batch}: {difference}")

    def stored(self, columns: Sequence[str], types: Mapping[str, str] | None = None) -> str | None:
        """Return SQL for the stored rows, with these columns and the lake's own; None if there are no rows.

        Columns are cast to the given DuckDB types; other columns keep their stored type.
        """
        relation = relation_of(self._delta)
        if relation is None:
            return None
        present, wanted = {name.casefold() for name in self.types()}, types or {}
        listed = ", ".join(
            f"{_cast(identifier(name), wanted.get(name)) if name.casefold() in present else 'null'} "
            f"as {identifier(name)}"
            for name in columns
        )
        return f"(select {listed}, _batch, _row, _deleted, _is_backfill from {relation})"

    def types(self) -> Mapping[str, pa.DataType]:
        """Return the Arrow types of the stored columns, in their order."""
        return {field.name: field.type for field in self._schema()}

    def kinds(self, connection: duckdb.DuckDBPyConnection) -> Mapping[str, tuple[str, str]]:
        """Return the spelling and DuckDB type of the stored columns, by their names in lower case."""
        if self._delta is None:
            return {}
        empty = connection.from_arrow(self._schema().empty_table())
        return {name.casefold(): (name, str(kind)) for name, kind in zip(empty.columns, empty.types, strict=True)}

    def rewrite(self, connection: duckdb.DuckDBPyConnection, columns: Mapping[str, str]) -> None:
        """Write all rows again, with other SQL for some columns (by their spelling); batches and watermark stay.

        It is a commit like any other, so earlier versions can still be read.
        """
        assert self._delta is not None, "a table that was never written has no columns"
        self.require_contents()
        empty = self._schema().empty_table()
        relation = relation_of(self._delta)
        rows = connection.sql(f"from {relation}") if relation else connection.from_arrow(empty)
        listed = ", ".join(
            f"{columns.get(name, identifier(name))} as {identifier(name)}" for name in empty.column_names
        )
        rows = rows.project(listed)
        contents = content_metadata(hash_rows(rows, hashed_columns(rows)), hashed_columns(rows))
        write_rows(
            self._delta,
            self.path,
            rows.to_arrow_reader(ROWS_A_PIECE),
            mode="overwrite",
            schema_mode="overwrite",
            commit_properties=CommitProperties(custom_metadata={**self.last_commit(), **contents}),
            post_commithook_properties=KEEP_COMMITS,
            writer_properties=WRITTEN,
        )

    def append(
        self, new: NewRows, contract: Contract, metadata: BatchMetadata, counts: Counts, carry: Mapping[str, str]
    ) -> None:
        """Commit new rows as one batch; its metadata are the counts and the values in `carry` (see CARRIED)."""
        params = [metadata.loaded_at, metadata.load_id, metadata.batch, metadata.is_backfill]
        rows = new.rows.connection.sql(self._stored_form(new, contract), params=params)
        hashes = {metadata.batch: (0, "0"), **hash_rows(rows, hashed_columns(rows))}
        count = hashes[metadata.batch][0]
        if count == 0:  # an extra column would be in the log, and in no file that can be read
            rows = new.rows.connection.sql(self._stored_form(replace(new, extras=()), contract), params=params)
        stays = {}
        if self._delta is not None and count == 0:  # the watermark alone moves on
            stays = {ROWS_VERSION: str(rows_version(self._delta))}
        properties = CommitProperties(
            custom_metadata={
                **carry,
                **stays,
                **content_metadata(hashes, hashed_columns(rows)),
                "total_rows": str(self.stored_rows() + count),
                "load_id": metadata.load_id,
                "counts": json.dumps(counts.values()),
            },
            app_transactions=[Transaction(str(self.name), metadata.batch)],
        )
        write_rows(
            self._delta,
            self.path,
            rows.to_arrow_reader(ROWS_A_PIECE),
            mode="append",
            schema_mode="merge",
            commit_properties=properties,
            post_commithook_properties=KEEP_COMMITS,
            writer_properties=WRITTEN,
        )
        if self._delta is None:
            self._delta = open_table(self.path)

    def _schema(self) -> pa.Schema:
        return pa.schema([] if self._delta is None else self._delta.schema().to_arrow())

    def _stored_form(self, new: NewRows, contract: Contract) -> str:
        """Return SQL for new rows in their stored form: an existing column keeps its spelling and type."""
        connection, found = new.rows.connection, new.rows.types
        stored = self.kinds(connection)
        listed = []
        kept = kept_as(connection, contract.types)
        for name, wanted in contract.types.items():
            spelling, kind = stored.get(name.casefold(), (name, kept[name]))
            listed.append(f"{_cast(f'cast({identifier(name)} as {wanted})', kind)} as {identifier(spelling)}")
        for name in new.extras:
            spelling, kind = stored.get(name.casefold(), (name, storable(found[name])))
            listed.append(f"{_cast(plain(name, found[name]), kind)} as {identifier(spelling)}")
        return f"""
            select {", ".join(listed)},
                cast($1 as timestamp) as _loaded_at, cast($2 as varchar) as _load_id, cast($3 as bigint) as _batch,
                cast(coalesce(_row, 0) as bigint) as _row, cast(_position as varchar) as _position,
                _deleted, cast($4 as boolean) as _is_backfill
            from {new.rows}
        """


def storable(kind: str) -> str:
    """Return the type in which an additional column of a DuckDB type is stored."""
    return kind if kind in SIMPLE_TYPES or kind.startswith("DECIMAL") else "VARCHAR"


def kept_as(connection: duckdb.DuckDBPyConnection, types: Mapping[str, str]) -> dict[str, str]:
    """Return the types, in DuckDB's spelling, in which a contract's columns are stored."""
    listed = ", ".join(f"cast(null as {wanted}) as {identifier(name)}" for name, wanted in types.items())
    kinds = connection.execute(f"describe select {listed}").fetchall()
    return {name: "VARCHAR" if kind in ("JSON", "UUID") else kind for name, kind, *_ in kinds}


def plain(name: str, kind: str) -> str:
    """Return SQL for a column, as JSON if it is nested."""
    return f"cast(to_json({identifier(name)}) as varchar)" if is_nested(kind) else identifier(name)


def _cast(expression: str, kind: str | None) -> str:
    return f"cast({expression} as {kind})" if kind else expression


def watermark_of(commit: Mapping[str, str]) -> str | None:
    """Return the source's watermark in a commit's metadata, which keep its text as JSON; None if there is no such."""
    text: str | None = json.loads(commit.get("watermark", "null"))
    return text
