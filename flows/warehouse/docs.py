"""The docs site: one file that opens without a network, of the release that readers see."""

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flows.config.declared_features import document_features
from flows.config.variables import declared_variables

if TYPE_CHECKING:  # dbt takes seconds to import, and make docs has run it already
    from flows.warehouse.dbt import Dbt

END = "</html>"
VARIABLE = re.compile(r"\bvar\(\s*['\"](\w+)")
RULES = ["warehouse", "rules"]
"""The folder of the models that hold tables of rules."""


def write_docs(dbt: "Dbt", code: str) -> None:
    """Generate dbt's docs from the published release and put them in their place, as one file.

    They describe the code, not the rows, so docs of the same `code` are kept.
    """
    place = dbt.folder.docs
    mark = f"<!-- code {code} -->{END}".encode()
    if place.exists() and _ending(place, len(mark)) == mark:
        return
    dbt.run("docs", "generate", "--no-compile", target="release")
    place.parent.mkdir(parents=True, exist_ok=True)
    page = inline_docs(dbt.folder.target, dbt.variables)
    page.write_bytes(page.read_bytes().rstrip().removesuffix(END.encode()) + mark)
    os.replace(page, place)


def _ending(file: Path, size: int) -> bytes:
    with file.open("rb") as stream:
        stream.seek(-min(size, file.stat().st_size), os.SEEK_END)
        return stream.read()


def inline_docs(target: Path, variables: Mapping[str, Any]) -> Path:
    """Make dbt's docs site one file, `static_index.html`, and return it; `variables` are the set's own vars.

    The page of each model lists the vars and the tables of rules that its rows follow from.

    dbt's own site writes names as they are into the page's script. A source's column called </script> would end it.
    """
    page = (target / "index.html").read_text()
    for name in ("manifest", "catalog"):
        content = json.loads((target / f"{name}.json").read_text())
        for macro in content.get("macros", {}).values():
            macro["description"] += _list_examples(macro["config"]["meta"].get("examples", []))
        if name == "manifest":
            document_features(content)
            for node, text in list_settings(content, {**declared_variables(), **variables}).items():
                content["nodes"][node]["description"] += text
        data = json.dumps(content).replace("<", "\\u003c")
        page = page.replace(f'"{name.upper()}.JSON INLINE DATA"', data)
    made = target / "static_index.html"
    made.write_text(page)
    return made


def _list_examples(examples: list[dict[str, Any]]) -> str:
    """Return a macro's examples as Markdown, since dbt's site shows no meta of macros."""
    return "".join(
        f"\n\n`{example['call']}` gives `{json.dumps(example['gives'], ensure_ascii=False)}`"
        + "".join(f"; {part} `{example[part]}`" for part in ("given", "query") if part in example)
        + (f" ({example['case']})" if "case" in example else "")
        for example in examples
    )


def list_settings(manifest: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, str]:
    """Return Markdown for each model of a manifest that vars or tables of rules decide on, its own or an earlier one's.

    A var that is a list or a map is named without its value.
    """
    nodes, macros = manifest["nodes"], manifest["macros"]
    own_macros = {key: macro for key, macro in macros.items() if key.startswith("macro.ml_warehouse.")}
    used = {}
    for key, node in nodes.items():
        called = _reach(node["depends_on"].get("macros", []), own_macros, "macros")
        code = [node.get("raw_code") or "", *(macros[macro]["macro_sql"] for macro in called)]
        used[key] = {name for text in code for name in VARIABLE.findall(text)} & variables.keys()
    texts = {}
    for model in (key for key, node in nodes.items() if node["resource_type"] == "model"):
        found = _reach([model], nodes, "nodes")
        rules = {nodes[key]["name"] for key in found if nodes[key]["fqn"][1:3] == RULES and key != model}
        lines = [f"- `{name}`{_shown(variables[name])}" for name in sorted(set().union(*(used[key] for key in found)))]
        lines += [f"- the table `{name}`" for name in sorted(rules)]
        if lines:
            texts[model] = "\n\n**Settings that decide on these rows**\n\n" + "\n".join(lines)
    return texts


def _shown(value: Any) -> str:
    return "" if isinstance(value, list | dict) else f": {value}"


def _reach(start: Iterable[str], known: Mapping[str, Any], kind: str) -> set[str]:
    """Return those of `start` that are known, with all that they depend on, directly or not: "nodes" or "macros"."""
    found: set[str] = set()
    waiting = [*start]
    while waiting:
        key = waiting.pop()
        if key in known and key not in found:
            found.add(key)
            waiting += known[key]["depends_on"].get(kind, [])
    return found
