"""Workbooks of Excel, written by hand: each cell as the XML that Excel writes for it."""

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

SPREADSHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
STYLES = ("General", "yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss", "0.00%", '#,##0.00 "€"', "[h]:mm:ss", "hh:mm", "00000")
"""Formats of numbers; a cell names one by its place."""

Cell = str | int | float | bool | None | tuple[str, str] | tuple[str, str, int]
"""A value, or the type and text of a cell, with the number of its format.

Types are `n`, `e`, `d`, `str` (the text of a formula), and `f` (a formula that no program has computed).
"""


def write_workbook(
    path: Path,
    sheets: Mapping[str, Sequence[Sequence[Cell]]],
    *,
    merged: Sequence[str] = (),
    hidden: Sequence[str] = (),
    is_1904: bool = False,
) -> Path:
    """Write a workbook whose sheets begin at A1; `merged` are ranges of the first sheet."""
    names = list(sheets)
    listed = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{at}" r:id="rId{at}" '
        f'state="{"hidden" if name in hidden else "visible"}"/>'
        for at, name in enumerate(names, 1)
    )
    targets = {f"rId{at}": ("worksheet", f"worksheets/sheet{at}.xml") for at, _ in enumerate(names, 1)}
    formats = "".join(f'<numFmt numFmtId="{200 + at}" formatCode={quoteattr(one)}/>' for at, one in enumerate(STYLES))
    cells = "".join(f'<xf numFmtId="{200 + at}" applyNumberFormat="1"/>' for at, _ in enumerate(STYLES))
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types"/>',
        "_rels/.rels": _relations({"rId1": ("officeDocument", "xl/workbook.xml")}),
        "xl/_rels/workbook.xml.rels": _relations({**targets, "rId99": ("styles", "styles.xml")}),
        "xl/workbook.xml": f'<workbook xmlns="{SPREADSHEET}" xmlns:r="{RELATIONS}">'
        f'<workbookPr date1904="{int(is_1904)}"/><sheets>{listed}</sheets></workbook>',
        "xl/styles.xml": f'<styleSheet xmlns="{SPREADSHEET}"><numFmts>{formats}</numFmts>'
        f"<cellXfs>{cells}</cellXfs></styleSheet>",
    }
    for at, name in enumerate(names, 1):
        parts[f"xl/worksheets/sheet{at}.xml"] = _sheet(sheets[name], merged if at == 1 else ())
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as book:
        for part, text in parts.items():
            book.writestr(part, text)
    return path


def _relations(targets: Mapping[str, tuple[str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="{name}" Type="{RELATIONS}/{kind}" Target="{target}"/>'
        for name, (kind, target) in targets.items()
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{listed}</Relationships>'


def column_name(at: int) -> str:
    """Return the letters of a column, from 0."""
    return ("" if at < 26 else column_name(at // 26 - 1)) + chr(ord("A") + at % 26)


def _sheet(rows: Sequence[Sequence[Cell]], merged: Sequence[str]) -> str:
    written = []
    for row, cells in enumerate(rows, 1):
        found = "".join(_cell(f"{column_name(at)}{row}", cell) for at, cell in enumerate(cells) if cell is not None)
        if found:
            written.append(f'<row r="{row}">{found}</row>')
    spans = "".join(f'<mergeCell ref="{one}"/>' for one in merged)
    spans = f"<mergeCells>{spans}</mergeCells>" if spans else ""
    return f'<worksheet xmlns="{SPREADSHEET}"><sheetData>{"".join(written)}</sheetData>{spans}</worksheet>'


def _cell(place: str, cell: Cell) -> str:
    match cell:
        case bool():
            return f'<c r="{place}" t="b"><v>{int(cell)}</v></c>'
        case int() | float():
            return f'<c r="{place}"><v>{cell!r}</v></c>'
        case str():
            return f'<c r="{place}" t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>'
        case (kind, text, *style):
            shown = f' s="{style[0]}"' if style else ""
            if kind == "f":
                return f'<c r="{place}"{shown}><f>1+1</f></c>'
            formula = "<f>1+1</f>" if kind == "str" else ""
            return f'<c r="{place}" t="{kind}"{shown}>{formula}<v>{escape(text)}</v></c>'
    raise TypeError(place)
