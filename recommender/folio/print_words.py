"""The words of the print catalogue: what each picture shows, who made it and how it is described."""

from __future__ import annotations

from typing import NamedTuple

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
        Motif(
            "neoplastic",
            "geometry abstract modern art architecture",
            "Composition with {a}|Right Angles, {time}|The Quiet Grid|Plan for a Room in {town}|{a}, Held Still",
            "Black bars divide the sheet into unequal planes|A few filled planes balance a wide, empty field",
        ),
        Motif(
            "boogie-woogie grid",
            "geometry city music jazz modern art",
            "{town} Boogie|Crosstown at {time}|Traffic Lights, {town}|Syncopated Streets|Ragtime for {town}",
            "Lines of small squares blink like traffic seen from a roof|Streets of colour cross and stop on the beat",
        ),
    ),
    "bauhaus": (
        Motif(
            "Bauhaus",
            "geometry design pattern modern art architecture",
            "Quarter Turns|Tile Study for {town}|Workshop Pattern|Kindergarten {a}|Floor Plan with {a}",
            "Quarter circles, stripes and dots lock together tile by tile|Simple tiles turn until new figures appear",
        ),
        Motif(
            "Bauhaus",
            "geometry design balance music modern art",
            "Balancing Act|Disc and Lever|The Metronome|Poster for a Lost Exhibition|Stage Set with {a}",
            "A great disc leans on rods, a wedge and a ladder of bars|Circle, cone and bar hold one another up",
        ),
    ),
    "art-deco": (
        Motif(
            "Art Deco",
            "sun city architecture travel glamour",
            "Sunrise over the {town} Odeon|The Grand Hotel, {town}|{town} by Express|First Light, Last Dance",
            "A sun rises in rays beside stepped towers|Rays fan out behind towers above banded water",
        ),
        Motif(
            "Art Deco",
            "pattern glamour architecture jazz",
            "Ballroom Fans|The Foyer, {town}|Peacock Scales|Curtain at the {town} Odeon|Palm Court",
            "Ribbed fans overlap like the tiles of a ballroom wall|Row upon row of fans opens across the sheet",
        ),
    ),
    "op-art": (
        Motif(
            "Op art",
            "geometry illusion pattern mathematics",
            "Undertow|Ripple {a}|Standing Wave|The Floor Is Moving|Slow Current",
            "Even stripes bend until the paper seems to breathe|Ripples run through a field of parallel bands",
        ),
        Motif(
            "Op art",
            "geometry illusion mathematics games",
            "Swell|Chequerboard Planet|The Bulge|Knight's Gambit|Pressure from Below",
            "A chequerboard swells towards you like a lens|Squares stretch over a globe that is not there",
        ),
        Motif(
            "Op art",
            "geometry illusion mathematics music",
            "Interference|Broken Rings|Radio Silence, {time}|Sliding Record|Echo in {a}",
            "Rings are sliced into bands and slid out of step|Circles break and rejoin, and will not lie flat",
        ),
    ),
    "flow-field": (
        Motif(
            "generative flow-field",
            "abstract nature mathematics night wind",
            "Night Wind over {place}|Starling Hour|Migration|Silk and Static|The Weather at {time}",
            "Hundreds of fine threads follow an unseen current in the dark|Threads drift like birds at nightfall",
        ),
        Motif(
            "generative flow-field",
            "abstract nature mathematics rivers wind",
            "Delta|Combed Grass, {place}|Slow River|Ribbons for {town}|Where the Wind Turns",
            "Broad ribbons overlap as they follow one bend|Bands of colour fold past each other like reeds in a river",
        ),
    ),
    "colour-field": (
        Motif(
            "colour-field",
            "abstract colour meditation modern art",
            "Untitled ({a})|Two Silences|Threshold|Evening Room|Chapel in {a}|Hush",
            "Soft-edged blocks hover one above the other|Blocks of worn colour float on a deeper ground",
        ),
        Motif(
            "colour-field",
            "abstract colour sun meditation",
            "Slow Sun|Afterimage|Horizon, {time}|The Long Glow|Solstice at {place}",
            "One disc glows above a dark level|A blurred sun hangs over the edge of the world",
        ),
    ),
    "pointillist": (
        Motif(
            "pointillist",
            "sea sun landscape coast summer",
            "{place} at {time}|Low Tide, {place}|Bathers Gone, {place}|The Bay in {month}",
            "The sun lays a broken path across the bay|Headland, sand and water dissolve into dots of light",
        ),
        Motif(
            "pointillist",
            "landscape trees mountains nature country",
            "Poplars near {place}|Hills in {month}|The Road to {place}|{month} Orchard",
            "Poplars stand on rolling hills that shimmer in the heat|Dots of colour gather into hills and dark trees",
        ),
        Motif(
            "pointillist",
            "flowers landscape garden nature summer",
            "Meadow, {month}|Flowering Fields at {place}|{month} Fair Weather|Hay and Poppies",
            "A meadow in flower runs down from the low hills|Blossom scatters through the grass in flecks of colour",
        ),
    ),
    "ukiyo-e": (
        Motif(
            "woodblock",
            "sea mountains japan storm ships",
            "The Great Swell off {place}|Before the Wave Falls|Mountain behind the Breaker|Storm Tide, {place}",
            "A great wave rears over a distant snow-capped peak|The crest hangs in claws of foam over a small mountain",
        ),
        Motif(
            "woodblock",
            "sea sun japan pattern calm",
            "Sea of Scales|Calm off {place}|Red Sun, {month}|Harbour at Low Tide|Thirty Views of {place}",
            "A sea of overlapping scales lies still beneath a round sun|Mist crosses the sun above row on row of waves",
        ),
    ),
    "topographic": (
        Motif(
            "topographic",
            "maps mountains travel geography adventure",
            "Survey of {place}|The Summit of {place}|Sheet 47: {place}|Lines of Equal Height|Uncharted, {time}",
            "Contour lines crowd together towards a marked summit|An imaginary range is surveyed line by line",
        ),
        Motif(
            "cut-paper relief",
            "maps islands sea geography nature",
            "Atoll|The Lake at {place}|Strata|Soundings off {place}|Island, Cut from Paper",
            "Layers of cut paper step down like a sounded lake|Islands rise in shadowed sheets of colour",
        ),
    ),
    "botanical": (
        Motif(
            "botanical",
            "garden nature plants trees",
            "Sprig for {month}|Laurel and Moon|From the Herbarium|Olive Branch, {place}|Climbing Plant",
            "A branching sprig spreads its veined leaves before a pale disc|Leaf by leaf, a branch climbs the sheet",
        ),
        Motif(
            "cut-out botanical",
            "garden plants sea pattern",
            "Seaweed Alphabet|Fronds for {town}|Paper Garden|Studio Wall, {month}|The Glasshouse",
            "Cut-out fronds dance on panels of flat colour|Scissor-drawn seaweed fills each bright panel",
        ),
        Motif(
            "botanical",
            "flowers garden nature plants",
            "{month} Border|Wild Flowers of {place}|The Gardener's Day Off|Seed Packet|Cottage Bed, {month}",
            "Daisies, tulips and tall spires jostle in one bed|A row of wild flowers reaches up from the lower edge",
        ),
    ),
    "nocturne": (
        Motif(
            "nocturne",
            "city night moon architecture",
            "{town}, {hour}|Lights On, {town}|Nocturne for {town}|Insomnia|The Last Tram",
            "A full moon stands over towers with a few lit windows|Windows burn late under a pale moon",
        ),
        Motif(
            "nocturne",
            "city night rivers moon travel",
            "{town} from the River|The Embankment, {hour}|Doubled City|Ferry Landing, {town}",
            "The skyline and its moon are doubled in slow water|Lit windows tremble upside down in the river",
        ),
        Motif(
            "nocturne",
            "city night rain crime mystery",
            "Rain on {town}|Umbrella Weather|Detective's Hour, {town}|Wet Roofs|Taxi, {hour}",
            "Slanting rain blurs the towers and their lamps|Rain falls across the roofs of a city that is still awake",
        ),
    ),
    "star-chart": (
        Motif(
            "celestial",
            "stars astronomy science night maps",
            "Planisphere for {month}|The Sky over {place}|Stargazer's Chart|Seven Invented Constellations",
            "Invented constellations wheel inside a graduated ring|A round chart maps a sky that nobody has seen",
        ),
        Motif(
            "celestial",
            "space planets astronomy science stars",
            "Orrery|The Clockmaker's Planets|Seven Small Worlds|Transit, {hour}|Harmony of the Spheres",
            "Small planets keep their orbits about a toothed sun|Worlds circle one lamp like a clockmaker's toy",
        ),
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

ROOMS = (
    "over a reading chair",
    "above a desk",
    "in a narrow hallway",
    "on a staircase",
    "beside a bookcase",
    "above a bed",
    "in a kitchen that gets the morning",
    "across from a window",
    "over a record player",
    "in a study",
    "above a low sofa",
    "in a child's room",
)
FIRST = (
    "{scene}, in {colours}.",
    "{scene}: {a_manner} print in {colours}.",
    "In {colours}: {lower}.",
    "{scene}; {artist} keeps to {colours}.",
    "{artist} works in {colours} here: {lower}.",
)
SECOND = (
    "{A_mood} picture to hang {room}.",
    "The {manner} manner is {mood}; it would sit well {room}.",
    "Printed at {size} cm, {mood} enough to live with {room}.",
    "{Mood} company {room}, at {size} cm.",
    "Hang it {room}, where its {mood} air has space ({size} cm).",
    "It asks for good light {room} and stays {mood}.",
)
ORIENTATIONS = {
    "neoplastic": "square|portrait|landscape",
    "bauhaus": "portrait|portrait|square|landscape",
    "art-deco": "portrait|portrait|landscape|square",
    "op-art": "square|square|portrait|landscape",
    "flow-field": "landscape|square|portrait",
    "colour-field": "portrait|portrait|square",
    "pointillist": "landscape|landscape|portrait",
    "ukiyo-e": "landscape|landscape|portrait",
    "topographic": "square|portrait|landscape",
    "botanical": "portrait|portrait|landscape",
    "nocturne": "landscape|landscape|portrait|square",
    "star-chart": "portrait|square",
}
SIZES = (("21 x 28", 18, 30), ("30 x 40", 32, 52), ("45 x 60", 56, 88), ("60 x 80", 92, 140))
SQUARES = {"21 x 28": "25 x 25", "30 x 40": "40 x 40", "45 x 60": "55 x 55", "60 x 80": "70 x 70"}
