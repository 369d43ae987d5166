"""The pharmacy's tables in PostgreSQL or MySQL: CRM, catalogue and clinic, and the lender's files as tables."""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import duckdb
import pyarrow as pa
import sqlalchemy

from demo.pharmacy import FILES, TABLES
from flows.core.errors import SourceFailed, WarehouseError
from flows.core.names import identifier
from flows.core.redaction import scrub
from flows.sources.sql.alchemy import AnyDialect

ROWS_A_STATEMENT = 1_000


@dataclass(frozen=True)
class Table:
    """A table with its rows; the types of its columns are `text`, `integer`, `date` or `timestamp`."""

    name: str
    types: Mapping[str, str]
    rows: pa.Table


def read_tables(folder: Path, sources: Collection[str]) -> Iterator[Table]:
    """Yield the tables of the pharmacy's databases that hold whole columns, and those of the lender's CSV files."""
    with duckdb.connect() as duck:
        for table in TABLES:
            if table.database in sources:
                with closing(sqlite3.connect(f"file:{folder / table.file_name}?mode=ro", uri=True)) as database:
                    rows = database.execute(f"select {', '.join(table.columns)} from {table.name}").fetchall()
                types = {name: kind.partition(" ")[0] for name, kind in table.columns.items()}
                texts = pa.table({name: _texts(rows, at) for at, name in enumerate(types)})
                yield Table(table.name, types, _typed(duck, "from texts", types, texts))
        for files in FILES:
            if files.source in sources:
                query = f"from read_csv('{folder / files.source / files.name}/*.csv', all_varchar = true)"
                names = [name for name, *_ in duck.execute(f"describe {query}").fetchall()]
                types = dict.fromkeys(names, "text")
                yield Table(files.name, types, _typed(duck, query, types))


def _texts(rows: list[tuple[Any, ...]], at: int) -> pa.Array:
    return pa.array([None if row[at] is None else str(row[at]) for row in rows], pa.string())


def _typed(
    duck: duckdb.DuckDBPyConnection, query: str, types: Mapping[str, str], texts: pa.Table | None = None
) -> pa.Table:
    """Return rows of texts as Arrow of their types."""
    if texts is not None:
        duck.register("texts", texts)
    kinds = {"text": "varchar", "integer": "bigint"}
    columns = ", ".join(
        f"cast({identifier(name)} as {kinds.get(kind, kind)}) as {name}" for name, kind in types.items()
    )
    return duck.sql(f"select {columns} from ({query})").to_arrow_table()


@dataclass(frozen=True, repr=False)
class Database:
    """A database that holds all tables in its default schema; its URL holds a password and is never shown."""

    sources: ClassVar[tuple[str, ...]] = ("crm", "shop", "clinic", "lending")

    url: str

    def entry(self, source: str, entry: Mapping[str, Any], url: str) -> Mapping[str, Any]:
        """Return an entry with the database's URL, whose tables have the names of the contracts."""
        tables = {
            name: {key: value for key, value in (options or {}).items() if key != "from"}
            for name, options in entry["tables"].items()
        }
        return {**entry, "url": url, "tables": tables}


class Postgresql(Database):
    """A PostgreSQL database, written by ADBC."""

    def feed(self, folder: Path, sources: Collection[str]) -> None:
        """Replace all rows of all tables in one transaction, so that a reader sees one day of the pharmacy."""
        import adbc_driver_postgresql.dbapi

        from flows.sources.sql.postgresql import CONNECT_SECONDS, connection_string
        from flows.sources.sql.postgresql import Postgresql as Reader

        url = sqlalchemy.make_url(self.url)
        with (
            _failures_told(Reader(url).explain),
            adbc_driver_postgresql.dbapi.connect(connection_string(url, CONNECT_SECONDS)) as database,
            database.cursor() as cursor,
        ):
            for table in read_tables(folder, sources):
                columns = ", ".join(f"{name} {kind.replace('integer', 'bigint')}" for name, kind in table.types.items())
                cursor.execute(f"create table if not exists {table.name} ({columns})")
                cursor.execute(f"delete from {table.name}")
                cursor.adbc_ingest(table.name, table.rows, mode="append")
            database.commit()


class Mysql(Database):
    """A MySQL or MariaDB database, written by the driver that reads it."""

    def feed(self, folder: Path, sources: Collection[str]) -> None:
        """Replace all rows of all tables in one transaction, so that a reader sees one day of the pharmacy."""
        from flows.sources.sql.mysql import Mysql as Reader

        reader = Reader()
        kinds = {"integer": "bigint", "timestamp": "datetime(6)", "text": "longtext"}
        with _failures_told(reader.explain), _engine(reader, self.url) as engine:
            tables = list(read_tables(folder, sources))
            with engine.begin() as database:
                for table in tables:  # before the transaction, which a statement that creates a table would end
                    columns = ", ".join(f"{name} {kinds.get(kind, kind)}" for name, kind in table.types.items())
                    database.exec_driver_sql(
                        f"create table if not exists {table.name} ({columns}) character set utf8mb4"
                    )
            with engine.begin() as database:
                for table in tables:
                    database.exec_driver_sql(f"delete from {table.name}")
                    _insert(database, table)


@contextmanager
def _engine(reader: AnyDialect, url: str) -> Iterator[sqlalchemy.Engine]:
    engine = reader.engine(sqlalchemy.make_url(url), None)
    try:
        yield engine
    finally:
        engine.dispose()


def _insert(database: sqlalchemy.Connection, table: Table) -> None:
    marks = ", ".join(["%s"] * len(table.types))
    for batch in table.rows.to_batches(ROWS_A_STATEMENT):
        rows = list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
        database.exec_driver_sql(f"insert into {table.name} values ({marks})", rows)


@contextmanager
def _failures_told(explain: Callable[[Exception], tuple[str, bool] | None]) -> Iterator[None]:
    """Turn an error of the database into SourceFailed, without its URL."""
    try:
        yield
    except WarehouseError:
        raise
    except Exception as error:  # noqa: BLE001 - drivers raise what they like
        cause, _ = explain(error) or (f"the driver raised {type(error).__name__}", False)
        remedy = "Fix the URL after --into, or the database; the user must be able to create tables and write to them."
        raise SourceFailed("demo", f"the database takes no tables: {scrub(cause)}", remedy) from None
