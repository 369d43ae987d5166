"""Documents: images and texts, which are one record a file, with the name, the bytes and the fields of the header."""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import BytesIO
from typing import Any

import pyarrow as pa
from PIL import Image

from flows.core.relation import Relation
from flows.sources.batches import Rejected, SourceFile
from flows.sources.files.archives import opened
from flows.sources.files.encoding import NO_UTF_8
from flows.sources.files.landing import FileRecords, Reading

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp")
TEXTS = (".md", ".text")
FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
"""The formats that Pillow may read; it looks at the content, not at the extension."""

LARGEST_FILE = 32 * 1024 * 1024
"""Bytes that one record may have; the quarantine keeps the beginning of a larger file."""

KEPT_OF_LARGE = 1024 * 1024

MOST_PIXELS = 50_000_000
"""Pixels that an image may unpack to, which are 150 MB."""

UNREADABLE = (
    *(OSError, EOFError, struct.error, zlib.error, Image.DecompressionBombError),
    *(SyntaxError, ValueError, IndexError, KeyError, TypeError, OverflowError),
)
"""Errors of Pillow for a file that is not an image, damaged or cut short."""

NAMED = [("path", pa.string()), ("size_bytes", pa.int64()), ("sha256", pa.string())]
POSITION = [("_file", pa.string()), ("_row", pa.int64())]
IMAGE = pa.schema(
    [*NAMED, ("format", pa.string()), ("bytes", pa.binary()), ("width", pa.int64()), ("height", pa.int64()), *POSITION]
)
TEXT = pa.schema([*NAMED, ("text", pa.string()), *POSITION])
DOCUMENTS = "documents"


class Unreadable(ValueError):
    """A file whose content is not of the type that its extension says."""


def open_image(content: bytes) -> Image.Image:
    """Read an image's header; raises Unreadable for another file, or if it would unpack to more than MOST_PIXELS."""
    try:
        image = Image.open(BytesIO(content), formats=FORMATS)
    except UNREADABLE as error:
        is_bomb = isinstance(error, Image.DecompressionBombError)
        raise Unreadable(f"has more than {MOST_PIXELS:,} pixels" if is_bomb else "is no image") from None
    if image.width * image.height > MOST_PIXELS:
        raise Unreadable(f"has more than {MOST_PIXELS:,} pixels")
    return image


def read_images(reading: Reading, files: Sequence[SourceFile]) -> Iterator[FileRecords]:
    """Yield images, one row a file, and the files that are not an image, damaged or too large."""
    yield _read(reading, files, IMAGE, _image)


def read_texts(reading: Reading, files: Sequence[SourceFile]) -> Iterator[FileRecords]:
    """Yield texts, one row a file, and the files that are not UTF-8 or too large."""
    yield _read(reading, files, TEXT, _text)


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
        raise Unreadable(NO_UTF_8) from None


def _read(
    reading: Reading, files: Sequence[SourceFile], schema: pa.Schema, read: Callable[[bytes], Mapping[str, Any]]
) -> FileRecords:
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
        named = {"path": file.name, "size_bytes": len(content), "sha256": digest, "_file": file.name, "_row": 1}
        rows.append({**named, **found})
    records = Relation.from_arrow(reading.connection, DOCUMENTS, pa.Table.from_pylist(rows, schema=schema))
    return FileRecords(tuple(files), records, tuple(rejected))
