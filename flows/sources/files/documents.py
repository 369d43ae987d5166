"""Files that are one record each: images and texts, with their name, their bytes and what their header says."""

import hashlib
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any

import duckdb
import pyarrow as pa
from PIL import Image

from flows.core.relation import Relation
from flows.sources.batches import Rejected, SourceFile
from flows.sources.files.csv import opened

IMAGES = {".png": "image", ".jpg": "image", ".jpeg": "image", ".gif": "image", ".webp": "image"}
TEXTS = {".md": "text", ".text": "text"}
FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
"""What Pillow may take a file for, whatever its name says."""

LARGEST_FILE = 32 * 1024 * 1024
"""Bytes that one record may have; of a larger file the quarantine keeps the beginning."""

KEPT_OF_LARGE = 1024 * 1024

MOST_PIXELS = 50_000_000
"""Pixels that an image may unpack to: 150 MB."""

DAMAGED = (OSError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
UNREADABLE = (*DAMAGED, SyntaxError, ValueError, IndexError, KeyError, TypeError, OverflowError)
"""What Pillow raises for a file that is no image, damaged or cut short."""

PLACE = [("path", pa.string()), ("size_bytes", pa.int64()), ("sha256", pa.string())]
WHERE = [("_file", pa.string()), ("_row", pa.int64())]
IMAGE = pa.schema(
    [*PLACE, ("format", pa.string()), ("bytes", pa.binary()), ("width", pa.int64()), ("height", pa.int64()), *WHERE]
)
TEXT = pa.schema([*PLACE, ("text", pa.string()), *WHERE])


DOCUMENTS = "documents"


class Unreadable(ValueError):
    """A file that is not what its name says."""


def open_image(content: bytes) -> Image.Image:
    """Read an image's header; raises Unreadable for what is no image, or would unpack to more than MOST_PIXELS."""
    try:
        image = Image.open(BytesIO(content), formats=FORMATS)
    except UNREADABLE as error:
        is_bomb = isinstance(error, Image.DecompressionBombError)
        raise Unreadable(f"has more than {MOST_PIXELS:,} pixels" if is_bomb else "is no image") from None
    if image.width * image.height > MOST_PIXELS:
        raise Unreadable(f"has more than {MOST_PIXELS:,} pixels")
    return image


def read_images(
    connection: duckdb.DuckDBPyConnection, files: Sequence[SourceFile]
) -> tuple[Relation, tuple[Rejected, ...]]:
    """Read images, one row a file; return the rows, and the files that are no image, damaged or too large."""
    return _read(connection, files, IMAGE, _image)


def read_texts(
    connection: duckdb.DuckDBPyConnection, files: Sequence[SourceFile]
) -> tuple[Relation, tuple[Rejected, ...]]:
    """Read texts, one row a file; return the rows, and the files that are no UTF-8 or too large."""
    return _read(connection, files, TEXT, _text)


def _image(content: bytes) -> Mapping[str, Any]:
    image = open_image(content)
    found = {"format": (image.format or "").lower(), "width": image.width, "height": image.height, "bytes": content}
    try:
        image.verify()
    except UNREADABLE:
        raise Unreadable("is a damaged image") from None
    return found


def _text(content: bytes) -> Mapping[str, Any]:
    try:
        return {"text": content.decode("utf-8-sig")}
    except UnicodeDecodeError:
        raise Unreadable("is no UTF-8") from None


def _read(
    connection: duckdb.DuckDBPyConnection,
    files: Sequence[SourceFile],
    schema: pa.Schema,
    read: Callable[[bytes], Mapping[str, Any]],
) -> tuple[Relation, tuple[Rejected, ...]]:
    rows, rejected = [], []
    for file in files:
        with opened(file.path) as stream:
            content = stream.read(LARGEST_FILE + 1)
        try:
            if len(content) > LARGEST_FILE:
                content = content[:KEPT_OF_LARGE]
                raise Unreadable(f"is larger than {LARGEST_FILE:,} bytes; its first {KEPT_OF_LARGE:,} are kept")
            found = read(content)
        except Unreadable as error:
            rejected.append(Rejected(content, str(error), f"{file.name}:1"))
            continue
        digest = hashlib.sha256(content).hexdigest()
        place = {"path": file.name, "size_bytes": len(content), "sha256": digest, "_file": file.name, "_row": 1}
        rows.append({**place, **found})
    return Relation.from_arrow(connection, DOCUMENTS, pa.Table.from_pylist(rows, schema=schema)), tuple(rejected)
