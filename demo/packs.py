"""Draw the pictures of the pharmacy's packs, as `content.sql` describes them."""

from io import BytesIO
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 96
CELL = 12
FIELDS = (5, 6)
"""Number of the label's fields, down and across."""

BACKGROUND, PACK, LABEL = 0, 1, 2
GREY, WHITE = (205, 205, 205), (255, 255, 255)

PARTS = {
    "box": ((8, 90, 8, 88),),
    "bottle": ((6, 22, 34, 62), (22, 92, 8, 88)),
    "jar": ((8, 22, 4, 92), (22, 90, 8, 88)),
}
"""The rectangles of each shape: top, bottom, left, right."""


def draw_packs(place: Path, made: duckdb.DuckDBPyConnection) -> None:
    """Write the new pictures, each by an atomic rename; a second call changes nothing."""
    place.mkdir(parents=True, exist_ok=True)
    news = made.execute(
        "select picture_id, kind, shape, [red, green, blue], label from pictures where is_news(shown_day_number)"
    ).fetchall()
    for name, kind, shape, colour, label in news:
        picture = _draw(shape, colour, label, brightness_pct=106 if kind == "brighter" else 100)
        unfinished = place / f"{name}.unfinished"
        unfinished.write_bytes(picture[: len(picture) * 2 // 3] if kind == "broken" else picture)
        unfinished.replace(place / f"{name}.png")


def _draw(shape: str, colour: list[int], label: int, *, brightness_pct: int) -> bytes:
    """Return a PNG of a pack. At most half of the label's fields are white, so the colour of the pack dominates."""
    pixels = np.full((SIDE, SIDE), BACKGROUND, np.uint8)
    for top, bottom, left, right in PARTS[shape]:
        pixels[top:bottom, left:right] = PACK
    fields = _fields(label)
    down, across = FIELDS
    area = pixels[2 * CELL : (2 + down) * CELL, CELL : (1 + across) * CELL]
    area[fields.repeat(CELL, axis=0).repeat(CELL, axis=1)] = LABEL
    image = Image.fromarray(pixels, "P")
    palette = [channel for one in (GREY, colour, WHITE) for channel in one]
    image.putpalette([min(255, channel * brightness_pct // 100) for channel in palette])
    written = BytesIO()
    image.save(written, "PNG")
    return written.getvalue()


def _fields(label: int) -> NDArray[np.bool_]:
    down, across = FIELDS
    bits = np.array([bool(label >> at & 1) for at in range(down * across)]).reshape(FIELDS)
    return ~bits if bits.sum() > bits.size // 2 else bits
