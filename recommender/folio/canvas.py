"""The sheet that Folio's pictures are drawn on, and the colour arithmetic they share.

Everything is drawn at twice the final size, because Pillow's polygons and lines have hard edges:
halving the finished picture smooths them.  All choices come from the canvas's own generator, so that
a picture is the same on every machine and in every process.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

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
    share: Array = np.clip(signed / (np.hypot(down, across) + 1e-6) + 0.5, 0, 1).astype(np.float32)
    return share


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
        at, given = np.linspace(0, len(stops) - 1, self.h), np.arange(len(stops))
        rows = np.stack([np.interp(at, given, channel) for channel in np.transpose(stops)], axis=1)
        self.show(Image.fromarray(rows.astype(np.uint8)[:, None], "RGB").resize((self.w, self.h)))

    def axes(self) -> tuple[Array, Array]:
        """Coordinates (x as a row, y as a column) at final size, centred, short side = 2."""
        width, height = self.w // SCALE, self.h // SCALE
        x = (np.arange(width, dtype=np.float32) - width / 2) * 2 / min(width, height)
        y = (np.arange(height, dtype=np.float32) - height / 2) * 2 / min(width, height)
        return x[None, :].astype(np.float32), y[:, None].astype(np.float32)

    def noise(self, cells: int, stretch: float = 1.0) -> Array:
        """Smooth noise in about 0..1 at final size, ``cells`` across (``stretch`` > 1: streaks sideways)."""
        rows = max(2, round(cells * stretch * self.h / self.w))
        coarse = Image.fromarray(self.rng.random((rows + 1, cells + 1), dtype=np.float32))
        return np.asarray(coarse.resize((self.w // SCALE, self.h // SCALE), Image.Resampling.BICUBIC))

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def pick(self, options: Sequence[Any]) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def disc(
        self, x: float, y: float, r: float, colour: Colour | None, edge: Colour | None = None, width: float = 0
    ) -> None:
        self.pen.ellipse((x - r, y - r, x + r, y + r), colour, edge, round(width))

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        if x1 > x0 and y1 > y0:
            self.pen.rectangle((round(x0), round(y0), round(x1) - 1, round(y1) - 1), colour)

    def shape(self, points: Iterable[Sequence[float]], colour: Colour) -> None:
        self.pen.polygon([(float(x), float(y)) for x, y in points], colour)

    def line(self, points: Iterable[Sequence[float]], colour: Colour, width: float) -> None:
        self.pen.line([(float(x), float(y)) for x, y in points], colour, max(1, round(width)), "curve")

    def leaf(
        self,
        x: float,
        y: float,
        angle: float,
        length: float,
        breadth: float,
        colour: Colour,
        vein: Colour | None = None,
    ) -> None:
        """A pointed leaf that grows from (x, y) towards ``angle`` (radians, 0 = right)."""
        along = np.linspace(0, 1, 14)
        half = breadth * np.sin(np.pi * along**0.8) / 2
        ahead = np.stack([np.cos(angle) * along, np.sin(angle) * along], axis=1) * length
        aside = np.stack([-np.sin(angle) * half, np.cos(angle) * half], axis=1)
        root = np.array([x, y])
        self.shape(np.vstack([ahead + aside, (ahead - aside)[::-1]]) + root, colour)
        if vein:
            self.line([(x, y), tuple(ahead[-3] + root)], vein, length / 40)
