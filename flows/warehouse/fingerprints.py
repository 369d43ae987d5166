"""Fingerprints of the code of single nodes: all that decides on the rows of a model, or on a test, besides data.

The fingerprint of a node covers its own SQL or rows, its config, and every macro and var that it may use. The declared
columns of what it reads and the engines count too. A macro or var counts as used if its name is in the text of the
node or of a macro that is used. This may take in too much, which costs a build. It leaves nothing out.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import version
from typing import Any

from dbt.contracts.graph.manifest import Manifest

from flows.config.publications import PUBLISH
from flows.config.settings import PROJECT

ENGINES = ("dbt-core", "dbt-duckdb", "duckdb")

BESIDE_DBT = (
    "profiles.yml",
    "flows/lake/catalog.py",
    "flows/warehouse/lake_plugin.py",
    "flows/warehouse/pseudonyms.py",
)
"""Files that shape every session, or what a model sees of the lake."""

WORD = re.compile(r"[A-Za-z_]\w*")
COMPUTED_VAR = re.compile(r"\bvar\(\s*[^'\"\s]")
READS_FILES = re.compile(r"\b(read_text|read_blob|read_csv|read_csv_auto|read_json|read_parquet|glob)\s*\(")

KEY_MACRO = "get_pseudonym_key"
FEATURE_MACRO = "training_set"
FEATURES = "features"
"""The key of a model's meta that only models of the macro read: a model's rows do not follow from its own features."""

BESIDE_ROWS = {FEATURES, PUBLISH}

DESCRIBING = {"description", "docs", "doc_blocks", "patch_path", "created_at", "root_path", "build_path"}
"""Parts of a node that tell people about it and change no row."""


class Fingerprints:
    """The fingerprints of a project's nodes, with a set's own vars."""

    def __init__(self, manifest: Manifest, variables: Mapping[str, Any], key: str = "") -> None:
        """Take the parsed project, the vars, and the fingerprint of the key for pseudonyms."""
        self._manifest = manifest
        self._variables = variables
        self._key = key
        self._seen: dict[str, str] = {}
        self._macros = [macro for macro in manifest.macros.values() if macro.package_name == manifest_project(manifest)]

    def of(self, unique_id: str) -> str:
        """Return the fingerprint of a node's code: a model, seed, snapshot, data test or unit test."""
        manifest = self._manifest
        node = manifest.nodes.get(unique_id) or manifest.unit_tests[unique_id]
        parts: list[Any] = [self.engine, describe_node(node)]
        parts += [self._outside(parent) for parent in sorted(node.depends_on_nodes)]
        texts = _texts(node)
        if unique_id in manifest.unit_tests:
            for tested in (manifest.nodes[key] for key in node.depends_on_nodes):
                parts.append(describe_node(tested))
                parts += [self._outside(parent) for parent in sorted(tested.depends_on_nodes)]
                texts += _texts(tested)
        words, used = self._reached({word for text in texts for word in WORD.findall(text)})
        texts += used.values()
        parts += sorted(used.items())
        if any(COMPUTED_VAR.search(text) for text in texts):
            parts.append(self._variables)
        else:
            parts.append({name: value for name, value in self._variables.items() if name in words})
        if FEATURE_MACRO in words:
            parts.append([self._features(parent) for parent in sorted(node.depends_on_nodes)])
        if KEY_MACRO in words:
            parts.append(self._key)
        if any(READS_FILES.search(text) for text in texts):
            parts.append(self.all_files)
        return _hash(parts)

    @cached_property
    def engine(self) -> str:
        """The versions of the engines, and the files that shape every session."""
        files = [hashlib.sha256((PROJECT / name).read_bytes()).hexdigest() for name in BESIDE_DBT]
        return _hash([*(f"{engine} {version(engine)}" for engine in ENGINES), *files])

    @cached_property
    def all_files(self) -> str:
        """The content of all macros with their YAML, which a test may read as files."""
        paths = sorted(path for path in (PROJECT / "macros").rglob("*") if path.is_file())
        return _hash([[path.relative_to(PROJECT).as_posix(), path.read_bytes().hex()] for path in paths])

    def _outside(self, unique_id: str) -> str:
        """Return what a node can see of another one without reading its rows: its name, kind, columns and key."""
        if unique_id not in self._seen:
            node = self._manifest.nodes.get(unique_id) or self._manifest.sources.get(unique_id)
            seen = [unique_id]
            if node is not None:
                config = _config_of_rows(node)
                seen += [node.relation_name, node.fqn, _columns(node), _undescribed(config)]
            self._seen[unique_id] = _hash(seen)
        return self._seen[unique_id]

    def _features(self, unique_id: str) -> Any:
        """Return what a training set takes from a model that it reads: the declared features, and what is unique."""
        node = self._manifest.nodes.get(unique_id)
        if node is None:
            return None
        tests = (test for test in self._manifest.nodes.values() if getattr(test, "attached_node", None) == unique_id)
        unique = [_plain(test.test_metadata) for test in tests if "unique" in test.test_metadata.name]
        return [unique_id, node.config.meta.get(FEATURES), sorted(unique, key=str)]

    def _reached(self, words: set[str]) -> tuple[set[str], dict[str, str]]:
        """Return the words of a text and of all macros that it may use, and the SQL of these macros by their ids."""
        reached = set(words)
        used: dict[str, str] = {}
        new = reached | self._words_of_dbt
        while new:
            found = {macro.unique_id: macro for word in new for macro in self._by_name.get(word, ())}
            fresh = {key: macro.macro_sql for key, macro in found.items() if key not in used}
            used |= fresh
            new = {word for key in fresh for word in self._words_of[key]} - reached
            reached |= new
        return reached, used

    @cached_property
    def _by_name(self) -> Mapping[str, list[Any]]:
        """The project's macros by the names under which they are called: `duckdb__scale` is called `scale`."""
        named: dict[str, list[Any]] = {}
        for macro in self._macros:
            for name in {macro.name, macro.name.rpartition("__")[2]}:
                named.setdefault(name, []).append(macro)
        return named

    @cached_property
    def _words_of(self) -> Mapping[str, set[str]]:
        return {macro.unique_id: set(WORD.findall(macro.macro_sql)) for macro in self._macros}

    @cached_property
    def _words_of_dbt(self) -> set[str]:
        """The names of the project's macros that dbt itself calls, in place of its own."""
        project = manifest_project(self._manifest)
        names = {macro.name for macro in self._manifest.macros.values() if macro.package_name != project}
        plain = {name.rpartition("__")[2] for name in names}
        called = names | plain
        return {macro.name for macro in self._macros if macro.name in called and not macro.name.startswith("test_")}


def manifest_project(manifest: Manifest) -> str:
    """Return the name of the project that a manifest is of."""
    return str(manifest.metadata.project_name)


def describe_node(node: Any) -> Any:
    """Return what a node is made of, without what only describes it to people."""
    described = {name: getattr(node, name, None) for name in ("name", "alias", "schema", "raw_code", "language")}
    described |= {name: getattr(node, name, None) for name in ("attached_node", "column_name", "model")}
    described |= {
        "kind": str(node.resource_type),
        "config": _config_of_rows(node),
        "columns": _columns(node),
        "reads": sorted(node.depends_on_nodes),
        "test": _plain(getattr(node, "test_metadata", None)),
        "unit_test": [_plain(getattr(node, name, None)) for name in ("given", "expect", "overrides")],
    }
    if node.resource_type == "seed":
        described["rows"] = hashlib.sha256((PROJECT / node.original_file_path).read_bytes()).hexdigest()
    return _undescribed(described)


def _config_of_rows(node: Any) -> dict[str, Any]:
    """Return a node's config without what decides on no row of its own: features for others, and publication."""
    config: dict[str, Any] = node.config.to_dict(omit_none=True)
    if not BESIDE_ROWS.isdisjoint(config.get("meta", {})):
        config["meta"] = {name: one for name, one in config["meta"].items() if name not in BESIDE_ROWS}
    return config


def _columns(node: Any) -> Any:
    """Return the declared columns of a node: name, type, constraints and meta."""
    return [
        [name, column.data_type, _plain(column.constraints), _plain(column.config), column.tags]
        for name, column in getattr(node, "columns", {}).items()
    ]


def _plain(value: Any) -> Any:
    """Return dbt's own values as plain ones."""
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.to_dict(omit_none=True) if hasattr(value, "to_dict") else value


def _texts(node: Any) -> list[str]:
    """Return the texts of a node in which names of macros and vars may be."""
    config = _config_of_rows(node) if node.config else {}
    texts = [getattr(node, "raw_code", None) or "", *_strings(config)]
    metadata = getattr(node, "test_metadata", None)
    if metadata is not None:
        texts += [f"test_{metadata.name}", *_strings(metadata.kwargs)]
    if strategy := config.get("incremental_strategy"):
        texts.append(f"get_incremental_{strategy}_sql")
    if materialized := config.get("materialized"):
        texts.append(f"materialization_{materialized}_duckdb materialization_{materialized}_default")
    return [*texts, *_strings(getattr(node, "overrides", None) and node.overrides.to_dict(omit_none=True))]


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.items():
            yield from _strings(one)
    elif isinstance(value, Iterable):
        for one in value:
            yield from _strings(one)


def _undescribed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _undescribed(one) for name, one in value.items() if name not in DESCRIBING}
    if isinstance(value, list | tuple):
        return [_undescribed(one) for one in value]
    return value


def _hash(parts: Any) -> str:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]
