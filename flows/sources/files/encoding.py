"""Text encodings: readers read UTF-8, and files of another encoding are copied; an encoding is never guessed."""

import codecs
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile

from flows.core.errors import SourceFailed
from flows.sources.batches import SourceFile
from flows.sources.files.archives import opened
from flows.sources.files.landing import Reading

PIECE = 1024 * 1024
START_BYTES = 4 * 1024
NO_UTF_8 = "is no UTF-8; name the encoding of the file under format"
MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""Byte order marks of UTF-16 and UTF-32, which no UTF-8 begins with."""

LEAST_SHARE_OF_NULS = 4
"""A text of which every fourth byte is NUL is UTF-16 or UTF-32."""


def as_utf_8(file: SourceFile, reading: Reading, work: Path) -> SourceFile:
    """Return a file of UTF-8: itself, or a copy; bytes that the encoding does not have stay as they are.

    Raises SourceFailed for a file of another encoding than the one named.
    """
    table, wanted = reading.table, reading.format
    if wanted.is_utf_8:
        with opened(file.path) as stream:
            start = stream.read(START_BYTES)
        if start.startswith(MARKS) or start.count(0) * LEAST_SHARE_OF_NULS > len(start):
            raise SourceFailed(table, f"{file.name} is no UTF-8, but UTF-16 or UTF-32", reading.name_encoding)
        return file
    decoder = codecs.getincrementaldecoder(wanted.encoding)(errors="surrogateescape")
    extension = Path(file.name.lower().removesuffix(".gz")).suffix
    with opened(file.path) as stream, NamedTemporaryFile(dir=work, suffix=extension, delete=False) as copy:
        try:
            while piece := stream.read(PIECE):
                copy.write(decoder.decode(piece).encode(errors="surrogateescape"))
            copy.write(decoder.decode(b"", final=True).encode(errors="surrogateescape"))
        except UnicodeError:
            raise SourceFailed(table, f"{file.name} is no {wanted.encoding}", reading.name_encoding) from None
    path = Path(copy.name)
    return replace(file, path=path, size=path.stat().st_size)
