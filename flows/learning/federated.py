"""Federated training by site: rows stay in each site's own database file, and coefficients alone leave it.

A logistic regression is trained by federated averaging. The coordinator has no access to the files: it sends
coefficients, and gets back an Update or Moments. A secure aggregation takes the place of `average`: it sees the
updates of all sites together. None is implemented here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import duckdb
import numpy as np

from flows.core.errors import UsageError
from flows.core.names import identifier

FEWEST_ROWS = 20
"""A site with fewer rows answers nothing: sums of a few rows would tell the rows."""

EPOCHS, PENALTY, RATE = 5, 1e-3, 1.0


@dataclass(frozen=True)
class Moments:
    """The number of rows of a site, and the sums of its features and of their squares, nulls left out."""

    counts: np.ndarray
    sums: np.ndarray
    squares: np.ndarray


@dataclass(frozen=True)
class Update:
    """The coefficients that a site found, the intercept last, and its number of rows."""

    coefficients: np.ndarray
    rows: int


@dataclass(frozen=True)
class Scale:
    """The mean and the deviation of each feature over all sites; a null becomes the mean."""

    means: np.ndarray
    deviations: np.ndarray

    def apply(self, values: np.ndarray) -> np.ndarray:
        """Return scaled features with a column of ones for the intercept."""
        scaled = np.nan_to_num((values - self.means) / self.deviations, nan=0.0)
        return np.column_stack([scaled, np.ones(len(values))])


class Site(Protocol):
    """A site as the coordinator sees it; it may be at the other end of a network."""

    def measure(self) -> Moments:
        """Return the sums by which features are scaled."""
        ...

    def train(self, coefficients: np.ndarray, scale: Scale) -> Update:
        """Train on the site's rows from given coefficients on."""
        ...


@dataclass(frozen=True)
class SiteFile:
    """A site whose rows are in a table of its own DuckDB file."""

    path: Path
    table: str
    features: tuple[str, ...]
    label: str

    def measure(self) -> Moments:
        """Return counts and sums; raises UsageError for a site of too few rows."""
        values, _ = self._rows()
        known = np.isfinite(values)
        filled = np.where(known, values, 0.0)
        return Moments(known.sum(axis=0), filled.sum(axis=0), (filled**2).sum(axis=0))

    def train(self, coefficients: np.ndarray, scale: Scale) -> Update:
        """Take some steps of gradient descent on the site's own rows."""
        values, truth = self._rows()
        rows = scale.apply(values)
        return Update(descend(coefficients, rows, truth, EPOCHS), len(truth))

    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        listed = ", ".join(f"cast({identifier(name)} as double)" for name in self.features)
        with duckdb.connect(str(self.path), read_only=True) as connection:
            sql = f"select {listed}, cast({identifier(self.label)} as integer) from {identifier(self.table)}"
            found = np.array(connection.execute(sql).fetchall(), dtype=float).reshape(-1, len(self.features) + 1)
        if len(found) < FEWEST_ROWS:
            raise UsageError(
                f"The site {self.path.stem} has {len(found)} rows; {FEWEST_ROWS} are needed at least.",
                "Leave the site out, or wait for more rows: sums of a few rows would tell the rows.",
            )
        return found[:, :-1], found[:, -1]


@dataclass(frozen=True)
class FederatedModel:
    """A logistic regression of all sites."""

    coefficients: np.ndarray
    scale: Scale

    def score(self, values: np.ndarray) -> np.ndarray:
        """Return the probability of the label for each row of features."""
        return sigmoid(self.scale.apply(values) @ self.coefficients)


def average(updates: Sequence[Update]) -> np.ndarray:
    """Return the mean of coefficients, weighted by rows."""
    weights = np.array([one.rows for one in updates], dtype=float)
    return np.average([one.coefficients for one in updates], axis=0, weights=weights)


def train_federated(
    sites: Sequence[Site], rounds: int, aggregate: Callable[[Sequence[Update]], np.ndarray] = average
) -> FederatedModel:
    """Train over all sites: in each round they start from the same coefficients, and the results are averaged."""
    moments = [site.measure() for site in sites]
    counts = np.maximum(sum(one.counts for one in moments), 1)
    means = sum(one.sums for one in moments) / counts
    variances = sum(one.squares for one in moments) / counts - means**2
    scale = Scale(means, np.sqrt(np.maximum(variances, 1e-12)))
    coefficients = np.zeros(len(means) + 1)
    for _ in range(rounds):
        coefficients = aggregate([site.train(coefficients, scale) for site in sites])
    return FederatedModel(coefficients, scale)


def descend(coefficients: np.ndarray, rows: np.ndarray, truth: np.ndarray, steps: int) -> np.ndarray:
    """Take steps of gradient descent on the penalised logistic loss; the intercept has no penalty."""
    penalised = np.r_[np.ones(rows.shape[1] - 1), 0.0] * PENALTY
    rate = RATE * 4 / max(np.linalg.eigvalsh(rows.T @ rows / len(rows)).max(), 1e-12)
    for _ in range(steps):
        gradient = rows.T @ (sigmoid(rows @ coefficients) - truth) / len(truth) + penalised * coefficients
        coefficients = coefficients - rate * gradient
    return coefficients


def sigmoid(values: np.ndarray) -> np.ndarray:
    """Return the logistic function."""
    return np.asarray(1 / (1 + np.exp(-np.clip(values, -50, 50))))
