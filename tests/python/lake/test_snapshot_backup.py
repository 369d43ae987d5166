"""Backups of snapshots in the lake: each names its release, and stays readable while that is kept."""

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from flows.core.errors import StorageFailed
from flows.lake.maintenance import compact_and_vacuum_lake
from flows.lake.snapshot_backup import keep_snapshots, kept_snapshots, restore_snapshots

SEGMENTS = ("history", "segments")


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """A lake that keeps the snapshots of three releases, which hold their own number."""
    lake = tmp_path / "lake"
    for number in (1, 2, 3):
        database = tmp_path / f"{number}.duckdb"
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"create schema history; create table history.segments as select {number} as release")
        keep_snapshots(lake, database, [SEGMENTS], f"2026-03-02.{number}")
        assert kept_snapshots(lake, database) == [SEGMENTS]
    return lake


def restored(lake: Path, place: Path, release: str | None = None) -> list[tuple[int]]:
    assert restore_snapshots(lake, place, [SEGMENTS], release) == ["segments"]
    with duckdb.connect(str(place)) as connection:
        return connection.execute("from history.segments").fetchall()


def test_a_snapshot_of_a_kept_release_is_restored_after_a_vacuum(lake: Path, tmp_path: Path) -> None:
    # Given the snapshots of three releases, the first of which is kept, and files without any age
    place = tmp_path / "restored.duckdb"

    # When what nothing needs is deleted
    done = compact_and_vacuum_lake(lake, {}, ["2026-03-02.1"], age=timedelta(0), least=1)

    # Then the first and the newest are there, and the bytes of the one between are told
    assert restored(lake, place, "2026-03-02.1") == [(1,)]
    assert restored(lake, place) == [(3,)]
    assert done.deleted == 1
    assert done.freed > 100
    with pytest.raises((duckdb.Error, StorageFailed)):
        restored(lake, place, "2026-03-02.2")


def test_a_release_without_a_snapshot_of_its_own_gets_none(lake: Path, tmp_path: Path) -> None:
    # Given snapshots that name other releases
    # When those of one that the lake does not name are asked for
    # Then none is taken for it
    assert restore_snapshots(lake, tmp_path / "restored.duckdb", [SEGMENTS], "2026-03-09.1") == []
