"""The outcome of trainings and scorings, in the words that the terminal and Prefect share."""

from dataclasses import dataclass, field

from flows.config.settings import DataFolder, command
from flows.learning.drift import DriftMeasure
from flows.learning.promotion import TrainOutcome


@dataclass(frozen=True)
class TrainReport:
    """The outcomes of a run that trained models."""

    folder: DataFolder
    release: str
    outcomes: tuple[TrainOutcome, ...]
    seconds: float

    @property
    def headline(self) -> str:
        """One line on what became of the models."""
        counts: dict[str, int] = {}
        for one in self.outcomes:
            counts[one.verdict] = counts.get(one.verdict, 0) + 1
        listed = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        return f"{len(self.outcomes)} models on release {self.release}: {listed}, {self.seconds:.0f} s"

    @property
    def reasons(self) -> list[str]:
        """The reasons of each outcome."""
        return [f"{one.name}: {one.verdict}; {reason}" for one in self.outcomes for reason in one.reasons]


@dataclass(frozen=True)
class ScoreOutcome:
    """The outcome of scoring a model: rows, measures of drift beyond their limits, and the verdict."""

    name: str
    verdict: str
    version: int | None = None
    rows: int = 0
    drifted: tuple[DriftMeasure, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def row(self) -> dict[str, str]:
        """The outcome as a row of a table."""
        return {
            "model": self.name,
            "verdict": self.verdict,
            "version": str(self.version or "—"),
            "rows": f"{self.rows:,}",
            "drifted": str(len(self.drifted)),
        }


@dataclass(frozen=True)
class ScoreReport:
    """The outcomes of a run that scored rows."""

    folder: DataFolder
    release: str
    outcomes: tuple[ScoreOutcome, ...]
    trained: tuple[TrainOutcome, ...] = field(default=())
    seconds: float = 0.0

    @property
    def headline(self) -> str:
        """One line on what was scored."""
        rows = sum(one.rows for one in self.outcomes)
        retrained = f", {len(self.trained)} trained again because of drift" if self.trained else ""
        return f"{rows:,} predictions for release {self.release}{retrained}, {self.seconds:.0f} s"

    @property
    def reasons(self) -> list[str]:
        """The notes and the measures beyond their limits, by model."""
        lines = [f"{one.name}: {note}" for one in self.outcomes for note in one.notes]
        lines += [f"{one.name} has drifted, {measure}" for one in self.outcomes for measure in one.drifted]
        return lines + [f"{one.name}: {one.verdict}; {reason}" for one in self.trained for reason in one.reasons]

    @property
    def next_command(self) -> str:
        """The command that brings the predictions into the warehouse."""
        return f"{command()} elt"
