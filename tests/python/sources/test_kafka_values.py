"""Values of messages without a broker: what a schema makes of them, and which of them wait in quarantine."""

import base64
import json
import struct
from typing import Any, cast

import fastavro
import pytest
from confluent_kafka import Message
from google.protobuf import any_pb2, descriptor_pb2, timestamp_pb2

from flows.core.errors import SourceFailed
from flows.sources.kafka.records import Buffer
from flows.sources.kafka.registry import Registry
from flows.sources.kafka.schemas import AvroSchema, MessageSchema, ProtobufSchema, framed

pytest_plugins = ["support.registry_fixtures"]

FIELD = descriptor_pb2.FieldDescriptorProto
MONEY = "common/money.proto"
NO_JSON = "has a value that cannot be written as JSON by its Protobuf schema"


class GivenMessage:
    """A message as the client gives it."""

    def __init__(self, value: bytes, offset: int) -> None:
        self._value, self._offset = value, offset

    def value(self) -> bytes:
        return self._value

    def topic(self) -> str:
        return "payments"

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self._offset

    def timestamp(self) -> tuple[int, int]:
        return 0, -1

    def key(self) -> None:
        return None

    def headers(self) -> None:
        return None


def read(buffer: Buffer, *values: bytes) -> tuple[list[Any], list[tuple[bytes, str]]]:
    """Return the records of messages, and those that were rejected with their reasons."""
    buffer.add([cast(Message, GivenMessage(value, at)) for at, value in enumerate(values)])
    records = [json.loads(text) for text in buffer.table().column("_record").to_pylist()]
    return records, [(one.raw, one.reason) for one in buffer.rejected]


def money_file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name=MONEY, package="common", syntax="proto3")
    money = file.message_type.add(name="Money")
    money.field.add(name="units", number=1, type=FIELD.TYPE_INT32, label=FIELD.LABEL_OPTIONAL)
    return file


def payment_file(kind: str, *imports: str) -> descriptor_pb2.FileDescriptorProto:
    """Return a file with a message Payment, whose second field is of a kind of another file."""
    file = descriptor_pb2.FileDescriptorProto(name="payment.proto", package="shop", syntax="proto3", dependency=imports)
    payment = file.message_type.add(name="Payment")
    payment.field.add(name="id", number=1, type=FIELD.TYPE_STRING, label=FIELD.LABEL_OPTIONAL)
    payment.field.add(name="more", number=2, type=FIELD.TYPE_MESSAGE, type_name=kind, label=FIELD.LABEL_OPTIONAL)
    return file


def payment(number: str, more: bytes) -> bytes:
    """Return a Payment as Protobuf writes it."""
    return b"\x0a" + bytes([len(number)]) + number.encode() + b"\x12" + bytes([len(more)]) + more


def as_registered(file: descriptor_pb2.FileDescriptorProto) -> str:
    return base64.b64encode(file.SerializeToString()).decode()


def failed(cause: str) -> SourceFailed:
    return SourceFailed("sales.payments", cause, "Run again.")


def test_a_registry_is_asked_for_a_reference_whose_subject_is_a_path(registry: tuple[str, dict[str, Any]]) -> None:
    """The subject of an imported file of Protobuf is its path, as Confluent's own clients register it."""
    # Given a schema that imports a file of a folder, of which the registry knows the escaped subject alone
    url, answers = registry
    answers |= {
        "/schemas/ids/1": {"schemaType": "PROTOBUF", "schema": "syntax …"},
        "/schemas/ids/1?format=serialized": {
            "schemaType": "PROTOBUF",
            "schema": as_registered(payment_file(".common.Money", MONEY)),
            "references": [{"name": MONEY, "subject": MONEY, "version": 1}],
        },
        "/subjects/common%2Fmoney.proto/versions/1?format=serialized": {"schema": as_registered(money_file())},
    }

    # Then its message is read
    buffer = Buffer(framed(Registry(url, failed).find))
    records, rejected = read(buffer, struct.pack(">bI", 0, 1) + b"\x00" + payment("1", b"\x08\x03"))
    assert (records, rejected) == ([{"id": "1", "more": {"units": 3}}], [])


def test_a_schema_that_imports_a_file_that_google_does_not_have_waits(registry: tuple[str, dict[str, Any]]) -> None:
    url, answers = registry
    file = payment_file(".common.Money", "google/protobuf/money.proto")
    answers |= {
        "/schemas/ids/1": {"schemaType": "PROTOBUF", "schema": "syntax …"},
        "/schemas/ids/1?format=serialized": {"schemaType": "PROTOBUF", "schema": as_registered(file)},
    }
    value = struct.pack(">bI", 0, 1) + b"\x00"
    buffer = Buffer(framed(Registry(url, failed).find))
    assert read(buffer, value) == ([], [(value, "has a schema that cannot be used")])


def with_any() -> ProtobufSchema:
    """Return a schema whose payments hold a message of any kind."""
    google = descriptor_pb2.FileDescriptorProto()
    any_pb2.DESCRIPTOR.CopyToProto(google)
    file = payment_file(".google.protobuf.Any", "google/protobuf/any.proto")
    return ProtobufSchema(descriptor_pb2.FileDescriptorSet(file=[google, money_file(), file]))


def test_one_message_that_protobuf_cannot_write_as_json_waits_and_the_others_are_read() -> None:
    """A message held an Any, of a kind that its schema has, or has not: the load of the topic failed for good."""
    # Given messages with an Any of a known kind, of an unknown one, without a kind, and of bytes that are not its own
    kinds = [
        ("common.Money", b"\x08\x03"), ("common.Secret", b"\x08\x03"), ("", b"\x08\x03"), ("common.Money", b"\xff"),
    ]  # fmt: skip
    values = [
        payment(str(at), any_pb2.Any(type_url=kind and f"x/{kind}", value=held).SerializeToString())
        for at, (kind, held) in enumerate(kinds)
    ]

    # Then the first alone is a record, and no reason quotes the message
    records, rejected = read(Buffer(with_any().to_json), *values)
    assert records == [{"id": "0", "more": {"@type": "x/common.Money", "units": 3}}]
    assert rejected == [(value, NO_JSON) for value in values[1:]]


def test_a_time_that_protobuf_cannot_write_waits_and_its_reason_quotes_no_value() -> None:
    google = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(google)
    file = payment_file(".google.protobuf.Timestamp", "google/protobuf/timestamp.proto")
    schema = ProtobufSchema(descriptor_pb2.FileDescriptorSet(file=[google, file]))
    value = payment("1", timestamp_pb2.Timestamp(seconds=2**60).SerializeToString())
    assert read(Buffer(schema.to_json), value) == ([], [(value, NO_JSON)])


NODE = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node"]}]}


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        ("double", struct.pack("<d", float("-inf")), "-Infinity"),
        ({"type": "map", "values": "float"}, struct.pack("<bb1sfb", 2, 2, b"k", float("nan"), 0), {"k": "NaN"}),
        ("bytes", b"\x04\xff\x00", "0xff00"),
        ({"type": "fixed", "name": "Span", "size": 12, "logicalType": "duration"}, b"\xff" * 12, "0x" + "ff" * 12),
        ({"type": "long", "logicalType": "timestamp-micros"}, b"\xfe" + b"\xff" * 8 + b"\x01", None),
        ({"type": "int", "logicalType": "date"}, b"\xfe\xff\xff\xff\x0f", None),
        ({"type": "string", "logicalType": "uuid"}, b"\x06abc", None),
        (NODE, b"\x02" * 1_500 + b"\x00", None),
    ],
)  # fmt: skip
def test_a_value_of_avro_is_exact_text_or_waits(kind: Any, value: bytes, found: Any) -> None:
    # Given a value that JSON does not have, within a record
    record = {"type": "record", "name": "Payment", "fields": [{"name": "value", "type": kind}]}
    schema: MessageSchema = AvroSchema(fastavro.parse_schema(record))

    # Then it is a text with all its digits, or the message waits
    records, rejected = read(Buffer(schema.to_json), value)
    assert records == ([] if found is None else [{"value": found}])
    assert [raw for raw, _ in rejected] == ([value] if found is None else [])


@pytest.mark.parametrize("precision", [39, 4])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_decimal_of_avro_keeps_the_digits_that_its_schema_has_no_room_for(precision: int, sign: int) -> None:
    """A producer wrote more digits than the precision of its schema, and the rest became zeros in silence."""
    # Given such a decimal, as bytes and as a fixed number of them
    number = sign * 169473963133173273960190490760135540607
    logical = {"logicalType": "decimal", "precision": precision, "scale": 2}
    held = number.to_bytes(17, signed=True)
    fixed = {"type": "fixed", "name": "Amount", "size": len(held), **logical}

    # Then its text has all digits
    for kind, value in (({"type": "bytes", **logical}, b"\x22" + held), (fixed, held)):
        record = {"type": "record", "name": "Payment", "fields": [{"name": "amount", "type": kind}]}
        schema = AvroSchema(fastavro.parse_schema(record))
        expected = f"{'-' if sign < 0 else ''}1694739631331732739601904907601355406.07"
        assert read(Buffer(schema.to_json), value) == ([{"amount": expected}], [])
