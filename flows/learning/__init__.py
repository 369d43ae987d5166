"""Learning: training sets of a release, models that are trained on them, their registry and their predictions."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flows.learning.training_sets import TrainingSet


def training_set(name: str, release: str | None = None, **options: Any) -> "TrainingSet":
    """Return a training set by the name of its exposure, the newest or that of a release.

    It has `to_pandas()`, `to_arrow()`, `to_polars()`, `splits()`, `features` and `label`.
    """
    from flows.learning import training_sets

    return training_sets.training_set(name, release, **options)
