"""Prefect artifacts of a run: its loads and its release, or the findings of a failure."""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from html import escape

import duckdb
from prefect.artifacts import create_table_artifact

from flows.config.settings import DataFolder
from flows.core.errors import GateFailed, HeldBack, WarehouseError
from flows.core.names import TableName
from flows.core.redaction import scrub
from flows.ingest.load import LoadResult
from flows.lake.quarantine_report import count_quarantine
from flows.orchestration.steps import RecordedRun, step
from flows.outcome import FailedRun, Outcome, load_rows
from flows.warehouse.diff import Comparison, compare_databases
from flows.warehouse.project_map import ProjectMap, docs_page
from flows.warehouse.releases import previous_release, release_file

logger = logging.getLogger(__name__)


@contextmanager
def failure_listed(folder: DataFolder) -> Iterator[None]:
    """Show what a gate found, by keys alone, or why a run failed else; with the next command and pages of the docs."""
    try:
        yield
    except HeldBack as failure:
        told = [{"what": line} for cause in failure.causes for line in scrub(cause.fault).splitlines()]
        text = f"**{escape(scrub(str(failure)).splitlines()[0], quote=False)}**"
        show_rows(f"failures-{folder.path.name}", told, text)
        raise
    except GateFailed as failure:
        rows = [
            {
                "model or source": finding.where,
                "failures": finding.failures,
                "failing row": row,
                "finding": scrub(finding.what),
            }
            for finding in failure.findings
            for row in finding.rows or ("",)
        ]
        text = f"**The {failure.gate} gate failed, nothing was published.**\n\n{_next_step(failure.remedy)}"
        places = "\n".join(_pages(folder, dict.fromkeys(finding.where for finding in failure.findings)))
        show_rows(f"gates-{folder.path.name}", rows, f"{text}\n\n{places}".strip())
        raise
    except WarehouseError as failure:
        lines = scrub(str(failure)).splitlines()
        rows = [{"what": line} for line in lines]
        text = f"**The run failed: {escape(lines[0], quote=False)}**\n\n{_next_step(getattr(failure, 'remedy', ''))}"
        show_rows(f"failures-{folder.path.name}", rows, text.strip())
        raise


def _next_step(remedy: str) -> str:
    return f"**Next:** {escape(scrub(remedy), quote=False)}" if remedy else ""


def _pages(folder: DataFolder, names: Iterable[str]) -> Iterator[str]:
    """Yield a link to the docs of each table that findings name, with its owner."""
    project = ProjectMap.read(folder)
    for name in names:
        if page := docs_page(folder, project, name):
            owner = project.owner(name)
            yield f"- [{escape(name, quote=False)}]({page})" + (f", of {escape(owner, quote=False)}" if owner else "")


@contextmanager
def failed_run_told(run: RecordedRun) -> Iterator[list[LoadResult]]:
    """Yield the list of a run's loads; if the run fails, show them, and hand them on with the error."""
    folder, loads = run.folder, run.loads
    try:
        yield loads
    except HeldBack:  # its loads are shown already
        raise
    except WarehouseError as error:
        quarantine: Mapping[TableName, int] = {}
        with suppress(Exception):  # the failure itself is the one to tell
            quarantine = count_quarantine(folder.lake)
        failed = FailedRun(folder, tuple(loads), quarantine, run.options)
        if loads or quarantine:
            error.summary = failed
            text = f"**The run failed; what it had committed stays in the lake.**\n\n{_listed(failed.warnings)}"
            show_rows(f"loads-{folder.path.name}", load_rows(failed.loads), text)
        raise


def show_outcome(outcome: Outcome) -> None:
    """Show what a run loaded, built and published."""
    text = f"**{outcome.published}**\n\n{outcome.headline}\n\n{_listed(outcome.new_warnings)}"
    if outcome.standing_warnings:
        text += f"\n\nAs in the release before:\n\n{_listed(outcome.standing_warnings)}"
    name = outcome.folder.path.name
    show_rows(f"loads-{name}", load_rows(outcome.loads), text)
    passed = f"{outcome.verdict.passed:,} tests passed, {outcome.verdict.carried_over:,} results were carried over"
    new = set(outcome.new_warnings)
    rows = [{"warning": text, "is new": text in new} for text in outcome.verdict.warnings]
    show_rows(f"gates-{name}", rows, f"**All gates passed.**\n\n{passed}, {len(rows):,} warnings.")


@step("compare releases")
def show_changes(folder: DataFolder, release: str) -> None:
    """Show what differs between a published release and the one before it; a run does not fail for it."""
    before = previous_release(folder, release)
    if before is None:
        return
    try:
        found = compare_databases(release_file(folder, before), release_file(folder, release), keys=0)
    except (duckdb.Error, WarehouseError) as error:
        logger.warning("the release could not be compared with %s: %s", before, type(error).__name__)
        return
    show_comparison(folder, before, release, found)


def show_comparison(folder: DataFolder, before: str, after: str, found: Comparison) -> None:
    """Show what differs between two databases, intermediate tables left out."""
    rows = [one.row for one in found.without_steps.differences]
    text = f"**{before} → {after}**\n\n{len(rows)} tables and functions differ, {found.equal} tables are equal."
    show_rows(f"diff-{folder.path.name}", rows, text)


def _listed(texts: Sequence[str]) -> str:
    return "\n".join(f"- {escape(text, quote=False)}" for text in texts)


def show_rows(name: str, rows: Sequence[Mapping[str, object]], text: str) -> None:
    """Hand a table to Prefect, under a key of the kind that it takes; a run does not fail for it."""
    key = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    try:
        create_table_artifact([dict(row) for row in rows], key=key, description=text)
    except Exception as error:  # noqa: BLE001 - the run is worth more than its picture
        logger.warning("Prefect took no artifact %s: %s", key, type(error).__name__)
