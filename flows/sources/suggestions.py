"""Suggestions of the name that was probably meant; people must decide."""

import re
from collections.abc import Sequence
from difflib import SequenceMatcher, get_close_matches

from flows.core.relation import Relation
from flows.sources.batches import source_columns

MISSPELT = 0.75
"""The least similarity of a name to the one that was probably meant: byer is like buyer."""

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|\d+")
KINDS = {"id", "at", "on", "is", "has", "no", "code", "date", "day", "time", "name", "number", "key", "type", "value"}
LIKE_DATA = re.compile(
    r"[-+]?[0-9]+(?:[.,][0-9]+)*(?:[eE][-+]?[0-9]+)?"  # a number
    r"|[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}(?:[T ].*)?"  # a date or time
    r"|[^@\s]+@[^@\s]+\.[^@\s]+"  # an e-mail address
)
"""Cells of a header that look like values."""

LIKE_A_NAME = re.compile(r"[^\W\d][\w .-]{0,39}")
"""Names that may be shown in a suggestion; a value of a file without a header may be an e-mail address."""


def count_like_data(names: Sequence[str]) -> int:
    """Count the names of a header that look like values: numbers, dates, times and e-mail addresses."""
    return sum(LIKE_DATA.fullmatch(name) is not None for name in names)


def did_you_mean(name: str, records: Relation) -> str:
    """Suggest the column of records whose name is most like one that they do not have; empty if none is."""
    by_name = {one.casefold(): one for one in source_columns(records)}
    found = get_close_matches(name.casefold(), by_name, n=1, cutoff=MISSPELT)
    return f' Did you mean "{by_name[found[0]]}"?' if found else ""


def suggest_mapping(missing: str, further: Sequence[str]) -> str:
    """Suggest the column of a source that a missing one may be called now; empty if none has a word in common.

    People must decide. Words such as id say the kind of a column, and are common to many.
    """
    wanted = words(missing)
    likely = [name for name in further if LIKE_A_NAME.fullmatch(name) and words(name) & wanted]
    if not likely:
        return ""
    name = max(likely, key=lambda one: SequenceMatcher(None, missing.casefold(), one.casefold()).ratio())
    return f'\nWas "{missing}" renamed? The source has "{name}"; if so, map it: {{{missing}: \'"{name}"\'}}'


def words(name: str) -> set[str]:
    """Return the words of a name in lower case, and all of them as one, without those that say a column's kind."""
    parts = [part.casefold() for part in WORD.findall(name)]
    return ({*parts, "".join(parts)} - KINDS) if parts else set()
