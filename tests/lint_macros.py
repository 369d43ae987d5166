"""Lint the SQL in macros: `python -m tests.lint_macros`.

sqlfluff's dbt templater lints models, but not the SQL that comes from a macro. Here, each macro's body is linted as its
own query. The arguments are those of the macro's first example, otherwise a name for each argument.
"""

import re
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, nodes
from sqlfluff.core import FluffConfig, Linter

PROJECT = Path(__file__).parents[1]
JINJA = Environment(extensions=["jinja2.ext.do"])
MACRO = re.compile(r"\{% macro (\w+).*?%\}(.*?)\{%-? endmacro -?%\}", re.DOTALL)
OFF = (
    *("layout.indent", "layout.end_of_file", "aliasing.expression", "aliasing.unique.table"),
    *("references.from", "references.consistent", "references.keywords"),
)
"""Rules that do not apply to a body: the caller sets its indentation, its alias and the names of its tables."""
PARTS = 2
"""The number of parallel processes."""
LONG = 80
QUERY = re.compile(r"\s*(with|select)\b")
NOT_READ = re.compile(r"\b(return\(|config\(|this\b|model\.columns|incremental_state|arg_dict|using key)")
"""Signs that a macro is not linted: it returns a value, is a hook, or has SQL that sqlfluff cannot parse."""
CLAUSE = re.compile(r"\s*(partition|order|rows|where)\b|\W*\w*\W*$")
"""The output of a macro that is a clause of a query, not a column or a whole query."""


class Dbt:
    """dbt's macros that differ between engines, in their version for DuckDB."""

    type_string = staticmethod(lambda: "varchar")
    hash = staticmethod(lambda field: f"md5({field})")
    dateadd = staticmethod(lambda part, number, day: f"({day} + {number} * interval 1 {part})")
    last_day = staticmethod(lambda day, part: f"last_day({day})")
    datediff = staticmethod(lambda first, second, part: f"date_diff('{part}', {first}, {second})")
    safe_cast = staticmethod(lambda field, kind: f"try_cast({field} as {kind})")


@dataclass(frozen=True)
class Macro:
    """A macro with the line of its body in a file."""

    name: str
    path: Path
    line: int
    body: str
    arguments: dict[str, Any]


def read_macros() -> Iterator[Macro]:
    """Yield the macros that write SQL for DuckDB; the SQL of one that takes dictionaries depends on what is in them."""
    entries = {
        entry["name"]: entry
        for path in PROJECT.glob("macros/*/*.yml")
        for entry in yaml.safe_load(path.read_text())["macros"]
    }
    for path in sorted(PROJECT.glob("macros/*/*.sql")):
        text = path.read_text()
        for found in MACRO.finditer(text):
            if found[1].startswith("spark__") or NOT_READ.search(found[2]):
                continue
            entry = entries[found[1].removeprefix("default__")]
            if not any("dictionar" in argument["type"] for argument in entry.get("arguments", [])):
                line = text.count("\n", 0, found.start(2))
                yield Macro(found[1], path, line, found[2], read_arguments(found[0], entry))


def read_arguments(source: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of a macro: those of its first example, or its defaults, or names."""
    macro = next(JINJA.parse(source).find_all(nodes.Macro))
    names = [argument.name for argument in macro.args]
    lists = {given["name"] for given in entry.get("arguments", []) if given["type"].startswith("list")}
    arguments: dict[str, Any] = {name: [name] if name in lists else name for name in names}
    defaults = [default.as_const() for default in macro.defaults]
    arguments |= dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))

    def record(*values: Any, **named: Any) -> str:
        arguments.update(zip(names, values, strict=False))
        arguments.update(named)
        return ""

    for example in entry.get("config", {}).get("meta", {}).get("examples", [])[:1]:
        JINJA.from_string(f"{{{{ {example['call']} }}}}").render({entry["name"]: record})
    return arguments


def make_context() -> dict[str, Any]:
    """Return the context of Jinja: the macros, and the functions that dbt adds."""
    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    context: dict[str, Any] = {"dbt": Dbt, "var": variables.get, "is_incremental": lambda: False, "return": str}
    context |= {"source": lambda *names: ".".join(names), "ref": str, "modules": {"re": re}}
    contract = {"relation": "arrived", "key": ["a_key"], "load": "append", "cursor": "updated_at"}
    bodies: dict[str, Any] = {}
    context |= {name: forward(bodies, name) for name in names_of_macros()}
    context["adapter"] = {"dispatch": lambda name: forward(bodies, f"default__{name}")}
    context["get_contract"] = lambda *values: contract
    context["caller"] = lambda *values: "select 1 as level"  # a block around which a macro is called has a query
    for path in PROJECT.glob("macros/*/*.sql"):
        bodies |= vars(JINJA.from_string(path.read_text(), globals=context).module)
    return context


def names_of_macros() -> list[str]:
    """Return the names of all macros."""
    return [found[1] for path in PROJECT.glob("macros/*/*.sql") for found in MACRO.finditer(path.read_text())]


def forward(bodies: dict[str, Any], name: str) -> Callable[..., str]:
    """Return a macro for use in other macros; its body is looked up at each call.

    A long expression is replaced by the macro's name: it is linted on its own.
    """

    def call(*values: Any, **named: Any) -> str:
        written = bodies[name](*values, **named)
        is_shown = len(written) < LONG or QUERY.match(written) or CLAUSE.match(written)
        return written if is_shown else f"{name}()"

    return call


def lint(macro: Macro, linter: Linter, context: dict[str, Any]) -> Iterator[str]:
    """Yield the problems of a macro, with the line in its file."""
    arguments = macro.arguments
    rendered = JINJA.from_string(macro.body, globals=context).render(arguments)
    if CLAUSE.match(rendered):
        return
    before, after = ("select * from (\n    ", "\n) as body\n") if QUERY.match(rendered) else ("select\n    ", "\n")
    given = {**context, **arguments, "before": before, "after": after}
    linter.templater.get_context = lambda fname, config: given  # unchanged values: sqlfluff would turn texts into lists
    source = "{{ before }}{#- -#}" + macro.body + "{#- -#}{{ after }}"
    for violation in linter.lint_string(source, fname=f"{macro.name}.sql").get_violations():
        line = macro.line + violation.line_no
        yield f"{macro.path.relative_to(PROJECT)}:{line}: {macro.name}: {violation.rule_code()} {violation.desc()}"


def lint_part(part: int) -> list[str]:
    """Lint every macro whose number modulo PARTS is `part`."""
    excluded = FluffConfig.from_path(str(PROJECT)).get("exclude_rules")
    overrides = {"templater": "jinja", "exclude_rules": ",".join((excluded, *OFF))}
    linter = Linter(FluffConfig.from_path(str(PROJECT), overrides=overrides))
    macros = list(read_macros())
    context = make_context()
    return [problem for macro in macros[part::PARTS] for problem in lint(macro, linter, context)]


def main() -> int:
    """Print the problems of the macros; return 1 if there are any."""
    with ProcessPoolExecutor(PARTS) as pool:
        found = sorted(problem for problems in pool.map(lint_part, range(PARTS)) for problem in problems)
    sys.stdout.write("".join(f"{problem}\n" for problem in found))
    return min(len(found), 1)


if __name__ == "__main__":
    sys.exit(main())
