"""Files: each form of a CSV, JSON or Parquet file or an archive is read correctly, or quarantined as it came."""

import gzip
import io
import json
import tarfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.files import packed
from support.shop import Shop

from flows.core.errors import SchemaMismatch, SourceFailed
from flows.sources.files.encoding import NO_UTF_8

COLUMNS = {"id": "varchar not null", "name": "varchar", "size": "integer"}
GOOD = [("1", "Ada", 10), ("2", "Bob", 20)]


@pytest.fixture
def items(shop: Shop) -> Shop:
    shop.declare("shop.items", COLUMNS, key=["id"], load="append")
    shop.map(**{"from": "*"})
    return shop


def items_of(shop: Shop) -> list[tuple[object, ...]]:
    return shop.rows("id", "name", "size")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"id,name,size\n1,Ada,10\n2,Bob,20\n", id="plain"),
        pytest.param(b"id,name,size\n1,Ada,10\n2,Bob,20", id="no newline at the end"),
        pytest.param(b"\xef\xbb\xbfid,name,size\n1,Ada,10\n2,Bob,20\n", id="byte order mark"),
        pytest.param(b"id,name,size\r\n1,Ada,10\r\n2,Bob,20\r\n", id="CRLF"),
        pytest.param(b"id,name,size\r\n1,Ada,10\n2,Bob,20\r\n", id="both ends of lines"),
        pytest.param(b"id;name;size\n1;Ada;10\n2;Bob;20\n", id="semicolons"),
        pytest.param(b"id\tname\tsize\n1\tAda\t10\n2\tBob\t20\n", id="tabs"),
        pytest.param(b"id|name|size\n1|Ada|10\n2|Bob|20\n", id="bars"),
        pytest.param(b'"id","name","size"\n"1","Ada","10"\n"2","Bob","20"\n', id="all quoted"),
        pytest.param(b'"id;x","name",size\n1,Ada,10\n2,Bob,20\n', id="another delimiter within a quoted name"),
        pytest.param(b"size,id,name\n10,1,Ada\n20,2,Bob\n", id="other order"),
        pytest.param(b" ID , Name,SIZE\n1,Ada,10\n2,Bob,20\n", id="spaces and capitals in the header"),
        pytest.param(b"\n\nid,name,size\n\n1,Ada,10\n\n2,Bob,20\n\n", id="blank lines"),
        pytest.param(b",,\nid,name,size\n1,Ada,10\n2,Bob,20\n", id="an empty record before the header"),
        pytest.param(b"id,name,size\n1,Ada,10,\n2,Bob,20,\n", id="a delimiter at the end of each line"),
    ],
)
def test_fault_36_a_csv_file_is_read_right_however_it_is_written(items: Shop, content: bytes) -> None:
    """CSV arrived with byte order marks, other delimiters, line ends, blank lines and headers: I."""
    # Given a file, and the same file with a malformed record, which is read record by record
    items.map(**{"from": "*", "columns": {"id": '"id;x"'}} if b"id;x" in content else {"from": "*"})
    items.drop("1.csv", content)

    # When it is loaded, then its records are right
    items.load()
    assert items_of(items) == GOOD
    items.drop("2.csv", content + (b"" if content.endswith(b"\n") else b"\n") + b"one field\n")
    again = items.load()
    assert (again.counts.quarantined, again.counts.known) == (1, 4)
    assert items_of(items) == GOOD


def test_fault_36_cells_may_hold_quotes_delimiters_and_newlines(items: Shop) -> None:
    """CSV cells contained quotes, delimiters and newlines: Q, I."""
    # Given cells that contain the separators of a file
    content = b'id,name,size\n1,"5"" pipe",1\n2,5" pipe,2\n3,"a,b;c",3\n4,"two\nlines",4\n'
    content += b'5,"two\r\nlines",5\n6,"",6\n7,,7\n8, x ,8\n'
    items.drop("1.csv", content)

    # When it is loaded, as a whole and record by record, then the cells are unchanged
    items.load()
    names = ['5" pipe', '5" pipe', "a,b;c", "two\nlines", "two\r\nlines", None, None, " x "]
    assert items.rows("name") == names
    items.drop("2.csv", content + b"9\n")
    load = items.load()
    assert (load.counts.known, load.counts.quarantined) == (16, 1)


def test_fault_36_a_malformed_record_is_quarantined_as_it_came_and_its_neighbours_are_read(items: Shop) -> None:
    """CSV records had too few fields, too many, open quotes and invalid bytes: Q, I."""
    # Given records that are malformed in different ways
    malformed = [b"3", b"4,Dot,40,more", b'5,"Eve"s,50', b"6,F\xff,60", b'7,"Gus,70']
    lines = [b"id,name,size", b"1,Ada,10", *malformed, b"2,Bob,20", b""]
    items.drop("1.csv", b"\n".join(lines))

    # When they are loaded, twice
    load = items.load()
    items.drop("renamed.csv", b"\n".join(lines) + b"8,Hal,80\n")
    again = items.load()

    # Then the valid records are loaded, and the others are quarantined with their bytes and a reason, once
    assert items_of(items) == [*GOOD, ("8", "Hal", 80)]
    assert (load.counts.read, load.counts.quarantined, again.counts.quarantined) == (7, 5, 0)
    assert [raw for raw, _ in items.quarantine()] == malformed
    assert [reasons for _, reasons in items.quarantine()] == [
        ["has 1 fields, the header 3"],
        ["has 4 fields, the header 3"],
        ["has a quote that is not closed, or text behind one"],
        [NO_UTF_8],
        ["has a quote that is not closed, or text behind one"],
    ]


def test_fault_36_columns_may_change_their_order_and_number_between_files(items: Shop) -> None:
    """CSV files of one load had their columns in different orders and numbers: I."""
    # Given files of one batch whose headers differ
    items.drop("1.csv", "id,name,size\n1,Ada,10\n")
    items.drop("2.csv", "size,id,name,colour\n20,2,Bob,red\n")
    items.drop("3.csv", "name,id\nCyd,3\n")

    # When they are loaded, then each value is in its column
    items.load()
    assert items.rows("id", "name", "size", "colour") == [
        ("1", "Ada", 10, None), ("2", "Bob", 20, "red"), ("3", "Cyd", None, None),
    ]  # fmt: skip


@pytest.mark.parametrize("header", ["id,name,NAME", "id,name,name", "id,_file,size"])
def test_columns_that_collide_fail_the_load(items: Shop, header: str) -> None:
    # Given a header whose names collide with each other or with the loader's columns
    items.drop("1.csv", header + "\n1,Ada,10\n")

    # When it is loaded, then the error says so
    with pytest.raises(SchemaMismatch, match="columns must"):
        items.load()


@pytest.mark.parametrize("kind", ["csv", "json", "sqlite"])
def test_fault_39_leading_zeros_are_kept(items: Shop, kind: str) -> None:
    """Ids with leading zeros came from CSV, JSON and a database: I."""
    # Given ids with leading zeros
    if kind == "csv":
        items.drop("1.csv", "id,name,size\n007,00,007\n")
    elif kind == "json":
        items.drop("1.jsonl", '{"id": "007", "name": "00", "size": "007"}\n')
    else:
        import sqlite3

        with sqlite3.connect(items.folder / "s.db") as database:
            database.execute("create table items (id text, name text, size integer)")
            database.execute("insert into items values ('007', '00', 7)")
        items.connect(f"sqlite:///{items.folder / 's.db'}")

    # When they are loaded, then the text columns keep the zeros
    items.load()
    assert items_of(items) == [("007", "00", 7)]


@pytest.mark.parametrize(
    "name", ["a.csv", "a.tsv", "a.txt", "a.csv.gz", "a.jsonl", "a.ndjson.gz", "a.json", "a.parquet"]
)
def test_every_kind_of_file_is_read_by_its_extension(items: Shop, name: str) -> None:
    # Given the same records in several formats
    rows = [{"id": i, "name": n, "size": s} for i, n, s in GOOD]
    if "csv" in name or "txt" in name:
        content = b"id,name,size\n1,Ada,10\n2,Bob,20\n"
    elif "tsv" in name:
        content = b"id\tname\tsize\n1\tAda\t10\n2\tBob\t20\n"
    elif "parquet" in name:
        buffer = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist(rows), buffer)
        content = buffer.getvalue()
    else:
        content = (json.dumps(rows, indent=1) if name == "a.json" else "\n".join(map(json.dumps, rows))).encode()
    items.drop(name, gzip.compress(content) if name.endswith(".gz") else content)

    # When it is loaded, twice, then they are there once
    assert items.load().counts.accepted == 2
    assert items.load().counts.known == 2
    assert items_of(items) == GOOD
    assert items.rows("_position") == [f"{name}:1", f"{name}:2"]


def test_json_lines_under_the_name_of_json_are_read_as_lines(items: Shop) -> None:
    # Given lines in a file with the ending json, one of them malformed, and a single object
    items.drop("1.json", '{"id": "1", "name": "Ada", "size": 10}\n{"id": \n')
    items.drop("2.json", '{\n"id": "2", "name": "Bob",\n"size": 20}\n')

    # When they are loaded
    load = items.load()

    # Then the valid lines are read
    assert (items_of(items), load.counts.quarantined) == (GOOD, 1)


@pytest.mark.parametrize("name", ["1.jsonl", "1.json"])
def test_fault_32_malformed_json_is_quarantined_as_it_came(items: Shop, name: str) -> None:
    """JSON lines and documents were truncated, empty, of another kind, or not UTF-8: Q, I."""
    # Given lines that are not JSON objects, or a document that is not JSON
    malformed = [b'{"id": "3", "name"', b"[1, 2]", b'"text"', b"nonsense", b'{"id": "\xff"}', b"null"]
    good = [b'{"id": "1", "name": "Ada", "size": 10}', b'{"size": 20, "name": "Bob", "id": "2"}']
    items.drop("0.jsonl" if name == "1.jsonl" else "0.json", good[0] + b"\n")
    content = b"\n".join([good[1], b"", *malformed]) if name == "1.jsonl" else b"[" + good[1] + b", {"
    items.drop(name, content)

    # When it is loaded, twice
    load, again = items.load(), items.load()

    # Then the valid records are loaded, and the rest is quarantined with its bytes
    expected = malformed if name == "1.jsonl" else [content]
    assert sorted(raw for raw, _ in items.quarantine()) == sorted(expected)
    assert load.counts.quarantined == len(expected)
    assert again.counts.known == again.counts.read == load.counts.read
    assert items.rows("id") == (["1", "2"] if name == "1.jsonl" else ["1"])


@pytest.mark.parametrize("content", ['[{"id": "1"}]\n[{"id": "2"}]', '[{"id": "1"}]\n{"id": "2"}', "[]\n[]\n"])
def test_fault_32_several_lists_in_a_document_are_quarantined(items: Shop, content: str) -> None:
    """A JSON document was several lists, one a line: Q."""
    items.drop("0.json", '[{"id": "0"}]')
    items.drop("1.json", content)
    items.load()
    assert (items.rows("id"), items.quarantine()) == (["0"], [(content.encode(), ["is no JSON"])])


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_json_lines_may_be_called_a_document(items: Shop, end: str) -> None:
    # Given records a line, with any line end, in a file that is called a document
    items.drop("1.json", end.join(['{"id": "1"}', '{"id": "2"}', ""]))

    # When it is loaded, then each line is a record
    items.load()
    assert items.rows("id") == ["1", "2"]


def test_a_file_of_malformed_lines_alone_is_quarantined_too(items: Shop) -> None:
    # Given a file without a record, and so without columns
    items.drop("1.jsonl", "nonsense\n")

    # When it is loaded, twice
    load, again = items.load(), items.load()

    # Then its line is quarantined, once
    assert (load.counts.quarantined, again.counts.known) == (1, 1)
    assert items.quarantine() == [(b"nonsense", ["is no JSON object"])]


def test_a_rejected_json_record_is_kept_as_the_text_that_it_was_and_known_again(items: Shop) -> None:
    # Given a record that breaks the contract
    text = '{"id": "1",  "size": 1.5, "nested": {"b": [1, null]}}'
    items.drop("1.jsonl", text + "\n")
    items.load()

    # When it arrives again among records with other keys
    items.drop("2.jsonl", text + '\n{"id": "2", "further": true}\n')
    load = items.load()

    # Then it is quarantined once, as it came
    assert (load.counts.accepted, load.counts.quarantined, load.counts.known) == (1, 0, 2)
    assert items.quarantine() == [(text.encode(), ["size: is no integer"])]


@pytest.mark.parametrize("beside", ["", "nonsense\n", "{}\n"])
def test_white_space_around_a_json_record_is_no_fault(items: Shop, beside: str) -> None:
    # Given records that are indented, as text editors do it, alone and beside records without keys
    items.drop("1.jsonl", '\t{"id": "1"}\n  {"id": "2"} \n \t {"id": "3"}\t\r\n' + beside)

    # When they are loaded
    loaded = items.load()

    # Then all of them are records, and what stands beside them is told
    assert items.rows("id") == ["1", "2", "3"]
    assert loaded.counts.quarantined == bool(beside)


def test_json_keeps_every_digit_key_and_value(items: Shop) -> None:
    # Given numbers that do not fit a double, nested values, and keys with quotes, dots and slashes
    items.declare(
        "shop.items", {"id": "varchar", "price": "decimal(18, 4)", "count": "bigint", "rate": "double"}, key=["id"]
    )
    record = (
        '{"id": "1", "price": 99999999999999.9999, "count": 9007199254740993, "rate": 0.30000000000000004, '
        '"note": "costs 99999999999999.9999, \\"really\\"", "a.b": 1, "a/b~c": 2, "x\\"y": 3, "*": 4, '
        '"nested": {"k": [1, 0.1, true, null]}, "none": null, "flag": false, "huge": 123456789012345678901234567890}'
    )
    items.drop("1.jsonl", record + "\n")
    items.drop("2.json", f"[{record.replace(chr(34) + '1' + chr(34), chr(34) + '2' + chr(34), 1)}]")

    # When they are loaded, from lines and from a list
    for name in ("1.jsonl", "2.json"):
        items.map(**{"from": name})
        items.load()

    # Then no value is rounded or lost
    columns = [
        "cast(price as varchar)",
        "count",
        "rate",
        "note",
        '"a.b"',
        '"a/b~c"',
        '"x""y"',
        '"*"',
        "nested",
        "none",
        "flag",
        "huge",
    ]
    row = (
        "99999999999999.9999", 9007199254740993, 0.30000000000000004, 'costs 99999999999999.9999, "really"',
        "1", "2", "3", "4", '{"k":[1,0.1,true,null]}', None, "false", "123456789012345678901234567890",
    )  # fmt: skip
    assert items.rows(*columns) == [row, row]


# Archives


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
def test_members_of_an_archive_are_read_by_their_glob(items: Shop, kind: str) -> None:
    # Given an archive
    members = {"b/2.csv.gz": gzip.compress(b"id,name,size\n2,Bob,20\n"), "a/1.csv": b"id,name,size\n1,Ada,10\n"}
    members |= {"a/notes.md": b"# notes", "a/[x] {y}'s.csv": b"id,name,size\n3,Cyd,30\n"}
    items.drop(f"all.{kind}", packed(members, kind))

    # When the matching members are loaded, twice
    items.map(**{"from": f"all.{kind}!*.csv*"})
    load, again = items.load(), items.load()

    # Then they are there once
    assert (load.counts.accepted, again.counts.known) == (3, 3)
    assert sorted(items_of(items)) == [*GOOD, ("3", "Cyd", 30)]
    assert f"all.{kind}!a/1.csv:1" in items.rows("_position")


@pytest.mark.parametrize("kind", ["tar.gz", "zip", "folder"])
def test_hidden_files_are_no_data_unless_a_pattern_names_them(items: Shop, kind: str) -> None:
    # Given what macOS and editors put beside the files of a person
    members = {
        "a/1.csv": b"id,name,size\n1,Ada,10\n",
        "__MACOSX/a/._1.csv": b"\x00\x05\x16\x07\x00",
        "a/._1.csv": b"\x00\x05\x16\x07\x00",
        ".backup/1.csv": b"id,name,size\n9,Old,90\n",
    }
    if kind == "folder":
        for name, content in members.items():
            items.drop(f"all/{name}", content)
    else:
        items.drop(f"all.{kind}", packed(members, kind))
    within = "all/" if kind == "folder" else f"all.{kind}!"

    # When files are loaded by a pattern, then those alone that are not hidden are there
    items.map(**{"from": within + ("**/*.csv" if kind == "folder" else "*.csv")})
    items.load()
    assert items_of(items) == [("1", "Ada", 10)]

    # And a pattern that names hidden files finds them
    items.map(**{"from": f"{within}.backup/*.csv"})
    items.load()
    assert sorted(items_of(items)) == [("1", "Ada", 10), ("9", "Old", 90)]


def test_archives_whose_members_are_called_alike_do_not_get_in_each_others_way(items: Shop) -> None:
    # Given two archives of one name in two folders, one of which contains a name twice
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for content in (b"id,name,size\n1,Ada,10\n", b"id,name,size\n2,Bob,20\n"):
            entry = tarfile.TarInfo("day.csv")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    items.drop("a/all.tar", buffer.getvalue())
    items.drop("b/all.tar", packed({"day.csv": b"id,name,size\n3,Cyd,30\n"}, "tar.gz"))
    items.map(**{"from": "*/all.tar!*.csv"})

    # When they are loaded, then all of them are there
    items.load()
    assert sorted(items.rows("id", "_position")) == [
        ("1", "a/all.tar!day.csv:1"), ("2", "a/all.tar!day.csv:1"), ("3", "b/all.tar!day.csv:1"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "pattern"),
    [
        ("cut.tar.gz", packed({"1.csv": b"id,name,size\n" + b"1,Ada,10\n" * 9999}, "tar.gz")[:-40], "cut.tar.gz!*"),
        ("none.zip", b"PK\x03\x04 nonsense", "none.zip!*"),
        ("cut.csv.gz", gzip.compress(b"id,name,size\n" + b"1,Ada,10\n" * 9999)[:-40], "*"),
        ("none.csv.gz", b"nonsense", "*"),
        ("cut.jsonl.gz", gzip.compress(b'{"id": "1"}\n' * 9999)[:-40], "*"),
        ("none.parquet", b"PAR1 nonsense", "*"),
    ],
)
def test_a_file_that_is_cut_short_or_damaged_fails_the_load_by_name(
    items: Shop, name: str, content: bytes, pattern: str
) -> None:
    # Given a damaged file
    items.drop(name, content)
    items.map(**{"from": pattern})

    # When it is loaded, then the error names it, and no record of it is stored
    with pytest.raises(SourceFailed, match=name.replace(".", r"\.")):
        items.load()
    assert items.rows() == []


# Files that say little


def test_files_without_records_are_no_failure(items: Shop) -> None:
    # Given a file with a header only, and an empty file
    items.drop("header.csv", "id,name,size\n")
    items.drop("empty.csv", "")

    # When they are loaded, twice
    load, again = items.load(), items.load()

    # Then no record is read, and a later file is
    assert (load.counts.read, again.counts.read) == (0, 0)
    items.drop("1.csv", "id,name,size\n1,Ada,10\n")
    assert items.load().counts.accepted == 1
    (items.exports / "none.jsonl").touch()
    items.map(**{"from": "none.jsonl"})
    assert items.load().counts.read == 0


def test_a_header_without_a_required_column_is_told_even_without_records(items: Shop) -> None:
    # Given a header without the key
    items.drop("header.csv", "name,size\n")

    # When it is loaded, then the error says so
    with pytest.raises(SchemaMismatch, match="requires column 'id'"):
        items.load()


def test_files_of_several_kinds_are_no_table(items: Shop) -> None:
    # Given a pattern that matches files of several kinds
    items.drop("1.csv", "id\n1\n")
    items.drop("notes.md", "# notes")

    # When it is loaded, then the error names the kinds
    with pytest.raises(SourceFailed, match=r"cannot read files of \.csv, \.md as one table"):
        items.load()


def test_folders_that_look_like_partitions_add_no_column_and_odd_names_are_names(items: Shop) -> None:
    # Given files in folders like year=2026, with special characters of patterns
    items.drop("year=2026/a[1].csv", "id,name,size\n1,Ada,10\n")
    items.drop("year=2026/a {b} (1)'.csv", "id,name,size\n2,Bob,20\n")
    items.map(**{"from": "**/*.csv"})

    # When they are loaded, then their names are taken literally
    items.load()
    assert sorted(items_of(items)) == GOOD
    assert sorted(items.rows("_position")) == ["year=2026/a {b} (1)'.csv:1", "year=2026/a[1].csv:1"]


def test_parquet_times_finer_than_a_microsecond_are_not_rounded(items: Shop) -> None:
    # Given times in nanoseconds, one of which cannot be a microsecond
    items.declare("shop.items", {"id": "varchar", "at": "timestamp"}, key=["id"], load="append")
    times = pa.array([1_000, 1_001], pa.timestamp("ns"))
    parquet.write_table(pa.table({"id": ["1", "2"], "at": times}), items.exports / "1.parquet")

    # When they are loaded, then this one is quarantined
    assert items.load().counts.quarantined == 1
    assert items.quarantine()[0][1][0].startswith("at: ")


def test_parquet_columns_that_differ_by_case_alone_fail_the_load(items: Shop) -> None:
    # Given such a file
    table = pa.Table.from_arrays([pa.array(["1"]), pa.array(["Ada"]), pa.array(["Bob"])], names=["id", "name", "NAME"])
    parquet.write_table(table, items.exports / "1.parquet")

    # When it is loaded, then neither column is dropped without a report
    with pytest.raises(SchemaMismatch, match="differ by more than case"):
        items.load()


def test_thousands_of_small_files_are_a_few_batches(items: Shop) -> None:
    # Given many files
    for number in range(1_200):
        items.drop(f"{number:04}.csv", f"id,name,size\n{number},x,1\n")

    # When they are loaded, twice
    load, again = items.load(), items.load()

    # Then they make only a few commits
    assert (load.counts.accepted, load.batch, again.counts.known) == (1_200, 3, 1_200)


def test_online_retail_is_reconciled(shop: Shop, shared_data: Path) -> None:
    # Given the real invoices of a year, with a connections file
    columns = {"order_id": "varchar not null", "line_number": "integer", "product_id": "varchar not null"}
    columns |= {"quantity": "integer not null", "unit_price": "decimal(18, 4) not null"}
    shop.declare("sales.order_lines", columns, key=["order_id", "line_number"], load="upsert")
    shop.connect(f"file:{shared_data / 'online_retail'}")
    query = """
        select InvoiceNo as order_id, row_number() over (partition by _file, InvoiceNo order by _row) as line_number,
            StockCode as product_id, Quantity as quantity, UnitPrice as unit_price, _file, _row
        from source
    """
    shop.map(**{"from": "by-day.tar.gz!*.csv", "query": query})

    # When they are loaded, twice
    load, again = shop.load(), shop.load()

    # Then all of them are there, once
    assert load.counts.accepted == again.counts.known == 541_909
    assert sum(shop.rows("quantity * unit_price")) == Decimal("9747747.934")
