"""Workbooks of Excel: sheet and range, values of every format, and what a reader of workbooks leaves out."""

import gzip
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from support.shop import Shop
from support.workbook import Cell, write_workbook

from flows.core.errors import SchemaMismatch, SourceFailed
from flows.ingest.mistakes import inspect_table
from flows.ingest.preview import preview_table
from flows.sources.files.sheets import Area, column_letters, column_number, split_origin
from flows.sources.survey import survey

COLUMNS = {"sku": "varchar not null", "price": "decimal(18, 4)", "sold_at": "timestamp"}
HEADING: list[Cell] = ["sku", "price", "sold_at"]


@pytest.fixture
def prices(shop: Shop) -> Shop:
    shop.declare("sales.prices", COLUMNS, key=["sku"], load="append")
    shop.connect(f"file:{shop.exports}")
    shop.map(**{"from": "prices.xlsx"})
    return shop


def write(shop: Shop, *rows: Sequence[Cell], name: str = "prices.xlsx", **further: Any) -> None:
    write_workbook(shop.exports / name, {"Prices": rows}, **further)


def test_the_first_visible_sheet_is_read_with_its_own_row_numbers(prices: Shop) -> None:
    # Given a hidden sheet, empty rows and columns, and a cell of blanks
    rows: list[list[Cell]] = [[], [None, *HEADING, None], [], [None, "a", 12.5, ("n", "46082.5", 2), None], [None, "b"]]
    sheets: dict[str, list[list[Cell]]] = {"Lists": [["no table"]], "Prices": rows, "Notes": [["no table"]]}
    write_workbook(prices.exports / "prices.xlsx", sheets, hidden=["Lists"])

    # When it is loaded twice, then rows that are empty are none, and all is known
    assert prices.load().counts.accepted == 2
    assert prices.load().counts.known == 2
    assert prices.rows("sku", "price", "sold_at::varchar") == [
        ("a", Decimal("12.5000"), "2026-03-01 12:00:00"),
        ("b", None, None),
    ]
    assert prices.rows("_position") == ["prices.xlsx:4", "prices.xlsx:5"]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (7, "7"),
        (("n", "7", 7), "7"),
        (0.1, "0.1"),
        (-2.5, "-2.5"),
        (("n", "1E-7"), "1e-07"),
        (("n", "9007199254740993"), "9007199254740993"),
        (("n", "123456789012345678"), "123456789012345678"),
        ("0012", "0012"),
        (" a\nb ", " a\nb "),
        (True, "true"),
        (("n", "46082", 1), "2026-03-01"),
        (("n", "46082.000011574", 2), "2026-03-01 00:00:01"),
        (("d", "2026-03-01T10:00:00"), "2026-03-01 10:00:00"),
        (("n", "0.25", 3), "0.25"),
        (("n", "12.5", 4), "12.5"),
        (("n", "1.5", 5), "36:00:00"),
        (("n", "0.5", 6), "12:00:00"),
        (("str", "of a formula"), "of a formula"),
        (("str", ""), None),
        ("#N/A", "#N/A"),
        ("", None),
    ],
)
def test_a_cell_becomes_the_text_that_its_value_has(shop: Shop, cell: Cell, text: str | None) -> None:
    shop.declare("sales.prices", {"id": "varchar not null", "value": "varchar"}, key=["id"], load="append")
    shop.map(**{"from": "prices.xlsx"})
    write(shop, ["id", "value"], ["a", cell])
    load = shop.load()
    assert shop.rows("value") == [text]
    assert load.notes == ()


def test_errors_and_formulas_without_a_value_are_null_and_the_run_says_so(prices: Shop) -> None:
    """The reader of workbooks takes them for empty cells, in silence."""
    write(prices, HEADING, ["a", ("e", "#N/A"), ("e", "#DIV/0!")], ["b", ("f", ""), None], ["c", 3, None])
    notes = prices.load().notes
    assert prices.rows("sku", "price") == [("a", None), ("b", None), ("c", 3)]
    assert "sales.prices: 3 cells of prices.xlsx are errors such as #N/A" in notes[0]

    # And errors outside the range count for nothing
    prices.map(**{"from": "prices.xlsx!A1:B2"})
    assert "1 cells of" in prices.load().notes[0]


def test_a_value_that_does_not_fit_the_contract_is_quarantined(prices: Shop) -> None:
    write(prices, HEADING, ["a", "12,50", "1/2/26"], ["b", 1, None])
    load = prices.load()
    assert (load.counts.accepted, load.counts.quarantined) == (1, 1)


def test_a_base_of_1904_moves_no_date(prices: Shop) -> None:
    write(prices, HEADING, ["a", 1, ("n", "44620", 1)], is_1904=True)
    prices.load()
    assert prices.rows("sold_at::varchar") == ["2026-03-01 00:00:00"]


@pytest.mark.parametrize(
    "origin",
    ["prices.xlsx!Prices 2026!B3:D5", "prices.xlsx!'Prices 2026'!$B$3:$D$5", "prices.xlsx!prices 2026!b3:D5"],
)
def test_sheet_and_range_are_named_after_the_file(prices: Shop, origin: str) -> None:
    # Given a sheet with a title, a note beside the table, and a sum below it
    rows: list[list[Cell]] = [
        ["Prices of March", None, None, None, "draft"],
        [],
        [None, *HEADING],
        [None, "a", 1, None, "look here"],
        [None, "b", 2],
        [None, "sum", 3],
    ]
    write_workbook(prices.exports / "prices.xlsx", {"First": [["x"]], "Prices 2026": rows})
    prices.map(**{"from": origin})
    prices.load()
    assert prices.rows("sku", "price") == [("a", 1), ("b", 2)]


@pytest.mark.parametrize(
    ("text", "area"),
    [
        ("", Area()),
        ("Prices", Area("Prices")),
        ("Prices!B4:F", Area("Prices", (3, None), (1, 6))),
        ("B4:F20", Area("", (3, 20), (1, 6))),
        ("F20:B4", Area("", (3, 20), (1, 6))),
        ("F4:B", Area("", (3, None), (1, 6))),
        ("A0:B2", Area("A0:B2")),
        ("AA:AB", Area("", (0, None), (26, 28))),
        ("'It''s! B4'!A1:A1", Area("It's! B4", (0, 1), (0, 1))),
    ],
)
def test_an_address_is_read_as_excel_writes_it(text: str, area: Area) -> None:
    assert Area.parse(text) == area


def test_columns_are_lettered_and_files_end_before_the_sheet() -> None:
    assert [column_letters(number) for number in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]
    assert [column_number(letters) for letters in ("A", "Z", "AA", "ZZ", "AAA")] == [0, 25, 26, 701, 702]
    assert split_origin("by-day.zip!*.xlsx!Prices!A:B") == ("by-day.zip!*.xlsx", "Prices!A:B")
    assert split_origin("by-day.zip!*.csv") == ("by-day.zip!*.csv", "")
    assert split_origin("wow!.xlsx") == ("wow!.xlsx", "")


def test_several_files_archives_and_packed_files_are_one_table(prices: Shop) -> None:
    # Given two workbooks, one of which has a further column, the mark of an open one, an archive and a packed one
    write(prices, HEADING, ["a", 1], name="prices-1.xlsx")
    write(prices, [*HEADING, "colour"], ["b", 2, None, "red"], name="prices-2.xlsx")
    prices.drop("~$prices-2.xlsx", b"the owner of an open file")
    prices.map(**{"from": "prices-*.xlsx!Prices"})
    assert prices.load().counts.accepted == 2
    assert prices.rows("sku", "colour") == [("a", None), ("b", "red")]

    # When an archive has one more, then it is read by the same reader
    write(prices, HEADING, ["c", 3], name="inner.xlsx")
    with zipfile.ZipFile(prices.exports / "all.zip", "w") as archive:
        archive.write(prices.exports / "inner.xlsx", "2026/inner.xlsx")
    prices.map(**{"from": "all.zip!*.xlsx!Prices!A:B"})
    assert prices.load().counts.accepted == 1
    prices.drop("packed.xlsx.gz", gzip.compress((prices.exports / "inner.xlsx").read_bytes()))
    prices.map(**{"from": "packed.xlsx.gz"})
    assert prices.load().counts.read == 1


def test_sheets_that_match_a_pattern_are_one_table_with_their_names(prices: Shop) -> None:
    # Given a workbook with a sheet for each month, a hidden one, and one of another kind
    months = {"2026-01": [HEADING, ["a", 1]], "2026-02": [HEADING, ["b", 2], ["c", 3]], "2025-12": [HEADING, ["z", 9]]}
    write_workbook(prices.exports / "prices.xlsx", {**months, "Notes": [["no table"]]}, hidden=["2025-12"])
    prices.declare("sales.prices", {**COLUMNS, "sheet": "varchar"}, key=["sku"], load="append")
    prices.map(**{"from": "prices.xlsx!20*!A:C", "columns": {"sheet": "split_part(_file, '!', 2)"}})

    # When it is loaded twice, then the visible months are one table, and all is known
    assert prices.load().counts.accepted == 3
    assert prices.load().counts.known == 3
    assert prices.rows("sku", "sheet", "_position") == [
        ("a", "2026-01", "prices.xlsx!2026-01:2"),
        ("b", "2026-02", "prices.xlsx!2026-02:2"),
        ("c", "2026-02", "prices.xlsx!2026-02:3"),
    ]
    prices.map(**{"from": "prices.xlsx!Q*"})
    with pytest.raises(SourceFailed, match=r"it has no sheet Q\*; it has 2026-01, 2026-02, 2025-12, Notes"):
        prices.load()


def test_a_sheet_without_a_heading_is_named_by_the_mapping(prices: Shop) -> None:
    write(prices, ["Prices of March"], ["a", 1, None, "note"], ["b", 2])
    prices.map(**{"from": "prices.xlsx", "format": {"header": ["sku", "price", "sold_at"], "skip": 1}})
    prices.load()
    assert prices.rows("sku", "price", "columnD") == [("a", 1, "note"), ("b", 2, None)]


@pytest.mark.parametrize("header", [[], ["sku", "price"]])
@pytest.mark.parametrize(("origin", "skip"), [("prices.xlsx", 3), ("prices.xlsx!A2:B6", 2)])
def test_rows_that_are_skipped_are_counted_as_excel_numbers_them(
    prices: Shop, origin: str, skip: int, header: list[str]
) -> None:
    """A title is often followed by an empty row; to leave that out of the count would lose the first record."""
    write(prices, ["Prices of March"], [], ["Article", "Price"] if header else [], [*HEADING], ["a", 1], ["b", 2])
    prices.map(**{"from": origin, "format": {"skip": skip + bool(header), "header": header}})
    prices.load()
    assert prices.rows("sku", "price", "_position") == [("a", 1, "prices.xlsx:5"), ("b", 2, "prices.xlsx:6")]


@pytest.mark.parametrize(
    ("rows", "merged", "message"),
    [
        ([["Prices", None, None], HEADING, ["a", 1]], ["A1:C1"], "the heading of prices.xlsx is merged .* at A1:C1"),
        ([["Prices of March"], HEADING, ["a", 1]], [], "the contract requires column 'sku', which prices.xlsx does"),
        ([["sku", "price", "price"], ["a", 1, 2]], [], "columns must differ by more than case"),
        ([["sku", "Price\n", "price"], ["a", 1, 2]], [], "columns must differ by more than case"),
    ],
)
def test_a_heading_that_names_no_columns_is_refused(
    prices: Shop, rows: list[list[Cell]], merged: list[str], message: str
) -> None:
    write(prices, *rows, merged=merged)
    with pytest.raises(SchemaMismatch, match=message) as failure:
        prices.load()
    if "differ" not in message:
        assert "from: book.xlsx!Prices!B4:F" in str(failure.value)


def test_an_empty_sheet_has_no_records(prices: Shop) -> None:
    write(prices)
    assert prices.load().counts.read == 0


def workbook_bytes(shop: Shop) -> bytes:
    write(shop, HEADING, *[[f"sku-{number}", number, None] for number in range(500)], name="sound.xlsx")
    return (shop.exports / "sound.xlsx").read_bytes()


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda sound: b"", "is damaged"),
        (lambda sound: b"no workbook", "is damaged"),
        (lambda sound: sound[: len(sound) // 2], "is damaged"),
        (lambda sound: sound.replace(b"PK\x05\x06", b"PK\x05\x07"), "is damaged"),
        (lambda sound: sound[:1500] + b"\0" * 40 + sound[1540:], "is damaged"),
        (lambda sound: bytes.fromhex("d0cf11e0a1b11ae1") + b"\0" * 4000, "is protected by a password, or an old .xls"),
    ],
)
def test_a_damaged_or_protected_workbook_is_told_and_nothing_is_loaded(prices: Shop, damage: Any, cause: str) -> None:
    prices.drop("prices.xlsx", damage(workbook_bytes(prices)))
    with pytest.raises(SourceFailed, match=rf"prices\.xlsx: it {cause}"):
        prices.load()
    assert not (prices.lake / "raw").exists()


def test_a_workbook_without_the_sheet_names_those_that_it_has(prices: Shop) -> None:
    write(prices, HEADING, ["a", 1])
    prices.map(**{"from": "prices.xlsx!Price list"})
    with pytest.raises(SourceFailed, match="it has no sheet Price list; it has Prices"):
        prices.load()


def test_a_workbook_that_would_need_too_much_memory_is_refused(prices: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    write(prices, HEADING, ["a", 1])
    monkeypatch.setattr("flows.sources.files.excel.LARGEST_UNPACKED", 1_000)
    with pytest.raises(SourceFailed, match=r"it unpacks to .* bytes, and a workbook may have 1,000"):
        prices.load()


def test_keys_of_other_formats_are_refused(prices: Shop) -> None:
    write(prices, HEADING, ["a", 1])
    prices.map(**{"from": "prices.xlsx", "format": {"delimiter": ";"}})
    with pytest.raises(SourceFailed, match="is no CSV file, and its mapping has format: delimiter"):
        prices.load()


def test_a_look_and_an_entry_read_the_beginning(prices: Shop) -> None:
    write(prices, HEADING, *[[f"sku-{number}", number, None] for number in range(500)])
    found, _ = inspect_table(prices.read_connection(), prices.contract)
    assert found.mistakes == ()
    assert preview_table(prices.read_connection(), prices.contract, 1).records[0].position == "prices.xlsx:2"
    (table,) = survey(f"file:{prices.exports}", {}).tables
    assert (table.name, table.origin, list(table.columns)) == ("prices", "prices.xlsx", HEADING)


def test_records_of_many_pieces_are_all_there(prices: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flows.sources.files.excel.ROWS_A_PIECE", 7)
    write(prices, HEADING, *[[f"sku-{number}", number, None] for number in range(50)])
    assert prices.load().counts.accepted == 50
    assert prices.rows("price") == list(range(50))
