"""Models trained on a warehouse that was built by hand, by the functions that `python -m flows train` calls."""

import math
import shutil
from pathlib import Path

from support.lake_by_hand import Warehouse

from flows.config.settings import DataFolder
from flows.learning.exposures import read_exposures
from flows.learning.fit import TrainedModel, train_model
from flows.learning.project import DbtProject
from flows.learning.training_sets import make_training_set

RELEASE = "2026-01-01.1"


def train_on(warehouse: Warehouse, name: str) -> TrainedModel:
    """Train the model that an exposure of this project declares, with the warehouse as a release; require a judgement.

    The judgement is the metric with its interval, each baseline's, and the gain over each.
    """
    folder = DataFolder(warehouse.folder / "trained")
    release: Path = folder.releases / RELEASE / folder.warehouse.name
    release.parent.mkdir(parents=True)
    shutil.copyfile(warehouse.path, release)
    folder.warehouse.symlink_to(release)
    project = DbtProject.of(warehouse.manifest.writable_manifest().to_dict(omit_none=False))
    (exposure,) = read_exposures(project, [name])
    model = train_model(exposure, project, make_training_set(folder, project, exposure))
    measured = model.metrics[exposure.declared.metric]
    assert measured.low <= measured.value <= measured.high
    assert model.baselines.keys() == model.gains.keys() != set()
    assert all(math.isfinite(one.value) for one in (*model.baselines.values(), *model.gains.values()))
    assert len(model.scores) == len(model.parts.test)
    return model
