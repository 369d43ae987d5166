"""Questions to a release: what is exported is exact, in order, never held whole, and safe to look at."""

import csv
import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from support.flow_shop import command

from flows.cli.published import describe_table, list_tables
from flows.cli.query import export_query, run_query
from flows.config.settings import PROJECT, DataFolder
from flows.core.errors import UsageError
from flows.core.files import FileState
from flows.warehouse.build import Build, prepare_candidate
from flows.warehouse.release import publish_candidate

ROWS = 300_000
"""Rows enough that several threads of DuckDB would each write a part."""

KINDS = (
    "select 1.50::decimal(38, 2) as amount, true as is_kept, timestamp '2026-03-01 12:00:00.5' as seen_at, "
    "timestamptz '2026-03-01 13:00:00+01' as met_at, date '2026-03-01' as day, 'Zoë' as name, 'nan'::double as score, "
    "['nan'::double, 2] as scores, null::integer as nothing, '' as empty, "
    "170141183460469231731687303715884105727 as big"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DataFolder:
    """Publish many numbered rows with texts, some of which begin like formulas."""
    folder = DataFolder(tmp_path_factory.mktemp("data") / "shop")
    folder.path.mkdir()
    prepare_candidate(folder, empty=True)
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute("create schema core")
        connection.execute(
            "create table core.visits as select if(range % 3 = 0, '=', 'a') || range as text, "
            f"range as number from range({ROWS})"
        )
    publish_candidate(folder, Build((), "invocation", FileState.of(folder.candidate), 0.0, "code"), {})
    return folder


@pytest.mark.parametrize("ending", ["csv", "json", "jsonl", "parquet"])
def test_an_export_has_every_row_in_its_order(folder: DataFolder, tmp_path: Path, ending: str) -> None:
    # When a query is exported
    file = tmp_path / f"visits.{ending}"
    said = export_query(folder, "from visits order by number desc", file)

    # Then each row is in the file, in the order of the query, and no other file is left
    reading = {"csv": "read_csv", "parquet": "read_parquet"}.get(ending, "read_json")
    numbers = [number for (number,) in duckdb.sql(f"select number from {reading}('{file}')").fetchall()]
    assert numbers == [*range(ROWS)][::-1]
    assert f"{ROWS:,} rows" in said
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
    texts = duckdb.sql(f"select distinct left(text, 2) from {reading}('{file}') order by all").fetchall()
    assert (texts[0] == ("'=",)) == (ending == "csv")  # a spreadsheet would run it, other programs would not


def test_values_are_exact_in_csv(folder: DataFolder) -> None:
    (row,) = csv.DictReader(run_query(folder, KINDS, "csv", 1).splitlines())
    assert row["amount"] == "1.50"
    assert row["is_kept"] == "true"
    assert (row["name"], row["empty"], row["nothing"]) == ("Zoë", "", "")
    assert datetime.fromisoformat(row["seen_at"]) == datetime(2026, 3, 1, 12, 0, 0, 500_000)
    assert row["big"] == "170141183460469231731687303715884105727"


def test_values_are_exact_in_json(folder: DataFolder) -> None:
    text = run_query(folder, KINDS, "json", 1)
    row = json.loads(text, parse_float=str, parse_constant=pytest.fail)  # NaN is no JSON
    assert row["amount"] == "1.50"
    assert row["is_kept"] is True
    assert (row["name"], row["empty"], row["nothing"]) == ("Zoë", "", None)
    assert "Zoë" in text
    assert (row["score"], row["scores"]) == (None, [None, "2.0"])
    assert (row["seen_at"], row["met_at"], row["day"]) == (
        "2026-03-01T12:00:00.5",
        "2026-03-01T12:00:00Z",
        "2026-03-01",
    )
    assert row["big"] == 170141183460469231731687303715884105727


@pytest.mark.parametrize("output_format", ["csv", "json"])
def test_the_first_rows_of_an_endless_answer_come_at_once(folder: DataFolder, output_format: str) -> None:
    # Given a query whose rows no memory can hold
    asked = command("query", "from range(1000000000000)", "--set", "shop", "--format", output_format)

    # When a program reads the first lines and ends
    with subprocess.Popen(
        asked, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=home(folder)
    ) as asking:
        assert asking.stdout is not None
        assert asking.stderr is not None
        lines = [asking.stdout.readline() for _ in range(3)]
        asking.stdout.close()
        said = asking.stderr.read()

    # Then the command has written them, and ends without a word
    assert lines[-1].strip() in (b"1", b'{"range":2}')
    assert (asking.returncode, said) == (0, b"")


def home(folder: DataFolder) -> dict[str, str]:
    """Return the environment of a user whose data are in a folder."""
    return {**os.environ, "ML_WAREHOUSE_DATA": str(folder.path.parent)}


def test_a_failed_export_leaves_the_file_as_it_was(folder: DataFolder, tmp_path: Path) -> None:
    # Given an earlier export
    file = tmp_path / "visits.csv"
    file.write_text("before")

    # When another fails at some row, then the file is the earlier one, and no other is left
    with pytest.raises(UsageError, match="Could not convert"):
        export_query(folder, "select number, cast(text as integer) as wrong from visits", file)
    assert file.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("name", "said"),
    [("visits.xlsx", "ends in .xlsx"), ("visits", "ends in nothing"), ("none/visits.csv", "no folder")],
)
def test_a_file_that_cannot_be_written_is_told_before_the_query_runs(
    folder: DataFolder, tmp_path: Path, name: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        export_query(folder, "no sql at all", tmp_path / name)


def test_a_misspelt_table_is_told_with_the_one_that_was_meant(folder: DataFolder) -> None:
    with pytest.raises(UsageError, match='Did you mean "visits"') as failure:
        run_query(folder, "from visit", "table", 10)
    assert "python -m flows tables" in str(failure.value)
    with pytest.raises(UsageError, match=r"Did you mean core\.visits\?"):
        describe_table(folder, "core.visit")


def test_a_release_without_comments_is_listed_and_described_too(folder: DataFolder) -> None:
    (line,) = (line for line in list_tables(folder).splitlines() if "visits" in line)
    assert line.split() == ["core", "visits", f"{ROWS:,}"]
    said = describe_table(folder, "VISITS")
    assert "It has no description." in said
    assert 'flows query "from visits limit 5"' in said


def test_the_command_exports_to_a_file(folder: DataFolder, tmp_path: Path) -> None:
    # When a user names a file
    file = tmp_path / "visits.csv"
    asked = command("query", "from visits", "--set", "shop", "-o", str(file))
    done = subprocess.run(asked, cwd=PROJECT, capture_output=True, text=True, env=home(folder))

    # Then it has the rows, and the command says how many
    assert done.returncode == 0, done.stderr
    assert f"{ROWS:,} rows are in {file}" in done.stdout
    assert len(file.read_text().splitlines()) == ROWS + 1


@pytest.mark.parametrize("module", ["flows.cli.query", "flows.warehouse.clones", "flows.learning.training_sets"])
def test_a_query_completion_or_notebook_does_not_wait_for_dbt(module: str) -> None:
    script = f"import sys, {module}; print([name for name in ('prefect', 'dbt', 'pandas') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True)
    assert ran.stdout == "[]\n", ran.stderr
