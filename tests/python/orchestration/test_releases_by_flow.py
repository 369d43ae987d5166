"""Releases of whole runs: back to the former one, forward again, built again from what they name, and what is kept.

What would change a release is tried over it: days that are read again, and other code.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from deltalake import DeltaTable
from support import prefect_view
from support.command_line import run_command
from support.flow_shop import (
    CANARY,
    CLIENTS,
    SET,
    FlowShop,
    fingerprint_of,
    keep_copy,
    leave_out_unit_tests,
    make_shop,
    put_back,
)
from support.kills import Child, Point

from flows.cli.backfill import summarise_backfill
from flows.cli.changes import preview_project
from flows.cli.compare import chosen_by, compare
from flows.cli.releases import describe_release, list_releases, prune_folder, roll_back_to, uses_of_releases
from flows.config.publications import Publication, publication_path
from flows.config.settings import DataFolder
from flows.core.errors import GateFailed, StorageFailed, UsageError
from flows.core.names import TableName
from flows.lake.delta import open_table, relation_of
from flows.lake.maintenance import compact_and_vacuum_table
from flows.lake.raw import raw_path
from flows.learning.training_sets import needed_versions
from flows.reproduce import rebuild_release
from flows.warehouse.dbt import Dbt
from flows.warehouse.releases import kept_releases, named_publications, previous_release, release_file

pytestmark = pytest.mark.slow

Change = Callable[[str, str, str], None]

KNOWN_BEFORE = "from customer_360_as_of(current_date - 1) order by all"


LINES = Publication("model.ml_warehouse.fct_order_lines", "core", "fct_order_lines", ("order_id", "line_number"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, flow_home: Path) -> Iterator[FlowShop]:
    """A shop with two releases, of two days and of three, whose order lines are published as Delta, too."""
    shop = make_shop(tmp_path_factory.mktemp("releases"), flow_home)
    with pytest.MonkeyPatch.context() as patched:
        leave_out_unit_tests(patched)
        for flow in ("publish", "reproduce"):
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


def test_days_are_read_again_on_trial_and_then_published(shop: FlowShop, unit_tests_passed_before: None) -> None:
    # Given clients of the second and the sixth day in a file that no run has read yet
    moved = [["0001", CANARY, "FR", "2026-01-02 12:00"], ["0002", "c2@example.com", "FR", "2026-01-06 12:00"]]
    shop.drop("clients-moved.csv", CLIENTS, moved)
    from flows.backfill import backfill

    asked = ("2026-01-02", "2026-01-03", SET, str(shop.connections), "crm.customers")
    newest, before, lake = shop.release_name, shop.fingerprint(), files_of(shop.folder.lake)
    known = shop.rows(KNOWN_BEFORE)

    # When the second is read again on trial
    tried = backfill(*asked)

    # Then the summary shows a state between two others, and neither lake nor release knows of it
    text = "\n".join(summarise_backfill(tried, "crm.customers"))
    assert [one.added for one in tried.found.differences if one.name == "dim_customer"] == [2]
    assert f"{newest} → backfill of 2026-01-02 to 2026-01-03 (UTC)" in text
    assert "nothing is published; lake and release are as they were" in text
    assert CANARY not in text
    assert (shop.release_name, files_of(shop.folder.lake), shop.fingerprint()) == (newest, lake, before)
    assert not (shop.folder.work / "trial").exists()

    # And what was built can be looked at, and the next command is in the summary
    assert "core.dim_customer" in compare(shop.folder, "last_backfill", None)
    assert '--from 2026-01-02 --to 2026-01-03 --select "crm.customers" --publish --set own_shop' in text
    key, told, rows = prefect_view.artifact(prefect_view.latest_run(f"backfill {SET}"), "diff")
    assert key == "diff-own-shop"
    assert f"{newest} → backfill" in told
    assert [one["added"] for one in rows if one["table"] == "core.dim_customer"] == ["2"]

    # When it is published, then readers see the same, but at no time before the load
    done = backfill(*asked, is_published=True)
    assert previous_release(shop.folder, shop.release_name) == newest
    assert [one.row for one in done.found.differences] == [one.row for one in tried.found.differences]
    assert shop.rows("select valid_from::date::varchar from dim_customer where country = 'FR'") == [("2026-01-02",)]
    assert shop.rows(KNOWN_BEFORE) == known

    # And the next run reads the rest of the file, of which the backfill has taken one day alone
    loaded = {str(load.table): load.counts for load in shop.elt().loads}["crm.customers"]
    assert loaded.accepted == 1


def files_of(lake: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in lake.rglob("*") if path.is_file()}


def test_a_change_of_the_code_is_shown_over_the_last_release(shop: FlowShop, change: Change, tmp_path: Path) -> None:
    # Given a model whose SQL is other than that of the release
    newest, before, lake = shop.release_name, shop.fingerprint(), files_of(shop.folder.lake)
    change("customer_360", "\nselect * from", "\nselect * replace (not has_email as has_email) from")

    # When the working tree is previewed
    told = tmp_path / "preview.md"
    code = preview_project(SET, shop.connections, told)

    # Then what it changes is told by table, and the models that do not read it are not built
    text = told.read_text()
    assert code == 0
    assert f"Compared with release {newest}" in text
    assert "| marketing.customer\\_360 | 11 | 11 | 0 | 0 | 11 | has\\_email |" in text
    assert "`customer_features`" in text
    assert "`fct_order_lines`" not in text
    assert "no gate would stop a release" in text

    # And nothing of it is in lake and release, and no value of a row in the text
    assert (shop.release_name, files_of(shop.folder.lake), shop.fingerprint()) == (newest, lake, before)
    assert "0001" not in text
    assert CANARY not in text


def test_a_change_that_breaks_a_test_is_shown_with_the_test(
    shop: FlowShop, change: Change, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a model that repeats its rows
    change("customer_360", "\nselect * from", "\nfrom customer_360 union all select * from")

    # When the working tree is previewed
    told = tmp_path / "preview.md"
    code = preview_project(SET, shop.connections, told)

    # Then the gate that would stop a release is told, by names and counts
    assert code == GateFailed.exit_code
    assert "the build gate would stop a release" in told.read_text()
    assert "failures" in told.read_text()
    assert "customer_id=" not in told.read_text() + capsys.readouterr().out


@pytest.fixture
def change(monkeypatch: pytest.MonkeyPatch) -> Change:
    """Change the SQL of a model, as it is parsed; the file in the project stays as it is."""

    def change_model(name: str, old: str, new: str) -> None:
        parse = Dbt.parse

        def parse_changed(folder: DataFolder, variables: Any = None) -> Dbt:
            parsed = parse(folder, variables)
            manifest = parsed.manifest.deepcopy()
            node = manifest.nodes[f"model.ml_warehouse.{name}"]
            assert old in node.raw_code
            node.raw_code = node.raw_code.replace(old, new)
            return replace(parsed, manifest=manifest)

        monkeypatch.setattr(Dbt, "parse", staticmethod(parse_changed))

    return change_model


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("backfill", "--from", "2026-01-05T00:00+02:00", "--to", "2026-01-06"), "2026-01-05T00:00+02:00 is no day"),
        (("backfill", "--from", "2026-01-06", "--to", "2026-01-05"), "is not before"),
        (("backfill", "--from", "2026-01-05", "--to", "2026-01-06", "--select", "crm.custmers"), "Did you mean"),
        (("backfill", "--from", "2026-01-05", "--to", "2026-01-06", "--set", "nowhere"), "holds no set 'nowhere'"),
        (("preview", "crm.customers", "--markdown", "x.md"), "Leave one of them out"),
        (("clone", "last_preview"), "Take another name"),
    ],
)
def test_wrong_use_is_told_before_anything_starts(
    shop: FlowShop,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setenv("ML_WAREHOUSE_SET", SET)
    done = run_command(monkeypatch, capsys, *arguments, "--connections", str(shop.connections))
    assert done.code == 2
    assert said in done.err


@pytest.mark.proof
@pytest.mark.parametrize("is_published", [False, True], ids=["trial", "published"])
@pytest.mark.parametrize("step", ["commit", "catalog", "prepare", "build", "publish/flip", "publish"])
def test_a_backfill_that_was_killed_leaves_lake_and_release_right(
    shop: FlowShop, unit_tests_passed_before: None, tmp_path: Path, step: str, is_published: bool
) -> None:
    # Given a backfill that dies after a step
    if step.startswith("publish") and not is_published:
        pytest.skip("a trial publishes nothing")
    keep_copy(shop.folder, tmp_path / "kept")
    shop.drop("clients-late.csv", CLIENTS, [["0003", "c3@example.com", "FR", "2026-01-02 12:00"]])
    newest, before, lake = shop.release_name, shop.fingerprint(), files_of(shop.folder.lake)
    asked = ("2026-01-02", "2026-01-03", SET, str(shop.connections), "crm.customers", is_published)
    ended = Child("flows.backfill:backfill", asked, preparations=[pass_unit_tests]).run(Point(step, "after"))
    assert ended.was_killed, ended.error

    # Then a trial has changed nothing, and a release is the one before or the whole next one
    if not is_published:
        assert (shop.release_name, files_of(shop.folder.lake)) == (newest, lake)
    if shop.release_name == newest:
        assert shop.fingerprint() == before

    # And the same command, given again, completes it
    from flows.backfill import backfill

    backfill(*asked)
    versions = shop.rows("select count(*) from dim_customer where country = 'FR' and customer_id = '0003'")
    assert versions == [(int(is_published),)]
    assert not (shop.folder.work / "trial").exists()
    relation = relation_of(open_table(raw_path(shop.folder.lake, TableName("crm", "customers"))))
    stored = duckdb.sql(f"from {relation}").filter("country = 'FR' and customer_id = '0003'")
    assert stored.shape[0] == int(is_published)
    put_back(shop.folder, tmp_path / "kept")
    (shop.drops / "clients-late.csv").unlink()


def pass_unit_tests() -> None:
    leave_out_unit_tests(pytest.MonkeyPatch())
