"""The contracts as the project's YAML declares them, read without dbt: importing and parsing it takes seconds.

The result equals that of dbt's manifest. It holds for YAML without templates; a test compares the two.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flows.config import settings
from flows.config.contract import Contract, contracts_of
from flows.core.errors import UsageError
from flows.core.names import TableName

DECLARES_SOURCES = re.compile(r"^sources\s*:", re.MULTILINE)
"""A file of YAML without this line declares no source, and is not parsed."""

TEMPLATE = re.compile(r"\{\{|\{%")
PROSE = {"description", "freshness", "loaded_at_field", "loaded_at_query", "data_tests", "tests", "tags", "loader"}
"""Keys that no contract reads; templates in them make no difference."""


class NeedsDbt(Exception):
    """The YAML holds a template that decides on a contract: only dbt can fill it in."""


def declared_contracts(project: Path = settings.PROJECT) -> dict[TableName, Contract]:
    """Return the contracts of all sources that the project's YAML declares.

    Raises UsageError for YAML that cannot be read or used, NeedsDbt for templates.
    """
    return contracts_of(source_nodes(project))


def source_nodes(project: Path = settings.PROJECT) -> list[dict[str, Any]]:
    """Return the tables of all sources, as far as contracts need them, in the form of dbt's manifest."""
    declared = read_yaml(project / "dbt_project.yml")
    defaults = declared.get("sources") or {}
    nodes = []
    for folder in declared.get("model-paths") or ["models"]:
        root = project / folder
        for path in sorted(root.rglob("*.y*ml")):
            if path.suffix not in (".yml", ".yaml") or not DECLARES_SOURCES.search(path.read_text(encoding="utf-8")):
                continue
            place = [str(declared.get("name")), *path.relative_to(root).parent.parts]
            for source in read_yaml(path).get("sources") or []:
                nodes += list(_tables(source, place, defaults))
    return nodes


def _tables(source: Mapping[str, Any], place: Sequence[str], defaults: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the tables of a source: its own settings apply to each of them, after those of dbt_project.yml."""
    for table in source.get("tables") or []:
        levels = [*_defaults(defaults, [*place, source["name"], table["name"]]), source, table]
        configs = [config for level in levels for config in (level, level.get("config") or {})]
        _refuse_templates({"source": _shallow(source), "configs": list(map(_shallow, configs)), "table": table})
        if not all(config.get("enabled", True) for config in configs):
            continue
        yield {
            "source_name": source["name"],
            "name": table["name"],
            "database": source.get("database"),
            "meta": {key: value for config in configs for key, value in (config.get("meta") or {}).items()},
            "columns": {column["name"]: column for column in table.get("columns") or []},
        }


def _shallow(level: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in level.items() if key not in ("tables", "config")}


def _defaults(defaults: Mapping[str, Any], names: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the settings of dbt_project.yml along the path of a source, the outermost first; they may begin with +."""
    level: Any = defaults
    for name in [None, *names]:
        level = level if name is None else level.get(name)
        if not isinstance(level, Mapping):
            return
        yield {key.lstrip("+"): value for key, value in level.items() if key.lstrip("+") in ("meta", "enabled")}


def _refuse_templates(value: Any) -> None:
    if isinstance(value, Mapping):
        for key, one in value.items():
            if key not in PROSE:
                _refuse_templates(one)
    elif isinstance(value, list):
        for one in value:
            _refuse_templates(one)
    elif isinstance(value, str) and TEMPLATE.search(value):
        raise NeedsDbt


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a file of YAML by the parser in C, which takes a tenth of the time."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise UsageError(f"{settings.shown_path(path)} cannot be read as YAML{where}.", "Fix the file.") from None
    return value if isinstance(value, dict) else {}
