"""A look at a source table: some records of its beginning, mapped and checked as a load would, and nothing written."""

import tempfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import duckdb

from flows.config.connections import Connection, TableMapping
from flows.config.contract import Contract
from flows.core.errors import SourceFailed
from flows.core.names import folded
from flows.core.redaction import without_values
from flows.core.relation import Relation
from flows.core.unforeseen import describe_unforeseen, exceptions_named
from flows.ingest.plan import as_mapped, set_time_zone
from flows.lake.check import Checked, check, check_nothing
from flows.sources import connect
from flows.sources.batches import Batch, ExpectedColumns, Request, source_columns
from flows.sources.lookups import load_lookups
from flows.sources.mapping import MappedBatch, expect_columns, identity_of, map_batch, names_are_known, read_columns

LOOKED_AT, RECORDS = "looked_at", 100
MEMORY_LIMIT = "400MB"


class LookFailed(SourceFailed):
    """A look that failed for a reason that no code foresaw; a load may still succeed."""


@dataclass(frozen=True)
class Look:
    """The first records of a table, with its mapping and contract; valid while the context of `look_at` lasts."""

    contract: Contract
    mapping: TableMapping
    batch: Batch
    records: Relation
    runs_query: bool

    @property
    def is_empty(self) -> bool:
        """Whether the source has no records and no columns."""
        return not source_columns(self.records)

    @property
    def shows_names(self) -> bool:
        """Whether errors may show the names of the source's columns."""
        offered = list(source_columns(self.records))
        wanted = {*map(folded, self.contract.types)}.union(
            *read_columns(self.records.connection, self.mapping).values()
        )
        return names_are_known(offered, wanted, is_file=bool(self.batch.files))

    def map(self, mapping: TableMapping | None = None, columns: Mapping[str, bool] | None = None) -> MappedBatch:
        """Map the records, by another mapping or to other columns (name → whether it is required) if they are given.

        Raises SchemaMismatch or SourceFailed.
        """
        is_whole_contract = columns is None
        return map_batch(
            self.records,
            mapping or self.mapping,
            self.contract.required if columns is None else columns,
            self.contract.on_extra_column if is_whole_contract else "ignore",
            query_in_source=self.runs_query,
            is_file=bool(self.batch.files),
            may_lack=self.batch.may_lack_columns,
        )

    def check(self, mapped: MappedBatch, contract: Contract | None = None) -> Checked:
        """Check mapped records; raises SchemaMismatch for a mapping that fits none at all."""
        if self.is_empty:
            return check_nothing(self.records.connection, self.contract)
        return check(mapped, contract or self.contract)


@contextmanager
def working_database() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open an empty database for looks, outside the data folder: a set with a mistake gets none.

    One takes 20 milliseconds to open, so that the looks of a set share it. Without its optimizer, DuckDB needs a third
    less time for the large statements of a check, which see a few rows here.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        duckdb.connect(config={"threads": "1", "memory_limit": MEMORY_LIMIT, "temp_directory": folder}) as database,
    ):
        yield database


@contextmanager
def look_at(
    connection: Connection,
    contract: Contract,
    most: int = RECORDS,
    *,
    expects_columns: bool = True,
    database: duckdb.DuckDBPyConnection | None = None,
) -> Iterator[Look]:
    """Read some records of a source table's beginning. The source is asked once, and not waited for.

    With `expects_columns`, a file that lacks a column is refused as in a load. Without it, its other columns are shown.
    The `database` may be shared with other looks. Raises UsageError, SourceFailed or SchemaMismatch.
    """
    mapping = connection.mapping(contract.name.table)
    contract = as_mapped(contract, mapping)
    with (
        exceptions_named(str(contract.name), partial(_failure, mapping)),
        tempfile.TemporaryDirectory() as folder,
        nullcontext(database) if database and not mapping.lookups else working_database() as shared,
        shared.cursor() as duck,
    ):
        duck.execute("pragma disable_optimizer")
        set_time_zone(duck, mapping)
        expected = expect_columns(duck, mapping, contract.required) if expects_columns else ExpectedColumns()
        request = Request(
            watermark=None,
            cursor=None,
            identity=identity_of(mapping, contract.key, contract.cursor),
            lookback=contract.lookback,
            known_rows=lambda _file: None,
            work=Path(folder),
            columns=expected,
            look=most,
        )
        connector = connect(connection, mapping)
        if mapping.lookups:
            load_lookups(duck, connection, mapping, Path(folder))
        batches = connector.batches(duck, request)
        try:
            batch, records = _first(duck, batches, mapping, most)
            yield Look(contract, mapping, batch, records, connector.runs_query)
        finally:
            if isinstance(batches, Generator):
                batches.close()  # which ends the session with the source


def _first(
    duck: duckdb.DuckDBPyConnection, batches: Iterator[Batch], mapping: TableMapping, most: int
) -> tuple[Batch, Relation]:
    """Return the first batch, and the records of it that are looked at."""
    batch = next(batches, None)
    if batch is None or batch.records is None:
        raise LookFailed(str(mapping.name), "the source shows no records", f"Look at {mapping.place}.")
    records = Relation.view(duck, LOOKED_AT, f"from {batch.records} limit {most}")
    is_whole = batch.is_whole and batch.records.count() <= most
    return replace(batch, is_whole=is_whole, has_all_columns=batch.has_all_columns or is_whole), records


def _failure(mapping: TableMapping, error: Exception) -> SourceFailed:
    cause = without_values(error) if isinstance(error, duckdb.Error) else describe_unforeseen(error)
    return LookFailed(str(mapping.name), cause, f"Look at the source, and at {mapping.place}.")
