"""`--into`: real components that take the place of the pharmacy's files and SQLite databases."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import yaml

from flows.config.settings import PROJECT, DataFolder, env_var
from flows.core.errors import UsageError


class Component(Protocol):
    """A component that some of the pharmacy's sources move into."""

    sources: ClassVar[tuple[str, ...]]
    """The sources that move."""

    def feed(self, folder: Path) -> None:
        """Bring the component to what the pharmacy's own sources in `folder` hold; a second call changes nothing."""
        ...

    def entry(self, entry: Mapping[str, Any], url: str) -> Mapping[str, Any]:
        """Return a source's entry of connections.yml as it is for the component, which the template `url` names."""
        ...


def variable_of(url: str) -> str:
    """Return the environment variable that holds the URL of a component; raises UsageError for an unknown scheme."""
    scheme = urlsplit(url).scheme.partition("+")[0].lower()
    kinds = {"postgresql": "POSTGRESQL", "postgres": "POSTGRESQL", "mysql": "MYSQL", "mariadb": "MYSQL"}
    if scheme not in kinds:
        raise UsageError(
            f"The demo moves into no component whose URL begins with {scheme or 'no scheme'}.",
            "Name one such as postgresql://USER:PASSWORD@HOST/DATABASE or mysql://USER:PASSWORD@HOST/DATABASE.",
        )
    return f"DEMO_{kinds[scheme]}_URL"


def component_of(variable: str) -> Component:
    """Return the component whose URL a variable holds; each is imported when it is needed."""
    url = env_var(variable)
    if variable == "DEMO_POSTGRESQL_URL":
        from demo.into.databases import Postgresql

        return Postgresql(url)
    from demo.into.databases import Mysql

    return Mysql(url)


def feed(folder: DataFolder, connection_set: str, variables: Iterable[str]) -> Path:
    """Bring components up to the day of the pharmacy, and return a connections file of the set that names them.

    The file holds no URL, but the variables that hold them.
    """
    sets = yaml.safe_load((PROJECT / "connections.yml").read_text(encoding="utf-8"))
    entries = dict(sets[connection_set])
    for variable in variables:
        component = component_of(variable)
        component.feed(folder.path / "source")
        url = f"{{{{ env_var('{variable}') }}}}"
        entries |= {source: component.entry(entries[source], url) for source in component.sources}
    path = folder.path / "connections.yml"
    path.write_text(yaml.safe_dump({connection_set: entries}, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path
