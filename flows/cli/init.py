"""`python -m flows init`: look at a source, and write an entry of connections.yml for it, without secrets."""

from typing import TYPE_CHECKING, Annotated

import typer

from flows.cli.arguments import DEFAULT_CONNECTIONS, ConnectionsFile, say, say_step, sources_asked

if TYPE_CHECKING:
    from flows.core.names import TableName


def init(
    url: Annotated[
        str, typer.Argument(help="Source: file:FOLDER, a SQLAlchemy URL, an API's endpoint, or python:MODULE:FUNCTION.")
    ],
    connection_set: Annotated[
        str | None, typer.Option("--set", help="Write the entry to this set; default: print it.", metavar="NAME")
    ] = None,
    contract: Annotated[
        str | None, typer.Option("--as", help="Contract that the source's table is for, such as crm.customers.")
    ] = None,
    chosen: Annotated[
        list[str] | None,
        typer.Option(
            "--from", help="Look at this table, topic or file pattern alone; may be repeated.", metavar="NAME"
        ),
    ] = None,
    bearer: Annotated[
        str | None, typer.Option(help="Environment variable that holds an API's token.", metavar="VARIABLE")
    ] = None,
    connections: ConnectionsFile = DEFAULT_CONNECTIONS,
) -> None:
    """Look at a source, and write an entry for it: its columns, and the contract's columns to fill."""
    from flows.config.declared import declared_contracts
    from flows.core.redaction import scrub
    from flows.sources.entries import append_entry, entry_of, keep_secrets_out
    from flows.sources.survey import survey

    given = keep_secrets_out(url, connection_set or "", bearer)
    say_step(f"looking at {given.shown}")
    contracts = declared_contracts()
    wanted = _contract(contract, list(contracts))
    with sources_asked():
        found = survey(given.url, given.auth, chosen or ())
    entry = entry_of(found, given, contracts, wanted)
    if connection_set is None:
        typer.echo(scrub("\n".join(["my_set:", *entry.lines])))
    else:
        append_entry(connections.resolve(), connection_set, entry)
        say(f"  {connections} has {', '.join(f'{connection_set}.{name}' for name in entry.sources)} now")
    for line in (*found.failed, *entry.notes):
        say(f"  {line}")
    for variable in given.variables:
        say(f"  set {variable} first: export {variable}=…")
    named = connection_set or "my_set"
    say(f"  next:   fill the lines with a question mark, then: python -m flows check --set {named}")


def _contract(text: str | None, known: "list[TableName]") -> "TableName | None":
    from flows.config.validation import suggest_key
    from flows.core.errors import UsageError

    if text is None:
        return None
    names = {str(name): name for name in known}
    if text not in names:
        hint = suggest_key(text, list(names))
        raise UsageError(f"There is no contract {text}{hint}.", f"There are {', '.join(names)}.")
    return names[text]
