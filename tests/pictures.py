"""Draw the pictures of README.md: `python -m tests.pictures run` and `python -m tests.pictures site FOLDER CHROMIUM`.

`run` runs the demo at a small scale in a temporary data folder, and draws what it prints. `site` takes a picture of a
page of a docs site, such as data/demo/docs, by headless Chromium. All of their data are made up.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

PROJECT = Path(__file__).parents[1]
PICTURES = PROJECT / "docs"
SCALE, WIDTH, SECONDS = "0.1", 128, 20_000
PAGE = "tables/growth.churn_states.html"
SIZE = "1400,860"
WARNING = re.compile(r" {4}\S")
"""A line of the summary that is a warning, by its indentation."""


def draw_run() -> Path:
    """Run the demo twice, draw the second day as a terminal shows it, and return the picture."""
    with tempfile.TemporaryDirectory(prefix="picture-") as folder:
        environment = os.environ | {"ML_WAREHOUSE_DATA": folder, "VIRTUAL_ENV": sys.prefix}
        command = [sys.executable, "-m", "flows", "demo", "--scale", SCALE]
        for _ in range(2):
            ran = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env=environment, check=True)
        said = f"$ python -m flows demo\n{ran.stdout}".replace(folder, "data")
        return draw(said.replace(".venv/bin/python", "python"), PICTURES / "run.svg")


def draw(text: str, picture: Path) -> Path:
    """Draw text as a terminal shows it; long lines are cut, and the fonts are the reader's own."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, highlight=False)
        for line in text.rstrip().splitlines():
            style = "bold" if re.search(r"is published| built, ", line) else "yellow" if WARNING.match(line) else ""
            shown = Text(line, style=style, no_wrap=True)
            shown.truncate(WIDTH, overflow="ellipsis")
            console.print(shown)
        drawn = console.export_svg(title="ml-warehouse")
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL), encoding="utf-8")
    return picture


def take_site(folder: Path, chromium: str) -> Path:
    """Take a picture of the page of one mart in a docs site, in 64 colours, and return it."""
    from PIL import Image

    picture = PICTURES / "site.png"
    picture.parent.mkdir(exist_ok=True)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--window-size={SIZE}"]
    options += [f"--virtual-time-budget={SECONDS}", f"--screenshot={picture}"]
    subprocess.run([chromium, *options, (folder.resolve() / PAGE).as_uri()], check=True, capture_output=True)
    with Image.open(picture) as taken:
        taken.convert("P", palette=Image.Palette.ADAPTIVE, colors=64).save(picture, optimize=True)
    return picture


def main() -> None:
    """Draw one picture, and print where it is."""
    match sys.argv[1:]:
        case ["run"]:
            picture = draw_run()
        case ["site", folder, chromium]:
            picture = take_site(Path(folder), chromium)
        case _:
            sys.exit(__doc__)
    sys.stdout.write(f"{picture.relative_to(PROJECT)}: {picture.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
