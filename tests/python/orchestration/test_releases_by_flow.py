"""Releases of whole runs: back to the former one, forward again, built again from what they name, and what is kept."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from deltalake import DeltaTable
from support import prefect_view
from support.flow_shop import SET, FlowShop, fingerprint_of, leave_out_unit_tests, make_shop

from flows.cli.compare import chosen_by, compare
from flows.cli.releases import describe_release, list_releases, prune_folder, roll_back_to, uses_of_releases
from flows.config.publications import Publication, publication_path
from flows.core.errors import StorageFailed, UsageError
from flows.lake.delta import open_table
from flows.lake.maintenance import compact_and_vacuum_table
from flows.lake.raw import raw_path
from flows.learning.training_sets import needed_versions
from flows.reproduce import rebuild_release
from flows.warehouse.releases import kept_releases, named_publications, previous_release, release_file

pytestmark = pytest.mark.slow


LINES = Publication("model.ml_warehouse.fct_order_lines", "core", "fct_order_lines", ("order_id", "line_number"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, flow_home: Path) -> Iterator[FlowShop]:
    """A shop with two releases, of two days and of three, whose order lines are published as Delta, too."""
    shop = make_shop(tmp_path_factory.mktemp("releases"), flow_home)
    with pytest.MonkeyPatch.context() as patched:
        leave_out_unit_tests(patched)
        for flow in ("elt", "reproduce"):
            patched.setattr(f"flows.{flow}.publications_of", lambda _: [LINES])
        shop.drop_day(1)
        shop.drop_day(2)
        shop.elt()
        shop.drop_day(3)
        shop.elt()
        yield shop


def delta_of(shop: FlowShop, release: str) -> tuple[int, int]:
    """Return the Delta version that a release's file names, and how many rows pandas reads of it."""
    with duckdb.connect(str(release_file(shop.folder, release)), read_only=True) as opened:
        sql = f"select unnest(delta_versions['{LINES.name}']) from release"
        place, version = opened.execute(sql).fetchall()[0]
    return version, len(DeltaTable(place, version).to_pandas())


def test_a_run_shows_what_differs_from_the_release_before(shop: FlowShop) -> None:
    # Given the second of two releases
    first, second = kept_releases(shop.folder)

    # When they are compared in the terminal
    told = compare(shop.folder, None, None)

    # Then a day of 30 orders with two lines each is told, as it is in Prefect
    assert told.startswith(f"  {first} → {second}")
    (row,) = [line.split() for line in told.splitlines() if line.split()[:1] == ["core.fct_order_lines"]]
    assert row[1:5] == ["120", "180", "60", "0"]
    key, text, rows = prefect_view.artifact(prefect_view.latest_run(f"elt {SET}"), "diff")
    assert key == "diff-own-shop"
    assert f"{first} → {second}" in text
    assert [one["added"] for one in rows if one["table"] == "core.fct_order_lines"] == ["60"]
    assert "order_id=" in compare(shop.folder, first, second, "fct_order_lines")
    assert f"{first} is the earliest release that is kept" in compare(shop.folder, None, first)
    with pytest.raises(UsageError, match="has a table fct_order_lime"):
        compare(shop.folder, first, second, "fct_order_lime")


def test_the_next_run_after_a_rollback_builds_on_the_former_release(
    shop: FlowShop, unit_tests_passed_before: None
) -> None:
    # Given readers who were sent back from the second release
    first, second = kept_releases(shop.folder)
    before = fingerprint_of(release_file(shop.folder, first))
    assert f"readers see {first} from now on" in roll_back_to(shop.folder, None)
    assert shop.fingerprint() == before
    assert f"readers were sent here from {second}" in list_releases(shop.folder)
    assert [delta_of(shop, name) for name in (first, second)] == [(0, 120), (1, 180)]

    # When the next run comes, with another day
    shop.drop_day(4)
    third = shop.elt().release.name

    # Then it has all four days, under a name of its own, and is what a full build gives
    assert third not in (first, second)
    assert previous_release(shop.folder, third) == first
    assert shop.rows("select count(*) from core.fct_order_lines") == [(240,)]
    grown = shop.fingerprint()
    shop.elt(full_refresh=True)
    assert shop.fingerprint() == grown
    assert delta_of(shop, third) == delta_of(shop, shop.release_name) == (2, 240)

    # And readers can be sent forward again to the release that was left
    roll_back_to(shop.folder, second)
    assert shop.rows("select count(*) from core.fct_order_lines") == [(180,)]
    roll_back_to(shop.folder, third)


def test_a_release_is_built_again_from_what_it_names_after_later_loads(
    shop: FlowShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a release that later ones followed, and a lake without the files that nothing names
    first = kept_releases(shop.folder)[0]
    before = fingerprint_of(release_file(shop.folder, first))
    prune_folder(shop.folder, None)
    assert "code" in describe_release(shop.folder, first)

    shutil.rmtree(shop.folder.releases / first)
    assert "deleted" in describe_release(shop.folder, first)
    place = publication_path(shop.folder.lake, LINES.name)
    named = named_publications(shop.folder)[LINES.name]
    assert compact_and_vacuum_table(place, named, age=timedelta(0), least=1).deleted > 0

    # When its file is lost, and it is built again
    rebuilt = rebuild_release(shop.folder, first)

    # Then each table has the rows that it had, and the file is there again
    assert (rebuilt.unlike, rebuilt.was_put_back) == ([], True)
    assert rebuilt.models > 100
    assert fingerprint_of(release_file(shop.folder, first)) == before
    version, rows = delta_of(shop, first)
    assert version > 2
    assert rows == 120

    # And rows that are not what they were are found, and kept to be compared
    monkeypatch.setattr("flows.reproduce.pin_catalog", pin_newest)
    rebuilt = rebuild_release(shop.folder, first)
    assert "fct_order_lines" in rebuilt.unlike
    told = compare(shop.folder, first, f"rebuilt_{first.replace('-', '_').replace('.', '_')}")
    assert "core.fct_order_lines" in told
    shutil.rmtree(shop.folder.clones)

    # And other code is refused, with the way to that of the release
    monkeypatch.setattr("flows.reproduce.hash_code", lambda _: "other")
    with pytest.raises(UsageError, match="built by other code"):
        rebuild_release(shop.folder, first)


def pin_newest(path: Path, lake: Path, contracts: object, _versions: object) -> object:
    from flows.lake.catalog import pin_catalog

    return pin_catalog(path, lake, contracts)  # type: ignore[arg-type]


def test_a_table_that_was_made_again_is_no_longer_what_a_release_was_made_of(shop: FlowShop) -> None:
    # Given a release, and a raw table that a reload has made again since
    first = kept_releases(shop.folder)[0]
    path = raw_path(shop.folder.lake, next(iter(needed_versions(shop.folder))))
    kept = path.with_name(f"{path.name}.kept")
    path.rename(kept)

    # When the release is to be built again
    # Then it is refused, and names the table
    try:
        with pytest.raises(StorageFailed, match="the lake has no version"):
            rebuild_release(shop.folder, first)
    finally:
        kept.rename(path)
    assert open_table(path) is not None


def test_prune_says_for_whom_the_rest_is_kept(shop: FlowShop) -> None:
    # Given releases, one of which a clone reads
    first, *_, newest = kept_releases(shop.folder)
    from flows.warehouse.clones import clone_release

    clone_release(shop.folder, "experiment", first, chosen_by(shop.folder, "marts.finance core.fct_orders"))

    # When all but the newest are pruned
    told = prune_folder(shop.folder, 1)

    # Then the newest, the one that readers see and the clone's are kept, with the reason, and bytes are told
    uses = uses_of_releases(shop.folder, 1)
    assert set(kept_releases(shop.folder)) == uses.keys()
    assert uses[first] == ["clone experiment"]
    assert f"kept release {first}, for clone experiment" in told
    assert f"kept release {newest}, for" in told
    assert "deleted release" in told
    shutil.rmtree(shop.folder.clones)
