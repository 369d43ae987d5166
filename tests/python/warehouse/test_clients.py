"""Clients of earlier versions: a release opens in each from 1.2 on, with comments, views and functions."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from dbt.contracts.graph.manifest import Manifest

from flows.config.settings import PROJECT, DataFolder
from flows.core.files import FileState
from flows.warehouse.build import Build, prepare_candidate
from flows.warehouse.descriptions import Description, PublishedModel
from flows.warehouse.release import publish_candidate

if TYPE_CHECKING:
    from support.pharmacy_fixtures import Pharmacy

pytest_plugins = ["support.pharmacy_fixtures", "support.warehouse_fixtures"]
pytestmark = pytest.mark.slow

ASK = """
import json, sys
import duckdb
assert not duckdb.__version__.startswith("2."), duckdb.__version__
answers = []
connection = duckdb.connect() if len(sys.argv) > 2 else duckdb.connect(sys.argv[1], read_only=True)
for sql in json.loads(sys.stdin.read()):
    answers.append(connection.execute(sql).fetchall())
print(json.dumps(answers, default=str))
"""


@pytest.fixture(scope="module", params=["1.2", "1.5"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> "Client":
    """Install a client in a folder of its own; without it a test is skipped, or fails where CI is set."""
    place = tmp_path_factory.mktemp(f"client-{request.param}")
    requirements = PROJECT / f"requirements-client-{request.param}.txt"
    uv = Path(sys.executable).with_name("uv")
    install = [uv, "pip", "install", "--quiet", "--require-hashes", "--only-binary", ":all:", "--target", place]
    installed = subprocess.run([*install, "-r", requirements], capture_output=True, text=True)
    if installed.returncode:
        reason = f"DuckDB {request.param} cannot be installed: {installed.stderr.strip()[-300:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return Client(place)


class Client:
    """A DuckDB of another version, in a process of its own."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def ask(self, *questions: str, file: Path | None = None) -> list[Any]:
        """Return the rows of each query, on a file that is opened read-only, or on nothing."""
        answered = subprocess.run(
            [sys.executable, "-c", ASK, str(file), *(() if file else ("nothing",))],
            input=json.dumps(questions),
            env=os.environ | {"PYTHONPATH": str(self.place)},
            capture_output=True,
            text=True,
        )
        assert answered.returncode == 0, answered.stderr
        answers: list[Any] = json.loads(answered.stdout)
        return answers


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """Publish a table with a comment, a rule and every kind of type, and a function that reads it."""
    folder = DataFolder(tmp_path / "shop")
    folder.path.mkdir()
    prepare_candidate(folder, empty=True)
    with duckdb.connect(str(folder.candidate)) as connection:
        connection.execute("create schema marketing")
        connection.execute(
            "create table marketing.people (person_id varchar not null, amount decimal(38, 6) check (amount >= 0), "
            "born date, seen_at timestamp, met_at timestamptz, is_kept boolean, tags integer[], "
            "counts map(integer, integer), part struct(a varchar, b double), record json)"
        )
        connection.execute(
            "insert into marketing.people values ('A', 1.5, '2000-01-01', '2026-01-01 10:00', '2026-01-01 10:00+00', "
            "true, [1, 2], map {1: 2}, {'a': 'x', 'b': 0.5}, '{\"a\": 1}')"
        )
        connection.execute(
            "create macro marketing.people_above(least) as table "
            "select person_id from marketing.people where amount > least"
        )
    models = [
        PublishedModel(
            "marketing", "people", Description("Who?"), {"born": "Day of birth. Personal data: birth_date."}
        ),
        PublishedModel("marketing", "people_above", Description("Who is above?"), is_function=True),
    ]
    build = Build((), "invocation", FileState.of(folder.candidate), 0.0, "code")
    return publish_candidate(folder, build, {}, models=models).path


def test_an_old_client_reads_rows_comments_views_and_functions(client: Client, release: Path) -> None:
    # When the release is opened by a client of an earlier version
    rows, counted, comments, named = client.ask(
        "select person_id, amount, tags, counts[1], part.b, record->>'a' from people",
        "select count(*) from people_above(1)",
        "select comment from duckdb_tables() where table_name = 'people' union all "
        "select comment from duckdb_columns() where table_name = 'people' and comment is not null",
        "select release_name from release",
        file=release,
    )

    # Then rows, functions and comments are there, by names alone; the comments stand on the views, too
    assert rows[0][0] == "A"
    assert counted == [[1]]
    assert sorted(text for (text,) in comments) == ["Day of birth. Personal data: birth_date."] * 2 + ["Who?"]
    assert named == [[release.parent.name]]


def test_a_file_may_be_attached_under_another_name(client: Client, release: Path) -> None:
    # Given a client that attaches the file under a name of its own
    _, by_name, _, by_use, function = client.ask(
        f"attach '{release}' as shop (read_only)",
        "select person_id from shop.people",
        "use shop",
        "select person_id from people",
        "select person_id from people_above(1)",
    )

    # Then tables are found with and without that name; functions need `use`, as the README says
    assert by_name == by_use == function == [["A"]]


def test_the_pharmacy_opens_in_an_old_client(client: Client, pharmacy: "Pharmacy", manifest: Manifest) -> None:
    # Given the demo's release
    file = pharmacy.folder / "warehouse.duckdb"
    tables = pharmacy.rows("select schema_name as schema, table_name as name from duckdb_tables() where not internal")
    functions = [node for node in manifest.nodes.values() if node.config.materialized == "table_function"]

    # When an old client reads every row of every table, and the example of every function
    answers = client.ask(
        *(f'select bit_xor(hash(stored)) from "{one["schema"]}"."{one["name"]}" as stored' for one in tables),
        *(f"select count(*) from {node.config.meta['example']}" for node in functions),
        "select table_name, column_name from duckdb_columns() where comment is null and not internal",
        "select count(*) from customer_360",
        file=file,
    )

    # Then all can be read, and each table and column says what it is
    assert len(answers) == len(tables) + len(functions) + 2
    *_, silent, customers = answers
    assert silent == []
    assert customers[0][0] > 0
