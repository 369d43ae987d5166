"""A lake on S3: the same rows, promises and commands as in a folder, one run at a time, and no half of a commit."""

import json
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from support.shop import Shop

from flows.config.settings import DataFolder
from flows.core.errors import StorageFailed
from flows.core.object_store import S3Path
from flows.core.storage import storage_faults_named
from flows.lake.damage import require_readable, require_whole
from flows.lake.delta import open_table
from flows.lake.maintenance import compact_and_vacuum_table
from flows.lake.raw import raw_path
from flows.lake.verify import verify_table
from tests.services.s3 import BUCKET, SECRET, Fault, S3Server

pytest_plugins = ["support.s3_fixtures"]
pytestmark = pytest.mark.services


@pytest.fixture
def lake(shop: Shop, s3_environment: S3Server, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """The shop's lake, moved to a folder of its own on S3."""
    prefix = f"lakes/{request.node.originalname}-{uuid4().hex[:8]}"
    monkeypatch.setenv("ML_WAREHOUSE_LAKE", f"s3://{BUCKET}/{prefix}")
    return f"{prefix}/test"


def orders(first: int, last: int, day: int = 1) -> list[dict[str, object]]:
    return [
        {"order_id": f"o{n}", "customer": f"c{n % 7}", "quantity": n, "price": "1.5", "updated_at": f"2026-01-{day:02}"}
        for n in range(first, last + 1)
    ]


def test_a_lake_on_s3_holds_what_one_in_a_folder_holds(
    shop: Shop, lake: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given two days of orders, one of them malformed
    shop.drop_rows("1.jsonl", [*orders(1, 50), {"order_id": None}])

    # When they are loaded with the lake on S3, each file once, then with the lake in a folder
    first = shop.load()
    shop.drop_rows("2.jsonl", orders(40, 60, day=2))
    second, again = shop.load(), shop.load()
    on_s3 = shop.stored(), shop.quarantine(), [vars(one.counts) for one in (first, second, again)]
    monkeypatch.delenv("ML_WAREHOUSE_LAKE")
    (shop.exports / "2.jsonl").unlink()
    first = shop.load()
    shop.drop_rows("2.jsonl", orders(40, 60, day=2))
    second, again = shop.load(), shop.load()

    # Then both hold the same, and nothing of the first is in the data folder but copies
    assert on_s3 == (shop.stored(), shop.quarantine(), [vars(one.counts) for one in (first, second, again)])
    keys = s3_server.keys(lake)
    assert {key.removeprefix(f"{lake}/").split("/")[0] for key in keys} == {"raw", "quarantine", "ops"}
    assert f"{lake}/raw/sales/orders/_delta_log/{1:020}.json" in keys
    copies = DataFolder.of("test").path / "lake-files"
    assert {path.suffix for path in copies.rglob("*") if path.is_file()} == {".parquet"}


def test_compaction_and_vacuum_keep_rows_and_named_versions(
    shop: Shop, lake: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a table of five small commits, of which a release names the third
    monkeypatch.setattr("flows.lake.maintenance.MANY", 4)
    for day in range(1, 6):
        shop.drop_rows(f"{day}.jsonl", orders(day, day))
        shop.load()
    path, before = raw_path(shop.lake, shop.name), shop.stored()
    table = open_table(path, 2)
    assert table is not None
    named = table.file_uris()

    # When it is compacted, and what nothing needs is deleted
    done = compact_and_vacuum_table(path, [2], age=timedelta(0), least=1)

    # Then it has its rows in one file, the named version can be read, and copies of deleted files went with them
    newest = open_table(path)
    assert newest is not None
    assert (done.compacted, len(newest.file_uris())) == (5, 1)
    assert done.deleted == 5 - len(named)
    assert shop.stored() == before
    files = {Path(key).name for key in s3_server.keys(f"{lake}/raw") if key.endswith(".parquet")}
    assert {Path(uri).name for uri in [*named, *newest.file_uris()]} <= files
    copies = {copy.name for copy in (DataFolder.of("test").path / "lake-files" / "raw").rglob("*.parquet")}
    assert copies <= files
    require_whole(path)
    assert verify_table(shop.lake, shop.name).faults == ()


def test_damage_on_s3_is_found_and_named(shop: Shop, lake: str, s3_server: S3Server) -> None:
    # Given a loaded table, whose file has a copy on this machine
    shop.drop_rows("1.jsonl", orders(1, 5))
    shop.load()
    assert shop.stored()
    (key,) = [key for key in s3_server.keys(f"{lake}/raw") if key.endswith(".parquet")]
    content = s3_server.get(key)

    # When the object is changed, cut or deleted, then the table and the file are told
    path = raw_path(shop.lake, shop.name)
    for damaged, told in (
        (content[:100] + bytes(40) + content[140:], "cannot be read"),
        (content[:-9], f"has {len(content) - 9:,} bytes of {len(content):,}"),
    ):
        s3_server.put(key, damaged)
        with pytest.raises(StorageFailed, match=f"sales.orders: .* is damaged: .*{told}"):
            require_readable(path)
    s3_server.client().delete_object(Bucket=BUCKET, Key=key)
    with pytest.raises(StorageFailed, match="is not there"):
        require_whole(path)


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (403, "InvalidAccessKeyId", r"access was refused: 403 InvalidAccessKeyId\n(?s:.*)Look at AWS_ACCESS_KEY_ID"),
        (404, "NoSuchBucket", rf"there is no bucket {BUCKET}\n(?s:.*)Make the bucket"),
        (503, "SlowDown", r"the server answered 503 SlowDown, also after 4 more tries\n"),
        (500, "InternalError", r"the server answered 500 InternalError, also after 4 more tries\n"),
    ],
)
def test_a_refusal_of_s3_is_told_without_secrets(
    shop: Shop, lake: str, s3_server: S3Server, status: int, code: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    s3_server.refuse(Fault("", status, code))
    for read in (lambda: open_table(raw_path(shop.lake, shop.name)), shop.lake.is_dir):
        with pytest.raises(StorageFailed, match=told) as failure, storage_faults_named():
            read()
        assert SECRET not in str(failure.value) + caplog.text


def test_a_host_that_is_not_there_is_told(shop: Shop, lake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageFailed, match=r"no answer from 127\.0\.0\.1:9\n(?s:.*)Look at AWS_ENDPOINT_URL"):
        open_table(raw_path(shop.lake, shop.name))


def test_a_path_on_s3_is_no_file_of_this_machine(tmp_path: Path) -> None:
    for do in (lambda path: path.mkdir(), lambda path: path.write_text(""), lambda path: path.rename(tmp_path / "x")):
        with pytest.raises(TypeError):
            do(S3Path("s3://warehouse/lake") / "raw")
    assert json.dumps(str(S3Path("s3://warehouse/lake/raw").relative_to(S3Path("s3://warehouse")))) == '"lake/raw"'
