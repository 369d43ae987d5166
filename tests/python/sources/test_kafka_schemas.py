"""Messages in Avro and Protobuf, by a file of a schema, by files of schema ids, and by a registry."""

import base64
import io
import json
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2
from support.shop import Shop
from support.topics import COLUMNS, produce

from flows.core.errors import SourceFailed, UsageError
from tests.services.kafka import KafkaBroker

pytest_plugins = ["support.registry_fixtures"]
pytestmark = pytest.mark.services

PAYMENT: dict[str, Any] = {
    "type": "record",
    "name": "Payment",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "amount", "type": {"type": "bytes", "logicalType": "decimal", "precision": 18, "scale": 4}},
        {"name": "paid_at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "rate", "type": "double"},
        {"name": "lines", "type": {"type": "array", "items": "int"}, "default": []},
    ],
}
NEWER = {**PAYMENT, "fields": [*PAYMENT["fields"], {"name": "channel", "type": "string"}]}
NOON = datetime(2026, 3, 1, 12, 0, 0, 250000, UTC)
PAID = {"id": "1", "amount": Decimal("12345678901234.5678"), "paid_at": NOON, "rate": float("nan"), "lines": [1, 2]}
ROW = ("1", Decimal("12345678901234.5678"), NOON.replace(tzinfo=None), "NaN", "[1,2]")


def avro(schema: Any, value: Any, number: int | None = None) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), value)
    return (b"" if number is None else struct.pack(">bI", 0, number)) + stream.getvalue()


def payment_file() -> descriptor_pb2.FileDescriptorProto:
    """Return what protoc makes of a file with a message Other, and a message Payment with an id, amount and time."""
    file = descriptor_pb2.FileDescriptorProto(name="payment.proto", package="shop", syntax="proto3")
    file.dependency.append("google/protobuf/timestamp.proto")
    file.message_type.add(name="Other")
    payment, field = file.message_type.add(name="Payment"), descriptor_pb2.FieldDescriptorProto
    for at, (name, kind) in enumerate((("id", field.TYPE_STRING), ("amount", field.TYPE_INT64)), start=1):
        payment.field.add(name=name, number=at, type=kind, label=field.LABEL_OPTIONAL)
    moment = ".google.protobuf.Timestamp"
    payment.field.add(name="paid_at", number=3, type=field.TYPE_MESSAGE, type_name=moment, label=field.LABEL_OPTIONAL)
    return file


def protobuf_files() -> descriptor_pb2.FileDescriptorSet:
    known = descriptor_pb2.FileDescriptorProto()
    timestamp_pb2.DESCRIPTOR.CopyToProto(known)
    return descriptor_pb2.FileDescriptorSet(file=[known, payment_file()])


def protobuf(**fields: Any) -> bytes:
    pool = descriptor_pool.DescriptorPool()
    for file in protobuf_files().file:
        pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Payment"))(**fields)
    message.paid_at.FromDatetime(NOON)
    return message.SerializeToString()


def map_with(shop: Shop, topic: str, schema: Any) -> None:
    shop.declare("sales.payments", COLUMNS, key=["id"], load="append", quarantine_limit_pct=100.0)
    shop.map(**{"from": topic, "schema": schema})


def test_avro_by_a_file_keeps_digits_times_and_what_json_has_not(
    shop: Shop, broker: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    (tmp_path / "payment.avsc").write_text(json.dumps(PAYMENT))
    map_with(shop, topic, f"{tmp_path}/payment.avsc")
    whole = avro(PAYMENT, PAID)
    malformed = [b"", b"\xff\xff", whole[:-1], whole + b"x"]
    produce(broker, topic, whole, *malformed, None, key="K")
    load = shop.load()
    assert shop.rows("id", "amount", "paid_at", "rate", "lines") == [ROW]
    assert sorted(raw for raw, _ in shop.quarantine() if b"tombstone" not in raw) == sorted(malformed)
    assert (load.counts.read, load.counts.accepted, load.counts.quarantined) == (6, 1, 5)


def test_fault_56_a_message_of_an_unknown_schema_id_waits_in_quarantine(
    shop: Shop, broker: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    """A producer had a schema that the reader did not know, and the load failed: Q."""
    # Given messages of two schemas that are known, of one that is not, and one without an id
    for number, schema in ((7, PAYMENT), (9, NEWER)):
        (tmp_path / f"{number}.avsc").write_text(json.dumps(schema))
    map_with(shop, topic, {number: f"{tmp_path}/{number}.avsc" for number in (7, 9)})
    newer = PAID | {"id": "2", "channel": "web"}
    produce(broker, topic, avro(PAYMENT, PAID, 7), avro(NEWER, newer, 12), b"{}", avro(NEWER, newer | {"id": "3"}, 9))
    load = shop.load()

    # Then the others are loaded, also those that come after it
    assert shop.rows("id", "channel") == [("1", None), ("3", "web")]
    assert dict(shop.quarantine()) == {
        avro(NEWER, newer, 12): ["unknown schema id 12"],
        b"{}": ["does not begin with the id of a schema"],
    }
    assert (load.counts.read, load.counts.accepted, load.counts.quarantined) == (4, 2, 2)

    # And when its schema is declared, the topic is read again, and it is loaded
    map_with(shop, topic, {number: f"{tmp_path}/{file}.avsc" for number, file in ((7, 7), (9, 9), (12, 9))})
    load = shop.load()
    assert (load.counts.accepted, load.counts.known) == (1, 3)
    assert [raw for raw, _ in shop.quarantine()] == [b"{}"]


def test_protobuf_by_a_descriptor_set_is_read_as_its_own_json(
    shop: Shop, broker: KafkaBroker, topic: str, tmp_path: Path
) -> None:
    (tmp_path / "payment.binpb").write_bytes(protobuf_files().SerializeToString())
    map_with(shop, topic, f"{tmp_path}/payment.binpb!shop.Payment")
    produce(broker, topic, protobuf(id="1", amount=12345678901234), protobuf(id="2"), b"\xff\xff")
    shop.load()
    noon = NOON.replace(tzinfo=None)
    assert shop.rows("id", "amount", "paid_at") == [("1", Decimal(12345678901234), noon), ("2", Decimal(0), noon)]
    assert shop.quarantine() == [(b"\xff\xff", ["cannot be read by its Protobuf schema"])]


def test_a_registry_gives_schemas_with_those_that_they_name(
    shop: Shop, broker: KafkaBroker, topic: str, registry: tuple[str, dict[str, Any]]
) -> None:
    # Given a registry with a schema of Avro that names another, one of Protobuf, one of JSON, and one that is broken
    url, answers = registry
    money = {"type": "record", "name": "Money", "fields": [{"name": "units", "type": "int"}]}
    priced = {**PAYMENT, "fields": [{"name": "id", "type": "string"}, {"name": "price", "type": "Money"}]}
    encoded = base64.b64encode(payment_file().SerializeToString()).decode()
    answers |= {
        "/schemas/ids/1": {
            "schema": json.dumps(priced),
            "references": [{"name": "Money", "subject": "money", "version": 3}],
        },
        "/subjects/money/versions/3": {"schema": json.dumps(money)},
        "/schemas/ids/2": {"schemaType": "PROTOBUF", "schema": "syntax …"},
        "/schemas/ids/2?format=serialized": {"schemaType": "PROTOBUF", "schema": encoded},
        "/schemas/ids/3": {"schemaType": "JSON", "schema": "{}"},
        "/schemas/ids/4": {"schema": "{"},
        "/schemas/ids/5": {"schema": '"string"'},
    }
    map_with(shop, topic, url)
    known: dict[str, Any] = {}
    fastavro.parse_schema(money, known)
    named = fastavro.parse_schema(priced, known)
    by_avro = io.BytesIO()
    fastavro.schemaless_writer(by_avro, named, {"id": "1", "price": {"units": 3}})
    frame: Callable[[int, bytes], bytes] = lambda number, rest: struct.pack(">bI", 0, number) + rest  # noqa: E731
    produce(
        broker,
        topic,
        frame(1, by_avro.getvalue()),
        frame(2, b"\x02\x02" + protobuf(id="2", amount=4)),
        frame(3, b'{"id": "3"}'),
        frame(4, b"x"),
        frame(6, b"x"),
        key=avro("string", "K1", 5),
    )

    # When it is loaded, then each is read by its own schema, the key too, and the password is in no message
    load = shop.load()
    assert shop.rows("id", "amount", "price", "kafka_key") == [
        ("1", None, '{"units":3}', "K1"),
        ("2", 4, None, "K1"),
        ("3", None, None, "K1"),
    ]
    assert [reasons for _, reasons in shop.quarantine()] == [
        ["has a schema that cannot be used"],
        ["unknown schema id 6"],
    ]
    assert load.counts.read == 5

    # And while it does not answer, the load fails, and reads the message later
    produce(broker, topic, frame(3, b'{"id": "4"}'))
    answers["status"] = 503
    with pytest.raises(SourceFailed, match="the schema registry answers with status 503") as failed:
        shop.load()
    assert failed.value.is_transient
    assert "geheim" not in str(failed.value)
    del answers["status"]
    assert shop.load().counts.accepted == 1


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("no.avsc", "its schema no.avsc cannot be read: No such file or directory"),
        ("payment.proto", "must be compiled first: protoc --include_imports -o NAME.binpb payment.proto"),
        ({1: "bad.avsc"}, "its schema bad.avsc is no schema of Avro"),
        ("payment.binpb!shop.None", "its schema payment.binpb has no message shop.None"),
    ],
)
def test_a_schema_that_cannot_be_used_is_a_mistake(
    shop: Shop,
    topic: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    schema: Any,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.avsc").write_text("{")
    (tmp_path / "payment.binpb").write_bytes(protobuf_files().SerializeToString())
    map_with(shop, topic, schema)
    with pytest.raises(UsageError, match=message):
        shop.load()
