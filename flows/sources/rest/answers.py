"""Bounds for what a server sends: how long it may ask to wait, how much it may answer, and what errors may quote."""

import math
import re
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import cast

import httpx

BYTES_AN_ANSWER = 256 * 1024 * 1024
SECONDS_AN_ANSWER = 600.0
"""The most that one answer may have, unpacked, and how long it may take to come."""

LIMIT_HEADERS = ("RateLimit", "X-RateLimit", "X-Rate-Limit")
UNPACKED = {"gzip": zlib.MAX_WBITS | 32, "x-gzip": zlib.MAX_WBITS | 32, "deflate": zlib.MAX_WBITS | 32}
"""Content encodings that can be unpacked piece by piece, with zlib's window for each."""

HARMLESS = re.compile(
    r"\[Errno -?\d+\] [A-Z][\w ]+|\[SSL: \w+\][^(\n]*|timed out|Server disconnected without sending a response|"
    r"peer closed connection without sending complete message body|incomplete chunked read"
)
"""Messages of the network that quote nothing which a server sent."""


class AnswerRefused(Exception):
    """An answer that is too large, takes too long, or is packed in a way that cannot be bounded."""


class BoundedBody(httpx.SyncByteStream):
    """The body of an answer, unpacked; raises AnswerRefused where it passes a bound, DecodingError if it is damaged."""

    def __init__(self, response: httpx.Response) -> None:
        self._stream = cast(httpx.SyncByteStream, response.stream)
        self._encoding = response.headers.pop("Content-Encoding", "identity").strip().lower()
        self._bytes, self._deadline = 0, time.monotonic() + SECONDS_AN_ANSWER
        if self._encoding not in (*UNPACKED, "identity", ""):
            raise AnswerRefused("it answers in a Content-Encoding other than gzip, which was asked for")

    def __iter__(self) -> Iterator[bytes]:
        window = UNPACKED.get(self._encoding)
        unpack = None if window is None else zlib.decompressobj(window)
        for piece in self._stream:
            while piece:
                try:
                    part = piece if unpack is None else unpack.decompress(piece, BYTES_AN_ANSWER + 1 - self._bytes)
                except zlib.error:
                    raise httpx.DecodingError("the answer cannot be unpacked") from None
                self._take(len(part))
                yield part
                piece = b"" if unpack is None else unpack.unconsumed_tail
            self._take(0)
        if unpack is not None and not unpack.eof and self._bytes:
            raise httpx.DecodingError("the answer is cut short")

    def _take(self, length: int) -> None:
        self._bytes += length
        if self._bytes > BYTES_AN_ANSWER:
            raise AnswerRefused(f"its answer has more than {BYTES_AN_ANSWER:,} bytes; ask for smaller pages")
        if time.monotonic() > self._deadline:
            raise AnswerRefused(f"its answer did not end within {SECONDS_AN_ANSWER:,.0f} seconds")

    def close(self) -> None:
        """Close the connection's stream."""
        self._stream.close()


def bound(response: httpx.Response) -> None:
    """Bound a response's body before anything reads it; a hook of httpx."""
    response.stream = BoundedBody(response)


def describe(error: Exception) -> str:
    """Return what a failure of the network is, without anything that the server sent, nor a header that was sent."""
    if isinstance(error, AnswerRefused):
        return str(error)
    found = HARMLESS.search(str(error))
    return f"{type(error).__name__}: {found[0].strip()}" if found else type(error).__name__


def seconds_to_wait(response: httpx.Response) -> float | None:
    """Return how long to wait by Retry-After, or until the rate limit is reset if it is used up; never less than 0."""
    text = response.headers.get("Retry-After", "")
    if (seconds := _number(text)) is not None:
        return seconds
    try:
        moment = parsedate_to_datetime(text)
        return _seconds_until((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (TypeError, ValueError, OverflowError, IndexError):
        reset = limit(response, "Reset") if limit(response, "Remaining") == 0 else None
    if reset is None:
        return None
    return _seconds_until(reset) if reset > 1e9 else reset  # a time, or the seconds to it


def limit(response: httpx.Response, field: str) -> float | None:
    """Return a field of the rate limit from whichever common header states it."""
    found = (_number(response.headers.get(f"{prefix}-{field}", "")) for prefix in LIMIT_HEADERS)
    return next((value for value in found if value is not None), None)


def _number(text: str) -> float | None:
    """Read a number that is finite and not negative."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _seconds_until(moment: float) -> float:
    return max(moment - datetime.now(UTC).timestamp(), 0.0)
