"""The template: a release without any source, from which a new set begins. Marts of absent sources are made once."""

import shutil

from flows.config.contract import contracts_of
from flows.config.settings import DataFolder, template_folder
from flows.lake.catalog import pin_catalog
from flows.warehouse.build import build_candidate, drop_orphaned_relations, prepare_candidate, with_warnings
from flows.warehouse.dbt import Dbt
from flows.warehouse.descriptions import published_models
from flows.warehouse.gates import require_gates
from flows.warehouse.release import prune_releases, publish_candidate


def make_template() -> DataFolder:
    """Build and test all models without sources, or what has changed of them; raises GateFailed.

    The tests of code alone are run with it, so that no set has to run them again.
    """
    folder = template_folder()
    dbt = Dbt.parse(folder)
    pin_catalog(folder.catalog, folder.lake, contracts_of(dbt.manifest.sources.values()))
    prepare_candidate(folder)
    drop_orphaned_relations(dbt)
    build = build_candidate(dbt, full_refresh=False, select=None)
    verdict = require_gates(dbt, build)
    publish_candidate(folder, with_warnings(build, verdict.told), {}, models=published_models(dbt.manifest))
    prune_releases(folder, keep=1)
    shutil.rmtree(folder.candidate.parent, ignore_errors=True)
    return folder
