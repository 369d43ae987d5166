"""The docs site: one file that opens without a network, of the release that readers see."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # dbt takes seconds to import, and make docs has run it already
    from flows.warehouse.dbt import Dbt

END = "</html>"


def write_docs(dbt: "Dbt", code: str) -> None:
    """Generate dbt's docs from the published release and put them in their place, as one file.

    They describe the code, not the rows, so docs of the same `code` are kept.
    """
    place = dbt.folder.docs
    mark = f"<!-- code {code} -->{END}".encode()
    if place.exists() and _ending(place, len(mark)) == mark:
        return
    dbt.run("docs", "generate", "--no-compile", target="release")
    place.parent.mkdir(parents=True, exist_ok=True)
    page = inline_docs(dbt.folder.target)
    page.write_bytes(page.read_bytes().rstrip().removesuffix(END.encode()) + mark)
    os.replace(page, place)


def _ending(file: Path, size: int) -> bytes:
    with file.open("rb") as stream:
        stream.seek(-min(size, file.stat().st_size), os.SEEK_END)
        return stream.read()


def inline_docs(target: Path) -> Path:
    """Make dbt's docs site one file, `static_index.html`, and return it.

    dbt's own writes names as they are into the page's script: a source's column called </script> would end it.
    """
    page = (target / "index.html").read_text()
    for name in ("manifest", "catalog"):
        content = json.loads((target / f"{name}.json").read_text())
        for macro in content.get("macros", {}).values():
            macro["description"] += _list_examples(macro["config"]["meta"].get("examples", []))
        data = json.dumps(content).replace("<", "\\u003c")
        page = page.replace(f'"{name.upper()}.JSON INLINE DATA"', data)
    made = target / "static_index.html"
    made.write_text(page)
    return made


def _list_examples(examples: list[dict[str, Any]]) -> str:
    """Return a macro's examples as Markdown, since dbt's site shows no meta of macros."""
    return "".join(
        f"\n\n`{example['call']}` gives `{json.dumps(example['gives'], ensure_ascii=False)}`"
        + "".join(f"; {part} `{example[part]}`" for part in ("given", "query") if part in example)
        + (f" ({example['case']})" if "case" in example else "")
        for example in examples
    )
