"""Messages of Kafka as JSON records: the value's object, with the message's key, headers and time beside its own."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
from confluent_kafka import Message

from flows.sources.batches import TOMBSTONE, Rejected
from flows.sources.json_records import keep_digits, may_lose_digits
from flows.sources.kafka.text import as_text

KEY, HEADERS, TIME = "kafka_key", "kafka_headers", "kafka_time"
"""Fields that a record has beside those of the message's value; a tombstone has TOMBSTONE, too."""

AS_TEXT = {
    TIME: f"strftime(epoch_ms({TIME}), '%Y-%m-%dT%H:%M:%S.%g+00:00')",
    KEY: KEY,
    HEADERS: HEADERS,
    TOMBSTONE: f"case when {TOMBSTONE} then 'true' end",
}
"""SQL for the fields of a message as texts, in the order in which its record has them."""

AS_JSON = {TIME: f"to_json({AS_TEXT[TIME]})", KEY: f"to_json({KEY})", HEADERS: HEADERS, TOMBSTONE: AS_TEXT[TOMBSTONE]}

SCHEMA = pa.schema(
    [
        ("_record", pa.string()),
        ("_file", pa.string()),
        ("_row", pa.int64()),
        (TIME, pa.int64()),
        (KEY, pa.string()),
        (HEADERS, pa.string()),
        (TOMBSTONE, pa.bool_()),
    ]
)
"""Messages: the text of the value, the place and offset, and the fields, with the time in milliseconds since 1970."""

NO_TIME = -1
"""The time of a message that has none."""

NO_TEXT = "is no JSON object in UTF-8"

Decoder = Callable[[bytes], str]
"""Makes a JSON text of a message's value; raises ValueError with the reason for which it cannot."""


@dataclass
class Buffer:
    """Records of messages on their way into one batch; without a decoder, their values are JSON.

    A key that begins with the id of a schema is decoded if values do, `has_schema_ids`.
    """

    decode: Decoder | None = None
    has_schema_ids: bool = False
    size: int = 0
    read: int = 0
    rejected: list[Rejected] = field(default_factory=list)
    _pieces: list[pa.RecordBatch] = field(default_factory=list)
    _changed: dict[str, bytes] = field(default_factory=dict)

    def add(self, messages: Sequence[Message]) -> None:
        """Take messages; one whose value cannot become a text is rejected as it came."""
        values = [message.value() for message in messages]
        self.read += len(values)
        self.size += sum([len(value) for value in values if value is not None])
        texts: Sequence[bytes | str | None] = values
        if self.decode is not None or may_lose_digits(b"\n".join([value for value in values if value])):
            texts = [self._text(message, value) for message, value in zip(messages, values, strict=True)]
        try:
            piece = self._piece(messages, values, texts)
        except pa.ArrowInvalid:  # bytes that are no UTF-8
            texts = [self._text(message, text) for message, text in zip(messages, texts, strict=True)]
            piece = self._piece(messages, values, texts)
        self._pieces.append(piece)

    def table(self) -> pa.Table:
        """Return the records as SCHEMA, each with its partition and offset as its place."""
        return pa.Table.from_batches(self._pieces, SCHEMA)

    def as_they_came(self, rejected: Sequence[Rejected]) -> Iterator[Rejected]:
        """Yield records that were rejected later, each with the value of its message."""
        yield from (replace(one, raw=self._changed.get(one.position, one.raw)) for one in rejected)

    def _text(self, message: Message, value: bytes | str | None) -> str | None:
        """Return the JSON text of a value, with numbers that keep their digits; a value without one is rejected."""
        if value is None or isinstance(value, str):
            return value
        position = f"{message.topic()}/{message.partition()}:{message.offset()}"
        try:
            text = value.decode() if self.decode is None else self.decode(value)
        except UnicodeDecodeError:
            self.rejected.append(Rejected(value, NO_TEXT, position))
            return None
        except ValueError as error:
            self.rejected.append(Rejected(value, str(error), position))
            return None
        exact = keep_digits(text)
        if exact is not text or self.decode is not None:
            self._changed[position] = value
        return exact

    def _piece(
        self, messages: Sequence[Message], values: Sequence[bytes | None], texts: Sequence[bytes | str | None]
    ) -> pa.RecordBatch:
        """Return messages as SCHEMA, without those that were rejected: they have a value and no text."""
        kept = [at for at, text in enumerate(texts) if text is not None or values[at] is None]
        if len(kept) < len(values):
            messages, values, texts = (
                [messages[at] for at in kept],
                [values[at] for at in kept],
                [texts[at] for at in kept],
            )
        partitions = [message.partition() for message in messages]
        places = {
            partition: f"{message.topic()}/{partition}"
            for partition, message in dict(zip(partitions, messages, strict=True)).items()
        }
        times = [message.timestamp()[1] for message in messages]
        columns = [
            pa.array([b"{}" if text is None else text for text in texts] if None in texts else texts, pa.string()),
            pa.array([places[partition] for partition in partitions], pa.string()),
            pa.array([message.offset() for message in messages], pa.int64()),
            pa.array([None if at == NO_TIME else at for at in times] if NO_TIME in times else times, pa.int64()),
            _texts([self._key(message.key()) for message in messages]),
            pa.array([_headers(message.headers()) for message in messages], pa.string()),
            pa.array([True if value is None else None for value in values], pa.bool_()),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)

    def _key(self, key: Any) -> bytes | None:
        """Return a key; one that begins with the id of a schema becomes JSON, a text in it without quotes."""
        if not self.has_schema_ids or self.decode is None or not key or key[0] != 0:
            return key  # type: ignore[no-any-return]
        try:
            text = self.decode(key)
            value = json.loads(text)
        except ValueError:
            return key  # type: ignore[no-any-return]
        return (value if isinstance(value, str) else text).encode()


def present_fields(messages: pa.Table) -> Mapping[str, str]:
    """Return SQL for the fields that any message has, by name."""
    return {name: sql for name, sql in AS_TEXT.items() if messages.column(name).null_count < len(messages)}


def whole_record(fields: Mapping[str, str]) -> str:
    """Return SQL for the text of a whole record: the object of the value, and the fields of the message."""
    body = r"nullif(regexp_replace(_record, '^\s*\{\s*|\s*\}\s*$', '', 'g'), '')"
    parts = ", ".join([body, *(f"""'"{name}": ' || {AS_JSON[name]}""" for name in fields)])
    return f"'{{' || concat_ws(', ', {parts}) || '}}'"


def _texts(values: Sequence[bytes | None]) -> pa.Array:
    if b"\0" not in b"".join([value for value in values if value]):
        with suppress(pa.ArrowInvalid):
            return pa.array(values, pa.string())
    return pa.array([None if value is None else as_text(value) for value in values], pa.string())


def _headers(headers: Any) -> str | None:
    """Return headers by name, as JSON; one that comes several times is a list."""
    if not headers:
        return None
    found: dict[str, list[str | None]] = {}
    for name, value in headers.items() if isinstance(headers, dict) else headers:
        found.setdefault(name, []).append(None if value is None else as_text(value))
    by_name = {name: values[0] if len(values) == 1 else values for name, values in found.items()}
    return json.dumps(by_name, ensure_ascii=False)
