"""Tables that a function of the user's yields, given the watermark: dicts, Arrow tables and batches, data frames."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import duckdb
import pyarrow as pa

from flows.config.connections import Connection, TableMapping
from flows.core.errors import SourceFailed, UsageError
from flows.sources.arrow_batches import gather, resolve_cursor, to_batch
from flows.sources.batches import Batch, Request
from flows.sources.json_records import refuse_colliding_names
from flows.sources.project_code import NotUsable, describe_failure, place_of, project_function
from flows.sources.python.rows import NotRows, is_table, named, to_table, to_tables
from flows.sources.watermark import Cursor, from_watermark

DICTS_A_PIECE = 1_000
EMPTY = pa.schema([])
EXAMPLE = "Write python:MODULE, and under `from` the function of each table, or python:MODULE:FUNCTION."


@dataclass(frozen=True)
class PythonTable:
    """A table that a function yields."""

    runs_query: ClassVar[bool] = False

    mapping: TableMapping
    module: str
    name: str
    function: Callable[[Cursor | None], Any]

    @classmethod
    def of(cls, connection: Connection, mapping: TableMapping) -> "PythonTable":
        """Import the function of a table; raises UsageError for one that cannot be used."""
        _, _, reference = connection.url().partition(":")
        module, _, name = reference.partition(":")
        where = f"{connection.file}: the url of {connection.title}"
        if name and mapping.origin not in (name, mapping.name.table):
            raise UsageError(f"{where} names {name}, and `from` names {mapping.origin}.", EXAMPLE)
        name = name or mapping.origin
        try:
            return cls(mapping, module, name, project_function(module, name))
        except NotUsable as error:
            raise UsageError(f"{where} cannot be used: {error}.", EXAMPLE) from None

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield batches of what the function yields, given the cursor value to read from.

        Rows come in the function's own order, so only the last batch moves the watermark. After a failure, the next
        load calls it with the same value, and rows that the lake has are known.
        """
        pieces = _Pieces(self, request)
        first, watermark, is_last = 1, request.watermark, False
        try:
            for table in gather(iter(pieces), EMPTY):
                by_name, is_last = resolve_cursor(request, table.column_names), pieces.is_whole
                batch = to_batch(connection, table, self.mapping, by_name, first, watermark)
                first, watermark = first + table.num_rows, batch.watermark
                batch = replace(batch, may_lack_columns=True)
                if request.look is not None:
                    yield replace(batch, is_whole=is_last, has_all_columns=is_last)
                    return
                yield batch if is_last else replace(batch, watermark=request.watermark)
            if not is_last:
                end = replace(request, cursor=None)
                yield to_batch(connection, EMPTY.empty_table(), self.mapping, end, first, watermark)
        finally:
            pieces.close()


@dataclass
class _Pieces:
    """Rows that a function yields, in tables of some rows each; `is_whole` tells whether it was read to its end."""

    table: PythonTable
    request: Request
    is_whole: bool = False
    source: Any = None

    def __iter__(self) -> Iterator[pa.Table]:
        """Yield tables; of a look, no more than it needs. Raises SourceFailed for whatever fails in the function."""
        try:
            left = None if self.request.look is None else self.request.look + 1
            for table in self._tables(min(DICTS_A_PIECE, left or DICTS_A_PIECE)):
                refuse_colliding_names(str(self.table.mapping.name), table.column_names)
                yield table.slice(0, left)
                if left is not None:
                    left -= table.num_rows
                    if left <= 0:
                        return
            self.is_whole = True
        except NotRows as error:
            place = place_of(self.source) or place_of(self.table.function)
            raise self._failed(f"{place}: {error}" if place else str(error)) from None

    def close(self) -> None:
        """End the user's code, whatever it does then."""
        with suppress(Exception, SystemExit):
            if hasattr(self.source, "close"):
                self.source.close()

    def _tables(self, most: int) -> Iterator[pa.Table]:
        """Yield tables as they come, and dicts together; the function may yield them one by one or in lists."""
        rows: list[Any] = []
        for item in self._items():
            for one in item if isinstance(item, list | tuple) else (item,):
                if not isinstance(one, dict) and is_table(one):
                    if rows:
                        yield to_table(rows)
                        rows = []
                    yield from to_tables(one)
                    continue
                rows.append(one)
                if len(rows) >= most:
                    yield to_table(rows)
                    rows = []
        if rows:
            yield to_table(rows)

    def _items(self) -> Iterator[Any]:
        request = self.request
        since = None
        if request.watermark is not None and request.cursor is not None:
            since = from_watermark(request.watermark, request.lookback)
        with self._failures_told():
            found = self.table.function(since)
            if is_table(found) or isinstance(found, dict):
                found = [found]
        if not isinstance(found, Iterable):
            raise NotRows(f"returns {named(found)}, and a generator or list is expected")
        with self._failures_told():
            self.source = iter(found)
            yield from self.source

    @contextmanager
    def _failures_told(self) -> Iterator[None]:
        try:
            yield
        except MemoryError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
            is_transient = isinstance(error, ConnectionError | TimeoutError)
            raise self._failed(describe_failure(error), is_transient=is_transient) from None

    def _failed(self, cause: str, *, is_transient: bool = False) -> SourceFailed:
        module, name = self.table.module, self.table.name
        return SourceFailed(
            str(self.table.mapping.name),
            f"python:{module}:{name} failed: {cause}",
            f"Run it by itself to see more: python -c 'from {module} import {name}; list({name}(None))'",
            is_transient,
        )
