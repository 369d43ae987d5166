"""Schemas of messages: Avro and Protobuf values as JSON texts, by a file, by files of schema ids, or by a registry."""

import base64
import io
import json
import math
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import fastavro
from fastavro.read import LOGICAL_READERS
from fastavro.repository.base import SchemaRepositoryError
from fastavro.schema import SchemaParseException, load_schema, parse_schema
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from google.protobuf.message import DecodeError

from flows.sources.kafka.text import as_text

MAGIC, HEADER_BYTES = 0, 5
"""A message of Confluent's wire format begins with this byte, then has the id of its schema in four."""

AVRO = ".avsc"
UNREADABLE = (EOFError, IndexError, KeyError, TypeError, OverflowError, ArithmeticError, struct.error, ValueError)
"""Errors of the Avro reader for bytes that another schema wrote."""

EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)

NO_JSON_OF_PROTOBUF = (TypeError, ValueError, RecursionError, json_format.Error, DecodeError)
"""Errors of values that Protobuf's JSON has not, such as an Any of a message that the schema does not have."""


class MessageSchema(ABC):
    """A schema by which values are read."""

    @abstractmethod
    def to_json(self, value: bytes, *, is_framed: bool = False) -> str:
        """Return a value as JSON text; raises ValueError if the schema did not write it."""


class AvroSchema(MessageSchema):
    """A schema of Avro, with the schemas that it names."""

    def __init__(self, schema: Any) -> None:
        self._schema = schema

    def to_json(self, value: bytes, *, is_framed: bool = False) -> str:
        """Return a value as JSON text: decimals as texts with their digits, times in ISO 8601."""
        stream = io.BytesIO(value)
        try:
            read = fastavro.schemaless_reader(stream, self._schema, None)
        except UNREADABLE:
            raise ValueError("cannot be read by its Avro schema") from None
        if stream.tell() != len(value):
            raise ValueError("is longer than its Avro schema says")
        try:
            return json.dumps(read, default=_plain, ensure_ascii=False, allow_nan=False)
        except ValueError:  # NaN and infinity are no JSON
            return json.dumps(_finite(read), default=_plain, ensure_ascii=False)
        except RecursionError:
            raise ValueError("has values within values that are too deep for JSON") from None


class ProtobufSchema(MessageSchema):
    """A file of Protobuf with its imports; `kind` is the full name of the message, if not the file's first one."""

    def __init__(self, files: descriptor_pb2.FileDescriptorSet, kind: str = "") -> None:
        pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            pool.Add(file)
        self._pool, self._file = pool, pool.FindFileByName(files.file[-1].name)
        found = [kind] if kind else [one.full_name for one in self._messages()[:1]]
        self._class = message_factory.GetMessageClass(pool.FindMessageTypeByName(found[0]))

    def to_json(self, value: bytes, *, is_framed: bool = False) -> str:
        """Return a value as Protobuf's own JSON; a framed one says first which message of the file it is."""
        kind = self._class
        if is_framed:
            path, value = _message_path(value)
            kind = message_factory.GetMessageClass(self._message_at(path))
        try:
            read = kind.FromString(value)
        except DecodeError:
            raise ValueError("cannot be read by its Protobuf schema") from None
        try:
            text: str = json_format.MessageToJson(
                read,
                preserving_proto_field_name=True,
                always_print_fields_with_no_presence=True,
                indent=None,
                descriptor_pool=self._pool,  # google.protobuf.Any names a message of these files
            )
        except NO_JSON_OF_PROTOBUF:  # their own texts quote values
            raise ValueError("has a value that cannot be written as JSON by its Protobuf schema") from None
        return text

    def _messages(self) -> list[Any]:
        return list(self._file.message_types_by_name.values())

    def _message_at(self, path: list[int]) -> Any:
        """Return the message of a path of numbers: of the file's messages, then of the ones within that."""
        messages, found = self._messages(), None
        try:
            for at in path:
                found = messages[at]
                messages = list(found.nested_types)
        except IndexError:
            raise ValueError("names a message that its Protobuf schema does not have") from None
        return found


def read_schema(place: str) -> MessageSchema:
    """Read a schema from a file: Avro's .avsc, or a descriptor set of Protobuf, after which follows !Message.

    Raises ValueError that says why it cannot be used.
    """
    name, _, kind = place.partition("!")
    path = Path(name).expanduser()
    if path.suffix == ".proto":
        raise ValueError(f"{name} must be compiled first: protoc --include_imports -o NAME.binpb {name}")
    try:
        content = path.read_bytes()
        if path.suffix == AVRO:
            return AvroSchema(load_schema(str(path)))
        return ProtobufSchema(descriptor_pb2.FileDescriptorSet.FromString(content), kind)
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror or type(error).__name__}") from None
    except KeyError:
        raise ValueError(f"{name} has no message {kind}") from None
    except (SchemaParseException, SchemaRepositoryError, DecodeError, IndexError, TypeError, ValueError):
        raise ValueError(f"{name} is no schema of Avro (.avsc), and no descriptor set of Protobuf") from None


def framed(find: Callable[[int], MessageSchema | None]) -> Callable[[bytes], str]:
    """Return a decoder of messages that begin with the id of their schema (Confluent's wire format)."""

    def decode(value: bytes) -> str:
        if len(value) < HEADER_BYTES or value[0] != MAGIC:
            raise ValueError("does not begin with the id of a schema")
        (number,) = struct.unpack(">I", value[1:HEADER_BYTES])
        schema = find(number)
        if schema is None:
            raise ValueError(f"unknown schema id {number}")
        return schema.to_json(value[HEADER_BYTES:], is_framed=True)

    return decode


def registered_schema(kind: str, text: str, references: Mapping[str, str]) -> MessageSchema:
    """Return a schema as a registry holds it; `references` are those that it names, in the order of their use."""
    try:
        if kind == "JSON":
            return JsonSchema()
        if kind == "PROTOBUF":
            files = descriptor_pb2.FileDescriptorSet()
            for name, encoded in {**references, "": text}.items():
                file = descriptor_pb2.FileDescriptorProto.FromString(base64.b64decode(encoded))
                file.name = name or file.name or "message.proto"
                files.file.append(_with_known_imports(files, file))
            return ProtobufSchema(files)
        named: dict[str, Any] = {}
        for referred in references.values():
            parse_schema(json.loads(referred), named)
        return AvroSchema(parse_schema(json.loads(text), named))
    except (SchemaParseException, DecodeError, ImportError, IndexError, KeyError, TypeError, ValueError):
        raise ValueError("has a schema that cannot be used") from None


class JsonSchema(MessageSchema):
    """A JSON Schema: values are JSON, and the contract checks them."""

    def to_json(self, value: bytes, *, is_framed: bool = False) -> str:
        """Return the value's own text."""
        return value.decode()


def _with_known_imports(
    files: descriptor_pb2.FileDescriptorSet, file: descriptor_pb2.FileDescriptorProto
) -> descriptor_pb2.FileDescriptorProto:
    """Add Google's own files that a file imports, such as timestamp.proto, to a set; return the file."""
    present = {one.name for one in files.file}
    for name in file.dependency:
        if name.startswith("google/protobuf/") and name not in present:
            known = descriptor_pb2.FileDescriptorProto.FromString(_google_file(name))
            files.file.append(_with_known_imports(files, known))
    return file


@cache
def _google_file(name: str) -> bytes:
    """Return the descriptor of one of Google's own files, which come with the package."""
    from importlib import import_module

    module = import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    serialized: bytes = module.DESCRIPTOR.serialized_pb
    return serialized


def _message_path(value: bytes) -> tuple[list[int], bytes]:
    """Return the numbers by which a framed value names its message, and the rest; none stand for the first one."""
    count, at = _zigzag(value, 0)
    path = []
    for _ in range(count):
        number, at = _zigzag(value, at)
        path.append(number)
    return path or [0], value[at:]


def _zigzag(value: bytes, at: int) -> tuple[int, int]:
    """Read a whole number of variable length; return it, and where the next byte is."""
    found = shift = 0
    while True:
        if at >= len(value) or shift > 28:
            raise ValueError("names no message of its Protobuf schema")
        found |= (value[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not value[at - 1] & 0x80:
            return (found >> 1) ^ -(found & 1), at


def _decimal(value: bytes, schema: Mapping[str, Any], *_: Any) -> Decimal:
    """Return a decimal of Avro with all its digits; the reader's own would round it to the schema's precision."""
    return EXACT.scaleb(Decimal(int.from_bytes(value, signed=True)), -schema.get("scale", 0))


LOGICAL_READERS.update({"bytes-decimal": _decimal, "fixed-decimal": _decimal})


def _plain(value: Any) -> str:
    """Return the text of a value that JSON does not have."""
    match value:
        case bytes():
            return as_text(value)
        case Decimal():
            return f"{value:f}"
        case datetime() | date() | time():
            return value.isoformat()
        case UUID():
            return str(value)
    raise ValueError(f"has a value of type {type(value).__name__}")


def _finite(value: Any) -> Any:
    """Return a value in which NaN and infinity are texts."""
    match value:
        case dict():
            return {key: _finite(one) for key, one in value.items()}
        case list():
            return [_finite(one) for one in value]
        case float() if not math.isfinite(value):
            return {"nan": "NaN", "inf": "Infinity"}.get(repr(value), "-Infinity")
    return value
