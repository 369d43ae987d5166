"""`--into`: real components that take the place of the pharmacy's files and SQLite databases."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol
from urllib.parse import urlsplit

import yaml

from flows.config.settings import PROJECT, DataFolder, env_var
from flows.core.errors import UsageError

DATABASE, KAFKA, S3 = "DEMO_DATABASE_URL", "DEMO_KAFKA_URL", "DEMO_S3_URL"
"""The environment variables that hold the URLs of components."""

KINDS = {
    **dict.fromkeys(("postgresql", "postgres", "mysql", "mariadb"), DATABASE),
    "kafka": KAFKA,
    "s3": S3,
}
ORDER = (S3, DATABASE, KAFKA)
"""S3 takes the files of all sources that no later component takes."""


class Component(Protocol):
    """A component that some of the pharmacy's sources move into."""

    sources: ClassVar[tuple[str, ...]]
    """The sources that it can take."""

    def feed(self, folder: Path, sources: Collection[str]) -> None:
        """Bring the component to what some sources in `folder` hold; a second call changes nothing."""
        ...

    def entry(self, source: str, entry: Mapping[str, Any], url: str) -> Mapping[str, Any]:
        """Return a source's entry of connections.yml as it is for the component, which the template `url` names."""
        ...


def variables_of(urls: Iterable[str]) -> dict[str, str]:
    """Return the URLs of components by the environment variables that hold them.

    Raises UsageError for an unknown scheme, and for two URLs that would take the same sources.
    """
    found: dict[str, str] = {}
    for url in urls:
        scheme = urlsplit(url).scheme.partition("+")[0].lower()
        if scheme not in KINDS:
            raise UsageError(
                f"The demo moves into no component whose URL begins with {scheme or 'no scheme'}.",
                "Name one such as postgresql://USER:PASSWORD@HOST/DATABASE, mysql://USER:PASSWORD@HOST/DATABASE, "
                "kafka://HOST:PORT or s3://BUCKET/PREFIX.",
            )
        if KINDS[scheme] in found:
            raise UsageError(
                f"Two URLs after --into take the same sources; the second one begins with {scheme}.",
                "Name one database, one Kafka and one place on S3 at most.",
            )
        found[KINDS[scheme]] = url
    return found


def component_of(variable: str) -> Component:
    """Return the component whose URL a variable holds; each is imported when it is needed."""
    url = env_var(variable)
    if variable == S3:
        from demo.into.s3 import Bucket

        return Bucket(url)
    if variable == KAFKA:
        from demo.into.kafka import Kafka

        return Kafka(url)
    from demo.into.databases import Mysql, Postgresql

    return Postgresql(url) if url.lower().startswith("postgres") else Mysql(url)


def feed(folder: DataFolder, connection_set: str, variables: Iterable[str]) -> Path:
    """Bring components up to the day of the pharmacy, and return a connections file of the set that names them.

    The file holds no URL, but the variables that hold them.
    """
    sets = yaml.safe_load((PROJECT / "connections.yml").read_text(encoding="utf-8"))
    entries = dict(sets[connection_set])
    components = {variable: component_of(variable) for variable in sorted(variables, key=ORDER.index)}
    takers = {source: variable for variable, component in components.items() for source in component.sources}
    for variable, component in components.items():
        taken = [source for source, taker in takers.items() if taker == variable]
        component.feed(folder.path / "source", taken)
        url = f"{{{{ env_var('{variable}') }}}}"
        entries |= {source: component.entry(source, entries[source], url) for source in taken}
    path = folder.path / "connections.yml"
    path.write_text(yaml.safe_dump({connection_set: entries}, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path
