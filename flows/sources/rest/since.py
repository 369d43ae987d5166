"""The watermark as a parameter of an endpoint, in the format in which the API writes times."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flows.sources.watermark import from_watermark, to_watermark

EPOCH_UNITS = {"epoch": 1, "epoch_ms": 1_000}
"""Units of a format per second."""


def since(watermark: str, lookback: timedelta, time_format: str | None, time_zone: str) -> str | int:
    """Return the watermark minus the lookback in the API's time format; without one, in the format of the records."""
    cursor = from_watermark(watermark, lookback)
    number, unit = _number(str(cursor)), EPOCH_UNITS.get(time_format or "")
    if unit is not None and number is not None:
        return int(number - lookback.total_seconds() * unit)
    moment = cursor if isinstance(cursor, datetime) else _moment(str(cursor))
    if moment is None or not time_format:
        return cursor.isoformat() if isinstance(cursor, datetime) else str(cursor)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(time_zone))
    if unit is not None:
        return int(aware.timestamp() * unit)
    utc = aware.astimezone(UTC)
    return utc.date().isoformat() if time_format == "date" else utc.isoformat().replace("+00:00", "Z")


def not_past_now(watermark: str | None, time_format: str | None) -> str | None:
    """Limit a watermark in an epoch unit to the present time: a row of 2099 would hide all rows until then."""
    unit = EPOCH_UNITS.get(time_format or "")
    if watermark is None or unit is None:
        return watermark
    number, now = _number(str(from_watermark(watermark, timedelta(0)))), int(datetime.now(UTC).timestamp() * unit)
    return watermark if number is None or number <= now else to_watermark(now)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
