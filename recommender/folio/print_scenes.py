"""The scenic half of the art prints' styles: landscapes, seas, maps, plants and cities.

The abstract half is in :mod:`~recommender.folio.print_styles`, which also says what ``variant`` means.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFilter

from .canvas import Canvas, Colour, blend, coverage, mix, smooth


def pointillist(c: Canvas, variant: int) -> None:
    """Pointillism: a landscape in dots of pure colour - coast (0), wooded hills (1) or meadow (2)."""
    p, w, h = c.palette, c.w, c.h
    horizon = h * c.between(0.38, 0.55)
    c.gradient(mix(p.second, p.deep, 0.25), mix(p.second, p.pale, 0.5), p.pale, p.pale)
    warm = p.accent if p.accent[0] > p.accent[1] else mix(p.pale, (255, 214, 120), 0.6)
    sun = (w * c.between(0.2, 0.8), horizon - c.short * c.between(0.06, 0.26))
    for k, share in enumerate((0.25, 0.55, 1.0)):
        c.disc(*sun, c.short * (0.2 - 0.055 * k), mix(p.pale, warm, share))
    if variant == 0:
        c.box(0, horizon, w, h, p.main)
        c.box(0, horizon, w, horizon + h * 0.05, mix(p.main, p.pale, 0.4))
        for k in range(14):
            half = c.short * (0.05 + 0.008 * k) * c.between(0.5, 1.2)
            c.box(sun[0] - half, horizon + h * 0.03 * k, sun[0] + half, horizon + h * (0.03 * k + 0.012), warm)
        c.shape(
            smooth([(0, h * 0.72), (w * 0.3, h * 0.78), (w * 0.6, h * 0.93), (w, h * 0.97), (w, h), (0, h)]), p.pale
        )
        c.shape(
            smooth([(0, horizon - h * 0.1), (w * 0.2, horizon - h * 0.09), (w * 0.36, horizon + 4), (0, horizon + 4)]),
            p.deep,
        )
    else:
        for k in range(4):
            base = horizon + (h - horizon) * k / 4
            ridge = [(w * t, base - h * 0.1 * c.between(-0.5, 1)) for t in np.linspace(0, 1, 5)]
            tone = (mix(p.deep, p.pale, 0.45), mix(p.main, p.pale, 0.2), p.main, mix(p.main, p.deep, 0.5))[k]
            c.shape([*smooth(ridge), (w, h), (0, h)], tone)
        for _ in range(9 if variant == 1 else 3):
            x, y = w * c.between(0.02, 0.98), horizon + (h - horizon) * c.between(0.1, 0.8)
            r = c.short * 0.13 * (0.35 + (y - horizon) / (h - horizon))
            c.box(x - r * 0.1, y - r, x + r * 0.1, y, p.ink)
            c.pen.ellipse(
                (x - r * 0.6, y - r * 3, x + r * 0.6, y - r * 0.5), c.pick((p.deep, mix(p.deep, p.second, 0.4)))
            )
        for _ in range(260 if variant == 2 else 0):
            depth = c.rng.random() ** 0.7
            c.disc(
                w * c.between(0, 1),
                horizon + (h - horizon) * (0.3 + 0.7 * depth),
                4 + 14 * depth,
                c.pick((p.accent, p.accent, p.second, p.pale)),
            )
    _dots(c)


def _dots(c: Canvas) -> None:
    """Redraw the picture as dots whose colours scatter around the scene's, over a pale ground."""
    step = c.short / 64
    rows, columns = int(c.h / step) + 2, int(c.w / step) + 2
    spots = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1).reshape(-1, 2) * step
    spots = spots + c.rng.uniform(-0.55, 0.55, spots.shape) * step
    scene = np.asarray(c.image.resize((c.w // 4, c.h // 4)).filter(ImageFilter.GaussianBlur(2)), np.float32)
    at = np.clip(spots / 4, 0, (c.w // 4 - 1, c.h // 4 - 1)).astype(int)
    tones = scene[at[:, 1], at[:, 0]] + c.rng.normal(0, 17, (len(spots), 3)) + c.rng.normal(0, 12, (len(spots), 1))
    odd = c.rng.random(len(spots)) < 0.09
    tones[odd] = (
        np.array([c.palette.accent, c.palette.second, c.palette.deep, c.palette.pale])[
            c.rng.integers(0, 4, int(odd.sum()))
        ]
        * 0.6
        + tones[odd] * 0.4
    )
    ground = np.asarray(c.image.resize((c.w // 2, c.h // 2)), np.float32) * 0.75 + 0.25 * np.array(c.palette.paper)
    c.paint(ground.astype(np.float32))
    radii = step * c.rng.uniform(0.42, 0.66, len(spots))
    for k in c.rng.permutation(len(spots)):
        (x, y), r = spots[k], radii[k]
        red, green, blue = np.clip(tones[k], 0, 255).astype(int).tolist()
        c.pen.ellipse((x - r, y - r, x + r, y + r), (red, green, blue))


def waves(c: Canvas, variant: int) -> None:
    """Ukiyo-e: a great wave over a far mountain (0), or a sea of scales beneath a sun (1)."""
    p, w, h = c.palette, c.w, c.h
    c.gradient(mix(p.second, p.deep, c.between(0, 0.6)), p.pale, p.pale, mix(p.pale, p.accent, c.between(0, 0.35)))
    flip = c.rng.random() < 0.5
    sun = c.short * c.between(0.09, 0.15)
    if variant == 1:
        c.disc(w * c.between(0.25, 0.75), h * c.between(0.2, 0.3), sun * 1.7, p.accent)
        _clouds(c, int(c.rng.integers(3, 6)))
        r, level = w / c.pick((8, 10, 12, 14)), h * c.between(0.45, 0.6)
        tones = (p.deep, p.paper, p.main, p.paper, p.second, p.paper, p.deep)
        for row in range(int(h / r * 2) + 4):
            y = level + row * r / 2
            for column in range(-1, int(w / (2 * r)) + 2):
                x = (column * 2 + row % 2) * r
                for k, tone in enumerate(tones):
                    c.disc(x, y, r * (1 - k / len(tones)), tone)
        return
    c.disc(w * c.between(0.68, 0.8), h * c.between(0.16, 0.26), sun, p.accent)
    _clouds(c, 2)
    level, peak = h * 0.74, w * c.between(0.66, 0.8)
    rise = c.short * c.between(0.2, 0.3)
    c.shape(
        smooth(
            [
                (peak - rise * 2.2, level),
                (peak - rise * 0.5, level - rise * 0.75),
                (peak - rise * 0.14, level - rise),
                (peak + rise * 0.14, level - rise),
                (peak + rise * 0.5, level - rise * 0.75),
                (peak + rise * 2.2, level),
            ],
            3,
        ),
        mix(p.deep, p.second, 0.35),
    )
    cap = [(-0.3, 0.84), (-0.14, 1.0), (0.14, 1.0), (0.3, 0.84), (0.17, 0.9), (0.07, 0.8), (-0.04, 0.89), (-0.15, 0.78)]
    c.shape([(peak + a * rise, level - b * rise) for a, b in cap], p.paper)
    _swell(c, level - h * 0.03, h * 0.03, mix(p.second, p.pale, 0.25))
    _great_wave(c)
    for k, tone in enumerate((p.main, p.deep)):
        _swell(c, h * (0.84 + 0.07 * k), h * 0.035, tone)
    if flip:
        c.show(c.image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))


def _great_wave(c: Canvas) -> None:
    """The breaking wave: bands between its back and its hollow, then foam along the crest."""
    p, w, h = c.palette, c.w, c.h
    jitter = c.rng.uniform(-0.02, 0.02, (7, 2))
    back = (
        np.array([(-0.16, 1.0), (0.03, 0.6), (0.16, 0.3), (0.3, 0.14), (0.47, 0.1), (0.6, 0.2), (0.64, 0.4)]) + jitter
    )
    hollow = np.array([(0.72, 1.0), (0.52, 0.86), (0.4, 0.72), (0.34, 0.54), (0.38, 0.38), (0.5, 0.3), (0.64, 0.4)])
    hollow[-1] = back[-1]
    size, tall = np.array([w * c.between(0.84, 1.06), h]), np.array([1.0, c.between(0.8, 1.04)])
    back, hollow = 1 - (1 - back) * tall, 1 - (1 - hollow) * tall  # lower or higher, from the same foot
    outer, inner = smooth([tuple(q) for q in back], 5) * size, smooth([tuple(q) for q in hollow], 5) * size
    bands = (p.deep, p.main, p.deep, p.second, p.deep, p.pale, p.main, p.deep)
    for k, tone in enumerate(bands):
        edge = outer + (inner - outer) * k / len(bands)
        c.shape([*edge, *inner[::-1], (-0.2 * w, h * 1.1)] if k == 0 else [*edge, *inner[::-1]], tone)
    c.shape([*outer[:1], *inner[:1], (w * 0.9, h * 1.1), (-w * 0.2, h * 1.1)], p.deep)
    crest = np.vstack([outer[len(outer) // 3 :], inner[len(inner) // 2 :][::-1]])
    for round_ in range(2):
        for x, y in crest[::2]:
            r = c.short * c.between(0.008, 0.03)
            x, y = x + c.between(-1, 1) * r, y + c.between(-1, 0.8) * r
            c.disc(x, y, r + 3 * (1 - round_), p.deep if round_ == 0 else p.paper)
    for _ in range(70):
        x, y = crest[int(c.rng.integers(len(crest) // 4, len(crest)))]
        c.disc(x + w * c.between(-0.02, 0.16), y + h * c.between(-0.05, 0.14), c.between(3, 9), p.paper)


def _swell(c: Canvas, level: float, rise: float, tone: Colour) -> None:
    """A row of sharp little crests, with a pale edge and two lines that follow it."""
    x = np.linspace(0, c.w, 160)
    crest = np.abs(np.sin(x / c.w * np.pi * c.between(2.5, 4.5) + c.between(0, 3)))
    y = level + rise * 2 * crest**0.8 + rise * np.sin(x / c.w * 5 + c.between(0, 6))
    line = np.stack([x, y], axis=1)
    c.shape([*line, (c.w, c.h), (0, c.h)], tone)
    for k in range(3):
        c.line(line + np.array([0, k * rise * 0.8]), c.palette.paper if k == 0 else c.palette.pale, (9, 4, 3)[k])


def _clouds(c: Canvas, count: int) -> None:
    """Bands of mist with round ends, as in a woodblock's sky."""
    for _ in range(count):
        x, y = c.w * c.between(0, 1), c.h * c.between(0.08, 0.42)
        half, thick = c.w * c.between(0.12, 0.3), c.short * c.between(0.012, 0.024)
        for k in range(c.pick((1, 2, 3))):
            shift = c.w * c.between(-0.08, 0.08)
            box = (x - half + shift, y + thick * 1.7 * k, x + half + shift, y + thick * (1.7 * k + 1.7))
            c.pen.rounded_rectangle(box, thick, c.palette.paper)


def contours(c: Canvas, variant: int) -> None:
    """Topography: inked contour lines over a tint (0), or stacked layers of cut paper (1)."""
    p = c.palette
    x, y = c.axes()
    height = c.noise(4) * 0.9 + c.noise(8) * 0.22
    for _ in range(int(c.rng.integers(1, 4))):
        cx, cy, spread = c.between(-0.7, 0.7), c.between(-0.7, 0.7), c.between(0.3, 0.7)
        height = height + c.between(0.5, 1.0) * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / spread**2)
    height = ((height - height.min()) / np.ptp(height)).astype(np.float32)
    if variant == 1:
        steps = c.pick((6, 7, 8))
        ramp = c.pick(
            (
                (p.ink, p.deep, p.main, p.second, p.pale),
                (p.pale, p.second, p.main, p.deep, p.ink),
                (p.deep, p.main, p.accent, p.pale, p.paper),
            )
        )
        pixels = blend(ramp[0], ramp[0], height)
        for k in range(1, steps):
            place = k * (len(ramp) - 1) / (steps - 1)
            low = min(int(place), len(ramp) - 2)
            tone = mix(ramp[low], ramp[low + 1], place - low)
            mask = coverage(height - np.float32(k / (steps + 0.4)))
            soft = Image.fromarray((mask * 255).astype(np.uint8)).filter(ImageFilter.BoxBlur(6))
            shadow = np.roll(np.asarray(soft, np.float32), (5, 4), axis=(0, 1)) * np.float32(0.42 / 255)
            pixels = blend(blend(pixels, p.ink, shadow.astype(np.float32)), tone, mask)
        c.paint(pixels)
        return
    night = c.rng.random() < 0.4
    ground, tint, ink = (
        (p.ink, p.deep, mix(c.pick((p.accent, p.second, p.pale)), p.pale, 0.35))
        if night
        else (p.paper, c.pick((p.second, p.pale, p.accent)), c.pick((p.ink, p.deep, p.main)))
    )
    pixels = blend(ground, tint, height**1.5 * (0.9 if night else 0.55))
    lines = c.pick((16, 20, 26))
    down, across = np.gradient(height * lines)
    steep = np.hypot(down, across) + 1e-4
    for every, width in ((1.0, 0.55), (5.0, 1.15)):
        near = np.abs((height * lines / every + 0.5) % 1 - 0.5) * every / steep
        pixels = blend(pixels, ink, np.clip(width + 0.5 - near, 0, 1))
    c.paint(pixels)
    top = np.unravel_index(int(height.argmax()), height.shape)
    cx, cy = float(top[1]) * 2, float(top[0]) * 2
    r = c.short * 0.02
    c.shape([(cx, cy - r), (cx + r, cy + r * 0.8), (cx - r, cy + r * 0.8)], p.main if ink != p.main else p.accent)


def botanical(c: Canvas, variant: int) -> None:
    """Botany: a branching sprig (0), cut-out fronds on panels (1) or a bed of wild flowers (2)."""
    p, w, h = c.palette, c.w, c.h
    greens = (p.deep, p.main, mix(p.deep, p.main, 0.5), p.second)
    if variant == 1:
        across, down = c.pick(((2, 3), (2, 2), (3, 3))) if w <= h else c.pick(((3, 2), (4, 2), (3, 3)))
        tones = (p.main, p.second, p.accent, p.deep, p.pale, p.paper)
        for k in range(across * down):
            x, y = (k % across) * w / across, (k // across) * h / down
            ground, figure = c.rng.permutation(len(tones))[:2]
            c.box(x, y, x + w / across + 1, y + h / down + 1, tones[ground])
            _frond(c, (x, y, w / across, h / down), tones[figure])
        return
    if variant == 2:
        c.fill(c.pick((p.paper, p.pale, p.ink, p.deep)))
        for k in range(c.pick((13, 17, 21))):
            x = w * (0.06 + 0.88 * ((k * 0.618) % 1))
            _flower(c, x, h * c.between(0.16, 0.58), greens[k % 3])
        return
    c.fill(c.pick((p.paper, p.pale, mix(p.second, p.paper, 0.55))))
    r = c.short * c.between(0.26, 0.34)
    c.disc(
        w * c.between(0.36, 0.64),
        h * c.between(0.34, 0.46),
        r,
        c.pick((p.accent, p.second, p.pale, mix(p.accent, p.paper, 0.5))),
    )
    stems = ((0.5,),) if w <= h else ((0.3, 0.7), (0.22, 0.5, 0.78))
    for place in c.pick(stems):
        _branch(c, (w * place, h * 1.02), -np.pi / 2 + c.between(-0.12, 0.12), h * c.between(0.3, 0.36), 3, greens)


def _branch(
    c: Canvas, root: tuple[float, float], angle: float, length: float, depth: int, greens: tuple[Colour, ...]
) -> None:
    """Grow one limb by the rule of an L-system: a bent stem with leaves, then smaller limbs at its end."""
    x, y, bend = *root, c.between(-0.06, 0.06)
    trail = [(x, y)]
    for _ in range(8):
        angle += bend
        x, y = x + np.cos(angle) * length / 8, y + np.sin(angle) * length / 8
        trail.append((x, y))
    c.line(trail, c.palette.ink, c.short * 0.0035 * (depth + 1))
    size = c.short * (0.11 + 0.014 * depth)
    for k, (a, b) in enumerate(trail[2::2]):
        for side in (-1, 1):
            if depth < 3 or k > 0:
                c.leaf(
                    a,
                    b,
                    angle + side * c.between(0.7, 1.0),
                    size * c.between(0.8, 1.15),
                    size * 0.38,
                    c.pick(greens),
                    c.palette.paper,
                )
    if depth == 0:
        c.leaf(x, y, angle, size * 1.2, size * 0.4, greens[0], c.palette.paper)
        if c.rng.random() < 0.5:
            c.disc(x, y, c.short * 0.016, c.palette.accent)
        return
    for turn in (-0.75, 0.0, 0.75):
        if turn == 0 or depth > 1:
            _branch(
                c,
                (x, y),
                angle + turn * c.between(0.7, 1.2),
                length * c.between(0.6, 0.78),
                depth - 1 if turn == 0 else depth - 2,
                greens,
            )


def _frond(c: Canvas, cell: tuple[float, float, float, float], tone: Colour) -> None:
    """A seaweed-like paper cut: rounded lobes on either side of a waving spine."""
    x, y, w, h = cell
    lobes, size = c.pick((4, 5, 6)), min(w, h)
    sway = c.between(-0.12, 0.12)
    spine = [(x + w * (0.5 + sway * np.sin(t * 4)), y + h * (0.88 - 0.76 * t)) for t in np.linspace(0, 1, 20)]
    c.line(spine, tone, size * 0.07)
    for k in range(lobes + 1):
        t = 0.08 + 0.84 * k / lobes
        a, b = spine[int(t * 19)]
        reach = size * 0.36 * np.sin(np.pi * (0.18 + 0.74 * t)) * c.between(0.85, 1.1)
        for side in (-1, 1):
            angle = -np.pi / 2 + side * (1.15 - 0.5 * t)
            tip = (a + np.cos(angle) * reach, b + np.sin(angle) * reach)
            c.line([(a, b), tip], tone, size * 0.06)
            c.disc(*tip, size * 0.058, tone)
            c.disc((a + tip[0]) / 2, (b + tip[1]) / 2, size * 0.045, tone)
    c.disc(*spine[-1], size * 0.06, tone)


def _flower(c: Canvas, x: float, y: float, green: Colour) -> None:
    """A stem from the lower edge to (x, y) with two leaves and one of four kinds of bloom."""
    p, foot = c.palette, x + c.w * c.between(-0.06, 0.06)
    stem = smooth([(foot, c.h), (foot, (c.h + y) / 2), (x, (c.h + y) / 2), (x, y)], 3)
    c.line(stem, green, c.short * 0.006)
    r, bloom = c.short * c.between(0.035, 0.065), c.pick((p.accent, p.main, p.second, p.accent))
    for share, side in ((0.3, -1), (0.45, 1)):
        a, b = stem[int(share * len(stem))]
        c.leaf(a, b, -np.pi / 2 + side * c.between(0.4, 0.9), c.short * c.between(0.12, 0.2), c.short * 0.035, green)
    kind = int(c.rng.integers(4))
    if kind == 0:
        for angle in np.linspace(0, 2 * np.pi, 13)[:-1]:
            c.leaf(x, y, angle, r * 1.4, r * 0.55, bloom)
        c.disc(x, y, r * 0.42, p.ink if bloom == p.accent else p.accent)
    elif kind == 1:
        for angle in np.linspace(np.pi * 1.08, np.pi * 1.92, 11):
            tip = (x + np.cos(angle) * r * 2, y + np.sin(angle) * r * 2)
            c.line([(x, y), tip], green, 3)
            c.disc(*tip, r * 0.24, bloom)
    elif kind == 2:
        for turn in (-0.42, 0.42, 0.0):
            c.leaf(x, y + r * 0.6, -np.pi / 2 + turn, r * 2.4, r * 1.15, mix(bloom, p.ink, 0.18) if turn else bloom)
    else:
        for k in range(9):
            c.disc(x + r * 0.5 * (-1) ** k * (1 - k / 12), y + r * 0.5 * (7 - k), r * (0.5 - k * 0.03), bloom)


def nocturne(c: Canvas, variant: int) -> None:
    """Nocturne: a skyline under the moon (0), the same doubled in a river (1) or roofs in rain (2)."""
    p, w, h = c.palette, c.w, c.h
    glow = c.pick((p.main, p.second, mix(p.deep, p.accent, 0.5)))
    c.gradient(p.ink, mix(p.ink, p.deep, 0.7), p.deep, glow)
    ground = h * (0.68 if variant == 1 else 1.0)
    for _ in range(110):
        c.disc(
            w * c.between(0, 1), ground * c.between(0, 0.6), c.between(1, 3.2), mix(p.ink, p.pale, c.between(0.4, 1))
        )
    mx, my, r = w * c.between(0.2, 0.8), ground * c.between(0.16, 0.3), c.short * c.between(0.07, 0.13)
    c.disc(mx, my, r * 1.7, mix(p.ink, p.deep, 0.9))
    c.disc(mx, my, r * 1.3, mix(p.deep, p.pale, 0.12))
    c.disc(mx, my, r, p.pale)
    for layer, tone in enumerate((mix(p.deep, glow, 0.55), mix(p.deep, glow, 0.15), mix(p.ink, p.deep, 0.3))):
        x = -w * 0.05 * c.rng.random()
        while x < w:
            width = c.short * c.between(0.06, 0.14)
            tall = ground * (0.5 - 0.11 * layer) * c.between(0.55, 1.15)
            _building(c, (x, ground - tall, x + width, ground), tone, layer)
            x += width * c.between(0.9, 1.15)
    if variant == 1:
        mirror = np.asarray(c.image)[: int(ground)][::-1][: h - int(ground)]
        rows = np.arange(len(mirror))
        shift = (np.sin(rows / 5.0) * (2 + rows * 0.03)).astype(int)
        columns = (np.arange(w)[None, :] + shift[:, None]) % w
        wet = mirror[rows[:, None], columns] * 0.62 + np.array(mix(p.ink, p.deep, 0.5)) * 0.38
        c.image.paste(Image.fromarray(wet.astype(np.uint8), "RGB"), (0, int(ground)))
        c.line([(0, ground), (w, ground)], p.ink, 5)
    elif variant == 2:
        for _ in range(420):
            x, y, fall = w * c.between(0, 1.1), h * c.between(-0.1, 1), h * c.between(0.03, 0.08)
            c.line([(x, y), (x - fall * 0.22, y + fall)], mix(p.deep, p.pale, c.between(0.25, 0.7)), 2)


def _building(c: Canvas, box: tuple[float, float, float, float], tone: Colour, layer: int) -> None:
    """One block with its own roof and, in the nearer layers, a grid of partly lit windows."""
    x0, y0, x1, y1 = box
    c.box(x0, y0, x1, y1, tone)
    width, roof = x1 - x0, int(c.rng.integers(6))
    if roof == 0:
        c.shape([(x0, y0 + 1), ((x0 + x1) / 2, y0 - width * 0.6), (x1, y0 + 1)], tone)
    elif roof == 1:
        for k in (1, 2):
            c.box(x0 + width * 0.17 * k, y0 - width * 0.25 * k, x1 - width * 0.17 * k, y0 + 1, tone)
        c.box((x0 + x1) / 2 - 2, y0 - width * 1.1, (x0 + x1) / 2 + 3, y0, tone)
    elif roof == 2:
        c.disc((x0 + x1) / 2, y0, width * 0.4, tone)
    elif roof == 3:
        c.shape([(x0, y0 + 1), (x0, y0 - width * 0.45), (x1, y0 + 1)], tone)
    if layer == 0:
        return
    pane, gap = c.short * 0.0085, c.short * 0.019
    lit = c.palette.accent, mix(c.palette.accent, c.palette.pale, 0.5), mix(tone, c.palette.accent, 0.35)
    chance = c.between(0.15, 0.6)
    for y in np.arange(y0 + gap, y1 - gap, gap * 1.25):
        for x in np.arange(x0 + gap * 0.7, x1 - gap, gap):
            if c.rng.random() < chance:
                c.box(x, y, x + pane, y + pane * 1.4, c.pick(lit))
