"""The clean-up of a set: old releases, and files of the lake that no release, training set, clone or run reads."""

from flows.config.settings import DataFolder
from flows.lake.maintenance import Housekeeping, compact_and_vacuum_lake
from flows.learning.training_sets import needed_publications, needed_releases, needed_versions
from flows.warehouse.clones import drop_unfinished
from flows.warehouse.release import prune_releases


def clean_up(folder: DataFolder, keep: int) -> tuple[dict[str, int], Housekeeping]:
    """Delete all but the newest releases, then compact and vacuum the lake; return the bytes of each deleted release.

    The caller holds the lock of the set.
    """
    drop_unfinished(folder)
    gone = prune_releases(folder, keep)
    needed = needed_versions(folder), needed_releases(folder), needed_publications(folder)
    return gone, compact_and_vacuum_lake(folder.lake, *needed, least=1)
