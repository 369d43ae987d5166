"""Workbooks of Excel (.xlsx): the cells of a sheet as texts, as a CSV file has them."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from io import BytesIO
from itertools import islice
from typing import IO, Any
from xml.parsers import expat

import pyarrow as pa
import python_calamine as calamine

from flows.core.errors import SchemaMismatch, SourceFailed
from flows.sources.batches import SourceFile
from flows.sources.files.archives import is_packed, opened
from flows.sources.files.dialect import require_columns
from flows.sources.files.landing import (
    LANDED,
    ColumnNames,
    FileRecords,
    Reading,
    bound_memory,
    insert_arrow,
    number_and_name,
)
from flows.sources.files.sheets import Area, NoSheet, Omitted, column_letters, find_omitted
from flows.sources.json_records import refuse_colliding_names
from flows.sources.python_values import text_of

LARGEST_UNPACKED = 256 * 1024 * 1024
"""The bytes of XML that a workbook may unpack to: its reader needs twice as many, since it holds a whole sheet."""

ROWS_A_PIECE, PIECE = 20_000, 1024 * 1024
LARGEST_EXACT = 2**53
OLD_OR_ENCRYPTED = bytes.fromhex("d0cf11e0a1b11ae1")
DAMAGED = (calamine.CalamineError, expat.ExpatError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)


@dataclass(frozen=True)
class Sheet:
    """A sheet with the names of its columns, its records with `_row` as last column, and how many cells are errors."""

    title: str
    names: tuple[str, ...]
    rows: pa.Table
    errors: int


def read_excel(reading: Reading, files: Sequence[SourceFile]) -> Iterator[FileRecords]:
    """Yield the records of workbooks, with every cell as text and the sheet's own row numbers.

    It reads one sheet of each, or all whose names match a pattern: then `_file` ends with the name of the sheet.

    Raises SourceFailed for a file that is no workbook, or has no such sheet; SchemaMismatch for its headings.
    """
    connection, columns, known = reading.connection, ColumnNames(), set[str]()
    connection.execute(f"create or replace temp table {LANDED} (_at bigint, _row bigint)")
    notes, parts, has_pattern = [], list[SourceFile](), Area.parse(reading.sheet).is_pattern
    for file in files:
        for sheet in _read(file, reading):
            own = [columns.add(name) for name in sheet.names]
            bound_memory(connection, len({*known, *own}))
            for name in own:
                if name not in known:
                    connection.execute(f"alter table {LANDED} add column {name} varchar")
                    known.add(name)
            insert_arrow(connection, sheet.rows.rename_columns([*own, "_row"]), len(parts))
            parts.append(replace(file, name=f"{file.name}!{sheet.title}") if has_pattern else file)
            if sheet.errors:
                notes.append(
                    f"{reading.table}: {sheet.errors:,} cells of {parts[-1].name} are errors such as #N/A, "
                    "or formulas that were never computed; they are taken as null"
                )
    further = (f"{reading.table}: {len(notes) - 1:,} further files have such cells",) if len(notes) > 1 else ()
    yield FileRecords(tuple(files), number_and_name(connection, parts, columns), notes=(*notes[:1], *further))


def _read(file: SourceFile, reading: Reading) -> list[Sheet]:
    area = Area.parse(reading.sheet)
    try:
        with _opened(file, reading) as stream, zipfile.ZipFile(stream) as book:
            _require_bounded(book, file, reading)
            stream.seek(0)
            sheets = _sheets(calamine.load_workbook(stream), area)
            return [_records(sheet, find_omitted(book, sheet.name), area, file, reading) for sheet in sheets]
    except NoSheet as error:
        remedy = f"Fix `from` in {reading.place}: after the file it names sheet and range, as book.xlsx!Prices!B4:F."
        raise SourceFailed(reading.table, f"{file.name}: {error}", remedy) from None
    except DAMAGED as error:
        raise _unreadable(file, reading, f"it is damaged ({type(error).__name__})") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how a fault of a library in Rust ends, and no Exception
            raise
        raise _unreadable(file, reading, "its reader fails on it") from None


def _opened(file: SourceFile, reading: Reading) -> IO[bytes]:
    with opened(file.path) as stream:
        start = stream.read(len(OLD_OR_ENCRYPTED))
        if start == OLD_OR_ENCRYPTED:
            raise _unreadable(file, reading, "it is protected by a password, or an old .xls file")
        return BytesIO(start + stream.read()) if is_packed(file.path) else file.path.open("rb")


def _require_bounded(book: zipfile.ZipFile, file: SourceFile, reading: Reading) -> None:
    """Raise SourceFailed for a workbook that would need too much memory; its parts are read, since a size may lie."""
    parts = [one for one in book.infolist() if one.filename.lower().endswith((".xml", ".rels"))]
    unpacked = sum(one.file_size for one in parts)
    if unpacked > LARGEST_UNPACKED:
        raise SourceFailed(
            reading.table,
            f"{file.name}: it unpacks to {unpacked:,} bytes, and a workbook may have {LARGEST_UNPACKED:,}",
            "Save its sheet as a CSV file, which may have any size.",
        )
    for part in parts:
        with book.open(part) as stream:
            while stream.read(PIECE):
                pass


def _sheets(book: calamine.CalamineWorkbook, area: Area) -> list[calamine.CalamineSheet]:
    """Return the sheet of a name, in any case as in Excel, or the first that is visible, or all that match a pattern.

    A pattern leaves out hidden sheets.
    """
    listed = [one for one in book.sheets_metadata if one.typ == calamine.SheetTypeEnum.WorkSheet]
    visible = [one.name for one in listed if one.visible == calamine.SheetVisibleEnum.Visible]
    names = {one.name.casefold(): one.name for one in listed}
    if area.is_pattern:
        chosen = [name for name in visible if fnmatchcase(name.casefold(), area.sheet.casefold())]
    else:
        name = names.get(area.sheet.casefold()) if area.sheet else next(iter(visible), None)
        chosen = [] if name is None else [name]
    if not chosen:
        raise NoSheet(f"it has no sheet {area.sheet or 'that is visible'}; it has {', '.join(names.values())}")
    return [book.get_sheet_by_name(name) for name in chosen]


def _records(sheet: calamine.CalamineSheet, omitted: Omitted, area: Area, file: SourceFile, reading: Reading) -> Sheet:
    """Return the records below the heading, without empty rows, and without empty columns that have no heading."""
    rows = _rows(sheet, omitted, area, reading.format.skip)
    names = reading.format.header
    if not names:
        row, heading = next(rows, (0, []))
        _require_unmerged(sheet, row, area, file, reading)
        names = tuple(" ".join((cell or "").split()) for cell in heading)
        if names:
            require_columns(file, names, reading, _name_range(reading))
    width = max(len(names), _width(sheet, area))
    names = (*names, *[""] * (width - len(names)))
    pieces = [_to_table(width, [])]
    while piece := list(islice(rows, ROWS_A_PIECE if reading.look is None else reading.look + 1)):
        pieces.append(_to_table(width, piece))
        if reading.look is not None:
            break
    table = pa.concat_tables(pieces)
    used = [at for at, name in enumerate(names) if name or table.column(at).null_count < table.num_rows]
    kept = tuple(names[at] or f"column{column_letters(area.columns[0] + at)}" for at in used)
    refuse_colliding_names(reading.table, list(kept))
    return Sheet(sheet.name, kept, table.select([*used, width]), sum(area.has(*place) for place in omitted.errors))


def _rows(
    sheet: calamine.CalamineSheet, omitted: Omitted, area: Area, skip: int
) -> Iterator[tuple[int, list[str | None]]]:
    """Yield the rows of the range that are not empty, with their number from 0; empty ones count as skipped, too."""
    first, left = sheet.start[1] if sheet.start else 0, area.columns[0]
    columns = range(left, left + _width(sheet, area))
    start, end = area.rows
    for row, values in islice(enumerate(sheet.iter_rows()), start + skip, end):  # from the sheet's first row on
        cells = [
            _text(values[at - first] if 0 <= at - first < len(values) else "", omitted.exact.get((row, at)))
            for at in columns
        ]
        if any(cell is not None for cell in cells):
            yield row, cells


def _width(sheet: calamine.CalamineSheet, area: Area) -> int:
    left, right = area.columns
    return max((sheet.end[1] + 1 if sheet.end else 0) - left, 0) if right is None else right - left


def _text(value: Any, digits: str | None) -> str | None:
    """Return a cell as text; a number without a fraction has none, and a long one has the digits that were written."""
    if isinstance(value, float):
        return digits or (str(int(value)) if value.is_integer() and abs(value) < LARGEST_EXACT else repr(value))
    return text_of(value) or None


def _to_table(width: int, rows: Sequence[tuple[int, Sequence[str | None]]]) -> pa.Table:
    padding = [None] * width
    columns = list(zip(*([*cells, *padding][:width] for _, cells in rows), strict=True)) or [()] * width
    arrays = [pa.array(values, pa.string()) for values in columns]
    numbers = pa.array([row + 1 for row, _ in rows], pa.int64())
    return pa.Table.from_arrays([*arrays, numbers], names=[*map(str, range(width)), "_row"])


def _require_unmerged(sheet: calamine.CalamineSheet, row: int, area: Area, file: SourceFile, reading: Reading) -> None:
    """Raise SchemaMismatch for a heading over several columns: it names none of them."""
    for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
        if top <= row <= bottom and left < right and area.has(row, left):
            place = f"{column_letters(left)}{top + 1}:{column_letters(right)}{bottom + 1}"
            cause = f"the heading of {file.name} is merged over several columns at {place}"
            raise SchemaMismatch(reading.table, cause, (), _name_range(reading))


def _name_range(reading: Reading) -> str:
    return (
        f"Name the sheet and range that begin with the heading in {reading.place}: from: book.xlsx!Prices!B4:F. "
        "If its heading has several rows or none, name the columns: format: {header: [NAME, …]}."
    )


def _unreadable(file: SourceFile, reading: Reading, cause: str) -> SourceFailed:
    return SourceFailed(
        reading.table, f"{file.name}: {cause}", "Open it in Excel, and save it as .xlsx without a password."
    )
