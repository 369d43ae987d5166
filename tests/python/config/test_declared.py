"""Contracts read from YAML without dbt: levels of settings, disabled sources, and what only dbt can read."""

from pathlib import Path

import pytest

from flows.config.declared import NeedsDbt, declared_contracts
from flows.core.errors import UsageError

PROJECT = """
name: shop
model-paths: [models]
sources:
  shop:
    +meta: {owner: everybody, load: upsert}
    staging:
      crm: {+meta: {owner: crm}}
      old: {+enabled: false}
"""
CRM = """
sources:
  - name: crm
    database: lake
    config: {meta: {quarantine_limit_pct: 10}}
    tables:
      - name: people
        description: "{{ doc('people') }}"
        config: {meta: {key: [id], load: append}}
        columns:
          - {name: id, data_type: text}
          - {name: mail, data_type: varchar, meta: {pii: email}}
      - name: cards
        meta: {key: number}
        columns: [{name: number, data_type: int8, constraints: [{type: not_null}]}]
      - {name: gone, config: {enabled: false}}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "models" / "staging" / "crm").mkdir(parents=True)
    (tmp_path / "models" / "staging" / "old").mkdir()
    (tmp_path / "dbt_project.yml").write_text(PROJECT)
    (tmp_path / "models" / "staging" / "crm" / "_sources.yml").write_text(CRM)
    (tmp_path / "models" / "staging" / "old" / "_sources.yml").write_text(
        "sources: [{name: old, database: lake, tables: [{name: people}]}]"
    )
    return tmp_path


def test_settings_of_outer_levels_apply_to_inner_ones(project: Path) -> None:
    # Given settings of the project, a folder, a source and a table, and a source that is disabled
    contracts = {str(name): contract for name, contract in declared_contracts(project).items()}

    # Then the inner ones count, and what is disabled has no contract
    assert contracts.keys() == {"crm.people", "crm.cards"}
    people, cards = contracts["crm.people"], contracts["crm.cards"]
    assert (people.load, cards.load) == ("append", "upsert")
    assert {people.quarantine_limit_pct, cards.quarantine_limit_pct} == {10}
    assert dict(cards.types) == {"number": "bigint"}
    assert [(column.is_personal, column.personal_class) for column in people.columns] == [(False, ""), (True, "email")]


def test_a_template_that_decides_on_a_contract_is_left_to_dbt(project: Path) -> None:
    path = project / "models" / "staging" / "crm" / "_sources.yml"
    path.write_text(CRM.replace("data_type: text", "data_type: \"{{ var('kind') }}\""))
    with pytest.raises(NeedsDbt):
        declared_contracts(project)


def test_yaml_that_cannot_be_read_is_told_by_its_line(project: Path) -> None:
    (project / "models" / "staging" / "crm" / "_sources.yml").write_text("sources:\n  - name: [crm\n")
    with pytest.raises(UsageError, match=r"_sources.yml cannot be read as YAML at line \d"):
        declared_contracts(project)
