"""The outcome of a run, in the words that the terminal and Prefect share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.config.settings import DataFolder, command

if TYPE_CHECKING:  # dbt takes seconds to import, and most commands do without it
    from flows.ingest.load import LoadResult
    from flows.warehouse.build import Build
    from flows.warehouse.gates import Verdict
    from flows.warehouse.release import Release


@dataclass(frozen=True)
class Outcome:
    """The result of a run.

    `release` is None if only a selection was built and tested. `example` is a query on the result, `notes` are remarks
    on the sources, `seconds` is the time of the whole run.
    """

    folder: DataFolder
    loads: "tuple[LoadResult, ...]"
    build: "Build"
    verdict: "Verdict"
    release: "Release | None"
    notes: tuple[str, ...]
    example: str
    seconds: float

    @property
    def headline(self) -> str:
        """One line on what was built and tested."""
        models = self.build.count("model", "seed", "snapshot")
        earlier = f" and {self.verdict.earlier} unit tests earlier" if self.verdict.earlier else ""
        tests = f"{self.verdict.passed} tests passed{earlier}, {len(self.warnings)} warnings"
        return f"{models} models, seeds and snapshots built, {tests}"

    @property
    def warnings(self) -> list[str]:
        """Warnings of a run that passed: tests, quarantine, remarks on sources."""
        quarantined = [
            f"{load.table}: {load.total.quarantined:,} newly in quarantine "
            f"({command()} quarantine {load.table} --set {self.folder.path.name})"
            for load in self.loads
            if load.total.quarantined
        ]
        return [*self.verdict.warnings, *quarantined, *self.notes]

    @property
    def published(self) -> str:
        """Which release readers see after the run, if it made one."""
        if self.release is None:
            return (
                "the selection was built and tested in the candidate; nothing is published, a release holds every model"
            )
        return f"release {self.release.name} is published, {self.seconds:.0f} s"


def load_rows(loads: "Sequence[LoadResult]") -> list[dict[str, str]]:
    """Return what was loaded, one row per source table."""
    return [
        {
            "table": str(load.table),
            "read": f"{load.total.read:,}",
            "accepted": f"{load.total.accepted:,}",
            "quarantined": f"{load.total.quarantined:,}",
            "duplicate": f"{load.total.duplicate:,}",
            "seconds": f"{load.seconds:.1f}",
        }
        for load in loads
    ]
