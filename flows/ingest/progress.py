"""The work of a load so far, and messages for the user."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from flows.core.names import TableName
from flows.lake.counts import Counts


@dataclass(frozen=True)
class Progress:
    """The work of one step of a load; the sum of all steps is the work of the load.

    `nulls` counts them by column of the accepted rows. `ignored` are columns of the source that the
    contract leaves out, and `new` those that the lake did not have. `missing` are columns of the contract that the
    source does not have; `suggestions` are likely mappings for them. `undeleted` says why a full copy deleted nothing.
    """

    counts: Counts = field(default_factory=Counts)
    nulls: Counter[str] = field(default_factory=Counter)
    messages: tuple[str, ...] = ()
    ignored: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    new: frozenset[str] = frozenset()
    suggestions: tuple[str, ...] = ()
    undeleted: tuple[str, ...] = ()

    def __add__(self, other: "Progress") -> "Progress":
        return Progress(
            self.counts + other.counts,
            self.nulls + other.nulls,
            self.messages + other.messages,
            self.ignored | other.ignored,
            self.missing | other.missing,
            self.new | other.new,
            self.suggestions or other.suggestions,
            self.undeleted + other.undeleted,
        )

    def describe(self, name: TableName) -> Iterator[str]:
        """Yield what a user should know of a load of the table."""
        yield from self.messages
        if self.counts.conflicts:
            yield f"{name}: {self.counts.conflicts:,} came again under the same key with another payload"
        if self.counts.deleted:
            yield f"{name}: {self.counts.deleted:,} disappeared from the full copy, and are noted as deleted"
        if self.ignored:
            yield f"{name}: the contract ignores the source's columns {', '.join(sorted(self.ignored))}"
        if self.missing:
            yield f"{name}: the source has no {', '.join(sorted(self.missing))}; taken as null"
            yield from (f"{name}: {text}" for text in self.suggestions)
        if self.new:
            yield f"{name}: the source has new columns, which the lake keeps: {', '.join(sorted(self.new))}"
        yield from (f"{name}: {reason}; nothing was deleted" for reason in self.undeleted)
