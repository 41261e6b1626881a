"""Pictures for record sleeves: one graphic language for each genre."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .canvas import Canvas, blend, mix, smooth
from .cover_motifs import TAU, night, polar


def ambient(c: Canvas) -> None:
    p = c.palette
    x, y = c.axes()
    pixels = blend(p.deep, p.second, np.clip(c.noise(2) * 0.9, 0, 1))
    for tone, size in ((p.main, 0.9), (p.pale, 0.55), (p.accent, c.between(0.25, 0.4))):
        far = np.hypot(x - c.between(-0.5, 0.5), y - c.between(-0.5, 0.5))
        pixels = blend(pixels, tone, (np.exp(-((far / size) ** 4)) * 0.75).astype(np.float32))
    c.paint(pixels)


def baroque(c: Canvas) -> None:
    p, x, y = c.palette, c.w / 2, c.h / 2
    c.fill(p.deep)
    lobes, t = c.pick((5, 6, 8, 9)), np.linspace(0, TAU, 420)
    for k in range(10):
        r = c.short * (0.06 + 0.042 * k) * (1 + c.between(0.12, 0.3) * np.cos(lobes * t + k * np.pi))
        turn = 0.25 * np.sin(2 * lobes * t)
        c.line(np.stack([x + r * np.cos(t + turn), y + r * np.sin(t + turn)], 1), p.accent if k % 3 else p.pale, 4)
    for k in range(lobes * 2):
        c.leaf(
            *polar(x, y, c.short * 0.36, np.pi * k / lobes), np.pi * k / lobes, c.short * 0.1, c.short * 0.045, p.main
        )
        c.disc(*polar(x, y, c.short * 0.48, np.pi * k / lobes), c.short * 0.012, p.accent)
    c.disc(x, y, c.short * 0.04, p.accent)


def blues(c: Canvas) -> None:
    """Halftone sun, strings and heavy blocks, as on a hard-bop sleeve."""
    p, w, h = c.palette, c.w, c.h
    c.fill(p.deep)
    cut, side = w * c.between(0.34, 0.6), c.pick((0, 1))
    c.box(cut if side else 0, 0, w if side else cut, h, p.main)
    x, y, step = w * c.between(0.35, 0.65), h * c.between(0.4, 0.6), c.short / 26
    for a in np.arange(step / 2, w, step):
        for b in np.arange(step / 2, h, step):
            r = step * 0.62 * (1 - np.hypot(a - x, b - y) / (c.short * 0.5))
            if r > 1:
                c.disc(a, b, r, p.pale)
    lean = c.between(-0.2, 0.2)
    for k in range(6):
        a = w * 0.3 + k * w * 0.08
        c.line([(a - lean * h, 0), (a + lean * h, h)], p.ink, 8 - k)
    c.box(0, h * 0.86, w * c.between(0.3, 0.7), h * 0.92, p.accent)


def bossa_nova(c: Canvas) -> None:
    """The black-and-white waves of a seaside promenade, in colour, beneath a sun."""
    p, w, h = night(c.palette) if c.rng.random() < 0.35 else c.palette, c.w, c.h
    c.fill(p.pale)
    c.disc(w * c.between(0.2, 0.8), h * c.between(0.22, 0.34), c.short * c.between(0.13, 0.26), p.accent)
    x, cycles, bands = np.linspace(0, w, 140), c.pick((1.5, 2, 2.5)), c.pick((6, 7, 8))
    phase = c.between(0, 6)
    for k in range(bands):
        y = h * (0.42 + 0.62 * k / bands) + h * 0.07 * np.sin(x / w * TAU * cycles + phase)
        c.shape([*np.stack([x, y], 1), (w, h), (0, h)], (p.main, p.paper, p.second, p.paper, p.deep, p.paper)[k % 6])


def chiptune(c: Canvas) -> None:
    """A mirrored sprite of fat pixels over a grid of faint ones."""
    p, n = c.palette, 13
    c.fill(p.ink)
    px = c.h / (n + 4)
    for a in np.arange(0, c.w, px):
        for b in np.arange(0, c.h, px):
            if c.rng.random() < 0.1:
                c.box(a + 3, b + 3, a + px - 3, b + px - 3, mix(p.ink, p.deep, c.between(0.3, 1)))
    body = c.rng.random((n, n // 2 + 1)) < np.linspace(0.35, 0.8, n // 2 + 1)
    tones = c.rng.permutation(3)
    left = c.w / 2 - n * px / 2
    for row in range(n):
        for column in range(n):
            if body[row, min(column, n - 1 - column)]:
                tone = (p.accent, p.main, p.second)[tones[(row * 3 // n)]]
                c.box(
                    left + column * px + 1, (row + 2) * px + 1, left + (column + 1) * px - 1, (row + 3) * px - 1, tone
                )


def drum_and_bass(c: Canvas) -> None:
    """Shards that burst from one point, sliced and shifted like a chopped break."""
    p, w, h = c.palette, c.w, c.h
    c.fill(p.ink)
    x, y = w * c.between(0.3, 0.7), h * c.between(0.3, 0.7)
    for _ in range(34):
        angle, spread, near, far = c.between(0, TAU), c.between(0.02, 0.12), c.between(0.04, 0.3), c.between(0.4, 1.1)
        c.shape(
            [
                polar(x, y, c.short * near, angle),
                polar(x, y, c.short * far, angle - spread),
                polar(x, y, c.short * far, angle + spread),
            ],
            c.pick((p.main, p.second, p.deep, p.pale, p.accent)),
        )
    for k in range(9):
        top, tall = int(h * (k + c.between(0, 0.6)) / 9), int(h * c.between(0.015, 0.06))
        c.image.paste(c.image.crop((0, top, w, top + tall)), (int(w * c.between(-0.12, 0.12)), top))


def folk(c: Canvas) -> None:
    """A painted tree of life: everything on the left is answered on the right."""
    p, x, h, s = night(c.palette) if c.rng.random() < 0.45 else c.palette, c.w / 2, c.h, c.short
    c.fill(p.paper)
    c.box(x - s * 0.012, h * 0.16, x + s * 0.012, h * 0.96, p.deep)
    limbs = c.pick((3, 4))
    for k in range(limbs):
        y, reach = h * (0.84 - 0.6 * k / limbs), s * (0.4 - 0.055 * k)
        lift, bloom, dots = s * c.between(0.1, 0.2), c.pick((p.main, p.accent, p.second)), c.pick((5, 6, 8))
        for side in (-1, 1):
            tip = (x + side * reach, y - lift)
            c.line(smooth([(x, y), (x + side * reach * 0.6, y), tip]), p.deep, s * 0.014)
            c.leaf(x + side * reach * 0.4, y, -np.pi / 2 + side * 0.3, s * 0.13, s * 0.055, p.second, p.paper)
            c.leaf(x + side * reach * 0.5, y, np.pi / 2 - side * 0.4, s * 0.1, s * 0.045, p.deep, p.paper)
            for j in range(dots):
                c.disc(*polar(*tip, s * 0.055, TAU * j / dots), s * 0.026, bloom)
            c.disc(*tip, s * 0.036, p.accent if bloom != p.accent else p.main)
    for turn in (-0.5, 0.5, 0.0):
        c.leaf(x, h * 0.24, -np.pi / 2 + turn, s * 0.2, s * 0.1, p.main if turn else p.accent)


def house(c: Canvas) -> None:
    """Sixteen steps of a sequencer, each a disc in some phase."""
    p, n = c.palette, c.pick((4, 5, 6))
    c.fill(p.deep)
    side = c.w / n
    rows = round(c.h / side)
    tall, start = c.h / rows, c.pick((0, 90, 45))
    for k in range(n * rows):
        x, y, r = (k % n + 0.5) * side, (k // n + 0.5) * tall, side * 0.42
        c.disc(x, y, r, c.pick((p.main, p.main, p.second)))
        turn = start + 90 * int(c.rng.integers(4))
        c.pen.pieslice((x - r, y - r, x + r, y + r), turn, turn + 180, c.pick((p.accent, p.pale, p.ink)))
        if c.rng.random() < 0.3:
            c.disc(x, y, r * 0.4, p.deep)


def minimalism(c: Canvas) -> None:
    """Equal lines, one of which has begun to drift."""
    p, w, h = night(c.palette) if c.rng.random() < 0.4 else c.palette, c.w, c.h
    c.fill(p.paper)
    n, bent = c.pick((13, 17, 23)), c.between(0.3, 0.7)
    x = np.linspace(w * 0.12, w * 0.88, 80)
    lift, place = h * c.between(0.1, 0.22), w * c.between(0.3, 0.7)
    for k in range(n):
        t = k / (n - 1)
        y = h * (0.14 + 0.72 * t) - lift * np.exp(-(((t - bent) / 0.13) ** 2) - ((x - place) / (w * 0.13)) ** 2)
        c.line(np.stack([x, y], 1), p.accent if abs(t - bent) < 0.5 / n else p.ink, 5)


def waltz(c: Canvas) -> None:
    """Three circles turn about one another and leave their tracks, one-two-three."""
    p, x, y = c.palette, c.w / 2, c.h / 2
    c.fill(p.deep)
    t, twist = np.linspace(0, TAU, 260), c.pick((2, 4, 5))
    for k in range(27):
        tone = (p.accent, p.pale, p.second)[k % 3]
        turn, size = TAU * (k % 3) / 3 + k // 3 * 0.09, c.short * (0.2 + 0.008 * (k // 3))
        r = size * (1 + 0.45 * np.cos(twist * t))
        a, b = polar(x, y, c.short * 0.14, turn)
        c.line(
            np.stack([a + r * np.cos(t + turn), b + r * np.sin(t + turn)], 1),
            mix(p.deep, tone, 0.35 + 0.07 * (k // 3)),
            3,
        )
    for k in range(3):
        c.disc(*polar(x, y, c.short * 0.14, TAU * k / 3 + 0.72), c.short * 0.035, (p.accent, p.pale, p.second)[k])


SLEEVES: dict[str, Callable[[Canvas], None]] = {
    "ambient": ambient,
    "baroque": baroque,
    "blues": blues,
    "bossa-nova": bossa_nova,
    "chiptune": chiptune,
    "drum-and-bass": drum_and_bass,
    "folk": folk,
    "house": house,
    "minimalism": minimalism,
    "waltz": waltz,
}
