"""Prefect artifacts of a run: its loads and its release, or the findings of a failed gate."""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from html import escape

from prefect.artifacts import create_table_artifact

from flows.config.settings import DataFolder
from flows.core.errors import GateFailed
from flows.core.redaction import scrub
from flows.outcome import Outcome, load_rows

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
        _show(f"failed-gate-{folder.path.name}", rows, text)
        raise


def show_outcome(outcome: Outcome) -> None:
    """Show what a run loaded, built and published."""
    warnings = "\n".join(f"- {escape(warning, quote=False)}" for warning in outcome.warnings)
    text = f"**{outcome.published}**\n\n{outcome.headline}\n\n{warnings}"
    _show(f"loads-{outcome.folder.path.name}", load_rows(outcome.loads), text)


def _show(name: str, rows: Sequence[Mapping[str, object]], text: str) -> None:
    """Hand a table to Prefect, under a key of the kind that it takes; a run does not fail for it."""
    key = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")
    try:
        create_table_artifact([dict(row) for row in rows], key=key, description=text)
    except Exception as error:  # noqa: BLE001 - the run is worth more than its picture
        logger.warning("Prefect took no artifact %s: %s", key, type(error).__name__)
