"""Trials: a folder that shows the release of another one, so that a build in it leaves that one as it is."""

import shutil

from flows.config.settings import DataFolder
from flows.warehouse.build import Build
from flows.warehouse.clones import keep_as_clone
from flows.warehouse.code_tests import bring_passed
from flows.warehouse.diff import Comparison, compare_databases
from flows.warehouse.node_states import is_as_published
from flows.warehouse.releases import read_made_of


def begin_trial(folder: DataFolder) -> DataFolder:
    """Return a folder that shows the release of another one, with a candidate, a catalog and a lake of its own.

    It is in the folder `work`, so the next run deletes it, should this one be killed.
    """
    trial = DataFolder(folder.work / "trial" / folder.path.name, has_own_lake=True)
    shutil.rmtree(trial.path.parent, ignore_errors=True)
    trial.path.mkdir(parents=True)
    trial.warehouse.symlink_to(folder.warehouse.resolve())
    if folder.made_up_key.exists():
        shutil.copyfile(folder.made_up_key, trial.made_up_key)
    bring_passed(folder, trial)
    return trial


def end_trial(folder: DataFolder, trial: DataFolder, clone: str) -> None:
    """Keep what was built in a trial as a clone, to be looked at, and delete the rest."""
    keep_as_clone(folder, trial.candidate, clone)
    shutil.rmtree(trial.path.parent, ignore_errors=True)


def compare_candidate(folder: DataFolder, build: Build) -> Comparison:
    """Compare the release with the candidate of a build; no key of a row is shown.

    A table whose rows have the same hash in both is not read.
    """
    release = folder.warehouse.resolve()
    hashes = read_made_of(release).contents if is_as_published(release) else {}
    known = {key.rpartition(".")[2] for key, state in build.states.items() if hashes.get(key) == state.output}
    return compare_databases(release, folder.candidate, keys=0, known=known)
