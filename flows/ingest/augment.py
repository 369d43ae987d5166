"""Augmentation: more images from one by small changes, drawn from a seed and the image's own bytes.

A draw depends only on the seed, the parent's hash, the operation and the number of the copy. All arithmetic on pixels
uses integers. So the same parent has the same children on every machine, in any order.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from flows.core.errors import UsageError
from flows.ingest.pixels import Pixels, shrink

ONE = 1 << 16
"""One in fixed-point numbers."""

MOST_COPIES = 100
LONGEST_SIDE = (8, 2048)


@dataclass(frozen=True)
class Draw:
    """Random numbers for one child."""

    subject: str

    def between(self, name: str, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        digest = hashlib.sha256(f"{self.subject}/{name}".encode()).digest()
        return low + int.from_bytes(digest[:8], "big") % (high - low + 1)


@dataclass(frozen=True)
class Operation:
    """A change of an image: the limits of its bounds, how parameters are drawn within bounds, and what they do."""

    bounds: Mapping[str, tuple[int, int]]
    draw: Callable[[Draw, Mapping[str, int], Pixels], dict[str, int]]
    apply: Callable[[Pixels, Mapping[str, int]], Pixels]


@dataclass(frozen=True)
class Child:
    """An augmented image, with the operation and the parameters that made it."""

    image_id: str
    operation: str
    parameters: str
    pixels: Pixels


@dataclass(frozen=True)
class Recipe:
    """The operations with their bounds, how often each is done, and the seed.

    An image with a side of more than `longest_side` pixels is made smaller first.
    """

    seed: int
    copies: int
    longest_side: int
    operations: Mapping[str, Mapping[str, int]]

    @classmethod
    def parse(cls, where: str, options: Mapping[str, Any]) -> "Recipe":
        """Read a recipe as it is declared; raises UsageError for an operation or bound that does not exist."""
        operations = options.get("operations")
        if not isinstance(operations, dict) or not operations:
            raise UsageError(f"{where} declares no operations.", f"Name some of {', '.join(OPERATIONS)}.")
        recipe = cls(
            _whole(where, options, "seed", 0, (1 << 63) - 1),
            _whole(where, options, "copies", 1, MOST_COPIES),
            _whole(where, options, "longest_side", *LONGEST_SIDE),
            {name: _bounds(f"{where}.operations", name, declared or {}) for name, declared in operations.items()},
        )
        if unknown := options.keys() - {"seed", "copies", "longest_side", "operations"}:
            raise UsageError(f"{where} has {', '.join(sorted(unknown))}, which is no part of a recipe.", "Take it out.")
        return recipe

    def children(self, parent_sha256: str, pixels: Pixels) -> Iterator[Child]:
        """Yield the children of an image, operation by operation; an operation without bounds has one child."""
        pixels = shrink(pixels, self.longest_side)
        for name, bounds in self.operations.items():
            text = json.dumps({**bounds, "longest_side": self.longest_side}, sort_keys=True)
            for number in range(1, self.copies + 1 if bounds else 2):
                subject = f"{self.seed}/{parent_sha256}/{name}/{text}/{number}"
                drawn = OPERATIONS[name].draw(Draw(subject), bounds, pixels)
                yield Child(
                    image_id=hashlib.sha256(subject.encode()).hexdigest()[:32],
                    operation=name,
                    parameters=json.dumps(drawn, sort_keys=True),
                    pixels=OPERATIONS[name].apply(pixels, drawn),
                )


def _bounds(where: str, name: str, declared: Mapping[str, Any]) -> Mapping[str, int]:
    if name not in OPERATIONS:
        raise UsageError(f"{where} names {name}, which is no operation.", f"It is one of {', '.join(OPERATIONS)}.")
    bounds = OPERATIONS[name].bounds
    if unknown := declared.keys() - bounds.keys():
        raise UsageError(
            f"{where}.{name} has {', '.join(sorted(unknown))}, which it does not know.",
            f"It knows {', '.join(bounds) or 'no bounds'}.",
        )
    return {bound: _whole(f"{where}.{name}", declared, bound, *limits) for bound, limits in bounds.items()}


def _whole(where: str, declared: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = declared.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise UsageError(f"{where}.{name} is {value!r}.", f"Write a whole number from {low} to {high}.")
    return value


def flip(pixels: Pixels, _parameters: Mapping[str, int]) -> Pixels:
    """Mirror an image left to right."""
    return np.ascontiguousarray(pixels[:, ::-1])


def rotate(pixels: Pixels, parameters: Mapping[str, int]) -> Pixels:
    """Turn an image about its middle, counter-clockwise by thousandths of a degree; its edge fills the corners.

    A value between four pixels is interpolated; sine and cosine are rounded to 16 bits before they are used.
    """
    height, width = pixels.shape[:2]
    angle = math.radians(parameters["millidegrees"] / 1000)
    sine, cosine = round(math.sin(angle) * ONE), round(math.cos(angle) * ONE)
    down, across = np.mgrid[0:height, 0:width].astype(np.int64)
    y, x = 2 * down - (height - 1), 2 * across - (width - 1)  # in half pixels from the middle
    from_x = np.clip((cosine * x - sine * y + (width - 1) * ONE) // 2, 0, (width - 1) * ONE)
    from_y = np.clip((sine * x + cosine * y + (height - 1) * ONE) // 2, 0, (height - 1) * ONE)
    left, top = from_x // ONE, from_y // ONE
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    weight_x, weight_y = (from_x % ONE)[:, :, None], (from_y % ONE)[:, :, None]
    source = pixels.astype(np.int64)
    upper = source[top, left] * (ONE - weight_x) + source[top, right] * weight_x
    lower = source[bottom, left] * (ONE - weight_x) + source[bottom, right] * weight_x
    blended = upper * (ONE - weight_y) + lower * weight_y
    turned: Pixels = ((blended + (1 << 31)) >> 32).astype(np.uint8)
    return turned


def crop(pixels: Pixels, parameters: Mapping[str, int]) -> Pixels:
    """Cut a part out of an image."""
    left, top = parameters["left"], parameters["top"]
    return np.ascontiguousarray(pixels[top : top + parameters["height"], left : left + parameters["width"]])


def brighten(pixels: Pixels, parameters: Mapping[str, int]) -> Pixels:
    """Make all pixels brighter or darker by one factor, in per cent."""
    return np.minimum((pixels.astype(np.int64) * parameters["pct"] + 50) // 100, 255).astype(np.uint8)


def _draw_rotation(draw: Draw, bounds: Mapping[str, int], _pixels: Pixels) -> dict[str, int]:
    most = bounds["most_degrees"] * 1000
    return {"millidegrees": draw.between("millidegrees", -most, most)}


def _draw_crop(draw: Draw, bounds: Mapping[str, int], pixels: Pixels) -> dict[str, int]:
    share = draw.between("share", bounds["least_pct"], 100)
    height, width = (max(1, side * share // 100) for side in pixels.shape[:2])
    left = draw.between("left", 0, pixels.shape[1] - width)
    return {"left": left, "top": draw.between("top", 0, pixels.shape[0] - height), "width": width, "height": height}


def _draw_brightness(draw: Draw, bounds: Mapping[str, int], _pixels: Pixels) -> dict[str, int]:
    return {"pct": draw.between("pct", bounds["least_pct"], bounds["most_pct"])}


OPERATIONS: Mapping[str, Operation] = {
    "flip": Operation({}, lambda _draw, _bounds, _pixels: {}, flip),
    "rotate": Operation({"most_degrees": (1, 180)}, _draw_rotation, rotate),
    "crop": Operation({"least_pct": (1, 100)}, _draw_crop, crop),
    "brightness": Operation({"least_pct": (0, 100), "most_pct": (100, 1000)}, _draw_brightness, brighten),
}
"""All operations, each with its bounds and the least and most of a bound."""
