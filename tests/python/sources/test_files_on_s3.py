"""Files on S3: the same globs, archives and encodings as in a folder, and no file is fetched that was read before."""

import gzip
import io
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pytest
from pyarrow import parquet
from support.files import packed
from support.shop import Shop

from flows.core.errors import SourceFailed
from flows.ingest.mistakes import inspect_table
from flows.sources.survey import survey
from tests.services.s3 import BUCKET, SECRET, Fault, S3Server

pytest_plugins = ["support.s3_fixtures"]
pytestmark = pytest.mark.services

HEADER = "order_id,customer,quantity,price,updated_at\n"


def lines(*numbers: int, customer: str = "Ada") -> bytes:
    rows = "".join(f"{number},{customer},1,1.50,2026-01-01\n" for number in numbers)
    return (HEADER + rows).encode()


def as_parquet(*numbers: int) -> bytes:
    written = io.BytesIO()
    parquet.write_table(
        pa.table({"order_id": [str(number) for number in numbers], "customer": ["Ada"] * len(numbers)}), written
    )
    return written.getvalue()


FILES = {
    "day-1.csv": lines(1, 2),
    "day-10.csv": lines(3),
    "day-2.csv": lines(4, 1, customer="Bob"),
    "old/2024.csv": lines(5),
    "old/deep/2023 é.csv.gz": gzip.compress(lines(6)),
    "old/.hidden.csv": lines(7),
    "latin.txt": HEADER.encode() + "8,Zoë,1,1.50,2026-01-01\n".encode("latin-1"),
    "all.tar.gz": packed({"in/9.csv": lines(9), "in/10.csv": lines(10), "note.md": b"no"}, "tar.gz"),
    "typed.parquet": as_parquet(11, 12),
    "broken.csv": lines(13) + b"14,Eve,many,1.50,2026-01-01\n",
}


@pytest.fixture
def folder(shop: Shop, s3_environment: S3Server) -> str:
    """The prefix of the shop's files, which lie in a folder of this machine, too."""
    prefix = f"exports/{uuid4().hex[:8]}"
    s3_environment.put(f"{prefix}/", b"")  # as consoles make a folder
    s3_environment.put(f"{prefix}/old/", b"")
    for name, content in FILES.items():
        s3_environment.put(f"{prefix}/{name}", content)
        shop.drop(name, content)
    shop.connect(f"s3://{BUCKET}/{prefix}")
    return prefix


@pytest.mark.parametrize(
    ("pattern", "options"),
    [
        ("day-*.csv", {}),
        ("day-?.csv", {}),
        ("old", {}),
        ("old/*.csv", {}),
        ("**/*.csv", {}),
        ("old/**/*.gz", {}),
        ("day-1", {}),
        ("latin.txt", {"format": {"encoding": "latin-1"}}),
        ("all.tar.gz!in/*.csv", {}),
        ("typed.parquet", {"columns": {"quantity": "1"}}),
        ("broken.csv", {}),
    ],
)
def test_files_on_s3_are_those_of_a_folder(
    shop: Shop, folder: str, pattern: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the same files in a folder and on S3
    found = []
    for url, data in ((f"s3://{BUCKET}/{folder}/", "one"), (f"file:{shop.exports}", "two")):
        monkeypatch.setenv("ML_WAREHOUSE_DATA", str(shop.folder / data))
        shop.connect(url)
        shop.map(**{"from": pattern, **options})

        # When they are loaded, twice
        first, again = shop.load(), shop.load()

        # Then rows, quarantine, positions and counts are the same, and all is known the second time
        found.append((shop.rows(*shop.contract.types, "_position", "_row"), shop.quarantine(), vars(first.counts)))
        assert again.counts.known == again.counts.read == first.counts.read > 0
        assert again.batch == first.batch
    assert found[0] == found[1]


def test_a_file_that_was_read_is_not_fetched_again(shop: Shop, folder: str, s3_server: S3Server) -> None:
    # Given a folder that was loaded
    shop.map(**{"from": "day-*.csv"})
    shop.load()

    # When nothing, then a new file, then a file with another content is there
    s3_server.refuse(Fault(r"GET [^?]*\.csv", 403, "AccessDenied"))
    assert shop.load().counts.known == 5
    s3_server.refuse(Fault(r"GET [^?]*day-(1|10|2)\.csv", 403, "AccessDenied"))
    s3_server.put(f"{folder}/day-11.csv", lines(20))
    assert shop.load().counts.accepted == 1
    s3_server.refuse(Fault(r"GET [^?]*day-(1|10|11)\.csv", 403, "AccessDenied"))
    s3_server.put(f"{folder}/day-2.csv", lines(4, 1, 21, customer="Bob"))

    # Then only what is new was fetched, and copies are gone
    assert shop.load().counts.accepted == 1
    assert not list(shop.lake.parent.glob("work/**/object-*"))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("GET [^?]*day-2", 403, "AccessDenied"), "access was refused: 403 AccessDenied"),
        (Fault("list-type", 403, "InvalidAccessKeyId"), "access was refused: 403 InvalidAccessKeyId"),
        (Fault("list-type", 404, "NoSuchBucket"), f"there is no bucket {BUCKET}"),
        (Fault("", 503, "SlowDown"), r"the server answered 503 \w+( \w+)?, also after 4 more tries"),
    ],
)
def test_fault_141_a_source_on_s3_that_refuses_is_told(
    shop: Shop, folder: str, s3_server: S3Server, fault: Fault, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A bucket with files was not there, not to be read, or answered 503 to the end of all tries: F."""
    shop.map(**{"from": "day-*.csv"})
    s3_server.refuse(fault)
    with pytest.raises(SourceFailed, match=told) as failure:
        shop.load()
    assert failure.value.is_transient == ("503" in told)
    assert SECRET not in str(failure.value) + caplog.text


def test_fault_141_a_file_on_s3_is_tried_again(shop: Shop, folder: str, s3_server: S3Server) -> None:
    """A bucket with files answered 503 for a while, and cut a connection: I."""
    shop.map(**{"from": "day-*.csv"})
    s3_server.refuse(Fault("list-type", 503, "SlowDown", times=2), Fault("GET [^?]*csv", 0, "", times=1))
    assert shop.load().counts.accepted == 5


def test_a_mapping_that_names_no_file_is_told_with_those_that_are_there(shop: Shop, folder: str) -> None:
    shop.map(**{"from": "month-*.csv"})
    with pytest.raises(SourceFailed, match=r"no file matches month-\*\.csv; its folder has all\.tar\.gz, broken\.csv"):
        shop.load()


def test_check_and_init_look_at_files_on_s3(shop: Shop, folder: str, tmp_path: Path) -> None:
    shop.map(**{"from": "day-*.csv", "columns": {"customer": "buyer"}})
    looked = inspect_table(shop.read_connection(), shop.contract)
    assert "buyer" in str(looked)
    found = survey(f"s3://{BUCKET}/{folder}", {})
    assert {"day*.csv", "typed.parquet"} <= {table.origin for table in found.tables}
    assert set(found.tables[0].columns) >= {"order_id", "customer"}
