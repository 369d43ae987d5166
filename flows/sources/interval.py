"""Intervals of days that are read again from a source, as values of its cursor."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from flows.config.connections import TableMapping
from flows.core.errors import UsageError
from flows.sources.rest.since import EPOCH_UNITS
from flows.sources.watermark import in_format_of, later, moment_of, stored_cursor, to_watermark

TIMES = {"date", "timestamp", "timestamp with time zone"}
"""Types of a contract whose values lie in an interval of days, or do not."""

FIRST_YEAR, LAST_YEAR = 1900, 9998
ZONE_REMEDY = "Write one such as Europe/London under `vars` of the set."


@dataclass(frozen=True)
class Interval:
    """Days of a time zone: the first one, and all after it that come before `end`."""

    first: date
    end: date
    zone: str

    @classmethod
    def parse(cls, first: str, end: str, zone: str) -> "Interval":
        """Read an interval of two days; raises UsageError for what is no day, and for one without a day in it."""
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise UsageError(f"The var business_time_zone is {zone!r}, which is no time zone.", ZONE_REMEDY) from None
        found = cls(_day("--from", first, zone), _day("--to", end, zone), zone)
        if found.first >= found.end:
            raise UsageError(
                f"--from {first} is not before --to {end}, so there is no day to read again. Nothing was done.",
                "The day of --to is no part of the interval. For one day, name the day after it.",
            )
        return found

    @property
    def bounds(self) -> tuple[datetime, datetime]:
        """The moments in UTC from which, and before which, the interval lies."""
        begin, end = (datetime.combine(day, time.min, ZoneInfo(self.zone)) for day in (self.first, self.end))
        return begin.astimezone(UTC), end.astimezone(UTC)

    def holds(self, column: str, kind: str) -> str:
        """Return SQL for whether the value of a column, of one of TIMES, lies in the interval; null for no value."""
        begin, end = (f"cast('{value}' as {kind})" for value in self._values(kind))
        return f"({column} >= {begin} and {column} < {end})"

    def is_before(self, column: str, kind: str) -> str:
        """Return SQL for whether a value of a column comes two days after the interval: no offset is as large."""
        return f"({column} > cast('{self._values(kind)[1]}' as {kind}) + interval 2 days)"

    def _values(self, kind: str) -> tuple[str, str]:
        if kind == "date":
            return self.first.isoformat(), self.end.isoformat()
        begin, end = self.bounds
        offset = "+00" if kind == "timestamp with time zone" else ""
        return f"{begin:%Y-%m-%d %H:%M:%S}{offset}", f"{end:%Y-%m-%d %H:%M:%S}{offset}"

    def __str__(self) -> str:
        return f"{self.first} to {self.end} ({self.zone})"


def watermark_before(stored: str | None, interval: Interval, mapping: TableMapping) -> str | None:
    """Return the watermark from which a source shows an interval, in the form of the one that is stored.

    It is never later than that one. None if that holds no time: then all of the source is read.
    """
    if stored is None:
        return None
    moment, cursor = interval.bounds[0], stored_cursor(stored)
    local = moment.astimezone(ZoneInfo(mapping.zone))
    value: str | int | date | None = None
    if (unit := EPOCH_UNITS.get(mapping.since_format or "")) is not None and isinstance(cursor, int | float | Decimal):
        value = math.floor(moment.timestamp() * unit)
    elif isinstance(cursor, datetime):
        value = moment.astimezone(cursor.tzinfo) if cursor.tzinfo else local.replace(tzinfo=None)
    elif isinstance(cursor, date):
        value = local.date()
    elif isinstance(cursor, str) and (like := moment_of(cursor)) is not None:
        value = in_format_of(cursor, moment.astimezone(like.tzinfo) if like.tzinfo else local)
    if value is None:
        return None
    is_mixed = bool(json.loads(stored).get("mixed"))
    begin = to_watermark(value, is_mixed=is_mixed)
    return stored if later(begin, stored, is_mixed=is_mixed) == begin else begin


def _day(option: str, text: str, zone: str) -> date:
    try:
        day = date.fromisoformat(text) if len(text) == len("2026-01-31") else None
    except ValueError:
        day = None
    if day is None or not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise UsageError(
            f"{option} {text} is no day. Nothing was done.",
            f"Write a day such as 2026-01-31. Days are those of the set's time zone, {zone} (business_time_zone).",
        )
    return day
