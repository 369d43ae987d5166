"""The owners of tables, and what each is built of, by the manifest that dbt wrote in the last run."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from flows.config.contract import meta_of
from flows.config.settings import DataFolder, docs_url

Node = Mapping[str, Any]


@dataclass(frozen=True)
class ProjectMap:
    """The nodes, sources, exposures and groups of a manifest; all are empty before the first run."""

    nodes: Mapping[str, Node]
    sources: Mapping[str, Node]
    exposures: Mapping[str, Node]
    groups: Mapping[str, Node]

    @classmethod
    def read(cls, folder: DataFolder) -> "ProjectMap":
        """Read the manifest of a set."""
        file = folder.target / "manifest.json"
        manifest = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return cls(*(manifest.get(kind) or {} for kind in ("nodes", "sources", "exposures", "groups")))

    @cached_property
    def _keys(self) -> Mapping[str, str]:
        """dbt's unique ids by the names that findings use: fct_orders, crm.customers, sales_report."""
        tables = {node["name"]: key for key, node in self.nodes.items() if node.get("resource_type") != "test"}
        exposures = {node["name"]: key for key, node in self.exposures.items()}
        sources = {f"{node['source_name']}.{node['name']}": key for key, node in self.sources.items()}
        return exposures | tables | sources

    def key(self, name: str) -> str | None:
        """Return dbt's unique id of a table, source or exposure; None if the manifest has none of the name."""
        return self._keys.get(name)

    def owner(self, name: str) -> str:
        """Return the owner of a table, source or exposure; empty if none is named.

        A source is its `meta.owner`'s, else of those whose staging model reads it. dbt's unique id is a name, too:
        a use may be called like a table.
        """
        key = name if name in self.exposures else self._keys.get(name, "")
        if key in self.exposures:
            return str((self.exposures[key].get("owner") or {}).get("name") or "")
        if key in self.nodes:
            return self.owner_of_group(self._group_of(self.nodes[key]))
        if key not in self.sources:
            return ""
        readers = (one for one in self.nodes.values() if key in (one.get("depends_on") or {}).get("nodes", ()))
        groups = (self._group_of(one) for one in readers if one.get("resource_type") == "model")
        return self.owner_of_group(str(meta_of(self.sources[key]).get("owner") or next(filter(None, groups), "")))

    def owner_of_use(self, name: str) -> str:
        """Return the owner of an exposure, also of one that is called like a table."""
        return self.owner(next((key for key, one in self.exposures.items() if one["name"] == name), name))

    def has_lost_use(self, name: str) -> bool:
        """Tell whether the project has exposures, and none of the name any more."""
        return bool(self.exposures) and all(one["name"] != name for one in self.exposures.values())

    def _group_of(self, node: Node) -> str:
        return str((node.get("config") or {}).get("group") or node.get("group") or "")

    def owner_of_group(self, name: str) -> str:
        """Return the owner of a group by the group's name; the name itself if there is no such group."""
        for group in self.groups.values():
            if group["name"] == name:
                return str((group.get("owner") or {}).get("name") or name)
        return name

    def schema(self, name: str) -> str | None:
        """Return the schema of a table of the release; None for what is no such table."""
        node = self.nodes.get(self._keys.get(name, ""))
        return None if node is None else str(node.get("schema"))

    def inputs(self, name: str) -> Collection[str]:
        """Return the names of all tables and sources that a table or exposure is made of, itself among them.

        An exposure is found by dbt's unique id, too, since it may be called like a table.
        """
        names = {key: one for one, key in self._keys.items()}
        everything: dict[str, Node] = {**self.exposures, **self.nodes}
        seen: set[str] = set()
        waiting: Sequence[str] = [name if name in self.exposures else self._keys.get(name, "")]
        while waiting:
            key, *rest = waiting
            waiting = rest
            if key not in seen:
                seen.add(key)
                waiting = [*rest, *(everything.get(key, {}).get("depends_on") or {}).get("nodes", ())]
        return {names[key] for key in seen if key in names}


def docs_page(folder: DataFolder, project: ProjectMap, name: str) -> str | None:
    """Return where a browser finds the docs of a table or source; None for a name that has none."""
    key = project.key(name)
    if key is None:
        return None
    schema = project.schema(name)
    page = f"sources/{name}.html" if schema is None else f"tables/{schema}.{name}.html"
    if (folder.docs.parent / page).exists():
        return docs_url(folder, page)
    return f"{docs_url(folder, folder.docs.name)}#!/{key.partition('.')[0]}/{key}"
