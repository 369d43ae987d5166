"""Completion of commands, options, sets and tables in a shell.

Typer's own scripts complete a program by its name, which `python -m flows` does not have. They would replace the
completion of every use of Python. The script here completes this module alone.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from flows.config import settings
from flows.config.sets import DEFAULT_FILE
from flows.core.errors import UsageError

OF_SOURCES = ("preview", "quarantine", "reload", "replay")
"""Commands on a table of a source; others take published tables."""

OF_CLONES = ("diff", "query")
"""Commands that take a clone where others take a release."""

SCRIPT = """\
[ -n "$ZSH_VERSION" ] && autoload -Uz compinit bashcompinit && compinit && bashcompinit
_ml_warehouse_flows() {
    COMPREPLY=()
    [ "${COMP_WORDS[1]} ${COMP_WORDS[2]}" = "-m flows" ] && [ "$COMP_CWORD" -ge 3 ] || return 0
    local line
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <("${COMP_WORDS[0]}" -m flows complete -- "${COMP_WORDS[@]:3:$((COMP_CWORD - 2))}" 2>/dev/null)
}
complete -o bashdefault -o default -F _ml_warehouse_flows python python3
"""
"""For bash, and for zsh by its bash-like completion. Other uses of Python complete files, as before."""


def complete(
    context: typer.Context,
    words: Annotated[list[str], typer.Argument(help="The words after `flows`, the last one incomplete.")],
) -> None:
    """Print what can follow, one completion a line; the shell's script asks for it."""
    typer.echo("\n".join(completions(context.find_root().command, words[:-1], words[-1])))


def completions(group: Any, words: Sequence[str], incomplete: str) -> list[str]:
    """Return what completes a word of a command line after these words."""
    command = group.commands.get(words[0]) if words else None
    if words and command is None:
        return []
    if hasattr(command, "commands"):
        return completions(command, words[1:], incomplete)
    parameters = group.params if command is None else command.params
    asked = {option: parameter for parameter in parameters for option in parameter.opts}
    option = asked.get(words[-1]) if words else None
    found: Iterable[str]
    if option is not None and not option.is_flag:
        found = _values(option, words)
    elif incomplete.startswith("-"):
        found = [option for option in [*asked, "--help"] if option.startswith("--")]
    elif command is None:
        found = [name for name, one in group.commands.items() if not one.hidden]
    else:
        found = [one for parameter in parameters if _is_argument(parameter) for one in _values(parameter, words)]
    return [one for one in dict.fromkeys(found) if one.startswith(incomplete)]


def sets(words: Sequence[str]) -> Iterable[str]:
    """Return the sets of the connections file, and those that have data."""
    from flows.config.sets import read_sets, sets_with_data

    place = Path(_given("--connections", words) or DEFAULT_FILE).resolve()
    try:
        named = [*read_sets(place)]
    except UsageError:
        named = []
    return dict.fromkeys([*named, *sets_with_data()])


def tables(words: Sequence[str]) -> Iterable[str]:
    """Return the source tables that the set's lake has, for a command on them."""
    if words[0] not in OF_SOURCES:
        return ()
    folder = _folder(words)
    places = [*folder.lake.glob("raw/*/*"), *folder.lake.glob("quarantine/*/*")] if folder else []
    return sorted({f"{place.parent.name}.{place.name}" for place in places})


def releases(words: Sequence[str]) -> Iterable[str]:
    """Return the releases of the set that are kept, the newest first, and its clones for a command that reads them."""
    from flows.warehouse.clones import clone_names
    from flows.warehouse.releases import kept_releases

    folder = _folder(words)
    if folder is None:
        return ()
    return [*reversed(kept_releases(folder)), *(clone_names(folder) if words[0] in OF_CLONES else ())]


COMPLETED: Mapping[str, Callable[[Sequence[str]], Iterable[str]]] = {
    "connection_set": sets,
    "table": tables,
    "release": releases,
    "before": releases,
    "after": releases,
}
"""The functions that complete parameters by their names, after the words before them."""


def install_script(home: Path) -> str:
    """Write the script below the home folder, and let the start files of bash and zsh read it; return what was done."""
    script = home / ".local" / "share" / "ml-warehouse" / "completion.sh"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(SCRIPT, encoding="utf-8")
    line, read_by = f"source '{script}'", []
    for start in (home / ".bashrc", home / ".zshrc"):
        if start.name == ".zshrc" and not start.exists():
            continue
        before = start.read_text(encoding="utf-8") if start.exists() else ""
        if line not in before.splitlines():
            start.write_text(f"{before.rstrip()}\n{line}\n".lstrip(), encoding="utf-8")
        read_by.append(start.name)
    return f"Completion is in {script}, read by {' and '.join(read_by)}. Open a new terminal to use it."


def _values(parameter: Any, words: Sequence[str]) -> Iterable[str]:
    annotation = getattr(getattr(parameter, "type_descriptor", None), "annotation", None)
    choices = [choice for choice in get_args(annotation) if isinstance(choice, str)]
    if choices:
        return choices
    complete_it = COMPLETED.get(parameter.name)
    return complete_it(words) if complete_it is not None else ()


def _folder(words: Sequence[str]) -> settings.DataFolder | None:
    """Return the data folder of the set that the words, the environment or the file name; None if there is no set."""
    named = _given("--set", words) or settings.chosen_set() or next(iter(sets(words)), None)
    return settings.DataFolder.of(named) if named else None


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _given(option: str, words: Sequence[str]) -> str | None:
    return next((value for name, value in pairwise(words) if name == option), None)
