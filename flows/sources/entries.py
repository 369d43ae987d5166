"""Entries of a connections file for a source that was surveyed: their text, and where it is written."""

import os
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus, urlsplit, urlunsplit

import duckdb
import yaml

from flows.config.contract import Contract
from flows.config.sets import SET_NAME, shown
from flows.core.errors import UsageError
from flows.core.names import TableName, identifier
from flows.core.redaction import remember_secret
from flows.sources.proposals import propose_columns, propose_contract
from flows.sources.survey import Survey, Surveyed

SECRET = re.compile(r"pass|pwd|secret|token|key|auth|sig|credential", re.IGNORECASE)
"""Names of parameters whose values never get into the file."""

COMMENT = "        # "
BY_HAND = "Nothing was written. Print the entry without --set, and paste it."


@dataclass(frozen=True)
class GivenUrl:
    """A URL as it was given, and as the file holds it: `templates` replace its secrets by environment variables."""

    url: str
    shown: str
    templates: Mapping[str, str] = field(default_factory=dict)
    auth: Mapping[str, Any] = field(default_factory=dict)
    variables: tuple[str, ...] = ()

    def written(self, url: str) -> str:
        """Return a part of the URL as the file holds it."""
        for secret, template in self.templates.items():
            url = url.replace(secret, template)
        return url


@dataclass(frozen=True)
class Entry:
    """The lines of an entry below its set, the sources that it has, and notes for the user."""

    lines: Sequence[str]
    sources: Sequence[str]
    notes: Sequence[str]


def keep_secrets_out(url: str, connection_set: str, bearer: str | None) -> GivenUrl:
    """Take user, password and secret parameters out of a URL, and name the variables that replace them."""
    prefix = re.sub(r"\W+", "_", connection_set or "source").upper()
    parts = urlsplit(url)
    is_api = parts.scheme in ("http", "https")
    templates: dict[str, str] = {}
    auth: dict[str, Any] = {"bearer": f"{{{{ env_var('{bearer}') }}}}"} if bearer else {}
    variables = [bearer] if bearer else []
    userinfo, at, host = parts.netloc.rpartition("@")
    if at:
        user, _, password = userinfo.partition(":")
        names = {f"{prefix}_USER": user} | ({f"{prefix}_PASSWORD": password} if password else {})
        variables += names
        remember_secret(password or user)
        if is_api:
            raise UsageError(
                "The URL holds a user.", "Leave it out, and name the variable of a token: --bearer VARIABLE."
            )
        written = ":".join(f"{{{{ env_var('{name}') | urlencode }}}}" for name in names)
        templates[f"{userinfo}@"] = f"{written}@"
    for parameter in parts.query.split("&"):
        name, _, value = parameter.partition("=")
        if value and SECRET.search(name):
            variable = f"{prefix}_{re.sub(r'[^A-Za-z0-9]+', '_', name).upper()}"
            variables.append(variable)
            remember_secret(value)
            remember_secret(unquote_plus(value))
            templates[parameter] = f"{name}={{{{ env_var('{variable}') | urlencode }}}}"
    bare = urlunsplit((parts.scheme, host, parts.path, "", "")) if parts.netloc else url.partition("?")[0]
    return GivenUrl(url, bare, templates, auth, tuple(variables))


def entry_of(
    found: Survey, given: GivenUrl, contracts: Mapping[TableName, Contract], wanted: TableName | None
) -> Entry:
    """Return the entry of a survey; each table is for the contract that is wanted, else for the one proposed."""
    by_source: dict[str, list[str]] = {}
    notes, taken = [], set[TableName]()
    for table in found.tables:
        name = wanted if wanted and len(found.tables) == 1 else propose_contract(table.name, table.columns, contracts)
        if wanted is not None and name != wanted:
            continue
        if name is None or name in taken:
            columns = ", ".join(table.columns) or "no records yet"
            notes.append(f"{table.origin} has {columns}; no contract has its name. Name one: --as crm.customers")
            continue
        taken.add(name)
        by_source.setdefault(name.source, []).extend(_table_lines(table, contracts[name], given))
    if not by_source:
        raise UsageError(
            "\n".join(notes) or f"{given.shown} has no table that can be read.",
            f"Name the contract of one file, table or endpoint: --as NAME. There are {', '.join(map(str, contracts))}.",
        )
    auth = [f'    auth: {{bearer: "{given.auth["bearer"]}"}}'] if given.auth else []
    lines = [
        line
        for source, tables in by_source.items()
        for line in (f"  {source}:", f"    url: {_quoted(given.written(found.url))}", *auth, "    tables:", *tables)
    ]
    return Entry(lines, list(by_source), notes)


def _table_lines(table: Surveyed, contract: Contract, given: GivenUrl) -> Iterator[str]:
    """Yield the lines of one table: columns with a proposal, and as comments those that are to be filled."""
    yield f"      {contract.name.table}:"
    yield f"        from: {_quoted(given.written(table.origin))}"
    for key, value in table.options.items():
        text = yaml.safe_dump(value, default_flow_style=True).splitlines()[0]
        yield f"        {key}: {text if isinstance(value, dict) else _quoted(value)}"
    yield from _comment("the source has", list(table.columns))
    proposed = propose_columns(contract, list(table.columns))
    same = [name for name, source in proposed.items() if source.casefold() == name.casefold()]
    yield from _comment("taken by the same name:", [name for name in contract.types if name in same])
    if len(same) < len(contract.columns):
        yield "        columns:"
    for column in contract.columns:
        source = proposed.get(column.name)
        if source is None:
            yield f"          # {column.name}: ?{'  required' if column.is_required else ''}"
        elif column.name not in same:
            yield f"          {column.name}: {_quoted(_as_sql(source))}"


def _comment(text: str, names: Sequence[str]) -> list[str]:
    """Return names as a comment that is no wider than a page."""
    words = f"{text} {', '.join(names)}"
    return textwrap.wrap(words, 100, initial_indent=COMMENT, subsequent_indent=f"{COMMENT}  ") if names else []


def _as_sql(column: str) -> str:
    """Return a column as SQL of a mapping, in quotes if it needs them."""
    with duckdb.connect() as connection:
        sql = "select keyword_category <> 'unreserved' from duckdb_keywords() where keyword_name = lower($1)"
        is_keyword = (True,) in connection.execute(sql, [column]).fetchall()
    return column if re.fullmatch(r"[A-Za-z_]\w*", column) and not is_keyword else identifier(column)


def _quoted(text: str) -> str:
    """Return a text as YAML: as it is where that reads the same, else in quotes."""
    if re.fullmatch(r"[A-Za-z/][\w./*-]*", text) and yaml.safe_load(text) == text:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' if '"' not in text else f"'{text}'"


def append_entry(path: Path, connection_set: str, entry: Entry) -> None:
    """Write an entry to a set of a connections file; nothing that the file has is changed.

    Raises UsageError if the set has one of the sources already, or cannot be added to as text.
    """
    if not re.fullmatch(SET_NAME, connection_set) or connection_set == "prefect":
        raise UsageError(f"{connection_set!r} is no name of a set.", "Name it by letters, digits, - and _.")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    before = _parsed(text, path)
    own = before.get(connection_set) or {}
    if both := [source for source in entry.sources if source in own]:
        named = ", ".join(f"{connection_set}.{source}" for source in both)
        raise UsageError(f"{shown(path)} has {named} already. Nothing was written.", "Name another set: --set NAME.")
    if connection_set in before:
        lines = text.splitlines()
        end = _end_of(connection_set, text)
        after = "\n".join([*lines[:end], *entry.lines, *lines[end:]]) + "\n"
    else:
        after = "\n".join([text.rstrip("\n"), "", f"{connection_set}:", *entry.lines]).lstrip("\n") + "\n"
    added = _parsed("\n".join(["added:", *entry.lines]), path)["added"]
    if _parsed(after, path) != before | {connection_set: own | added}:
        raise UsageError(f"{shown(path)} cannot be added to as text.", BY_HAND)
    new = path.with_name(f".{path.name}.new")
    new.write_text(after, encoding="utf-8")
    os.replace(new, path)


def _end_of(connection_set: str, text: str) -> int:
    """Return the number of lines up to the end of a set, without the blank lines and comments that follow it."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    end = next((int(value.end_mark.line) for key, value in pairs if key.value == connection_set), 0)
    lines = text.splitlines()
    while end > 0 and (end > len(lines) or not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return end


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(text) or {}
    except yaml.YAMLError:
        raise UsageError(f"{shown(path)} would be no YAML.", BY_HAND) from None
    if not isinstance(value, dict):
        raise UsageError(f"{shown(path)} holds no set of connections.", BY_HAND)
    return value
