"""Values of messages without a broker: what a schema makes of them, and which of them wait in quarantine."""

import base64
import json
import struct
from typing import Any, cast

from confluent_kafka import Message
from google.protobuf import descriptor_pb2

from flows.core.errors import SourceFailed
from flows.sources.kafka.records import Buffer
from flows.sources.kafka.registry import Registry
from flows.sources.kafka.schemas import framed

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
