"""Changes of the code: the differences that the working tree makes to the last release, over the same data."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from flows.config.connections import Connections
from flows.config.contract import contracts_of
from flows.core.errors import GateFailed
from flows.lake.catalog import pin_catalog
from flows.reproduce import require_tables
from flows.trial import begin_trial, compare_candidate, end_trial
from flows.warehouse.build import Build, build_candidate, drop_orphaned_relations, prepare_candidate
from flows.warehouse.dbt import TESTS, Dbt, bring_parsed
from flows.warehouse.diff import Comparison
from flows.warehouse.gates import require_sound_build
from flows.warehouse.releases import newest_release, read_made_of

CLONE = "last_preview"


@dataclass(frozen=True)
class Changes:
    """The nodes that were built over a release since their code is another, what differs then, and the tests.

    `failure` is the gate that would stop a release, None if all pass.
    """

    release: str
    commit: str | None
    build: Build
    built: Sequence[str]
    found: Comparison
    passed: int
    warnings: Sequence[str]
    failure: GateFailed | None
    seconds: float


def preview_changes(sources: Connections) -> Changes:
    """Build over the last release, from its own data, the nodes that the working tree changes, and test them.

    Lake and release stay as they are; what was built is kept as a clone. Raises UsageError if nothing is published or
    the project does not parse. Raises StorageFailed if the lake no longer has the data of the release.
    """
    started = time.monotonic()
    folder, release = sources.folder, newest_release(sources.folder)
    made_of = read_made_of(folder.warehouse.resolve())
    require_tables(folder, release, made_of)
    trial = begin_trial(folder)
    bring_parsed(folder, trial)
    dbt = Dbt.parse(trial, sources.variables)
    pin_catalog(trial.catalog, folder.lake, contracts_of(dbt.manifest.sources.values()), made_of.versions)
    prepare_candidate(trial)
    drop_orphaned_relations(dbt)
    build = build_candidate(dbt, full_refresh=False, select=None)
    passed, warnings, failure = _gates(dbt, build)
    found = compare_candidate(trial, build)
    end_trial(folder, trial, CLONE)
    built = sorted(node.name for node in map(dbt.node, build.ran) if node.resource_type not in TESTS)
    seconds = time.monotonic() - started
    return Changes(release, made_of.commit, build, built, found, passed, warnings, failure, seconds)


def _gates(dbt: Dbt, build: Build) -> tuple[int, Sequence[str], GateFailed | None]:
    """Return how many tests passed, new warnings, and the gate that failed, if any."""
    try:
        verdict = require_sound_build(dbt, build)
    except GateFailed as failure:
        return sum(result.status == "pass" for result in build.results), (), failure
    return verdict.passed, [text for text in verdict.warnings if text not in verdict.standing], None
