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
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFont

from . import print_scenes, print_styles
from .print_styles import Canvas, Palette, mix, palette

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
    "star-chart": print_scenes.star_chart,
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

COLOURS = {  # each palette in words: its colours, its moods, single names for titles
    "primary": ("signal red, cobalt and yellow", "brisk|confident|playful", "Red|Yellow|Cobalt|Two Reds"),
    "harbour": ("sea blue, slate and a touch of coral", "fresh|calm|clear-headed", "Coral|Slate|Sea Blue"),
    "ember": ("brick red, orange and amber", "warm|glowing|generous", "Amber|Brick Red|Orange"),
    "moss": ("fern green, olive and ochre", "restful|quiet|grounded", "Olive|Fern Green|Ochre"),
    "dusk": ("violet, orchid and apricot", "dreamy|tender|hushed", "Violet|Apricot|Orchid"),
    "noir": ("black, greys and one stroke of crimson", "stern|sharp|cool", "Grey|One Red Line|Crimson|Black"),
    "rose": ("rose, wine red and sage", "gentle|romantic|warm", "Rose|Wine Red|Sage"),
    "desert": ("sienna, sand and teal", "sun-warmed|dry|unhurried", "Sand|Sienna|Teal"),
    "glacier": ("ice blue, petrol and pale gold", "cool|airy|crisp", "Ice Blue|Pale Gold|Petrol"),
    "indigo": ("indigo, woad blue and vermilion", "composed|deep|contemplative", "Indigo|Vermilion|Woad"),
    "mid-century": ("petrol, rust and mustard", "sociable|cheerful|easy-going", "Mustard|Rust|Petrol"),
    "arcade": ("hot pink, cyan and electric yellow", "loud|restless|exuberant", "Hot Pink|Cyan|Electric Yellow"),
}


class Motif(NamedTuple):
    """What one variant of a style shows, as ``|``-separated choices for the writer of the catalogue."""

    manner: str
    subjects: str
    titles: str
    scenes: str


MOTIFS: dict[str, tuple[Motif, ...]] = {
    "neoplastic": (
        Motif("neoplastic", "geometry abstract modern art architecture",
              "Composition with {a}|Right Angles, {time}|The Quiet Grid|Plan for a Room in {town}|{a}, Held Still",
              "Black bars divide the sheet into unequal planes|A few filled planes balance a wide, empty field"),
        Motif("boogie-woogie grid", "geometry city music jazz modern art",
              "{town} Boogie|Crosstown at {time}|Traffic Lights, {town}|Syncopated Streets|Ragtime for {town}",
              "Lines of small squares blink like traffic seen from a roof|Streets of colour cross and stop on the beat"),
    ),
    "bauhaus": (
        Motif("Bauhaus", "geometry design pattern modern art architecture",
              "Quarter Turns|Tile Study for {town}|Workshop Pattern|Kindergarten {a}|Floor Plan with {a}",
              "Quarter circles, stripes and dots lock together tile by tile|Simple tiles turn until new figures appear"),
        Motif("Bauhaus", "geometry design balance music modern art",
              "Balancing Act|Disc and Lever|The Metronome|Poster for a Lost Exhibition|Stage Set with {a}",
              "A great disc leans on rods, a wedge and a ladder of bars|Circle, cone and bar hold one another up"),
    ),
    "art-deco": (
        Motif("Art Deco", "sun city architecture travel glamour",
              "Sunrise over the {town} Odeon|The Grand Hotel, {town}|{town} by Express|First Light, Last Dance",
              "A sun rises in rays between two stepped towers|Rays fan out behind towers above banded water"),
        Motif("Art Deco", "pattern glamour architecture jazz",
              "Ballroom Fans|The Foyer, {town}|Gilded Scales|Curtain at the {town} Odeon|Peacock Hall",
              "Gilt fans overlap like the tiles of a ballroom wall|Row upon row of ribbed fans opens across the sheet"),
    ),
    "op-art": (
        Motif("Op art", "geometry illusion pattern mathematics",
              "Undertow|Ripple {a}|Standing Wave|The Floor Is Moving|Slow Current",
              "Even stripes bend until the paper seems to breathe|Ripples run through a field of parallel bands"),
        Motif("Op art", "geometry illusion mathematics games",
              "Swell|Chequerboard Planet|The Bulge|Knight's Gambit|Pressure from Below",
              "A chequerboard swells towards you like a lens|Squares stretch over a globe that is not there"),
        Motif("Op art", "geometry illusion mathematics music",
              "Interference|Broken Rings|Radio Silence, {time}|Sliding Record|Echo in {a}",
              "Rings are sliced into bands and slid out of step|Circles break and rejoin, and will not lie flat"),
    ),
    "flow-field": (
        Motif("generative flow-field", "abstract nature mathematics night wind",
              "Night Wind over {place}|Starling Hour|Migration|Silk and Static|The Weather at {time}",
              "Hundreds of fine threads follow an unseen current in the dark|Threads drift like birds at nightfall"),
        Motif("generative flow-field", "abstract nature mathematics rivers wind",
              "Delta|Combed Grass, {place}|Slow River|Ribbons for {town}|Where the Wind Turns",
              "Broad ribbons overlap as they follow one bend|Bands of colour fold past each other like reeds in a river"),
    ),
    "colour-field": (
        Motif("colour-field", "abstract colour meditation modern art",
              "Untitled ({a})|Two Silences|Threshold|Evening Room|Chapel in {a}|Hush",
              "Soft-edged blocks hover one above the other|Blocks of worn colour float on a deeper ground"),
        Motif("colour-field", "abstract colour sun meditation",
              "Slow Sun|Afterimage|Horizon, {time}|The Long Glow|Solstice at {place}",
              "One disc glows above a dark level|A blurred sun hangs over the edge of the world"),
    ),
    "pointillist": (
        Motif("pointillist", "sea sun landscape coast summer",
              "{place} at {time}|Low Tide, {place}|Bathers Gone, {place}|The Bay in {month}",
              "The sun lays a broken path across the bay|Headland, sand and water dissolve into dots of light"),
        Motif("pointillist", "landscape trees mountains nature country",
              "Poplars near {place}|Hills in {month}|The Road to {place}|{month} Orchard",
              "Poplars stand on rolling hills that shimmer in the heat|Dots of colour gather into hills and dark trees"),
        Motif("pointillist", "flowers landscape garden nature summer",
              "Meadow, {month}|Flowering Fields at {place}|{month} Fair Weather|Hay and Poppies",
              "A meadow in flower runs down from the low hills|Blossom scatters through the grass in flecks of colour"),
    ),
    "ukiyo-e": (
        Motif("woodblock", "sea mountains japan storm ships",
              "The Great Swell off {place}|Before the Wave Falls|Mountain behind the Breaker|Storm Tide, {place}",
              "A great wave rears over a distant snow-capped peak|The crest hangs in claws of foam above a small mountain"),
        Motif("woodblock", "sea sun japan pattern calm",
              "Sea of Scales|Calm off {place}|Red Sun, {month}|Harbour at Low Tide|Thirty Views of {place}",
              "A sea of overlapping scales lies still beneath a round sun|Mist crosses the sun above row on row of waves"),
    ),
    "topographic": (
        Motif("topographic", "maps mountains travel geography adventure",
              "Survey of {place}|The Summit of {place}|Sheet 47: {place}|Lines of Equal Height|Uncharted, {time}",
              "Contour lines crowd together towards a marked summit|An imaginary range is surveyed line by line"),
        Motif("cut-paper relief", "maps islands sea geography nature",
              "Atoll|The Lake at {place}|Strata|Soundings off {place}|Island, Cut from Paper",
              "Layers of cut paper step down like a sounded lake|Islands rise in shadowed sheets of colour"),
    ),
    "botanical": (
        Motif("botanical", "garden nature plants trees",
              "Sprig for {month}|Laurel and Moon|Herbarium, Sheet 12|Olive Branch, {place}|Climbing Plant",
              "A branching sprig spreads its veined leaves before a pale disc|Leaf by leaf, a branch climbs the sheet"),
        Motif("cut-out botanical", "garden plants sea pattern",
              "Seaweed Alphabet|Fronds for {town}|Paper Garden|Studio Wall, {month}|The Glasshouse",
              "Cut-out fronds dance on panels of flat colour|Scissor-drawn seaweed fills each bright panel"),
        Motif("botanical", "flowers garden nature plants",
              "{month} Border|Wild Flowers of {place}|The Gardener's Day Off|Seed Packet|Cottage Bed, {month}",
              "Daisies, tulips and tall spires jostle in one bed|A row of wild flowers reaches up from the lower edge"),
    ),
    "nocturne": (
        Motif("nocturne", "city night moon architecture",
              "{town}, {hour}|Lights On, {town}|Nocturne for {town}|Insomnia|The Last Tram",
              "A full moon stands over towers with a few lit windows|Windows burn late under a pale moon"),
        Motif("nocturne", "city night rivers moon travel",
              "{town} from the River|The Embankment, {hour}|Doubled City|Ferry Landing, {town}",
              "The skyline and its moon are doubled in slow water|Lit windows tremble upside down in the river"),
        Motif("nocturne", "city night rain crime mystery",
              "Rain on {town}|Umbrella Weather|Detective's Hour, {town}|Wet Roofs|Taxi, {hour}",
              "Slanting rain blurs the towers and their lamps|Rain falls across the roofs of a city that is still awake"),
    ),
    "star-chart": (
        Motif("celestial", "stars astronomy science night maps",
              "Planisphere for {month}|The Sky over {place}|Stargazer's Chart|Seven Invented Constellations",
              "Invented constellations wheel inside a graduated ring|A round chart maps a sky that nobody has seen"),
        Motif("celestial", "space planets astronomy science stars",
              "Orrery|The Clockmaker's Planets|Seven Small Worlds|Transit, {hour}|Harmony of the Spheres",
              "Small planets keep their orbits about a toothed sun|Worlds circle one lamp like a clockmaker's toy"),
    ),
}

WORDS = {
    "place": "Skerry Point|Hallow Bay|Cape Merrow|Fell End|Tarn Head|Saltmarsh|Gull Rock|Windle Fell|Orrin Sound"
             "|Amber Strand|Kestrel Down|Long Reach|Thorn Island|Morrow Hill|Lantern Head|Sandwick",
    "town": "Brindle Street|Port Avery|Calloway|Marlow Cross|Vesper Quay|Old Lindow|Santa Rufa|Queensgate"
            "|Novy Most|Harbour Street|Belmonte|Ostergard|Lower Canal|Tessaly",
    "time": "Dawn|Low Tide|First Light|Noon|Dusk|Evening|Six O'Clock|Midsummer",
    "hour": "Midnight|Half Past Two|Ten to Eleven|After the Theatre|Four in the Morning|Blue Hour",
    "month": "March|April|May|June|July|August|September|October",
}


class Artist(NamedTuple):
    """An invented hand, faithful to a manner or two and to a few palettes."""

    name: str
    styles: str
    palettes: str


ARTISTS = (
    Artist("Pieter van Oord", "neoplastic", "primary noir mid-century"),
    Artist("Marit Sandvik", "neoplastic bauhaus", "primary harbour glacier"),
    Artist("Luis Abrantes", "neoplastic op-art", "arcade primary desert"),
    Artist("Greta Lindqvist", "bauhaus", "mid-century primary ember"),
    Artist("Otto Feldmann", "bauhaus", "noir desert mid-century"),
    Artist("Clara Voss", "art-deco bauhaus", "mid-century ember moss"),
    Artist("Celestine Moreau", "art-deco", "noir dusk indigo"),
    Artist("Raymond Kessler", "art-deco nocturne", "ember harbour arcade"),
    Artist("Bridget Oyelaran", "op-art", "noir primary arcade"),
    Artist("Viktor Halasz", "op-art", "indigo ember glacier"),
    Artist("Noor Haddad", "flow-field", "dusk arcade harbour"),
    Artist("Tomas Reiner", "flow-field topographic", "glacier moss indigo"),
    Artist("Imani Clarke", "flow-field colour-field", "ember desert rose"),
    Artist("Saul Brenner", "colour-field", "ember dusk noir"),
    Artist("Agnes Thorsen", "colour-field", "glacier harbour moss"),
    Artist("Lucie Fabre", "pointillist", "harbour rose mid-century"),
    Artist("Edmund Hallam", "pointillist", "moss desert glacier"),
    Artist("Haruko Minamoto", "ukiyo-e", "indigo harbour glacier"),
    Artist("Kenji Asakura", "ukiyo-e", "indigo rose dusk"),
    Artist("Rowan MacAllister", "topographic", "moss harbour desert"),
    Artist("Elena Duarte", "topographic botanical", "desert dusk mid-century"),
    Artist("Flora Penhaligon", "botanical", "moss rose mid-century"),
    Artist("Amara Nwosu", "botanical pointillist", "ember rose primary"),
    Artist("Jonas Whitlock", "nocturne", "harbour indigo noir"),
    Artist("Mira Castellan", "nocturne star-chart", "dusk indigo arcade"),
    Artist("Cosmo Bellweather", "star-chart", "indigo glacier noir"),
)

ROOMS = ("over a reading chair", "above a desk", "in a narrow hallway", "on a stairwell wall", "beside a bookcase",
         "above a bed", "in a kitchen that gets the morning", "across from a window", "over a record player",
         "in a study", "above a low sofa", "in a child's room")
FIRST = ("{scene}, in {colours}.", "{scene}: {a_manner} print in {colours}.", "In {colours}: {lower}.",
         "{scene}; {artist} keeps to {colours}.", "{artist} works in {colours} here: {lower}.")
SECOND = ("{A_mood} picture to hang {room}.", "The {manner} manner is {mood}; it would sit well {room}.",
          "Printed at {size} cm, {mood} enough to live with {room}.", "{Mood} company {room}, at {size} cm.",
          "Hang it {room}, where its {mood} air has space ({size} cm).", "It asks for a plain wall {room} and stays {mood}.")
ORIENTATIONS = {
    "neoplastic": "square|portrait|landscape", "bauhaus": "portrait|portrait|square|landscape",
    "art-deco": "portrait|portrait|landscape|square", "op-art": "square|square|portrait|landscape",
    "flow-field": "landscape|square|portrait", "colour-field": "portrait|portrait|square",
    "pointillist": "landscape|landscape|portrait", "ukiyo-e": "landscape|landscape|portrait",
    "topographic": "square|portrait|landscape", "botanical": "portrait|portrait|landscape",
    "nocturne": "landscape|landscape|portrait|square", "star-chart": "portrait|square",
}
SIZES = (("21 x 28", 18, 30), ("30 x 40", 32, 52), ("45 x 60", 56, 88), ("60 x 80", 92, 140))
SQUARES = {"21 x 28": "25 x 25", "30 x 40": "40 x 40", "45 x 60": "55 x 55", "60 x 80": "70 x 70"}


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
        "scene": scene, "lower": scene[0].lower() + scene[1:], "colours": named, "artist": artist,
        "manner": motif.manner, "a_manner": _article(motif.manner), "mood": mood, "A_mood": _article(mood).capitalize(),
         "Mood": mood.capitalize(), "room": pick(ROOMS),
        "size": (SQUARES[size] if orientation == "square" else size if orientation == "portrait"
                 else " x ".join(reversed(size.split(" x ")))),
    }
    return Print(
        item_id=item_id, title=title, artist=artist, style=style, palette=colours, orientation=orientation,
        year=int(rng.integers(2012, 2025)), subjects=tuple(_subjects(motif.subjects)),
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
    sheet.paste(canvas.image.reduce(print_styles.SCALE), (margin, margin))
    pen = ImageDraw.Draw(sheet)
    if poster:
        line = height - foot + round(foot * 0.3)
        size = _spaced(pen, (margin, line), print_.title.upper(), colours.ink, 15, 2.2, width - 2 * margin)
        _spaced(pen, (margin, line + size + 7), f"{print_.artist}  {print_.year}", mix(colours.ink, colours.paper, 0.35),
                10, 0.8, width - 2 * margin)
    else:
        pencil = mix(colours.ink, colours.paper, 0.55)
        edition = f"{int(rng.integers(1, 80))}/{int(rng.choice((80, 100, 150)))}"
        _spaced(pen, (margin + 1, height - foot + 8), edition, pencil, 9, 0.6, width)
        wide = ImageFont.load_default(9).getlength(print_.artist) + 0.6 * len(print_.artist)
        _spaced(pen, (width - margin - wide - 1, height - foot + 8), print_.artist, pencil, 9, 0.6, width)
    left, top = (int(v) for v in rng.integers(0, 64, 2))
    return ImageChops.soft_light(sheet, _grain().crop((left, top, left + width, top + height)))


def _spaced(pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, colour: tuple[int, int, int],
            size: float, gap: float, room: float) -> float:
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
    noise = np.random.default_rng(1).normal(128, 9, (side, side, 1)) + np.zeros(3)
    return Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8), "RGB")
