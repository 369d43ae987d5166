"""The facts that the pages of the docs site show, as plain values; texts are Markdown or names, never HTML."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from flows.site.model_facts import Card

UNRESOLVED = "unresolved"
"""The origin of a column whose SQL could not be followed."""

GOOD, WARNED, FAILED = "pass", "warn", "fail"
HELD = "held"
"""The status of a test that did not run in the release, since what it reads is held back."""

ColumnRef = tuple[str, str]
"""The id of a table, and the name of a column of it."""


@dataclass(frozen=True)
class Check:
    """A data test of a table or a unit test of its code: its sentence, and its result in the last releases.

    `history` has pairs of release and result, the oldest first. `columns` are those that it names. One that is held
    has its result as of the release `held_since` in `before`.
    """

    name: str
    sentence: str
    kind: str
    severity: str
    status: str = ""
    failures: int | None = None
    warnings: Sequence[str] = ()
    columns: Sequence[str] = ()
    history: Sequence[tuple[str, str]] = ()
    held_since: str = ""
    before: str = ""


@dataclass(frozen=True)
class Bar:
    """A bar of a histogram: its label, and the rows in it."""

    label: str
    rows: int


@dataclass(frozen=True)
class Profile:
    """The values of a column in the release; columns of personal data have counts alone."""

    rows: int
    nulls: int
    distinct: int | None
    minimum: str | None = None
    maximum: str | None = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: Sequence[float | None] = ()
    histogram: Sequence[Bar] = ()


@dataclass(frozen=True)
class Origin:
    """Where a column comes from: the columns that its SQL reads, and those of sources and seeds at the beginning.

    `note` is UNRESOLVED where the SQL could not be followed, and empty otherwise.
    """

    reads: Sequence[ColumnRef] = ()
    sources: Sequence[ColumnRef] = ()
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    `personal` is its class of personal data, empty if it has none; `is_classed` whether the project says so either way.
    """

    name: str
    data_type: str
    text: str = ""
    personal: str = ""
    is_classed: bool = False
    constraints: Sequence[str] = ()
    is_key: bool = False
    profile: Profile | None = None
    origin: Origin | None = None


@dataclass(frozen=True)
class Promise:
    """How old the newest rows of a source table may be; `newest_at` is when these arrived, in UTC."""

    source: str
    newest_at: datetime | None
    warn_after: timedelta | None
    error_after: timedelta | None

    @property
    def late_at(self) -> datetime | None:
        """When the table is late unless newer rows arrive; None without a promise or rows."""
        limits = [limit for limit in (self.warn_after, self.error_after) if limit is not None]
        return self.newest_at + min(limits) if self.newest_at is not None and limits else None

    def is_late(self, now: datetime) -> bool:
        """Tell whether the newest rows are older than promised."""
        return self.late_at is not None and self.late_at < now


@dataclass(frozen=True)
class Label:
    """The label of a label model: whose it is, as of when, how far it looks ahead, and when it is known."""

    name: str
    text: str
    entity: Sequence[str] = ()
    time: str = ""
    horizon: str = ""
    known_at: str = ""
    known_text: str = ""


@dataclass(frozen=True)
class Feature:
    """A feature that is declared on the rows of a table."""

    name: str
    data_type: str
    text: str


@dataclass(frozen=True)
class Table:
    """A table, view, function, seed, snapshot or source table of the project.

    `rows` is None where nothing is counted: for views, functions and tables that the release lacks. `examples` are
    rows of safe texts in the order of `columns`. `chosen_by` are the columns of its filters, joins and groups.
    `settings` are the vars and tables of rules that its rows follow from. `held_since` is the release as which it is,
    if it is held back.
    """

    key: str
    kind: str
    layer: str
    schema: str
    name: str
    question: str = ""
    text: str = ""
    example: str = ""
    owner: str = ""
    department: str = ""
    unique: Sequence[str] = ()
    tags: Sequence[str] = ()
    file: str = ""
    sql: str = ""
    columns: Sequence[Column] = ()
    chosen_by: Origin | None = None
    checks: Sequence[Check] = ()
    reads: Sequence[str] = ()
    used_by: Sequence[str] = ()
    uses: Sequence[str] = ()
    rows: int | None = None
    history: Sequence[tuple[str, int]] = ()
    newest_at: datetime | None = None
    promises: Sequence[Promise] = ()
    examples: Sequence[Sequence[str]] = ()
    label: Label | None = None
    features: Sequence[Feature] = ()
    settings: Sequence[str] = ()
    parameters: Sequence[str] = ()
    held_since: str = ""

    @property
    def full_name(self) -> str:
        """Its schema or source, and its name."""
        return f"{self.schema}.{self.name}"

    @property
    def is_mart(self) -> bool:
        """Whether it answers a question of a department."""
        return self.layer == "marts" and not self.name.startswith("int_")

    @property
    def worst(self) -> str:
        """The worst result of its checks; empty without one."""
        states = {check.status for check in self.checks}
        return next((status for status in (FAILED, "error", WARNED, HELD, GOOD) if status in states), "")

    def is_late(self, now: datetime) -> bool:
        """Tell whether a source of it is older than promised."""
        return any(promise.is_late(now) for promise in self.promises)


@dataclass(frozen=True)
class Loaded:
    """A source table of the set: how it is mapped and loaded, its watermark, and what its last load counted."""

    table: str
    key: str
    origin: str = ""
    mode: str = ""
    cursor: str = ""
    watermark: str = ""
    started_at: datetime | None = None
    seconds: float = 0.0
    outcome: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    rows: int = 0
    quarantined: int = 0
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class BrokenRule:
    """A rule that records in quarantine break."""

    table: str
    reason: str
    records: int
    shapes: Sequence[str] = ()


@dataclass(frozen=True)
class Change:
    """How a table differs from the release before: rows before and after; None where there was or is no table."""

    key: str
    before: int | None
    after: int | None


@dataclass(frozen=True)
class Gates:
    """The results of a release's tests; those that are held back did not run, and count as nothing else."""

    release: str
    built_at: datetime
    passed: int
    warned: int
    failed: int
    rows: int
    tables: int
    held: int = 0


@dataclass(frozen=True)
class Run:
    """A run of the flow as the lake records it."""

    started_at: datetime
    ended_at: datetime | None
    outcome: str
    release: str
    error: str


@dataclass(frozen=True)
class Relation:
    """A relationship test: a column of one table names a row of another."""

    table: str
    column: str
    to: str
    field: str


@dataclass(frozen=True)
class Site:
    """All that the site shows of one release of a set."""

    set_name: str
    release: str
    built_at: datetime
    commit: str
    previous: str
    command: str
    options: str
    tables: Mapping[str, Table]
    loads: Sequence[Loaded] = ()
    absent: Sequence[str] = ()
    quarantine: Sequence[BrokenRule] = ()
    quarantine_of: Mapping[str, int] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    gates: Sequence[Gates] = ()
    runs: Sequence[Run] = ()
    cards: Sequence[Card] = ()
    relations: Sequence[Relation] = ()
    macros: Sequence[Mapping[str, Any]] = ()
    overview: str = ""
    written_at: datetime = datetime(1970, 1, 1)

    @cached_property
    def readers(self) -> Mapping[str, Sequence[str]]:
        """The tables that read each table, by its id."""
        found: dict[str, list[str]] = {}
        for table in self.tables.values():
            for parent in table.reads:
                found.setdefault(parent, []).append(table.key)
        return found

    @cached_property
    def places(self) -> Set[ColumnRef]:
        """All columns that have a place in the page of their table."""
        return {(key, column.name) for key, table in self.tables.items() for column in table.columns}

    @cached_property
    def key_of(self) -> Mapping[str, str]:
        """The ids of source tables by their names, such as crm.customers."""
        return {table.full_name: table.key for table in self.tables.values() if table.layer == "sources"}

    @cached_property
    def late(self) -> Sequence[str]:
        """The source tables whose newest rows are older than promised when the site was written."""
        found = (self.tables[key].promises for key in self.key_of.values())
        return sorted({one.source for promises in found for one in promises if one.is_late(self.written_at)})

    @cached_property
    def held(self) -> Sequence[Table]:
        """The source tables, tables, views and functions that are held back."""
        return [table for table in self.tables.values() if table.held_since]

    @property
    def quarantined(self) -> int:
        """The records in quarantine."""
        return sum(self.quarantine_of.values())
