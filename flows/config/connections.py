"""`connections.yml`: where the data comes from, and how a source's columns become the contract's."""

import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BeforeValidator, Field, StringConstraints, TypeAdapter, model_validator

from flows.config import settings
from flows.config.file_format import FileFormat
from flows.config.rest_options import Auth, Endpoint, Rate
from flows.config.sets import DEFAULT_FILE, SET_NAME, read_set, shown
from flows.config.validation import SECONDS, ConfigModel, DeclaredLookback, LoadMode, Text, parse
from flows.config.variables import KEY as VARS
from flows.config.variables import parse_variables
from flows.core.errors import UsageError, join_usage_errors
from flows.core.names import TableName

PUBLISH = "publish"
"""The key of a set that names a further format of its release, beside its sources."""

PARQUET = "parquet"
RELEASE = "release"
"""The key of a set that says how much of a release one failure holds back."""

Holding = Literal["all_or_nothing", "by_dependency"]
REMEDY = "Fix the file; CONTRIBUTING.md, «Keys of a mapping», lists the keys."


def _read_sql(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"is read as {value!r}, not as SQL; write it in quotes, since YAML reads No as a boolean")
    return str(value)


RepeatedHour = Literal["first", "second", "quarantine"]
Sql = Annotated[str, BeforeValidator(_read_sql, json_schema_input_type=str | int | float)]


ServedBy = Annotated[str, StringConstraints(pattern=r"^([A-Za-z_]\w*(\.\w+)*:[A-Za-z_]\w*)?$")]
LookupName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class TimeZone(ConfigModel):
    """The zone of times without an offset, and which moment one means in the hour that comes twice in autumn."""

    name: str
    repeated: RepeatedHour = Field(default="quarantine", description="Which moment a time in the repeated hour is")


class Ingest(ConfigModel):
    """How often `ingest` commits what has come from a topic."""

    seconds: float = Field(default=5, ge=0.5, description="The time from one commit to the next")
    megabytes: int = Field(default=64, ge=1, le=64, description="The size of messages that one commit holds at most")


class TableOptions(Endpoint):
    """How one contract table is read. Absent columns are read by the contract's own names."""

    origin: str = Field(default="", alias="from", description="Table, path, endpoint, topic, …; default: the name")
    where: str = Field(default="", description="DuckDB SQL; only records that pass are read")
    columns: dict[str, Sql] = Field(default={}, description="Contract column: DuckDB SQL over the source's columns")
    query: str = Field(default="", description="SQL that replaces columns and where")
    lookups: dict[LookupName, Text] = Field(default={}, description="Files that the query joins as lookup.NAME")
    load: LoadMode | None = Field(default=None, description="Replaces that of the contract")
    cursor: str = Field(default="", description="Replaces that of the contract")
    lookback: DeclaredLookback | None = Field(
        default=None, description="How far before the watermark the source is read again"
    )
    time_zone: str | TimeZone = Field(default="UTC", description="Of times without an offset")
    format: FileFormat = Field(default=FileFormat(), description="Files: how they are written")
    message_schema: Text | dict[int, Text] | None = Field(
        default=None, alias="schema", description="Kafka: file of an Avro or Protobuf schema, files by id, or registry"
    )

    @model_validator(mode="after")
    def _require_query_or_columns(self) -> Self:
        if "query" in self.model_fields_set and self.model_fields_set & {"where", "columns"}:
            raise ValueError("has both a query and where or columns; a query replaces them")
        if self.lookups and not self.query:
            raise ValueError("has lookups without a query, which alone can join them")
        return self


class TableMapping(TableOptions):
    """A table's options with its name, and with the environment's values in `origin`; `file` is where they stand."""

    name: TableName
    file: str = DEFAULT_FILE
    connection_set: str = ""

    @property
    def zone(self) -> str:
        """The name of the zone of times without an offset."""
        return self.time_zone.name if isinstance(self.time_zone, TimeZone) else self.time_zone

    @property
    def repeated_hour(self) -> RepeatedHour:
        """Which moment a time in the repeated hour is."""
        return self.time_zone.repeated if isinstance(self.time_zone, TimeZone) else "quarantine"

    @property
    def place(self) -> str:
        """Where a user finds the mapping."""
        parts = (self.connection_set, self.name.source, "tables", self.name.table)
        return f"{self.file} under {'.'.join(filter(None, parts))}"


class ConnectionOptions(ConfigModel):
    """One source: where it is, and how its tables are read."""

    url_template: Text = Field(
        alias="url", description="Such as sqlite:///shop.sqlite, https://…, kafka://…, file:FOLDER, s3://BUCKET/FOLDER"
    )
    auth: Auth = Field(default_factory=Auth.model_construct, description="REST: credentials")
    served_by: ServedBy = Field(default="", description="Function of the project that serves it: package.module:name")
    rate: Rate | None = Field(default=None, description="REST: the highest rate of requests")
    ingest: Ingest = Field(default=Ingest(), description="Kafka: how often the command ingest commits")
    tables: Mapping[str, TableOptions | None] = Field(default={}, description="Contract tables; default: all of them")


class Connection(ConnectionOptions):
    """One source of a set; its URL and credentials stay unresolved templates until they are used."""

    source: str
    data: Path
    file: str = DEFAULT_FILE
    connection_set: str = ""

    @property
    def title(self) -> str:
        """The set and the source, as messages name them."""
        return ".".join(filter(None, (self.connection_set, self.source)))

    @property
    def pause_seconds(self) -> float:
        """The least time from one request to the next."""
        return SECONDS[self.rate.period] / self.rate.count if self.rate else 0.0

    def url(self) -> str:
        """Return the URL with the environment's values; raises UsageError if one is missing."""
        return self._render("url", self.url_template)

    def credentials(self) -> Mapping[str, str]:
        """Return the credentials with the environment's values; raises UsageError for one that cannot be sent."""
        kind = self.auth.kind
        values = {name: self._render(f"auth.{kind}", template).strip() for name, template in self.auth.values.items()}
        for name, value in values.items():
            if not value or not (value.isprintable() and (value.isascii() or kind in ("basic", "oauth2"))):
                raise UsageError(
                    f"{self.file}: the {name} in auth.{kind} of {self.title} is empty, or has signs in "
                    "it that no HTTP header can carry.",
                    "Look at the environment variable that it comes from.",
                )
        return values

    def mapping(self, table: str) -> TableMapping:
        """Return how a contract table is read."""
        options = self._options(table)
        origin = self._render(f"tables.{table}.from", options.origin) or table
        lookups = {name: self._render(f"tables.{table}.lookups", one) for name, one in options.lookups.items()}
        place = {"name": TableName(self.source, table), "file": self.file, "connection_set": self.connection_set}
        return TableMapping.model_construct(**{**dict(options), **place, "origin": origin, "lookups": lookups})

    def message_schema(self, table: str) -> Any:
        """Return the file of a topic's schema, files by schema id, or a registry's URL; None for JSON."""
        return self._render_all(f"tables.{table}.schema", self._options(table).message_schema)

    def body(self, table: str) -> Any:
        """Return the body to post to a table's endpoint, with the environment's values; None for a get."""
        options = self._options(table)
        return self._render_all(f"tables.{table}.body", options.body) if options.method == "post" else None

    def require_environment(self) -> None:
        """Raise UsageError for every variable that is not set, before anything is read."""
        if errors := self.environment_mistakes():
            raise join_usage_errors(errors)

    def environment_mistakes(self) -> list[UsageError]:
        """Return an error for each variable that is not set, and for each template that cannot be read."""
        uses: list[Callable[[], object]] = [self.url, self.credentials]
        uses += [partial(use, table) for table in self.tables for use in (self.mapping, self.body, self.message_schema)]
        errors: dict[str, UsageError] = {}
        for use in uses:
            try:
                use()
            except UsageError as error:
                errors.setdefault(error.what, error)
        return list(errors.values())

    def _options(self, table: str) -> TableOptions:
        return self.tables.get(table) or TableOptions()

    def _render_all(self, place: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._render_all(place, one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._render_all(place, one) for one in value]
        return self._render(place, value) if isinstance(value, str) else value

    def _render(self, place: str, template: str) -> str:
        environment = SandboxedEnvironment(undefined=StrictUndefined)
        try:
            return environment.from_string(template).render(data=str(self.data), env_var=settings.env_var)
        except KeyError as error:
            raise UsageError(
                f"{self.file}: {self.title} needs the environment variable {error.args[0]}, which is not set.",
                f"Set it first: export {error.args[0]}=… (or run the command that serves this source, and sets it)",
            ) from None
        except (TemplateError, TypeError) as error:
            raise UsageError(
                f"{self.file}: {self.title}.{place} is a template that cannot be read: {error}.",
                "Templates know {{ data }} and {{ env_var('NAME') }}.",
            ) from None


@dataclass(frozen=True)
class Connections:
    """A set of connections, by source."""

    name: str
    folder: settings.DataFolder
    sources: Mapping[str, Connection]
    path: Path
    variables: Mapping[str, Any] = field(default_factory=dict)
    formats: tuple[str, ...] = ()
    """The formats in which marts are published beside the release's file."""
    holding: Holding = "all_or_nothing"
    """How much a failed source or gate holds back: the whole release, or the tables that depend on it."""

    @property
    def options(self) -> str:
        """The options by which a next command reads the same set of the same file."""
        path = self.path.resolve()
        is_usual = path == settings.PROJECT / "connections.yml"
        named = "" if is_usual else f" --connections {shlex.quote(settings.shown_path(path))}"
        return f"--set {self.name}{named}"

    def __iter__(self) -> Iterator[Connection]:
        return iter(self.sources.values())


def connections_schema() -> dict[str, Any]:
    """Return the JSON Schema of a connections file, by which editors check it; `make schema` writes it."""
    name = Annotated[str, StringConstraints(pattern=SET_NAME)]
    schema = TypeAdapter(dict[name, dict[str, ConnectionOptions]]).json_schema()
    for one_set in schema["patternProperties"].values():
        one_set["properties"] = {
            VARS: {"type": "object", "description": "Own values for vars of dbt_project.yml"},
            PUBLISH: {"const": PARQUET, "description": "Marts as Parquet beside the release's file"},
            RELEASE: {"enum": [*get_args(Holding)], "description": "What a failed source or gate holds back"},
        }
    return schema


def read_connections(path: Path, connection_set: str | None = None) -> Connections:
    """Read one set of a connections file; without a name, the environment's or the first.

    Raises UsageError for a file or set that does not exist, and for every mistake in the set.
    """
    connections, mistakes = parse_connections(path, connection_set)
    if mistakes:
        raise join_usage_errors(mistakes)
    return connections


def parse_connections(path: Path, connection_set: str | None = None) -> tuple[Connections, list[UsageError]]:
    """Return the sources of a set that can be used, and the mistakes in the others and in its vars.

    Raises UsageError for a file or set that does not exist.
    """
    name, value = read_set(path, connection_set)
    mistakes: list[UsageError] = []
    variables: Mapping[str, Any] = {}
    formats: tuple[str, ...] = ()
    holding: Holding = "all_or_nothing"
    if isinstance(value, dict):
        try:
            variables = parse_variables(value.pop(VARS, None), f"{shown(path)}: {name}.{VARS}")
        except UsageError as error:
            mistakes.append(error)
        try:
            formats = _parse_formats(value.pop(PUBLISH, None), f"{shown(path)}: {name}.{PUBLISH}")
        except UsageError as error:
            mistakes.append(error)
        try:
            holding = _parse_holding(value.pop(RELEASE, holding), f"{shown(path)}: {name}.{RELEASE}")
        except UsageError as error:
            mistakes.append(error)
    folder, sources = settings.DataFolder.of(name), dict[str, Connection]()
    for one in [{key: part} for key, part in value.items()] if isinstance(value, dict) else [value]:
        try:
            parsed = parse(dict[str, ConnectionOptions], one, subject=shown(path), place=(name,), remedy=REMEDY)
        except UsageError as error:
            mistakes.append(error)
            continue
        for source, options in parsed.items():
            place = {"source": source, "data": folder.path, "file": shown(path), "connection_set": name}
            sources[source] = Connection.model_construct(**{**dict(options), **place})
    return Connections(name, folder, sources, path, variables, formats, holding), mistakes


def _parse_formats(value: Any, place: str) -> tuple[str, ...]:
    """Return the formats that a set publishes beside the release's file; raises UsageError for an unknown one."""
    if value is None:
        return ()
    if value != PARQUET:
        raise UsageError(f"{place} is {value!r}; write {PARQUET}, or leave the key out.", REMEDY)
    return (PARQUET,)


def _parse_holding(value: Any, place: str) -> Holding:
    """Return what a failure holds back; raises UsageError for another word."""
    known: tuple[Holding, ...] = get_args(Holding)
    if value not in known:
        raise UsageError(f"{place} is {value!r}; write {' or '.join(known)}.", REMEDY)
    return known[known.index(value)]
