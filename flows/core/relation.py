"""DuckDB relations as values: a step returns one and the next step takes it, so that no step must know a name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import duckdb
import pyarrow as pa


@dataclass(frozen=True)
class Relation:
    """A table or view of a DuckDB connection; its name is private to the step that made it.

    As text it is its name, so SQL reads it by `from {relation}`. It is valid until the same step makes the next one:
    that replaces it, which keeps the memory of a load bounded.
    """

    connection: duckdb.DuckDBPyConnection = field(repr=False)
    name: str

    @classmethod
    def table(cls, connection: duckdb.DuckDBPyConnection, name: str, query: str) -> "Relation":
        """Keep what a query yields."""
        connection.execute(f"create or replace temp table {name} as {query}")
        return cls(connection, name)

    @classmethod
    def view(cls, connection: duckdb.DuckDBPyConnection, name: str, query: str) -> "Relation":
        """Name a query, which runs whenever it is read."""
        connection.execute(f"create or replace temp view {name} as {query}")
        return cls(connection, name)

    @classmethod
    def from_arrow(
        cls, connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table | pa.RecordBatchReader
    ) -> "Relation":
        """Copy Arrow rows into a table."""
        connection.register(f"arrow_{name}", rows)
        relation = cls.table(connection, name, f"from arrow_{name}")
        connection.unregister(f"arrow_{name}")
        return relation

    def __str__(self) -> str:
        return self.name

    @cached_property
    def types(self) -> Mapping[str, str]:
        """The DuckDB types of all columns, in their order."""
        return {name: kind for name, kind, *_ in self.connection.execute(f"describe {self.name}").fetchall()}

    def count(self, predicate: str = "true") -> int:
        """Count the rows for which a predicate is true."""
        sql = f"select count(*) from {self.name} where {predicate}"
        return int(self.connection.execute(sql).fetchall()[0][0])
