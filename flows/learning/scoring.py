"""Batch scores of the champion: predictions for the lake, and measures of drift beside them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import duckdb
import numpy as np
import pyarrow as pa

from flows.config.settings import DataFolder, command
from flows.core.errors import UsageError
from flows.core.names import TableName
from flows.core.relation import Relation
from flows.lake.delta import open_table, query
from flows.lake.raw import raw_path
from flows.learning.drift import REALISED, DriftMeasure, measure_drift, stretch_trend
from flows.learning.exposures import LOWER_IS_BETTER, Drift, MlExposure
from flows.learning.fit import evaluation_rows
from flows.learning.frames import to_frame
from flows.learning.registry import RegisteredModel
from flows.learning.releases import count_rows, read_table
from flows.learning.task import Scores, Task
from flows.learning.training_sets import stored_sets
from flows.sources.batches import Batch, Request
from flows.warehouse.releases import newest_release

if TYPE_CHECKING:
    import pandas as pd

PREDICTIONS, DRIFT = TableName("scoring", "predictions"), TableName("scoring", "drift_measures")

LABEL_STATE, NEVER_KNOWN = "label_state", "not followed"

PREDICTED = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("model_name", pa.string()),
        ("model_version", pa.int64()),
        ("entity_id", pa.string()),
        ("as_of", pa.timestamp("us")),
        ("prediction", pa.string()),
        ("score", pa.float64()),
        ("release_name", pa.string()),
        ("scored_at", pa.timestamp("us")),
    ]
)
MEASURED = pa.schema(
    [
        ("drift_measure_id", pa.string()),
        ("model_name", pa.string()),
        ("model_version", pa.int64()),
        ("release_name", pa.string()),
        ("subject", pa.string()),
        ("measure", pa.string()),
        ("value", pa.float64()),
        ("drift_limit", pa.float64()),
        ("row_count", pa.int64()),
        ("is_beyond", pa.bool_()),
        ("measured_at", pa.timestamp("us")),
    ]
)


@dataclass(frozen=True)
class Scored:
    """Rows of a release with the scores that a version of a model gives them, and its measures of drift."""

    exposure: MlExposure
    model: RegisteredModel
    release: str
    frame: "pd.DataFrame"
    scores: Scores
    drift: tuple[DriftMeasure, ...]

    @property
    def drifted(self) -> tuple[DriftMeasure, ...]:
        """The measures beyond their limits."""
        return tuple(one for one in self.drift if one.is_beyond)

    def predictions(self, scored_at: datetime) -> pa.Table:
        """Return the predictions as rows for the lake."""
        name, version, task = self.exposure.name, self.model.version, self.model.task
        entities = entity_ids(self.exposure, self.frame)
        times = _times(self.exposure, self.frame)
        flat = self.scores.max(axis=1) if self.scores.ndim == 2 else self.scores
        moments: list[datetime | None] = [*times] if times is not None else [None] * len(entities)
        pairs = zip(entities, moments, strict=True)
        ids = [_id(name, version, self.release, entity, moment) for entity, moment in pairs]
        count = len(ids)
        columns: list[Any] = [ids, [name] * count, [version] * count, entities, moments]
        columns += [[str(one) for one in task.predict(self.scores)], flat.tolist()]
        columns += [[self.release] * count, [scored_at] * count]
        arrays = [pa.array(values, kind) for values, kind in zip(columns, PREDICTED.types, strict=True)]
        return pa.Table.from_arrays(arrays, schema=PREDICTED)

    def measures(self, measured_at: datetime) -> pa.Table:
        """Return the measures of drift as rows for the lake."""
        name, version = self.exposure.name, self.model.version
        rows = [
            {
                "drift_measure_id": _id(name, version, self.release, one.subject, one.measure, measured_at),
                "model_name": name,
                "model_version": version,
                "release_name": self.release,
                "subject": one.subject,
                "measure": one.measure,
                "value": one.value,
                "drift_limit": one.limit,
                "row_count": one.rows,
                "is_beyond": one.is_beyond,
                "measured_at": measured_at,
            }
            for one in self.drift
        ]
        return pa.Table.from_pylist(rows, schema=MEASURED)


@dataclass(frozen=True)
class RowsOfLearning:
    """Rows at hand as the source of a table of the lake: they are checked and committed like those of any source."""

    runs_query: ClassVar[bool] = False

    tables: Sequence[pa.Table]

    def batches(self, connection: duckdb.DuckDBPyConnection, request: Request) -> Iterator[Batch]:
        """Yield one batch a table."""
        for number, table in enumerate(self.tables):
            rows = table.append_column("_file", pa.array(["scoring"] * table.num_rows, pa.string()))
            rows = rows.append_column("_row", pa.array(np.arange(1, table.num_rows + 1), pa.int64()))
            yield Batch(Relation.from_arrow(connection, f"scored_{number}", rows), read=table.num_rows)


def score_release(folder: DataFolder, exposure: MlExposure, model: RegisteredModel) -> Scored:
    """Score the rows of the published release, and measure drift; raises UsageError for a feature that is gone."""
    release = newest_release(folder)
    if exposure.score is None:
        raise UsageError(
            f"{exposure.where}: depends_on names no model score_…, so there are no rows to score.",
            "Add a model score_… with the features at the present moment.",
        )
    frame = to_frame(read_table(folder, release, exposure.score, exposure.key))
    absent = [name for name in model.features if name not in frame]
    if absent:
        raise UsageError(
            f"{exposure.where}: {exposure.score} of release {release} lacks {', '.join(absent)}, "
            f"which version {model.version} of {model.name} reads. Nothing was scored.",
            f"Add the columns, or train again: {command()} train {exposure.name}",
        )
    scores = model.task.score(model.pipeline, frame) if len(frame) else np.empty(0)
    measures: list[DriftMeasure] = []
    if len(frame):
        card, limits = model.card, exposure.declared.drift
        is_alike = find_alike(folder, exposure, release, frame)
        is_unseen = is_alike & ~find_seen(folder, exposure, model, frame)
        stretch = _stretch(exposure, frame[is_alike], card.get("trend"))
        measures = measure_drift(
            card["profiles"], frame[is_alike], scores[is_unseen], card["score_profile"], limits, stretch
        )
    realised = measure_realised(folder, exposure, model, release)
    return Scored(exposure, model, release, frame, scores, (*measures, *([realised] if realised else ())))


def find_alike(folder: DataFolder, exposure: MlExposure, release: str, frame: "pd.DataFrame") -> np.ndarray:
    """Tell which rows are of the kind that a training set holds: not those whose outcome will never be known.

    The label model says that of a row in its column `label_state`. Such a review without stars, say, is scored too.
    """
    state = f"{LABEL_STATE} = '{NEVER_KNOWN}'"
    if not exposure.label_model or not count_rows(folder, release, exposure.label_model, state):
        return np.full(len(frame), True)
    labels = to_frame(read_table(folder, release, exposure.label_model))
    return ~np.asarray(_keys(exposure, frame).isin(_keys(exposure, labels[labels[LABEL_STATE] == NEVER_KNOWN])))


def find_seen(folder: DataFolder, exposure: MlExposure, model: RegisteredModel, frame: "pd.DataFrame") -> np.ndarray:
    """Tell which rows the training set of a model had: it is surer of rows that it was fitted on."""
    made_of = model.card.get("training_set")
    for one in stored_sets(folder, exposure.name):
        if one.version == made_of:
            return np.asarray(_keys(exposure, frame).isin(_keys(exposure, one.to_pandas())))
    return np.full(len(frame), False)


def _keys(exposure: MlExposure, frame: "pd.DataFrame") -> "pd.MultiIndex":
    import pandas as pd

    return pd.MultiIndex.from_frame(frame[list(exposure.key)])


def _stretch(exposure: MlExposure, frame: "pd.DataFrame", trend: Sequence[float] | None) -> float:
    """Return how far trends of features have come by the rows to score; 0 without times."""
    time = exposure.declared.time
    if trend is None or time is None or time not in frame or frame.empty:
        return 0.0
    since, seconds = trend
    return stretch_trend(since, seconds, frame[time].mean().timestamp())


def is_scored(folder: DataFolder, exposure: MlExposure, model: RegisteredModel, release: str) -> bool:
    """Tell whether the lake has the predictions of this version for this release."""
    sql = "select 1 from {table} where model_name = $1 and model_version = $2 and release_name = $3 limit 1"
    stored = open_table(raw_path(folder.lake, PREDICTIONS))
    return bool(query(stored, sql, [exposure.name, model.version, release]))


def measure_realised(
    folder: DataFolder, exposure: MlExposure, model: RegisteredModel, release: str
) -> DriftMeasure | None:
    """Measure stored predictions by the labels that are known now; None if too few of their labels are known.

    Rows of its training set do not count. The rest are beyond the limit if their whole interval is worse than the
    interval of the test rows.
    """
    import pandas as pd

    sql = (
        "select entity_id, as_of, arg_min(score, scored_at) from {table} "
        "where model_name = $1 and model_version = $2 group by all"
    )
    rows = query(open_table(raw_path(folder.lake, PREDICTIONS)), sql, [exposure.name, model.version])
    limits: Drift = exposure.declared.drift
    task: Task = model.task
    if len(rows) < limits.rows or len(task.classes) > 2:
        return None
    known = to_frame(read_table(folder, release, exposure.train, exposure.key))
    times = _times(exposure, known)
    known = known.assign(_entity=entity_ids(exposure, known), _moment=times if times is not None else pd.NaT)
    predicted = pd.DataFrame(rows, columns=["_entity", "_moment", "_score"])
    predicted["_moment"] = predicted["_moment"].astype("datetime64[us]")
    known["_moment"] = known["_moment"].astype("datetime64[us]")
    matched = known[known[exposure.declared.label].notna()].merge(predicted, on=["_entity", "_moment"])
    matched = matched[~find_seen(folder, exposure, model, matched)]
    if len(matched) < limits.rows or matched[exposure.declared.label].nunique() < 2:
        return None
    metric = exposure.declared.metric
    found = evaluation_rows(exposure, task, matched).measure(metric, matched["_score"].to_numpy(dtype=float))
    is_lower_better = metric.partition("@")[0] in LOWER_IS_BETTER
    limit = model.measured.high if is_lower_better else model.measured.low
    is_worse = found.low > limit if is_lower_better else found.high < limit
    return DriftMeasure(REALISED, metric, found.value, limit, len(matched), bool(is_worse))


def entity_ids(exposure: MlExposure, frame: "pd.DataFrame") -> list[str]:
    """Return the key of each row without times, as one text."""
    names = [name for name in exposure.key if name != exposure.declared.time and frame[name].dtype.kind != "M"]
    columns = [frame[name].astype(str) for name in names or exposure.declared.entity]
    return ["|".join(values) for values in zip(*columns, strict=True)] if columns else [""] * len(frame)


def _times(exposure: MlExposure, frame: "pd.DataFrame") -> list[datetime] | None:
    time = exposure.declared.time
    if time is None or time not in frame:
        return None
    return [one.to_pydatetime() for one in frame[time]]


def _id(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()[:32]
