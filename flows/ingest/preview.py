"""A preview of a source table: records as they come and as they would be loaded, without personal data."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from flows.config.connections import Connection
from flows.config.contract import Column, Contract
from flows.core.names import folded, identifier
from flows.core.relation import Relation
from flows.ingest.look import Look, look_at
from flows.lake.check import SEPARATOR, Checked
from flows.lake.quarantine_report import shape
from flows.sources.batches import source_columns
from flows.sources.mapping import MappedBatch, read_columns

LONGEST = 60
"""The characters of a value that are shown."""

LIKE_AN_ADDRESS = re.compile(r"\S@\S")
POSITION = "_file || coalesce(':' || _row, '')"


@dataclass(frozen=True)
class Cell:
    """A contract column of a record: the values that it is made of, by source column, and what becomes of them."""

    column: str
    read: Mapping[str, str]
    result: str


@dataclass(frozen=True)
class Preview:
    """A record of a source and its columns under the contract, or the reasons for which it would be quarantined."""

    position: str
    cells: tuple[Cell, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class TablePreview:
    """The first records of a table. `extras` are kept under their own names, and `missing` columns would be null."""

    origin: str
    records: tuple[Preview, ...]
    malformed: tuple[tuple[str, str], ...]
    extras: tuple[str, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def preview_table(connection: Connection, contract: Contract, rows: int) -> TablePreview:
    """Map and check the first records of a source table, and write nothing.

    Raises UsageError, SourceFailed or SchemaMismatch.
    """
    with look_at(connection, contract) as look:
        malformed = tuple((rejected.position, rejected.reason) for rejected in look.batch.rejected)[:rows]
        if look.is_empty:
            return TablePreview(look.mapping.origin, (), malformed, (), (), look.batch.notes)
        mapped = look.map()
        checked = look.check(mapped)
        records = tuple(islice(_records(look, mapped, checked), rows))
        extras = () if mapped.hides_names else mapped.extras
        return TablePreview(look.mapping.origin, records, malformed, extras, mapped.missing, look.batch.notes)


def _records(look: Look, mapped: MappedBatch, checked: Checked) -> Iterator[Preview]:
    columns = [column for column in look.contract.columns if column.name not in mapped.missing]
    offered = {folded(name): name for name in source_columns(mapped.records)}
    reads = read_columns(mapped.records.connection, look.mapping)
    read_by = {column.name: _own(column, reads, offered) for column in columns}
    classes = _personal_columns(columns, read_by)
    came = {row["_position"]: row for row in _texts(mapped.records, POSITION, list(offered.values()))}
    for row in _texts(checked.records, "_position", [column.name for column in columns], ", _reasons"):
        source = came.get(row["_position"], {})
        reasons = tuple((row["_reasons"] or "").split(SEPARATOR)) if row["_reasons"] else ()
        cells = [_cell(column, read_by[column.name], classes, source, row, bool(reasons)) for column in columns]
        yield Preview(row["_position"] or "", tuple(cells), reasons)


def _own(column: Column, reads: Mapping[str, set[str]], offered: Mapping[str, str]) -> list[str]:
    """Return the source's columns that a contract column names, as the source spells them."""
    named = reads.get(column.name, {folded(column.name)})
    return [name for key, name in offered.items() if key in named]


def _personal_columns(columns: Sequence[Column], read_by: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the class of personal data of each source column that becomes a personal column."""
    return {
        name: column.personal_class or "personal"
        for column in columns
        if column.is_personal
        for name in read_by[column.name]
    }


def _cell(
    column: Column,
    read: Sequence[str],
    classes: Mapping[str, str],
    source: Mapping[str, Any],
    row: Mapping[str, Any],
    is_quarantined: bool,
) -> Cell:
    """Show values, but of personal data their class alone, and of a record that breaks a rule their shape alone."""
    own = column.personal_class or "personal" if column.is_personal else ""
    own = own or next((classes[name] for name in read if name in classes), "")
    shown = {name: _shown(source.get(name), classes.get(name, ""), is_quarantined) for name in read}
    return Cell(column.name, shown, _shown(row[column.name], own, is_quarantined))


def _shown(value: str | None, personal_class: str, is_quarantined: bool) -> str:
    if value is None:
        return "null"
    if personal_class:
        return f"<{personal_class}>"
    is_unknown = LIKE_AN_ADDRESS.search(value) is not None or value.lstrip().startswith(("{", "["))
    text = shape(value) if is_quarantined or is_unknown else value
    return " ".join(text.split()) if len(text) <= LONGEST else f"{' '.join(text[:LONGEST].split())}…"


def _texts(records: Relation, position: str, names: Sequence[str], further: str = "") -> list[dict[str, Any]]:
    """Return records as texts, in their order; bytes are not shown."""
    listed = "".join(
        f", if({identifier(name)} is null, null, '<bytes>') as {identifier(name)}"
        if records.types[name] == "BLOB"
        else f", cast({identifier(name)} as varchar) as {identifier(name)}"
        for name in names
    )
    found = records.connection.execute(f"select {position} as _position{listed}{further} from {records}")
    columns = [one[0] for one in found.description or ()]
    return [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
