"""Sources that the project serves itself while a command reads them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.config.connections import Connection, read_connections
from flows.core.errors import UsageError
from flows.sources.served import served

URL = "http://127.0.0.1:9"


@contextmanager
def serve(_data: Path) -> Iterator[Mapping[str, str]]:
    yield {"SERVED_URL": URL}


def source(tmp_path: Path, served_by: str) -> Connection:
    path = tmp_path / "connections.yml"
    path.write_text(f"tea: {{crm: {{url: \"{{{{ env_var('SERVED_URL') }}}}\", served_by: '{served_by}'}}}}")
    return read_connections(path).sources["crm"]


def test_a_source_is_served_while_it_is_read_and_its_variables_go_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a source with a function of the project
    connection = source(tmp_path, "tests.python.sources.test_served:serve")
    monkeypatch.setattr("flows.sources.served._function", lambda _connection: serve)

    # When it is read, then its variables are set, and only as long
    with served([connection]):
        assert connection.url() == URL
        with served([connection]):  # a command within another one
            assert connection.url() == URL
        assert connection.url() == URL
    assert "SERVED_URL" not in os.environ

    # And a source that is served already is left alone
    monkeypatch.setenv("SERVED_URL", "https://shop.example.com")
    with served([connection]):
        assert connection.url() == "https://shop.example.com"
    assert os.environ["SERVED_URL"] == "https://shop.example.com"


@pytest.mark.parametrize(
    ("served_by", "cause"),
    [
        ("os:system", "os is no module of the project"),
        ("duckdb:connect", "duckdb is no module of the project"),
        ("no_such_module:serve", "no_such_module is no module of the project"),
        ("demo.api:no_such_function", "demo.api has no function no_such_function"),
    ],
)
def test_only_functions_of_the_project_are_run(tmp_path: Path, served_by: str, cause: str) -> None:
    with (
        pytest.raises(UsageError, match=rf"tea.crm.served_by cannot be used: {cause}"),
        served([source(tmp_path, served_by)]),
    ):
        pass


def test_a_served_by_that_is_no_function_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tea\.crm\.served_by"):
        source(tmp_path, "rm -rf /")
