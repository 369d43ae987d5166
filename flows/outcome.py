"""The outcome of a run, in the words that the terminal and Prefect share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flows.config.settings import DataFolder, command
from flows.core.names import TableName

if TYPE_CHECKING:  # dbt takes seconds to import, and most commands do without it
    from flows.ingest.load import LoadResult
    from flows.warehouse.build import Build
    from flows.warehouse.gates import Verdict
    from flows.warehouse.release import Release


@dataclass(frozen=True)
class Outcome:
    """The result of a run.

    `release` is None if nothing was new, or if only a selection was built and tested: then `is_whole` is false.
    `example` is a query on the result, `notes` are remarks
    on the sources, `seconds` is the time of the whole run. `options` name the set, and its file, in a next command.
    `quarantine` counts all records in quarantine by table. `unpublished` is what to say if only a selection was built,
    or if all of it was a trial.
    """

    folder: DataFolder
    loads: "tuple[LoadResult, ...]"
    build: "Build"
    verdict: "Verdict"
    release: "Release | None"
    notes: tuple[str, ...]
    example: str
    seconds: float
    quarantine: Mapping[TableName, int]
    options: str
    is_whole: bool = True
    unpublished: str = (
        "the selection was built and tested in the candidate; nothing is published, a release holds every model"
    )

    @property
    def headline(self) -> str:
        """One line on what was built and tested, and on what was kept since nothing about it has changed."""
        kinds = ("model", "seed", "snapshot")
        built, held, before = self.build.count(*kinds), self.build.held, self.build.taken_over
        here = [state.unique_id for state in self.build.kept(*kinds)]
        kept, taken = sum(key not in held | before for key in here), sum(key in before for key in here)
        models = f"{built} models, seeds and snapshots built" + (f", {kept} unchanged" if kept else "")
        models += f", {taken} taken over from a run that did not end" if taken else ""
        carried_over = f", {self.verdict.carried_over} carried over" if self.verdict.carried_over else ""
        return f"{models}; {self.verdict.passed} tests passed{carried_over}{self._warned}"

    @property
    def _warned(self) -> str:
        new, standing = len(self.new_warnings), len(self.standing_warnings)
        return f", {new + standing} warnings" + (f", {new or 'none'} of them new" if standing else "")

    @property
    def warnings(self) -> list[str]:
        """Warnings of a run that passed: tests, quarantine, remarks on sources; new ones first."""
        return [*self.new_warnings, *self.standing_warnings]

    @property
    def new_warnings(self) -> list[str]:
        """Warnings that the last release did not have, tables with new records in quarantine, and remarks."""
        tests = [warning for warning in self.verdict.warnings if warning not in self.verdict.standing]
        return [*tests, *self._quarantined[0], *self.notes]

    @property
    def standing_warnings(self) -> list[str]:
        """Warnings of tests that warned in the last release too, and tables whose quarantine has no new record."""
        return [*self.verdict.standing, *self._quarantined[1]]

    @property
    def standing(self) -> str:
        """One line on the warnings that are not new, with the command that lists them; empty without any."""
        count = len(self.standing_warnings)
        command_of = f"{command()} status --warnings {self.options}".rstrip()
        return f"{count} warnings are as in the release before ({command_of})" if count else ""

    @property
    def _quarantined(self) -> tuple[list[str], list[str]]:
        """The lines of tables with new records in quarantine, and those of the others."""
        changed = [load for load in self.loads if load.total.quarantined]
        new = {load.table for load in changed}
        before = {table: count for table, count in self.quarantine.items() if table not in new}
        now = {table: count for table, count in self.quarantine.items() if table in new}
        return quarantine_lines(changed, now, self.options), quarantine_lines((), before, self.options)

    @property
    def published(self) -> str:
        """Which release readers see after the run, if it made one."""
        if self.release is None and self.is_whole:
            return f"nothing is new, so nothing is published: the last release holds it all, {self.seconds:.0f} s"
        if self.release is None:
            return self.unpublished
        return f"release {self.release.name} is published, {self.seconds:.0f} s"


@dataclass(frozen=True)
class FailedRun:
    """The loads of a run that failed, with remarks, and all records in quarantine, by table."""

    folder: DataFolder
    loads: "tuple[LoadResult, ...]"
    quarantine: Mapping[TableName, int]
    options: str

    @property
    def warnings(self) -> list[str]:
        """Remarks on the tables."""
        incomplete = [
            f"{load.table}: its load failed after these counts" for load in self.loads if not load.is_complete
        ]
        notes = [text for load in self.loads for text in load.notes]
        return [*incomplete, *quarantine_lines(self.loads, self.quarantine, self.options), *notes]


def quarantine_lines(loads: "Sequence[LoadResult]", quarantine: Mapping[TableName, int], options: str) -> list[str]:
    """Return a line for each table with records in quarantine: how many are new and how many there are in all."""
    new = {load.table: load.total.quarantined for load in loads}
    lines = []
    for table in sorted({name for name, count in (new | dict(quarantine)).items() if count}):
        count, total = new.get(table, 0), quarantine.get(table, 0)
        newly = f"{count:,} newly in quarantine" + (f", {total:,} in all" if total > count else "")
        lines.append(
            f"{table}: {newly if count else f'{total:,} in quarantine'} ({command()} quarantine {table} {options})"
        )
    return lines


def load_rows(loads: "Sequence[LoadResult]") -> list[dict[str, str]]:
    """Return what was loaded, one row per source table."""
    return [
        {
            "table": str(load.table),
            "read": f"{load.total.read:,}",
            "accepted": f"{load.total.accepted:,}",
            "quarantined": f"{load.total.quarantined:,}",
            "known": f"{load.total.known:,}",
            "duplicate": f"{load.total.duplicate:,}",
            "seconds": f"{load.seconds:.1f}",
        }
        for load in loads
    ]
