"""The pages of the site: facts become HTML by the templates, and every text is escaped."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from flows.core.names import identifier
from flows.site import charts, drawing
from flows.site.attention import attention_of
from flows.site.facts import Column, ColumnRef, Site, Table
from flows.site.row_settings import reach

TEMPLATES = Path(__file__).parent / "templates"
ASSETS = ("style.css", "site.js")
GENERAL = ("index", "tables", "star", "loads", "tests", "models", "macros", "guide")
"""The pages that each site has once."""
PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""A name that needs no quotes in SQL."""

CODE = re.compile(r"<code>([\w.]+)</code>")

SAFE = re.compile(r"[^A-Za-z0-9_.-]")
LONGEST_NAME = 200
"""Characters of a file's name; systems allow 255 bytes."""

LONGEST_SQL = 40_000
"""Characters of SQL that a page shows."""

Page = tuple[str, str]
"""The path of a page from the site's folder, and its text."""


def render(site: Site) -> Iterator[Page]:
    """Yield the pages of a site, its stylesheet, its script and the index that its search reads."""
    environment = _environment(site)
    for name in ASSETS:
        yield name, (TEMPLATES / name).read_text(encoding="utf-8")
    yield "search.js", f"window.siteIndex = {_script(list(_entries(site)))};\n"
    for name in GENERAL:
        yield f"{name}.html", environment.get_template(f"{name}.html").render(root="", page=name)
    template = environment.get_template("table.html")
    for key, table in site.tables.items():
        yield path_of(table), template.render(root="../", page="tables", **_about(site, key, table))
    template = environment.get_template("card.html")
    for card in site.cards:
        yield f"models/{file_name(card.name)}.html", template.render(root="../", page="models", card=card)


def _environment(site: Site) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "markdown": markdown,
        "number": number,
        "moment": moment,
        "span": span,
        "iso": lambda value: value.isoformat() + "Z",
        "file_name": file_name,
        "in_sql": in_sql,
        "linked": partial(_linked, site, _keys_by_name(site)),
        "anchor": anchor,
        "short": short,
        "by_table": _by_table,
    }
    environment.globals |= {
        "site": site,
        "attention": attention_of(site),
        "marts": _marts(site),
        "address": lambda key, root: root + path_of(site.tables[key]),
        "address_here": partial(_address, site, ""),
        "draw": drawing,
        "charts": charts,
    }
    return environment


def _keys_by_name(site: Site) -> dict[str, str]:
    """Return the ids of tables by their full names, and by their own names where these name one table of a release."""
    found = {table.full_name: key for key, table in site.tables.items()}
    for key, table in site.tables.items():
        if table.layer != "sources":
            found[table.name] = "" if table.name in found else key
    return found


def _linked(site: Site, keys: Mapping[str, str], text: str, root: str) -> Markup:
    """Return Markdown as HTML in which the names of tables that are marked as code lead to their pages."""

    def link(found: re.Match[str]) -> str:
        key = keys.get(found[1])
        return f'<a href="{_address(site, root, key)}">{found[0]}</a>' if key else found[0]

    return Markup(CODE.sub(link, markdown(text)))


def _by_table(places: Sequence[ColumnRef]) -> list[tuple[str, list[ColumnRef]]]:
    """Return columns by their table, first the tables of which most are named: a page shows only the first ones."""
    groups = [(key, list(group)) for key, group in groupby(places, itemgetter(0))]
    return sorted(groups, key=lambda one: -len(one[1]))


def _about(site: Site, key: str, table: Table) -> dict[str, Any]:
    """Return what the page of a table shows beside the table's own facts."""
    tables = site.tables
    reads = {name: [one for one in other.reads if one in tables] for name, other in tables.items()}
    above = reach([key], reads) - {key}
    below = reach([key], {name: site.readers.get(name, ()) for name in tables}) - {key}
    address = partial(_address, site, "../")
    return {
        "table": table,
        "lineage": drawing.draw_lineage(table, tables, site.readers, address),
        "above": drawing.by_layer(above, tables),
        "below": drawing.by_layer(below, tables),
        "personal": [column for column in table.columns if column.personal],
        "sql": table.sql[:LONGEST_SQL],
        "is_cut": len(table.sql) > LONGEST_SQL,
    }


def _address(site: Site, root: str, key: str) -> str:
    return root + path_of(site.tables[key])


def _marts(site: Site) -> list[tuple[str, list[Table]]]:
    """Return the marts by department, both in the order of their names."""
    found: dict[str, list[Table]] = {}
    for table in site.tables.values():
        if table.is_mart:
            found.setdefault(table.department or table.schema, []).append(table)
    return [(name, sorted(found[name], key=lambda one: one.name)) for name in sorted(found)]


def path_of(table: Table) -> str:
    """Return the path of a table's page, which stays the same from release to release."""
    folder = "sources" if table.layer == "sources" else "tables"
    return f"{folder}/{file_name(table.full_name)}.html"


def file_name(text: str) -> str:
    """Return a text as the name of a file on any system; every other character becomes its number.

    A name that is too long for a file ends with its hash.
    """
    name = anchor(text)
    return name if len(name) <= LONGEST_NAME else f"{name[:160]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def in_sql(table: Table) -> str:
    """Return the name of a table in SQL, quoted where it must be."""
    return ".".join(name if PLAIN.fullmatch(name) else identifier(name) for name in (table.schema, table.name))


def anchor(text: str) -> str:
    """Return a text as the name of a place in a page."""
    return SAFE.sub(lambda found: f"~{ord(found[0]):x}", text)


@cache
def _markdown() -> MarkdownIt:
    """Return a reader of Markdown that lets no HTML through, and makes no links, whose addresses could be anywhere."""
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable(["link", "autolink", "image"])


@cache
def markdown(text: str) -> Markup:
    """Return Markdown as HTML; HTML within it is shown as text."""
    return Markup(_markdown().render(text))


def number(value: int | float | None) -> str:
    """Return a number with its thousands apart, and four digits of a fraction."""
    if value is None:
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if abs(value) < 1_000_000 else f"{value:,.0f}"


def moment(value: datetime | None) -> Markup:
    """Return a time of UTC for reading, with its exact value."""
    if value is None:
        return Markup("–")
    return Markup('<time datetime="{}Z">{} UTC</time>').format(value.isoformat(), f"{value:%Y-%m-%d %H:%M}")


def span(value: timedelta | None) -> str:
    """Return a length of time in its largest unit of which there are two."""
    if value is None:
        return ""
    for unit, seconds in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if value.total_seconds() >= 2 * seconds:
            return f"{value.total_seconds() / seconds:.3g} {unit}"
    return f"{value.total_seconds():.0f} seconds"


def short(text: str, most: int = 90) -> str:
    """Return the beginning of a text on one line."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def _script(value: Any) -> str:
    """Return a value as JSON that cannot end the script that it is in."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _entries(site: Site) -> Iterator[Sequence[str]]:
    """Yield what the search finds: name, address, kind, text that is shown, and further text that is searched."""
    for table in site.tables.values():
        page = path_of(table)
        more = " ".join([table.owner, table.department, table.schema, *table.tags, *table.uses, table.text[:600]])
        yield table.full_name, page, table.layer, table.question, more
        for column in table.columns:
            yield from _column_entry(table, column, page)
    for card in site.cards:
        yield card.title, f"models/{file_name(card.name)}.html", "model", card.text, f"{card.name} {card.owner}"
    for macro in site.macros:
        yield macro["name"], f"macros.html#{anchor(macro['name'])}", "macro", short(macro["text"], 160), macro["folder"]


def _column_entry(table: Table, column: Column, page: str) -> Iterator[Sequence[str]]:
    text = " ".join(column.text.split())
    yield (
        f"{table.full_name}.{column.name}",
        f"{page}#column-{anchor(column.name)}",
        "column",
        short(text, 160),
        f"personal data: {column.personal}" if column.personal else "",
    )
