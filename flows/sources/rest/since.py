"""From where on an endpoint is asked: a watermark as the API writes times."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flows.sources.watermark import from_watermark, to_watermark

EPOCH_UNITS = {"epoch": 1, "epoch_ms": 1_000}
"""How many units of a format make a second."""


def since(watermark: str, lookback: timedelta, form: str, time_zone: str) -> str | int:
    """Return the value to ask from: the watermark less the lookback, as the records write it if no format is named."""
    cursor = from_watermark(watermark, lookback)
    number, unit = _number(str(cursor)), EPOCH_UNITS.get(form)
    if unit is not None and number is not None:
        return int(number - lookback.total_seconds() * unit)
    moment = cursor if isinstance(cursor, datetime) else _moment(str(cursor))
    if moment is None or not form:
        return moment.isoformat() if isinstance(cursor, datetime) and moment else str(cursor)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(time_zone))
    if unit is not None:
        return int(aware.timestamp() * unit)
    utc = aware.astimezone(UTC)
    return utc.date().isoformat() if form == "date" else utc.isoformat().replace("+00:00", "Z")


def not_past_now(watermark: str | None, form: str) -> str | None:
    """Return a watermark that holds a number for a time, at the latest now: a row of 2099 would hide all until then."""
    unit = EPOCH_UNITS.get(form)
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
