"""One pipeline from the columns of a training set to predictions; all that it learns, it learns from training rows."""

import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

from flows.core.errors import UsageError
from flows.core.names import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

NUMBER, TEXT, LIST = "number", "text", "list"
MOST_CATEGORIES, FEWEST_OF_A_CATEGORY = 30, 5
REMEDY = "Fix `estimator`, `params` or `search` of the exposure."


class FeatureTypes(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Takes the features by name, as numbers and texts; a list of numbers becomes one column a place."""

    def __init__(self, features: Sequence[str]) -> None:
        self.features = features

    def fit(self, frame: "pd.DataFrame", _label: Any = None) -> "FeatureTypes":
        """Learn the type of each feature."""
        self.kinds_ = {name: kind_of(frame[name]) for name in self.features}
        lists = (name for name, kind in self.kinds_.items() if kind == LIST)
        self.lengths_ = {name: max((len(one) for one in frame[name] if one is not None), default=0) for name in lists}
        self.feature_names_in_ = np.array(list(self.features), dtype=object)
        self.n_features_in_ = len(self.features)
        return self

    def transform(self, frame: "pd.DataFrame") -> "pd.DataFrame":
        """Return the features in the learned types."""
        import pandas as pd

        columns: dict[str, Any] = {}
        for name, kind in self.kinds_.items():
            values = frame[name]
            if kind == NUMBER:
                columns[name] = pd.to_numeric(values, errors="coerce").astype(float).to_numpy()
            elif kind == TEXT:
                columns[name] = [None if pd.isna(one) else str(one) for one in values]
            else:
                columns |= _spread(name, values, self.lengths_[name])
        made = pd.DataFrame(columns, index=frame.index)
        return made.astype({name: object for name, kind in self.kinds_.items() if kind == TEXT})

    def get_feature_names_out(self, _names: Any = None) -> np.ndarray:
        """Return the names of the columns that it makes."""
        made = [self.columns_of(name) for name in self.kinds_]
        return np.array([one for names in made for one in names], dtype=object)

    def columns_of(self, name: str) -> list[str]:
        """Return the columns that a feature becomes."""
        return _places(name, self.lengths_[name]) if self.kinds_[name] == LIST else [name]


def kind_of(values: "pd.Series") -> str:
    """Return how a feature is read: as a number, a text or a list of numbers, which bytes are too."""
    if str(values.dtype) in ("str", "string"):
        return TEXT
    if values.dtype != object:
        return NUMBER
    first = next((one for one in values if one is not None), None)
    if isinstance(first, np.ndarray | list | tuple | bytes):
        return LIST
    return NUMBER if first is None else TEXT


def build_pipeline(frame: "pd.DataFrame", features: Sequence[str], estimator: Any) -> Pipeline:
    """Return an unfitted pipeline: types, then encoders, then a copy of the estimator.

    Texts become one column a frequent value. An estimator that takes no nulls gets medians in their place and a
    column that marks them, and numbers of equal scale.
    """
    types = FeatureTypes(list(features)).fit(frame)
    texts = [name for name, kind in types.kinds_.items() if kind == TEXT]
    numbers = [one for name in types.kinds_ if name not in texts for one in types.columns_of(name)]
    of_numbers: Any = "passthrough"
    if not get_tags(estimator).input_tags.allow_nan:
        of_numbers = Pipeline(
            [
                ("impute", SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True)),
                ("scale", StandardScaler()),
            ]
        )
    of_texts = OneHotEncoder(
        handle_unknown="infrequent_if_exist",
        min_frequency=FEWEST_OF_A_CATEGORY,
        max_categories=MOST_CATEGORIES,
        sparse_output=False,
    )
    encode = ColumnTransformer(
        [("numbers", of_numbers, numbers), ("texts", of_texts, texts)], verbose_feature_names_out=False
    )
    return Pipeline([("types", FeatureTypes(list(features))), ("encode", encode), ("model", clone(estimator))])


def make_estimator(path: str, params: Mapping[str, Any], seed: int, where: str) -> Any:
    """Return an estimator by its dotted path, seeded; raises UsageError for a class or parameter that is not there."""
    kind = _find_class(path, where)
    accepted = set(kind().get_params())
    wanted = dict(params)
    if "random_state" in accepted:
        wanted.setdefault("random_state", seed)
    if path.startswith("lightgbm."):
        for name, value in {"verbose": -1, "deterministic": True, "force_row_wise": True, "n_jobs": 2}.items():
            wanted.setdefault(name, value)
    elif unknown := [name for name in params if name not in accepted]:
        raise UsageError(
            f"{where}: {path} has no parameter {unknown[0]!r}.{did_you_mean(unknown[0], accepted)}", REMEDY
        )
    return kind(**wanted)


def weigh_features(pipeline: Pipeline) -> dict[str, float]:
    """Return the importance of each feature as a share, the greatest first; empty if the estimator says nothing."""
    model, types = pipeline.named_steps["model"], pipeline.named_steps["types"]
    weights = getattr(model, "feature_importances_", None)
    if weights is None and hasattr(model, "coef_"):
        weights = np.abs(np.atleast_2d(model.coef_)).mean(axis=0)
    if weights is None:
        return {}
    found = dict.fromkeys(types.kinds_, 0.0)
    origin = {column: name for name in types.kinds_ for column in types.columns_of(name)}
    for column, weight in zip(pipeline[:-1].get_feature_names_out(), weights, strict=True):
        found[_origin_of(str(column), origin)] += float(weight)
    total = sum(found.values()) or 1.0
    return {name: found[name] / total for name in sorted(found, key=lambda name: -found[name])}


def _origin_of(column: str, origin: Mapping[str, str]) -> str:
    """Return the feature that an encoded column was made of: encoders put a mark before or a value after its name."""
    column = column.removeprefix("missingindicator_")
    if column in origin:
        return origin[column]
    return max((name for name in origin.values() if column.startswith(f"{name}_")), key=len)


def _find_class(path: str, where: str) -> Any:
    module, _, name = path.rpartition(".")
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise UsageError(
            f"{where}: estimator {path} cannot be imported ({error}).", "Install its package, or name another class."
        ) from None
    kind = getattr(found, name, None)
    if kind is None or not inspect.isclass(kind) or not hasattr(kind, "get_params"):
        classes = [one for one in dir(found) if inspect.isclass(getattr(found, one, None))]
        raise UsageError(
            f"{where}: {module} has no estimator {name!r}.{did_you_mean(name, classes)}",
            "Name a class with scikit-learn's interface, such as lightgbm.LGBMClassifier.",
        )
    return kind


def _places(name: str, length: int) -> list[str]:
    return [f"{name}_{place}" for place in range(length)]


def _spread(name: str, values: "pd.Series", length: int) -> dict[str, np.ndarray]:
    """Return the places of lists as columns; a shorter list has nulls there, a longer one is cut."""
    matrix = np.full((len(values), length), np.nan)
    for row, one in enumerate(values):
        if one is not None:
            numbers = np.frombuffer(one, np.uint8) if isinstance(one, bytes) else one
            matrix[row, : min(len(one), length)] = numbers[:length]
    return dict(zip(_places(name, length), matrix.T, strict=True))
