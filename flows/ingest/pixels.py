"""Pixels: decoded within bounds, measured, and written as PNG, with the same result on every machine."""

import math
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from flows.sources.files.documents import UNREADABLE, Unreadable, open_image

Pixels = NDArray[np.uint8]
"""Height × width × red, green and blue."""

LONGEST_MEASURED = 512
"""Pixels a side of what is measured: a larger image is made smaller first, so that sharpness can be compared."""

LEVELS = 8
"""Into how many levels each of red, green and blue is cut, to find the colour that most pixels have."""

STORED_BLOCK = 65_535
PNG_HEADER = b"\x89PNG\r\n\x1a\n"


def decode_image(content: bytes) -> Pixels:
    """Return an image's pixels upright, its first frame, on white where it is transparent.

    Raises Unreadable for what is no image, damaged, or more than `open_image` lets through.
    """
    image = open_image(content)
    try:
        upright = _to_eight_bits(ImageOps.exif_transpose(image))
        if upright.has_transparency_data:
            white = Image.new("RGBA", upright.size, "white")
            upright = Image.alpha_composite(white, upright.convert("RGBA"))
        return np.asarray(upright.convert("RGB"))
    except UNREADABLE:
        raise Unreadable("is a damaged image") from None


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Return a grey image of 16 bits a pixel, as PNGs of scanners are, in 8; Pillow would make white of nearly all."""
    if not image.mode.startswith("I"):
        return image
    deep = np.asarray(image)
    grey = Image.fromarray((deep >> 8).astype(np.uint8))
    if (transparent := image.info.get("transparency")) is not None:
        grey.putalpha(Image.fromarray(np.where(deep == transparent, 0, 255).astype(np.uint8)))
    return grey


def measure_image(pixels: Pixels) -> dict[str, Any]:
    """Return an image's features: all sums are of integers, so that no machine rounds them otherwise."""
    height, width = pixels.shape[:2]
    small = shrink(pixels, LONGEST_MEASURED)
    red, green, blue = (int(total) for total in small.sum(axis=(0, 1), dtype=np.int64))
    luma = _luma(small)
    count = luma.size
    total, squares = int(luma.sum()), int((luma * luma).sum())
    colour, share = _dominant_colour(small)
    return {
        "width": width,
        "height": height,
        "aspect_ratio": width / height,
        "mean_red": red / count,
        "mean_green": green / count,
        "mean_blue": blue / count,
        "brightness": total / count,
        "contrast": math.sqrt(count * squares - total * total) / count,
        "edge_energy": _edge_energy(luma),
        "sharpness": _sharpness(luma),
        "dominant_colour": colour,
        "dominant_colour_share": share,
        "average_hash": _average_hash(luma),
    }


def make_thumbnail(pixels: Pixels, side: int) -> Pixels:
    """Return a square copy of `side` pixels, each the mean of those in its place. The ratio of the sides is lost."""
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX))


def shrink(pixels: Pixels, longest: int) -> Pixels:
    """Average square blocks of pixels, as large as needed for no side to be longer."""
    factor = -(-max(pixels.shape[:2]) // longest)
    return pixels if factor == 1 else np.asarray(Image.fromarray(pixels).reduce(factor))


def encode_png(pixels: Pixels) -> bytes:
    """Write pixels as a PNG whose bytes follow from the pixels alone.

    They are stored, not deflated: what deflate makes of them differs between libraries. The lake packs its columns.
    """
    height, width = pixels.shape[:2]
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return PNG_HEADER + _chunk(b"IHDR", header) + _chunk(b"IDAT", _stored(rows.tobytes())) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _stored(content: bytes) -> bytes:
    """Wrap bytes as a zlib stream of stored blocks (RFC 1950 and 1951)."""
    blocks = [b"\x78\x01"]
    for start in range(0, len(content), STORED_BLOCK):
        block = content[start : start + STORED_BLOCK]
        is_last = start + STORED_BLOCK >= len(content)
        blocks += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*blocks, struct.pack(">I", zlib.adler32(content))])


def _luma(pixels: Pixels) -> NDArray[np.int64]:
    """Return how bright each pixel looks, 0 to 255, by the weights of ITU-R BT.601."""
    red, green, blue = (pixels[:, :, channel].astype(np.int64) for channel in range(3))
    return (299 * red + 587 * green + 114 * blue + 500) // 1000


def _dominant_colour(pixels: Pixels) -> tuple[str, float]:
    """Return the mean of the pixels in the fullest of LEVELS³ boxes of colours as #rrggbb, and their share."""
    flat = pixels.reshape(-1, 3).astype(np.int64)
    levels = flat * LEVELS // 256
    boxes = (levels[:, 0] * LEVELS + levels[:, 1]) * LEVELS + levels[:, 2]
    fullest = int(np.bincount(boxes, minlength=LEVELS**3).argmax())
    inside = flat[boxes == fullest]
    mean = (2 * inside.sum(axis=0) + len(inside)) // (2 * len(inside))
    return "#" + "".join(f"{int(channel):02x}" for channel in mean), len(inside) / len(flat)


def _edge_energy(luma: NDArray[np.int64]) -> float:
    """Return the mean difference between neighbours, across and down; 0 for a single pixel."""
    steps = [np.abs(np.diff(luma, axis=axis)) for axis in (0, 1)]
    count = sum(step.size for step in steps)
    return sum(int(step.sum()) for step in steps) / count if count else 0.0


def _sharpness(luma: NDArray[np.int64]) -> float:
    """Return the variance of the Laplacian, the usual measure of focus; 0 if no pixel has four neighbours."""
    if min(luma.shape) < 3:
        return 0.0
    inner = 4 * luma[1:-1, 1:-1]
    laplacian = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - inner
    count, total, squares = laplacian.size, int(laplacian.sum()), int((laplacian * laplacian).sum())
    return (count * squares - total * total) / (count * count)


def _average_hash(luma: NDArray[np.int64]) -> int:
    """Return 64 bits, one for each cell of an 8 × 8 grid, set if it is brighter than the mean of all; signed.

    Like images have hashes that differ in few bits, whatever their size; the first bit is the upper left cell.
    """
    cells = np.asarray(Image.fromarray(luma.astype(np.uint8)).resize((8, 8), Image.Resampling.BOX)).astype(np.int64)
    bits = (64 * cells > cells.sum()).flatten()
    number = int("".join("1" if bit else "0" for bit in bits), 2)
    return number - (1 << 64) if number >> 63 else number
