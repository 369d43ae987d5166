"""Rules for records that do not come from one column's type: tombstones, and times that cannot be."""

from dataclasses import dataclass

from flows.config.contract import Contract
from flows.core.clock import utc_now
from flows.core.names import identifier, literal
from flows.lake.times import ZONED, times_of_events


@dataclass(frozen=True)
class Rule:
    """SQL for whether a record keeps a rule (never null), and for the reason if it breaks it."""

    holds: str
    reason: str


def unless_deleted(rule: Rule) -> Rule:
    """Return a rule that holds for every tombstone."""
    return Rule(f"(_deletes or {rule.holds})", f"case when not _deletes then {rule.reason} end")


def tombstone_rules(contract: Contract) -> list[Rule]:
    """Reject a tombstone that no key can be found for, and any tombstone of a table whose events are not deleted."""
    if contract.load == "append":
        reason = "is a tombstone, and load: append deletes no event; set load: upsert, or leave it out by where"
        return [Rule("not _deletes", f"case when _deletes then {literal(reason)} end")]
    rules = []
    for name in contract.key:
        holds = f"(not _deletes or {identifier(name)} is not null)"
        reason = literal(f"{name}: is not found for a tombstone; map it from kafka_key as well")
        rules.append(Rule(holds, f"case when not {holds} then {reason} end"))
    return rules


def range_rules(contract: Contract) -> list[Rule]:
    """Reject times from the future, and from before the earliest day, of columns that have happened and of the cursor.

    Such a cursor spoils the order of a history for good. One order of the year 2062 would make all others look old,
    and one of the year 1 a calendar of two thousand years.
    """
    rules = []
    for column in times_of_events(contract):
        kind = column.data_type
        zone = "+00" if kind == ZONED else ""
        value, latest = identifier(column.name), f"{utc_now() + contract.future_tolerance}{zone}"
        ahead = f"coalesce({value} <= cast({ZONED if zone else 'timestamp'} '{latest}' as {kind}), true)"
        since = f"coalesce({value} >= {kind} '{contract.earliest}{f' 00:00:00{zone}' if zone else ''}', true)"
        for holds, reason in (
            (ahead, "lies further ahead than future_tolerance allows"),
            (since, f"lies before {contract.earliest}, the contract's earliest day"),
        ):
            rules.append(Rule(holds, f"case when not {holds} then {literal(f'{column.name}: {reason}')} end"))
    return rules
