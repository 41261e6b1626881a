"""Book covers and record sleeves drawn by code, in the manner of a small, careful imprint.

A series needs rules: the category sets the colours, the subjects set the emblem, and the item's id
settles what is left (the layout, the seed of the drawing).  Titles are always fitted, never cut off.
Pillow's own typeface is the only one used, so that covers are the same on every machine; the marks of
accented letters, which it lacks, are drawn.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .canvas import SCALE, Canvas, Colour, Palette, mix, palette
from .cover_motifs import EMBLEMS, night
from .sleeve_motifs import SLEEVES

COVER, SLEEVE = (400, 600), (480, 480)
Place = tuple[float, float, float, float]

FAMILIES: tuple[Palette, ...] = (  # paper, ink, deep, main, second, accent, pale
    palette("F6EFE0 16324F 16324F 2F6690 81A4CD F4A259 DCE6EE"),
    palette("FBF3E4 3B1219 7B1E2B C1443C E8A87C F2C14E F7DFCF"),
    palette("F3F2E5 1D3226 2D4F3C 5E8C61 A7C4A0 E3B23C DDE8D0"),
    palette("F5F0F6 241B3A 3C2A63 7D5BA6 C5A3CF F6AE84 E8DCEF"),
    palette("F7F1E3 1F1B18 3A332C B5651D D9A45B 2A7F83 EBDCC0"),
    palette("F4F4F0 12181C 24343D 5C7C89 A9BDC4 E4572E DCE3E5"),
    palette("FDF4EA 33202A 6D3149 D1668A F0A8A8 3F7D6E F9DDDD"),
    palette("F5F3E8 0F2D33 155E63 2A9D8F 8AC6B8 F4A23C D6ECE5"),
)


WORDS = {  # a word of a subject that equals (or, from five letters on, begins with) one of these
    "sea": "sea ocean ship sail sailing sailor whale whaling naval navy pirate shipwreck fish island voyage",
    "orbits": "space planet astronomy star scifi alien mars moon physics cosmos time-travel future",
    "mountains": "mountain alps climbing arctic polar snow explorer exploration landscape geolog north",
    "mist": "ghost gothic horror supernatural haunt vampire monster fear death terror weird night grief",
    "skyline": "city cities london paris urban new-york dublin russia society working modern",
    "leaves": "garden plant botan nature poetry poems pastoral ecolog food country rural",
    "rings": "love lover romance marriage courtship friend sister brother women family wedding desire",
    "bars": "war battle military soldier revolution army napoleon resistance slavery power",
    "maze": "mystery labyrinth puzzle crime law trial prison absurd bureaucra logic mathemat games",
    "rays": "sun adventure hero heroes summer hope utopia legend desert",
    "road": "travel road journey pilgrim walking western america wander frontier essay memoir biograph",
    "eye": "detective spy psycholog mind dream identity surveillance double painting madness",
    "columns": "ancient greek greece rome roman classic myth mytholog epic politic government tragedy antiquit history",
    "forest": "forest tree wood fairy fairies folklore folk children jungle wolf wild fantasy magic",
    "spiral": "time philosoph religion memory thought ethics satire music faith",
    "birds": "bird freedom animal humor humour comedy short letters",
    "arches": "house manor school orphan castle architectur mansion england drama theatre art",
    "blossom": "flower beauty youth spring childhood girl manners",
    "cogs": "science invention machine technolog engineer robot industry industrial economics",
    "crown": "king queen royal royalty prince shakespeare knight medieval courtier empire chivalry",
}
RECORDS = {  # paper, ink, deep, main, second, accent, pale
    "ambient": palette("EEF2F3 22303C 3B5268 7FA3B5 A9C5C6 F3C6A5 E5E8E4"),
    "baroque": palette("F6ECD9 2A0F16 4A1526 8E2F3C B98A4E DDB15C F3DFB8"),
    "blues": palette("EFF2F5 0C1A2E 14345E 2B62A8 6D9CCB E4572E C9DDF0"),
    "bossa-nova": palette("FBF4E4 22333B 1F5F5B 2A9D8F E9B44C F26B4E FBE7C0"),
    "chiptune": palette("F2F0FA 15122B 3A2F6B FF4F79 38D6C4 FFD447 D9D4F2"),
    "drum-and-bass": palette("F2F2EE 101216 2E333B E5FF3C 6C7480 FF5A1F D5D8D2"),
    "folk": palette("FAF1DF 3B2418 35523F C4452F 7E9B5A E6A22E F0DDB4"),
    "house": palette("FBEFEA 2A1240 4B1E78 C2399B 5C6BE0 FFB238 F4CFE2"),
    "minimalism": palette("F5F3EE 22211F 4A4843 D2452D 9A968C D2452D E4E0D6"),
    "waltz": palette("F8F0EC 231A33 3A2B55 8A5FA8 E39AB4 F1C36B F3DDE0"),
}


def book_cover(item_id: str, title: str, author: str, category: str, subjects: Sequence[str]) -> Image.Image:
    """Design a 400 x 600 paperback cover: always the same for the same arguments."""
    rng = np.random.default_rng(_number(item_id))
    colours = FAMILIES[_number(category.lower()) % len(FAMILIES)]
    matches = (emblems_for(subjects) or emblems_for([category]))[:3] or sorted(EMBLEMS)
    emblem = matches[int(len(matches) * rng.random() ** 1.6)]  # the first subject is the likeliest
    return LAYOUTS[int(rng.integers(len(LAYOUTS)))](Job(title, author, category, colours, EMBLEMS[emblem], rng))


def record_sleeve(item_id: str, title: str, artist: str, genre: str) -> Image.Image:
    """Design a 480 x 480 sleeve in the graphic language of its genre."""
    rng = np.random.default_rng(_number(item_id))
    known = genre if genre in SLEEVES else sorted(SLEEVES)[_number(genre) % len(SLEEVES)]
    base, towards = RECORDS[known], RECORDS[sorted(RECORDS)[int(rng.integers(len(RECORDS)))]]
    share = float(rng.uniform(0, 0.62))  # less, and a genre's sleeves look like copies; more, and they lose its colours
    colours = Palette(*(mix(a, b, share) for a, b in zip(base, towards, strict=True)))
    width, strip = SLEEVE[0], 70
    canvas = Canvas(width, SLEEVE[1] - strip, colours, rng)
    SLEEVES[known](canvas)
    ground, text = (colours.ink, colours.paper) if rng.random() < 0.5 else (colours.paper, colours.ink)
    image = Image.new("RGB", SLEEVE, ground)
    above = rng.random() < 0.5
    image.paste(canvas.image.reduce(SCALE), (0, strip if above else 0))
    top, page = (0 if above else SLEEVE[1] - strip), Lettering(image)
    page.block(title, (22, top + 7, 318, top + strip - 7), text, 25, lines=2, middle=True)
    page.block(artist.upper(), (330, top + 13, 458, top + 41), text, 11, gap=1.2, lines=2, align="right")
    faint = mix(text, ground, 0.35)
    page.block(genre.replace("-", " ").upper(), (330, top + 45, 458, top + 61), faint, 9, gap=1.8, align="right")
    return image


def emblems_for(subjects: Sequence[str]) -> list[str]:
    """The emblems that the subjects call for, the most telling first."""
    found: list[str] = []
    for subject in subjects:
        plain = subject.lower()
        words = {plain.replace(" ", "-"), *plain.replace("-", " ").replace(",", " ").split()}
        words |= {word.removesuffix("s") for word in words}
        for emblem, stems in WORDS.items():
            hit = any(w == stem or (len(stem) > 4 and w.startswith(stem)) for w in words for stem in stems.split())
            if hit and emblem not in found:
                found.append(emblem)
    return found


def _number(text: str) -> int:
    """A seed that is the same in every process (unlike ``hash``, which Python salts)."""
    return zlib.crc32(text.encode())


# --- lettering -----------------------------------------------------------------------------------

SPELLED = {
    "æ": "ae",
    "Æ": "Ae",
    "œ": "oe",
    "Œ": "Oe",
    "ß": "ss",
    "ø": "o",
    "Ø": "O",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "ð": "d",
    "þ": "th",
    "Þ": "Th",
    "Đ": "D",
    "–": "-",
    "—": "-",
    "\u00a0": " ",
    "ı": "i",
}
MARKS = {
    "\u0300": "grave",
    "\u0301": "acute",
    "\u0302": "circumflex",
    "\u0303": "tilde",
    "\u0304": "macron",
    "\u0308": "dots",
    "\u030a": "ring",
    "\u030b": "acute",
    "\u030c": "caron",
    "\u0327": "cedilla",
}

STROKES = {  # each mark's line in tenths of the type size, from the letter's edge
    "acute": [(-0.7, -0.7), (0.9, -2.2)],
    "grave": [(-0.9, -2.2), (0.7, -0.7)],
    "macron": [(-1.4, -1.2), (1.4, -1.2)],
    "circumflex": [(-1.4, -0.7), (0, -2.0), (1.4, -0.7)],
    "caron": [(-1.4, -2.0), (0, -0.7), (1.4, -2.0)],
    "tilde": [(-1.5, -0.8), (-0.6, -1.6), (0.6, -0.9), (1.5, -1.7)],
    "cedilla": [(0, 0), (0.6, 1.0), (-0.5, 1.6)],
}


@lru_cache(maxsize=256)
def _font(size: float) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
    return font


@lru_cache(maxsize=4096)
def letters(text: str) -> tuple[tuple[str, str], ...]:
    """Split text into (base letter, mark) pairs that can all be drawn; other scripts become nothing."""
    pairs: list[tuple[str, str]] = []
    for char in text:
        spelled = SPELLED.get(char, char)
        for part in unicodedata.normalize("NFD", spelled.upper() if text.isupper() else spelled):
            if part in MARKS and pairs:
                pairs[-1] = (pairs[-1][0], MARKS[part])
            elif " " <= part <= "~" or part in "‘’“”…«»°·":
                pairs.append((part, ""))
    return tuple(pairs)


class Lettering:
    """Fits and writes text on a finished (full-size, not doubled) picture."""

    def __init__(self, image: Image.Image) -> None:
        self.image, self.pen = image, ImageDraw.Draw(image)

    @staticmethod
    def width(text: str, size: float, gap: float = 0) -> float:
        return sum(_font(size).getlength(base) + gap for base, _ in letters(text)) - gap

    def fit(self, text: str, wide: float, high: float, size: float, gap: float, lines: int) -> tuple[list[str], float]:
        """Break text into at most ``lines`` lines at the largest size that stays inside the box."""
        while True:
            rows = [""]
            for word in text.split():
                longer = f"{rows[-1]} {word}".strip()
                if rows[-1] and self.width(longer, size, gap) > wide:
                    rows.append(word)
                else:
                    rows[-1] = longer
            inside = all(self.width(row, size, gap) <= wide for row in rows)
            if inside and len(rows) <= lines and len(rows) * size * 1.16 <= high:
                return rows, size
            if size <= 8:
                room = max(1, int(high / (size * 1.16)))
                return [self.clip(row, wide, size, gap) for row in rows[:room]], size
            size = max(8, size - 1)

    def clip(self, row: str, wide: float, size: float, gap: float) -> str:
        """Shorten a line that is too long even at the smallest size, which only nonsense should need."""
        if self.width(row, size, gap) <= wide:
            return row
        while row and self.width(row + "…", size, gap) > wide:
            row = row[:-1]
        return row + "…"

    def block(
        self,
        text: str,
        box: Place,
        colour: Colour,
        size: float,
        gap: float = 0,
        lines: int = 1,
        align: str = "left",
        middle: bool = False,
        weight: int = 0,
    ) -> Place:
        """Write text within ``box``, shrinking to fit; return the area that the lines occupy."""
        x0, y0, x1, y1 = box
        rows, size = self.fit(text, x1 - x0 - weight, y1 - y0, size, gap, lines)
        leading = size * 1.16
        top = y0 + ((y1 - y0) - leading * len(rows)) / 2 if middle else y0
        spread = [self.width(row, size, gap) + weight for row in rows]
        share = {"left": 0.0, "centre": 0.5, "right": 1.0}[align]
        starts = [x0 + (x1 - x0 - wide) * share for wide in spread]
        for k, (row, x) in enumerate(zip(rows, starts, strict=True)):
            self._row(row, x, top + k * leading, colour, size, gap, weight)
        return (
            min(starts),
            top,
            max(x + wide for x, wide in zip(starts, spread, strict=True)),
            top + leading * len(rows),
        )

    def _row(self, row: str, x: float, y: float, colour: Colour, size: float, gap: float, weight: int) -> None:
        font = _font(size)
        for base, mark in letters(row):
            self.pen.text((x, y), base, colour, font, stroke_width=weight * 0.5)
            if mark:
                left, top, right, bottom = font.getbbox(base)
                self._mark(mark, x + (left + right) / 2, y + (bottom if mark == "cedilla" else top), size, colour)
            x += font.getlength(base) + gap

    def _mark(self, mark: str, x: float, y: float, size: float, colour: Colour) -> None:
        """Draw a diacritic over (or under) a letter whose edge is at (x, y), four times too large and halved
        twice: at the size of an author's name two dots would otherwise be two blots."""
        unit, fine, reach = max(size, 12) * 0.1, 4, int(size * 0.4) + 3
        left, top = int(x) - reach, int(y) - reach
        stencil = Image.new("L", (2 * reach * fine, 2 * reach * fine), 0)
        pen = ImageDraw.Draw(stencil)
        a, b, thick = (x - left) * fine, (y - top) * fine, round(unit * 0.8 * fine)
        unit *= fine
        if mark == "ring":
            pen.ellipse((a - unit, b - unit * 2.5, a + unit, b - unit * 0.5), None, 255, round(thick * 0.7))
        elif mark == "dots":
            r = unit * 0.62
            for cx in (a - unit * 1.4, a + unit * 1.4):
                pen.ellipse((cx - r, b - unit * 1.3 - r, cx + r, b - unit * 1.3 + r), 255)
        else:
            pen.line([(a + i * unit, b + j * unit) for i, j in STROKES[mark]], 255, thick, "curve")
        self.image.paste(colour, (left, top), stencil.reduce(fine))


# --- layouts -------------------------------------------------------------------------------------


class Job(NamedTuple):
    """All that a layout needs to know about one book."""

    title: str
    author: str
    category: str
    colours: Palette
    emblem: Callable[[Canvas], None]
    rng: np.random.Generator

    def picture(self, width: int, height: int, colours: Palette) -> Image.Image:
        canvas = Canvas(width, height, colours, self.rng)
        self.emblem(canvas)
        return canvas.image.reduce(SCALE)


def _imprint(page: Lettering, category: str, box: Place, colour: Colour, align: str) -> None:
    page.block(f"FOLIO  ·  {category}".upper(), box, colour, 9, gap=2.2, align=align)


def banded(job: Job) -> Image.Image:
    """A quiet panel of type above a picture that runs off three edges."""
    p, (w, h), panel = job.colours, COVER, 236
    image = Image.new("RGB", COVER, p.paper)
    image.paste(job.picture(w, h - panel, night(p) if job.rng.random() < 0.6 else p._replace(paper=p.pale)), (0, panel))
    page = Lettering(image)
    _imprint(page, job.category, (30, 26, w - 30, 40), p.main, "left")
    page.pen.line((30, 48, w - 30, 48), p.ink, 1)
    page.block(job.title, (29, 62, w - 28, panel - 48), p.ink, 44, lines=4, weight=1)
    page.block(job.author.upper(), (30, panel - 34, w - 30, panel - 14), p.main, 13, gap=2)
    return image


def labelled(job: Job) -> Image.Image:
    """A picture over the whole cover, with a ruled label laid on it."""
    p, (w, h) = job.colours, COVER
    image = job.picture(w, h, night(p) if job.rng.random() < 0.7 else p)
    page, top = Lettering(image), int(job.rng.choice((52, 352)))
    box = (48, top, w - 48, top + 196)
    page.pen.rectangle(box, p.paper)
    page.pen.rectangle((box[0] + 7, box[1] + 7, box[2] - 7, box[3] - 7), None, p.main, 1)
    page.block(job.title, (66, top + 20, w - 66, top + 132), p.ink, 36, lines=4, align="centre", middle=True, weight=1)
    page.pen.line((w / 2 - 16, top + 143, w / 2 + 16, top + 143), p.accent, 2)
    page.block(
        job.author.upper(), (64, top + 155, w - 64, top + 182), p.ink, 12, gap=1.8, lines=1, align="centre", middle=True
    )
    return image


def window(job: Job) -> Image.Image:
    """A coloured cover with the emblem seen through a disc or an arch, and centred type."""
    p, (w, _), side = job.colours, COVER, 280
    ground, ink = ((p.deep, p.paper), (p.ink, p.paper), (p.paper, p.ink))[int(job.rng.integers(3))]
    image = Image.new("RGB", COVER, ground)
    seen = job.picture(side, side, p._replace(paper=p.pale) if ground != p.paper else night(p))
    hole = Image.new("L", (side * 2, side * 2), 0)
    pen = ImageDraw.Draw(hole)
    pen.ellipse((0, 0, side * 2 - 1, side * 2 - 1), 255)
    if job.rng.random() < 0.45:
        pen.rectangle((0, side, side * 2, side * 2), 255)
    image.paste(seen, ((w - side) // 2, 240), hole.reduce(2))
    page = Lettering(image)
    _imprint(page, job.category, (30, 28, w - 30, 42), p.accent if ground != p.paper else p.main, "centre")
    page.block(job.title, (32, 56, w - 32, 186), ink, 40, lines=4, align="centre", middle=True, weight=1)
    page.block(
        job.author.upper(),
        (30, 198, w - 30, 220),
        p.accent if ground != p.paper else p.main,
        13,
        gap=2.4,
        align="centre",
    )
    page.pen.rectangle((14, 14, w - 15, COVER[1] - 15), None, mix(ground, ink, 0.4), 1)
    return image


def lettered(job: Job) -> Image.Image:
    """Type first: a very large title in capitals over a strip of picture."""
    p, (w, h), strip = job.colours, COVER, 206
    ground, ink, second = ((p.accent, p.ink, p.ink), (p.main, p.paper, p.paper), (p.ink, p.paper, p.accent))[
        int(job.rng.integers(3))
    ]
    if abs(sum(ground) - sum(ink)) < 210:
        ground, ink, second = p.deep, p.paper, p.accent
    image = Image.new("RGB", COVER, ground)
    image.paste(job.picture(w, strip, night(p) if ground != p.ink else p), (0, h - strip))
    page = Lettering(image)
    page.block(job.author, (28, 26, w - 28, 52), second, 19)
    page.pen.rectangle((28, 60, w - 29, 63), second)
    page.block(job.title.upper(), (27, 76, w - 26, h - strip - 36), ink, 58, lines=6, weight=2)
    _imprint(page, job.category, (28, h - strip - 24, w - 28, h - strip - 8), second, "left")
    return image


def flagged(job: Job) -> Image.Image:
    """A broad coloured spine on one side, the picture above and the type below it."""
    p, (w, h), bar = job.colours, COVER, 58
    image = Image.new("RGB", COVER, p.paper)
    image.paste(job.picture(w - bar, 342, p._replace(paper=p.pale) if job.rng.random() < 0.6 else night(p)), (bar, 0))
    page = Lettering(image)
    page.pen.rectangle((0, 0, bar - 1, h), p.deep)
    for k in range(3):
        page.pen.rectangle((16, h - 44 + k * 7, bar - 17, h - 42 + k * 7), p.accent)
    page.block(job.title, (bar + 20, 360, w - 20, 508), p.ink, 38, lines=4, weight=1)
    page.pen.rectangle((bar + 21, 520, bar + 60, 523), p.accent)
    page.block(job.author, (bar + 20, 534, w - 20, 556), p.main, 17)
    _imprint(page, job.category, (bar + 20, 570, w - 20, 584), mix(p.ink, p.paper, 0.45), "left")
    return image


LAYOUTS: tuple[Callable[[Job], Image.Image], ...] = (banded, labelled, window, lettered, flagged)
