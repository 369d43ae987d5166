"""The bodies for Spark of the macros in macros/dialect are valid SQL with functions of Spark."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlglot
import yaml
from jinja2 import Environment
from sqlglot import exp

DIALECT = Path(__file__).parents[3] / "macros" / "dialect"
TYPES = {
    (macro["name"], argument["name"]): argument["type"]
    for macro in yaml.safe_load((DIALECT / "_dialect__macros.yml").read_text())["macros"]
    for argument in macro.get("arguments", [])
}
SPARK_FUNCTIONS = {"array_sort", "arrays_overlap", "bit_count", "conv", "encode", "get", "map_from_entries", "xxhash64"}
"""Functions of Spark that the parser does not have."""


def spark_bodies() -> dict[str, Callable[..., str]]:
    jinja = Environment(extensions=["jinja2.ext.do"])
    modules = [jinja.from_string(path.read_text()).module for path in sorted(DIALECT.glob("*.sql"))]
    return {name: body for module in modules for name, body in vars(module).items() if name.startswith("spark__")}


def sample(macro: str, argument: str) -> str | list[str]:
    kind = TYPES[macro, argument]
    if kind == "function":
        return "stddev_samp"
    return ["one", "other"] if kind.startswith("list of") else f"a_{argument}"


@pytest.mark.parametrize("name", sorted(spark_bodies()))
def test_a_body_for_spark_is_sql(name: str) -> None:
    # Given a column for each argument of the macro
    body = spark_bodies()[name]
    columns = [sample(name.removeprefix("spark__"), argument) for argument in body.arguments]

    # When the body is rendered, then Spark's grammar parses it, and Spark has its functions
    parsed = sqlglot.parse_one(f"select {body(*columns)} from a_table", dialect="spark")
    assert {call.name.lower() for call in parsed.find_all(exp.Anonymous)} <= SPARK_FUNCTIONS
