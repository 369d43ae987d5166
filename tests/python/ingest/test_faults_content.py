"""Odd, huge or hostile content: stored exactly or quarantined, and harmless in every output."""

import csv
import gzip
import io
import json
import sqlite3
import subprocess
import sys
import tarfile
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from pyarrow import parquet
from support.files import packed
from support.shop import Shop

from flows.cli.query import run_query
from flows.config.settings import PROJECT, DataFolder
from flows.core.errors import SourceFailed
from flows.core.files import FileState
from flows.lake.quarantine_report import reasons_of
from flows.sources.files import archives
from flows.sources.files.encoding import NO_UTF_8
from flows.warehouse.build import Build, prepare_candidate
from flows.warehouse.release import publish_candidate

COLUMNS = {"id": "varchar not null", "name": "varchar"}
GOOD = b"id,name\n1,Ada\n2,Bob\n"


@pytest.fixture
def items(shop: Shop) -> Shop:
    shop.declare("shop.items", COLUMNS, key=["id"], load="append")
    shop.map(**{"from": "*"})
    return shop


def test_fault_28_a_value_outside_the_accepted_set_is_quarantined_and_told(items: Shop) -> None:
    """Records had a status outside the contract's list, in another case, and empty: Q, A."""
    # Given a contract that lists the accepted values of status
    accepted = {"type": "check", "name": "is_a_known_status", "expression": "status in ('placed', 'paid')"}
    status = {"data_type": "varchar", "constraints": [accepted]}
    items.declare("shop.items", {"id": "varchar not null", "status": status}, key=["id"], load="append")
    items.drop("1.csv", "id,status\n1,placed\n2,PAID\n3,lost\n4,\n5,placed \n")

    # When they are loaded, then null is accepted, and the other records are quarantined and reported
    items.load()
    assert items.rows("id") == ["1", "4"]
    assert items.loads()[-1]["quarantined"] == 3
    (reason,) = reasons_of(items.lake, items.name)
    assert (reason.reason, reason.records) == ("status: is_a_known_status", 3)


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "jsonl", "json", "sqlite"])
def test_fault_31_a_full_copy_of_nothing_is_told_and_brings_nothing_new(items: Shop, kind: str) -> None:
    """A full copy had no rows, or no columns, and counted as read: A."""
    # Given a full copy
    items.change(load="full")
    path = items.exports / f"all.{kind}"
    contents = {
        "csv": (GOOD, b"id,name\n", b""),
        "csv.gz": tuple(map(gzip.compress, (GOOD, b"id,name\n", b""))),
        "jsonl": (b'{"id": "1"}\n{"id": "2"}\n', b"", b"\n"),
        "json": (b'[{"id": "1"}, {"id": "2"}]', b"[]", b" [ ]\n"),
    }
    if kind == "sqlite":
        items.connect(f"sqlite:///{path}")
        with sqlite3.connect(path) as database:
            database.execute("create table items (id text, name text)")
            database.execute("insert into items values ('1', 'Ada'), ('2', 'Bob')")
        items.map()
    else:
        path.write_bytes(contents[kind][0])
    items.load()
    arrived = max(items.rows("_loaded_at"))

    for number in (1, 2):
        # When the next one is empty
        if kind == "sqlite":
            with sqlite3.connect(path) as database:
                database.execute("delete from items")
        else:
            path.write_bytes(contents[kind][number])
        load = items.load()

        # Then that is reported, no row is deleted, and no row has a new load time
        assert (load.counts.read, load.counts.deleted) == (0, 0)
        assert load.notes[-1:] == ("shop.items: the full copy of the source was empty; nothing was deleted",)
        assert max(items.rows("_loaded_at")) == arrived
        assert len(items.rows()) == 2


# Huge


def test_fault_37_a_huge_cell_is_quarantined_and_its_neighbours_are_read(
    items: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CSV had cells larger than a record may be: on one line, over many lines, and larger than the kept part: Q, I."""
    # Given records of at most a thousand bytes, lines longer than that, and lines longer than the kept part
    monkeypatch.setattr("flows.sources.files.lines.LARGEST_RECORD", 1_000)
    monkeypatch.setattr("flows.sources.files.lines.LARGEST_KEPT", 4_000)
    large, larger = b"3," + b"x" * 2_000, b"4," + b"y" * 2_000_000
    folded = b'5,"' + b"z\n" * 1_500
    items.drop("1.csv", b"\n".join([b"id,name", b"1,Ada", large, larger, b"2,Bob,", folded, b"6,Cyd", b"7", b""]))

    # When they are loaded, twice
    load, again = items.load(), items.load()

    # Then valid records are read, and the others are kept up to a limit, with the reason
    assert items.rows("id") == ["1", "2", "6"]
    quarantined = {raw: reasons[0] for raw, reasons in items.quarantine()}
    assert quarantined[large] == "is longer than 1,000 bytes"
    assert quarantined[larger[:4_000]] == "is longer than 1,000 bytes: of 2,000,003 the first 4,000 are kept"
    assert quarantined[b'5,"z'] == "has a quote that is not closed, or text behind one"
    assert load.counts.read == again.counts.known


HUGE = """
import sys
from pathlib import Path
from support.memory import largest_resident_mb
from support.shop import Shop, make_contract
folder = Path(sys.argv[1])
contract = make_contract("shop.items", {"id": "varchar not null", "name": "varchar"}, key=["id"])
shop = Shop(folder, contract, {"url": f"file:{folder / 'exports'}"})
shop.map(**{"from": "*"})
counts = shop.load().counts.values()[:3]
print(largest_resident_mb())
print(counts, [len(raw) for raw, _ in shop.quarantine()])
"""


@pytest.mark.slow
@pytest.mark.parametrize("megabytes", [100, 400])
def test_fault_37_a_cell_of_a_hundred_megabytes_is_quarantined_in_bounded_memory(items: Shop, megabytes: int) -> None:
    """CSV had a cell of 100 MB, and one of 400 MB; the larger one took no more memory: Q."""
    # Given a file with such a cell
    with (items.exports / "1.csv").open("wb") as file:
        file.write(b"id,name\n1,Ada\n2,")
        for _ in range(megabytes):
            file.write(b"x" * 1_000_000)
        file.write(b"\n3,Bob\n")

    # When it is loaded by a process of its own
    environment = {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests' / 'python'}", "PATH": "/usr/bin:/bin"}
    environment["ML_WAREHOUSE_DATA"] = str(items.folder / "data")
    command = [sys.executable, "-c", HUGE, str(items.folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=PROJECT, check=True)

    # Then the record is quarantined, and the process took at most 1.18 GB
    *_, megabytes_taken, counts = done.stdout.splitlines()  # before it, a progress bar on a slow machine
    assert counts == f"(3, 2, 1) [{min(megabytes * 1_000_000 + 2, 96 * 1024 * 1024)}]"
    assert float(megabytes_taken) < 1_180


# Exact


def test_fault_38_numbers_that_do_not_fit_are_quarantined_and_large_ones_are_exact(items: Shop) -> None:
    """Decimals overflowed; integers above 2^53 came as texts, JSON numbers, Parquet and from a database: Q."""
    # Given the same numbers in four formats; the last number does not fit
    columns = {"id": "varchar not null", "whole": "bigint", "amount": "decimal(18, 4)"}
    items.declare("shop.items", columns, key=["id"], load="append")
    wholes = [2**53 + 1, -(2**63), 2**63 - 1, 2**63]
    amounts = [Decimal("99999999999999.9999"), Decimal("-0.0001"), Decimal("0.5000"), Decimal("100000000000000.0000")]
    rows = [(whole, amount) for whole, amount in zip(wholes, amounts, strict=True)]
    items.drop("1.csv", "id,whole,amount\n" + "".join(f"c{n},{w},{a}\n" for n, (w, a) in enumerate(rows)))
    lines = (f'{{"id": "j{n}", "whole": {w}, "amount": {a}}}\n' for n, (w, a) in enumerate(rows))
    items.drop("1.jsonl", "".join(lines))
    table = {
        "id": [f"p{n}" for n in range(4)],
        "whole": pa.array(map(Decimal, wholes), pa.decimal128(38, 0)),
        "amount": pa.array(amounts, pa.decimal128(30, 4)),
    }
    parquet.write_table(pa.table(table), items.exports / "1.parquet")

    # When they are loaded, then the numbers that fit are exact, and the others are quarantined with both reasons
    for name in ("1.csv", "1.jsonl", "1.parquet"):
        items.map(**{"from": name})
        items.load()
    assert items.rows("whole", "amount") == rows[:3] * 3
    assert [reasons for _, reasons in items.quarantine()] == [
        [
            "whole: is no bigint",
            "amount: is no decimal(18, 4): it has more than 14 digits before the point; "
            "write a wider type in the contract",
        ]
    ] * 3

    # And numbers from a database are exact too; beyond its integers they are doubles
    path = items.folder / "shop.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("create table items (id text, whole integer, amount text)")
        stored = [(f"s{n}", w if w < 2**63 else float(w), str(a)) for n, (w, a) in enumerate(rows)]
        database.executemany("insert into items values (?, ?, ?)", stored)
    items.connect(f"sqlite:///{path}")
    items.map()
    items.load()
    assert items.rows("whole", "amount")[9:] == rows[:3]
    assert len(items.quarantine()) == 4


# Hostile

ODD = [
    "a\0b",
    "invoice\u202egpj.exe",
    "\u2066left\u2069",
    "=1+1",
    "+49 30 1234",
    "-5",
    "@SUM(A1:A9)",
    "\tx",
    "\rx",
    '=HYPERLINK("http://example.com","a")',
    "<script>alert(1)</script>",
    "plain",
    "1-2",
]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "sqlite"])
def test_fault_40_odd_texts_are_kept_as_they_are(items: Shop, kind: str) -> None:
    """Texts contained NUL, direction marks, formulas and HTML, in four formats: I."""
    # Given such texts
    rows = [(str(n), text) for n, text in enumerate(ODD)]
    if kind == "csv":
        file = io.StringIO(newline="")
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("id", "name"), *rows])
        items.drop("1.csv", file.getvalue())
    elif kind == "jsonl":
        items.drop_rows("1.jsonl", [{"id": n, "name": text} for n, text in rows])
    elif kind == "parquet":
        parquet.write_table(
            pa.table(dict(zip(("id", "name"), zip(*rows, strict=True), strict=True))), items.exports / "1.parquet"
        )
    else:
        items.connect(f"sqlite:///{items.folder / 'shop.sqlite'}")
        items.map()
        with sqlite3.connect(items.folder / "shop.sqlite") as database:
            database.execute("create table items (id text, name text)")
            database.executemany("insert into items values (?, ?)", rows)

    # When they are loaded, twice, then the lake has each text once, unchanged
    items.load()
    assert items.load().counts.known == len(rows)
    assert items.rows("id", "name") == rows


def released(tmp_path: Path, table: str) -> DataFolder:
    """Publish a database with one table, `texts`, made by SQL."""
    folder = DataFolder(tmp_path / "shop")
    folder.path.mkdir()
    prepare_candidate(folder, empty=True)
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute(f"create table main.texts as {table}")
    publish_candidate(folder, Build((), "invocation", FileState.of(folder.candidate), 0.0, "code"), {})
    return folder


def test_fault_40_62_what_a_query_exports_cannot_run_or_mislead(tmp_path: Path) -> None:
    """Texts with formulas, HTML, NUL and direction marks, and numbers, were exported and shown: I."""
    # Given a release with such texts and with negative numbers
    folder = released(
        tmp_path,
        "select unnest($odd) as text, -5 as number, -1.5::decimal(9, 2) as amount".replace("$odd", repr_sql(ODD)),
    )

    # When they are exported as CSV, then a spreadsheet executes no text, and numbers stay numbers
    exported = list(
        csv.reader(io.StringIO(run_query(folder, 'select text, number, amount as "=2" from texts', "csv", 100)))
    )
    assert exported[0] == ["text", "number", "'=2"]
    assert {(number, amount) for _, number, amount in exported[1:]} == {("-5", "-1.50")}
    texts = [text for text, _, _ in exported[1:]]
    assert not [
        text for text in texts if text.startswith(("=", "+", "-", "@", "\t", "\r")) or {*"\0\u202e\u2066"} & {*text}
    ]
    assert texts[:5] == ["a\\u0000b", "invoice\\u202egpj.exe", "\\u2066left\\u2069", "'=1+1", "'+49 30 1234"]
    assert texts[-3:] == ["<script>alert(1)</script>", "plain", "1-2"]

    # And JSON has the exact texts, with such marks as escapes
    said = run_query(folder, "from texts", "json", 100)
    assert not {*"\0\u202e\u2066\u2069"} & {*said}
    assert [json.loads(line)["text"] for line in said.splitlines()] == ODD

    # And in a terminal, no text changes the direction or ends the output
    shown = run_query(folder, "from texts", "table", 100)
    assert not {*"\0\x1b\u202e\u2066\u2069"} & {*shown}


def repr_sql(texts: list[str]) -> str:
    """Write texts as an SQL list, with any characters."""
    return (
        "[" + ", ".join("'" + text.replace("'", "''").replace("\0", "' || chr(0) || '") + "'" for text in texts) + "]"
    )


# Archives


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, to
    return entry


@pytest.mark.parametrize("kind", ["tar.gz", "zip"])
@pytest.mark.parametrize(
    "entry",
    [
        "../../up.csv",
        "a/../../up.csv",
        "/tmp/absolute.csv",
        "..\\up.csv",
        "C:\\up.csv",
        "link.csv",
        "hard.csv",
        "pipe.csv",
    ],
)
def test_fault_60_a_member_that_leads_out_of_its_archive_is_refused(items: Shop, kind: str, entry: str) -> None:
    """Archives contained upward paths, absolute paths, and links to a secret file and a pipe, under matching names: F,
    I.
    """
    # Given a file outside of the source, and an archive with a member that leads to it
    secret = items.folder / "secret.csv"
    secret.write_text("id,name\n9,secret\n")
    links = {
        "link.csv": link("link.csv", str(secret)),
        "hard.csv": link("hard.csv", "../secret.csv", tarfile.LNKTYPE),
        "pipe.csv": link("pipe.csv", "", tarfile.FIFOTYPE),
    }
    members = {"1.csv": GOOD} | ({} if entry in links else {entry: b"id,name\n3,Cyd\n"})
    items.drop(f"all.{kind}", packed(members, kind, *[links[entry]] if entry in links else []))
    items.map(**{"from": f"all.{kind}!*.csv"})
    before = {path: path.read_bytes() for path in items.folder.rglob("*.csv")}

    # When it is loaded, then the error names archive and member, and no file was written or read through it
    with pytest.raises(SourceFailed, match=r"all\.\S+: .*refused") as failure:
        items.load()
    assert entry in str(failure.value)
    assert {path: path.read_bytes() for path in items.folder.rglob("*.csv")} == before
    assert "secret" not in items.rows("name")

    # And if the pattern does not match the member, it is ignored
    items.map(**{"from": f"all.{kind}!1.csv"})
    assert items.load().counts.accepted == 2


ZEROS = GOOD + b"3," + bytes(4_000_000) + b"\n"


def nothing_but_nulls() -> bytes:
    file = io.BytesIO()
    table = pa.table({"id": pa.array(["1"] * 3_000_000).dictionary_encode(), "name": pa.nulls(3_000_000, pa.string())})
    parquet.write_table(table, file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "pattern"),
    [
        ("1.csv.gz", lambda: gzip.compress(ZEROS), "*"),
        ("1.csv.gz", lambda: b"".join(gzip.compress(bytes(500_000)) for _ in range(9)), "*"),
        ("1.jsonl.gz", lambda: gzip.compress(b'{"id": "' + b"1" * 4_000_000 + b'"}\n'), "*"),
        ("all.zip", lambda: packed({"1.csv": ZEROS}, "zip"), "*.zip!*.csv"),
        ("all.zip", lambda: packed({f"{n}.csv": ZEROS[:800_000] for n in range(6)}, "zip"), "*.zip!*.csv"),
        ("all.tar.gz", lambda: packed({"1.csv": ZEROS}, "tar.gz"), "*.gz!*.csv"),
        ("all.tar.gz", lambda: packed({"0.bin": bytes(4_000_000), "1.csv": GOOD}, "tar.gz"), "*.gz!*.csv"),
        ("all.tar", lambda: packed({"1.csv.gz": gzip.compress(ZEROS)}, "tar"), "*.tar!*.csv.gz"),
        ("1.parquet", nothing_but_nulls, "*"),
    ],
    ids=["gzip", "gzip of many", "JSON", "zip", "zip of many", "tar", "tar, passed over", "gzip in tar", "Parquet"],
)
def test_fault_61_a_file_that_would_unpack_without_bounds_is_refused(
    items: Shop, monkeypatch: pytest.MonkeyPatch, name: str, content: object, pattern: str
) -> None:
    """Packed files and archives had a thousand times their size, in one or many members, matching or not: F, I."""
    # Given a file that unpacks to several hundred times its size, above the size that is always allowed
    assert callable(content)
    monkeypatch.setattr(archives, "ALWAYS_FINE", 1_000_000)
    items.drop(name, content())
    assert (items.exports / name).stat().st_size < 20_000
    items.map(**{"from": pattern})

    # When it is loaded, then the error names the file and the limits, and no record is stored
    with pytest.raises(SourceFailed, match=rf"{name[:3]}.*unpacks to more than 200 times its size") as failure:
        items.load()
    assert not failure.value.is_transient
    assert items.rows() == []

    # And a small file is read, at any compression ratio
    (items.exports / name).unlink()
    items.drop("2.csv.gz", gzip.compress(b"id,name\n" + b"1,Ada\n" * 100_000))
    items.map(**{"from": "2.csv.gz"})
    assert items.load().counts.read == 100_000


def test_fault_61_a_size_that_a_zip_lies_about_is_not_believed(items: Shop) -> None:
    """A zip archive stated a small size for a large member: F."""
    # Given such an archive
    content = packed({"1.csv": GOOD + b"3,Cyd\n" * 1_000}, "zip")
    size = (len(GOOD) + 6_000).to_bytes(4, "little")
    items.drop("all.zip", content.replace(size, len(GOOD).to_bytes(4, "little")))
    items.map(**{"from": "all.zip!*.csv"})

    # When it is loaded, then it counts as damaged
    with pytest.raises(SourceFailed, match=r"all\.zip"):
        items.load()
    assert items.rows() == []


@pytest.mark.parametrize("name", ["1.jsonl", "1.json"])
def test_fault_33_a_json_key_twice_is_quarantined(items: Shop, name: str) -> None:
    """Records had a key twice: with the same value, with another value, and in records with additional keys: Q, I."""
    # Given valid records, and records with ambiguous values
    twice = ['{"id": "3", "name": "Cy", "id": "4"}', '{"id": "5", "id": "5"}', '{"id": "6", "x": 1, "x": 2}']
    records = ['{"id": "1", "name": "Ada"}', *twice, '{"id": "2", "name": "Bob"}']
    items.drop(name, "\n".join(records) if name == "1.jsonl" else f"[{','.join(records)}]")

    # When they are loaded, twice
    load, again = items.load(), items.load()

    # Then the ambiguous records are quarantined as they came, once
    assert items.stored() == {("1", "Ada"), ("2", "Bob")}
    assert sorted(items.quarantine()) == sorted((record.encode(), ["has a key twice"]) for record in twice)
    assert (load.counts.quarantined, again.counts.known) == (3, 5)


def test_fault_34_what_is_no_number_or_too_large_a_one_is_quarantined(items: Shop) -> None:
    """Amounts and readings were NaN, infinity and 1e400, in CSV and in JSON: Q."""
    # Given invalid and infinite numbers
    items.declare(
        "shop.items",
        {"id": "varchar not null", "amount": "decimal(18, 4)", "reading": "double"},
        key=["id"],
        load="append",
    )
    items.drop(
        "1.csv", "id,amount,reading\n1,1.5,2.5\n2,NaN,1\n3,1,NaN\n4,inf,1\n5,1,-Infinity\n6,1e400,1\n7,1,1e400\n"
    )
    items.drop("2.jsonl", '{"id": "8", "amount": 1e400}\n{"id": "9", "reading": 1e400}\n{"id": "10", "reading": 3.5}\n')

    # When the CSV is loaded, then the valid numbers are stored
    items.map(**{"from": "*.csv"})
    assert (items.load().counts.accepted, len(items.quarantine())) == (1, 6)

    # And JSON has no such numbers, so these records are quarantined as they came
    items.map(**{"from": "*.jsonl"})
    items.load()
    assert items.rows("id") == ["1", "10"]
    assert [raw for raw, _ in items.quarantine()][6:] == [
        b'{"id": "8", "amount": 1e400}',
        b'{"id": "9", "reading": 1e400}',
    ]


@pytest.mark.parametrize("name", ["1.csv", "1.jsonl", "1.json"])
def test_fault_35_bytes_that_are_no_utf_8_are_quarantined_as_they_are(items: Shop, name: str) -> None:
    """A CSV record, a JSON line and a whole document contained bytes that are not UTF-8: Q, I."""
    # Given a record in another encoding
    bad = {"1.csv": b"2,J\xfcrgen", "1.jsonl": b'{"id": "2", "name": "J\xfcrgen"}', "1.json": b'[{"id": "J\xfcrgen"}]'}
    good = {"1.csv": b"id,name\n1,Ada\n", "1.jsonl": b'{"id": "1", "name": "Ada"}\n', "1.json": b""}
    items.drop(name, good[name] + bad[name] + (b"" if name == "1.json" else b"\n"))

    # When it is loaded, twice, then it is quarantined byte by byte, once, and the others are loaded
    items.load()
    assert items.load().counts.accepted == 0
    assert items.quarantine() == [(bad[name], ["is no JSON" if name == "1.json" else NO_UTF_8])]
    assert items.rows("id") == ([] if name == "1.json" else ["1"])


def test_fault_111_an_amount_with_more_digits_than_its_type_says_how_many(shop: Shop) -> None:
    """Computed floats, huge ones and long texts came as amounts: the reason says their digits and the remedy: Q."""
    # Given amounts of which the first fits, as floats of both sizes and as texts
    shop.declare("sales.lines", {"id": "varchar not null", "price": "decimal(18, 4)"}, key=["id"], load="append")
    shop.change(quarantine_limit_pct=100.0)
    prices = [19.99, 0.1 + 0.2, 1e15, float("nan"), 1e-7]
    for kind in (pa.float64(), pa.float32()):
        columns = {"id": [f"{kind} {at}" for at in range(5)], "price": pa.array(prices, kind)}
        parquet.write_table(pa.table(columns), shop.exports / f"{kind}.parquet")
        shop.map(**{"from": f"{kind}.parquet"})
        shop.load()
    shop.map(**{"from": "texts.csv"})
    shop.drop("texts.csv", "id,price\ntext 0,19.99\ntext 1,0.30000000000000004\ntext 2,1000000000000000\ntext 3,x\n")
    shop.load()

    # Then it is exact, and of the others the quarantine tells the digits and how to round
    assert sorted(shop.rows("id", "price")) == [
        ("double 0", Decimal("19.9900")), ("float 0", Decimal("19.9900")), ("float 1", Decimal("0.3000")),
        ("text 0", Decimal("19.9900")),
    ]  # fmt: skip
    fine = "price: is no decimal(18, 4): it has {} digits after the point; round it in the mapping: {}"
    large = (
        "price: is no decimal(18, 4): it has more than 14 digits before the point; write a wider type in the contract"
    )
    rounded, parsed = 'round("price", 4)', 'round(cast("price" as decimal(38, 18)), 4)'
    of_floats = [large, "price: is no decimal(18, 4)", fine.format("more than 4", rounded)]
    assert [reason for _, (reason,) in shop.quarantine()] == [
        fine.format(17, rounded), *of_floats, *of_floats, fine.format(17, parsed), large, "price: is no decimal(18, 4)"
    ]  # fmt: skip

    # And a mapping that rounds takes them
    shop.map(**{"from": "double.parquet", "columns": {"price": "round(price, 4)"}})
    shop.load()
    assert shop.rows("price", where="id in ('double 1', 'double 4')") == [Decimal("0.3000"), Decimal("0.0000")]


def test_fault_119_digits_that_a_comparison_would_round_are_quarantined(shop: Shop) -> None:
    """Texts had more digits than a double or ten decimals can tell from the stored number: Q."""
    # Given numbers as texts, of which the first of each kind fit
    fitting = {
        "decimal(18, 4)": ["12345678901234.5678", "1.23456789012345678E13", "12345678e-4", "15000e-5", "0E+0"],
        "bigint": ["4.0000000000000", "9.223372036854775807e18", "1500e-2", "9223372036854775807.0"],
        "double": ["9007199254740992.0", "0.12345678901234567890", "1e-300", "0e-400", "0.000"],
    }
    rounded = {
        "decimal(18, 4)": ["12345678901234.56789e0", "1234567890123.456789E1", "12345678901234567891e-6"],
        "bigint": ["4.00000000001", "4.00000000001e0", "400000000001e-11", "9.2233720368547758071e18"],
        "double": ["9007199254740993.0", "9007199254740993.", "1e-400"],
    }
    for kind in fitting:
        shop.declare("sales.lines", {"id": "varchar not null", kind[:3]: kind}, key=["id"], load="append")
        shop.change(quarantine_limit_pct=100.0)
        texts = fitting[kind] + rounded[kind]
        shop.drop_rows(f"{kind[:3]}.jsonl", [{"id": f"{kind[:3]} {text}", kind[:3]: text} for text in texts])
        shop.map(**{"from": f"{kind[:3]}.jsonl"})
        assert shop.load().counts.quarantined == len(rounded[kind]), kind

    # Then these are stored, exactly, and the others wait as they came
    assert {row.split()[1] for row in shop.rows("id")} == {text for texts in fitting.values() for text in texts}
    waiting = b" ".join(raw for raw, _ in shop.quarantine())
    assert [text for texts in rounded.values() for text in texts if f" {text}".encode() not in waiting] == []


def test_fault_111_a_record_keeps_its_numbers_as_they_were_written(shop: Shop) -> None:
    """Typed numbers that JSON writes in another way were kept whole, and rejected: Q."""
    # Given numbers of every width, one of which breaks the contract
    shop.declare("sales.lines", {"id": "varchar not null", "payload": "varchar", "n": "integer"}, key=["id"])
    columns = {
        "id": ["1", "2"],
        "real": pa.array([19.99, float("nan")], pa.float32()),
        "double": [0.1 + 0.2, float("-inf")],
        "decimal": pa.array([Decimal("12345678901234567890.1234567891")] * 2, pa.decimal128(38, 10)),
        "whole": [9_007_199_254_740_993] * 2,
        "n": [1.0, 1.5],
    }
    parquet.write_table(pa.table(columns), shop.exports / "1.parquet")
    shop.map(**{"from": "*", "columns": {"payload": "_record"}})

    # When they are loaded, then the record that is kept and the one in quarantine are JSON with the same numbers
    shop.load()
    text = '{"id":"1","real":19.99,"double":0.30000000000000004,"decimal":12345678901234567890.1234567891,'
    assert shop.rows("payload") == [text + '"whole":9007199254740993,"n":1.0}']
    ((raw, _),) = shop.quarantine()
    text = '{"id":"2","real":"nan","double":"-inf","decimal":12345678901234567890.1234567891,'
    assert raw.decode() == text + '"whole":9007199254740993,"n":1.5}'
