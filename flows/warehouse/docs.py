"""The docs site: one file that opens without a network, of the release that readers see."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # dbt takes seconds to import, and make docs has run it already
    from flows.warehouse.runner import Dbt


def write_docs(dbt: "Dbt") -> None:
    """Generate dbt's docs from the published release and put them in their place, as one file."""
    dbt.run("docs", "generate", "--no-compile", target="release")
    place = dbt.folder.docs
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(inline_docs(dbt.folder.target), place)


def inline_docs(target: Path) -> Path:
    """Make dbt's docs site one file, `static_index.html`, and return it.

    dbt's own writes names as they are into the page's script: a source's column called </script> would end it.
    """
    page = (target / "index.html").read_text()
    for name in ("manifest", "catalog"):
        data = (target / f"{name}.json").read_text().replace("<", "\\u003c")
        page = page.replace(f'"{name.upper()}.JSON INLINE DATA"', data)
    made = target / "static_index.html"
    made.write_text(page)
    return made
