"""The settings that decide on rows: vars and tables of rules, those of a model and those of what it reads."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

VARIABLE = re.compile(r"\bvar\(\s*['\"](\w+)")
RULES = ["warehouse", "rules"]
"""The folder of the models that hold tables of rules."""


def list_settings(manifest: Any, variables: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return for each model of a manifest the vars and tables of rules that decide on it, its own or an earlier one's.

    A var that is a list or a map is named without its value.
    """
    project, nodes = manifest.metadata.project_name, manifest.nodes
    macros = {key: macro for key, macro in manifest.macros.items() if macro.package_name == project}
    calls = {key: macro.depends_on.macros for key, macro in macros.items()}
    named = {key: set(VARIABLE.findall(macro.macro_sql)) for key, macro in macros.items()}
    reads = {key: node.depends_on_nodes for key, node in nodes.items()}
    used = {}
    for key in reads:
        called = reach(nodes[key].depends_on_macros, calls)
        own = set(VARIABLE.findall(nodes[key].raw_code or "")) if hasattr(nodes[key], "raw_code") else set()
        used[key] = own.union(*(named[macro] for macro in called)) & variables.keys()
    texts = {}
    for model in (key for key, node in nodes.items() if node.resource_type == "model"):
        found = reach([model], reads)
        rules = {nodes[key].name for key in found if nodes[key].fqn[1:3] == RULES and key != model}
        lines = [f"`{name}`{_shown(variables[name])}" for name in sorted(set().union(*(used[key] for key in found)))]
        lines += [f"the table `{name}`" for name in sorted(rules)]
        if lines:
            texts[model] = lines
    return texts


def _shown(value: Any) -> str:
    return "" if isinstance(value, list | dict) else f": {value}"


def reach(start: Iterable[str], known: Mapping[str, Iterable[str]]) -> set[str]:
    """Return those of `start` that are known, with all that they lead to, directly or not."""
    found: set[str] = set()
    waiting = [*start]
    while waiting:
        key = waiting.pop()
        if key in known and key not in found:
            found.add(key)
            waiting += known[key]
    return found
