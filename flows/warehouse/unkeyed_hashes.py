"""A gate on the SQL itself: no column is an unkeyed hash of personal data, since a guess of the value undoes it.

Follows tagged columns from their contract through the compiled models, as DuckDB's own parser reads them. It errs on
the side of caution: what an expression makes of a tagged column counts as tagged, a year of birth as well. A model that
means it (words are hashed to so many buckets) says so: `config.meta.unkeyed_hashes`, the columns, each with the reason.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

import duckdb
from dbt.contracts.graph.manifest import Manifest

from flows.config.contract import PERSONAL_TAGS
from flows.core.errors import Finding, GateFailed

HASHES = {"md5", "md5_number", "md5_number_lower", "md5_number_upper", "sha1", "sha256", "hash", "crc32"}
KEY = "pseudonym_key"

Node = dict[str, Any]
Origins = frozenset[str]
"""Where a value comes from, as `source.table.column`; empty if from nothing that is tagged."""
Columns = dict[str, Origins]
NOTHING: Origins = frozenset()


def require_no_unkeyed_hashes(manifest: Manifest, models: Iterable[Any]) -> None:
    """Raise GateFailed if a column of a model that was built is a hash of a tagged column without the key."""
    findings = tuple(find_unkeyed_hashes(manifest, models))
    if findings:
        raise GateFailed(
            "build",
            findings,
            "A hash of what can be guessed hides nothing: hash all guesses and compare. Use the macro pseudonymise.",
        )


def find_unkeyed_hashes(manifest: Manifest, models: Iterable[Any]) -> Iterator[Finding]:
    """Find them, model by model in the order of their dependencies; models that were not compiled are passed over."""
    relations: dict[tuple[str, str], Columns] = {
        (source.schema.lower(), source.identifier.lower()): {
            name.lower(): frozenset({f"{source.source_name}.{source.name}.{name}"})
            if column.config.meta.keys() & PERSONAL_TAGS
            else NOTHING
            for name, column in source.columns.items()
        }
        for source in manifest.sources.values()
    }
    with duckdb.connect() as parser:
        for model in _in_order(models):
            rows = parser.execute("select json_serialize_sql(cast(? as varchar))", [model.compiled_code]).fetchall()
            parsed = json.loads(rows[0][0])
            if parsed["error"]:
                yield Finding(model.name, "its SQL cannot be read for unkeyed hashes: no single select statement")
                continue
            reading = _Reading(relations)
            relations[model.schema.lower(), model.alias.lower()] = reading.columns_of(
                parsed["statements"][0]["node"], {}
            )
            excused = set(model.config.meta.get("unkeyed_hashes", ()))
            for column, function, origins in sorted(reading.hashes, key=str):
                if named := " and ".join(sorted(origins - excused)):
                    yield Finding(model.name, f"{column} is a plain {function} of {named}")


def _in_order(models: Iterable[Any]) -> Iterator[Any]:
    compiled = {model.unique_id: model for model in models if model.compiled_code}
    order = TopologicalSorter({key: model.depends_on_nodes for key, model in compiled.items()}).static_order()
    return (compiled[key] for key in order if key in compiled)


@dataclass
class _Reading:
    """One model's syntax tree, read from its sources outwards; `hashes` gathers column, function and origins."""

    relations: Mapping[tuple[str, str], Columns]
    hashes: set[tuple[str, str, Origins]] = field(default_factory=set)

    def columns_of(self, query: Node, outer: Mapping[str, Columns]) -> Columns:
        """Return the columns of a query that come from tagged ones, and from which."""
        ctes = dict(outer)
        for entry in query["cte_map"]["map"]:
            name, body = entry["key"].lower(), entry["value"]
            columns = self.columns_of(body["query_node"], ctes)
            ctes[name] = _renamed(columns, body.get("aliases"))
        if query["type"] == "SELECT_NODE":
            return self._selected(query, ctes)
        first, *others = [part for part in (query["left"], query["right"]) if part] or query["children"]
        found = self.columns_of(first, ctes)
        for part in others:
            if "cte_name" in query:  # the other branch of a recursion reads what the first one gives
                ctes[query["cte_name"].lower()] = _renamed(found, query["aliases"])
            stacked = zip(found.items(), self.columns_of(part, ctes).values(), strict=False)
            found |= {name: origins | also for (name, origins), also in stacked}
        return _renamed(found, query.get("aliases"))

    def _selected(self, select: Node, ctes: Mapping[str, Columns]) -> Columns:
        tables = dict(self._tables(select["from_table"], ctes))
        found: Columns = {}
        for expression in select["select_list"]:
            if expression["type"] == "STAR":
                of = expression["relation_name"].lower()
                for columns in (tables[of],) if of in tables else tables.values():
                    found = _joined(found, columns)
                continue
            name = (expression["alias"] or (expression.get("column_names") or ["an unnamed column"])[-1]).lower()
            found[name] = found.get(name, NOTHING) | self._origins(expression, tables | {"": dict(found)}, ctes, name)
        return found

    def _tables(self, table: Node, ctes: Mapping[str, Columns]) -> Iterator[tuple[str, Columns]]:
        match table:
            case {"type": "JOIN", "left": left, "right": right}:
                yield from self._tables(left, ctes)
                yield from self._tables(right, ctes)
            case {"type": "SUBQUERY", "subquery": {"node": query}, "alias": alias}:
                yield alias.lower(), _renamed(self.columns_of(query, ctes), table.get("column_name_alias"))
            case {"type": "BASE_TABLE", "schema_name": schema, "table_name": name, "alias": alias}:
                in_lake = self.relations.get((schema.lower(), name.lower()), {})
                columns = in_lake if schema else ctes.get(name.lower(), {})
                yield (alias or name).lower(), _renamed(columns, table.get("column_name_alias"))

    def _origins(self, part: Any, tables: Mapping[str, Columns], ctes: Mapping[str, Columns], column: str) -> Origins:
        """Return what an expression is made of, and note the unkeyed hashes in it."""
        if isinstance(part, list):
            return NOTHING.union(*(self._origins(item, tables, ctes, column) for item in part))
        if not isinstance(part, dict):
            return NOTHING
        if part.get("class") == "SUBQUERY":
            return NOTHING.union(*self.columns_of(part["subquery"]["node"], {**ctes}).values())
        if part.get("class") == "COLUMN_REF":
            *qualifiers, name = (text.lower() for text in part["column_names"])
            named = [tables[qualifiers[-1]]] if qualifiers and qualifiers[-1] in tables else tables.values()
            return NOTHING.union(*(columns.get(name, NOTHING) for columns in named))
        if _is_hmac(part):
            return NOTHING
        origins = NOTHING.union(*(self._origins(child, tables, ctes, column) for child in part.values()))
        if origins and part.get("function_name") in HASHES:
            self.hashes.add((column, part["function_name"], origins))
        return origins


def _is_hmac(part: Node) -> bool:
    """Tell the HMAC: a hash of key and hash, the inner one of key and message. A key merely appended makes none."""
    return part.get("function_name") == "sha256" and any(
        inner is not part and inner.get("function_name") == "sha256" and _has_key(inner) and _has_key(part, but=inner)
        for inner in _within(part)
    )


def _has_key(part: Node, but: Node | None = None) -> bool:
    return any(
        node.get("function_name") == "getvariable" and KEY in json.dumps(node["arguments"])
        for node in _within(part, but)
    )


def _within(part: Any, but: Any = None) -> Iterator[Node]:
    if part is but and but is not None:
        return
    if isinstance(part, dict):
        yield part
    for child in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _within(child, but)


def _joined(columns: Columns, others: Columns) -> Columns:
    return columns | {name: columns.get(name, NOTHING) | origins for name, origins in others.items()}


def _renamed(columns: Columns, aliases: list[str] | None) -> Columns:
    """Return columns under the names that an alias list gives them, in their order."""
    if not aliases:
        return columns
    return {alias.lower(): origins for alias, origins in zip(aliases, columns.values(), strict=False)}
