"""The project's detector of anomalies, which is SQL of its macros, over series in DuckDB."""

import re
from typing import Any

import duckdb
from jinja2 import Environment

from flows.config.settings import PROJECT

FOLDERS = ("macros/observability", "macros/dialect")


MACRO = re.compile(r"{%-? macro (\w+)\(")


class Refused(Exception):
    """A macro refused its arguments."""


def load_macros() -> dict[str, Any]:
    """Return the macros that the detector consists of, by name; each gives SQL for DuckDB, or a value."""
    jinja = Environment(extensions=["jinja2.ext.do"])

    class Adapter:
        @staticmethod
        def dispatch(name: str) -> Any:
            return macros[f"default__{name}"]

    class Exceptions:
        @staticmethod
        def raise_compiler_error(message: str) -> None:
            raise Refused(message)

    returned: list[Any] = []

    def give(value: Any) -> str:
        returned.append(value)
        return value if isinstance(value, str) else ""

    jinja.globals |= {"adapter": Adapter, "exceptions": Exceptions, "return": give}
    macros: dict[str, Any] = {}
    sources = [path.read_text(encoding="utf-8") for folder in FOLDERS for path in sorted((PROJECT / folder).glob("*.sql"))]
    for name in {name for source in sources for name in MACRO.findall(source)}:  # a macro may call any other one
        jinja.globals[name] = lambda *given, called=name, **named: macros[called](*given, **named)
    for source in sources:
        macros |= vars(jinja.from_string(source).module)

    def limits(**given: Any) -> Any:
        returned.clear()
        macros["get_limits"](**given)
        return returned[-1]

    return macros | {"limits": limits}


MACROS = load_macros()


def score(database: duckdb.DuckDBPyConnection, series: str, **options: int) -> duckdb.DuckDBPyRelation:
    """Return each unit of the series with its expected value, spread and scores, as the tests of the warehouse do.

    `series` names a relation with series_name, unit_at, phase, value and noise.
    """
    return database.sql(f"from {MACROS['score_anomalies'](series, **options)}")
