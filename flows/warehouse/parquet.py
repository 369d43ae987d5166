"""The marts of a release as Parquet files, for programs that read no DuckDB file; a set asks for them."""

from collections.abc import Iterable
from pathlib import Path

import duckdb

from flows.core.names import identifier, literal
from flows.core.storage import sync_path
from flows.warehouse.descriptions import PublishedModel


def write_parquet(database: Path, models: Iterable[PublishedModel], folder: Path) -> None:
    """Write each mart that is a table to `<folder>/<schema>/<name>.parquet`, compressed, and wait for the disk."""
    with duckdb.connect(str(database), read_only=True) as release:
        found = release.execute("select schema_name, table_name from duckdb_tables() where not internal").fetchall()
        for model in models:
            if not model.is_mart or (model.schema, model.name) not in found:
                continue
            file = folder / model.schema / f"{model.name}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            release.execute(
                f"copy {identifier(model.schema)}.{identifier(model.name)} to {literal(str(file))} "
                "(format parquet, compression zstd)"
            )
            sync_path(file)
    for path in (*folder.rglob("*"), folder):
        if path.is_dir():
            sync_path(path)
