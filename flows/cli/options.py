"""The options of a command line that its next commands need as well."""

import re
import shlex
from collections.abc import Sequence

KEPT = ("--set", "--connections")
COMMANDS = (
    "backfill|check|clone|describe|diff|elt|features|ingest|preview|prune|query|quarantine|replay|rebuild|releases|"
    "reload|rollback|score|status|tables|train|training-set|verify"
)
NEXT_COMMAND = re.compile(rf"(-m flows (?:{COMMANDS})\b)(?![^\n]* --set )")


def given_options(arguments: Sequence[str]) -> str:
    """Return the options of a command line that name a set and its file, as they are typed again."""
    options: dict[str, str] = {}
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, is_joined, value = argument.partition("=")
        if name in KEPT:
            options[name] = value if is_joined else following
    return " ".join(f"{name} {shlex.quote(value)}" for name, value in options.items())


def keep_options(text: str, options: str) -> str:
    """Return a text in which every next command has the options of this one."""
    return NEXT_COMMAND.sub(lambda found: f"{found[1]} {options}", text) if options else text
