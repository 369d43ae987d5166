"""`connections.yml`: where the data comes from, and how a source's columns become the contract's."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from flows import settings
from flows.errors import WrongUse
from flows.names import TableName, duration

CONNECTION_KEYS = {"url", "bearer", "tables"}
TABLE_KEYS = {"from", "where", "columns", "query", "load", "cursor", "overlap", "time_zone"}
REST_KEYS = {"records", "next", "next_cursor", "since"}
LOADS = ("append", "upsert", "full")


@dataclass(frozen=True)
class RestPaging:
    """How an endpoint's JSON pages are read; paths are dotted, such as `links.next`."""

    records: str = ""
    next: str = ""
    next_cursor: str = ""
    since: str = ""


@dataclass(frozen=True)
class TableMapping:
    """How one contract table is read from its source."""

    name: TableName
    origin: str
    where: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    load: str = ""
    cursor: str = ""
    overlap: timedelta | None = None
    time_zone: str = "UTC"
    paging: RestPaging = RestPaging()

    def definition(self) -> str:
        """Return what decides which rows are read and what they become: if it changes, all is read again."""
        rows = (self.where, sorted(self.columns.items()), self.query, self.load, self.cursor, self.time_zone)
        return repr((*rows, self.origin, self.paging))


@dataclass(frozen=True)
class Connection:
    """One source of a set; its URL and token stay unresolved templates until they are used."""

    source: str
    url_template: str
    bearer_template: str
    data: Path
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def url(self) -> str:
        """Return the URL with the environment's values in it; raises WrongUse if one is missing."""
        return self._render(self.url_template)

    def bearer(self) -> str:
        """Return the bearer token, or an empty text; raises WrongUse for one that no HTTP header can carry."""
        token = self._render(self.bearer_template).strip()
        if not (token.isascii() and token.isprintable()):
            raise WrongUse(
                f"connections.yml: the bearer token of {self.source} has signs in it that no HTTP header can carry.",
                "Look at the environment variable that it comes from.",
            )
        return token

    def require_environment(self) -> None:
        """Raise WrongUse for a variable that is not set, before anything is read."""
        self.url()
        self.bearer()

    def mapping(self, table: str) -> TableMapping:
        """Return how a contract table is read; what is not said is taken by the contract's own names."""
        entry = self.tables.get(table, {})
        return TableMapping(
            name=TableName(self.source, table),
            origin=self._render(entry.get("from", "")) or table,
            where=entry.get("where", ""),
            columns={column: str(expression) for column, expression in entry.get("columns", {}).items()},
            query=entry.get("query", ""),
            load=entry.get("load", ""),
            cursor=entry.get("cursor", ""),
            overlap=duration(entry["overlap"]) if "overlap" in entry else None,
            time_zone=entry.get("time_zone", "UTC"),
            paging=RestPaging(**{key: entry[key] for key in REST_KEYS & entry.keys()}),
        )

    def _render(self, template: str) -> str:
        environment = SandboxedEnvironment(undefined=StrictUndefined)
        try:
            return environment.from_string(template).render(data=str(self.data), env_var=settings.env_var)
        except KeyError as error:
            raise WrongUse(
                f"connections.yml: {self.source} needs the environment variable {error.args[0]}, which is not set.",
                f"Set it first: export {error.args[0]}=… (or run the command that serves this source, and sets it)",
            ) from None
        except (TemplateError, TypeError) as error:
            raise WrongUse(
                f"connections.yml: {self.source}: cannot read the template {template!r}: {error}.",
                "Templates know {{ data }} and {{ env_var('NAME') }}.",
            ) from None


@dataclass(frozen=True)
class Connections:
    """A set of connections, by source."""

    name: str
    folder: settings.DataFolder
    sources: Mapping[str, Connection]

    def __iter__(self) -> Iterator[Connection]:
        return iter(self.sources.values())


def read_connections(path: Path, connection_set: str | None = None) -> Connections:
    """Read one set of a connections file; without a name, the environment's or the first.

    Raises WrongUse for a file, set or key that is not there or not known.
    """
    try:
        sets = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise WrongUse(f"There is no connections file {path}.", "Name one: --connections PATH") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise WrongUse(f"{path} is no YAML{where}: {getattr(error, 'problem', None)}.", "Mend the file.") from None
    if not isinstance(sets, dict) or not sets:
        raise WrongUse(f"{path} holds no set of connections.", "Write one as CONTRIBUTING.md shows.")
    odd = [
        one for one in sets if not (isinstance(one, str) and re.fullmatch(r"[A-Za-z0-9_-]+", one)) or one == "prefect"
    ]
    if odd:
        raise WrongUse(
            f"{path} holds a set called {odd[0]!r}.",
            "A set has a folder of its own: name it by letters, digits, - and _, in quotes, and not prefect.",
        )
    name = connection_set or settings.chosen_set() or next(iter(sets))
    if name not in sets:
        raise WrongUse(
            f"{path} holds no set {name!r}; it holds {', '.join(map(str, sets))}.",
            f"Name one of them: --set NAME, or {settings.SET_VARIABLE}.",
        )
    folder = settings.DataFolder.of(name)
    sources = {
        source: _connection(f"{path.name}: {name}.{source}", source, entry, folder.path)
        for source, entry in _is_a_map(f"{path.name}: {name}", sets[name]).items()
    }
    return Connections(name, folder, sources)


def _connection(where: str, source: str, entry: Any, data: Path) -> Connection:
    _knows_only(where, _is_a_map(where, entry), CONNECTION_KEYS)
    if not isinstance(entry.get("url"), str):
        raise WrongUse(f"{where} has no url.", "Every source needs one, such as sqlite:///shop.sqlite.")
    named = _is_a_map(f"{where}.tables", entry.get("tables") or {})
    tables = {table: {} if mapping is None else mapping for table, mapping in named.items()}
    for table, mapping in tables.items():
        place = f"{where}.tables.{table}"
        _knows_only(place, _is_a_map(place, mapping), TABLE_KEYS | REST_KEYS)
        for column, expression in _is_a_map(f"{place}.columns", mapping.get("columns", {})).items():
            if isinstance(expression, bool) or not isinstance(expression, str | int | float):
                raise WrongUse(
                    f"{place}.columns.{column} is read as {expression!r}, not as SQL.",
                    "Write it in quotes: YAML takes words such as No, On and Yes for truth values.",
                )
        for key in mapping.keys() - {"columns", "overlap"}:
            if not isinstance(mapping[key], str):
                raise WrongUse(f"{place}.{key} is no text.", "Write it in quotes.")
        if "query" in mapping and mapping.keys() & {"from", "where", "columns"} - {"from"}:
            raise WrongUse(f"{place} has both a query and where or columns.", "A query stands in place of them.")
        if "overlap" in mapping:
            try:
                duration(mapping["overlap"])
            except ValueError as error:
                raise WrongUse(
                    f"{place}.overlap: {error}.", "It says how far behind the cursor is read again."
                ) from None
        if mapping.get("load", "upsert") not in LOADS:
            raise WrongUse(f"{place}.load is {mapping['load']!r}.", f"It is one of {', '.join(LOADS)}.")
    return Connection(source, entry["url"], entry.get("bearer", ""), data, tables)


def _is_a_map(where: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WrongUse(f"{where} is no map of names.", "See CONTRIBUTING.md, «Bring a source».")
    return value


def _knows_only(where: str, entry: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(entry.keys() - known)
    if unknown:
        raise WrongUse(f"{where} has unknown keys: {', '.join(unknown)}.", f"Known are {', '.join(sorted(known))}.")
