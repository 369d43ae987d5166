"""Lines of a file: every reader agrees that LF, CR LF and a lone CR end a line, and that a quoted end does not."""

from collections import deque
from collections.abc import Iterator
from typing import IO

import numpy as np
import numpy.typing as npt

PIECE = 1024 * 1024
LINES_A_RECORD = 1_000
"""A record of more lines has lost a closing quote."""

LARGEST_RECORD = 16 * 1024 * 1024
"""A longer record is a mistake, and is quarantined, so that memory stays bounded for any file."""

LARGEST_KEPT = 6 * LARGEST_RECORD
"""The quarantine keeps the beginning of a line that is longer still; a load needs some seven times its memory."""


class CutLine(bytes):
    """The beginning of a line that is too long for memory; `length` is that of the whole line, in bytes."""

    length = 0


def split_lines(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield lines with their ends; of a line longer than LARGEST_KEPT only the beginning is in memory."""
    rest, length = b"", 0
    while piece := stream.read(max(len(rest), PIECE)):
        *lines, rest = (rest + piece).splitlines(keepends=True)
        for line in lines:
            yield _cut(line, length + len(line)) if length else line
            length = 0
        if len(rest) > LARGEST_KEPT and not rest.endswith((b"\r", b"\n")):
            length += len(rest) - LARGEST_KEPT
            rest = rest[:LARGEST_KEPT]
    if rest:
        yield _cut(rest, length + len(rest)) if length else rest


def _cut(line: bytes, length: int) -> CutLine:
    cut = CutLine(line[:LARGEST_KEPT])
    cut.length = length
    return cut


class NextLines:
    """The lines of a stream that come next; no more of them are in memory than a record may have."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines, self._buffer = lines, deque[bytes]()

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        for at in range(LINES_A_RECORD):
            if at == len(self._buffer):
                line = next(self._lines, None)
                if line is None:
                    return
                self._buffer.append(line)
            yield self._buffer[at]
            size += len(self._buffer[at])
            if size > LARGEST_RECORD:
                return

    def take(self, count: int) -> bytes:
        """Remove some lines, and return them."""
        return b"".join([self._buffer.popleft() for _ in range(count)])


def count_lines(stream: IO[bytes], quote: bytes = b"") -> tuple[int, int]:
    """Count the lines from here on, and those of them that are empty; an end of a line within quotes does not count."""
    lines = empty = quotes = size = 0
    last = -1
    while piece := stream.read(PIECE):
        while piece.endswith(b"\r") and (byte := stream.read(1)):
            piece += byte
        if b"\r" in piece:
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        ends = _positions(piece, b"\n")
        if quote and (quotes % 2 or quote in piece):
            quoting = _positions(piece, quote)
            ends = ends[(np.searchsorted(quoting, ends) + quotes) % 2 == 0]
            quotes += len(quoting)
        if len(ends):
            lines += len(ends)
            empty += int(np.count_nonzero(np.diff(ends) == 1)) + (size + int(ends[0]) == last + 1)
            last = size + int(ends[-1])
        size += len(piece)
    return lines + (last != size - 1), empty


def _positions(piece: bytes, sign: bytes) -> npt.NDArray[np.intp]:
    return np.flatnonzero(np.frombuffer(piece, np.uint8) == ord(sign))
