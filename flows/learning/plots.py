"""Plots of a trained model as small SVG files, drawn without a plotting library."""

from collections.abc import Mapping, Sequence
from html import escape

from flows.learning.metrics import Measured

WIDTH, HEIGHT, MARGIN, ROW = 480, 320, 40, 24
LABELS = 180
INK, LINE, FAINT = "#1f2933", "#2f6fdd", "#c5ccd6"
STYLE = f'font-family="sans-serif" font-size="12" fill="{INK}"'


def draw_calibration(rows: Sequence[tuple[float, float, int]], title: str) -> str:
    """Return mean truth against mean score for each tenth of the scores; on the diagonal both are equal."""
    values = [one for score, truth, _ in rows for one in (score, truth)]
    low, high = min(values, default=0.0), max(values, default=1.0)
    span = high - low or 1.0

    def place(score: float, truth: float) -> tuple[float, float]:
        across = MARGIN + (score - low) / span * (WIDTH - 2 * MARGIN)
        return across, HEIGHT - MARGIN - (truth - low) / span * (HEIGHT - 2 * MARGIN)

    (left, bottom), (right, top) = place(low, low), place(high, high)
    points = [place(score, truth) for score, truth, _ in rows]
    drawn = [
        f'<line x1="{left:.1f}" y1="{bottom:.1f}" x2="{right:.1f}" y2="{top:.1f}" stroke="{FAINT}"/>',
        f'<polyline points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" fill="none" stroke="{LINE}"/>',
        *(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{LINE}"/>' for x, y in points),
        f'<text x="{MARGIN}" y="{HEIGHT - 12}" {STYLE}>mean score, {low:.3g} to {high:.3g}</text>',
    ]
    return _svg(title, drawn, HEIGHT)


def draw_bars(shares: Mapping[str, float], title: str) -> str:
    """Return one bar a name, the longest for the greatest value."""
    most = max(shares.values(), default=0) or 1.0
    drawn = []
    for row, (name, share) in enumerate(shares.items()):
        y = MARGIN + row * ROW
        drawn.append(f'<text x="{LABELS - 8}" y="{y + 14}" text-anchor="end" {STYLE}>{escape(name[:28])}</text>')
        width = share / most * (WIDTH - LABELS - 60)
        drawn.append(f'<rect x="{LABELS}" y="{y + 3}" width="{width:.1f}" height="{ROW - 8}" fill="{LINE}"/>')
        drawn.append(f'<text x="{LABELS + width + 6:.1f}" y="{y + 14}" {STYLE}>{share:.3f}</text>')
    return _svg(title, drawn, MARGIN + ROW * len(shares) + 16)


def draw_intervals(measured: Mapping[str, Measured], title: str) -> str:
    """Return one interval a name, with its value as a point."""
    ends = [one for each in measured.values() for one in (each.value, each.low, each.high) if one == one]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    span = high - low or 1.0
    drawn = []
    for row, (name, one) in enumerate(measured.items()):
        y = MARGIN + row * ROW + 10
        left, middle, right = (
            LABELS + (max(min(end, high), low) - low) / span * (WIDTH - LABELS - 30) if end == end else LABELS
            for end in (one.low, one.value, one.high)
        )
        drawn.append(f'<text x="{LABELS - 8}" y="{y + 4}" text-anchor="end" {STYLE}>{escape(name[:28])}</text>')
        drawn.append(f'<line x1="{left:.1f}" y1="{y}" x2="{right:.1f}" y2="{y}" stroke="{LINE}" stroke-width="3"/>')
        drawn.append(f'<circle cx="{middle:.1f}" cy="{y}" r="5" fill="{INK}"/>')
    drawn.append(f'<text x="{LABELS}" y="{MARGIN + ROW * len(measured) + 10}" {STYLE}>{low:.3f} to {high:.3f}</text>')
    return _svg(title, drawn, MARGIN + ROW * len(measured) + 24)


def _svg(title: str, drawn: Sequence[str], height: float) -> str:
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}">'
    ground = f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>'
    return "\n".join([head, ground, f'<text x="12" y="22" {STYLE}>{escape(title)}</text>', *drawn, "</svg>\n"])
