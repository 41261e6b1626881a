"""The records of the demo shop: a catalogue of 120 titles in ten genres, and the music on them, made by code.

``catalogue`` writes the sleeves (fast, no sound); ``synthesise`` composes and plays one record. Both are
deterministic: the catalogue from its seed, the music from the record itself.
"""

from __future__ import annotations

import wave
import zlib
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from recommender.folio.genres import COMPOSERS, ROOMS
from recommender.folio.instruments import NOTE_NAMES, Samples, Song, variant

RECORDS_PER_GENRE = 12
Images = dict[str, list[str]]  # subject: titles not yet used


@dataclass(frozen=True)
class Record:
    """One record in the shop."""

    item_id: str  # "record-001"
    title: str
    artist: str
    genre: str  # a key of STYLES
    tempo_bpm: int
    key: str  # "D minor"
    mood: str
    year: int
    subjects: tuple[str, ...]  # words shared with the books and the prints
    description: str
    price: Decimal


@dataclass(frozen=True)
class Style:
    """What the sleeves of one genre have in common."""

    tempo_bpm: tuple[int, int]
    since: int  # the earliest year a record of this genre could have been made
    moods: tuple[tuple[str, str], ...]  # (mood, mode of the key), from calm to lively
    artists: tuple[str, ...]
    subjects: tuple[str, ...]
    lineups: tuple[str, str, str]  # by variant
    features: tuple[str, ...]
    occasions: tuple[str, ...]
    titles: tuple[str, ...] = ("{}",)


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


# subject: (as it reads in a sentence, eight images to take titles from)
SUBJECTS: dict[str, tuple[str, str]] = {
    "sea": ("the sea", ("Low Tide|Harbour Lights|Salt on the Window|The Ninth Wave Home|Lighthouse Keeper"
        "|Pearl Divers|A Boat Called Patience|Spindrift")),
    "night": ("the small hours", ("Lamplight|The Owl Hours|Blue After Midnight|Last Tram Home|Nightjar"
        "|A Window Left Lit|Velvet Dark|Half Past Three")),
    "city": ("the city", ("Rooftop Weather|Neon on Wet Stone|Corner Café|Eleven Bridges|Market Street"
        "|The Elevator Girl|Scaffolding|Pigeon Square")),
    "winter": ("winter", ("First Snow|Breath on Glass|The Frozen Canal|Candle Season|White Orchard"
        "|Ice Lanterns|The Long January|Wool and Smoke")),
    "love": ("love", ("Letters Unsent|Two Cups|Your Coat on the Chair|The Second Kiss|Handwriting"
        "|Almost a Promise|Rosewater|Stay Till Morning")),
    "dreams": ("dreams", ("Paper Moons|The Sleeping House|Cloud Cartography|Staircase to Elsewhere"
        "|Pillow Atlas|Half-Remembered Room|Drowsing|The Glass Piano")),
    "space": ("outer space", ("Perigee|Letters to Ganymede|Solar Sail|The Slow Comet|Airlock|Dust of Saturn"
        "|Orbit Decay|Small Blue Planet")),
    "countryside": ("the countryside", ("Hay Wagon|Three Fields Over|The Drystone Wall|Barley Time"
        "|Cuckoo Lane|Gate to the Meadow|Cider Evening|The Miller's Pony")),
    "forest": ("the forest", ("Fern Cathedral|Under the Alders|Moss Clock|The Deer Path|Resin"
        "|Green Underneath|Mushroom Rain|Canopy")),
    "rain": ("the rain", ("Gutter Song|Umbrella Weather|Petrichor|Rain on the Awning|Puddle Mirror"
        "|Storm Drain|Drizzle Arithmetic|Wet Pavement")),
    "summer": ("summer", ("Lemonade Stand|Sunburnt Shoulders|Veranda|August Forever|Open Windows|Heat Shimmer"
        "|The Peach Thief|Barefoot")),
    "travel": ("travel", ("Night Train North|Border Town|Postcard from Nowhere|Suitcase Full of Maps"
        "|Ferry at Five|Road with No Number|Departure Board|Milestones")),
    "mountains": ("the mountains", ("Above the Treeline|Scree|Echo Pass|The Shepherd's Hut|Thin Air"
        "|Avalanche Bell|Summit Book|Seven Switchbacks")),
    "birds": ("birds on the wing", ("Wren in the Wall|Starling Cloud|The Heron Stands|Swallow Return"
        "|Dawn Chorus|Curlew|Feather and Thread|A Parliament of Rooks")),
    "gardens": ("an old garden", ("The Walled Garden|Fountain Court|Espalier|Quince Blossom|Green Theatre"
        "|Bees in the Thyme|Topiary|The Orangery")),
    "machines": ("the hum of machines", ("Switchboard|Punch Card|The Weaving Engine|Clockwork Heart|Conveyor"
        "|Soft Robot|Pistons|Lathe and Light")),
    "childhood": ("childhood", ("Paper Boats|The Tin Soldier|Hopscotch|Kite Weather|Attic Treasure|Marbles"
        "|Merry-Go-Round|The Toy Theatre")),
    "autumn": ("autumn", ("Leaf Smoke|Harvest Moon Rising|Chestnut Street|The Amber Month|Last Wasps"
        "|Gold and Umber|Windfall|Mist in the Avenue")),
    "rivers": ("the river", ("Confluence|Ferryman's Fee|Willow Reach|Downstream|The Weir|Mud and Silver|Oxbow"
        "|Source to Mouth")),
    "history": ("days long gone", ("The Cartographer's Court|Sealing Wax|Ruins in Sunlight"
        "|The Queen's Clockmaker|Old Coin|Palace of Letters|The Treaty Table|Portrait in Profile")),
}  # fmt: skip

STYLES: dict[str, Style] = {
    "ambient": Style(
        (56, 72), 1974,
        (("weightless", "major"), ("serene", "major"), ("wistful", "minor"), ("luminous", "major")),
        _words("Halden Vale|Mira Soundings|The Slow Atlas|Tide Institute"),
        ("space", "dreams", "sea", "winter", "night", "forest"),
        ("glass bells and a breathing pad", "felt piano and slow strings", "a wordless choir and a harp"),
        _words("a filter that opens as slowly as a curtain|notes left hanging in a very large room"
               "|chords that melt into one another|almost no beat to hold on to"),
        _words("last thing at night|while the kettle cools|during a long bath"
               "|under headphones on a grey morning|when the house is finally quiet"),
        ("{}", "{}, Slowly", "{} (Drift)"),
    ),
    "baroque": Style(
        (78, 106), 1962,
        (("tender", "minor"), ("stately", "major"), ("thoughtful", "minor"), ("sprightly", "major")),
        _words("Collegium Orlanda|Ensemble Quatre Saisons|Beatrix Lindqvist|Tobias Aldermann"),
        ("gardens", "history", "birds", "love", "autumn", "rivers"),
        ("solo harpsichord", "recorder over harpsichord", "lute and viola da gamba"),
        _words("two voices chasing each other's tail|a bass line that never stops walking"
               "|a theme passed from hand to hand|cadences you can see coming and still enjoy"),
        _words("over Sunday breakfast|while writing letters|with a book you mean to finish|as guests arrive"
               "|whenever your thoughts need tidying"),
        ("{}", "Suite: {}", "{}, an Invention"),
    ),
    "blues": Style(
        (74, 122), 1962, (("smoky", "minor"), ("weary", "minor"), ("gritty", "major"), ("rolling", "major")),
        _words("Lonnie Marchbanks|Ruby Tillerson|Otis Fairweather"),
        ("rain", "night", "travel", "rivers", "love", "city"),
        ("lead guitar over a guitar shuffle", "harmonica and upright bass", "barrelhouse piano and bass"),
        _words("a twelve-bar form worn smooth with use|a long-short swing in every bar"
               "|answers played between the lines|a flattened third leaned on hard"),
        _words("after closing time|on a long drive|with something strong in a short glass"
               "|while supper is on the stove|when the week has gone wrong"),
        ("{}", "{} Blues", "{} Shuffle"),
    ),
    "bossa-nova": Style(
        (116, 144), 1962,
        (("tender", "major"), ("breezy", "major"), ("wistful", "minor"), ("sunny", "major")),
        _words("Luzia Marfim|Trio Guarapari|Caetana Rios"),
        ("sea", "summer", "love", "city", "gardens", "rain"),
        ("nylon guitar and flute", "nylon guitar and vibraphone", "nylon guitar and electric piano"),
        _words("chords that lean ahead of the beat|a rim click keeping the clave|a shaker as light as sand"
               "|rich ninths under a simple tune"),
        _words("with the balcony doors open|while slicing limes|late on a Sunday afternoon|for two at dinner"
               "|when the heat will not lift"),
    ),
    "chiptune": Style(
        (132, 166), 1985,
        (("dreamy", "major"), ("heroic", "minor"), ("playful", "major"), ("frantic", "minor")),
        _words("Pixel Parade|Kilobyte Kid|Sprite Machine"),
        ("space", "childhood", "machines", "summer", "mountains", "dreams"),
        ("two square waves and a triangle bass", "thin pulse leads and a buzzing arpeggio",
         "an echoing square lead and a thin, quick arpeggio"),
        _words("arpeggios too quick for fingers|a tune you will hum for days|drums made of static"
               "|an octave-hopping bass"),
        _words("while beating your own high score|on the bus to school|while tidying at double speed"
               "|during a coding sprint|when you need one more life"),
        ("{}", "{}: Level Two", "{} (Continue?)"),
    ),
    "drum-and-bass": Style(
        (166, 176), 1993,
        (("liquid", "minor"), ("moody", "minor"), ("restless", "minor"), ("fierce", "minor")),
        _words("Fathom Unit|Kestrel & Vox|DJ Halogen"),
        ("city", "machines", "rain", "forest", "space", "dreams"),
        ("chopped breaks and a growling detuned bass", "chopped breaks, electric piano and sub-bass",
         "chopped breaks under airy pads"),
        _words("ghost notes flickering round the snare|a bass line at half the speed of the drums"
               "|edits that change every bar|a sub you feel before you hear"),
        _words("on a fast run|through the last hour of a deadline|on the night bus, at the back"
               "|before going out|on speakers the neighbours have forgiven"),
        ("{}", "{} VIP", "{} (Dub)"),
    ),
    "folk": Style(
        (88, 124), 1962,
        (("homely", "major"), ("melancholy", "minor"), ("hopeful", "major"), ("sprightly", "major")),
        _words("Isla Brannock|The Hearthside Trio|Tam Weatherly|Wren & Alder"),
        ("countryside", "sea", "mountains", "birds", "travel", "winter"),
        ("fingerpicked steel guitar and tin whistle", "fingerpicked steel guitar and fiddle",
         "banjo, steel guitar and a stamping foot"),
        _words("a thumb that keeps its own time|a tune older than its title|strings you can hear ringing"
               "|harmony plain enough to sing along to"),
        _words("by the fire|on the first cold walk of the year|while bread is rising|on a slow train west"
               "|with friends who can sing"),
        ("{}", "{}, a Ballad", "{} Reel"),
    ),
    "house": Style(
        (120, 128), 1986,
        (("deep", "minor"), ("hypnotic", "minor"), ("sunny", "major"), ("jubilant", "minor")),
        _words("Marlowe Nights|Sister Voltage|Paloma Disco Club|DJ Halogen"),
        ("city", "summer", "night", "travel", "sea", "machines"),
        ("organ stabs over a four-to-the-floor kick", "piano chords over a four-to-the-floor kick",
         "electric piano over a four-to-the-floor kick"),
        _words("an open hat on every off-beat|pads that breathe with the kick|handclaps on two and four"
               "|a bass line that ducks and returns"),
        _words("as the sun goes down|while getting ready|with the furniture pushed back|on a rooftop"
               "|when Friday needs a push"),
        ("{}", "{} (Club Mix)", "{} (Sunrise Dub)"),
    ),
    "minimalism": Style(
        (104, 138), 1966,
        (("patient", "major"), ("hypnotic", "minor"), ("radiant", "major"), ("restless", "minor")),
        _words("Pulse Ensemble Noord|Agnes Thorvald|Tobias Aldermann"),
        ("machines", "rivers", "forest", "mountains", "autumn", "rain"),
        ("two marimbas and a clarinet", "two pianos", "two vibraphones and an organ"),
        _words("one pattern sliding slowly out of step with itself|changes too gradual to catch happening"
               "|accents that appear from nowhere|a handful of notes turned over and over"),
        _words("while working on something exact|on a train with a window seat|at first light"
               "|while watching rain cross a valley|for forty uninterrupted minutes"),
        ("{}", "{} in Phases", "Study: {}"),
    ),
    "waltz": Style(
        (132, 180), 1962,
        (("melancholy", "minor"), ("romantic", "major"), ("graceful", "major"), ("giddy", "major")),
        _words("Orkester Rosenlund|Madame Vasseur|The Lantern Ballroom|Ensemble Quatre Saisons"),
        ("winter", "love", "childhood", "history", "countryside", "autumn"),
        ("accordion, bass and nylon guitar", "violin and piano", "music-box bells and harp"),
        _words("an oom-pah-pah that tilts like a dance floor|a strum on two and three"
               "|a tune with room to turn in|a bass stepping from root to fifth"),
        _words("when someone holds out a hand|while the snow comes down|at the end of the party"
               "|in the kitchen, in socks|with the good glasses out"),
        ("{}", "{} Waltz", "Last Dance: {}"),
    ),
}  # fmt: skip

# First sentences say what is heard, second ones when to play it. Each uses what the record really has.
OPENERS = (
    "{Lineup} at {tempo} beats a minute, {mood} from the first bar to the last, with {feature}.",
    "A {mood} piece in {key}, {pace} at {tempo} bpm, for {lineup}.",
    "Made by {artist} in {year}: {lineup} with {feature}, {pace} and {mood} at {tempo} bpm.",
    "{Mood} and {pace} ({tempo} bpm, {key}), this one is for {lineup}.",
    "Listen for {feature}: {lineup} in {key}, {pace} at {tempo} beats a minute and {mood} throughout.",
    "{artist} made these {mood} sides about {place} with {lineup}, at a {pace} {tempo} bpm.",
    "{Mood} company in {key}: {lineup}, {pace} at {tempo} bpm, and {feature}.",
)
CLOSERS = (
    "Play it {occasion}.",
    "Best {occasion}, with thoughts of {place} for company.",
    "Somewhere in it you will find {place}: play it {occasion}.",
    "More or less about {place}, and made to be heard {occasion}.",
    "Try it {occasion}, and notice {feature}.",
)
PACES = ((80, "slow"), (112, "steady"), (140, "brisk"), (999, "quick"))


def _describe(style: Style, record: dict[str, object], tempo_bpm: int, turn: int, subject: str) -> str:
    """Two sentences; ``turn`` (0..11) steps through lists of differing lengths so that pairs do not recur."""
    lineup = style.lineups[variant(str(record["item_id"]))]
    feature, late_feature = (style.features[(turn + i) % len(style.features)] for i in (0, 1))
    words = {
        **record, "lineup": lineup, "Lineup": lineup[0].upper() + lineup[1:], "tempo": tempo_bpm,
        "Mood": str(record["mood"]).capitalize(), "place": SUBJECTS[subject][0],
        "pace": next(pace for limit_bpm, pace in PACES if tempo_bpm < limit_bpm),
        "occasion": style.occasions[turn % len(style.occasions)],
    }  # fmt: skip
    first = OPENERS[turn % len(OPENERS)].format(**words, feature=feature)
    second = CLOSERS[(turn + turn // 5) % len(CLOSERS)].format(**words, feature=late_feature)
    return f"{first} {second}"


def _sleeve(item_id: str, genre: str, place: int, images: Images, rng: np.random.Generator) -> Record:
    """One record; its ``place`` (0..11) in the genre shares out subjects, moods and artists evenly."""
    style = STYLES[genre]
    subject = style.subjects[place // 2]
    others = [str(s) for s in rng.permutation([s for s in style.subjects if s != subject])]
    mood, mode = style.moods[place % 4]
    low, high = style.tempo_bpm
    tempo_bpm = round(low + (high - low) * (0.65 * (place % 4) / 3 + 0.35 * rng.random()))
    artist = style.artists[(place + place // 4) % len(style.artists)]
    debut = style.since + zlib.crc32(artist.encode()) % (2008 - style.since)
    key = f"{NOTE_NAMES[int(rng.integers(12))]} {mode}"
    year = int(debut + rng.integers(17))
    pattern = (*style.titles, "{}", "{}")[place % (len(style.titles) + 2)]
    title = pattern.format(images[subject].pop())
    known: dict[str, object] = {
        "item_id": item_id, "artist": artist, "mood": mood, "key": key, "year": year
    }  # fmt: skip
    return Record(
        item_id=item_id,
        title=title,
        artist=artist,
        genre=genre,
        tempo_bpm=tempo_bpm,
        key=key,
        mood=mood,
        year=year,
        subjects=(subject, *others[: int(rng.integers(1, 3))]),
        description=_describe(style, known, tempo_bpm, place, subject),
        price=Decimal(int(rng.integers(14, 42))) + Decimal(str(rng.choice(["0.00", "0.50", "0.99"]))),
    )


def catalogue(seed: int = 11) -> list[Record]:
    """The 120 records, genres taking turns; the same list for the same seed, and no sound made."""
    rng = np.random.default_rng(seed)
    images = {name: [str(w) for w in rng.permutation(_words(text))] for name, (_, text) in SUBJECTS.items()}
    orders = {genre: rng.permutation(RECORDS_PER_GENRE) for genre in STYLES}
    records = []
    for index in range(RECORDS_PER_GENRE * len(STYLES)):
        genre = list(STYLES)[index % len(STYLES)]
        place = int(orders[genre][index // len(STYLES)])
        records.append(_sleeve(f"record-{index + 1:03d}", genre, place, images, rng))
    return records


def synthesise(record: Record, duration_s: float = 8.0, sample_rate_hz: int = 22050) -> Samples:
    """Compose and play a record: float32 mono, shape (samples,), peak at -1 dBFS, faded at both ends."""
    moods = [mood for mood, _ in STYLES[record.genre].moods]
    energy = moods.index(record.mood) / (len(moods) - 1) if record.mood in moods else 0.5
    song = Song(record.item_id, record.tempo_bpm, record.key, energy, duration_s, sample_rate_hz)
    COMPOSERS[record.genre](song)
    return song.finish(*ROOMS.get(record.genre, (1.3, 0.6)))


def write_wav(path: Path, samples: Samples, sample_rate_hz: int) -> None:
    """Write float samples in -1..1, shape (samples,), as a mono 16-bit PCM file."""
    pcm = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(sample_rate_hz)
        out.writeframes(pcm.tobytes())
