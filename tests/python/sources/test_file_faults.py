"""Files as other people write them: nothing of them is lost, changed or taken out of order in silence."""

import gzip
import io
import itertools
import struct
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.files import packed
from support.shop import Shop

from flows.core.errors import SchemaMismatch, SourceFailed, UsageError

COLUMNS = {"id": "varchar not null", "name": "varchar", "size": "integer"}
MODES = ("append", "upsert", "full")


@pytest.fixture
def items(shop: Shop) -> Shop:
    shop.declare("shop.items", COLUMNS, key=["id"], load="append")
    shop.map(**{"from": "*"})
    return shop


def drop_parquet(shop: Shop, file: str, **columns: pa.Array) -> None:
    shop.exports.mkdir(exist_ok=True)
    parquet.write_table(pa.table(columns), shop.exports / file)


# Each file, and each value, is read by itself


@pytest.mark.parametrize("load", MODES)
def test_fault_80_the_types_of_one_parquet_file_do_not_change_the_values_of_another(items: Shop, load: str) -> None:
    """Parquet files of one glob had ids as integers beyond 2^53, doubles, texts, nothing and booleans: I."""
    # Given a column that each file has in another type; some are contract columns, some are further ones
    items.declare("shop.items", {"id": "varchar not null", "of": "varchar"}, key=["id"], load=load)
    values = {
        "1": pa.array([None, None], pa.null()),
        "2": pa.array([9007199254740993, 17], pa.int64()),
        "3": pa.array([18.0, None]),
        "4": pa.array(["007", "x"]).dictionary_encode(),
        "5": pa.array([True, None]),
        "6": pa.array([Decimal("1.10"), Decimal("2.00")], pa.decimal128(10, 2)),
        "7": pa.array([Decimal("1.1000"), None], pa.decimal128(18, 4)),
        "8": pa.array([2**64 - 1, 0], pa.uint64()),
        "9": pa.array([datetime(2026, 1, 5, 10), None], pa.timestamp("us")),
        "10": pa.array([{"k": 1}, None]),
        "11": pa.array([9007199254740993, 18], pa.int64()),
    }
    for name, of in values.items():
        drop_parquet(items, f"{name}.parquet", id=pa.array([f"{name}a", f"{name}b"]), of=of, further=of)

    # When they are loaded, twice
    items.load()
    again = items.load()

    # Then every value is as its own file has it
    expected = [
        None, None, "9007199254740993", "17", "18.0", None, "007", "x", "true", None, "1.10", "2.00", "1.1000", None,
        "18446744073709551615", "0", "2026-01-05 10:00:00", None, '{"k":1}', None, "9007199254740993", "18",
    ]  # fmt: skip
    assert items.rows("of") == expected
    assert items.rows("further") == ["18" if of == "18.0" and load != "full" else of for of in expected]
    assert again.counts.known == again.counts.read == 22


@pytest.mark.parametrize("load", MODES)
def test_fault_80_parquet_times_of_unlike_units_and_zones_load_together(items: Shop, load: str) -> None:
    """Parquet files of one glob had times of unlike units, with a zone and without, and dates: I."""
    # Given one moment in every form that Parquet has
    items.declare("shop.items", {"id": "varchar not null", "at": "timestamp"}, key=["id"], load=load)
    kinds = [pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "Asia/Tokyo")]
    for at, kind in enumerate([*kinds, pa.date32(), pa.string()]):
        moment: Any = datetime(2026, 1, 5, tzinfo=UTC)
        moment = "2026-01-05T00:00:00Z" if kind == pa.string() else moment
        drop_parquet(items, f"{at}.parquet", id=pa.array([str(at)]), at=pa.array([moment]).cast(kind))

    # When they are loaded, then all are that moment
    items.load()
    assert set(items.rows('"at"')) == {datetime(2026, 1, 5)}
    assert len(items.rows("id")) == 14


def test_fault_80_json_values_are_as_their_own_record_has_them(items: Shop) -> None:
    """JSON records had a value as number, text, boolean, null, list and nothing, beside each other: I."""
    # Given one key with values of all kinds, on lines and in a list
    values = ["9007199254740993", "17", "17.0", '"007"', "true", "null", '{"k": 1.5}', "[1, 2]", "0.1",
              "123456789012345678901234567890", "99999999999999.9999", "1e-400"]  # fmt: skip
    records = [f'{{"id": "{at}", "name": {value}}}' for at, value in enumerate(values)]
    items.drop("1.jsonl", "\n".join(records))

    # When they are loaded, then none has become like its neighbours
    items.load()
    assert items.rows("name") == [
        "9007199254740993", "17", "17.0", "007", "true", None, '{"k":1.5}', "[1,2]", "0.1",
        "123456789012345678901234567890", "99999999999999.9999", "1e-400",
    ]  # fmt: skip


# Lines and records

ENDS = {"LF": b"\n", "CRLF": b"\r\n", "CR": b"\r"}


@pytest.mark.parametrize("ragged", [False, True], ids=["good", "one ragged row"])
@pytest.mark.parametrize("end", ENDS)
def test_fault_81_fast_and_slow_reader_agree_on_lines(items: Shop, end: str, ragged: bool) -> None:
    """CSV had every kind of line end, blank lines, quoted line ends and a ragged row: Q."""
    # Given files of the same records
    rows = [
        b"id,name,size",
        b"1,Ada,10",
        b"",
        b'2,"two\nlines",20',
        b'3,"a\rb",30',
        b"",
        *[b"x,y"] * ragged,
        b"4,Dan,40",
    ]
    items.drop("1.csv", ENDS[end].join(rows))
    items.drop("2.csv", ENDS[end].join(rows) + ENDS[end] * 2)
    items.drop("3.csv", b"\xef\xbb\xbf" + ENDS[end] + ENDS[end].join(rows))

    # When they are loaded
    load = items.load()

    # Then no record is lost, and the ragged one is in quarantine
    assert items.rows("id", "name", "size") == [
        ("1", "Ada", 10), ("2", "two\nlines", 20), ("3", "a\rb", 30), ("4", "Dan", 40),
    ]  # fmt: skip
    assert (load.counts.read, load.counts.quarantined) == (12 + 3 * ragged, int(ragged))


@pytest.mark.parametrize("name", ["1.csv", "1.jsonl"])
def test_fault_81_line_ends_may_be_mixed_within_a_file(items: Shop, name: str) -> None:
    """CSV and JSON lines had LF, CR LF and CR within one file: I."""
    # Given every order of line ends
    for at, ends in enumerate(itertools.permutations(ENDS.values())):
        lines = [b"id,name,size"] if name == "1.csv" else []
        for row in range(3):
            form = b"%d-%d,Ada,1" if name == "1.csv" else b'{"id": "%d-%d", "size": 1}'
            lines.append(form % (at, row))
        content = b"".join(line + end for line, end in zip(lines, itertools.cycle(ends)))
        items.drop(f"{at}-{name}", content)

    # When they are loaded, then each line is a record
    assert items.load().counts.accepted == 18


def test_fault_81_a_file_of_one_column_counts_its_empty_lines(items: Shop) -> None:
    """CSV of one column had empty lines, read by both readers: Q."""
    # Given empty lines, which are records without a value
    items.declare("shop.items", {"id": "varchar not null"}, key=["id"])
    items.drop("1.csv", "id\n1\n\n2\n")
    items.drop("2.csv", 'id\n3\n\n"4\n')

    # When they are loaded, then both files count them
    load = items.load()
    assert items.rows("id") == ["1", "2", "3"]
    assert load.counts.read == 6


@pytest.mark.parametrize("content", ["id,name\n", "id,name", "\n\nid,name\r\n\r\n", "id\n", "\ufeffid,name\n"])
def test_fault_81_a_header_alone_is_a_file_of_no_records(items: Shop, content: str) -> None:
    """CSV was a header alone, in several forms: I."""
    items.drop("1.csv", content)
    assert items.load().counts.read == 0


@pytest.mark.parametrize("first", ["sep=;\n", ";;\n", "\n;\n", ""])
@pytest.mark.parametrize("end", ["\n", "\r"])
def test_fault_81_a_long_header_is_read_to_its_end(items: Shop, first: str, end: str) -> None:
    """CSV had a header of several thousand bytes, below a line that is none: I."""
    further = ";".join(f"further column {at}" for at in range(500))
    items.declare("shop.items", COLUMNS, key=["id"], load="append", on_extra_column="ignore")
    items.drop("1.csv", f"{first}id;{further};name\n1{';' * 501}Ada\n".replace("\n", end))
    assert items.load().counts.accepted == 1
    assert items.rows("id", "name") == [("1", "Ada")]


def test_fault_81_a_header_that_is_too_long_is_not_cut(items: Shop) -> None:
    """CSV had a header of more bytes than are read for one: F."""
    items.drop("1.csv", f"id,{'further,' * 40_000}name\n1{',' * 40_001}Ada\n")
    with pytest.raises(SourceFailed, match=r"1\.csv: its header does not end within"):
        items.load()


def test_fault_81_a_record_of_empty_cells_is_one_for_both_readers(items: Shop) -> None:
    """Files with tabs had a record of empty cells, read by both readers: Q."""
    # Given such a record, beside good ones and in one file beside a ragged one
    items.drop("1.tsv", "id\tname\n1\tAda\n\t\n2\tBo\n")
    items.drop("2.tsv", "id\tname\n3\tAda\n\t\n4\tBo\nx\n")

    # When they are loaded, then both files count it
    load = items.load()
    assert items.rows("id") == ["1", "2", "3", "4"]
    assert (load.counts.read, load.counts.quarantined, load.counts.duplicate) == (7, 2, 1)


def test_fault_81_a_header_that_cannot_be_read_is_not_an_empty_file(items: Shop) -> None:
    """CSV had a header whose quote is never closed: F."""
    # Given such a header
    items.drop("1.csv", 'id,"name\n' + "1,Ada\n" * 200_000)

    # When it is loaded, then that is told
    with pytest.raises((SourceFailed, SchemaMismatch), match=r"1\.csv"):
        items.load()


# Order


def states(number: int, kind: str) -> bytes:
    """Return a file with the state of its month, whose header or types depend on the month."""
    extra = number % 2 == 0
    if kind == "csv":
        return b"id,name%s\n1,%d%s\n" % (b",further" * extra, number, b",x" * extra)
    if kind == "jsonl":
        return b'{"id": "1", "name": "%d"%s}\n' % (number, b', "further": 1' * extra)
    buffer = io.BytesIO()
    table = pa.table({"id": pa.array(["1"]), "name": pa.array([str(number) if extra else number])})
    parquet.write_table(table, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("load", "kind", "place", "files_a_batch"),
    [
        *itertools.product(MODES, ["csv", "jsonl", "parquet"], ["folder"], [500]),
        *itertools.product(["upsert"], ["csv"], ["zip", "tar.gz", "archives"], [2, 500]),
        ("full", "csv", "folder", 2),
    ],
)
def test_fault_82_files_are_taken_in_the_natural_order_of_their_names(
    items: Shop, monkeypatch: pytest.MonkeyPatch, load: str, kind: str, place: str, files_a_batch: int
) -> None:
    """Files of unlike headers and types, numbered without zeros, in folders and archives, in batches of any size: I."""
    # Given the states of twelve months, which arrive in some order
    monkeypatch.setattr("flows.sources.files.table.FILES_A_BATCH", files_a_batch)
    items.declare("shop.items", {"id": "varchar not null", "name": "varchar"}, key=["id"], load=load)
    months = {f"export-{number}.{kind}": states(number, kind) for number in (10, 9, 1, 12, 2, 11, 3, 8, 4, 7, 6, 5)}
    if place == "folder":
        for name, content in months.items():
            items.drop(name, content)
    elif place == "archives":
        for name, content in months.items():
            items.drop(f"{Path(name).stem}.zip", packed({"state": content, f"state.{kind}": content}, "zip"))
        items.map(**{"from": f"*.zip!*.{kind}"})
    else:
        items.drop(f"all.{place}", packed(months, place))
        items.map(**{"from": f"all.{place}!*"})

    # When they are loaded
    load_result = items.load()

    # Then the first event stays, and the last state stands
    names = items.rows("name")
    if load == "upsert":
        assert names == [str(number) for number in range(1, 13)]
    assert names[-1] == ("1" if load == "append" else "12")
    assert load_result.counts.read == 12


# Names


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_fault_83_internal_names_are_free_for_the_columns_of_files(items: Shop, kind: str) -> None:
    """Columns of files were called like those that readers and loads use inside: I."""
    # Given such columns
    names = ["file_index", "FILENAME", "file_row_number", "at", "source", "key", "c0", "c1", "landed", "rowid", "keys",
             "values", "year", "typed", "mapped"]  # fmt: skip
    hidden = ["_at", "_values", "_m0", "_l0", "_number", "_reasons", "_is_good", "_position"]
    items.declare("shop.items", COLUMNS | dict.fromkeys(names, "varchar"), key=["id"], on_extra_column="ignore")
    row = {"id": "1", **{name: f"of {name}" for name in [*names, *hidden]}}
    if kind == "csv":
        items.drop("year=2026/1.csv", ",".join(row) + "\n" + ",".join(row.values()) + "\n")
    elif kind == "jsonl":
        items.drop_rows("year=2026/1.jsonl", [row])
    else:
        (items.exports / "year=2026").mkdir()
        drop_parquet(items, "year=2026/1.parquet", **{name: pa.array([value]) for name, value in row.items()})
    items.map(**{"from": "**/*.*"})

    # When they are loaded, then every column has its own values, and the row its place
    items.load()
    assert items.rows(*(f'"{name}"' for name in names), "_position") == [
        (*(f"of {name}" for name in names), f"year=2026/1.{kind}:1")
    ]


@pytest.mark.parametrize("name", ["_file", "_ROW", "_record"])
def test_fault_83_the_few_reserved_names_are_refused(items: Shop, name: str) -> None:
    """A Parquet column was called like the position of a record: F."""
    drop_parquet(items, "1.parquet", id=pa.array(["1"]), **{name: pa.array(["x"])})
    with pytest.raises(SchemaMismatch, match="is reserved"):
        items.load()


ODD_NAMES = ["export[1]", "export1", "export*", "export?", "{a,b}", "a", "it's \"so\"", "50%20", "#1", "x!y", "é", "~a",
             "e\\f", "[", "[!a]", "**"]  # fmt: skip


@pytest.mark.parametrize("folder", ["plain", "data [1]* {x}? 'q'#%20!"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "parquet", "md", "csv.gz"])
def test_fault_84_a_file_name_is_no_pattern(items: Shop, kind: str, folder: str) -> None:
    """Files and folders were called like patterns, beside files that the patterns match: I."""
    # Given files whose names hold every sign that a pattern may have
    root, names = items.exports / folder, [name for name in ODD_NAMES if kind != "md" or "\\" not in name]
    for name in names:
        path = f"{folder}/{name}.{kind}"
        if kind == "parquet":
            root.mkdir(exist_ok=True)
            drop_parquet(items, path, id=pa.array([name]))
            continue
        quoted = name.replace('"', '""') if kind.startswith("csv") else name.replace("\\", "\\\\").replace('"', '\\"')
        content = {"csv": f'id\n"{quoted}"\n', "jsonl": f'{{"id": "{quoted}"}}', "json": f'[{{"id": "{quoted}"}}]'}
        text = content.get(kind.removesuffix(".gz"), name).encode()
        items.drop(path, gzip.compress(text) if kind.endswith("gz") else text)
    items.connect(f"file:{root}")
    columns = {"columns": {"id": "parse_filename(path, true)"}} if kind == "md" else {}

    # When all of them are loaded, then each was read once
    items.map(**{"from": f"*.{kind}", **columns})
    assert items.load().counts.accepted == len(names)
    assert sorted(items.rows("id")) == sorted(names)

    # When one is named, then that one is read
    items.map(**{"from": f"export[1].{kind}", **columns})
    assert items.load().counts.read == 1
    items.map(**{"from": f"x!y.{kind}", **columns})
    assert items.load().counts.read == 1


def test_fault_84_a_file_name_that_is_no_text_is_told(items: Shop) -> None:
    """A file had a name of bytes that are no UTF-8: F."""
    items.exports.mkdir(exist_ok=True)
    Path(str(items.exports) + "/" + b"caf\xe9.csv".decode(errors="surrogateescape")).write_text("id\n1\n")
    with pytest.raises(SourceFailed, match="its name is no UTF-8"):
        items.load()


def test_fault_84_a_member_of_an_archive_may_be_named_like_a_pattern(items: Shop) -> None:
    """A member of an archive was called like a pattern: I."""
    members = {"export[1].csv": b"id\n1\n", "export1.csv": b"id\n2\n"}
    items.drop("all.ZIP", packed(members, "zip"))
    items.map(**{"from": "all.ZIP!export[[]1].csv"})
    items.load()
    assert items.rows("id") == ["1"]


@pytest.mark.parametrize("name", ["1.CSV", "1.CSV.GZ", "1.csv.Gz", "1.JSONL", "1.Jsonl.GZ", "1.Parquet"])
def test_fault_84_extensions_may_have_capitals(items: Shop, name: str) -> None:
    """Extensions were written with capitals: I."""
    if "arquet" in name:
        drop_parquet(items, name, id=pa.array(["1"]))
    else:
        content = b"id\n1\n" if "csv" in name.lower() else b'{"id": "1"}\n'
        items.drop(name, gzip.compress(content) if name.lower().endswith("gz") else content)
    items.load()
    assert items.rows("id") == ["1"]
    items.drop(name.upper() + ".tar", packed({name: (items.exports / name).read_bytes()}, "tar"))
    items.map(**{"from": "*.tar!*"})
    assert items.load().counts.read == 1


# Headers that are records


HEADERLESS = "7,ada@example.org,2026-01-05,19.99\n8,bob@example.org,2026-01-06,5\n"


@pytest.mark.parametrize("mapping", [
    {}, {"columns": {"id": "Nr", "name": "upper(name)"}}, {"query": "from source"},
    {"query": "select Nr as id from source"},
])  # fmt: skip
@pytest.mark.parametrize("is_first", [True, False])
def test_fault_85_a_file_without_a_header_is_told_and_none_of_its_values(
    items: Shop, caplog: pytest.LogCaptureFixture, mapping: dict[str, Any], is_first: bool
) -> None:
    """A CSV had no header, alone and beside files that have one, for several mappings: F."""
    # Given a file whose first record is where the header should be
    items.declare("shop.items", {"id": "varchar not null", "name": "varchar"}, key=["id"])
    items.drop("2.csv", "id,name,Nr\n1,Ada,1\n" * (not is_first))
    items.drop("1.csv" if is_first else "3.csv", HEADERLESS)
    items.map(**{"from": "*.csv", **mapping})

    # When it is loaded, then the error names the file alone, and says what to write
    with pytest.raises(SchemaMismatch, match=r"[13]\.csv.*\n.*\n.*format: \{header") as failed:
        items.load()
    told = str(failed.value) + caplog.text + str(items.loads())
    assert not any(value in told for value in ("ada@", "bob@", "2026-01-05", "19.99"))
    assert items.rows() == []


def test_fault_85_a_header_that_looks_like_records_is_told_without_its_names(items: Shop) -> None:
    """A CSV of whole records had a header of numbers, dates and e-mail addresses: A."""
    # Given a mapping that reads no column by its name
    items.declare("shop.items", {"id": "varchar not null", "name": "varchar"}, key=["id"])
    items.map(**{"from": "*", "columns": {"id": "md5(_record)", "name": "_record"}})
    items.drop("1.csv", HEADERLESS)

    # When it is loaded, then a note says so
    (note,) = [note for note in items.load().notes if "header" in note]
    assert "4 names in the header of 1.csv look like values" in note
    assert "ada" not in note


def test_fault_85_names_may_look_like_values(items: Shop) -> None:
    """A CSV had years as names of columns: I."""
    items.drop("1.csv", "id,2024,2025,01.02.2026\n1,a,b,c\n")
    load = items.load()
    assert items.rows("id", '"2024"', '"2025"', '"01.02.2026"') == [("1", "a", "b", "c")]
    assert any("3 names in the header of 1.csv look like values" in note for note in load.notes)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_fault_85_a_file_that_lacks_a_required_column_is_told_by_its_name(items: Shop, kind: str) -> None:
    """One file of several lacked a required column: F."""
    if kind == "csv":
        items.drop("1.csv", "id,name\n1,Ada\n")
        items.drop("2.csv", "name\nBob\n")
    else:
        drop_parquet(items, "1.parquet", id=pa.array(["1"]), name=pa.array(["Ada"]))
        drop_parquet(items, "2.parquet", name=pa.array(["Bob"]))
    with pytest.raises(SchemaMismatch, match=f"requires column 'id', which 2.{kind} does not have"):
        items.load()


# Digits


def test_fault_86_parquet_keeps_every_digit_or_the_record_waits(items: Shop) -> None:
    """Parquet had nanoseconds with and without a zone, decimals of 50 digits, and bytes as text: Q, I."""
    # Given values, of which the second is finer or larger than what is stored
    columns = {"id": "varchar not null", "at": "timestamp", "zoned": "timestamp", "amount": "decimal(18, 4)",
               "code": "varchar"}  # fmt: skip
    items.declare("shop.items", columns, key=["id"], load="append")
    large = [Decimal("1.5"), Decimal("12345678901234567890123456789012345678901.2345"), Decimal("0.12345")]
    values = {
        "at": pa.array([1_000, 1_001], pa.timestamp("ns")),
        "zoned": pa.array([1_000, 1_001], pa.timestamp("ns", "Asia/Tokyo")),
        "amount": pa.array(large, pa.decimal256(50, 5)),
        "code": pa.array(["é".encode(), b"\xff"], pa.binary()),
    }
    for name, array in values.items():
        ids = pa.array([f"{name}{at}" for at in range(len(array))])
        drop_parquet(items, f"{name}.parquet", id=ids, **{name: array, f"further_{name}": array})

    # When they are loaded, then what fits is exact, and the rest is in quarantine with its reason
    items.load()
    assert items.rows("id", "code", "amount", "further_amount") == [
        ("amount0", None, Decimal("1.5"), "1.50000"), ("at0", None, None, None), ("code0", "é", None, None),
        ("zoned0", None, None, None),
    ]  # fmt: skip
    columns = [reason.partition(":")[0] for _, (reason,) in items.quarantine()]
    assert columns == ["amount", "amount", "at", "code", "zoned"]
    assert any(b"12345678901234567890123456789012345678901.23450" in raw for raw, _ in items.quarantine())


@pytest.mark.parametrize("first", ["2026-01-05", "1500-01-01", "9999-12-31"])
@pytest.mark.parametrize("is_fine", [False, True], ids=["microseconds", "nanoseconds"])
@pytest.mark.parametrize("is_odd", [False, True], ids=["by DuckDB", "by Arrow"])
def test_fault_86_old_parquet_times_keep_their_nanoseconds(
    items: Shop, first: str, is_fine: bool, is_odd: bool
) -> None:
    """Parquet had times of the old type INT96, of nanoseconds and of years that these do not reach: Q, F, I."""
    # Given two times of that type, the second of nanoseconds
    items.declare(
        "shop.items", {"id": "varchar not null", "at": "timestamp"}, key=["id"], load="append", on_extra_column="ignore"
    )
    drop_parquet(items, "0.parquet", id=pa.array(["0"]), at=pa.array([datetime(2026, 1, 5)], pa.timestamp("us")))
    drop_int96(items.exports / "1.parquet", [first, "2026-01-05"], 1_001 if is_fine else 1_000, is_odd=is_odd)

    # When they are loaded, then no digit is lost in silence
    if is_fine and first != "2026-01-05":
        with pytest.raises(SourceFailed, match=r"1\.parquet: its column at has nanoseconds beside years"):
            items.load()
        return
    items.load()
    assert items.rows("id") == (["0", "1"] if is_fine else ["0", "1", "2"])
    assert items.rows('"at"')[1] == datetime.fromisoformat(first)
    assert ["nanoseconds" in reason for _, (reason,) in items.quarantine()] == [True] * is_fine


def drop_int96(path: Path, days: list[str], nanoseconds: int, *, is_odd: bool) -> None:
    """Write times of the old type INT96, a Julian day and nanoseconds: the second is so far behind midnight."""
    times = [datetime.fromisoformat(day) for day in days]
    times[1] = times[1].replace(microsecond=1)
    at = pa.array(times, pa.timestamp("us"))
    table = pa.table({"id": pa.array(["1", "2"]), "at": at, **({"filename": at.is_valid()} if is_odd else {})})
    plain = {"use_dictionary": False, "compression": "none", "write_statistics": False}
    parquet.write_table(table, path, use_deprecated_int96_timestamps=True, **plain)
    julian = (times[1] - datetime(1970, 1, 1)).days + 2_440_588
    content = path.read_bytes()
    before, after = (struct.pack("<qi", one, julian) for one in (1_000, nanoseconds))
    assert content.count(before) == 1
    path.write_bytes(content.replace(before, after))


# Wide files


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_fault_88_a_file_of_1_300_columns_loads_within_the_memory_of_a_load(items: Shop, kind: str) -> None:
    """Files had 1,300 columns, all of which the contract lets in: I."""
    # Given more rows than one step of a load takes at a time
    items.declare("shop.items", {"id": "varchar not null", "c7": "integer"}, key=["id"], load="append")
    names = ["id", *(f"c{at}" for at in range(1_300))]
    if kind == "csv":
        rows = (",".join(map(str, range(row, row + len(names)))) for row in range(2_100))
        items.drop("1.csv", "\n".join([",".join(names), *rows]))
    else:
        table = {name: pa.array(map(str, range(at, at + 2_100))) for at, name in enumerate(names)}
        drop_parquet(items, "1.parquet", **table)

    # When it is loaded, then it fits
    assert items.load().counts.accepted == 2_100
    assert items.rows("id", "c7", "c1299", where="_row = 2100") == [("2099", 2107, "3399")]


# Encodings

TEXT = "id,name,size\n1,Zoë,10\n2,Łódź,20\n"


@pytest.mark.parametrize("encoding", ["utf-16", "cp1250", "utf-8-sig", "gb18030"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "json", "text"])
def test_fault_87_an_encoding_is_named_in_the_mapping(items: Shop, kind: str, encoding: str) -> None:
    """Files came in other encodings, named in the mapping: I."""
    # Given texts in an encoding, one record of which is malformed, so that it is read again
    text = {"csv": TEXT + "x\n", "jsonl": '{"id": "1", "name": "Zoë"}\n{"id": "2", "name": "Łódź"}\nx\n',
            "json": '[{"id": "1", "name": "Zoë"}, {"id": "2", "name": "Łódź"}]', "text": "Łódź"}[kind]  # fmt: skip
    content, packed = text.encode(encoding), encoding == "utf-16"
    items.drop(f"1.{kind}" + ".gz" * packed, gzip.compress(content) if packed else content)
    mapping: dict[str, Any] = {"from": "*", "format": {"encoding": encoding}}
    if kind == "text":
        mapping["columns"] = {"id": "'2'", "name": "text"}
    items.map(**mapping)

    # When they are loaded, twice, then they are texts
    items.load()
    assert items.load().counts.accepted == 0
    assert items.rows("id", "name")[-1] == ("2", "Łódź")
    assert len(items.quarantine()) == (kind in ("csv", "jsonl"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_fault_87_an_encoding_is_never_guessed(items: Shop, kind: str, encoding: str) -> None:
    """Files came in another encoding that the mapping does not name: F, Q."""
    # Given such a file
    text = "id,größe\n1,é\n" if kind == "csv" else '{"id": "1", "größe": "é"}\n'
    items.drop(f"1.{kind}", text.encode(encoding))

    # When it is loaded, then the error names the file and the key, or its record is in quarantine
    if (kind, encoding) == ("jsonl", "latin-1"):
        items.load()
        assert "name the encoding" in items.quarantine()[0][1][0]
        return
    with pytest.raises(SourceFailed, match=rf"1\.{kind}.* UTF-8") as failed:
        items.load()
    assert "format: {encoding:" in str(failed.value)
    assert "gr" not in str(failed.value)


@pytest.mark.parametrize("place", ["folder", "archive"])
def test_fault_87_a_packed_file_of_another_encoding_may_have_capitals(items: Shop, place: str) -> None:
    """A packed file of another encoding had an extension in capitals, in a folder and in an archive: I."""
    content = gzip.compress(TEXT.encode("cp1250"))
    items.drop(*(("1.CSV.GZ", content) if place == "folder" else ("1.zip", packed({"1.CSV.GZ": content}, "zip"))))
    items.map(**{"from": "*.GZ" if place == "folder" else "1.zip!*", "format": {"encoding": "cp1250"}})
    items.load()
    assert items.rows("id", "name") == [("1", "Zoë"), ("2", "Łódź")]


def test_fault_87_bytes_that_an_encoding_does_not_have_are_kept(items: Shop) -> None:
    """A file had bytes that its encoding does not have: Q, F."""
    items.drop("1.csv", b"id,name\n1,caf\xe9\n2,\x81\n")
    items.map(**{"from": "*", "format": {"encoding": "cp1252"}})
    items.load()
    assert items.rows("id", "name") == [("1", "café")]
    assert [raw for raw, _ in items.quarantine()] == [b"2,\x81"]
    items.drop("1.csv", "id\n1\n".encode("utf-16")[:-1])
    items.map(**{"from": "*", "format": {"encoding": "utf-16"}})
    with pytest.raises(SourceFailed, match=r"1\.csv is no utf-16"):
        items.load()


# Reader options


@pytest.mark.parametrize("bad", [False, True], ids=["good", "one malformed record"])
@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        pytest.param("1,Ada,10\n2,Bob,20\n", {"header": ["id", "name", "size"]}, id="no header"),
        pytest.param("\ufeff1;Ada;10\n2;Bob;20\n", {"header": ["id", "name", "size"]}, id="no header, semicolons"),
        pytest.param("A,B,C\n1,Ada,10\n2,Bob,20\n", {"header": ["id", "name", "size"], "skip": 1}, id="other names"),
        pytest.param('My "report\nof today\n\nid,name,size\n1,Ada,10\n2,Bob,20\n', {"skip": 2}, id="title lines"),
        pytest.param("T\r\rid,name,size\r1,Ada,10\r2,Bob,20\r", {"skip": 1}, id="title line, CR"),
        pytest.param("sep=;\r\nid;name;size\r\n1;Ada;10\r\n2;Bob;20\r\n", {}, id="sep="),
        pytest.param("SEP=#\nid#name#size\n1#Ada#10\n2#Bob#20\n", {}, id="sep= of another sign"),
        pytest.param("id~name~size\n1~Ada~10\n2~Bob~20\n", {"delimiter": "~"}, id="delimiter"),
        pytest.param("a,b,id;name;size\n", {"delimiter": ";", "header": ["id", "name", "size"], "skip": 1}, id="none"),
        pytest.param("id,name,size\n'1','Ada',10\n2,'Bob',20\n", {"quote": "'"}, id="quote"),
        pytest.param("id   name   size\n1    Ada    10\n2    Bob    20 \n", {"widths": [5, 7, 6]}, id="widths"),
        pytest.param("T\n\n001Ada10\n002Bob20\n", {"widths": [3, 3, 2], "header": ["id", "name", "size"], "skip": 2},
                     id="widths without a header"),
    ],
)  # fmt: skip
def test_fault_89_reader_options_serve_both_readers(
    items: Shop, content: str, wanted: dict[str, Any], bad: bool
) -> None:
    """Files without a header, with titles, other signs and fixed widths were described in the mapping: I, Q."""
    # Given such a file, and the same with a record that is none
    content += "one field of more than all the widths\n" * bad
    items.drop("1.csv", content)
    items.map(**{"from": "*", "format": wanted})

    # When it is loaded, then its records are right
    load = items.load()
    found = [(key.lstrip("0"), name, size) for key, name, size in items.rows("id", "name", "size")]
    expected = [] if content.startswith("a,b") else [("1", "Ada", 10), ("2", "Bob", 20)]
    assert (found, load.counts.quarantined) == (expected, int(bad))


def test_fault_89_another_format_reads_the_files_again(items: Shop) -> None:
    """The format of loaded files was changed in the mapping: I."""
    items.drop("1.csv", "id,name\n1,Ada\n")
    items.load()
    items.map(**{"from": "*", "format": {"header": ["id", "name"], "skip": 0}})
    assert items.load().counts.read == 2


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"encoding": "nonsense"}, "is 'nonsense', which is no encoding"),
        ({"encoding": "hex"}, "is no encoding"),
        ({"delimiter": ";;"}, "write one ASCII character"),
        ({"delimiter": '"'}, "as delimiter and as quote"),
        ({"widths": [3], "delimiter": ";"}, "both widths and a delimiter"),
        ({"widths": [3, 0]}, "is 0; write 1 or more"),
        ({"widths": [3], "header": ["a", "b"]}, "1 widths and 2 names"),
        ({"skip": -1}, "write 0 or more"),
        ({"headers": ["a"]}, "did you mean header"),
    ],
)
def test_fault_89_mistakes_in_a_format_are_told(items: Shop, wanted: dict[str, Any], message: str) -> None:
    """Formats in the mapping were wrong: F."""
    items.map(**{"from": "*", "format": wanted})
    with pytest.raises(UsageError, match=message):
        items.load()


def test_fault_89_a_format_that_files_do_not_have_is_told(items: Shop) -> None:
    """A mapping had a delimiter for JSON files: F."""
    items.drop("1.jsonl", '{"id": "1"}')
    items.map(**{"from": "*", "format": {"delimiter": ";"}})
    with pytest.raises(SourceFailed, match=r"1\.jsonl is no CSV file"):
        items.load()


# Lookups

JOIN = "select source.id, products.name, source.size from source left join lookup.products as products using (code)"


@pytest.mark.parametrize("load", MODES)
def test_fault_90_a_changed_lookup_reads_the_table_again(items: Shop, load: str) -> None:
    """A query joined files of another folder, which changed after the load: I."""
    # Given records that name their product by a code, and two files of products
    items.declare("shop.items", COLUMNS, key=["id"], load=load)
    items.drop("sold/1.csv", "id,code,size\n1,a,10\n2,b,20\n3,c,30\n")
    items.drop("products/1.csv", "code,name\na,Apple\n")
    items.drop("products/2.csv", "name,code\nPear,b\n")
    items.map(**{"from": "sold/*", "query": JOIN, "lookups": {"products": "products/*.csv"}})

    # When they are loaded, twice
    items.load()
    assert items.load().counts.accepted == 0
    assert items.rows("id", "name") == [("1", "Apple"), ("2", "Pear"), ("3", None)]

    # When a product arrives, then the records are read again
    items.drop("products/3.csv", "code,name\nc,Cherry\n")
    again = items.load()
    assert again.counts.read == 3
    if load == "append":
        assert again.counts.conflicts == 1
    else:
        assert ("3", "Cherry") in items.rows("id", "name")


def test_fault_90_a_lookup_of_unlike_files_keeps_every_value(items: Shop) -> None:
    """A lookup had Parquet files of unlike types and columns, and a query joined it: I."""
    # Given names that each file has in another type
    items.drop("sold/1.csv", "id,code,size\n" + "".join(f"{at},{at},1\n" for at in range(5)))
    names = [pa.array([9007199254740993]), pa.array([18.5]), pa.array(["x"]), pa.nulls(1), pa.array([Decimal("1.10")])]
    (items.exports / "products").mkdir()
    for at, name in enumerate(names):
        drop_parquet(items, f"products/{at}.parquet", code=pa.array([str(at)]), name=name, **{f"further{at}": name})
    items.map(**{"from": "sold/*", "query": JOIN, "lookups": {"products": "products/*"}})

    # When they are joined, then each name is as it was
    items.load()
    assert items.rows("name") == ["9007199254740993", "18.5", "x", None, "1.10"]


@pytest.mark.parametrize("case", ["malformed", "none", "empty", "database", "no query", "name"])
def test_fault_90_a_lookup_that_cannot_be_joined_is_told(items: Shop, case: str) -> None:
    """Lookups were malformed, absent, empty, of a database and without a query: F."""
    items.drop("sold/1.csv", "id,code,size\n1,a,10\n")
    items.drop("products/1.csv", {"malformed": "code,name\na,Apple,1\n", "empty": ""}.get(case, "code,name\na,Apple\n"))
    wanted = "none/*.csv" if case == "none" else "products/*.csv"
    items.map(**{"from": "sold/*", "query": JOIN, "lookups": {"a b" if case == "name" else "products": wanted}})
    if case == "database":
        items.connect(f"sqlite:///{items.folder / 'x.db'}", tables=items.connection["tables"])
    if case == "no query":
        items.map(**{"from": "sold/*", "lookups": {"products": wanted}})
    with pytest.raises((SourceFailed, UsageError), match=r"lookup|no file matches"):
        items.load()
