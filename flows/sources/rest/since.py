"""The watermark as a parameter of an endpoint, in the format in which the API writes times."""

import math
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from flows.config.validation import Lookback
from flows.sources.watermark import DAY, HALF_A_DAY, from_watermark, stored_cursor, to_watermark

EPOCH_UNITS = {"epoch": 1, "epoch_ms": 1_000}
"""Units of a format per second."""


def since(watermark: str, lookback: Lookback, time_format: str | None, time_zone: str) -> str | int:
    """Return the watermark less the lookback in a format; without one, as the records write times.

    Raises UsageError for a lookback that does not apply to such a cursor.
    """
    cursor, unit = stored_cursor(watermark), EPOCH_UNITS.get(time_format or "")
    number = _number(str(cursor))
    if unit is not None and number is not None:
        less = lookback.total_seconds() * unit if isinstance(lookback, timedelta) else lookback
        return math.floor(number - Decimal(str(less)))
    moment = _moment(cursor)
    if moment is None or not time_format or not isinstance(lookback, timedelta):
        start = from_watermark(watermark, lookback)
        return start.isoformat() if isinstance(start, date) else str(start)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(time_zone))
    if time_format == "date":  # of whatever zone: the API's own day may lag behind UTC by half of one
        return _utc_less(aware, max(lookback + HALF_A_DAY, DAY)).date().isoformat()
    start = _utc_less(aware, lookback)
    if unit is not None:
        return math.floor(start.timestamp() * unit)
    return start.isoformat().replace("+00:00", "Z")


def not_past_now(watermark: str | None, time_format: str | None) -> str | None:
    """Limit a watermark in an epoch unit to the present time: a row of 2099 would hide all rows until then."""
    unit = EPOCH_UNITS.get(time_format or "")
    if watermark is None or unit is None:
        return watermark
    number, now = _number(str(stored_cursor(watermark))), int(datetime.now(UTC).timestamp() * unit)
    return watermark if number is None or number <= now else to_watermark(now)


def _utc_less(moment: datetime, lookback: timedelta) -> datetime:
    try:
        return moment.astimezone(UTC) - lookback
    except OverflowError:  # year 1 or 9999
        return (moment.replace(tzinfo=None) - DAY if moment.year > 1 else datetime.min).replace(tzinfo=UTC)


def _number(text: str) -> Decimal | None:
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _moment(cursor: object) -> datetime | None:
    if isinstance(cursor, datetime):
        return cursor
    try:
        return datetime.fromisoformat(str(cursor))
    except ValueError:
        return None
