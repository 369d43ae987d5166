"""The one place that turns unforeseen exceptions into errors of ours, without values and secrets."""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from flows.core.errors import Unforeseen, WarehouseError
from flows.core.redaction import without_values
from flows.core.storage import storage_failure

PACKAGE = Path(__file__).resolve().parents[1]
HIDDEN = "; its message is not shown, since it may quote values"


def describe_unforeseen(error: BaseException) -> str:
    """Return an exception's kind and place; its message may quote values and secrets, so that is left out."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(PACKAGE)]
    place = ""
    if own:
        path = Path(own[-1].filename).relative_to(PACKAGE.parent)
        place = f" at {path}:{own[-1].lineno}, in {own[-1].name}"
    within = "" if not frames or frames[-1] in own else f", raised by {Path(frames[-1].filename).name}"
    known = f": {without_values(error)}" if isinstance(error, duckdb.Error) else ""
    return f"unforeseen {type_name(error)}{place}{within}{known or HIDDEN}"


def type_name(value: object) -> str:
    """Return the name of a value's type, with its module unless it is one of Python's own."""
    return f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")


@contextmanager
def exceptions_named(
    what: str, foreseen: Callable[[Exception], WarehouseError | None] = storage_failure
) -> Iterator[None]:
    """Turn every exception into an error of ours; `foreseen` may know a better one than Unforeseen."""
    try:
        yield
    except WarehouseError:
        raise
    except Exception as error:  # noqa: BLE001 - this is the place for all of them
        raise foreseen(error) or Unforeseen(what, describe_unforeseen(error)) from None
