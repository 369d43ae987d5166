"""Sources that the project serves itself while a command reads them, such as the API of made-up data."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from flows.config import settings
from flows.config.connections import Connection
from flows.core.errors import UsageError
from flows.core.redaction import remember_secret
from flows.sources.project_code import NotUsable, project_function

Serve = Callable[[Path], AbstractContextManager[Mapping[str, str]]]
"""Serves a source from a set's data folder while its context lasts, and yields the environment variables of its URL."""


@contextmanager
def served(connections: Iterable[Connection]) -> Iterator[None]:
    """Serve the sources that say by which function, as long as the context lasts.

    A source whose variables are all set is served already, and is left alone.
    Raises UsageError for a function that is not the project's, and what the functions raise.
    """
    with ExitStack() as stack:
        for connection in connections:
            if connection.served_by and connection.environment_mistakes():
                variables = stack.enter_context(_function(connection)(connection.data))
                for value in variables.values():
                    remember_secret(value)
                stack.enter_context(settings.exported(**variables))
        yield


def _function(connection: Connection) -> Serve:
    module, _, name = connection.served_by.partition(":")
    try:
        serve: Serve = project_function(module, name)
    except NotUsable as error:
        raise UsageError(
            f"{connection.file}: {connection.connection_set}.{connection.source}.served_by cannot be used: {error}.",
            "Write a function of the project, such as demo.api:serve_set, which is given the set's data folder.",
        ) from None
    return serve
