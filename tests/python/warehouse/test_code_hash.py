"""Unit tests run again exactly when the code differs from that of the last release."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from flows.config.settings import PROJECT, DataFolder
from flows.warehouse import code_hash as code
from flows.warehouse.code_hash import hash_code, unit_tests_passed


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


@pytest.mark.parametrize(
    ("tests", "of_code", "known"),
    [
        ("map {'a rule': 'pass', 'another': 'pass', 'a data test': 'warn'}", "this", {"a rule", "another"}),
        ("map {'a rule': 'pass', 'another': 'pass'}", "other", set()),
        ("map {'a rule': 'pass', 'another': 'fail'}", "this", set()),
        ("map {'a rule': 'pass'}", "this", set()),
        (None, "this", set()),
    ],
)
def test_unit_tests_count_only_if_the_same_code_passed_all_of_them(
    tmp_path: Path, tests: str | None, of_code: str, known: set[str]
) -> None:
    # Given a release with the code and its passed tests; or a release of a version that did not record its code
    folder = DataFolder(tmp_path)
    folder.candidate.parent.mkdir(parents=True)
    with duckdb.connect(str(folder.candidate)) as candidate:
        noted = f"{tests} as tests, '{of_code}' as code_hash" if tests else "map {'a rule': 'pass'} as tests"
        candidate.execute(f"create table main.release as select {noted}")
    declared = {name: SimpleNamespace(name=name) for name in ("a rule", "another")}
    dbt: Any = SimpleNamespace(folder=folder, manifest=SimpleNamespace(unit_tests=declared))

    # Then they are skipped only if the code is the same, and all of them passed
    assert set(unit_tests_passed(dbt, "this")) == known
