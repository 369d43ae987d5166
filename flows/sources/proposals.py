"""Proposals of a mapping: which contract a table of a source may meet, and which of its columns. People must decide.

Names alone count: they are equal, or have a word in common. Values and descriptions could give better scores; they
would replace `propose_columns`.
"""

from collections.abc import Collection, Mapping
from difflib import SequenceMatcher

from flows.config.contract import Contract
from flows.core.names import TableName, folded
from flows.sources.suggestions import words

FEWEST_EQUAL = 2
"""Columns of equal names by which a table meets a contract of another name."""


def propose_columns(contract: Contract, columns: Collection[str]) -> dict[str, str]:
    """Return columns of a source by the contract's columns that they may be; each column is proposed once.

    Equal names come first, then those with a word in common, the most similar pair before the others.
    """
    equal = {_letters(name): name for name in columns}
    found = {name: equal[_letters(name)] for name in contract.types if _letters(name) in equal}
    pairs = [
        (SequenceMatcher(None, _letters(name), _letters(column)).ratio(), name, column)
        for name in contract.types
        for column in columns
        if _stems(name) & _stems(column)
    ]
    for _, name, column in sorted(pairs, key=lambda pair: -pair[0]):
        if name not in found and column not in found.values():
            found[name] = column
    return found


def propose_contract(table: str, columns: Collection[str], contracts: Mapping[TableName, Contract]) -> TableName | None:
    """Return the contract that a table may meet by its name or columns; None if they have nothing in common."""
    scores = {
        name: (
            _letters(table) == _letters(name.table),
            bool(_stems(table) & _stems(name.table)),
            _equal(contract, columns),
        )
        for name, contract in contracts.items()
        if contract.derivation is None
    }
    best = max(scores, key=lambda name: scores[name], default=None)
    if best is None:
        return None
    is_equal, has_word, count = scores[best]
    return best if is_equal or has_word or count >= FEWEST_EQUAL else None


def _equal(contract: Contract, columns: Collection[str]) -> int:
    return len({_letters(name) for name in contract.types} & {_letters(name) for name in columns})


def _letters(name: str) -> str:
    """Return a name without case and separators: CustomerID is customer_id."""
    return "".join(filter(str.isalnum, folded(name)))


def _stems(name: str) -> set[str]:
    return {word.removesuffix("s") for word in words(name)}
