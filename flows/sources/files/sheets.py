"""Sheets of a workbook of Excel: the sheet and range that `from` names, and the cells that its reader leaves out."""

import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO
from xml.etree import ElementTree
from xml.parsers import expat

WORKBOOK = ".xlsx"
RANGE = re.compile(r"([A-Z]{1,3})([1-9][0-9]*)?:([A-Z]{1,3})([1-9][0-9]*)?", re.IGNORECASE)
OMITTED = re.compile(rb"""\bt=["']e["']|>-?[0-9]{16}|<(?:\w+:)?f\b[^<>]*/>\s*</|</(?:\w+:)?f>\s*</""")
"""A first look at a sheet: errors, numbers of more than 15 digits, and formulas without a value."""

LONG_NUMBER = re.compile(r"-?[0-9]{16,}")
PIECE, OVERLAP = 1024 * 1024, 1024


class NoSheet(Exception):
    """A workbook without the sheet that is asked for, or without a list of its sheets; its text is the cause."""


@dataclass(frozen=True)
class Area:
    """A sheet, by default the first visible one, or a pattern of names of sheets; and a range of it.

    Rows and columns count from 0, and the end of a range is not a part of it. An end of None is that of the sheet.
    """

    sheet: str = ""
    rows: tuple[int, int | None] = (0, None)
    columns: tuple[int, int | None] = (0, None)

    @classmethod
    def parse(cls, text: str) -> "Area":
        """Read an address as Excel writes it: Prices, 'My sheet'!B4:F20, B4:F for all rows from the fourth on."""
        sheet, _, last = text.rpartition("!")
        found = RANGE.fullmatch(last.replace("$", ""))
        sheet = sheet if found else text
        if len(sheet) > 1 and sheet[0] == sheet[-1] == "'":
            sheet = sheet[1:-1].replace("''", "'")
        if found is None:
            return cls(sheet)
        left, top, right, bottom = found.groups()
        columns = sorted((column_number(left), column_number(right)))  # from any corner to the opposite one
        first, end = int(top or 1), int(bottom) if bottom else None
        first, end = (first, end) if end is None or first <= end else (end, first)
        return cls(sheet, (first - 1, end), (columns[0], columns[1] + 1))

    @property
    def is_pattern(self) -> bool:
        """Whether it names sheets by `*` or `?`, which no name of a sheet has."""
        return "*" in self.sheet or "?" in self.sheet

    def has(self, row: int, column: int) -> bool:
        """Tell whether a cell is a part of the range."""
        return all(
            start <= at and (end is None or at < end) for at, (start, end) in ((row, self.rows), (column, self.columns))
        )


def split_origin(origin: str) -> tuple[str, str]:
    """Return which files a `from` names, and the sheet and range after a workbook: book.xlsx!Prices!B4:F."""
    parts = origin.split("!")
    for at, part in enumerate(parts[:-1], start=1):
        if part.lower().removesuffix(".gz").endswith(WORKBOOK):
            return "!".join(parts[:at]), "!".join(parts[at:])
    return origin, ""


def column_number(letters: str) -> int:
    """Return the number of a column, from 0."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def column_letters(number: int) -> str:
    """Return the letters of a column, whose number counts from 0."""
    before, at = divmod(number, 26)
    return (column_letters(before - 1) if before else "") + chr(ord("A") + at)


@dataclass
class Omitted:
    """Cells that a reader leaves out or rounds, by row and column from 0.

    `errors` are such as #N/A, and formulas that no program has computed. `exact` are the digits of long numbers.
    """

    errors: set[tuple[int, int]] = field(default_factory=set)
    exact: dict[tuple[int, int], str] = field(default_factory=dict)


def find_omitted(book: zipfile.ZipFile, sheet: str) -> Omitted:
    """Return the cells that a reader of the sheet leaves out; most sheets have none, and are not parsed for that.

    Raises NoSheet, or an error of zipfile or expat for a damaged workbook.
    """
    part = _part_of(book, sheet)
    with book.open(part) as stream:
        if not any(OMITTED.search(piece) for piece in _overlapping(stream)):
            return Omitted()
    scan = _Scan()
    with book.open(part) as stream:
        scan.parser.ParseFile(stream)
    return scan.found


def _overlapping(stream: IO[bytes]) -> Iterator[bytes]:
    end = b""
    while piece := stream.read(PIECE):
        yield end + piece
        end = piece[-OVERLAP:]


def _part_of(book: zipfile.ZipFile, sheet: str) -> str:
    """Return the name of the part that holds a sheet."""
    try:
        listed = ElementTree.fromstring(book.read("xl/workbook.xml"))
        related = ElementTree.fromstring(book.read("xl/_rels/workbook.xml.rels"))
    except (KeyError, ElementTree.ParseError):
        raise NoSheet("it has no list of sheets") from None
    targets = {one.get("Id"): one.get("Target", "") for one in related}
    for one in listed.iter():
        if one.tag.rpartition("}")[2] == "sheet" and one.get("name") == sheet:
            target = next((targets.get(value, "") for key, value in one.items() if key.endswith("}id")), "")
            return str(PurePosixPath("/xl", target)).lstrip("/")
    raise NoSheet("it has no such sheet")


class _Scan:
    """A walk through the cells of a sheet, as they are written."""

    def __init__(self) -> None:
        self.found = Omitted()
        self.parser = expat.ParserCreate(namespace_separator="}")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self._row, self._column, self._kind = -1, -1, "n"
        self._has_formula = self._has_value = False
        self._text: list[str] = []

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        match tag.rpartition("}")[2]:
            case "row":
                self._row, self._column = int(attributes.get("r", self._row + 2)) - 1, -1
            case "c":
                letters = attributes.get("r", "").rstrip("0123456789")
                self._column = column_number(letters) if letters else self._column + 1
                self._kind, self._has_formula, self._has_value = attributes.get("t", "n"), False, False
            case "f":
                self._has_formula = True
            case "v":
                self._has_value, self._text = True, []
                self.parser.CharacterDataHandler = self._text.append

    def _end(self, tag: str) -> None:
        place = self._row, self._column
        match tag.rpartition("}")[2]:
            case "v":
                self.parser.CharacterDataHandler = None
                text = "".join(self._text).strip()
                if self._kind == "n" and LONG_NUMBER.fullmatch(text):
                    self.found.exact[place] = text
            case "c":
                if self._kind == "e" or (self._has_formula and not self._has_value):
                    self.found.errors.add(place)
