"""A split leaves no row in both parts, no group on both sides, and no label that was not known at the cut."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.gym import make_gym, make_members

from flows.core.errors import UsageError
from flows.learning.exposures import Split
from flows.learning.fit import evaluation_rows
from flows.learning.split import Parts, split_rows
from flows.learning.task import Task

ROWS = pd.DataFrame(
    {
        "at": pd.date_range("2026-01-01", periods=200, freq="12h"),
        "person": [f"p{n % 40}" for n in range(200)],
        "part": ["test" if n % 5 == 0 else "train" for n in range(200)],
    }
)


def split(declared: dict[str, Any], gap: int = 0, known_at: str | None = None, rows: pd.DataFrame = ROWS) -> Parts:
    return split_rows(
        rows, Split(**declared), time="at", gap=timedelta(days=gap), known_at=known_at, seed=1, name="exposure"
    )


@pytest.mark.parametrize(
    "declared",
    [
        {"by": "time"},
        {"by": "time", "group": ["person"]},
        {"by": "group", "group": ["person"], "test": "30%"},
        {"by": "column", "column": "part"},
    ],
)
def test_no_row_is_in_both_parts(declared: dict[str, Any]) -> None:
    parts = split(declared)
    assert not set(parts.train.index) & set(parts.test.index)
    assert len(parts.train) + len(parts.test) + parts.left_out == len(ROWS)
    if declared["by"] == "time":
        assert parts.train["at"].max() < parts.test["at"].min()
    if "group" in declared:
        assert not set(parts.train["person"]) & set(parts.test["person"])


def test_a_group_stays_on_its_side_when_more_rows_come() -> None:
    declared = {"by": "group", "group": ["person"]}
    few, all_rows = split(declared, rows=ROWS.head(120)), split(declared)
    assert set(few.test["person"]) == set(all_rows.test["person"])


def test_labels_that_came_later_than_the_cut_are_not_trained_on() -> None:
    late = ROWS.assign(known_at=ROWS["at"] + pd.Timedelta(days=3))
    late.loc[5, "known_at"] = pd.Timestamp("2030-01-01")
    parts = split({"by": "time"}, gap=2, known_at="known_at", rows=late)
    assert parts.train["known_at"].max() <= parts.cut
    assert 5 not in parts.train.index
    assert parts.train["at"].max() == parts.cut - pd.Timedelta(days=3)


def test_a_time_that_many_rows_share_is_on_one_side() -> None:
    months = pd.DataFrame({"at": np.repeat(pd.date_range("2026-01-01", periods=10, freq="MS"), 30)})
    parts = split({"by": "time", "test": "25%"}, rows=months)
    assert (len(parts.train), len(parts.test)) in ((240, 60), (210, 90))


def test_a_column_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match=r"config.meta.split.group is 'family', which is no column"):
        split({"by": "group", "group": ["family"]})
    with pytest.raises(ValueError, match="name its columns under `group`"):
        Split(by="group")


def test_rows_of_one_entity_are_drawn_together(tmp_path: Path) -> None:
    members = make_members(3)
    rows = evaluation_rows(make_gym(tmp_path).exposure, Task("binary", "has_left", (False, True)), members)
    assert int(rows.entities.max()) + 1 == members["member_id"].nunique() == 150
    assert [*np.bincount(rows.entities)] == [3] * 150
