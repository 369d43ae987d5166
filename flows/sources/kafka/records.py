"""Messages of Kafka as JSON records: the value's object, with the message's key, headers and time beside its own."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from json.encoder import encode_basestring
from typing import Any

import pyarrow as pa
from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from flows.sources.batches import Rejected
from flows.sources.json_records import RECORDS, keep_digits

KEY, HEADERS, TIME, TOMBSTONE = "kafka_key", "kafka_headers", "kafka_time", "kafka_is_tombstone"
"""Fields that a record has beside those of the message's value."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Buffer:
    """Records of messages on their way into one batch, and their values as they came."""

    size: int = 0
    read: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)

    def add(self, message: Message) -> None:
        """Take a message; one whose value is no JSON object is rejected as it came."""
        value, offset = raw_bytes(message.value()), message.offset() or 0
        place = f"{message.topic()}/{message.partition()}"
        self.read += 1
        self.size += len(value)
        text = to_record(message)
        if text is None:
            self.rejected.append(Rejected(value, "is no JSON object in UTF-8", f"{place}:{offset}"))
            return
        self.texts.append(text)
        self.values.append(value)
        self.places.append(place)
        self.offsets.append(offset)

    def table(self) -> pa.Table:
        """Return the records, each with its partition and offset as its place."""
        columns = [pa.array(self.texts, pa.string()), pa.array(self.places, pa.string())]
        return pa.table([*columns, pa.array(self.offsets, pa.int64())], schema=RECORDS)

    def as_they_came(self, rejected: Sequence[Rejected]) -> Iterator[Rejected]:
        """Yield records that were rejected later, each with the value of its message."""
        values = {
            f"{place}:{offset}": value
            for place, offset, value in zip(self.places, self.offsets, self.values if rejected else (), strict=False)
        }
        yield from (replace(one, raw=values[one.position]) for one in rejected)


def to_record(message: Message) -> str | None:
    """Return a message as the text of a JSON object, with the value's own digits; None if it cannot be one.

    A tombstone, whose value is null, has the fields of the message alone.
    """
    value = message.value()
    try:
        text = "{}" if value is None else raw_bytes(value).decode().strip()
    except UnicodeDecodeError:
        return None
    if not (text.startswith("{") and text.endswith("}")):
        return None
    body, fields = keep_digits(text[1:-1]).strip(), _fields(message, is_tombstone=value is None)
    return f"{{{body}, {fields}}}" if body and fields else f"{{{body}{fields}}}"


def _fields(message: Message, *, is_tombstone: bool) -> str:
    """Return the fields of a message as the text of JSON, without its braces."""
    (kind, milliseconds), key, headers = message.timestamp(), message.key(), message.headers()
    fields = [] if kind == TIMESTAMP_NOT_AVAILABLE else [f'"{TIME}": "{_moment(milliseconds)}"']
    if key is not None:
        fields.append(f'"{KEY}": {encode_basestring(as_text(key))}')
    if headers:
        listed = _headers(list(headers.items() if isinstance(headers, dict) else headers))
        fields.append(f'"{HEADERS}": {json.dumps(listed, ensure_ascii=False)}')
    if is_tombstone:
        fields.append(f'"{TOMBSTONE}": true')
    return ", ".join(fields)


@lru_cache(maxsize=1024)
def _moment(milliseconds: int) -> str:
    """Return a time in ISO 8601; many messages of a topic have the same."""
    return (EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")


def _headers(headers: Sequence[tuple[str, str | bytes | None]]) -> dict[str, Any]:
    """Return headers by name; one that comes several times is a list."""
    found: dict[str, list[str | None]] = {}
    for name, value in headers:
        found.setdefault(name, []).append(None if value is None else as_text(value))
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def raw_bytes(raw: bytes | str | None) -> bytes:
    """Return the bytes of a value; a tombstone has none."""
    return raw.encode() if isinstance(raw, str) else raw or b""


def as_text(raw: bytes | str) -> str:
    """Return bytes as text; those that are no UTF-8 are written in hexadecimal, as 0x0102."""
    if isinstance(raw, str):
        return raw
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"
