"""The hand behind the art prints: one drawing function for each style.

Every function draws on a :class:`Canvas` at twice the final size, because Pillow's polygons and lines
have hard edges: halving the finished picture smooths them.  All choices come from the canvas's own
generator, so that a print is the same picture on every machine and in every process.

``variant`` picks one of the style's compositions.  The catalogue knows it too (it follows from the
print's id), so that a description can name what is in the picture without drawing it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Array = NDArray[np.float32]
SCALE = 2


class Palette(NamedTuple):
    """Seven colours by the part they play, so that every style can use every palette."""

    paper: Colour
    ink: Colour
    deep: Colour
    main: Colour
    second: Colour
    accent: Colour
    pale: Colour


def palette(hexes: str) -> Palette:
    """Read seven space-separated ``RRGGBB`` colours in the order of :class:`Palette`."""
    return Palette(*[(int(h[:2], 16), int(h[2:4], 16), int(h[4:], 16)) for h in hexes.split()])


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """The colour ``share`` of the way from ``first`` to ``second``."""
    r, g, b = (round(a + (z - a) * share) for a, z in zip(first, second, strict=True))
    return r, g, b


def smooth(points: Sequence[tuple[float, float]], rounds: int = 4) -> NDArray[np.float64]:
    """Round a polyline's corners by cutting them repeatedly (Chaikin), keeping both ends."""
    line = np.asarray(points, dtype=np.float64)
    for _ in range(rounds):
        near, far = 0.75 * line[:-1] + 0.25 * line[1:], 0.25 * line[:-1] + 0.75 * line[1:]
        line = np.vstack([line[:1], np.stack([near, far], axis=1).reshape(-1, 2), line[-1:]])
    return line


def coverage(signed: Array) -> Array:
    """How much of each pixel lies where ``signed`` is positive: an antialiased threshold."""
    down, across = np.gradient(signed)
    return np.clip(signed / (np.hypot(down, across) + 1e-6) + 0.5, 0, 1).astype(np.float32)


def blend(below: Array | Colour, above: Array | Colour, share: Array) -> Array:
    """Lay ``above`` over ``below`` (pixels or one colour) with an opacity for each pixel."""
    low, high = np.asarray(below, np.float32), np.asarray(above, np.float32)
    return (low + (high - low) * share[..., None]).astype(np.float32)


class Canvas:
    """A double-size sheet with the few drawing verbs that the styles share."""

    def __init__(self, width: int, height: int, colours: Palette, rng: np.random.Generator) -> None:
        self.w, self.h = width * SCALE, height * SCALE
        self.short, self.palette, self.rng = min(self.w, self.h), colours, rng
        self.fill(colours.paper)

    def fill(self, colour: Colour) -> None:
        self.show(Image.new("RGB", (self.w, self.h), colour))

    def show(self, image: Image.Image) -> None:
        self.image, self.pen = image, ImageDraw.Draw(image)

    def paint(self, pixels: Array) -> None:
        """Replace the picture by ``pixels``, computed at final size (repeated, so halving is exact)."""
        image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8), "RGB")
        self.show(image.resize((self.w, self.h), Image.Resampling.NEAREST))

    def gradient(self, *stops: Colour) -> None:
        """Fill from top to bottom through ``stops``."""
        column = Image.fromarray(np.array([stops], np.uint8).transpose(1, 0, 2).copy(), "RGB")
        ramp = np.interp(np.linspace(0, len(stops) - 1, self.h), np.arange(len(stops)), np.arange(len(stops)))
        low = np.asarray(column, np.float32)[:, 0]
        rows = np.stack([np.interp(ramp, np.arange(len(stops)), low[:, k]) for k in range(3)], axis=1)
        self.show(Image.fromarray(rows.astype(np.uint8)[:, None], "RGB").resize((self.w, self.h)))

    def axes(self) -> tuple[Array, Array]:
        """Coordinates (x as a row, y as a column) at final size, centred, short side = 2."""
        width, height = self.w // SCALE, self.h // SCALE
        x = (np.arange(width, dtype=np.float32) - width / 2) * 2 / min(width, height)
        y = (np.arange(height, dtype=np.float32) - height / 2) * 2 / min(width, height)
        return x[None, :], y[:, None]

    def noise(self, cells: int, stretch: float = 1.0) -> Array:
        """Smooth noise in about 0..1 at final size, ``cells`` across (``stretch`` > 1: streaks sideways)."""
        rows = max(2, round(cells * stretch * self.h / self.w))
        coarse = Image.fromarray(self.rng.random((rows + 1, cells + 1), dtype=np.float32))
        return np.asarray(coarse.resize((self.w // SCALE, self.h // SCALE), Image.Resampling.BICUBIC))

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def pick(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def disc(self, x: float, y: float, r: float, colour: Colour | None, edge: Colour | None = None,
             width: float = 0) -> None:
        self.pen.ellipse((x - r, y - r, x + r, y + r), colour, edge, round(width))

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        if x1 > x0 and y1 > y0:
            self.pen.rectangle((round(x0), round(y0), round(x1) - 1, round(y1) - 1), colour)

    def shape(self, points: Iterable[Sequence[float]], colour: Colour) -> None:
        self.pen.polygon([(float(x), float(y)) for x, y in points], colour)

    def line(self, points: Iterable[Sequence[float]], colour: Colour, width: float) -> None:
        self.pen.line([(float(x), float(y)) for x, y in points], colour, max(1, round(width)), "curve")

    def leaf(self, x: float, y: float, angle: float, length: float, breadth: float, colour: Colour,
             vein: Colour | None = None) -> None:
        """A pointed leaf that grows from (x, y) towards ``angle`` (radians, 0 = right)."""
        along = np.linspace(0, 1, 14)
        half = breadth * np.sin(np.pi * along**0.8) / 2
        ahead = np.stack([np.cos(angle) * along, np.sin(angle) * along], axis=1) * length
        aside = np.stack([-np.sin(angle) * half, np.cos(angle) * half], axis=1)
        self.shape(np.vstack([ahead + aside, (ahead - aside)[::-1]]) + (x, y), colour)
        if vein:
            self.line([(x, y), tuple(ahead[-3] + (x, y))], vein, length / 40)


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
            c.box(spots["x"][i], spots["y"][j], spots["x"][i + 1], spots["y"][j + 1],
                  c.pick((p.main, p.second, p.accent, p.pale, p.second)))
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
    for turn in range(int(c.rng.integers(7, 12))):
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
    great, half, target, foot = (
        (p.main, p.second, p.accent, p.deep)[k] for k in c.rng.permutation(4))
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
        c.box(left, top + k * u * 4.2, left + u * (24 - k * 2.6), top + k * u * 4.2 + u * 1.9,
              target if k == bars // 2 else p.ink)
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
            c.pen.pieslice((corner[0] - w * scale, corner[1] - h * scale, corner[0] + w * scale - 1,
                            corner[1] + h * scale - 1), turn * 90, turn * 90 + 90, colour)
    elif kind == 3:
        c.pen.pieslice((x, y, x + w - 1, y + h - 1), turn * 90, turn * 90 + 180, figure)
    elif kind == 4:
        c.disc(x + w / 2, y + h / 2, w * 0.36, figure)
        c.disc(x + w / 2, y + h / 2, w * 0.16, dot)
    elif kind == 5:
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        c.shape(corners[:turn] + corners[turn + 1:], figure)
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
                    c.line([(x + np.cos(angle) * r / rings, y + np.sin(angle) * r / rings),
                            (x + np.cos(angle) * r * 0.97, y + np.sin(angle) * r * 0.97)], gold, r / 44)
                c.disc(x, y, r / 7, gold)
        return
    x, y = w * c.pick((0.5, 0.5, 0.3, 0.7)), h * c.between(0.58, 0.74)
    rays, reach = c.pick((22, 28, 36)), float(np.hypot(w, h))
    tones = c.pick(((p.main, p.accent), (p.deep, p.second), (p.deep, p.main, p.second), (p.main, p.pale)))
    for k, angle in enumerate(np.linspace(np.pi, 2 * np.pi, rays + 1)[:-1]):
        c.shape([(x, y), *((x + np.cos(a) * reach, y + np.sin(a) * reach) for a in (angle, angle + np.pi / rays))],
                tones[k % len(tones)])
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
        tint = blend(light, p.accent if dark != p.main and light != p.accent else p.deep,
                     coverage(field.astype(np.float32)))
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
    spot = (np.stack([k % across / across, k // across * across / count], axis=1) * 1.15 - 0.07
            + c.rng.normal(0, 0.02, (count, 2))) * (w, h)
    path = np.empty((steps, count, 2))
    for step in range(steps):
        path[step] = spot
        column, row = np.clip(spot / SCALE, 0, last).astype(int).T
        turn = angle[row, column]
        spot = spot + np.stack([np.cos(turn), np.sin(turn)], axis=1) * stride
    tones = (p.main, p.second, p.accent, p.main, p.pale) if variant == 0 else (p.deep, p.main, p.second, p.accent, p.ink)
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
    ground, *blocks = c.pick(((p.main, p.accent, p.deep, p.second), (p.deep, p.main, p.second, p.ink),
                              (p.second, p.pale, p.main, p.accent), (p.ink, p.deep, p.main, p.second),
                              (p.accent, p.main, p.pale, p.deep)))
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
