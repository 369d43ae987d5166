"""The facts that the card of a model shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Measure:
    """A metric with its interval."""

    name: str
    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ModelVersion:
    """A version of a model in the registry."""

    number: int
    release: str
    registered_at: datetime | None
    is_champion: bool
    measured: Measure | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Card:
    """The card of a model that an exposure declares; without `versions` it was never registered.

    `calibration` has pairs of mean score and observed share, `importances` the most important features first.
    """

    name: str
    title: str
    text: str
    owner: str
    label: str
    entity: Sequence[str]
    estimator: str
    metric: str
    tables: Sequence[str]
    horizon: str = ""
    warnings: Sequence[str] = ()
    measured: Measure | None = None
    baselines: Sequence[Measure] = ()
    versions: Sequence[ModelVersion] = ()
    calibration: Sequence[tuple[float, float]] = ()
    importances: Sequence[tuple[str, float]] = ()
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_share(self) -> bool:
        """Whether its scores are shares, which can be compared with what was seen."""
        return all(0 <= value <= 1 for pair in self.calibration for value in pair)

    @property
    def champion(self) -> ModelVersion | None:
        """The version that scores."""
        return next((one for one in self.versions if one.is_champion), None)
