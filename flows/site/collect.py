"""The facts of the site of a set's last release, from dbt's manifest, the release's file and the lake."""

import logging
from collections.abc import Callable
from typing import TypeVar

import duckdb

from flows.config.connections import Connections
from flows.config.settings import command
from flows.core.clock import utc_now
from flows.core.errors import WarehouseError
from flows.core.names import TableName
from flows.core.redaction import without_values
from flows.lake.quarantine_report import count_quarantine
from flows.site.cards import cards_of
from flows.site.facts import Loaded, Site
from flows.site.lineage import with_lineage
from flows.site.loads import loads_of, quarantine_of, runs_of, with_sources
from flows.site.profiles import with_profiles
from flows.site.project import macros_of, overview_of, relations_of, tables_of
from flows.site.released import changes_between, read_releases, with_examples, with_release
from flows.warehouse.dbt import Dbt
from flows.warehouse.releases import newest_release, release_file

logger = logging.getLogger(__name__)

Found = TypeVar("Found")


def collect(dbt: Dbt, sources: Connections) -> Site:
    """Return the facts of the set's last release; raises UsageError if nothing is published yet.

    A part that cannot be read is left out, with a warning.
    """
    folder = dbt.folder
    name = newest_release(folder)
    tables = tables_of(dbt)
    file, releases = release_file(folder, name), read_releases(folder, name, tables)
    last = releases[-1]
    before = next((one for one in releases if one.name == last.previous), None)
    tables = with_release(tables, file, releases)
    tables = with_examples(with_lineage(dbt, tables), file)
    loads: list[Loaded] = told(lambda: loads_of(dbt, sources, tables), [], "loads")
    read = {load.key for load in loads}
    tables = told(lambda: with_sources(dbt, tables, loads), tables, "rows of sources")
    tables = told(lambda: with_profiles(tables, file, name), tables, "profiles")
    held: dict[TableName, int] = told(lambda: count_quarantine(folder.lake), {}, "quarantine")
    return Site(
        set_name=folder.path.name,
        release=name,
        built_at=last.built_at,
        commit=last.commit,
        previous=last.previous,
        command=command(),
        options=sources.options,
        tables=tables,
        loads=loads,
        absent=[key for key, one in tables.items() if one.layer == "sources" and key not in read],
        quarantine_of={str(table): count for table, count in held.items()},
        quarantine=told(lambda: quarantine_of(folder), [], "quarantine"),
        changes=changes_between(before, last, tables),
        gates=[one.gates for one in releases],
        runs=told(lambda: runs_of(folder), [], "runs"),
        cards=told(lambda: cards_of(dbt), [], "cards of models"),
        relations=relations_of(dbt),
        macros=macros_of(dbt),
        overview=overview_of(dbt),
        written_at=utc_now(),
    )


def told(part: Callable[[], Found], otherwise: Found, what: str) -> Found:
    """Return a part of the facts; without it the site is still written, and the log says what it lacks."""
    try:
        return part()
    except (WarehouseError, duckdb.Error, OSError, ValueError) as error:
        reason = str(error) if isinstance(error, WarehouseError) else without_values(error)
        logger.warning("the docs site lacks %s: %s", what, reason)
        return otherwise
