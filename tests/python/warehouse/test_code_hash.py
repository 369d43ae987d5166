"""A release names all the code that made it."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.config.settings import PROJECT
from flows.warehouse import code_hash as code
from flows.warehouse.code_hash import hash_code


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "project"
    for folder in code.DECLARING:
        shutil.copytree(PROJECT / folder, copy / folder)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / name, copy / name)
    monkeypatch.setattr(code, "PROJECT", copy)
    return copy


@pytest.mark.parametrize(
    "changed",
    [
        "models/marts/finance/daily_sales.sql",
        "models/marts/finance/_finance__unit_tests.yml",
        "macros/privacy/mask_date_to_year.sql",
        "seeds/default_segment_rules.csv",
        "tests/dbt/generic/expression_is_true.sql",
        "flows/warehouse/lake_plugin.py",
        "dbt_project.yml",
    ],
)
def test_a_change_of_any_file_of_the_dbt_project_is_other_code(project: Path, changed: str) -> None:
    before = hash_code({})
    with (project / changed).open("a") as file:
        file.write("\n")
    assert hash_code({}) != before


def test_a_file_under_another_name_or_another_engine_is_other_code(project: Path, monkeypatch: Any) -> None:
    before = hash_code({})
    assert hash_code({}) == before
    (project / "macros/keys").rename(project / "macros/hashes")
    renamed = hash_code({})
    monkeypatch.setattr(code, "version", lambda engine: f"{engine} of tomorrow")
    assert len({before, renamed, hash_code({})}) == 3
