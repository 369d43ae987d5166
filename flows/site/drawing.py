"""The drawings of the site as SVG within its pages: lineage around a table, the star schema, and small charts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from markupsafe import Markup

from flows.site.facts import Relation, Table

STEPS = 2
"""Steps from a table, up and down, that its drawing shows."""

MOST = 7
"""Tables that one column of a drawing holds; the list below it has all."""

WIDTH, HEIGHT, GAP_X, GAP_Y = 164, 44, 25, 12
CHARACTERS = 21
"""Characters of a name that fit into a box."""

LAYERS = ("sources", "seeds", "staging", "warehouse", "marts", "history")

Address = Callable[[str], str]
"""Returns the address of a table's page, by its id."""


@dataclass(frozen=True)
class Box:
    """A box of a drawing at its place; without a `key` it counts tables that are left out."""

    key: str
    name: str
    about: str
    layer: str
    x: int
    y: int
    is_own: bool = False


def neighbours(
    table: Table, reads: Mapping[str, Iterable[str]], readers: Mapping[str, Iterable[str]]
) -> dict[str, int]:
    """Return the tables within two steps of a table by their distance: negative for what it reads."""
    found = {table.key: 0}
    for sign, ways in ((-1, reads), (1, readers)):
        edge = [table.key]
        for step in range(1, STEPS + 1):
            edge = sorted({one for key in edge for one in ways.get(key, ())} - found.keys())
            found |= dict.fromkeys(edge, sign * step)
    return found


def draw_lineage(
    table: Table, tables: Mapping[str, Table], readers: Mapping[str, Sequence[str]], address: Address
) -> Markup:
    """Draw the tables that a table is made of, and those that are made of it, two steps each; empty if it is alone."""
    reads = {key: [one for one in other.reads if one in tables] for key, other in tables.items()}
    places = neighbours(table, reads, readers)
    if len(places) == 1:
        return Markup()
    columns: dict[int, list[str]] = {}
    for key, distance in places.items():
        columns.setdefault(distance, []).append(key)
    boxes: dict[str, Box] = {}
    tallest = max(min(len(keys), MOST + 1) for keys in columns.values())
    for at, (distance, keys) in enumerate(sorted(columns.items())):
        keys.sort(key=lambda key: (_rank(tables[key].layer), tables[key].full_name))
        shown = keys if len(keys) <= MOST + 1 else keys[:MOST]
        count = len(shown) + (len(keys) > len(shown))
        top = (tallest - count) * (HEIGHT + GAP_Y) // 2
        x = at * (WIDTH + GAP_X)
        for row, key in enumerate(shown):
            one = tables[key]
            y = top + row * (HEIGHT + GAP_Y)
            boxes[key] = Box(key, one.name, f"{one.layer} · {one.schema}", one.layer, x, y, distance == 0)
        if len(keys) > len(shown):
            y = top + len(shown) * (HEIGHT + GAP_Y)
            boxes[f"more {distance}"] = Box("", f"{len(keys) - len(shown)} more", "listed below", "", x, y)
    links = [(parent, key) for key in boxes if key in reads for parent in reads[key] if parent in boxes]
    width = len(columns) * (WIDTH + GAP_X) - GAP_X
    height = tallest * (HEIGHT + GAP_Y) - GAP_Y
    drawn = [_link(boxes[one], boxes[other]) for one, other in links if places[other] == places[one] + 1]
    drawn += [_box(box, address) for box in boxes.values()]
    return svg(width, height, drawn, f"Lineage of {table.name}", "lineage")


def _rank(layer: str) -> int:
    return LAYERS.index(layer) if layer in LAYERS else len(LAYERS)


def _link(one: Box, other: Box) -> Markup:
    x1, y1, x2, y2 = one.x + WIDTH, one.y + HEIGHT // 2, other.x, other.y + HEIGHT // 2
    bend = GAP_X * 2 // 3
    kind = " own" if one.is_own or other.is_own else ""
    return Markup('<path class="link{}" d="M{} {}C{} {} {} {} {} {}"/>').format(
        kind, x1, y1, x1 + bend, y1, x2 - bend, y2, x2, y2
    )


def _box(box: Box, address: Address) -> Markup:
    inner = Markup(
        '<g class="box {}{}"><title>{}</title><rect x="{}" y="{}" width="{}" height="{}" rx="7"/>'
        '<rect class="edge" x="{}" y="{}" width="4" height="{}" rx="2"/>'
        '<text x="{}" y="{}" class="name">{}</text><text x="{}" y="{}" class="about">{}</text></g>'
    ).format(
        *(f"layer-{box.layer}" if box.layer in LAYERS else "layer-other", " own" if box.is_own else "", box.name),
        *(box.x, box.y, WIDTH, HEIGHT, box.x, box.y, HEIGHT),
        *(box.x + 12, box.y + 19, _cut(box.name), box.x + 12, box.y + 35, _cut(box.about, CHARACTERS + 4)),
    )
    target = address(box.key) if box.key else "#lineage-list"
    return inner if box.is_own else Markup('<a href="{}">{}</a>').format(target, inner)


def _cut(text: str, most: int = CHARACTERS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def svg(width: int, height: int, parts: Iterable[Markup], title: str, kind: str) -> Markup:
    """Return a drawing of a size in pixels, with its title for those who do not see it."""
    return Markup(
        '<svg class="{}" viewBox="-2 -2 {} {}" width="{}" height="{}" role="img" aria-label="{}">{}</svg>'
    ).format(kind, width + 4, height + 4, width + 4, height + 4, title, Markup().join(parts))


ROW, HEAD = 22, 34
"""Heights of a column and of the head of a box in the star schema."""


def draw_star(relations: Sequence[Relation], tables: Mapping[str, Table], address: Address) -> Markup:
    """Draw the star schema: at the left what refers, with its columns, at the right what is referred to.

    A table that is both is at the right, and its own links begin there.
    """
    relations = [one for one in relations if one.table in tables and one.to in tables]
    targets = {key: sum(one.to == key for one in relations) for key in dict.fromkeys(one.to for one in relations)}
    right = sorted(targets, key=lambda key: (-targets[key], tables[key].name))
    order = {key: at for at, key in enumerate(right)}
    left = [key for key in dict.fromkeys(one.table for one in relations) if key not in order]
    middle = {key: sum(order[one.to] for one in relations if one.table == key) for key in left}
    count = {key: sum(one.table == key for one in relations) for key in left}
    left.sort(key=lambda key: (middle[key] / count[key], tables[key].name))
    width, gap = 270, 470
    places, drawn, bottoms = {}, [], []
    lengths = [sum(HEAD + 8 + ROW * len(_keys(key, relations)) for key in keys) for keys in (left, right)]
    height = max(length + 14 * len(keys) for length, keys in zip(lengths, (left, right), strict=True))
    for x, keys, length in ((0, left, lengths[0]), (width + gap, right, lengths[1])):
        y, spread = 0, max((height - length) // max(len(keys), 1), 14)
        for key in keys:
            names = _keys(key, relations)
            places[key] = (x, y, names)
            drawn.append(_entity(tables[key], x, y, width, names, address))
            y += HEAD + ROW * len(names) + 8 + spread
        bottoms.append(y)
    links = [_relation(one, places, order, width) for one in relations]
    return svg(2 * width + gap + 70, max(bottoms), [*links, *drawn], "Star schema", "star")


def _keys(key: str, relations: Sequence[Relation]) -> list[str]:
    """Return the columns by which a table refers to others, and by which others refer to it."""
    names = [one.column for one in relations if one.table == key] + [one.field for one in relations if one.to == key]
    return list(dict.fromkeys(names))


def _entity(table: Table, x: int, y: int, width: int, names: Sequence[str], address: Address) -> Markup:
    height = HEAD + ROW * len(names) + 8
    rows = [
        Markup('<text class="about" x="{}" y="{}">{}</text>').format(x + 14, y + HEAD + ROW * at + 15, _cut(name, 30))
        for at, name in enumerate(names)
    ]
    return Markup(
        '<g class="box layer-{}" data-table="{}"><title>{}</title>'
        '<rect x="{}" y="{}" width="{}" height="{}" rx="7"/>'
        '<rect class="edge" x="{}" y="{}" width="4" height="{}" rx="2"/>'
        '<a href="{}"><text class="name" x="{}" y="{}">{}</text></a>{}</g>'
    ).format(
        *(table.layer if table.layer in LAYERS else "other", table.key, table.full_name),
        *(x, y, width, height, x, y, height, address(table.key), x + 14, y + 22, _cut(table.name, 32)),
        Markup().join(rows),
    )


def _relation(
    one: Relation, places: Mapping[str, tuple[int, int, list[str]]], order: Mapping[str, int], width: int
) -> Markup:
    x1, y1, names = places[one.table]
    x2, y2, fields = places[one.to]
    start, end = y1 + HEAD + ROW * names.index(one.column) + 11, y2 + HEAD + ROW * fields.index(one.field) + 11
    begin, bend = (x1 + width, (x2 - x1 - width) // 2) if x1 < x2 else (x1 + width, 70)
    stop = x2 if x1 < x2 else x2 + width
    inner = stop - bend if x1 < x2 else stop + bend
    return Markup('<path class="link hue-{}" data-from="{}" data-to="{}" d="M{} {}C{} {} {} {} {} {}"/>').format(
        *(order[one.to] % 6, one.table, one.to, begin, start, begin + bend, start, inner, end, stop, end)
    )


def by_layer(keys: Iterable[str], tables: Mapping[str, Table]) -> list[tuple[str, list[Table]]]:
    """Return tables by their layer, in the order of the data."""
    found = sorted((tables[key] for key in keys), key=lambda one: (_rank(one.layer), one.layer, one.full_name))
    return [(layer, list(group)) for layer, group in groupby(found, key=lambda one: one.layer)]
