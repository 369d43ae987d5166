"""Content hashes of Arrow tables: equal exactly if columns, types, rows and their order are equal, on every machine."""

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

WIDER = {
    "uint8": pa.int16(),
    "uint16": pa.int32(),
    "uint32": pa.int64(),
    "uint64": pa.decimal128(20),
    "halffloat": pa.float32(),
}
"""Types that Delta does not have, each with one that holds their values."""


def lake_form(table: pa.Table) -> pa.Table:
    """Return a table in the types that Delta stores and gives back: one type of text, microseconds, no dictionaries."""
    fields = [pa.field(field.name, _lake_type(field.type)) for field in table.schema]
    return table.cast(pa.schema(fields)).combine_chunks()


def hash_table(table: pa.Table) -> str:
    """Return the SHA-256 of a table: of its schema, and of each column's nulls and values."""
    digest = hashlib.sha256()
    digest.update(repr([(field.name, str(field.type)) for field in table.schema]).encode())
    digest.update(str(table.num_rows).encode())
    for column in table.columns:
        _add(digest, column.combine_chunks() if column.num_chunks != 1 else column.chunk(0))
    return digest.hexdigest()


def _lake_type(kind: pa.DataType) -> pa.DataType:
    if kinds.is_dictionary(kind):
        return _lake_type(kind.value_type)
    if kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind):
        return pa.list_(_lake_type(kind.value_type))
    if kinds.is_timestamp(kind):
        return pa.timestamp("us", kind.tz and "UTC")
    if kinds.is_time(kind) or kinds.is_string_view(kind) or kinds.is_large_string(kind) or kinds.is_null(kind):
        return pa.string()
    if kinds.is_large_binary(kind) or kinds.is_binary_view(kind):
        return pa.binary()
    return WIDER.get(str(kind), kind)


def _add(digest: Any, array: pa.Array) -> None:
    """Add the nulls and values of an array; the bytes of a null's place, which may be anything, become zero."""
    kind = array.type
    digest.update(np.packbits(array.is_null().to_numpy(zero_copy_only=False)).tobytes())
    if kinds.is_list(kind):
        lengths = pc.fill_null(pc.list_value_length(array), 0)
        digest.update(np.asarray(lengths, dtype="<i8").tobytes())
        _add(digest, pc.list_flatten(array))
    elif kinds.is_string(kind) or kinds.is_binary(kind):
        values = pc.fill_null(array.cast(pa.large_binary()), b"")
        digest.update(np.asarray(pc.binary_length(values), dtype="<i8").tobytes())
        digest.update(b"".join(values.to_pylist()))
    elif kinds.is_decimal(kind):
        _add(digest, pc.fill_null(array, 0).cast(pa.string()))
    elif kinds.is_boolean(kind):
        digest.update(pc.fill_null(array, False).cast(pa.uint8()).to_numpy(zero_copy_only=False).tobytes())
    else:
        whole = pa.int32() if kinds.is_date32(kind) else pa.int64() if kinds.is_temporal(kind) else kind
        digest.update(pc.fill_null(array.cast(whole), 0).to_numpy(zero_copy_only=False).tobytes())
