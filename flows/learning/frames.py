"""Tables as pandas frames with plain types: what scikit-learn and LightGBM take as they are."""

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.types as kinds

if TYPE_CHECKING:
    import pandas as pd


def to_frame(table: pa.Table) -> "pd.DataFrame":
    """Return a table as a frame: numbers as float64 or int64, texts as objects, times without a zone, lists as arrays.

    A null is NaN in a number, None in a text, NaT in a time; a boolean with nulls becomes a number.
    """
    import pandas as pd

    columns = {name: _series(column) for name, column in zip(table.column_names, table.columns, strict=True)}
    return pd.DataFrame(columns, columns=table.column_names)


def _series(column: pa.ChunkedArray) -> "pd.Series":
    import pandas as pd

    kind = column.type
    if kinds.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if kinds.is_decimal(kind) or (kinds.is_integer(kind) and column.null_count):
        column = column.cast(pa.float64())
    elif kinds.is_boolean(kind) and column.null_count:
        column = column.cast(pa.int8()).cast(pa.float64())
    elif kinds.is_null(kind):
        column = column.cast(pa.float64())
    elif (kinds.is_timestamp(kind) and kind.tz) or kinds.is_date(kind):
        column = column.cast(pa.timestamp("us"))
    values = column.to_numpy()
    is_object = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_binary(kind) or kinds.is_nested(kind)
    return pd.Series(values, dtype=object) if is_object else pd.Series(values)
