"""A survey of a source of which only the URL is known: its tables, files or records, and their columns."""

import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import duckdb

from flows.config.connections import Connection, TableOptions
from flows.config.rest_options import Auth
from flows.config.validation import parse
from flows.core.errors import SourceFailed, UsageError, WarehouseError
from flows.core.object_store import S3Failed, S3Path
from flows.core.redaction import scrub
from flows.sources import connect
from flows.sources.batches import Request, source_columns

MOST_TABLES = 60
ONE_TABLE = "The source is one table already.", "Leave out --from: it chooses from a database or a folder."
SOURCE = "source"
DEEPEST_LIST = 3
NUMBERED = re.compile(r"[-_. ]*\d[\d\-_. T:]*$")
"""The end of a name that counts files or names their day."""


@dataclass(frozen=True)
class Surveyed:
    """A table, file or endpoint: its name, its `from`, its columns with DuckDB types, and further keys to map it."""

    name: str
    origin: str
    columns: Mapping[str, str]
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Survey:
    """The tables of a source; `url` is its base, without what belongs to the tables. `failed` says what is no table."""

    url: str
    tables: Sequence[Surveyed]
    failed: Sequence[str] = ()


def survey(url: str, auth: Mapping[str, Any], chosen: Sequence[str] = ()) -> Survey:
    """Look at the source of a URL, and at each of its tables once, or at the chosen tables, topics or files.

    Raises UsageError or SourceFailed.
    """
    scheme = url.partition(":")[0].lower()
    if chosen and scheme in ("http", "https", "python"):
        raise UsageError(*ONE_TABLE)
    if scheme in ("http", "https"):
        return _survey_api(url, auth)
    if scheme in ("file", "s3") or (url and "://" not in url and Path(url).expanduser().exists()):
        try:
            return _survey_files(url, chosen)
        except S3Failed as error:
            raise SourceFailed(url, error.cause, error.remedy, is_unreachable=True) from None
    if scheme == "python":
        module, _, function = url.partition(":")[2].partition(":")
        if not function:  # a module's functions may do anything, so none is called unless it is named
            raise UsageError(f"{url} names no function.", f"Name the one to look at: {url.rstrip(':')}:FUNCTION.")
        return _survey_tables(f"python:{module}", {_plain(function): function})
    names = list(chosen) or _table_names(_connection(url, {}))
    _require_few(names, "The source", "tables")
    return _survey_tables(url, {re.sub(r"\W+", "_", name) if chosen else name: name for name in names})


def _require_few(names: Sequence[str], where: str, what: str) -> None:
    if len(names) > MOST_TABLES:
        listed = f"{', '.join(names[:3])} …"
        remedy = f"Choose those that you need, at most {MOST_TABLES}: --from {names[0]!r}, once for each."
        raise UsageError(f"{where} has {len(names):,} {what}: {listed}", remedy)


def _survey_files(url: str, chosen: Sequence[str]) -> Survey:
    """Survey a file, or a folder: the chosen kinds of files, or all of them."""
    from flows.sources.files.matching import root_of

    root, path = root_of(url), url.removeprefix("file:").removeprefix("//").rstrip("/")
    scheme = "" if isinstance(root, S3Path) else "file:"
    if root.is_file():
        if chosen:
            raise UsageError(*ONE_TABLE)
        parent, _, name = path.rpartition("/")
        return _survey_tables(f"{scheme}{parent or '.'}", {_plain(name): name})
    if not root.is_dir():
        raise UsageError(f"There is no file or folder {path}.", "Name one, such as file:data/inbox/tea.")
    origins = list(chosen) or _kinds_of_files(root)
    _require_few(origins, "The folder", "kinds of files")
    return _survey_tables(f"{scheme}{path or '/'}", {_plain(origin): origin for origin in origins})


def _kinds_of_files(root: Path) -> list[str]:
    """Return the files of a folder and its subfolders; those whose names differ by numbers alone are one pattern."""
    from flows.sources.files.table import DOCUMENT_READERS, reader_of

    groups: dict[str, list[str]] = defaultdict(list)
    for file in sorted(root.rglob("*")):
        name = file.relative_to(root).as_posix()
        if file.is_file() and not any(part.startswith(".") for part in Path(name).parts) and reader_of(name):
            suffix = "".join(Path(name).suffixes[-2:] if name.endswith(".gz") else Path(name).suffixes[-1:])
            parent = Path(name).parent.as_posix().removeprefix(".")
            is_document = reader_of(name) in DOCUMENT_READERS  # one record a file, whatever its name
            stem = f"{parent}/" * bool(parent) if is_document else NUMBERED.sub("", name.removesuffix(suffix))
            groups[f"{stem}*{suffix}"].append(name)
    return [names[0] if len(names) == 1 else pattern for pattern, names in groups.items()]


def _survey_tables(url: str, origins: Mapping[str, str]) -> Survey:
    options = {name: TableOptions.model_validate({"from": origin}) for name, origin in origins.items()}
    connection = _connection(url, options)
    tables, failed = [], []
    for name, origin in origins.items():
        try:
            tables.append(Surveyed(name, origin, _columns(connection, name)))
        except WarehouseError as error:
            failed.append(scrub(error.cause if isinstance(error, SourceFailed) else str(error).partition("\n")[0]))
    return Survey(url, tables, failed)


def _columns(connection: Connection, name: str) -> Mapping[str, str]:
    connector = connect(connection, connection.mapping(name))
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as duck:
        request = Request(None, None, (), timedelta(0), lambda _file: None, Path(folder), look=1)
        batch = next(connector.batches(duck, request))
        return {} if batch.records is None else source_columns(batch.records)


def _table_names(connection: Connection) -> list[str]:
    connector = connect(connection, connection.mapping(SOURCE))
    try:
        names: list[str] = connector.table_names()  # type: ignore[attr-defined]  # the connectors of databases have it
    except SourceFailed as error:  # it names a table, and none was looked at yet
        remedy = "Look at the URL, and whether its server is up and lets you in. Then run again."
        raise SourceFailed("the source", error.cause, remedy, is_unreachable=True) from None
    return names


def _survey_api(url: str, auth: Mapping[str, Any]) -> Survey:
    """Look at the first page of an endpoint: where its records are, and where the next page is."""
    import httpx

    from flows.sources.rest.client import ApiRequest, RestClient
    from flows.sources.rest.page_reader import PageReader

    parts = urlsplit(url)
    before, _, last = parts.path.rstrip("/").rpartition("/")
    origin = f"/{last}" + (f"?{parts.query}" if parts.query else "")
    base = urlunsplit((parts.scheme, parts.netloc, before, "", ""))
    name = _plain(last) or "records"
    options = TableOptions.model_validate({"from": origin})
    connection = _connection(base, {name: options}, auth)
    mapping = connection.mapping(name)
    with RestClient(connection, mapping.name, is_look=True) as client, duckdb.connect() as duck:
        response = client.fetch(ApiRequest(client.url(origin)))
        try:
            records = _list_path(json.loads(response.content))
        except ValueError:
            records = None
        if records is None:
            raise client.failed(f"{httpx.URL(url).path} answers with no list of records", "Name another endpoint.")
        mapped: dict[str, Any] = {"records": records} if records else {}
        page = PageReader(duck, mapping.model_copy(update=mapped), ()).page(response)
        if page.elsewhere is not None and page.elsewhere.is_link:
            mapped["paging"] = {page.elsewhere.kind: page.elsewhere.at}
    table = TableOptions.model_validate({"from": origin, **mapped})
    columns = _columns(_connection(base, {name: table}, auth), name)
    return Survey(base, [Surveyed(name, origin, columns, mapped)])


def _list_path(body: Any) -> str | None:
    """Return the dotted path of the longest list of objects in a response; empty if the response is one itself."""
    found = max(_lists(body), key=lambda one: one[1], default=None)
    return None if found is None else found[0]


def _lists(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, int]]:
    if isinstance(node, list) and node and all(isinstance(one, dict) for one in node):
        yield ".".join(path), len(node)
    elif isinstance(node, dict) and len(path) < DEEPEST_LIST:
        for key, value in node.items():
            yield from _lists(value, (*path, key))


def _connection(url: str, tables: Mapping[str, TableOptions], auth: Mapping[str, Any] | None = None) -> Connection:
    parsed = parse(Auth, auth, subject="auth", remedy="Fix it.") if auth else Auth.model_construct()
    return Connection.model_construct(
        source=SOURCE, data=Path(), file="the given URL", url_template=url, tables=tables, auth=parsed
    )


def _plain(origin: str) -> str:
    """Return the name of a table for a file, folder or endpoint."""
    path = Path(origin.partition("?")[0])
    stem = path.name.partition(".")[0].replace("*", "")
    stem = NUMBERED.sub("", stem) or path.parent.name
    return re.sub(r"\W+", "_", stem).strip("_").lower()
