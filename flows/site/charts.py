"""The charts of the site as SVG within its pages: rows, distributions, metrics with intervals, and calibration."""

from collections.abc import Sequence

from markupsafe import Markup

from flows.site.drawing import svg
from flows.site.facts import Bar
from flows.site.model_facts import Measure

LEFT = 310
"""Where the scale of metrics begins, in pixels."""


def draw_rows(history: Sequence[tuple[str, int]]) -> Markup:
    """Draw the rows of a table in the last releases as bars."""
    if not history:
        return Markup()
    highest = max(count for _, count in history) or 1
    bar, gap, height = 22, 6, 56
    parts = []
    for at, (release, count) in enumerate(history):
        tall = max(round(count / highest * height), 1)
        parts.append(
            Markup(
                '<g class="bar{}"><title>{}: {} rows</title><rect x="{}" y="{}" width="{}" height="{}" rx="2"/></g>'
            ).format(
                " last" if at == len(history) - 1 else "",
                release,
                f"{count:,}",
                at * (bar + gap),
                height - tall,
                bar,
                tall,
            )
        )
    return svg(len(history) * (bar + gap) - gap, height, parts, "Rows in the last releases", "chart")


def draw_histogram(bars: Sequence[Bar]) -> Markup:
    """Draw how many rows have which values."""
    if not bars:
        return Markup()
    highest = max(one.rows for one in bars) or 1
    bar, gap, height = 10, 2, 30
    parts = [
        Markup('<g class="bar"><title>{}: {} rows</title><rect x="{}" y="{}" width="{}" height="{}"/></g>').format(
            *(one.label, f"{one.rows:,}", at * (bar + gap), height - tall, bar, tall)
        )
        for at, one in enumerate(bars)
        for tall in [max(round(one.rows / highest * height), 1)]
    ]
    return svg(len(bars) * (bar + gap) - gap, height, parts, "Values", "chart small")


def draw_line(points: Sequence[tuple[float, float]], label: str) -> Markup:
    """Draw pairs of shares from 0 to 1 beside the diagonal on which both are equal."""
    size = 220
    places = [(round(x * size, 1), round((1 - y) * size, 1)) for x, y in points]
    line = " ".join(f"{x},{y}" for x, y in places)
    parts = [
        Markup(
            '<rect class="frame" x="0" y="0" width="{0}" height="{0}"/><path class="diagonal" d="M0 {0}L{0} 0"/>'
        ).format(size),
        Markup('<polyline class="line" points="{}"/>').format(line),
        *(
            Markup('<circle r="3.5" cx="{}" cy="{}"><title>{} said, {} seen</title></circle>').format(
                *(*place, f"{x:.0%}", f"{y:.0%}")
            )
            for place, (x, y) in zip(places, points, strict=True)
        ),
    ]
    return svg(size, size, parts, label, "chart plot")


def draw_intervals(measures: Sequence[Measure]) -> Markup:
    """Draw metrics with their intervals below each other, the first one as the model's own."""
    lows = [one.value if one.low is None else one.low for one in measures]
    highs = [one.value if one.high is None else one.high for one in measures]
    low, high = min(lows), max(highs)
    scale = 360 / ((high - low) or 1)
    parts = []
    for at, one in enumerate(measures):
        name = one.name.replace("_", " ")[:46] if at else "this model"
        y, start, end = 30 * at + 15, LEFT + (lows[at] - low) * scale, LEFT + (highs[at] - low) * scale
        parts.append(
            Markup(
                '<g class="measure{}"><text x="0" y="{}">{}</text><path d="M{} {}H{}"/><circle cx="{}" cy="{}" r="5"/>'
                '<text x="700" y="{}">{}</text></g>'
            ).format(
                *("" if at else " own", y + 4, name, f"{start:.1f}", y, f"{end:.1f}"),
                *(f"{LEFT + (one.value - low) * scale:.1f}", y, y + 4, f"{one.value:.4g}"),
            )
        )
    return svg(760, 30 * len(measures), parts, "Metric with its interval", "chart intervals")


def draw_shares(shares: Sequence[tuple[str, float]]) -> Markup:
    """Draw shares as bars below each other."""
    most = max((share for _, share in shares), default=0) or 1
    parts = [
        Markup(
            '<g class="bar last"><text x="0" y="{}">{}</text><rect x="0" y="{}" width="{}" height="8" rx="2"/></g>'
        ).format(34 * at + 12, name[:48], 34 * at + 17, f"{max(share / most, 0) * 380:.1f}")
        for at, (name, share) in enumerate(shares)
    ]
    return svg(380, 34 * len(shares), parts, "Importance of features", "chart shares")
