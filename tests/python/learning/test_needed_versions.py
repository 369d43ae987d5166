"""Versions of the lake that a training set needs outlive the release that it was made of."""

from pathlib import Path

import pyarrow as pa
from deltalake import CommitProperties, write_deltalake

from flows.config.settings import DataFolder
from flows.core.names import TableName
from flows.lake.ops import last_rollback, made_of_releases, record_release, record_rollback, used_release_names
from flows.learning.training_sets import KIND, SetRecord, needed_releases, needed_versions, set_path, sets_by_release
from flows.warehouse.releases import MadeOf

ORDERS = TableName("sales", "orders")
RECORD = SetRecord(
    release="2026-03-02.1",
    table="train_churn",
    rows=1,
    immature_rows=None,
    definition="",
    spine="",
    content="",
    key=("customer_id",),
    entity=("customer_id",),
    time=None,
    known_at=None,
    label="is_churned",
    features=("order_count",),
    gap=0.0,
    split={},
    seed=0,
)


def test_versions_of_a_training_sets_release_are_needed_after_it_was_deleted(tmp_path: Path) -> None:
    # Given the records of two releases, whose files are deleted, and a training set of the first
    folder = DataFolder(tmp_path)
    made_of = MadeOf("commit", "code", {"days": 3}, {ORDERS: 7}, {ORDERS: "id"}, {"model.shop.orders": "hash"})
    record_release(folder.lake, "2026-03-02.1", made_of.text)
    record_release(folder.lake, "2026-03-02.2", MadeOf(None, "code", {}, {ORDERS: 9}, {}, {}).text)
    write_deltalake(
        str(set_path(folder, "churn")),
        pa.table({"customer_id": ["1"]}),
        commit_properties=CommitProperties(custom_metadata={KIND: RECORD.text}),
    )

    # When the versions are listed that something needs
    # Then those of the training set's release are among them, and of it alone, and so are its snapshots
    assert sets_by_release(folder) == {"2026-03-02.1": ["churn"]}
    assert needed_versions(folder) == {ORDERS: {7}}
    assert needed_releases(folder) == {"2026-03-02.1"}
    assert MadeOf.parse(made_of_releases(folder.lake)["2026-03-02.1"]) == made_of


def test_a_rollback_is_recorded_beside_the_names_of_releases(tmp_path: Path) -> None:
    # Given a lake of an earlier version, whose records hold names alone
    names = pa.table({"release": ["2026-03-01.1"], "named_at": pa.array([0], pa.timestamp("us"))})
    write_deltalake(str(tmp_path / "ops" / "releases"), names)
    assert (made_of_releases(tmp_path), last_rollback(tmp_path)) == ({}, None)

    # When a release and two rollbacks are recorded
    record_release(tmp_path, "2026-03-02.1", "{}")
    record_rollback(tmp_path, "2026-03-01.1", "2026-03-02.1")
    record_rollback(tmp_path, "2026-03-02.1", "2026-03-01.1")

    # Then the last one is told, and the names are those that were ever used
    rollback = last_rollback(tmp_path)
    assert rollback is not None
    assert rollback[:2] == ("2026-03-02.1", "2026-03-01.1")
    assert made_of_releases(tmp_path) == {"2026-03-02.1": "{}"}
    assert used_release_names(tmp_path) == {"2026-03-01.1", "2026-03-02.1"}
