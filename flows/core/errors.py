"""Errors as types with fields: what failed, where, what became of the data, the next command.

Every error that a user can meet is a `WarehouseError`; its `exit_code` is the command line's.
Messages hold no personal data: they name rows by their keys and leave values out.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar

UNCHANGED = "The published release is unchanged."
HELD_SHOWN = 8
"""How many tables that are held back a message names."""


class WarehouseError(Exception):
    """A failure with a cause that a user can act on."""

    exit_code: ClassVar[int] = 1
    committed: Any = None
    """The part of a failed load that was committed before it failed: a LoadResult."""
    summary: Any = None
    """The loads and remarks of a failed run: a FailedRun; of one that has published in part, its Outcome."""
    roots: Collection[str] = ()
    """The nodes and source tables that a failed build is about, by dbt's unique id."""
    results: Sequence[Any] = ()
    """dbt's results of a failed build, one for each node that ran."""
    shown_in: frozenset[str] = frozenset()
    """The ids of the flow runs in Prefect whose log has the message already."""

    @property
    def fault(self) -> str:
        """The failure and its remedy, without its consequence for the release."""
        return str(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {str(self).partition(chr(10))[0]}"

    def __reduce__(self) -> tuple[type, tuple[Any, ...]]:
        """Let an error cross to another process with all its fields."""
        if not is_dataclass(self):
            return type(self), self.args
        return type(self), tuple(getattr(self, field.name) for field in fields(self))


@dataclass(eq=False, repr=False)
class UsageError(WarehouseError):
    """A command, option or configuration file is wrong; nothing was done."""

    what: str
    remedy: str
    exit_code: ClassVar[int] = 2

    def __str__(self) -> str:
        return f"{self.what}\n{self.remedy}"


class TooFewRows(UsageError):
    """A model cannot be trained, since its training set has too few rows."""


class NotInstalled(UsageError):
    """A model cannot be trained, since a package that it requires is not installed."""


def join_usage_errors(errors: Sequence[UsageError]) -> UsageError:
    """Return one error that tells all of several, each once; errors of one remedy share it."""
    by_remedy: dict[str, dict[str, None]] = {}
    for error in errors:
        by_remedy.setdefault(error.remedy, {})[error.what] = None
    *others, (remedy, mistakes) = by_remedy.items()
    before = [line for other, whats in others for line in (*whats, other)]
    return UsageError("\n".join([*before, *mistakes]), remedy)


@dataclass(frozen=True)
class Finding:
    """One finding of a gate: the model or source, the fault, the number of failures if counted, some rows by key.

    `owner` is the group that looks after it, empty if the finding is of no table. `severity` is error or warn.
    """

    where: str
    what: str
    failures: int | None = None
    rows: tuple[str, ...] = ()
    owner: str = ""
    severity: str = "error"

    def __str__(self) -> str:
        counted = "" if self.failures is None else f" found {self.failures:,} failures"
        return "\n    ".join([f"{self.where}: {self.what}{counted}", *self.rows])


@dataclass(eq=False, repr=False)
class GateFailed(WarehouseError):
    """A gate did not pass, so nothing was published."""

    gate: str
    findings: tuple[Finding, ...]
    remedy: str
    exit_code: ClassVar[int] = 3

    @property
    def fault(self) -> str:
        """The findings and the remedy."""
        return f"{self._found}\n{self.remedy}"

    @property
    def _found(self) -> str:
        return "\n".join([f"The {self.gate} gate failed:", *(f"  {finding}" for finding in self.findings)])

    def __str__(self) -> str:
        return f"{self._found}\nNothing was published. {UNCHANGED}\n{self.remedy}"


@dataclass(eq=False, repr=False)
class SourceFailed(WarehouseError):
    """A source could not be read, after retries; batches committed before stay in the lake.

    `is_unreachable` tells that no session with it could be opened at all.
    """

    table: str
    cause: str
    remedy: str
    is_transient: bool = False
    is_unreachable: bool = False
    exit_code: ClassVar[int] = 4

    @property
    def fault(self) -> str:
        """The table, the cause and the remedy."""
        return f"{self.table}: {self.cause}\n{self.remedy}"

    def __str__(self) -> str:
        return (
            f"{self.table}: {self.cause}\n"
            f"Batches that were committed before stay in the lake; the next run continues after them. {UNCHANGED}\n"
            f"{self.remedy}"
        )


@dataclass(eq=False, repr=False)
class SchemaMismatch(WarehouseError):
    """A source's columns do not fit its contract, so the batch was not loaded.

    `found` are the source's columns; it is empty for files, since the names in a file without a header are values.
    """

    table: str
    expected: str
    found: tuple[str, ...]
    remedy: str
    exit_code: ClassVar[int] = 4

    @property
    def fault(self) -> str:
        """The table, what was expected and found, and the remedy."""
        return f"{self._found}\n{self.remedy}"

    @property
    def _found(self) -> str:
        found = f"; the source has {', '.join(self.found)}" if self.found else ""
        return f"{self.table}: {self.expected}{found}."

    def __str__(self) -> str:
        return (
            f"{self._found}\nThe batch was not loaded; batches before it stay in the lake. {UNCHANGED}\n{self.remedy}"
        )


@dataclass(eq=False, repr=False)
class HeldBack(WarehouseError):
    """A source or a gate failed, and the set publishes what does not depend on it: the other tables are held back.

    `causes` are the failures. `tables` are the names of the tables that stay as they were. `release` is the new one;
    None if nothing else was new. `roots` are the names of the sources and tables that the failures are about.
    """

    causes: tuple[WarehouseError, ...]
    tables: tuple[str, ...]
    release: str | None
    roots: tuple[str, ...] = ()
    exit_code: ClassVar[int] = 7

    def __str__(self) -> str:
        few, more = self.tables[:HELD_SHOWN], len(self.tables) - HELD_SHOWN
        listed = ", ".join(few) + (f" and {more} more" if more > 0 else "")
        published = f"Release {self.release} is published" if self.release else "Nothing else was new"
        return "\n".join(
            [
                f"{published}; {len(self.tables)} tables are held back, as the release before had them: {listed}",
                *(cause.fault for cause in self.causes),
            ]
        )


@dataclass(eq=False, repr=False)
class StorageFailed(WarehouseError):
    """A file or folder of the warehouse's own cannot be read or written; what was committed before stays."""

    what: str
    cause: str
    remedy: str
    exit_code: ClassVar[int] = 6

    def __str__(self) -> str:
        return f"{self.what}: {self.cause}\nNothing was deleted; what was committed stays. {UNCHANGED}\n{self.remedy}"


@dataclass(eq=False, repr=False)
class Unforeseen(WarehouseError):
    """An exception that no code foresaw: its kind and its place, without its message, which may quote values."""

    what: str
    cause: str

    def __str__(self) -> str:
        return (
            f"{self.what}: {self.cause}\nWhat was committed stays. {UNCHANGED}\n"
            "Run again; if it stays, it is a defect of the project: report the kind and the place."
        )


@dataclass(eq=False, repr=False)
class RunLocked(WarehouseError):
    """Another run holds the data folder."""

    folder: str
    owner: str
    exit_code: ClassVar[int] = 5

    def __str__(self) -> str:
        return (
            f"Another run is at work on {self.folder}: {self.owner}.\n"
            "Nothing was done. Wait for it to end, or stop it; its lock goes with it."
        )
