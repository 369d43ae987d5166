"""The commit that is checked out."""

import subprocess
from pathlib import Path


def describe_commit(project: Path) -> str | None:
    """Return the commit that is checked out, marked if the tree differs from it; None outside a checkout."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return described.stdout.strip() or None
