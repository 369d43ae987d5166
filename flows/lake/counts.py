"""The outcome of the records of a batch, load or run."""

from dataclasses import astuple, dataclass


@dataclass(frozen=True)
class Counts:
    """Numbers of records: read = accepted + quarantined + duplicate.

    `conflicts` are keys that came again with another payload; they are among the accepted or the duplicate.
    `deleted` are tombstones, which were not read.
    """

    read: int = 0
    accepted: int = 0
    quarantined: int = 0
    duplicate: int = 0
    conflicts: int = 0
    deleted: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(self.values(), other.values(), strict=True)))

    def values(self) -> tuple[int, ...]:
        """Return the counts in the order of the fields."""
        return astuple(self)

    @property
    def is_reconciled(self) -> bool:
        """Tell whether every record that was read is accounted for."""
        return self.read == self.accepted + self.quarantined + self.duplicate
