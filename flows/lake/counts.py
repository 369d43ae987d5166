"""The outcome of the records of a batch, load or run."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass

MADE_BY_A_RECORD = "(not _deleted or _row > 0)"
"""SQL for rows that a record of the source made; a tombstone of a key that a full copy lacks has no record."""


@dataclass(frozen=True)
class Counts:
    """Numbers of records: read = accepted + quarantined + known + duplicate.

    `known` are those that the lake or the quarantine held, unchanged, before the load. `duplicate` are those that came
    more than once within the load, or under a stored key with another payload. `conflicts` are keys that came again
    with another payload; they are among the accepted or the duplicate.
    `deleted` are tombstones of keys that a full copy lacks, which were not read.
    """

    read: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicate: int = 0
    conflicts: int = 0
    deleted: int = 0
    known: int = 0

    @classmethod
    def stored(cls, values: Iterable[int]) -> "Counts":
        """Read the counts of a commit; commits of version 0.1.0 count known records among the duplicates."""
        return cls(*values)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[int, ...]:
        """Return the counts in the order of the fields."""
        return astuple(self)

    @property
    def is_reconciled(self) -> bool:
        """Tell whether every record that was read is accounted for."""
        return self.read == self.accepted + self.quarantined + self.known + self.duplicate

    def __str__(self) -> str:
        return (
            f"{self.accepted:,} accepted + {self.quarantined:,} quarantined + {self.known:,} known "
            f"+ {self.duplicate:,} duplicate"
        )
