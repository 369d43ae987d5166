"""Companions of a trained model, where its exposure asks for them: an online one and a federated one."""

import hashlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import numpy as np

from flows.core.errors import UsageError
from flows.learning.exposures import BINARY, REMEDY
from flows.learning.federated import FEWEST_ROWS, Site, SiteFile, train_federated
from flows.learning.fit import TrainedModel
from flows.learning.metrics import Measured
from flows.learning.online import learn_online
from flows.learning.preprocess import NUMBER, kind_of

if TYPE_CHECKING:
    import pandas as pd

ROWS = "rows_of_site"


def train_companions(model: TrainedModel) -> tuple[dict[str, Measured], tuple[str, ...]]:
    """Return the metric of each declared companion on the model's own test rows, and a note on each."""
    found: dict[str, Measured] = {}
    notes = []
    if model.exposure.declared.online:
        online = learn_online(model)
        found["online"] = online.measured
        notes.append(online.note)
    if model.exposure.declared.federated is not None:
        measured, sites = _federate(model)
        found["federated"] = measured
        notes.append(f"federated training by {sites} sites, on the same rows: {measured}")
    return found, tuple(notes)


def write_sites(folder: Path, rows: "pd.DataFrame", site: str, features: Sequence[str], label: str) -> list[SiteFile]:
    """Write the rows of each site to a file of its own; sites of too few rows are left out."""
    found = []
    for name, part in rows.groupby(site, sort=True):
        if len(part) < FEWEST_ROWS:
            continue
        path = folder / f"{hashlib.sha256(str(name).encode()).hexdigest()[:16]}.duckdb"
        own = part[[*features, label]]
        with duckdb.connect(str(path)) as connection:
            connection.register("own", own)
            connection.execute(f"create table {ROWS} as from own")
        found.append(SiteFile(path, ROWS, tuple(features), label))
    return found


def _federate(model: TrainedModel) -> tuple[Measured, int]:
    """Train by site on the training rows, and measure on the test rows; texts and lists are left out."""
    exposure, declared = model.exposure, model.exposure.declared
    federated, parts = declared.federated, model.parts
    assert federated is not None, "the exposure asks for it"
    if model.task.kind != BINARY or federated.site not in parts.train:
        raise UsageError(
            f"{exposure.where}: federated training needs a label of two classes and the column {federated.site!r}.",
            REMEDY,
        )
    names = [one for one in model.training_set.features if one != federated.site]
    features = [one for one in names if kind_of(parts.train[one]) == NUMBER]
    rows = parts.train.assign(**{declared.label: model.task.encode(parts.train)})
    with tempfile.TemporaryDirectory() as place:
        sites: list[Site] = [*write_sites(Path(place), rows, federated.site, features, declared.label)]
        if not sites:
            raise UsageError(f"{exposure.where}: no site has {FEWEST_ROWS} training rows.", REMEDY)
        trained = train_federated(sites, federated.rounds)
    scores = trained.score(np.asarray(parts.test[features], dtype=float))
    return model.rows.measure(declared.metric, scores), len(sites)
