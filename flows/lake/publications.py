"""Tables of releases as Delta tables in the lake: a release names the version that has its rows.

Only a release says which version is sound. The newest one may be of a run that was killed, or of a release that readers
were sent back from.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import CommitProperties, DeltaTable

from flows.config.publications import Publication, publication_path
from flows.core.names import identifier
from flows.lake.copies import file_sizes, place_of
from flows.lake.delta import KEEP_COMMITS, WRITTEN, open_table, relation_of, write_rows
from flows.lake.lease import require_lease

CONTENT, RELEASE = "content", "release"
"""The metadata of a commit: a hash of the rows, and the release that they were written for."""

MOST_CHANGED = 4
"""If more than one row of so many has changed, the whole table is written again, since most files would be anyway."""

MOST_ROWS = 1_000_000
"""Changed rows that are held in memory at most; a whole table is written in pieces."""

MEMORY = "400MB"
"""DuckDB spills what needs more to a folder beside the database."""

FILE_BYTES = 32 * 1024 * 1024
"""A changed row has its whole file written again, so that files are small."""

ROWS_A_BATCH = 100_000
GONE = "__gone"

AS_DELTA = {
    **dict.fromkeys(("TIME", "UUID", "INTERVAL", "BIT", "JSON", '"NULL"', "TIME WITH TIME ZONE"), "varchar"),
    **dict.fromkeys(("TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"), "timestamp"),
    **{"UTINYINT": "smallint", "USMALLINT": "integer", "UINTEGER": "bigint", "UBIGINT": "decimal(20, 0)"},
    **dict.fromkeys(("HUGEINT", "UHUGEINT"), "decimal(38, 0)"),
}
"""Types of DuckDB that Delta does not have, each with one that holds their values; an enum becomes a text."""


def publish_versions(
    lake: Path,
    database: Path,
    publications: Iterable[Publication],
    contents: Mapping[str, str],
    release: str,
    before: Mapping[str, int],
) -> dict[str, int]:
    """Bring Delta tables to the rows that a database has, and return the version of each by the table's name.

    `contents` has a hash of each table's rows by dbt's unique id. A table whose newest version, or the one that the
    release `before` names, has this hash gets no new version.
    """
    versions = {}
    with duckdb.connect(str(database), read_only=True, config={"memory_limit": MEMORY}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for publication in publications:
            path, content = publication_path(lake, publication.name), contents[publication.unique_id]
            stored = open_table(path)
            version = _version_with(stored, content, before.get(publication.name))
            if version is None:
                properties = CommitProperties(custom_metadata={CONTENT: content, RELEASE: release})
                version = _write(connection, publication, path, stored, properties)
            versions[publication.name] = version
    return versions


def whole_versions(lake: Path, versions: Mapping[str, int]) -> dict[str, int]:
    """Return those of some versions whose files are all there, by the table's name."""
    found = {}
    for name, version in versions.items():
        path = publication_path(lake, name)
        newest = open_table(path)
        if newest is None or newest.version() < version:
            continue
        table = open_table(path, version)
        if table is not None and {place_of(uri) for uri in table.file_uris()} <= file_sizes(path).keys():
            found[name] = version
    return found


def _version_with(stored: DeltaTable | None, content: str, before: int | None) -> int | None:
    """Return the newest version, or the one before, if it has this content; later commits only merge its files."""
    commits = [commit for commit in stored.history() if CONTENT in commit] if stored is not None else []
    for commit in commits:
        if commit[CONTENT] == content and commit["version"] in (commits[0]["version"], before):
            return int(commit["version"])
    return None


def _write(
    connection: duckdb.DuckDBPyConnection,
    publication: Publication,
    path: Path,
    stored: DeltaTable | None,
    properties: CommitProperties,
) -> int:
    """Write what has changed, or the whole table, as one commit; return its version."""
    rows = _rows_of(connection, publication)
    columns = _columns(connection, rows)
    changes = _changes(connection, publication, rows, columns, relation_of(stored))
    if stored is not None and changes is not None:
        require_lease(path)
        values = {identifier(name): f"source.{identifier(name)}" for name in columns}
        (
            stored.merge(
                changes,
                " and ".join(f"target.{name} = source.{name}" for name in map(identifier, publication.key)),
                source_alias="source",
                target_alias="target",
                commit_properties=properties,
                post_commithook_properties=KEEP_COMMITS,
                writer_properties=WRITTEN,
            )
            .when_matched_delete(f"source.{GONE}")
            .when_matched_update(values)
            .when_not_matched_insert(values)
            .execute()
        )
    else:
        write_rows(
            stored,
            path,
            connection.sql(f"from {rows}").to_arrow_reader(ROWS_A_BATCH),
            mode="overwrite",
            schema_mode="overwrite",
            target_file_size=FILE_BYTES,
            commit_properties=properties,
            post_commithook_properties=KEEP_COMMITS,
            writer_properties=WRITTEN,
        )
    written = open_table(path)
    assert written is not None, "it was just written"
    return written.version()


def _rows_of(connection: duckdb.DuckDBPyConnection, publication: Publication) -> str:
    """Return SQL for the rows of a table in types that Delta has."""
    place = f"{identifier(publication.schema)}.{identifier(publication.table)}"
    listed = []
    for name, kind in _columns(connection, place).items():
        target = "varchar" if kind.startswith("ENUM(") else AS_DELTA.get(kind)
        listed.append(f"cast({identifier(name)} as {target}) as {identifier(name)}" if target else identifier(name))
    return f"(select {', '.join(listed)} from {place})"


def _columns(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    return {name: kind for name, kind, *_ in connection.execute(f"describe from {relation}").fetchall()}


def _changes(
    connection: duckdb.DuckDBPyConnection,
    publication: Publication,
    rows: str,
    columns: Mapping[str, str],
    stored: str | None,
) -> pa.Table | None:
    """Return the rows that are new or have changed, and the keys of those that are gone.

    None if the whole table is to be written: it is new, has other columns or no unique key, or too much has changed.
    """
    if stored is None or not publication.key or _columns(connection, stored) != columns:
        return None
    key = ", ".join(map(identifier, publication.key))
    is_set = " and ".join(f"{name} is not null" for name in map(identifier, publication.key))
    counts = [
        connection.execute(
            f"select count(*), (select count(*) from (select distinct {key} from {relation} where {is_set})) "
            f"from {relation}"
        ).fetchall()[0]
        for relation in (rows, stored)
    ]
    if any(count != distinct for count, distinct in counts):
        return None
    listed = ", ".join(map(identifier, columns))
    hashed = [f"select {key}, hash({listed}) as __hash from {relation}" for relation in (rows, stored)]
    changed = f"(select * from {rows} semi join ({hashed[0]} except {hashed[1]}) using ({key}))"
    gone = f"(select {key} from {stored} except select {key} from {rows})"
    sql = f"select (select count(*) from {changed}) + (select count(*) from {gone})"
    (number,) = connection.execute(sql).fetchall()[0]
    if number > min(MOST_ROWS, counts[0][0] // MOST_CHANGED):
        return None
    return connection.sql(
        f"select *, false as {GONE} from {changed} union all by name select {key}, true as {GONE} from {gone}"
    ).to_arrow_table()
