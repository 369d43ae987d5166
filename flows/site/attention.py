"""The matters of a release that a reader of its docs site should know first."""

from collections.abc import Iterator, Sequence

from flows.site.facts import GOOD, HELD, WARNED, Site, Table

HELD_LIST = "tables.html#held"
"""Where all that is held back is listed."""

Matter = tuple[str, str, str, str]
"""Its kind, a word, a sentence, and the address of more."""


def attention_of(site: Site) -> list[Matter]:
    """Return the matters of a release that need attention."""
    found = [("bad", "late", f"{name} is older than its contract promises.", "loads.html") for name in site.late]
    found += _told_of_held([one for one in site.held if one.layer == "sources"], "source table")
    found += _told_of_held([one for one in site.held if one.layer != "sources" and one.kind != "view"], "table")
    found += [
        ("bad", load.outcome, f"The last load of {load.table} was not completed.", "loads.html")
        for load in site.loads
        if load.outcome not in ("", "completed")
    ]
    found += [
        ("warn", "empty", f"{load.table} is read by this set and has no rows.", "loads.html")
        for load in site.loads
        if not load.rows
    ]
    if site.quarantined:
        text = f"{site.quarantined:,} records of {len(site.quarantine_of)} source tables break a rule."
        found.append(("warn", "quarantine", text, "loads.html#quarantine"))
    for table in site.tables.values():
        for check in table.checks:
            if check.status not in ("", GOOD, HELD):
                kind = "warn" if check.status == WARNED else "bad"
                found.append((kind, "test", f"{table.full_name}: {check.sentence}", "tests.html"))
    return found


def _told_of_held(tables: Sequence[Table], what: str) -> Iterator[Matter]:
    """Yield the matter that tables are held back, if any are."""
    releases = " or ".join(sorted({one.held_since for one in tables}))
    if len(tables) == 1:
        yield (
            "bad",
            "held back",
            f"The {what} {tables[0].full_name} is held back, as release {releases} had it.",
            HELD_LIST,
        )
    elif tables:
        yield "bad", "held back", f"{len(tables)} {what}s are held back, as release {releases} had them.", HELD_LIST
