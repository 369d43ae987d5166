"""The work of a load so far, and messages for the user."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from flows.core.names import TableName
from flows.lake.counts import Counts


@dataclass(frozen=True)
class Progress:
    """The work of one step of a load; the sum of all steps is the work of the load.

    `nulls` counts them by column of the accepted rows, and `newest_at` is the newest event of these, in UTC. `ignored`
    are columns of the source that the contract leaves out, and `new` those that the lake did not have. `missing` are
    columns of the contract that the source does not have. `absent` are names in the mapping that no record has, each
    with a hint. `undeleted` says why a full copy deleted nothing, and `is_checked` whether any record was mapped.
    """

    counts: Counts = field(default_factory=Counts)
    nulls: Counter[str] = field(default_factory=Counter)
    newest_at: datetime | None = None
    messages: tuple[str, ...] = ()
    ignored: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    new: frozenset[str] = frozenset()
    absent: frozenset[tuple[str, str]] = frozenset()
    undeleted: tuple[str, ...] = ()
    is_checked: bool = False

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            self.counts + other.counts,
            self.nulls + other.nulls,
            max(filter(None, (self.newest_at, other.newest_at)), default=None),
            self.messages + other.messages,
            self.ignored | other.ignored,
            self.missing | other.missing,
            self.new | other.new,
            self.absent | other.absent,
            self.undeleted + other.undeleted,
            self.is_checked or other.is_checked,
        )

    def standing(self, name: TableName) -> tuple[str, ...]:
        """Return what stays true of a source from load to load, and is new to a user only once."""
        texts = [
            f'{name}: no record has "{column}", which the mapping reads; taken as null.{hint}'
            for column, hint in sorted(self.absent)
        ]
        if self.ignored:
            texts.append(f"{name}: the contract ignores the source's columns {', '.join(sorted(self.ignored))}")
        if self.missing:
            texts.append(f"{name}: the source has no {', '.join(sorted(self.missing))}; taken as null")
        return tuple(texts)

    def describe(self, name: TableName, known: Collection[str]) -> Iterator[str]:
        """Yield what a user should know of a load of the table, without what the load before it told."""
        yield from self.messages
        if self.counts.conflicts:
            yield f"{name}: {self.counts.conflicts:,} came again under the same key with another payload"
        if self.counts.deleted:
            yield f"{name}: {self.counts.deleted:,} disappeared from the full copy, and are noted as deleted"
        yield from (text for text in self.standing(name) if text not in known)
        if self.new:
            yield f"{name}: the source has new columns, which the lake keeps: {', '.join(sorted(self.new))}"
        yield from (f"{name}: {reason}; nothing was deleted" for reason in self.undeleted)
