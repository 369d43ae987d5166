"""The profile of the rows that a load brings: nulls by column, and the newest event."""

from collections import Counter
from datetime import datetime

from flows.config.contract import Contract
from flows.core.names import identifier
from flows.lake.deduplicate import NewRows
from flows.lake.times import ZONED, times_of_events


def profile_new_rows(new: NewRows, contract: Contract) -> tuple[Counter[str], datetime | None]:
    """Return the nulls by column that may be null, and when the newest of the rows happened, in UTC.

    That is None if the rows have no time of an event that is not personal data. Tombstones do not count. The rows may
    be a view, so they are read once.
    """
    names = [column.name for column in contract.columns if not column.is_required]
    latest = [
        f"timezone('UTC', max({name}))" if column.data_type == ZONED else f"cast(max({name}) as timestamp)"
        for column in times_of_events(contract)
        if not column.is_personal
        for name in [identifier(column.name)]
    ]
    counts = [f"count(*) - count({identifier(name)})" for name in names]
    newest = f"greatest({', '.join(latest)})" if latest else "max(cast(null as timestamp))"  # one row, also of none
    sql = f"select {', '.join([*counts, newest])} from {new.rows} where not _deleted"
    *nulls, newest_at = new.rows.connection.execute(sql).fetchall()[0]
    return Counter(dict(zip(names, nulls, strict=True))), newest_at
