"""Tables of releases as Delta tables: which versions are written, which files, and what other programs read."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable

from flows.config.publications import Publication, publication_path, publications_of
from flows.core.errors import UsageError
from flows.lake import publications
from flows.lake.maintenance import compact_and_vacuum_lake
from flows.lake.publications import publish_versions, whole_versions

SALES = Publication("model.shop.daily_sales", "finance", "daily_sales", ("booked_date", "channel"))
DAYS = """
    select date '2026-01-01' + cast(day as integer) as booked_date, channel,
    cast(day * 1.5 as decimal(18, 4)) as amount,
    timestamptz '2026-01-01 00:00:00+00' + to_days(cast(day as integer)) as seen_at,
    time '10:00' as closes, [day, null] as parts, cast(day as hugeint) as big, cast('a' as enum('a', 'b')) as grade
    from range({days}) as days(day), (values ('web'), ('store')) as channels(channel)
"""


class Shop:
    """A database whose table is published again and again."""

    def __init__(self, folder: Path) -> None:
        self.lake, self.database = folder / "lake", folder / "warehouse.duckdb"
        self.number = 0

    @property
    def path(self) -> Path:
        return publication_path(self.lake, SALES.name)

    def run(self, *statements: str) -> None:
        with duckdb.connect(str(self.database)) as connection:
            for sql in ("create schema if not exists finance", *statements):
                connection.execute(sql)

    def publish(self, before: Mapping[str, int] | None = None) -> int:
        """Publish the table as another release; a hash of its text is its content."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            sql = (
                f"select md5(concat(string_agg(cast(sales as varchar), '|' order by sales))) from {SALES.name} as sales"
            )
            (content,) = connection.execute(sql).fetchall()[0]
        self.number += 1
        release, contents = f"r.{self.number}", {SALES.unique_id: content}
        return publish_versions(self.lake, self.database, [SALES], contents, release, before or {})[SALES.name]

    def rows(self) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            connection.execute("set TimeZone = 'UTC'")
            rows = connection.execute(f"select booked_date, channel, amount from {SALES.name}").fetchall()
        return sorted(rows, key=repr)

    def read(self, version: int) -> list[tuple[Any, ...]]:
        """Read a version by pandas."""
        frame = DeltaTable(str(self.path), version).to_pandas()
        return sorted(frame[["booked_date", "channel", "amount"]].itertuples(index=False, name=None), key=repr)

    def files(self, version: int) -> set[str]:
        return set(DeltaTable(str(self.path), version).file_uris())


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Forty days of sales in several files, which are published."""
    monkeypatch.setattr(publications, "FILE_BYTES", 1)
    monkeypatch.setattr(publications, "ROWS_A_BATCH", 20)
    shop = Shop(tmp_path)
    shop.run(f"create table finance.daily_sales as {DAYS.format(days=40)}")
    assert shop.publish() == 0
    return shop


def test_a_table_that_has_not_changed_gets_no_new_version(shop: Shop) -> None:
    assert shop.read(0) == shop.rows()
    assert shop.publish() == 0
    assert DeltaTable(str(shop.path)).version() == 0


def test_only_files_with_changed_rows_are_written_again(shop: Shop) -> None:
    # Given rows that change, go and come
    before = shop.rows()
    shop.run(
        "update finance.daily_sales set amount = 0, parts = null where booked_date = '2026-01-02' and channel = 'web'",
        "delete from finance.daily_sales where booked_date = '2026-01-03' and channel = 'store'",
        "insert into finance.daily_sales by name select * replace (date '2026-03-01' as booked_date) "
        "from finance.daily_sales where booked_date = '2026-01-05'",
    )

    # When they are published
    version = shop.publish()

    # Then each version has its rows, and the other file is the one that was there
    assert version == 1
    assert shop.read(1) == shop.rows()
    assert shop.read(0) == before
    assert len(shop.files(0) - shop.files(1)) == 1
    assert shop.files(0) & shop.files(1)
    with duckdb.connect(str(shop.database), read_only=True) as connection:
        stored = f"read_parquet({sorted(shop.files(1))})"
        sql = "select booked_date, channel, seen_at, closes::varchar, parts, big, grade::varchar from {}"
        assert connection.execute(f"{sql.format(SALES.name)} except {sql.format(stored)}").fetchall() == []


@pytest.mark.parametrize(
    "change",
    [
        "alter table finance.daily_sales add column note varchar",
        "update finance.daily_sales set amount = amount + 1",
        "insert into finance.daily_sales from finance.daily_sales limit 1",
        "update finance.daily_sales set channel = null where booked_date = '2026-01-02' and channel = 'web'",
        "delete from finance.daily_sales",
    ],
    ids=["another column", "all rows", "a key twice", "a key without a value", "no rows"],
)
def test_a_table_is_written_whole_if_its_changes_have_no_keys_or_are_most_of_it(shop: Shop, change: str) -> None:
    shop.run(change)
    assert shop.publish() == 1
    assert len(shop.read(1)) == len(shop.rows())
    assert shop.files(0).isdisjoint(shop.files(1))
    shop.run("drop table finance.daily_sales", f"create table finance.daily_sales as {DAYS.format(days=2)}")
    assert shop.publish() == 2
    assert shop.read(2) == shop.rows()


def test_after_a_rollback_the_former_release_names_its_version_again(shop: Shop) -> None:
    # Given a second release, whose rows the next one does not have
    shop.run("insert into finance.daily_sales by name " + DAYS.format(days=1).replace("2026-01-01'", "2026-05-01'"))
    assert shop.publish() == 1
    shop.run("delete from finance.daily_sales where booked_date >= '2026-05-01'")

    # When it follows a release that names the first version, then no version is written
    assert shop.publish(before={SALES.name: 0}) == 0
    assert DeltaTable(str(shop.path)).version() == 1

    # And a change after it is compared with the newest version
    shop.run("update finance.daily_sales set amount = 7 where booked_date = '2026-01-02'")
    assert shop.publish(before={SALES.name: 0}) == 2
    assert shop.read(2) == shop.rows()


def test_a_vacuum_keeps_the_versions_that_releases_name(shop: Shop) -> None:
    for amount in (1, 2, 3):
        shop.run(f"update finance.daily_sales set amount = {amount}")
        shop.publish()
    first = shop.read(1)

    def clean() -> int:
        named = {SALES.name: {1}}
        return compact_and_vacuum_lake(shop.lake, {}, (), named, age=timedelta(0), least=1).deleted

    assert clean() > 0
    assert shop.read(1) == first
    assert whole_versions(shop.lake, {SALES.name: 1}) == {SALES.name: 1}
    assert whole_versions(shop.lake, {SALES.name: 2}) == {}
    assert whole_versions(shop.lake, {SALES.name: 99}) == {}
    assert shop.publish() == 3


@pytest.mark.parametrize(
    ("meta", "kind", "told"),
    [
        ({"publish": "parquet"}, "table", "meta.publish is 'parquet'"),
        ({"publish": "delta"}, "table_function", "the model is a table function"),
    ],
)
def test_a_model_that_cannot_be_published_is_refused(meta: dict[str, str], kind: str, told: str) -> None:
    config = SimpleNamespace(meta=meta, materialized=kind)
    node = SimpleNamespace(resource_type="model", config=config, patch_path="models/a.yml", name="sales")
    with pytest.raises(UsageError, match=f"models/a.yml: sales: .*{told}"):
        publications_of([node])
