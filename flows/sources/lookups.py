"""Lookups: further files that the query of a mapping may join, and a hash of what they hold."""

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import duckdb

from flows.config.connections import Connection, TableMapping
from flows.core.errors import SourceFailed, UsageError
from flows.core.names import folded, identifier
from flows.core.relation import Relation
from flows.sources.batches import SERVICE_COLUMNS, Request
from flows.sources.files.table import FileTable
from flows.sources.mapping import UNTYPED

SCHEMA = "lookup"
"""The schema of lookups: their names cannot meet those of a load's own relations."""


def hash_lookups(connection: Connection, mapping: TableMapping) -> str:
    """Return a hash of the content of all lookups, so that a change reads the table again; empty without lookups."""
    if not mapping.lookups:
        return ""
    digest = hashlib.sha256()
    with tempfile.TemporaryDirectory() as work:
        for name, files in _lookups(connection, mapping):
            digest.update(f"{name} ".encode())
            for file in files.files(Path(work)):
                digest.update(file.sha256.encode())
    return digest.hexdigest()


def load_lookups(duck: duckdb.DuckDBPyConnection, connection: Connection, mapping: TableMapping, work: Path) -> None:
    """Make a table of each lookup, which the query reads as lookup.NAME.

    Raises SourceFailed for a lookup with a malformed record: a join would lose it in silence.
    """
    duck.execute(f"create schema if not exists {SCHEMA}")
    for name, files in _lookups(connection, mapping):
        request = Request(None, None, (), timedelta(0), lambda _file: None, work)
        parts: list[tuple[Relation, Mapping[str, str]]] = []
        for batch in files.batches(duck, request):
            if batch.rejected:
                cause = f"the lookup {name} has {len(batch.rejected):,} malformed records"
                raise SourceFailed(str(mapping.name), cause, f"Fix its files, or {mapping.place}.format.")
            types = {} if batch.records is None else batch.records.types
            if columns := {column: kind for column, kind in types.items() if column not in SERVICE_COLUMNS}:
                part = identifier(f"lookup {name} {len(parts)}")  # no name of a lookup has a space
                parts.append((Relation.table(duck, part, f"from {batch.records}"), columns))
        if not parts:
            raise SourceFailed(
                str(mapping.name), f"the files of the lookup {name} are empty", f"Fix {mapping.place}.lookups.{name}."
            )
        duck.execute(f"create view {SCHEMA}.{identifier(name)} as {_union(parts)}")


def _union(parts: Sequence[tuple[Relation, Mapping[str, str]]]) -> str:
    """Return SQL for all rows: a column that has several types is text, so that no value becomes another one."""
    kinds: dict[str, set[str]] = defaultdict(set)
    for _, types in parts:
        for column, kind in types.items():
            kinds[folded(column)] |= {kind} - {UNTYPED}

    def select(part: Relation, types: Mapping[str, str]) -> str:
        listed = []
        for column, kind in types.items():
            own, is_mixed = identifier(column), len(kinds[folded(column)]) > 1
            value = "null" if kind == UNTYPED else f"cast({own} as varchar)" if is_mixed else own
            listed.append(f"{value} as {own}")
        return f"select {', '.join(listed)} from {part}"

    return " union all by name ".join(select(*part) for part in parts)


def _lookups(connection: Connection, mapping: TableMapping) -> Iterator[tuple[str, FileTable]]:
    """Yield lookups by name: files beside those of the source, or for an API files of a `file:` URL."""
    kind = urlsplit(connection.url()).scheme
    for name, origin in mapping.lookups.items():
        is_beside = kind in ("file", "s3")
        if not is_beside and not (kind in ("http", "https") and origin.startswith("file:")):
            raise UsageError(
                f"{mapping.place}.lookups.{name} cannot be read.",
                "Lookups are files: a path below the source's folder, or for an API a URL such as file:FOLDER/x.csv. "
                "A database joins its tables in its own query.",
            )
        here = connection if is_beside else connection.model_copy(update={"url_template": "file:."})
        place = mapping.model_copy(update={"origin": origin.removeprefix("file:").removeprefix("//")})
        yield name, FileTable(here, place)
