# SPDX-License-Identifier: MIT
"""Plots as SVG, written by hand: bars on a logarithmic scale, and columns over time."""
from bisect import bisect_right
from html import escape
from math import ceil, log10

FONT = 'font-family="DejaVu Sans, Verdana, sans-serif" font-size="12" fill="#222"'
COLOURS = ("#2f6db3", "#e08a1e", "#3a9a5b", "#a44a9c", "#8c6d3f", "#c8433a", "#9aa3ad")
GRID, PAPER = "#d5d9de", "#ffffff"
LABELS, WIDTH, ROW, BAR, TOP, FOOT = 210, 620, 26, 9, 50, 30
COLUMNS, HEIGHT = 100, 300
SHOWN = len(COLOURS) - 1  # the last colour is for all others


def _svg(width, height, parts):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'width="{width}" height="{height}" {FONT}>\n'
            f'<rect width="{width}" height="{height}" fill="{PAPER}"/>\n'
            + "\n".join(parts) + "\n</svg>\n")


def _text(x, y, words, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def _rect(x, y, width, height, colour):
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
            f'fill="{colour}"/>')


def _line(x1, y1, x2, y2, colour=GRID, width=1):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-width="{width}"/>')


def _legend(x, y, names):
    parts = []
    for name, colour in names:
        parts += [_rect(x, y - 9, 10, 10, colour), _text(x + 14, y, name)]
        x += 34 + 7.4 * len(name)
    return parts


def bars(rows, names, wanted):
    """`rows`: (label, [value or None for each of `names`], value that is wanted or None)."""
    most = ceil(log10(max(value for _, values, _ in rows for value in values if value)))
    height = TOP + ROW * len(rows) + FOOT

    def x(value):
        return LABELS + WIDTH * log10(max(value, 1)) / most

    parts = _legend(LABELS, 20, [*zip(names, COLOURS), (wanted, COLOURS[5])])
    for power in range(most + 1):
        parts += [_line(x(10 ** power), TOP - 8, x(10 ** power), height - FOOT),
                  _text(x(10 ** power), height - 10, f"{10 ** power:,}", "middle")]
    for number, (label, values, want) in enumerate(rows):
        top = TOP + ROW * number
        parts.append(_text(LABELS - 8, top + 14, label, "end"))
        for place, value in enumerate(values):
            if value is not None:
                # What costs a tick is seen, too.
                parts.append(_rect(LABELS, top + 2 + place * (BAR + 1),
                                   max(x(value) - LABELS, 2), BAR, COLOURS[place]))
        if want:
            parts.append(_line(x(want), top, x(want), top + ROW - 4, COLOURS[5], 2))
    return _svg(LABELS + WIDTH + 60, height, parts)


def _at(samples, name, tick):
    """How many there had been at a tick, by what was seen before and after."""
    ticks = [each[0] for each in samples]
    after = bisect_right(ticks, tick)
    if after == 0:
        return 0
    if after == len(samples):
        return samples[-1][1].get(name, 0)
    (t0, before), (t1, then) = samples[after - 1], samples[after]
    first, last = before.get(name, 0), then.get(name, 0)
    return first + (last - first) * (tick - t0) / (t1 - t0)


def columns(samples, unit, what):
    """Stacked columns of what was counted between one sample and the next.

    `samples`: [(tick, {name: count so far})], in order; `unit`: (ticks, name of so many).
    """
    samples = [(0, {})] + [each for each in samples if each[0] > 0]
    end, last = samples[-1]
    order = sorted(last, key=last.get, reverse=True)
    names = order[:SHOWN]
    series = {name: [_at(samples, name, end * n / COLUMNS) for n in range(COLUMNS + 1)]
              for name in order}
    steps = {name: [b - a for a, b in zip(line, line[1:])] for name, line in series.items()}
    others = [sum(steps[name][n] for name in order[SHOWN:]) for n in range(COLUMNS)]
    stacks = [*((name, steps[name]) for name in names), ("all others", others)]
    most = max(sum(stack[n] for _, stack in stacks) for n in range(COLUMNS)) or 1
    grid = 10 ** int(log10(most))
    grid = grid if most / grid > 4 else grid / 2 if most / grid > 2 else grid / 4
    left, top = 80, 70
    bottom, wide = top + HEIGHT, (LABELS + WIDTH - 80) / COLUMNS
    parts = _legend(left, 20, [(f"{name} ({last[name]:,})", COLOURS[n])
                               for n, name in enumerate(names[:3])])
    parts += _legend(left, 40, [*((f"{name} ({last[name]:,})", COLOURS[n + 3])
                                  for n, name in enumerate(names[3:])), ("all others", COLOURS[-1])])
    for step in range(int(most / grid) + 1):
        y = bottom - HEIGHT * step * grid / most
        parts += [_line(left, y, left + wide * COLUMNS, y), _text(left - 6, y + 4,
                                                                  f"{step * grid:,.0f}", "end")]
    for n in range(COLUMNS):
        y = bottom
        for place, (_, stack) in enumerate(stacks):
            tall = HEIGHT * stack[n] / most
            y -= tall
            if tall > 0.05:
                parts.append(_rect(left + wide * n, y, wide, tall,
                                   COLOURS[place] if place < len(names) else COLOURS[-1]))
    for n in range(0, 11):
        parts.append(_text(left + wide * COLUMNS * n / 10, bottom + 18,
                           f"{end * n / 10 / unit[0]:.2f}", "middle"))
    parts.append(_text(left + wide * COLUMNS / 2, bottom + 36,
                       f"{unit[1]}; {what} in each {end / COLUMNS / 1e6:.0f} M", "middle"))
    return _svg(LABELS + WIDTH + 60, bottom + 46, parts)
