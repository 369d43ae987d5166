"""The project's detector of anomalies, which is SQL of its macros and generic tests, over relations in DuckDB."""

import re
from dataclasses import dataclass
from typing import Any

import duckdb
from jinja2 import Environment

from flows.config.settings import PROJECT

FOLDERS = ("macros/observability", "macros/dialect", "tests/dbt/generic")
NAMED = re.compile(r"{%-? (?:macro|test) (\w+)\(")


class Refused(Exception):
    """A macro refused its arguments."""


@dataclass(frozen=True)
class Relation:
    """A table as a generic test sees it."""

    identifier: str
    schema: str = "main"

    def __str__(self) -> str:
        return f"{self.schema}.{self.identifier}"


class Returned(Exception):
    """Carries what a macro returns, as dbt's own macros do."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def load_macros() -> dict[str, Any]:
    """Return the macros and generic tests by name; each is called as in dbt, and gives SQL for DuckDB, or a value."""
    jinja = Environment(extensions=["jinja2.ext.do"])
    bodies: dict[str, Any] = {}

    def named(name: str) -> Any:
        def call(*given: Any, **options: Any) -> Any:
            try:
                return bodies[name](*given, **options)
            except Returned as returned:
                return returned.value

        return call

    def give(value: Any) -> None:
        raise Returned(value)

    def refuse(message: str) -> None:
        raise Refused(message)

    class Dbt:
        dispatch = staticmethod(lambda name: named(f"default__{name}"))
        raise_compiler_error = staticmethod(refuse)

    jinja.globals |= {"adapter": Dbt, "exceptions": Dbt, "return": give, "ref": Relation, "config": lambda **_: ""}
    paths = [path for folder in FOLDERS for path in sorted((PROJECT / folder).glob("*.sql"))]
    sources = [path.read_text(encoding="utf-8").replace("endtest", "endmacro") for path in paths]
    called = {name: named(name) for source in sources for name in NAMED.findall(source)}
    jinja.globals |= called
    for source in sources:
        bodies |= vars(jinja.from_string(re.sub(r"{%(-?) test ", r"{%\1 macro ", source)).module)
    return called


MACROS = load_macros()


def score(database: duckdb.DuckDBPyConnection, series: str, **options: int) -> duckdb.DuckDBPyRelation:
    """Return each unit of the series with its expected value, spread and scores, as the tests of the warehouse do.

    `series` names a relation with series_name, unit_at, phase, value and noise.
    """
    return database.sql(f"from {MACROS['score_anomalies'](series, **options)}")


def run_test(database: duckdb.DuckDBPyConnection, name: str, table: str, **arguments: Any) -> list[dict[str, Any]]:
    """Run a generic test of the warehouse over a table; return its rows."""
    return database.sql(MACROS[name](Relation(table), **arguments)).to_arrow_table().to_pylist()
