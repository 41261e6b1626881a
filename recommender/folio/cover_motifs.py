"""Emblems for book covers.

Every function draws on the whole of a :class:`~recommender.folio.canvas.Canvas`.  The palette's
``paper`` is the ground and its ``ink`` the strongest contrast to it, so that one emblem serves both a
light and a dark cover (:func:`night` swaps the parts).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import Canvas, Palette, mix, smooth

TAU = 2 * np.pi


def night(p: Palette) -> Palette:
    """The same colours on a dark ground."""
    return Palette(p.ink, p.paper, mix(p.deep, p.main, 0.6), p.second, p.main, p.accent, p.deep)


def polar(x: float, y: float, r: float, angle: float) -> tuple[float, float]:
    return x + float(np.cos(angle)) * r, y + float(np.sin(angle)) * r


def sea(c: Canvas) -> None:
    p, w, h = c.palette, c.w, c.h
    c.disc(w * c.between(0.25, 0.75), h * 0.3, c.short * 0.17, p.accent)
    rows, x = c.pick((6, 8, 10)), np.linspace(0, w, 90)
    cycles, lean = c.pick((3, 4, 5)), c.between(0.5, 1.2)
    for k in range(rows):
        y = h * (0.36 + 0.62 * k / rows) + h * 0.045 * np.sin(x / w * np.pi * cycles * 2 + k * lean)
        c.shape([*np.stack([x, y], axis=1), (w, h), (0, h)], (p.second, p.main, p.pale, p.deep)[k % 4])


def orbits(c: Canvas) -> None:
    p, x, y = c.palette, c.w * c.between(0.3, 0.7), c.h * c.between(0.4, 0.6)
    for _ in range(90):
        c.disc(c.w * c.between(0, 1), c.h * c.between(0, 1), c.between(1, 3), p.second)
    for k in range(6, 0, -1):
        r, angle = c.short * 0.115 * k, c.between(0, TAU)
        c.disc(x, y, r, None, p.main, 4)
        if k > 1:
            c.disc(
                *polar(x, y, r, angle), c.short * c.between(0.018, 0.05), c.pick((p.ink, p.second, p.accent, p.main))
            )
    c.disc(x, y, c.short * 0.075, p.accent)


def mountains(c: Canvas) -> None:
    p, w, h = c.palette, c.w, c.h
    c.disc(w * c.between(0.2, 0.8), h * c.between(0.2, 0.3), c.short * c.between(0.1, 0.16), p.accent)
    for k, tone in enumerate((p.pale, p.second, p.main, p.deep)):
        base, x = h * (0.42 + 0.15 * k), -w * 0.1
        ridge: list[tuple[float, float]] = []
        while x < w * 1.2:
            ridge.append((x, base + (h * 0.16 if len(ridge) % 2 else -h * c.between(0.02, 0.13))))
            x += w * c.between(0.1, 0.22)
        c.shape([*ridge, (w * 1.2, h), (-w * 0.1, h)], tone)


def mist(c: Canvas) -> None:
    p, w, h = c.palette, c.w, c.h
    x, y, r = w * c.between(0.35, 0.65), h * 0.36, c.short * c.between(0.22, 0.28)
    c.disc(x, y, r * 1.25, mix(p.paper, p.second, 0.3))
    c.disc(x, y, r, mix(p.accent, p.ink, 0.55) if sum(p.ink) > sum(p.paper) else p.accent)
    for k in range(11):
        top, half = h * (0.3 + 0.065 * k) + h * c.between(-0.01, 0.01), w * c.between(0.22, 0.6)
        middle, thick = w * c.between(0.15, 0.85), h * c.between(0.012, 0.028)
        c.pen.rounded_rectangle(
            (middle - half, top, middle + half, top + thick * 2),
            thick,
            c.pick((p.main, p.second, p.deep, mix(p.paper, p.main, 0.4))),
        )


def skyline(c: Canvas) -> None:
    p, w, h = c.palette, c.w, c.h
    c.disc(w * c.between(0.2, 0.8), h * 0.28, c.short * 0.13, p.accent)
    for layer, tone in enumerate((p.second, p.main, p.deep)):
        x = 0.0
        while x < w:
            wide, top = w * c.between(0.08, 0.17), h * (0.36 + 0.17 * layer + c.between(-0.1, 0.12))
            c.box(x, top, x + wide, h, tone)
            if c.rng.random() < 0.4:
                c.shape([(x, top + 1), (x + wide / 2, top - wide * c.between(0.4, 1.3)), (x + wide, top + 1)], tone)
            for k in range(9 if layer == 2 else 0):
                if c.rng.random() < 0.5:
                    a, b = x + wide * (0.2 + 0.3 * (k % 3)), top + h * (0.04 + 0.05 * (k // 3))
                    c.box(a, b, a + wide * 0.13, b + h * 0.02, p.accent)
            x += wide


def leaves(c: Canvas) -> None:
    p, w, h = c.palette, c.w, c.h
    sway = c.between(-0.14, 0.14)
    stem = smooth(
        [(w * 0.5, h * 1.02), (w * (0.5 - sway), h * 0.66), (w * (0.5 + sway), h * 0.34), (w * 0.5, h * 0.08)]
    )
    pairs, tones = c.pick((6, 7, 9)), (p.main, p.deep, p.second)
    for k in range(pairs):
        x, y = stem[int((0.12 + 0.84 * k / pairs) * (len(stem) - 1))]
        size = c.short * (0.44 - 0.28 * k / pairs)
        for side in (-1, 1):
            c.leaf(
                x, y, -np.pi / 2 + side * c.between(0.8, 1.1), size, size * 0.36, tones[(k + (side > 0)) % 3], p.paper
            )
    c.line(stem, p.deep, c.short * 0.012)
    c.leaf(stem[-1, 0], stem[-1, 1], -np.pi / 2, c.short * 0.14, c.short * 0.06, p.accent)


def rings(c: Canvas) -> None:
    p, x, y = c.palette, c.w / 2, c.h / 2
    r, tilt = c.short * c.between(0.21, 0.25), c.between(-0.7, 0.7)
    (ax, ay), (bx, by) = polar(x, y, r * 0.75, tilt), polar(x, y, -r * 0.75, tilt)
    for k in range(5, 0, -1):
        for cx, cy, tone in ((ax, ay, p.main), (bx, by, p.accent)):
            c.disc(cx, cy, r * (0.8 + k * 0.16), None, mix(p.paper, tone, 1 - k * 0.14), 9)
    for cx, cy, tone in ((ax, ay, p.main), (bx, by, p.accent)):
        c.disc(cx, cy, r, None, tone, r * 0.24)
    box = (ax - r, ay - r, ax + r, ay + r)
    c.pen.arc(box, np.degrees(tilt) + 95, np.degrees(tilt) + 160, p.main, round(r * 0.24))


def bars(c: Canvas) -> None:
    p, w, h = c.palette, c.w, c.h
    slope, count = c.pick((-1, 1)) * c.between(0.7, 1.2), c.pick((7, 9, 11))
    for k in range(count):
        x, thick = w * (-0.4 + 1.8 * k / count), w * c.between(0.03, 0.11)
        low, high = h * c.between(0.7, 1.1), h * c.between(-0.1, 0.35)
        c.shape(
            [
                (x, low),
                (x + thick, low),
                (x + thick + slope * (low - high) * 0.5, high),
                (x + slope * (low - high) * 0.5, high),
            ],
            c.pick((p.main, p.deep, p.ink, p.second)),
        )
    c.disc(w * c.between(0.3, 0.7), h * c.between(0.35, 0.6), c.short * 0.13, p.accent)


def maze(c: Canvas) -> None:
    """A circular labyrinth: rings with gaps, and a walker at the centre."""
    p, x, y = c.palette, c.w / 2, c.h / 2
    for k in range(7, 0, -1):
        r, gap = c.short * 0.064 * k, c.between(0, 360)
        c.pen.arc(
            (x - r, y - r, x + r, y + r), gap, gap + 360 - 150 / k, p.main if k % 2 else p.deep, round(c.short * 0.022)
        )
        if k > 1:
            angle = np.radians(gap)
            c.line([polar(x, y, r, angle), polar(x, y, r - c.short * 0.064, angle)], p.deep, c.short * 0.022)
    c.disc(x, y, c.short * 0.032, p.accent)


def rays(c: Canvas) -> None:
    p, x, y = c.palette, c.w * c.pick((0.5, 0.5, 0.2, 0.8)), c.h * c.between(0.5, 0.85)
    count, reach = c.pick((18, 24, 30)), c.w + c.h
    for k in range(count):
        ends = [polar(x, y, reach, TAU * (k + d) / count) for d in (0, 0.5)]
        c.shape([(x, y), *ends], (p.main, p.second)[k % 2])
    for k, tone in enumerate((p.paper, p.accent, p.paper, p.deep)):
        c.disc(x, y, c.short * (0.25 - 0.055 * k), tone)


def road(c: Canvas) -> None:
    p, w, h = c.palette, c.w, c.h
    level, side = h * c.between(0.36, 0.46), c.pick((-1, 1))
    c.disc(w * (0.5 + side * 0.16), level, c.short * 0.17, p.accent)
    c.box(0, level, w, h, p.main)
    c.shape(
        [
            *smooth([(0, level), (w * 0.3, level - h * 0.1), (w * 0.7, level + h * 0.03), (w, level - h * 0.06)]),
            (w, h),
            (0, h),
        ],
        p.deep,
    )
    t = np.linspace(0, 1, 60)
    middle, half = w * (0.5 + side * (0.16 - 0.2 * np.sin(t * 4.2) * t)), w * (0.006 + 0.24 * t**2)
    y = level + (h - level) * t**1.2
    c.shape([*np.stack([middle - half, y], 1), *np.stack([middle + half, y], 1)[::-1]], p.pale)
    for k in range(8, 59, 8):
        c.line([(middle[k], y[k]), (middle[k + 3], y[k + 3])], p.accent, 2 + 16 * t[k] ** 2)


def eye(c: Canvas) -> None:
    p, x, y = c.palette, c.w / 2, c.h / 2
    count = c.pick((24, 32, 40))
    for k in range(count):
        c.line(
            [
                polar(x, y, c.short * 0.3, TAU * k / count),
                polar(x, y, c.short * (0.47 if k % 2 else 0.4), TAU * k / count),
            ],
            p.accent,
            c.short * 0.008,
        )
    r = c.short * 0.42
    c.leaf(x - r, y, 0, r * 2, r * 1.15, p.pale)
    for size, tone in ((0.19, p.deep), (0.165, p.main), (0.08, p.ink if sum(p.ink) < 380 else p.paper)):
        c.disc(x, y, c.short * size, tone)
    c.disc(x + c.short * 0.05, y - c.short * 0.05, c.short * 0.03, p.paper if sum(p.paper) > 380 else p.ink)


def columns(c: Canvas) -> None:
    p, w, h = c.palette, c.w, c.h
    c.disc(w / 2, h * 0.26, c.short * 0.2, p.accent)
    count, foot = c.pick((4, 5, 6)), h * 0.9
    c.shape([(w * 0.1, h * 0.38), (w / 2, h * 0.2), (w * 0.9, h * 0.38)], p.deep)
    c.box(w * 0.1, h * 0.39, w * 0.9, h * 0.43, p.main)
    for k in range(count):
        x, wide = w * (0.14 + 0.72 * k / (count - 0.45)), w * 0.36 / count
        for j in range(4):
            c.box(x + wide * j / 4, h * 0.45, x + wide * (j + 0.72) / 4, foot, p.main if j % 2 else p.deep)
    for k in range(3):
        c.box(
            w * (0.1 - 0.04 * k),
            foot + h * 0.03 * k,
            w * (0.9 + 0.04 * k),
            foot + h * 0.03 * k + h * 0.024,
            (p.main, p.deep, p.second)[k],
        )


def forest(c: Canvas) -> None:
    p, w, h = c.palette, c.w, c.h
    c.disc(w * c.between(0.3, 0.7), h * 0.3, c.short * 0.18, p.accent)
    for layer, tone in enumerate((p.second, p.main, p.deep)):
        for k in range(9 - layer):
            x, foot = w * (k + c.between(0.1, 0.9)) / (9 - layer), h * (0.72 + 0.14 * layer)
            tall = h * c.between(0.3, 0.5)
            for part in range(3):
                top, half = foot - tall * (1 - 0.24 * part), w * (0.03 + 0.018 * part) * (1 + 0.3 * layer)
                c.shape([(x, top), (x + half, top + tall * 0.42), (x - half, top + tall * 0.42)], tone)
            c.box(x - 3, foot - tall * 0.2, x + 4, foot + 2, tone)
        c.box(0, h * (0.71 + 0.14 * layer), w, h, tone)


def spiral(c: Canvas) -> None:
    p, x, y = c.palette, c.w / 2, c.h / 2
    turns, way, start = c.between(3.5, 5), c.pick((-1, 1)), c.between(0, TAU)
    for t in np.linspace(0.02, 1, c.pick((90, 120, 150))):
        size = c.short * (0.004 + 0.026 * t)
        tone = mix(p.main, p.accent, float(t)) if way > 0 else mix(p.accent, p.deep, float(t))
        c.disc(*polar(x, y, c.short * 0.46 * t**0.8, start + way * TAU * turns * t**0.7), size, tone)


def birds(c: Canvas) -> None:
    p, w, h = c.palette, c.w, c.h
    c.disc(w * c.between(0.3, 0.7), h * c.between(0.4, 0.6), c.short * 0.27, p.accent)
    for k in range(c.pick((11, 15, 19))):
        x, y, s = w * c.between(0.06, 0.94), h * c.between(0.08, 0.92), c.short * c.between(0.05, 0.13)
        lift, tone = c.between(0.35, 0.7), (p.deep, p.main, p.ink)[k % 3]
        for side in (-1, 1):
            wing = smooth([(x, y), (x + side * s * 0.5, y - s * lift), (x + side * s, y - s * lift * 0.3)], 3)
            under = smooth(
                [(x + side * s, y - s * lift * 0.3), (x + side * s * 0.5, y - s * lift * 0.55), (x, y + s * 0.22)], 3
            )
            c.shape([*wing, *under], tone)


def arches(c: Canvas) -> None:
    """A corridor of arches, each within the last, with a lit door at its end."""
    p, x, foot = c.palette, c.w * c.between(0.44, 0.56), c.h * 0.94
    tones = (p.second, p.main, p.deep, p.main, p.deep, p.accent)
    for k, tone in enumerate(tones):
        half = c.short * (0.42 - 0.066 * k)
        base, top = foot - c.h * 0.02 * k, foot - c.h * 0.02 * k - half * 1.7
        c.disc(x, top, half, tone)
        c.box(x - half, top, x + half, base, tone)
    c.box(x - c.short * 0.012, foot - c.h * 0.1 - c.short * 0.13, x + c.short * 0.012, foot - c.h * 0.1, p.ink)


def blossom(c: Canvas) -> None:
    p, x, y = c.palette, c.w / 2, c.h / 2
    petals, turn = c.pick((8, 10, 12)), c.between(0, 1)
    for size, broad, tone, shift in ((0.47, 0.2, p.second, 0.5), (0.4, 0.17, p.main, 0.0), (0.25, 0.1, p.deep, 0.5)):
        for k in range(petals):
            c.leaf(x, y, TAU * (k + shift + turn) / petals, c.short * size, c.short * broad, tone, p.paper)
    for k in range(21):
        c.disc(*polar(x, y, c.short * 0.075 * (k / 20) ** 0.5, k * 2.4), c.short * 0.014, p.accent)


def cogs(c: Canvas) -> None:
    p = c.palette
    spots = (
        (0.36, 0.4, 0.23, p.main),
        (0.7, 0.62, 0.17, p.deep),
        (0.3, 0.8, 0.11, p.accent),
        (0.76, 0.26, 0.1, p.second),
    )
    for share_x, share_y, size, tone in spots:
        x, y, r = c.w * share_x, c.h * share_y, c.short * size
        teeth, turn = round(size * 75), c.between(0, 1)
        for k in range(teeth):
            angle = TAU * (k + turn) / teeth
            c.line([polar(x, y, r * 0.8, angle), polar(x, y, r * 1.18, angle)], tone, r * 0.2 + 4)
        c.disc(x, y, r, tone)
        c.disc(x, y, r * 0.68, p.paper)
        for k in range(3):
            c.line(
                [polar(x, y, r * 0.7, turn + k * np.pi / 3), polar(x, y, -r * 0.7, turn + k * np.pi / 3)],
                tone,
                r * 0.12,
            )
        c.disc(x, y, r * 0.24, tone)


def crown(c: Canvas) -> None:
    p, w, h = c.palette, c.w, c.h
    x, y, s, points = w / 2, h * 0.64, c.short * 0.36, c.pick((3, 5, 5, 7))
    zig = [(x - s, y)]
    for k in range(points * 2 - 1):
        zig.append((x - s + 2 * s * (k + 0.0) / (points * 2 - 2), y - s * (0.35 if k % 2 else c.between(0.95, 1.1))))
    c.shape([*zig, (x + s, y)], p.accent)
    for a, b in zig[1::2]:
        c.disc(a, b, s * 0.075, p.main)
    for k, tone in enumerate((p.main, p.accent, p.deep)):
        c.box(x - s, y + s * (0.06 + 0.2 * k), x + s, y + s * (0.22 + 0.2 * k), tone)


EMBLEMS: dict[str, Callable[[Canvas], None]] = {
    "sea": sea,
    "orbits": orbits,
    "mountains": mountains,
    "mist": mist,
    "skyline": skyline,
    "leaves": leaves,
    "rings": rings,
    "bars": bars,
    "maze": maze,
    "rays": rays,
    "road": road,
    "eye": eye,
    "columns": columns,
    "forest": forest,
    "spiral": spiral,
    "birds": birds,
    "arches": arches,
    "blossom": blossom,
    "cogs": cogs,
    "crown": crown,
}
