"""The sentences on records without a counterpart: how many, which share of all, and how much money."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any

RELATION = ("table_name", "column_name", "counterpart_table_name", "counterpart_column_name")
NO_CURRENCY = "XXX"
"""The ISO 4217 code for no currency."""

Row = Mapping[str, Any]


def describe_orphans(rows: Iterable[Row]) -> list[str]:
    """Return a sentence for each relation in rows of `relation_coverage`, which has a row per currency."""
    ordered = sorted(rows, key=itemgetter(*RELATION, "currency"))
    return [_sentence(list(one)) for _, one in groupby(ordered, key=itemgetter(*RELATION))]


def _sentence(rows: list[Row]) -> str:
    relation = rows[0]
    orphans, records = (sum(row[name] for row in rows) for name in ("orphan_count", "record_count"))
    text = (
        f"{relation['table_name']}: {orphans:,} of {records:,} records{_share(orphans, records)} have no record in "
        f"{relation['counterpart_table_name']} by {relation['column_name']}"
    )
    if relation["missing_from"]:
        text += f" and are missing from {relation['missing_from']}"
    money = [_money(row) for row in rows if row["orphan_count"] and row["orphan_amount"] is not None]
    return f"{text}: {', '.join(money)}" if money else text


def _money(row: Row) -> str:
    currency = "of an unknown currency" if row["currency"] == NO_CURRENCY else row["currency"]
    return (
        f"{row['orphan_amount']:,.2f} of {row['amount']:,.2f} {currency}{_share(row['orphan_amount'], row['amount'])}"
    )


def _share(part: Any, whole: Any) -> str:
    """Return the share in per cent; returns may make a part larger than the whole, which then has no share."""
    if whole <= 0 or not 0 <= part <= whole:
        return ""
    pct = 100 * part / whole
    return " (under 0.1 %)" if 0 < pct < 0.1 else f" ({pct:.1f} %)"
