"""The docs site: one file that opens without a network, of the release that readers see."""

import os
import shutil

from flows.settings import DataFolder
from flows.warehouse.runner import Dbt


def write_docs(dbt: Dbt) -> None:
    """Generate dbt's static docs from the published release and put them in their place."""
    dbt.run("docs", "generate", "--static", "--no-compile", target="release")
    _install(dbt.folder)


def _install(folder: DataFolder) -> None:
    folder.docs.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.docs.with_suffix(".new")
    shutil.copyfile(folder.target / "static_index.html", fresh)
    os.replace(fresh, folder.docs)
