"""SQLite for ADBC: any column may hold values of several types, so some are read as text."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import quote

import adbc_driver_sqlite.dbapi
import pyarrow as pa
import pyarrow.compute as pc
from adbc_driver_manager.dbapi import Connection as Database

from flows.core.names import literal
from flows.sources.sql import pieces
from flows.sources.sql.adbc import MixedTypesError
from flows.sources.watermark import Cursor

LARGEST_EXACT = 2.0**53
"""From here on, a double may be a whole number that the driver has rounded."""


@dataclass(frozen=True)
class Sqlite:
    """A SQLite file, opened for reading only."""

    path: Path

    def connect(self) -> Database:
        """Open the file; raises OSError if it does not exist."""
        if not self.path.exists():
            raise FileNotFoundError(f"there is no SQLite file {self.path.name}")
        return adbc_driver_sqlite.dbapi.connect(f"file:{quote(str(self.path))}?mode=ro")

    def statement_options(self) -> Mapping[str, str]:
        """Return how many rows a fetch has."""
        return {"adbc.sqlite.query.batch_rows": str(pieces.ROWS_A_FETCH)}

    def expression(self, field: pa.Field, column: str, *, as_text: bool) -> str:
        """Return a column, or its text after a mark.

        The driver takes a column for numbers if its first rows are all null, so every text needs a mark.
        """
        return f"coalesce('=' || {_exact_text(column)}, '')" if as_text else column

    def decode(self, reader: pa.RecordBatchReader, *, as_text: bool) -> Iterator[pa.Table]:
        """Yield fetched pieces; raises MixedTypesError for a column that no one type can hold."""
        try:
            for batch in reader:
                piece = pa.Table.from_batches([batch])
                yield _without_marks(piece) if as_text else _require_exact(piece)
        except OSError as error:
            if "Type mismatch" in str(error):
                raise MixedTypesError from None
            raise

    def literal(self, cursor: Cursor) -> str:
        """Write a cursor value as SQL; digits become a number, since SQLite sorts every text after all numbers."""
        text = str(cursor)
        if isinstance(cursor, str | date) and not _is_number(text):
            return literal(text)
        return text.replace("inf", "9e999")

    def explain(self, error: Exception) -> tuple[str, bool]:
        """Return the driver's own message, and whether another process holds the file."""
        cause = "a value that the driver cannot read" if isinstance(error, pa.ArrowInvalid) else str(error)
        return cause, "locked" in cause or "busy" in cause


def _is_number(text: str) -> bool:
    """Tell whether SQLite would write a number like this text, so that it compares with both numbers and texts."""
    is_whole = re.fullmatch(r"0|-?[1-9]\d{0,17}", text) is not None
    return is_whole or (re.fullmatch(r"-?\d+\.\d+", text) is not None and f"{float(text):.15g}" == text)


def _exact_text(column: str) -> str:
    """Write 15 digits of a real number, which is short and mostly exact, or 17 where it is not."""
    short, long = f"printf('%!.15g', {column})", f"printf('%!.17g', {column})"
    real = f"case when cast({short} as real) = {column} then {short} else {long} end"
    return f"case typeof({column}) when 'real' then {real} else cast({column} as text) end"


def _require_exact(piece: pa.Table) -> pa.Table:
    for column in piece.columns:
        if pa.types.is_float64(column.type) and (pc.max(pc.abs(column)).as_py() or 0) >= LARGEST_EXACT:
            raise MixedTypesError
    return piece


def _without_marks(piece: pa.Table) -> pa.Table:
    texts = [
        pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), pc.utf8_slice_codeunits(column, 1))
        for column in piece.columns
    ]
    return pa.table(texts, piece.column_names)
