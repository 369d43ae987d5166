"""Write the parts of README.md that come from the project itself: `python -m tests.readme`.

The table of marts comes from the YAML of the models: each mart's description begins with its question, in bold.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[1]
README = PROJECT / "README.md"
BEGIN, END = "<!-- marts: written by make readme -->", "<!-- end of marts -->"
OF_A_LABEL = ("train_", "score_")
QUESTION = re.compile(r"\*\*(.+?\?)\*\*")


def marts() -> Iterator[tuple[str, str, str]]:
    """Yield department, name and question of each mart that a release holds."""
    for file in sorted((PROJECT / "models" / "marts").glob("*/_*__models.yml")):
        for model in yaml.safe_load(file.read_text(encoding="utf-8"))["models"]:
            if found := QUESTION.match(" ".join(model["description"].split())):
                yield file.parent.name, model["name"], found[1]


def table() -> str:
    """Return the lines between the marks of README."""
    found = sorted(marts())
    listed = [(folder, name, question) for folder, name, question in found if not name.startswith(OF_A_LABEL)]
    lines = ["<details>", f"<summary>{len(found)} marts, each with the question that it answers</summary>", ""]
    lines += ["| department | table | question |", "|---|---|---|"]
    department = ""
    for folder, name, question in listed:
        shown = "" if folder == department else folder.replace("_", " ")
        lines.append(f"| {shown} | `{name}` | {question} |")
        department = folder
    beside = "Beside each `label_…` a model `train_…` has the rows to learn from, and `score_…` those of today."
    return "\n".join([*lines, "", beside, "", "</details>"])


def written(text: str) -> str:
    """Return a README with the present table."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{after}"


def main() -> None:
    """Write README.md, and say whether it has changed."""
    text = README.read_text(encoding="utf-8")
    README.write_text(written(text), encoding="utf-8")
    sys.stdout.write("README.md was written again\n" if written(text) != text else "README.md is as it was\n")


if __name__ == "__main__":
    main()
