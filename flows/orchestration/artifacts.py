"""Prefect artifacts of a run: its loads and its release, or the findings of a failed gate."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from html import escape

import duckdb
from prefect.artifacts import create_table_artifact

from flows.config.settings import DataFolder
from flows.core.errors import GateFailed, WarehouseError
from flows.core.names import TableName
from flows.core.redaction import scrub
from flows.ingest.load import LoadResult
from flows.lake.quarantine_report import count_quarantine
from flows.orchestration.steps import step
from flows.outcome import FailedRun, Outcome, load_rows
from flows.warehouse.diff import Comparison, compare_databases
from flows.warehouse.releases import previous_release, release_file

logger = logging.getLogger(__name__)


@contextmanager
def failed_gate_shown(folder: DataFolder) -> Iterator[None]:
    """Show what a gate found, by keys alone, and what to do about it."""
    try:
        yield
    except GateFailed as failure:
        rows = [
            {
                "model or source": finding.where,
                "finding": scrub(finding.what),
                "failures": finding.failures,
                "failing row": row,
            }
            for finding in failure.findings
            for row in finding.rows or ("",)
        ]
        remedy = escape(scrub(failure.remedy), quote=False)
        text = f"The **{failure.gate}** gate failed, nothing was published.\n\n{remedy}"
        show_rows(f"failed-gate-{folder.path.name}", rows, text)
        raise


@contextmanager
def failed_run_told(folder: DataFolder, options: str) -> Iterator[list[LoadResult]]:
    """Yield a list for the loads of a run; if the run fails, show them, and hand them on with the error."""
    loads: list[LoadResult] = []
    try:
        yield loads
    except WarehouseError as error:
        quarantine: Mapping[TableName, int] = {}
        with suppress(Exception):  # the failure itself is the one to tell
            quarantine = count_quarantine(folder.lake)
        failed = FailedRun(folder, tuple(loads), quarantine, options)
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
    show_rows(f"loads-{outcome.folder.path.name}", load_rows(outcome.loads), text)


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
