"""Columns that turn empty: new rows have no values where the stored rows have them."""

from collections import Counter
from collections.abc import Iterator

import duckdb

from flows.config.contract import Contract
from flows.core.errors import Finding
from flows.core.names import identifier, literal
from flows.lake.delta import open_table, relation_of
from flows.lake.quarantine import FEW, limit_passed
from flows.lake.raw import RawTable

RISE = 0.5
"""The rise of a column's share of nulls that is reported: from a third, say, to more than five sixths."""


def require_filled(contract: Contract, accepted: int, nulls: Counter[str]) -> None:
    """Raise GateFailed if more new rows lack a column than its `null_limit_pct` allows."""
    broken = [
        Finding(
            str(contract.name),
            f"{column.name}: null in {nulls[column.name]:,} of {accepted:,} new records, "
            f"of which {column.null_limit_pct:g} % may be",
        )
        for column in contract.columns
        if nulls[column.name] >= FEW and nulls[column.name] * 100 > column.null_limit_pct * accepted
    ]
    if broken:
        raise limit_passed(contract, *broken, limit="null_limit_pct in the column's meta")


def describe_null_spikes(
    connection: duckdb.DuckDBPyConnection, raw: RawTable, load_id: str, accepted: int, nulls: Counter[str]
) -> Iterator[str]:
    """Describe the columns that are null far more often in the accepted rows of a load than in earlier rows."""
    suspects = [name for name, count in nulls.items() if count >= FEW and count > RISE * accepted]
    relation = relation_of(open_table(raw.path)) if suspects else None
    if relation is None:
        return
    stored, before = _counted(connection, suspects, relation, f"not _deleted and _load_id <> {literal(load_id)}")
    for name in suspects:
        share, earlier = nulls[name] / accepted, before[name] / max(stored, 1)
        if stored >= FEW and share - earlier > RISE:
            message = f"null in {share:.0%} of {accepted:,} new rows, and in {earlier:.0%} of those before"
            yield f"{raw.name}: {name} is {message}"


def _counted(
    connection: duckdb.DuckDBPyConnection, names: list[str], relation: str, predicate: str
) -> tuple[int, dict[str, int]]:
    """Count rows, and nulls by column."""
    counts = ", ".join(["count(*)", *(f"count(*) - count({identifier(name)})" for name in names)])
    rows, *nulls = connection.execute(f"select {counts} from {relation} where {predicate}").fetchall()[0]
    return rows, dict(zip(names, nulls, strict=True))
