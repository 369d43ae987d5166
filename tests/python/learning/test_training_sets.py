"""Training sets are versions that name their release, and come back bit for bit."""

import shutil
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from support.gym import FEATURES, Gym, make_gym, make_members

from flows.config import settings
from flows.core.errors import StorageFailed, UsageError
from flows.lake.maintenance import compact_and_vacuum_lake
from flows.learning import training_set
from flows.learning.content_hash import hash_table, lake_form
from flows.learning.training_sets import make_training_set, rebuild_training_set, set_path, stored_sets


@pytest.fixture
def gym(tmp_path: Path) -> Gym:
    return make_gym(tmp_path)


def test_a_training_set_holds_mature_rows_features_and_the_counts_of_the_others(gym: Gym) -> None:
    members = make_members(4)
    members["has_left"] = members["has_left"].astype(object)
    members.loc[members["as_of"] == members["as_of"].max(), "has_left"] = None
    release = gym.publish(members)

    made = make_training_set(gym.folder, gym.project, gym.exposure)

    assert (made.record.release, made.record.rows, made.record.immature_rows) == (release, 450, 150)
    assert made.features == FEATURES
    assert made.label == "has_left"
    assert made.to_arrow().num_rows == 450
    frame = made.to_pandas()
    assert list(frame.dtypes[["paid_amount", "visits_30d", "is_student"]].astype(str)) == ["float64", "int64", "bool"]
    assert frame["plan"].isna().any()


def test_what_is_stored_is_not_written_again(gym: Gym) -> None:
    members = make_members(3)
    first_release = gym.publish(members)
    first = make_training_set(gym.folder, gym.project, gym.exposure)
    files = sorted(set_path(gym.folder, "member_leaving").glob("*.parquet"))

    assert make_training_set(gym.folder, gym.project, gym.exposure).version == first.version
    second_release = gym.publish(members.sample(frac=1, random_state=1))
    second = make_training_set(gym.folder, gym.project, gym.exposure)

    assert second.version == first.version + 1
    assert second.record.content == first.record.content
    assert [path for path in set_path(gym.folder, "member_leaving").glob("*.parquet") if path not in files] == []
    assert [one.record.release for one in stored_sets(gym.folder, "member_leaving")] == [second_release, first_release]


@pytest.mark.parametrize("is_kept", [True, False], ids=["of the release", "of the lake"])
def test_last_months_training_set_comes_back_bit_for_bit_after_days_of_late_data(gym: Gym, is_kept: bool) -> None:
    # Given a training set of a release
    members = make_members(3)
    release = gym.publish(members)
    before = make_training_set(gym.folder, gym.project, gym.exposure)
    rows = before.to_arrow()

    # When later days change rows, add some, and add a feature
    for day in range(3):
        members.loc[day, "visits_30d"] += 100
        members = pd.concat([members, make_members(1, 20 + day, day).assign(member_id=lambda one: "9" + one.member_id)])
        members = members.drop_duplicates(["member_id", "as_of"]).reset_index(drop=True)
        gym.publish(members.assign(new_feature=day))
        make_training_set(gym.folder, gym.project, gym.exposure)
    compact_and_vacuum_lake(gym.folder.lake, {}, age=timedelta(0))
    if not is_kept:
        shutil.rmtree(gym.folder.releases / release)

    # Then it is rebuilt to the same hash, types and order
    rebuilt, origin = rebuild_training_set(gym.folder, gym.project, gym.exposure, release)
    assert origin == ("the release" if is_kept else f"the lake's version {before.version}")
    assert rebuilt.record == before.record
    assert rebuilt.to_arrow().equals(rows)
    assert hash_table(rebuilt.to_arrow()) == before.record.content


def test_rows_that_were_changed_under_their_commit_are_refused(gym: Gym) -> None:
    release = gym.publish(make_members(3))
    made = make_training_set(gym.folder, gym.project, gym.exposure)
    gym.publish(make_members(3, seed=2))
    other = make_training_set(gym.folder, gym.project, gym.exposure)
    path = set_path(gym.folder, "member_leaving")
    first, second = (path / uri.rpartition("/")[2] for uri in (_file(made), _file(other)))
    shutil.copy(second, first)

    with pytest.raises(StorageFailed, match="its rows have the hash"):
        rebuild_training_set(gym.folder, gym.project, gym.exposure, release)


def _file(one: object) -> str:
    from flows.lake.delta import open_table

    table = open_table(one.path, one.version)  # type: ignore[attr-defined]
    assert table is not None
    return table.file_uris()[0]


def test_a_release_that_is_gone_and_was_never_a_training_set_is_named_with_those_that_are(gym: Gym) -> None:
    gym.publish(make_members(3))
    made = make_training_set(gym.folder, gym.project, gym.exposure)
    with pytest.raises(UsageError, match=f"names the release 2020-01-01.1(?s:.)*There are {made.record.release}"):
        rebuild_training_set(gym.folder, gym.project, gym.exposure, "2020-01-01.1")


def test_two_lines_of_python_give_frames_and_splits(gym: Gym, monkeypatch: pytest.MonkeyPatch) -> None:
    gym.declare(split={"by": "time", "test": "20%", "gap": "31d"})
    gym.publish(make_members(12))
    gym.write_manifest()
    monkeypatch.setenv(settings.DATA_VARIABLE, str(gym.folder.path.parent))
    monkeypatch.setenv(settings.SET_VARIABLE, "gym")

    found = training_set("member_leaving")

    assert found.to_pandas().shape == (1800, 9)
    parts = found.splits()
    assert parts.train["as_of"].max() + pd.Timedelta(days=31) <= parts.test["as_of"].min() == parts.cut
    assert len(parts.train) + len(parts.test) + parts.left_out == 1800
    assert parts.left_out == 150  # the month before the cut, within the gap


def test_the_hash_depends_on_values_nulls_types_and_order_alone() -> None:
    table = pa.table({"a": [1, None, 3], "b": ["x", None, "long text"], "c": [[1.0], None, [2.0, 3.0]]})
    digest = hash_table(lake_form(table))
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    wide = pa.concat_tables([table, table]).slice(3)
    assert {hash_table(lake_form(one)) for one in (chunked, wide)} == {digest}
    others = [
        table.set_column(0, "a", pa.array([1, 0, 3])),
        table.set_column(0, "a", pa.array([1, None, 3], pa.int32())),
        table.set_column(1, "b", pa.array(["x", "", "long text"])),
        table.set_column(1, "b", pa.array(["xl", None, "ong text"])),
        table.set_column(2, "c", pa.array([[1.0, 2.0], None, [3.0]])),
        table.take([1, 0, 2]),
        table.rename_columns(["z", "b", "c"]),
    ]
    assert digest not in {hash_table(lake_form(one)) for one in others}
    assert len({hash_table(lake_form(one)) for one in others}) == len(others)
