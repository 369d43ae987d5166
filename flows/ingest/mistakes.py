"""All mistakes of a set of connections at once: in its file, its environment, its mappings, and at its sources."""

import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import Any

import duckdb

from flows.config.connections import Connection
from flows.config.contract import Contract
from flows.core.errors import GateFailed, SchemaMismatch, SourceFailed, UsageError, WarehouseError
from flows.core.names import TableName, folded
from flows.core.redaction import scrub
from flows.ingest.look import Look, LookFailed, look_at, working_database
from flows.lake.check import Checked
from flows.lake.quarantine import commonest_reasons, require_contract
from flows.sources.batches import source_columns
from flows.sources.mapping import MappedBatch, read_columns
from flows.sources.suggestions import did_you_mean

LOOKS_AT_ONCE = 16
ANSWER_SECONDS, LONGEST_SECONDS = 12.0, 60.0
"""How long all sources together have to answer, and how long if the rate of requests to one is limited.

One that does not open a session is given up sooner.
"""

OF_THE_SQL = re.compile(r"(Parser|Catalog) Error")
"""Errors of an expression that more records would not cure."""


ALL_NULL = "not found in any record"
"""The words of an error for a column that no record has, on which a value depends that must not be null."""


@dataclass(frozen=True)
class Mistake:
    """One mistake, where it is, and its remedy.

    `exit_code` is 2 for a wrong file or environment, and 4 for a source that cannot be read as it is mapped. A mistake
    that is not certain was seen in the first records alone, and others may be different.
    """

    what: str
    remedy: str
    exit_code: int
    is_certain: bool = True

    @classmethod
    def of(cls, error: WarehouseError, *, is_certain: bool = True) -> "Mistake":
        """Return what an error says of the set, without what it says of a load."""
        match error:
            case UsageError(what, remedy):
                text = what
            case SourceFailed(table, cause, remedy):
                text = f"{table}: {cause}."
            case SchemaMismatch(table, expected, found, remedy):
                text = f"{table}: {expected}" + (f"; the source has {', '.join(found)}." if found else ".")
            case _:
                text, remedy = str(error), ""
        return cls(scrub(text), scrub(remedy), error.exit_code, is_certain)


@dataclass(frozen=True)
class Found:
    """The mistakes of a table, and notes on what is no mistake."""

    table: TableName
    mistakes: tuple[Mistake, ...] = ()
    notes: tuple[str, ...] = ()

    def at(self, origin: str) -> "Found":
        """Return the same with the table, file or endpoint that was looked at, where a mistake does not name it."""
        named = f"{self.table} ({origin}): "
        mistakes = (
            one if origin in one.what else replace(one, what=one.what.replace(f"{self.table}: ", named, 1))
            for one in self.mistakes
        )
        return replace(self, mistakes=tuple(mistakes))


def look_for_mistakes(
    wanted: Sequence[tuple[TableName, Connection]], contracts: Mapping[TableName, Contract]
) -> list[Found]:
    """Look at tables, all sources at the same time, and return what was found of each, in their order.

    If no session with a source can be opened, its other tables are not asked for.
    """
    with working_database() as database:
        return _look_for_mistakes(wanted, contracts, database)


def _look_for_mistakes(
    wanted: Sequence[tuple[TableName, Connection]],
    contracts: Mapping[TableName, Contract],
    database: duckdb.DuckDBPyConnection,
) -> list[Found]:
    doors = {connection.source: _Door() for _, connection in wanted}
    firsts = {connection.source: name for name, connection in reversed(wanted)}
    ordered = sorted(wanted, key=lambda one: firsts[one[1].source] != one[0])
    pool = ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="look")
    futures: dict[TableName, Future[Found | None]] = {}
    for name, connection in ordered:
        door = doors[connection.source]
        is_first = firsts[connection.source] == name
        futures[name] = pool.submit(door.pass_through, connection, contracts[name], database, is_first)
    tables = Counter(connection.source for _, connection in wanted)
    paced = (connection.pause_seconds * tables[connection.source] for _, connection in wanted)
    wait(futures.values(), timeout=min(ANSWER_SECONDS + max(paced, default=0.0), LONGEST_SECONDS))
    pool.shutdown(wait=False, cancel_futures=True)
    silent: set[str] = set()
    found = []
    for name, connection in wanted:
        future = futures[name]
        if future.done() and not future.cancelled():
            found += [one] if (one := future.result()) is not None else []
        elif connection.source not in silent:
            silent.add(connection.source)
            found.append(_silent(name, connection))
    return found


class _Door:
    """The way to a source: the first table opens it, and the others wait for that."""

    def __init__(self) -> None:
        self._is_tried, self._is_shut = threading.Event(), False

    def pass_through(
        self, connection: Connection, contract: Contract, database: duckdb.DuckDBPyConnection, is_first: bool
    ) -> Found | None:
        """Return what is found of a table; None if the source cannot be reached, which the first table says."""
        if not is_first:
            self._is_tried.wait()
            if self._is_shut:
                return None
        try:
            found, is_unreachable = inspect_table(connection, contract, database)
            self._is_shut |= is_unreachable
            return found
        finally:
            self._is_tried.set()


def inspect_table(
    connection: Connection, contract: Contract, database: duckdb.DuckDBPyConnection | None = None
) -> tuple[Found, bool]:
    """Return what is found of one table, and whether its source cannot be reached."""
    name = contract.name
    try:
        origin = connection.mapping(name.table).origin
    except UsageError as error:
        return Found(name, (Mistake.of(error),)), False
    refused: WarehouseError | None = None
    for expects_columns in (True, False):
        try:
            with look_at(connection, contract, expects_columns=expects_columns, database=database) as look:
                found = _of_look(look)
                if refused is not None and not found.mistakes:  # a file lacks a column that others have
                    found = replace(found, mistakes=(Mistake.of(refused),))
                return found.at(origin), False
        except SchemaMismatch as error:
            if refused is None:
                refused = error
                continue
            return Found(name, (Mistake.of(error),)).at(origin), False
        except WarehouseError as error:
            is_passing = isinstance(error, SourceFailed) and error.is_transient and not error.is_unreachable
            is_passing |= isinstance(error, LookFailed)
            is_unreachable = isinstance(error, SourceFailed) and error.is_unreachable
            return Found(name, (Mistake.of(error, is_certain=not is_passing),)).at(origin), is_unreachable
    raise AssertionError("the second look returns")


def _silent(name: TableName, connection: Connection) -> Found:
    what = f"{name}: {connection.title} did not answer in time."
    remedy = f"Look at the source, or fix its url in {connection.file}."
    return Found(name, (Mistake(what, remedy, SourceFailed.exit_code, is_certain=False),))


def _of_look(look: Look) -> Found:
    """Map and check the records of a look; a mapping with a mistake is tried part by part, to find all of them."""
    notes = list(look.batch.notes)
    if look.is_empty:
        return Found(look.contract.name, (), (f"{look.contract.name}: the source has no records", *notes))
    try:
        mapped = look.map()
        checked = look.check(mapped)
    except (SchemaMismatch, SourceFailed) as error:
        return Found(look.contract.name, tuple(_mistakes_by_part(look, error)), tuple(notes))
    misspelt, absent = _absent_columns(look, mapped)
    mistakes, further = _count_rejected(look, checked)
    return Found(look.contract.name, (*misspelt, *mistakes), (*notes, *absent, *further))


def _mistakes_by_part(look: Look, whole: SchemaMismatch | SourceFailed) -> Iterator[Mistake]:
    """Yield the mistakes of a mapping: unknown columns, columns that are missing, and each expression's own."""
    mapping, required = look.mapping, look.contract.required
    if isinstance(whole, SourceFailed):
        yield _mistake(look, whole)
        return
    unknown = {name: sql for name, sql in mapping.columns.items() if name not in required}
    known = {name: sql for name, sql in mapping.columns.items() if name in required}
    alone = dict.fromkeys(required, False)
    parts: list[_Part] = []
    if unknown:
        parts.append(_Part({"where": ""}, required, is_bound=False, is_certain=True))
    unmapped = {name: is_required and name not in known for name, is_required in required.items()}
    parts.append(_Part({"columns": known}, unmapped, is_bound=False))
    parts += [_Part({"columns": {}}, alone)] if mapping.where else []
    parts += [
        _Part({"columns": {name: sql}, "where": ""}, {**alone, name: required[name]}) for name, sql in known.items()
    ]
    errors: dict[str, Mistake] = {}
    for part in parts:
        error, mapped = _try(look, part)
        if error is not None:
            errors.setdefault(str(error), _mistake(look, error, part))
        elif mapped is not None and part.is_bound:
            errors |= {mistake.what: mistake for mistake in _absent_columns(look, mapped)[0]}
    yield from errors.values() or [_mistake(look, whole)]


@dataclass(frozen=True)
class _Part:
    """A part of a mapping, and the contract's columns, by whether they are required of it.

    With `is_bound`, its expressions are run; else only the names that they read count.
    """

    mapping: Mapping[str, Any]
    columns: Mapping[str, bool]
    is_bound: bool = True
    is_certain: bool = False

    def reads(self, look: Look) -> bool:
        """Tell whether its expressions read a column that the source has, so that other records may have a value."""
        mapping = look.mapping.model_copy(update=dict(self.mapping))
        where = {"where": mapping.where} if mapping.where else {}
        mapping = mapping.model_copy(update={"columns": {**mapping.columns, **where}})
        named = set[str]().union(*read_columns(look.records.connection, mapping).values())
        return not named.isdisjoint(map(folded, source_columns(look.records)))


def _try(look: Look, part: _Part) -> tuple[SchemaMismatch | SourceFailed | None, MappedBatch | None]:
    """Return the error of a part of the mapping, or the records that it maps."""
    columns = tuple(
        column.model_copy(update={"is_required": part.columns[column.name], "checks": ()})
        for column in look.contract.columns
    )
    try:
        mapped = look.map(look.mapping.model_copy(update=part.mapping), part.columns)
        if part.is_bound:
            look.check(mapped, look.contract.model_copy(update={"columns": columns}))
    except (SchemaMismatch, SourceFailed) as error:
        return error, None
    return None, mapped


def _mistake(look: Look, error: WarehouseError, part: _Part | None = None) -> Mistake:
    """Return the mistake of an error; it is certain if no other record can cure it."""
    text, is_whole = str(error), look.batch.is_whole
    is_certain = look.batch.has_all_columns or OF_THE_SQL.search(text) is not None
    if ALL_NULL in text and not is_whole:
        is_certain = is_certain and part is not None and not part.reads(look)
    is_certain = is_certain or (part is not None and part.is_certain)
    if isinstance(error, SchemaMismatch) and not error.found and look.shows_names:
        error.found = tuple(source_columns(look.records))
    mistake = Mistake.of(error, is_certain=is_certain)
    return mistake if is_certain else replace(mistake, what=f"{mistake.what} The first records alone were looked at.")


def _absent_columns(look: Look, mapped: MappedBatch) -> tuple[list[Mistake], list[str]]:
    """Return mistakes and notes about columns that the mapping reads and no record has.

    A load takes them as null, since they may come later. A name that is like one of the source's is a mistake.
    """
    mistakes, notes = [], []
    seen = "the source has no" if look.batch.has_all_columns else "none of the first records has"
    for name in mapped.absent:
        text = f'{look.contract.name}: {seen} "{name}", which the mapping reads; it would be null'
        if hint := did_you_mean(name, look.records):
            shown = f"; the source has {', '.join(source_columns(look.records))}" if look.shows_names else ""
            remedy = f"Fix {look.mapping.place}.{hint}"
            mistakes.append(Mistake(f"{text}{shown}.", remedy, SchemaMismatch.exit_code, is_certain=False))
        else:
            notes.append(text)
    return mistakes, notes


def _count_rejected(look: Look, checked: Checked) -> tuple[list[Mistake], list[str]]:
    """Return a mistake if so many of the records are rejected that a load would fail, or all of them; else a note."""
    name, malformed = look.contract.name, len(look.batch.rejected)
    rejected = checked.records.count("_reasons is not null") + malformed
    passed = checked.records.count("_reasons is null")
    if not rejected:
        return [], []
    broken = f"{name}: {rejected:,} of the first {rejected + passed:,} records would be quarantined"
    remedy = f"Look at them: python -m flows preview {name}"
    is_too_much, is_certain = not passed, False
    try:
        require_contract(checked, look.contract, passed, rejected)
    except GateFailed:
        is_too_much, is_certain = True, look.batch.is_whole
    if not is_too_much:
        return [], [f"{broken}. {remedy}"]
    reasons = "; ".join(f"{reason} ({count:,})" for reason, count in commonest_reasons(checked))
    text = f"{broken}: {reasons}." if reasons else f"{broken}: they are malformed."
    return [Mistake(text, remedy, SourceFailed.exit_code, is_certain)], []
