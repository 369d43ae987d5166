"""Publishing: the tested candidate becomes a release, and snapshots, docs site and lake follow it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import duckdb

from flows.config.connections import Connections
from flows.config.publications import publications_of
from flows.config.settings import DataFolder
from flows.core.names import TableName
from flows.core.redaction import without_values
from flows.lake.catalog import Pin, Verified
from flows.lake.maintenance import compact_and_vacuum_lake
from flows.lake.ops import loads_since, record_release, used_release_names
from flows.lake.publications import publish_versions
from flows.lake.snapshot_backup import keep_snapshots
from flows.learning.training_sets import needed_publications, needed_releases, needed_versions
from flows.orchestration.events import emit_release_published
from flows.orchestration.steps import step
from flows.site.write import write_site
from flows.warehouse.build import Build
from flows.warehouse.dbt import Dbt
from flows.warehouse.descriptions import published_models
from flows.warehouse.load_history import with_loads
from flows.warehouse.profile_history import with_profiles
from flows.warehouse.release import (
    Release,
    describe_candidate,
    last_published,
    next_release_name,
    prune_releases,
    publish_candidate,
)
from flows.warehouse.releases import newest_release

logger = logging.getLogger(__name__)


@step("publish")
def publish(
    dbt: Dbt,
    build: Build,
    pins: Mapping[TableName, Pin],
    verified: Mapping[TableName, Verified],
    formats: Sequence[str] = (),
    held_back: Mapping[str, str] = MappingProxyType({}),
) -> Release:
    """Flip the readers to the candidate under a name that no release ever had, and keep the newest releases."""
    name = next_release_name(dbt.folder, used_release_names(dbt.folder.lake))
    build = with_loads(dbt, with_profiles(dbt, build, name), partial(loads_since, dbt.folder.lake))
    versions = {table: pin.version for table, pin in pins.items()}
    made_of = describe_candidate(dbt, build, versions, verified)
    wanted = publications_of(dbt.manifest.nodes.values())
    before = last_published(dbt.folder)
    published = publish_versions(dbt.folder.lake, dbt.folder.candidate, wanted, made_of.contents, name, before)
    made_of = replace(made_of, published=published, held_back=dict(held_back))
    record_release(dbt.folder.lake, name, made_of.text)
    models = published_models(dbt.manifest)
    left = newest_release(dbt.folder) if dbt.folder.warehouse.exists() else None
    release = publish_candidate(
        dbt.folder, build, versions, verified, name, models=models, formats=formats, made_of=made_of
    )
    logger.info("release %s is published", release.name)
    emit_release_published(dbt.folder, release)
    if gone := prune_releases(dbt.folder, left=left):
        logger.info("older releases were deleted: %s", ", ".join(gone))
    return release


def follow_release(dbt: Dbt, sources: Connections, release: Release) -> None:
    """Do what follows a release: write snapshots to the lake, write the docs site, and compact the lake."""
    keep_history(dbt, release)
    generate_docs(dbt, sources)
    compact_and_vacuum(dbt.folder)


@step("keep snapshots")
def keep_history(dbt: Dbt, release: Release) -> None:
    """Write what the release's snapshots hold to the lake, from which a lost warehouse gets them back."""
    keep_snapshots(dbt.folder.lake, release.path, dbt.snapshots(), release.name)


@step("write docs")
def generate_docs(dbt: Dbt, sources: Connections) -> None:
    """Write the docs site of the published release; without it the release is as good."""
    try:
        write_site(dbt, sources)
    except Exception as error:  # noqa: BLE001 - the release is worth more than its pages
        logger.warning("the docs site was not written, that of the release before stays: %s", without_values(error))


@step("compact and vacuum lake")
def compact_and_vacuum(folder: DataFolder) -> None:
    """Compact what many small commits left, and delete what no release, catalog or run can still name."""
    try:
        done = compact_and_vacuum_lake(
            folder.lake, needed_versions(folder), needed_releases(folder), needed_publications(folder)
        )
    except duckdb.Error as error:
        logger.warning("the lake was not compacted, a release cannot be read: %s", type(error).__name__)
        return
    if done.compacted or done.deleted:
        logger.info("the lake is compacted: %s files merged, %s deleted", done.compacted, done.deleted)
