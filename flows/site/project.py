"""The project's tables, as its code describes them: meaning, columns, checks, relations, and the macros."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from flows.config.contract import PERSONAL_TAGS, name_of_type
from flows.config.declared_features import features_of
from flows.config.variables import declared_variables
from flows.site.facts import Check, Column, Feature, Label, Relation, Table
from flows.site.row_settings import list_settings
from flows.warehouse.dbt import Dbt, tested_node
from flows.warehouse.descriptions import CODE, DEFAULT, SENTENCE, SNAPSHOT_COLUMNS, make_plain

BOLD = re.compile(r"\s*\*\*(.+?)\*\*\s*", re.DOTALL)
REFERENCE = re.compile(r"ref\(\s*['\"]([^'\"]+)['\"]\s*\)")
LAYERS = {"source": "sources", "seed": "seeds", "snapshot": "history"}
KINDS = {"table_function": "function", "incremental": "table, built by increments"}
ORDER = ("sources", "seeds", "staging", "warehouse", "marts", "history")
"""The layers of the project's own tables, in the order of the data; other folders come last."""


def tables_of(dbt: Dbt) -> dict[str, Table]:
    """Return every table of a parsed project by its id, without what only a release or the lake knows."""
    manifest = dbt.manifest
    owners = {group.name: group.owner.name or group.name for group in manifest.groups.values()}
    uses: dict[str, list[str]] = {}
    for exposure in manifest.exposures.values():
        for key in exposure.depends_on_nodes:
            uses.setdefault(key, []).append(exposure.label or exposure.name)
    checks, settings = checks_of(dbt), list_settings(manifest, {**declared_variables(), **dbt.variables})
    features: dict[str, list[Feature]] = {}
    for group in features_of(manifest):
        features.setdefault(group.model, []).extend(
            Feature(one.name, one.data_type, one.description) for one in group.features
        )
    found = {}
    for key, node in _nodes(manifest):
        group = node.config.group if node.resource_type != "source" else node.config.meta.get("owner")
        table = _table(key, node, manifest)
        found[key] = replace(
            table,
            owner=owners.get(group or "", group or ""),
            checks=checks.get(key, ()),
            uses=sorted(uses.get(key, ())),
            features=features.get(node.name, ()) if node.resource_type != "source" else (),
            settings=settings.get(key, ()),
        )
    return found


def _nodes(manifest: Any) -> Iterable[tuple[str, Any]]:
    yield from manifest.sources.items()
    for key, node in manifest.nodes.items():
        if node.resource_type in ("model", "seed", "snapshot"):
            yield key, node


def _table(key: str, node: Any, manifest: Any) -> Table:
    is_source, kind = node.resource_type == "source", node.config.get("materialized") or ""
    layer = LAYERS.get(node.resource_type) or (node.fqn[1] if len(node.fqn) > 2 else "models")
    question, text, example = split_description(node.description)
    unique = node.config.meta.get("key") or ()
    unique = (unique,) if isinstance(unique, str) else tuple(unique)
    return Table(
        key=key,
        kind="source table" if is_source else KINDS.get(kind, kind or node.resource_type),
        layer=layer,
        schema=node.source_name if is_source else node.schema,
        name=node.name if is_source else node.alias,
        question=question,
        text=text,
        example=example,
        department=node.fqn[2].replace("_", " ") if layer == "marts" and len(node.fqn) > 3 else "",
        unique=unique,
        tags=tuple(node.tags),
        file=node.original_file_path,
        columns=_columns(node, unique, manifest),
        reads=() if is_source else tuple(one for one in dict.fromkeys(node.depends_on_nodes) if _is_table(one)),
        label=_label(node),
    )


def _is_table(key: str) -> bool:
    return key.partition(".")[0] in ("model", "seed", "snapshot", "source")


def split_description(markdown: str) -> tuple[str, str, str]:
    """Return the question or first sentence of a description as plain text, the rest as Markdown, and its example."""
    example = CODE.search(markdown)
    text = CODE.sub("", markdown).strip()
    found = BOLD.match(text) or SENTENCE.match(text)
    question = " ".join(make_plain(found[0]).split()) if found else ""
    return question, text[found.end() :].strip() if found else text, example[1].strip() if example else ""


def _columns(node: Any, unique: Sequence[str], manifest: Any) -> tuple[Column, ...]:
    columns = {name: _column(column, unique) for name, column in node.columns.items()}
    if node.resource_type == "source":  # a contract may write a type in another way than the lake and the releases
        columns = {name: replace(one, data_type=name_of_type(one.data_type)) for name, one in columns.items()}
    if node.resource_type == "snapshot":
        columns |= {name: Column(name, "", text) for name, text in SNAPSHOT_COLUMNS.items() if name not in columns}
    filled = manifest.nodes.get(f"model.{node.package_name}.{node.name.removeprefix(DEFAULT)}")
    if node.resource_type == "seed" and node.name.startswith(DEFAULT) and filled is not None:
        columns = {name: _column(column, unique) for name, column in filled.columns.items()} | columns
    return tuple(columns.values())


def _column(column: Any, unique: Sequence[str]) -> Column:
    meta = column.config.meta
    classes = [str(meta[tag]) for tag in sorted(PERSONAL_TAGS) if meta.get(tag, "none") != "none"]
    return Column(
        column.name,
        column.data_type or "",
        column.description.strip(),
        ", ".join(classes),
        bool(meta.keys() & PERSONAL_TAGS),
        tuple(_constraint(one) for one in column.constraints),
        column.name in unique,
    )


def _constraint(constraint: Any) -> str:
    kind = str(getattr(constraint.type, "value", constraint.type)).replace("_", " ")
    rule = constraint.expression or ""
    named = f" ({constraint.name.replace('_', ' ')})" if constraint.name else ""
    return f"{kind}: {rule}{named}" if rule else kind + named


def _label(node: Any) -> Label | None:
    about = node.config.meta.get("label")
    if not isinstance(about, dict) or not about.get("label"):
        return None
    texts = {name: make_plain(column.description) for name, column in node.columns.items()}
    known = str(about.get("known_at") or "")
    return Label(
        str(about["label"]),
        texts.get(str(about["label"]), ""),
        _names(about.get("entity")),
        str(about.get("time") or ""),
        str(about.get("horizon") or ""),
        known,
        texts.get(known, ""),
    )


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def checks_of(dbt: Dbt) -> dict[str, list[Check]]:
    """Return the data tests and the unit tests of each table, by its id, without results."""
    manifest = dbt.manifest
    found: dict[str, list[Check]] = {}
    for test in (*manifest.nodes.values(), *manifest.unit_tests.values()):
        if test.resource_type not in ("test", "unit_test"):
            continue
        node = tested_node(manifest, test)
        if node is None:
            continue
        sentence = make_plain(test.description or "") or f"{test.name.replace('_', ' ')}."
        severity = str(getattr(test.config, "severity", "error")).lower()
        kind = "unit test" if test.resource_type == "unit_test" else "data test"
        arguments = getattr(getattr(test, "test_metadata", None), "kwargs", {})
        columns = [arguments.get("column_name"), *_listed(arguments.get("columns"))]
        check = Check(test.name, sentence, kind, severity, columns=[one for one in columns if isinstance(one, str)])
        found.setdefault(node.unique_id, []).append(check)
    return found


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()


def relations_of(dbt: Dbt) -> list[Relation]:
    """Return the relationship tests as links between tables, by their ids."""
    found = []
    names = {node.name: key for key, node in dbt.manifest.nodes.items() if _is_table(key)}
    for test in dbt.manifest.nodes.values():
        metadata = getattr(test, "test_metadata", None)
        if metadata is None or metadata.name != "relationships" or not test.attached_node:
            continue
        reference = REFERENCE.search(str(metadata.kwargs.get("to", "")))
        to, field = names.get(reference[1]) if reference else None, metadata.kwargs.get("field")
        if to and field and test.column_name:
            found.append(Relation(test.attached_node, test.column_name, to, field))
    return found


def overview_of(dbt: Dbt) -> str:
    """Return the project's own overview, as its docs block `__overview__` has it; empty if it has none."""
    block = dbt.manifest.docs.get(f"doc.{dbt.manifest.metadata.project_name}.__overview__")
    return str(block.block_contents).strip() if block is not None else ""


def macros_of(dbt: Dbt) -> list[Mapping[str, Any]]:
    """Return the project's own macros: name, folder, text, arguments and worked examples."""
    project = dbt.manifest.metadata.project_name
    return [
        {
            "name": macro.name,
            "folder": macro.original_file_path.split("/")[1] if "/" in macro.original_file_path else "",
            "text": macro.description.strip(),
            "arguments": [(one.name, one.type or "", (one.description or "").strip()) for one in macro.arguments],
            "examples": macro.config.meta.get("examples", []),
        }
        for macro in sorted(dbt.manifest.macros.values(), key=lambda macro: macro.name)
        if macro.package_name == project and macro.description
    ]


def promised(limit: Any) -> timedelta | None:
    """Read a limit of dbt's freshness; None for none."""
    if limit is None or limit.count is None:
        return None
    return timedelta(**{f"{getattr(limit.period, 'value', limit.period)}s": limit.count})
