"""A shop's raw descriptions ("WHITE HANGING HEART T-LIGHT HOLDER ") as titles, categories and attributes.

The rules were read off the descriptions of the Online Retail file. They are ordered: the first rule that matches a
title names its category, so that "Christmas Tree Candle" is Christmas and "Key Ring" is no jewel.
"""

import re

import pandas as pd

OTHER = "Other"
MAX_LENGTH = 300  # characters of a title

# (category, words). A word is matched whole, with or without a plural s; a rule may come back for the harder cases.
_RULES: tuple[tuple[str, str], ...] = (
    (
        "Christmas",
        r"christmas|blackchristmas|xmas|advent|santa|rudolph|reindeer|bauble|snowm[ae]n|snowflake|nativity|noel"
        r"|holly|jingle bell|poinsettia|robin|icicle|mistletoe|snow globe|stocking|ho ho ho|sleigh|tree decoration"
        r"|gingerbread",
    ),
    (
        "Home decoration",
        r"number tile|metal sign|door sign|cushion cover|wall clock|table clock|clock with sucker|photo ?frame"
        r"|wall art|doorstop|door ?mat|wall plaque|art flower|artificial flower",
    ),
    ("Party", r"hen party"),
    ("Easter", r"easter|hen|chick|bunny|bunnies|egg hunt|bunny egg|rabbit egg|picture book egg|hanging (?:.* )?egg"),
    (
        "Toys & children",
        r"playing card|card (?:party )?game|bag \d+g swirly marble|bubble gum ring|bubble|building block",
    ),
    (
        "Bags & accessories",
        r"key ?ring|key fob|(?:phone|bag) charm|travel card wallet|card ?wallet|luggage tag|passport|glasses case",
    ),
    ("Stationery & cards", r"gift (?:paper )?bag|paper (?:gift )?bag|bag tag|tissue box card|recipe card"),
    ("Party", r"party bag|birthday candle|cake candle|party candle|celebration candle"),
    ("Bathroom & comfort", r"hot water bottle|hand ?warmer|eye ?mask|wash ?bag|cosmetic|tissue|tea light soap|perfume"),
    (
        "Garden",
        r"bird ?house|bird (?:feeder|table|bath)|bird ?feeder|plant pot|flower pot|herb (?:marker|pot)"
        r"|watering can",
    ),
    (
        "Kitchen & dining",
        r"napkin ring|cake tin|cake stand|tea ?light cup|tea towel|lunch box|snack box|cake case|jam jar",
    ),
    (
        "Candles & lights",
        r"candle|candlestick|candle ?holder|candleholder|candlepot|candle ?pot|t-?light|tea ?light|tealight"
        r"|lantern|lights|night ?light|light chain|bedside light|light ?bulb|\d+lights?|lamp|lampshade|lamp ?shade"
        r"|incense|incense/cand|chandelier|votive|match|matches|oil burner|hurricane|light holder|ubo-light|led"
        r"|candelabra|disco ?ball light|torch|tea lite|scented|joss",
    ),
    (
        "Party",
        r"party|balloon|bunting|garland|confetti|invite|invitation|straw|paper cup|paper plate|honeycomb|streamer"
        r"|birthday(?! card)|cocktail|flag of|flag|place setting|photo prop|paper chain|party hat|paper fan"
        r"|wedding|drink",
    ),
    (
        "Toys & children",
        r"toy|soft toy|game|jigsaw|puzzle|teddy|children|children's|childs|child's|kid|baby|skipping|skippping"
        r"|marble|skittle|colouring|playhouse|robot|monster|helicopter|glider|kite|yo-?yo|harmonica|doll|puppet"
        r"|ludo|domino|dominoes|snakes|bingo|tattoo|magic (?:drawing|sheep|garden|tree)|growing"
        r"|glow in (?:the )?dark|spinning|rocket|snap|naughts|noughts|boomerang|whistle|piggy|money (?:box|bank)"
        r"|rubber ?duck|stress ball|swat|hopscotch|bath duck|drum|bicycle bell|pirate|treasure chest book"
        r"|play ?set|nancy|jack in|jacks|toadstool stool|inflatable|dinosaur|bib|space cadet|princess"
        r"|fairy (?:dream|wand)|fancy dress|mask|moustache|lollipop|windmill",
    ),
    (
        "Jewellery",
        r"necklace|neckl|necklac|bracelet|bracel|earring|brooch|bangle|pendant|lariat|hair ?slide|hair|hairclip"
        r"|tiara|cufflink|charm|jewell?ery|jewel(?:lery)? (?:box|stand|tree)|ring|choker|hair ?grip|hair ?comb"
        r"|comb|anklet|diamante|strand|earr|orbit|boudicca",
    ),
    (
        "Bags & accessories",
        r"bag|handbag|purse|wallet|shopper|tote|backpack|rucksack|suitcase|luggage|umbrella|parasol|scarf"
        r"|sunglasses|belt|glove|slipper|sock|hat|poncho|sarong|holdall|satchel|ear muff|headphone|compact mirror"
        r"|fan|flip flop|leg warmer|skirt|t-?shirt|shawl|apron bag|cape|case for|specs|badge|pashmina|shoe|boot"
        r"|rain",
    ),
    (
        "Craft & sewing",
        r"feltcraft|sewing|knitting|knit|crochet (?:kit|hook)|patch|patches|ribbon|wool|craft|button|iron on"
        r"|fabric|felt|cross stitch|yarn|pin cushion|scissor|needle|origami|lace|sew|tape measure|beads|bead kit"
        r"|decoupage|rosette",
    ),
    (
        "Stationery & cards",
        r"card|notebook|note ?book|pencil|pen|wrap|giftwrap|gift tag|gift|tag|sticker|stationery|writing|journal"
        r"|sketch ?book|eraser|rubber|envelope|calendar|tape|stamp|ruler|sharpener|postcard|pocket ?book"
        r"|address book|memo|memo ?board|letter(?: set)?|notepad|note ?pad|book|paper|album|scrap|magnet|chalk"
        r"|blackboard|chalkboard|board|bookmark|diary|file|folder|crayon|drawing|office|calculator|paper ?weight"
        r"|p'?weight|desk|planner|organiser",
    ),
    (
        "Bathroom & comfort",
        r"bath|bathroom|soap|towel|flannel|sponge|toilet|lip|balm|plaster|first aid|shower|loofah|manicure|nail"
        r"|toothbrush|wash|washing|lotion|pill box|body|hand cream|toilette|fragrance|scent|sachet|drawer liner"
        r"|b'?draw liner|laundry|bandage",
    ),
    (
        "Kitchen & dining",
        r"mug|cup|saucer|plate|bowl|teapot|tea ?pot|tea|coffee|cake|baking|cutlery|tray|napkin|place ?mat|placemat"
        r"|coaster|apron|oven|kitchen|jug|jar|bottle|glass|goblet|chalice|beaker|tin|spoon|teaspoon|egg|pan|dish"
        r"|recipe|doily|doilies|bread|biscuit|jam|pantry|food|chopping|whisk|picnic|tumbler|decanter|toast ?rack"
        r"|toast|jelly|mould|lolly|ice|cookie|cutter|fork|knife|pepper|salt|cruet|sugar|butter|milk|cream jug"
        r"|teatime|wine|champagne|cafetiere|cosy|platter|charger|colander|squeezer|scales|timer|grater|rolling pin"
        r"|pudding|muffin|cupcake|sundae|lunch|breakfast|dinner|fridge|measuring|cook|flask|table ?cloth"
        r"|table ?run|runner|ashtray|fruit ?bowl|cakestand|tongs|peg(?:s)? in|strainer|utensil|chocolate|sweetie"
        r"|tea set",
    ),
    (
        "Garden",
        r"garden|plant|planter|pot|watering|seed|grow|herb|hammock|thermometer|potting|trowel|gnome|spade|fork set"
        r"|twine|greenhouse|shed|windmill|insect|outdoor|parasol base|flower ?pot|bucket|picnic bench|gardener"
        r"|deckchair|cress|hedgehog|mushroom",
    ),
    (
        "Storage",
        r"storage|box|boxes|basket|hook|hanger|coat ?hanger|rack|cabinet|drawer|shelf|shelves|organiser|tidy|chest"
        r"|bin|crate|hamper|knob|holder|trinket|key ?cabinet|cube|cupboard|stand|case|container|caddy|suit ?case"
        r"|peg|locker|hanging rail",
    ),
    (
        "Home decoration",
        r"clock|mirror|mirrored|frame|photo|photoframe|cushion|cover|sign|wall art|art|doormat|door ?mat"
        r"|decoration|heart|vase|ornament|picture|door ?stop|doorstop|curtain|tile|plaque|print|screen"
        r"|block letter|chair|table|rug|throw|quilt|quilted|hanging|hang|door|doorbell|doorsign|metal|wall|flower"
        r"|rose|posy|lily|wreath|star|mobile|bird|butterfly|wicker|wood|wooden|letters|number|decorative|angel"
        r"|figurine|cat|dog|owl|rabbit|deer|elephant|ceramic|porcelain|shell|crystal|bell|wind ?chime|chime|canvas"
        r"|stool|pouffe|bench|seat|blanket|pillow|filler|bunting|tree|feather|zinc|slate|sconce|globe|statue"
        r"|buddha|skull|duck|fly|bead|beaded|fairy|string|dolphin|filigree|filigris|acrylic|ladder|footstool|radio"
        r"|baroque|lavender|rocking|sculpture|finial|tassel|home|love|family|doorknob|dec|mosaic|gazebo",
    ),
)
CATEGORIES = tuple(dict.fromkeys([name for name, _ in _RULES] + [OTHER]))

_COLOURS = (
    "amber",
    "amethyst",
    "aqua",
    "beige",
    "black",
    "blue",
    "bronze",
    "brown",
    "copper",
    "cream",
    "fuschia",
    "gold",
    "green",
    "grey",
    "ivory",
    "jade",
    "lilac",
    "mint",
    "orange",
    "pink",
    "purple",
    "red",
    "ruby",
    "silver",
    "turquoise",
    "white",
    "yellow",
    "multicolour",
    "natural",
)
_MATERIALS = {
    name: name
    for name in (
        "acrylic",
        "beads",
        "canvas",
        "ceramic",
        "cotton",
        "crochet",
        "crystal",
        "enamel",
        "fabric",
        "feather",
        "felt",
        "glass",
        "iron",
        "lace",
        "leather",
        "metal",
        "paper",
        "pearl",
        "plastic",
        "porcelain",
        "raffia",
        "rubber",
        "shell",
        "silk",
        "slate",
        "stone",
        "suede",
        "tin",
        "velvet",
        "wicker",
        "wire",
        "wood",
        "wool",
        "zinc",
    )
} | {"bead": "beads", "beaded": "beads", "knitted": "wool", "wooden": "wood"}

_SMALL = frozenset(
    ("a", "an", "and", "at", "by", "de", "des", "du", "for", "from", "in", "of", "on", "or", "the", "to", "with")
)
_CAPITALS = frozenset(("CD", "DIY", "DVD", "II", "III", "LED", "TV", "UK", "US", "USA", "USB", "WC", "XL"))
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_SIZE = re.compile(r"(?<=\d)(cm|mm|kg|ml|m|g|l|pc|pcs|x)(?=\d|\b)", re.IGNORECASE)


def squeezed(descriptions: pd.Series) -> pd.Series:
    """Descriptions without stray spaces, asterisks and hanging punctuation, cut at 300 characters; a comma is followed
    by one space.
    """
    text = descriptions.str.replace(r"\s+", " ", regex=True).str.replace(r"\s*,\s*", ", ", regex=True)
    return text.str.slice(0, MAX_LENGTH).str.strip(" ,.*;:-")


def title_case(text: str) -> str:
    """ "SET OF 3 CHILDREN'S TINS 20CM" as "Set of 3 Children's Tins 20cm"."""
    first = True

    def cased(match: re.Match[str]) -> str:
        nonlocal first
        word, opening = match.group(), first
        first = False
        if word.upper() in _CAPITALS:
            return word.upper()
        before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
        if len(word) == 1 and before == "'":
            return word.lower()  # the s of 50's
        if len(word) == 1 and (after.isdigit() or after in {",", "."}):
            return word.upper()  # A5, M.O.P
        return word.lower() if word.lower() in _SMALL and not opening else word[0].upper() + word[1:].lower()

    return _SIZE.sub(lambda match: match.group().lower(), _WORD.sub(cased, text))


def titles_of(codes: pd.Series, descriptions: pd.Series) -> pd.Series:
    """One title per code, indexed by code: its most frequent spelling; of equally frequent ones the first in order.

    `codes` and `descriptions` are columns (E,) side by side; missing and empty descriptions count for nothing.
    """
    spellings = pd.DataFrame({"code": codes, "text": squeezed(descriptions).str.upper()})
    spellings = spellings[spellings["text"].notna() & (spellings["text"] != "")]
    counts = spellings.value_counts(["code", "text"]).rename("n").reset_index()
    best = counts.sort_values(["code", "n", "text"], ascending=[True, False, True]).drop_duplicates("code")
    return best.set_index("code")["text"].map(title_case).rename("title")


def categories_of(titles: pd.Series) -> pd.Series:
    """The category of each title (N,): the first rule that matches, or "Other"."""
    found = pd.Series(OTHER, index=titles.index, dtype="object")
    for name, words in _RULES:
        open_ = found == OTHER
        matches = titles[open_].str.contains(rf"(?<![a-z])(?:{words})s?(?![a-z])", case=False, regex=True)
        found[matches.index[matches.to_numpy(dtype=bool)]] = name
    return found


def attributes_of(titles: pd.Series) -> pd.Series:
    """A dict for each title (N,): `colours` and `materials` that it names, each a sorted list, left out when empty."""
    words = titles.str.lower().str.findall(r"[a-z]+").explode()
    colours = _listed(words[words.isin(_COLOURS)])
    materials = _listed(words[words.isin(list(_MATERIALS))].map(_MATERIALS))
    both = pd.DataFrame({"colours": colours, "materials": materials}).reindex(titles.index)
    found = [
        {name: value for name, value in zip(both.columns, row, strict=True) if isinstance(value, list)}
        for row in both.itertuples(index=False, name=None)
    ]
    return pd.Series(found, index=titles.index, dtype="object")


def _listed(words: pd.Series) -> pd.Series:
    return words.groupby(level=0).agg(lambda group: sorted(set(group)))
