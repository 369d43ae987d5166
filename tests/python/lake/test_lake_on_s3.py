"""A lake on S3: the same rows, promises and commands as in a folder, one run at a time, and no half of a commit."""

import itertools
import json
import multiprocessing
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest
from support.killed_loads import fill, load_in_a_child, state
from support.kills import Child, Point, When, set_constants
from support.shop import Shop, make_contract, make_shop

from flows.config.connections import read_connections
from flows.config.settings import DataFolder
from flows.core.errors import SourceFailed, StorageFailed
from flows.core.object_store import S3Path
from flows.core.storage import storage_faults_named
from flows.ingest.derived_tables import derive_table
from flows.ingest.load import load_table
from flows.ingest.pixels import encode_png
from flows.ingest.reload import reload_table
from flows.lake.copies import place_of
from flows.lake.damage import require_readable, require_whole
from flows.lake.delta import append_row, open_table, query
from flows.lake.maintenance import compact_and_vacuum_table
from flows.lake.ops import record_release
from flows.lake.raw import RawTable, raw_path
from flows.lake.reload import finish_reloads
from flows.lake.verify import verify_table
from flows.learning.training_sets import needed_versions
from flows.warehouse.releases import MadeOf
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


def test_pictures_of_a_lake_on_s3_are_measured(shop: Shop, lake: str) -> None:
    # Given a picture in the lake, when the table is made that is derived of it, then it has its row
    columns = {"image_id": "varchar not null", "bytes": "blob", "sha256": "varchar not null"}
    shop.declare("content.images", columns, key=["image_id"], load="upsert")
    shop.drop("images/1.png", encode_png(np.zeros((4, 4, 3), np.uint8)))
    shop.map(**{"from": "images", "columns": {"image_id": "path"}})
    shop.load()
    features = make_contract(
        "content.image_features",
        {"sha256": "varchar not null", "average_hash": "bigint"},
        key=["sha256"],
        load="upsert",
        derived={"by": "image_features", "of": "content.images"},
    )
    contracts = {shop.name: shop.contract, features.name: features}
    assert derive_table(features, contracts, DataFolder.of("test"), run_id="a-run").counts.accepted == 1
    assert derive_table(features, contracts, DataFolder.of("test"), run_id="a-run").counts.read == 0


@pytest.mark.parametrize(
    "point",
    [Point("compact/merge", "within", 1, 0.01), Point("compact/checkpoint", "before"), Point("vacuum", "after", 1)],
    ids=str,
)
def test_fault_06_a_killed_prune_on_s3_is_resumed(shop: Shop, lake: str, point: Point) -> None:
    """Prune was killed while it compacted a table on S3, or deleted its files: I."""
    # Given a table of five small commits, of which a release names the third
    for day in range(1, 6):
        shop.drop_rows(f"{day}.jsonl", orders(day, day))
        shop.load()
    path, before = raw_path(shop.lake, shop.name), shop.stored()
    prune = Child(
        "flows.lake.maintenance:compact_and_vacuum_table",
        (path, [2]),
        {"age": timedelta(0), "least": 1},
        (partial(set_constants, {"flows.lake.maintenance:MANY": 4}),),
    )

    # When it is killed, then rows and the named version are there, and the next one completes it
    assert prune.run(point).was_killed
    assert shop.stored() == before
    ended = prune.run()
    assert ended.error is None, ended.error
    named, newest = open_table(path, 2), open_table(path)
    assert named is not None
    assert newest is not None
    assert len(newest.file_uris()) == 1
    assert {place_of(uri) for uri in (*named.file_uris(), *newest.file_uris())} == set(path.glob("*.parquet"))
    assert shop.stored() == before
    assert verify_table(shop.lake, shop.name).faults == ()


def test_versions_that_releases_of_other_machines_name_are_kept(shop: Shop, lake: str) -> None:
    shop.drop_rows("1.jsonl", orders(1, 5))
    shop.load()
    made_of = MadeOf(None, "code", {}, {shop.name: 0}, {}, {})
    record_release(shop.lake, "2026-01-01.1", made_of.text)
    assert needed_versions(DataFolder.of("test")) == {shop.name: {0}}


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


def kill_at_the_second(step: str, patched: pytest.MonkeyPatch) -> None:
    """Let the second call of an operation on S3 be the last thing that a process does."""
    whole, calls = getattr(S3Path, step), itertools.count(1)

    def call(self: S3Path, *arguments: Any, **options: Any) -> Any:
        if next(calls) == 2:
            raise KeyboardInterrupt
        return whole(self, *arguments, **options)

    patched.setattr(S3Path, step, call)


def kill_while_deleting(patched: pytest.MonkeyPatch) -> None:
    """Let the deletion of the uploaded table be the last thing that a process does, when some files are left."""
    whole = shutil.rmtree

    def delete(path: Any, *arguments: Any, **options: Any) -> None:
        if isinstance(path, Path) and (path / "_delta_log").exists():
            next(path.glob("*.parquet")).unlink()
            raise KeyboardInterrupt
        whole(path, *arguments, **options)

    patched.setattr(shutil, "rmtree", delete)


KILLS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the damaged table is deleted": partial(kill_at_the_second, "unlink"),
    "the new one is uploaded": partial(kill_at_the_second, "upload"),
    "what is uploaded is deleted": kill_while_deleting,
}


@pytest.mark.parametrize("kill", KILLS)
def test_a_damaged_table_on_s3_is_made_again_also_after_a_kill(
    shop: Shop, lake: str, s3_server: S3Server, kill: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a table of two batches, one of which is damaged
    for day in (1, 2):
        shop.drop_rows(f"{day}.jsonl", orders(day * 10, day * 10 + 5, day))
        shop.load()
    before = shop.stored()
    key = max(key for key in s3_server.keys(f"{lake}/raw") if key.endswith(".parquet"))
    s3_server.put(key, s3_server.get(key)[:-9])

    # When its reload is killed in mid-move, and the next command goes on
    shop.read_connection()
    sources = read_connections(shop.connections_file)
    with monkeypatch.context() as patched:
        KILLS[kill](patched)
        with pytest.raises(KeyboardInterrupt):
            reload_table(sources, {shop.name: shop.contract}, shop.name, released=0, afresh=False)
    finish_reloads(shop.lake)

    # Then all rows are there once, and the damaged table is set aside
    assert shop.stored() == before
    require_readable(raw_path(shop.lake, shop.name))
    assert shop.load().counts.accepted == 0
    assert Path(key).name in {Path(one).name for one in s3_server.keys(f"{lake}/damaged")}


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


# Faults


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> object:
    """The state after an undisturbed load of three batches with a lake in a folder."""
    with pytest.MonkeyPatch.context() as patched:
        shop = make_shop(tmp_path_factory.mktemp("undisturbed"), patched)
        fill(shop)
        load_in_a_child(shop)
        return state(shop)


@pytest.mark.parametrize(
    "fault",
    [
        Fault("", 503, "SlowDown", times=3, after=40),
        Fault("PUT .*raw/.*_delta_log", 500, "InternalError", times=2, after=1),
        Fault("PUT .*parquet", 500, "InternalError", times=2),
        Fault("GET .*parquet", 503, "SlowDown", times=2),
    ],
    ids=["slow", "commit", "write", "read"],
)
def test_fault_141_an_answer_of_500_or_503_is_tried_again(
    shop: Shop, lake: str, s3_server: S3Server, undisturbed: object, fault: Fault
) -> None:
    """S3 answered 500 or 503 for a while, in the middle of a load: I."""
    fill(shop)
    s3_server.refuse(fault)
    load_in_a_child(shop)
    assert len(s3_server.refused()) == fault.times
    s3_server.refuse()
    assert state(shop) == undisturbed


@pytest.mark.parametrize("pattern", ["PUT .*raw/.*_delta_log", "PUT .*quarantine/.*_delta_log", "PUT .*raw/.*parquet"])
def test_fault_141_s3_that_stays_away_ends_the_load_and_the_next_one_continues(
    shop: Shop, lake: str, s3_server: S3Server, undisturbed: object, pattern: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 answered 500 to the end of all tries, at the second batch: F."""
    # Given a server that takes the first batch, and then no commit more
    fill(shop)
    monkeypatch.setattr("flows.sources.files.table.FILES_A_BATCH", 2)
    s3_server.refuse(Fault(pattern, 500, "InternalError", after=1))

    # When a load meets it, then it fails by a clear error, and the lake has the first batch and no part of the second
    with pytest.raises(StorageFailed, match="the server answered 500 InternalError, also after 4 more tries"):
        shop.load()
    s3_server.refuse()
    assert RawTable(shop.lake, shop.name).batch == 1
    assert (len(shop.rows()), len(shop.quarantine())) == (8, 2)

    # And the next load brings the state of one that was never disturbed
    shop.load()
    assert state(shop) == undisturbed


def test_fault_141_a_commit_whose_answer_was_lost_is_there_once(
    shop: Shop, lake: str, s3_server: S3Server, undisturbed: object
) -> None:
    """S3 had written a commit, and the connection was cut before the answer, so the next try found it taken: I."""
    fill(shop)
    s3_server.refuse(Fault("PUT .*_delta_log", 0, "", times=4))
    with suppress(AssertionError):  # the load may end, and is begun again
        load_in_a_child(shop)
    s3_server.refuse()
    load_in_a_child(shop)
    assert state(shop) == undisturbed


def test_fault_141_of_writers_to_one_table_each_gets_its_commit(
    shop: Shop, lake: str, tmp_path: Path, s3_server: S3Server
) -> None:
    """Several processes committed to a table at the same time, and lost the race for a version: I."""
    path = shop.lake / "ops" / "races"
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(4, context, initializer=set_environment, initargs=(dict(os.environ),)) as workers:
        list(workers.map(append_some, [path] * 4, range(4)))
    table = open_table(path)
    assert table is not None
    assert sorted(query(table, "select n from {table}")) == [(n,) for n in range(20)]
    assert table.version() == 19
    assert [key for key in s3_server.keys(f"{lake}/ops/races/_delta_log") if key.endswith(f"{19:020}.json")]


def set_environment(values: dict[str, str]) -> None:
    os.environ.update(values)


def append_some(path: S3Path, writer: int) -> None:
    for number in range(5):
        append_row(path, {"n": writer * 5 + number}, pa.schema([("n", pa.int64())]))


def test_fault_141_a_second_load_of_a_table_is_refused_its_batch(
    shop: Shop, lake: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two loads of a table, neither of which knew of the other, came to the same batch: F."""
    # Given a load that is about to commit a batch
    shop.drop_rows("1.jsonl", orders(1, 5))
    shop.load()
    shop.drop_rows("2.jsonl", orders(6, 10))
    append = RawTable.append

    def append_late(self: RawTable, *arguments: object) -> None:
        monkeypatch.setattr(RawTable, "append", append)
        shop.load()  # another one is faster
        append(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(RawTable, "append", append_late)

    # When it commits, then it is refused, and its rows are there once
    connection = shop.read_connection()
    with pytest.raises(SourceFailed, match="others write to it too"):
        load_table(connection, shop.contract, shop.lake, run_id="a-run")
    assert (RawTable(shop.lake, shop.name).batch, len(shop.rows())) == (2, 10)


@pytest.mark.parametrize("step", ["quarantine", "files", "commit", "commit/write", "record_load"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_fault_01_a_killed_load_on_s3_loses_and_doubles_nothing(
    shop: Shop, lake: str, undisturbed: object, step: str, when: When
) -> None:
    """A load was killed at a step, with the lake on S3: I."""
    fill(shop)
    time = 1 if step == "record_load" else 2
    assert load_in_a_child(shop, Point(step, when, time)).was_killed
    load_in_a_child(shop)
    assert state(shop) == undisturbed
