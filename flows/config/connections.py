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

from flows.config import settings
from flows.config.entries import require_known, require_map
from flows.config.rest_options import ENDPOINT_KEYS, Auth, Endpoint, read_auth, read_endpoint, read_rate
from flows.core.errors import UsageError
from flows.core.names import TableName, duration

CONNECTION_KEYS = {"url", "auth", "rate", "tables"}
TABLE_KEYS = {"from", "where", "columns", "query", "load", "cursor", "lookback", "time_zone"}
NESTED_KEYS = {"columns", "lookback", "body", "paging"}
LOADS = ("append", "upsert", "full")


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
    lookback: timedelta | None = None
    time_zone: str = "UTC"
    endpoint: Endpoint = field(default_factory=Endpoint)

    def definition(self) -> str:
        """Return what decides which rows are read and what they become: if it changes, all is read again."""
        rows = (self.where, sorted(self.columns.items()), self.query, self.load, self.cursor, self.time_zone)
        return repr((*rows, self.origin, self.endpoint))


@dataclass(frozen=True)
class Connection:
    """One source of a set; its URL and credentials stay unresolved templates until they are used.

    `pause_seconds` is the least time from one request to the next.
    """

    source: str
    url_template: str
    data: Path
    auth: Auth = field(default_factory=Auth)
    pause_seconds: float = 0.0
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def url(self) -> str:
        """Return the URL with the environment's values in it; raises UsageError if one is missing."""
        return self._render(self.url_template)

    def credentials(self) -> Mapping[str, str]:
        """Return what `auth` says, with the environment's values in it; raises UsageError for what cannot be sent."""
        values = {name: self._render(template).strip() for name, template in self.auth.values.items()}
        for name, value in values.items():
            if not value or not (value.isprintable() and (value.isascii() or self.auth.kind in ("basic", "oauth2"))):
                raise UsageError(
                    f"connections.yml: the {name} in auth.{self.auth.kind} of {self.source} is empty, or has signs in "
                    "it that no HTTP header can carry.",
                    "Look at the environment variable that it comes from.",
                )
        return values

    def body(self, table: str) -> Any:
        """Return what is posted to a table's endpoint, with the environment's values in it; None if nothing is."""
        return self._render_all(self.mapping(table).endpoint.body)

    def require_environment(self) -> None:
        """Raise UsageError for a variable that is not set, before anything is read."""
        self.url()
        self.credentials()
        for table in self.tables:
            self.body(table)

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
            lookback=duration(entry["lookback"]) if "lookback" in entry else None,
            time_zone=entry.get("time_zone", "UTC"),
            endpoint=read_endpoint(f"{self.source}.{table}", entry),
        )

    def _render_all(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._render_all(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._render_all(one) for one in value]
        return self._render(value) if isinstance(value, str) else value

    def _render(self, template: str) -> str:
        environment = SandboxedEnvironment(undefined=StrictUndefined)
        try:
            return environment.from_string(template).render(data=str(self.data), env_var=settings.env_var)
        except KeyError as error:
            raise UsageError(
                f"connections.yml: {self.source} needs the environment variable {error.args[0]}, which is not set.",
                f"Set it first: export {error.args[0]}=… (or run the command that serves this source, and sets it)",
            ) from None
        except (TemplateError, TypeError) as error:
            raise UsageError(
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

    Raises UsageError for a file, set or key that is not there or not known.
    """
    try:
        sets = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise UsageError(f"There is no connections file {path}.", "Name one: --connections PATH") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        raise UsageError(f"{path} is no YAML{where}: {getattr(error, 'problem', None)}.", "Fix the file.") from None
    if not isinstance(sets, dict) or not sets:
        raise UsageError(f"{path} holds no set of connections.", "Write one as CONTRIBUTING.md shows.")
    odd = [
        one for one in sets if not (isinstance(one, str) and re.fullmatch(r"[A-Za-z0-9_-]+", one)) or one == "prefect"
    ]
    if odd:
        raise UsageError(
            f"{path} holds a set called {odd[0]!r}.",
            "A set has a folder of its own: name it by letters, digits, - and _, in quotes, and not prefect.",
        )
    name = connection_set or settings.chosen_set() or next(iter(sets))
    if name not in sets:
        raise UsageError(
            f"{path} holds no set {name!r}; it holds {', '.join(map(str, sets))}.",
            f"Name one of them: --set NAME, or {settings.SET_VARIABLE}.",
        )
    folder = settings.DataFolder.of(name)
    sources = {
        source: _connection(f"{path.name}: {name}.{source}", source, entry, folder.path)
        for source, entry in require_map(f"{path.name}: {name}", sets[name]).items()
    }
    return Connections(name, folder, sources)


def _connection(where: str, source: str, entry: Any, data: Path) -> Connection:
    require_known(where, require_map(where, entry), CONNECTION_KEYS)
    if not isinstance(entry.get("url"), str):
        raise UsageError(f"{where} has no url.", "Every source needs one, such as sqlite:///shop.sqlite.")
    named = require_map(f"{where}.tables", entry.get("tables") or {})
    tables = {table: {} if mapping is None else mapping for table, mapping in named.items()}
    for table, mapping in tables.items():
        place = f"{where}.tables.{table}"
        require_known(place, require_map(place, mapping), TABLE_KEYS | ENDPOINT_KEYS)
        for column, expression in require_map(f"{place}.columns", mapping.get("columns", {})).items():
            if isinstance(expression, bool) or not isinstance(expression, str | int | float):
                raise UsageError(
                    f"{place}.columns.{column} is read as {expression!r}, not as SQL.",
                    "Write it in quotes: YAML takes words such as No, On and Yes for truth values.",
                )
        for key in mapping.keys() - NESTED_KEYS:
            if not isinstance(mapping[key], str):
                raise UsageError(f"{place}.{key} is no text.", "Write it in quotes.")
        if "query" in mapping and mapping.keys() & {"from", "where", "columns"} - {"from"}:
            raise UsageError(f"{place} has both a query and where or columns.", "A query stands in place of them.")
        if "lookback" in mapping:
            try:
                duration(mapping["lookback"])
            except ValueError as error:
                raise UsageError(
                    f"{place}.lookback: {error}.", "It says how far behind the cursor is read again."
                ) from None
        if mapping.get("load", "upsert") not in LOADS:
            raise UsageError(f"{place}.load is {mapping['load']!r}.", f"It is one of {', '.join(LOADS)}.")
        read_endpoint(place, mapping)
    auth, pause = read_auth(f"{where}.auth", entry.get("auth")), read_rate(f"{where}.rate", entry.get("rate"))
    return Connection(source, entry["url"], data, auth, pause, tables)
