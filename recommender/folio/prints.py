"""Folio's art prints: an invented catalogue, and the pictures that go with it.

The demo shop needs pictures that differ the way real stock differs: a few hands, a few manners, a few
ranges of colour, and within each of those no two alike.  ``catalogue`` writes the entries without
drawing anything, ``draw`` makes one picture from one entry, and both depend only on their arguments.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

from . import print_scenes, print_styles
from .canvas import SCALE, Canvas, Palette, mix, palette
from .print_words import ARTISTS, COLOURS, FIRST, MOTIFS, ORIENTATIONS, ROOMS, SECOND, SIZES, SQUARES, WORDS

LONG_SIDE = 640
SHEETS = {"portrait": (480, LONG_SIDE), "landscape": (LONG_SIDE, 480), "square": (LONG_SIDE, LONG_SIDE)}

STYLES: dict[str, Callable[[Canvas, int], None]] = {
    "neoplastic": print_styles.grid,
    "bauhaus": print_styles.bauhaus,
    "art-deco": print_styles.sunburst,
    "op-art": print_styles.op_art,
    "flow-field": print_styles.flow_field,
    "colour-field": print_styles.colour_field,
    "pointillist": print_scenes.pointillist,
    "ukiyo-e": print_scenes.waves,
    "topographic": print_scenes.contours,
    "botanical": print_scenes.botanical,
    "nocturne": print_scenes.nocturne,
    "star-chart": print_styles.star_chart,
}

PALETTES: dict[str, Palette] = {  # paper, ink, deep, main, second, accent, pale
    "primary": palette("F5F1E6 141414 1D3F8F D62A1E 1F56B5 F6C61B EFE9DA"),
    "harbour": palette("F4F1EA 10233A 1B4965 3D7EA6 7FB7BE F2785C DCEBEA"),
    "ember": palette("F8F0E3 2B0F14 6A1B1A C8391F E8762C F7B538 F9DDB1"),
    "moss": palette("F3F1E4 18261C 2F4A34 5B7F4B A3B86C E0A43A DDE3C2"),
    "dusk": palette("F5EEF0 1E1633 3B2A63 7A4E9B C86B98 F6A56F F6D9CF"),
    "noir": palette("F4F2EE 111111 333333 6B6B6B A8A5A0 C8102E DEDBD5"),
    "rose": palette("F9F1EC 3A1A24 7A2E44 C9546C E99AA0 5D7B5B F6D9D5"),
    "desert": palette("F6EEDF 33211A 7A4A2B C2703D DDA15E 2F6F6D F0DDBE"),
    "glacier": palette("F3F6F7 0F2430 23566B 5A9FB3 A6CFD5 F0C75E E3F0F1"),
    "indigo": palette("F3ECDC 14213D 1F3A6E 3C6AA5 8FB3CF C8452F E4DFCB"),
    "mid-century": palette("F5EFE0 26302F 2F5D62 D9653B E3B448 8FB9A8 EAD9BB"),
    "arcade": palette("F3F0F6 1B1035 3A1C71 FF3E7F 2EC4D6 FFD23F E5DDF2"),
}


@dataclass(frozen=True)
class Print:
    """One print as the shop lists it; ``style`` and ``palette`` are keys of the tables above."""

    item_id: str
    title: str
    artist: str
    style: str
    palette: str
    orientation: str
    year: int
    subjects: tuple[str, ...]
    description: str
    price: Decimal


def _number(text: str) -> int:
    """A seed that is the same in every process (unlike ``hash``, which Python salts)."""
    return zlib.crc32(text.encode())


def variant_of(item_id: str, style: str) -> int:
    """Which of the style's compositions an item shows: known before, and without, drawing it."""
    return _number(f"{item_id} variant") % len(MOTIFS[style])


def catalogue(seed: int = 7, count: int = 250) -> list[Print]:
    """Invent ``count`` prints: every style equally often, every title once, nothing drawn."""
    rng = np.random.default_rng(seed)
    order: list[str] = []
    while len(order) < count:
        order += [str(style) for style in rng.permutation(sorted(STYLES))]
    seen: Counter[str] = Counter()
    return [_entry(f"print-{n:03d}", style, rng, seen) for n, style in enumerate(order[:count], 1)]


def _entry(item_id: str, style: str, rng: np.random.Generator, seen: Counter[str]) -> Print:
    def pick(options: str | Sequence[str]) -> str:
        choices = options.split("|") if isinstance(options, str) else options
        return choices[int(rng.integers(len(choices)))]

    motif = MOTIFS[style][variant_of(item_id, style)]
    artist = pick([a.name for a in ARTISTS if style in a.styles.split()])
    favourites = next(a.palettes for a in ARTISTS if a.name == artist)
    colours = pick(favourites.split() if rng.random() < 0.88 else list(PALETTES))
    orientation = pick(ORIENTATIONS[style])
    size, low, high = SIZES[int(rng.choice(len(SIZES), p=(0.2, 0.35, 0.3, 0.15)))]
    named, moods, hues = COLOURS[colours]
    names = {word: pick(options) for word, options in WORDS.items()}
    title = pick(motif.titles).format(a=pick(hues), **names)
    seen[title] += 1
    if seen[title] > 1:
        title = f"{title}, No. {seen[title]}"
    scene, mood = pick(motif.scenes), pick(moods)
    words = {
        "scene": scene,
        "lower": scene[0].lower() + scene[1:],
        "colours": named,
        "artist": artist,
        "manner": motif.manner,
        "a_manner": _article(motif.manner),
        "mood": mood,
        "A_mood": _article(mood).capitalize(),
        "Mood": mood.capitalize(),
        "room": pick(ROOMS),
        "size": (
            SQUARES[size]
            if orientation == "square"
            else size
            if orientation == "portrait"
            else " x ".join(reversed(size.split(" x ")))
        ),
    }
    return Print(
        item_id=item_id,
        title=title,
        artist=artist,
        style=style,
        palette=colours,
        orientation=orientation,
        year=int(rng.integers(2012, 2025)),
        subjects=tuple(_subjects(motif.subjects)),
        description=f"{pick(FIRST)} {pick(SECOND)}".format(**words),
        price=Decimal(int(rng.integers(low, high + 1))),
    )


def _article(word: str) -> str:
    return f"{'an' if word[0] in 'aeiouAEIOU' else 'a'} {word}"


def _subjects(text: str) -> list[str]:
    """Split a motif's subjects, keeping the one two-word subject together."""
    return [word.replace("_", " ") for word in text.replace("modern art", "modern_art").split()]


def draw(print_: Print) -> Image.Image:
    """Draw one print on its sheet: the same picture for the same entry, always."""
    rng = np.random.default_rng(_number(print_.item_id))
    colours = PALETTES[print_.palette]
    width, height = SHEETS[print_.orientation]
    sheet = Image.new("RGB", (width, height), mix(colours.paper, (255, 255, 255), 0.35))
    poster = rng.random() < 0.3
    margin = round(min(width, height) * rng.uniform(0.055, 0.085))
    foot = margin + round(min(width, height) * (0.075 if poster else 0.03))
    canvas = Canvas(width - 2 * margin, height - margin - foot, colours, rng)
    STYLES[print_.style](canvas, variant_of(print_.item_id, print_.style))
    sheet.paste(canvas.image.reduce(SCALE), (margin, margin))
    pen = ImageDraw.Draw(sheet)
    if poster:
        line = height - foot + round(foot * 0.3)
        size = _spaced(pen, (margin, line), print_.title.upper(), colours.ink, 15, 2.2, width - 2 * margin)
        _spaced(
            pen,
            (margin, line + size + 7),
            f"{print_.artist}  {print_.year}",
            mix(colours.ink, colours.paper, 0.35),
            10,
            0.8,
            width - 2 * margin,
        )
    else:
        pencil = mix(colours.ink, colours.paper, 0.55)
        edition = f"{int(rng.integers(1, 80))}/{int(rng.choice((80, 100, 150)))}"
        _spaced(pen, (margin + 1, height - foot + 8), edition, pencil, 9, 0.6, width)
        wide = ImageFont.load_default(9).getlength(print_.artist) + 0.6 * len(print_.artist)
        _spaced(pen, (width - margin - wide - 1, height - foot + 8), print_.artist, pencil, 9, 0.6, width)
    left, top = (int(v) for v in rng.integers(0, 64, 2))
    return ImageChops.soft_light(sheet, _grain().crop((left, top, left + width, top + height)))


def _spaced(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    colour: tuple[int, int, int],
    size: float,
    gap: float,
    room: float,
) -> float:
    """Write letter-spaced text from ``at``, smaller if ``room`` demands it; return the size used."""
    while size > 6 and ImageFont.load_default(size).getlength(text) + gap * len(text) > room:
        size, gap = size * 0.92, gap * 0.9
    font, (x, y) = ImageFont.load_default(size), at
    for letter in text:
        pen.text((x, y), letter, colour, font)
        x += font.getlength(letter) + gap
    return size


@lru_cache(maxsize=1)
def _grain() -> Image.Image:
    """The paper's tooth: faint noise around mid-grey, a little larger than any sheet."""
    side = LONG_SIDE + 64
    noise = np.random.default_rng(1).normal(128, 6, (side, side, 1)) + np.zeros(3)
    return Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8), "RGB")
