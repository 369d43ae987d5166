"""The time that is written down: UTC without a zone, as every timestamp of the lake and the warehouse is."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment in UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)
