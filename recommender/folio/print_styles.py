"""The abstract half of the art prints' styles: geometry, pattern, fields of colour and charts of stars.

``variant`` picks one of a style's compositions.  The catalogue knows it too (it follows from the print's
id), so that a description can name what is in the picture without drawing it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .canvas import SCALE, Canvas, Colour, blend, coverage, mix


def grid(c: Canvas, variant: int) -> None:
    """Neoplasticism: black lines and primary planes (0), or lines that blink with squares (1)."""
    p, w, h = c.palette, c.w, c.h
    c.fill(mix(p.paper, (255, 255, 255), 0.4))
    if variant == 1:
        step = c.short / c.pick((24, 28, 32))
        spots = {}
        for axis, size in (("x", w), ("y", h)):
            gaps = c.rng.choice((2, 3, 4, 5, 7), 40)
            lanes = np.cumsum(gaps)[: int(np.searchsorted(np.cumsum(gaps), size / step - 1))]
            spots[axis] = lanes * step
        for _ in range(c.pick((10, 14))):
            i, j = int(c.rng.integers(len(spots["x"]) - 1)), int(c.rng.integers(len(spots["y"]) - 1))
            c.box(
                spots["x"][i],
                spots["y"][j],
                spots["x"][i + 1],
                spots["y"][j + 1],
                c.pick((p.main, p.second, p.accent, p.pale, p.second)),
            )
        for x in spots["x"]:
            c.box(x, 0, x + step, h, p.accent)
        for y in spots["y"]:
            c.box(0, y, w, y + step, p.accent)
        for lines, end, upright in ((spots["x"], h, True), (spots["y"], w, False)):
            for fixed in lines:
                for k in c.rng.choice(int(end / step), int(end / step / 3.4), replace=False):
                    a, b = (fixed, k * step) if upright else (k * step, fixed)
                    c.box(a, b, a + step, b + step, c.pick((p.main, p.second, p.second, p.pale)))
        return
    cells: list[tuple[float, float, float, float]] = [(0, 0, w, h)]
    for _ in range(int(c.rng.integers(7, 12))):
        weights = np.array([(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in cells]) ** 1.6
        x0, y0, x1, y1 = cells.pop(int(c.rng.choice(len(cells), p=weights / weights.sum())))
        cut = c.pick((0.24, 0.3, 0.36, 0.64, 0.7, 0.76))
        if (x1 - x0) * c.between(0.6, 1.6) > y1 - y0:
            x = x0 + (x1 - x0) * cut
            cells += [(x0, y0, x, y1), (x, y0, x1, y1)]
        else:
            y = y0 + (y1 - y0) * cut
            cells += [(x0, y0, x1, y), (x0, y, x1, y1)]
    c.rng.shuffle(cells)
    cells.sort(key=lambda cell: (cell[2] - cell[0]) * (cell[3] - cell[1]) * c.between(0.4, 1.6), reverse=True)
    first, other = c.pick(((p.main, p.second), (p.main, p.accent), (p.second, p.main), (p.accent, p.second)))
    planes = [first, p.paper, p.paper, other, p.paper, p.accent, p.ink, p.paper, p.main, p.pale]
    for cell, colour in zip(cells, planes, strict=False):
        c.box(*cell, colour)
    bar = c.short * c.between(0.013, 0.022)
    for x0, y0, x1, y1 in cells:
        for a, b, thick in (((x0, y0), (x1, y0), y0), ((x0, y0), (x0, y1), x0)):
            if thick > 0:
                c.pen.line((*a, *b), p.ink, round(bar))


def bauhaus(c: Canvas, variant: int) -> None:
    """Bauhaus: a sheet of quarter-circle tiles (0) or a balance of disc, ring, bar and wedge (1)."""
    p = c.palette
    tones = (p.main, p.second, p.accent, p.deep, p.pale, p.ink, p.paper)
    if variant == 0:
        across = c.pick((3, 4, 5)) if c.w <= c.h else c.pick((4, 5, 6))
        side = c.w / across
        down = round(c.h / side)
        side_y = c.h / down
        for row in range(down):
            for column in range(across):
                x, y = column * side, row * side_y
                ground, figure, dot = c.rng.permutation(len(tones))[:3]
                c.box(x, y, x + side, y + side_y, tones[ground])
                _tile(c, (x, y, side, side_y), tones[figure], tones[dot])
        return
    _balance(c)
    if c.rng.random() < 0.35:
        c.show(c.image.transpose(Image.Transpose.ROTATE_180))


def _balance(c: Canvas) -> None:
    """A large disc that leans on rods, with a target, a ladder of bars and a foot to hold it up."""
    p, u, side = c.palette, c.short / 100, c.pick((-1, 1))
    c.fill(c.pick((p.paper, p.pale, mix(p.paper, p.second, 0.25))))
    great, half, target, foot = ((p.main, p.second, p.accent, p.deep)[k] for k in c.rng.permutation(4))
    x, y, r = c.w / 2 + side * u * c.between(0, 16), c.h * c.between(0.32, 0.48), u * c.between(22, 34)
    c.disc(x, y, r, great)
    start = c.pick((90, 0, 45, 225))
    c.pen.pieslice((x - r, y - r, x + r, y + r), start, start + 180, half)
    tx, ty, tr = x - side * r * c.between(0.6, 1.2), y + r * c.between(0.7, 1.2), r * c.between(0.4, 0.72)
    for k in range(4):
        c.disc(tx, ty, tr * (1 - k * 0.23), (target, p.paper, half, p.ink)[k])
    slope, turn = side * c.between(0.15, 1.3), c.pick((1, 1, -1))
    for k, width in enumerate((2.6, 0.9, 0.9)[: c.pick((2, 3))]):
        low, fall = ty + u * k * 7, turn * slope
        c.line([(0, low + fall * tx), (c.w, low - fall * (c.w - tx))], (p.ink, p.ink, foot)[k], u * width)
    bars, left, top = c.pick((4, 6, 8)), c.w * (0.07 if side > 0 else 0.69), c.h * c.between(0.06, 0.1)
    for k in range(bars):
        c.box(
            left,
            top + k * u * 4.2,
            left + u * (24 - k * 2.6),
            top + k * u * 4.2 + u * 1.9,
            target if k == bars // 2 else p.ink,
        )
    base, fx, high = c.h * 0.95, c.w * (0.5 + side * c.between(0.2, 0.34)), u * c.between(20, 32)
    kind = int(c.rng.integers(3))
    if kind == 0:
        c.shape([(fx, base - high), (fx + u * 16, base), (fx - u * 16, base)], foot)
        c.disc(fx, base - high, u * 5, target)
    elif kind == 1:
        c.pen.pieslice((fx - high * 0.8, base - high * 0.8, fx + high * 0.8, base + high * 0.8), 180, 360, foot)
        c.disc(fx, base - high * 0.8 - u * 6, u * 6, half)
    else:
        for k in range(4):
            c.box(fx - u * 14 + k * u * 7, base - high * (1 - k * 0.22), fx - u * 8 + k * u * 7, base, foot)
    c.box(0, base, c.w, c.h, p.ink)


def _tile(c: Canvas, cell: tuple[float, float, float, float], figure: Colour, dot: Colour) -> None:
    """One bauhaus tile: a figure that fits its square exactly, so that neighbours join up."""
    x, y, w, h = cell
    kind, turn = int(c.rng.integers(7)), int(c.rng.integers(4))
    corner = (x + w * (turn in (1, 2)), y + h * (turn in (2, 3)))
    if kind <= 2:
        for scale, colour in ((1.0, figure), (0.5, dot))[: 1 + (kind > 0)]:
            c.pen.pieslice(
                (corner[0] - w * scale, corner[1] - h * scale, corner[0] + w * scale - 1, corner[1] + h * scale - 1),
                turn * 90,
                turn * 90 + 90,
                colour,
            )
    elif kind == 3:
        c.pen.pieslice((x, y, x + w - 1, y + h - 1), turn * 90, turn * 90 + 180, figure)
    elif kind == 4:
        c.disc(x + w / 2, y + h / 2, w * 0.36, figure)
        c.disc(x + w / 2, y + h / 2, w * 0.16, dot)
    elif kind == 5:
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        c.shape(corners[:turn] + corners[turn + 1 :], figure)
    else:
        for k in range(0, 8, 2):
            c.box(x + w * k / 8, y, x + w * (k + 1) / 8, y + h, figure)


def sunburst(c: Canvas, variant: int) -> None:
    """Art deco: a sun that rises in rays over stepped water (0), or a wall of gilded fans (1)."""
    p, w, h = c.palette, c.w, c.h
    gold = p.accent
    if variant == 1:
        c.fill(p.ink)
        r = w / (2 * c.pick((2, 3, 3, 4)) if w <= h else 2 * c.pick((3, 4, 5)))
        fills = [p.deep, mix(p.deep, c.pick((p.main, p.second, p.ink)), c.between(0.2, 0.9)), c.pick((p.ink, p.deep))]
        ribs, rings = c.pick((7, 9, 11)), c.pick((3, 4, 5))
        for row in range(int(h / r) + 3):
            for column in range(-1, int(w / (2 * r)) + 2):
                x, y = (column * 2 + row % 2) * r, row * r
                c.disc(x, y, r, fills[(row + column * 2) % 3], gold, r / 22)
                for k in range(1, rings):
                    c.disc(x, y, r * k / rings, p.second if k == 1 else None, gold, r / 34)
                for angle in np.linspace(np.pi, 2 * np.pi, ribs):
                    c.line(
                        [
                            (x + np.cos(angle) * r / rings, y + np.sin(angle) * r / rings),
                            (x + np.cos(angle) * r * 0.97, y + np.sin(angle) * r * 0.97),
                        ],
                        gold,
                        r / 44,
                    )
                c.disc(x, y, r / 7, gold)
        return
    x, y = w * c.pick((0.5, 0.5, 0.3, 0.7)), h * c.between(0.58, 0.74)
    rays, reach = c.pick((22, 28, 36)), float(np.hypot(w, h))
    tones = c.pick(((p.main, p.accent), (p.deep, p.second), (p.deep, p.main, p.second), (p.main, p.pale)))
    for k, angle in enumerate(np.linspace(np.pi, 2 * np.pi, rays + 1)[:-1]):
        c.shape(
            [(x, y), *((x + np.cos(a) * reach, y + np.sin(a) * reach) for a in (angle, angle + np.pi / rays))],
            tones[k % len(tones)],
        )
    r = c.short * c.between(0.2, 0.28)
    for k, colour in enumerate((p.ink, gold, p.ink, p.pale, p.main, gold)):
        c.disc(x, y, r * (1.28, 1.24, 1.05, 1.0, 0.78, 0.56)[k], colour)
    c.box(0, y, w, h, p.ink)
    for k in range(9):
        top = y + (h - y) * (k / 9) ** 1.25
        half = w * (0.2 + 0.075 * k)
        c.box(x - half, top + 6, x + half, top + 6 + (h - y) * (0.02 + k * 0.005), (gold, p.second, p.main)[k % 3])
    for side in (-1, 1):
        _deco_wing(c, x + side * c.short * 0.5, y, side)


def _deco_wing(c: Canvas, x: float, y: float, side: int) -> None:
    """A stepped tower with a spire beside the sun, as on a cinema's front."""
    p, step = c.palette, c.short * 0.035
    for k in range(5):
        half, top = step * (3.2 - k * 0.62), y - step * (2.4 + k * 2.6)
        c.box(x - half, top, x + half, y + 2, p.ink if k % 2 else p.deep)
        c.box(x - half, top, x + half, top + step * 0.18, p.accent)
    c.shape([(x - step * 0.3, y - step * 12), (x, y - step * 18), (x + step * 0.3, y - step * 12)], p.accent)


def op_art(c: Canvas, variant: int) -> None:
    """Op art: rippling stripes (0), a swelling chequerboard (1) or rings cut and shifted (2)."""
    p = c.palette
    x, y = c.axes()
    dark, light = c.pick(((p.ink, p.paper), (p.deep, p.pale), (p.ink, p.accent), (p.main, p.paper)))
    if variant == 0:
        lines, bend = c.between(11, 17), c.between(0.05, 0.13)
        wobble = bend * np.sin(x * c.between(2.2, 5) + y * c.between(0.8, 2.4) + c.between(0, 6))
        swell = c.between(0.3, 0.6) * np.exp(-((x - c.between(-0.4, 0.4)) ** 2 + (y - c.between(-0.5, 0.5)) ** 2) * 3)
        field = np.sin(np.pi * lines * (y + wobble + swell * np.sin(x * 3.0) * 0.5))
    elif variant == 1:
        cx, cy, r = c.between(-0.3, 0.3), c.between(-0.3, 0.3), c.between(0.6, 0.85)
        far = np.hypot(x - cx, y - cy) / r
        pull = np.where(far < 1, np.arcsin(np.clip(far, 0, 1)) / (np.pi / 2) / np.maximum(far, 1e-4), 1.0)
        n = c.pick((7, 8, 10)) * np.pi / 2
        field = np.sin(((x - cx) * pull + cx) * n) * np.sin(((y - cy) * pull + cy) * n)
    else:
        cx, cy, n = c.between(-0.25, 0.25), c.between(-0.25, 0.25), c.between(9, 14)
        bands = np.floor((x + y * c.pick((0.0, 0.6))) * c.pick((1.0, 1.5)) + 10)
        field = np.sin(np.pi * n * np.hypot(x - cx + (bands % 2 - 0.5) * 0.16, y - cy)) * (1 - 2 * (bands % 2))
    pixels = blend(light, dark, coverage(field.astype(np.float32)))
    if c.rng.random() < 0.6:
        spot = np.hypot(x - c.between(-0.35, 0.35), y - c.between(-0.35, 0.35)) - c.between(0.3, 0.5)
        tint = blend(
            light, p.accent if dark != p.main and light != p.accent else p.deep, coverage(field.astype(np.float32))
        )
        pixels = blend(pixels, tint, coverage(-spot.astype(np.float32)))
    c.paint(pixels)


def flow_field(c: Canvas, variant: int) -> None:
    """Flow field: fine threads on a dark sheet (0) or broad ribbons on a pale one (1)."""
    p, w, h = c.palette, c.w, c.h
    c.fill(c.pick((p.ink, p.deep)) if variant == 0 else c.pick((p.paper, p.pale)))
    angle = c.noise(c.pick((2, 2, 3, 4)), c.between(0.7, 1.6)) * c.between(2.6, 5.0) + c.between(0, 6.3)
    shade, last = c.noise(3), (w // SCALE - 1, h // SCALE - 1)
    count, steps, stride = (1000, 40, c.short / 95) if variant == 0 else (520, 26, c.short / 60)
    across = round(np.sqrt(count * w / h))
    k = np.arange(count)
    spot = (
        np.stack([k % across / across, k // across * across / count], axis=1) * 1.15
        - 0.07
        + c.rng.normal(0, 0.02, (count, 2))
    ) * (w, h)
    path = np.empty((steps, count, 2))
    for step in range(steps):
        path[step] = spot
        column, row = np.clip(spot / SCALE, 0, last).astype(int).T
        turn = angle[row, column]
        spot = spot + np.stack([np.cos(turn), np.sin(turn)], axis=1) * stride
    tones = (
        (p.main, p.second, p.accent, p.main, p.pale) if variant == 0 else (p.deep, p.main, p.second, p.accent, p.ink)
    )
    for thread in c.rng.permutation(count):
        line = path[:, thread]
        x, y = np.clip(line[steps // 2] / SCALE, 0, last).astype(int)
        tone = tones[int(np.clip(shade[y, x] * 5 + c.between(-0.6, 0.6), 0, 4))]
        if variant == 0:
            c.pen.line(line.ravel().tolist(), tone, c.pick((2, 3, 3, 5)))
        else:
            _ribbon(c, line, c.short * c.between(0.008, 0.019), tone)


def _ribbon(c: Canvas, line: NDArray[np.float64], half: float, tone: Colour) -> None:
    """A band with round ends and a paper-coloured rim, so that the band beneath seems to pass under it."""
    ahead = np.gradient(line, axis=0)
    aside = np.stack([-ahead[:, 1], ahead[:, 0]], axis=1) / (np.hypot(*ahead.T)[:, None] + 1e-6)
    for reach, colour in ((half + c.short / 190, c.palette.paper), (half, tone)):
        c.shape(np.vstack([line + aside * reach, (line - aside * reach)[::-1]]), colour)
        for x, y in (line[0], line[-1]):
            c.disc(x, y, reach, colour)


def colour_field(c: Canvas, variant: int) -> None:
    """Colour field: two or three soft-edged blocks that hover (0), or a disc that glows (1)."""
    p = c.palette
    x, y = c.axes()
    wide, tall = float(x.max()), float(y.max())
    fray, cloth, wash = c.noise(22), c.noise(90, 0.6), c.noise(5)
    ground, *blocks = c.pick(
        (
            (p.main, p.accent, p.deep, p.second),
            (p.deep, p.main, p.second, p.ink),
            (p.second, p.pale, p.main, p.accent),
            (p.ink, p.deep, p.main, p.second),
            (p.accent, p.main, p.pale, p.deep),
        )
    )
    pixels = blend(ground, mix(ground, p.ink, 0.3), np.clip(wash * 0.8, 0, 1))
    if variant == 1:
        cx, cy, r = c.between(-0.12, 0.12), c.between(-0.2, 0.1), c.between(0.42, 0.56)
        level = 1 / (1 + np.exp(-(y - cy - c.between(0.35, 0.6)) * 26))
        pixels = blend(pixels, blocks[1], (level * (0.8 + 0.2 * wash)).astype(np.float32))
        far = np.hypot(x - cx, y - cy)
        pixels = blend(pixels, mix(blocks[0], p.pale, 0.35), np.exp(-((far / (r * 1.5)) ** 4)) * 0.55)
        pixels = blend(pixels, blocks[0], 1 / (1 + np.exp((far - r + (fray - 0.5) * 0.05) * 42)))
    else:
        cuts = c.pick(((0.55,), (0.36,), (0.66,), (0.3, 0.48), (0.4, 0.78), (0.22, 0.62)))
        edges = [0.06, *cuts, 0.94]
        for tone, top, bottom in zip(blocks, edges, edges[1:], strict=False):
            middle, half = (top + bottom - 1) * tall, (bottom - top - 0.035) * tall
            inside = np.minimum(half - np.abs(y - middle), wide * 0.88 - np.abs(x)) + (fray - 0.5) * 0.07
            cover = 1 / (1 + np.exp(-inside * 34)) * (0.78 + 0.24 * wash) * (0.95 + 0.07 * cloth)
            pixels = blend(pixels, tone, cover.astype(np.float32))
    c.paint(pixels + ((cloth - 0.5) * 9)[..., None])


def star_chart(c: Canvas, variant: int) -> None:
    """Astronomy: a planisphere with constellations (0), or an orrery of planets in orbit (1)."""
    p, w, h = c.palette, c.w, c.h
    ground = c.pick((p.ink, p.deep, mix(p.ink, p.deep, 0.5)))
    c.paint(blend(ground, mix(ground, p.main, 0.35), np.clip(c.noise(3) - 0.35, 0, 1)))
    x, y, r = w / 2, h / 2, c.short * 0.45
    faint = mix(ground, p.pale, 0.34)
    if variant == 0:
        c.disc(x, y, r, mix(ground, p.deep if ground != p.deep else p.ink, 0.6), p.pale, 5)
    for _ in range(520):
        c.disc(w * c.between(0, 1), h * c.between(0, 1), c.between(0.8, 2.8), mix(ground, p.pale, c.between(0.3, 0.9)))
    if variant == 1:
        x = w * c.pick((0.5, 0.5, 0.32, 0.68))
        rings = int(c.rng.integers(5, 8))
        reach = r if x == w / 2 else r * 1.5
        for k in range(1, rings + 1):
            radius, angle = reach * (0.2 + 0.8 * k / rings), c.between(0, 6.3)
            c.disc(x, y, radius, None, faint if k % 2 else p.second, 3)
            a, b, size = x + np.cos(angle) * radius, y + np.sin(angle) * radius, c.short * c.between(0.014, 0.045)
            tone = c.pick((p.main, p.second, p.accent, p.pale))
            c.disc(a, b, size + 7, ground)
            c.disc(a, b, size, tone)
            c.pen.pieslice((a - size, b - size, a + size, b + size), 300, 480, mix(tone, ground, 0.35))
            if k == rings - 1:
                c.pen.ellipse((a - size * 2, b - size * 0.5, a + size * 2, b + size * 0.5), None, p.pale, 4)
        for angle in np.linspace(0, 2 * np.pi, 37)[:-1]:
            for low, high in ((0.115, 0.15 if round(angle * 5.73) % 20 else 0.18),):
                c.line(
                    [
                        (x + np.cos(angle) * reach * low, y + np.sin(angle) * reach * low),
                        (x + np.cos(angle) * reach * high, y + np.sin(angle) * reach * high),
                    ],
                    p.accent,
                    4,
                )
        c.disc(x, y, reach * 0.1, p.accent)
        return
    c.disc(x, y, r * 0.955, None, faint, 3)
    for share in (0.25, 0.5, 0.75):
        c.disc(x, y, r * share, None, faint, 2)
    for k in range(72):
        angle, low = k * np.pi / 36, 0.0 if k % 6 == 0 else 0.955
        c.line(
            [
                (x + np.cos(angle) * r * low, y + np.sin(angle) * r * low),
                (x + np.cos(angle) * r, y + np.sin(angle) * r),
            ],
            faint,
            2,
        )
    turn = c.between(0, 6.3)
    for k in range(c.pick((7, 8))):
        far, angle = r * (0.28 if k < 3 else 0.68), turn + k * (2.1 if k < 3 else 1.13)
        _constellation(c, x + np.cos(angle) * far, y + np.sin(angle) * far, r * c.between(0.19, 0.26))


def _constellation(c: Canvas, x: float, y: float, size: float) -> None:
    """A chain of five to seven stars that bends but does not cross itself much, with one branch."""
    p, angle = c.palette, c.between(0, 6.3)
    stars = [(x, y)]
    for _ in range(int(c.rng.integers(4, 7))):
        angle += c.between(-1.1, 1.1)
        a, b = stars[-1]
        stars.append((a + np.cos(angle) * size * 0.55, b + np.sin(angle) * size * 0.55))
    shift = np.array([x, y]) - np.mean(stars, axis=0)
    points = [(a + float(shift[0]), b + float(shift[1])) for a, b in stars]
    a, b = points[2]
    points_and_branch = [*points, (a + np.cos(angle + 1.6) * size * 0.5, b + np.sin(angle + 1.6) * size * 0.5)]
    c.line(points, p.second, 4)
    c.line([points[2], points_and_branch[-1]], p.second, 4)
    for a, b in points_and_branch:
        r = c.short * c.between(0.004, 0.0105)
        c.disc(a, b, r + 4, p.ink)
        c.disc(a, b, r, p.pale)
    a, b = points[0]
    for k in range(4):
        c.leaf(a, b, k * np.pi / 2, c.short * 0.028, c.short * 0.009, p.accent)
