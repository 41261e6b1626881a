"""What shoppers care about: interests that run across books, prints and records, and the seasons that stir them.

An interest is a handful of words with weights. A product answers to it by its subjects, its category, its palette and
the mood of its music, so that who reads sea novels also looks at wave prints and hears ambient sea records.
"""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from recommender.folio.catalogue import Product

SAME = {  # the departments' vocabularies differ a little
    "gardens": "garden",
    "islands": "island",
    "country": "countryside",
    "landscape": "countryside",
    "planets": "space",
    "astronomy": "stars",
    "plants": "garden",
    "journey": "travel",
    "fairy-tale": "magic",
    "school": "childhood",
    "coming-of-age": "childhood",
    "dogs": "animals",
    "robots-and-machines": "machines",
    "time-travel": "future",
    "invention": "machines",
    "detectives": "mystery",
    "spies": "mystery",
    "doubles": "madness",
    "forest": "trees",
    "polar": "winter",
    "pirates": "ships",
    "treasure": "adventure",
}

# name: "word weight word weight ..."; a word is a subject, a category's slug, `palette:` or `mood:` and its key.
INTERESTS: dict[str, str] = {
    "sea": "sea 3 ships 2.5 island 1.5 storm 1.2 coast 1.2 survival 1 ukiyo-e 1 palette:harbour 0.6 ambient 0.4",
    "ghosts": "ghosts 3 death 1.6 madness 1.4 night 1 nocturne 1 revenge 0.8 dreams 0.6 moon 0.6 gothic-horror 2"
    " palette:dusk 0.4 palette:noir 0.4",
    "crime": "crime 3 mystery 2.5 prison 1 london 1.2 justice 0.8 money 0.7 nocturne 0.8 rain 0.7 blues 0.8 city 0.5"
    " palette:noir 0.7",
    "gardens": "garden 2.6 flowers 2.4 botanical 1.6 nature 1 birds 1 trees 0.8 palette:rose 0.3 palette:moss 0.5"
    " baroque 0.5",
    "manners": "marriage 2.4 love 1.6 class 1.6 family 1.4 letters 1.2 women 1.2 romance-society 1.5 waltz 0.9"
    " money 0.6 palette:rose 0.7",
    "stars": "stars 3 space 2.6 science 1 mathematics 0.8 star-chart 1.2 palette:indigo 0.3 ambient 0.6",
    "science": "science 2.4 mathematics 1.8 medicine 1.6 education 0.8 nature 0.8 animals 0.8 geography 0.8"
    " minimalism 0.8 star-chart 0.5 topographic 0.7",
    "machines": "machines 3 space 1 future 2 science-fiction 2 utopia 1.6 drum-and-bass 1 minimalism 0.6 neoplastic 0.7"
    " bauhaus 0.7 city 0.4",
    "myth": "myth 2.4 gods 2.4 heroes 2 magic 1.6 greece 1.4 myth-folklore 1.2 stars 0.5 folk 0.7 baroque 0.3",
    "wonder": "magic 2.6 childhood 1.4 animals 1.2 dreams 1.4 children 1.6 friendship 1 waltz 0.6 flow-field 0.8"
    " trees 0.8 folk 0.4",
    "far places": "travel 2.2 maps 1.8 mountains 1.8 desert 1.6 geography 1 adventure 1.8 topographic 1 horses 0.7"
    " china 1 india 1 palette:desert 0.5 folk 0.4",
    "quiet mind": "philosophy 2.4 ethics 1.8 mind 1.8 faith 1.4 religion 1.2 meditation 1.8 calm 1.4 colour-field 1"
    " minimalism 0.9 baroque 0.5 ambient 0.5",
    "childhood": "childhood 3 animals 1.6 friendship 1.6 games 1.2 children 1.6 family 0.8 chiptune 1.3"
    " palette:arcade 0.5 palette:primary 0.3",
    "stage": "theatre 2.4 humour 2 satire 2 drama 1.4 kings 0.8 glamour 1.6 art-deco 1 revenge 0.6 waltz 0.4"
    " bossa-nova 0.3",
    "old power": "rome 2 kings 2 empire 2 war 2 history 2.2 revolution 1.2 politics 1 history-lives 1 baroque 1"
    " architecture 0.4",
    "countryside": "countryside 2.6 trees 1.2 horses 1.2 summer 0.8 autumn 1.6 birds 1.4 rivers 1 nature 0.8 folk 1.2"
    " pointillist 0.8 palette:moss 0.5",
    "japan": "japan 3 ukiyo-e 2 calm 1 palette:indigo 1 pattern 0.4 china 1 minimalism 0.6 garden 0.3 winter 0.3",
    "design": "modern-art 2 bauhaus 1.6 neoplastic 1.6 geometry 0.9 design 1.6 architecture 1 art 1.6 minimalism 1"
    " house 0.6 palette:mid-century 0.5",
    "dance floor": "house 2.6 drum-and-bass 2.4 chiptune 1.4 op-art 1.6 illusion 1.4 pattern 0.7 palette:arcade 1"
    " utopia 0.4 machines 0.4",
    "small hours": "night 2 jazz 2 blues 2 city 1.2 rain 1.6 nocturne 1.2 bossa-nova 0.8 paris 1.2 music 0.7 love 0.5"
    " palette:noir 0.6",
    "winter": "winter 3 russia 1.8 classics 0.3 waltz 1.2 palette:glacier 1.2 mountains 0.8 survival 0.8"
    " ambient 0.5 death 0.3",
    "dreams": "dreams 2.6 poetry 1.8 love 1 wind 1.6 flow-field 1.4 colour-field 0.8 ambient 1.1 palette:dusk 0.8"
    " death 0.5 birds 0.5",
    "conscience": "justice 2.2 class 2 women 2 politics 2 slavery 2.2 revolution 1.6 education 1.2 america 0.8 blues 1"
    " palette:primary 0.3",
    "frontier": "america 2.6 adventure 2 horses 1.6 rivers 1.6 survival 1.4 animals 0.8 blues 1.2 folk 0.9 desert 1"
    " palette:desert 0.9 palette:ember 0.3",
    "sunshine": "summer 2.6 sun 2.2 bossa-nova 2.2 italy 1.8 food 1.4 pointillist 1 colour-field 0.6 sea 0.6"
    " palette:ember 0.6 humour 0.4",
    "old europe": "france 2 italy 1.6 classics 0.5 art 1.4 music 1.2 love 1.2 revolution 0.8 paris 1.6 baroque 1.4"
    " waltz 1.1 art-deco 0.8 palette:rose 0.4 letters 0.8",
}
NAMES = tuple(INTERESTS)

# word: (day of the year at its peak, width in days, strength in nats of a full answer to that word)
SEASONS: dict[str, tuple[int, float, float]] = {
    "ghosts": (300, 16, 1.6),  # the end of October
    "garden": (110, 30, 1.0),  # April
    "flowers": (125, 30, 0.9),
    "love": (43, 8, 1.0),  # St Valentine's day
    "sea": (200, 30, 0.8),  # July
    "summer": (195, 30, 0.9),
    "sun": (195, 30, 0.6),
    "travel": (175, 25, 0.5),
    "winter": (355, 28, 1.1),
    "autumn": (285, 25, 0.9),
    "childhood": (348, 14, 0.8),  # presents
    "magic": (350, 14, 0.6),
    "education": (262, 15, 0.8),  # back to school
    "philosophy": (8, 12, 0.6),  # resolutions
}
MAIN_WORDS = 3  # so many of its strongest words fully met make a full answer to an interest


def words_of(product: Product) -> set[str]:
    """The words by which a product answers to interests and seasons."""
    subjects = {subject.replace(" ", "-") for subject in product.subjects}
    kept = {SAME.get(subject, subject) for subject in subjects} | {product.category}
    return kept | {f"{name}:{product.attributes[name]}" for name in ("palette", "mood") if name in product.attributes}


def affinities(products: Sequence[Product]) -> NDArray[np.float32]:
    """(N, K), 0 to about 1.5: how far each product answers to each of the K interests.

    Books are tagged with more subjects than prints and records, so that each department is brought to the same
    scale: its best tenth answers fully, whatever the number of its words.
    """
    words = [words_of(product) for product in products]
    raw = np.zeros((len(products), len(NAMES)), dtype=np.float64)
    for k, text in enumerate(INTERESTS.values()):
        weights = _weights(text)
        full = sum(sorted(weights.values(), reverse=True)[:MAIN_WORDS])
        raw[:, k] = [sum(weights.get(word, 0.0) for word in own) / full for own in words]
    departments = np.array([product.department for product in products])
    for department in np.unique(departments):
        rows = departments == department
        top = np.quantile(raw[rows], 0.97, axis=0)
        raw[rows] /= np.clip(top, 0.25, 1.0)
    return np.clip(raw, 0, 1.5).astype(np.float32)


def season_weights(products: Sequence[Product]) -> NDArray[np.float32]:
    """(N, S): how strongly each season moves each product, in nats at its peak."""
    words = [words_of(product) for product in products]
    rows = [[strength if word in own else 0.0 for word, (_, _, strength) in SEASONS.items()] for own in words]
    return np.array(rows, dtype=np.float32)


def season_moods() -> NDArray[np.float32]:
    """(S, K): how strongly each season turns a shopper to each interest, in nats at its peak."""
    weights = [_weights(text) for text in INTERESTS.values()]
    rows = [
        [strength * min(own.get(word, 0.0) / 2, 1.0) for own in weights] for word, (*_, strength) in SEASONS.items()
    ]
    return np.array(rows, dtype=np.float32)


def season_levels(times_s: NDArray[np.int64]) -> NDArray[np.float32]:
    """(T, S), 0 to 1: how far each season has come at each moment (Unix seconds)."""
    day = day_of_year(times_s)[:, None]
    peak = np.array([peak for peak, _, _ in SEASONS.values()])
    width = np.array([width for _, width, _ in SEASONS.values()])
    away = np.abs(day - peak)
    away = np.minimum(away, 365 - away)  # the year is a ring
    return np.exp(-0.5 * (away / width) ** 2).astype(np.float32)


def day_of_year(times_s: NDArray[np.int64]) -> NDArray[np.int64]:
    """(T,), 1 to 366, of moments in Unix seconds, UTC."""
    days = times_s.astype("datetime64[s]").astype("datetime64[D]")
    return (days - days.astype("datetime64[Y]")).astype(np.int64) + 1


def shopping_level(times_s: NDArray[np.int64]) -> NDArray[np.float64]:
    """(T,): how busy the shop is at these moments, 1 on an ordinary weekday; presents more than double it."""
    day, weekday = day_of_year(times_s), (times_s // 86_400 + 3) % 7  # 0 is Monday; day 0 of Unix was a Thursday
    gifts = 1.5 * np.exp(-0.5 * ((day - 344) / 9) ** 2)
    quiet = 0.18 * np.exp(-0.5 * ((day - 205) / 25) ** 2)
    return (1 + gifts - quiet) * np.array([1.0, 0.95, 0.95, 1.0, 1.0, 1.25, 1.35])[weekday]


def gift_level(times_s: NDArray[np.int64]) -> NDArray[np.float64]:
    """(T,), 0 to 1: the share of visits that look for a present."""
    day = day_of_year(times_s)
    return 0.04 + 0.4 * np.exp(-0.5 * ((day - 346) / 9) ** 2)


def hidden_factors(products: Sequence[Product], dimensions: int) -> NDArray[np.float32]:
    """(N, D), unit variance: what draws people to an item that no word says. Items of one creator share half of it."""
    own = [np.random.default_rng([1, zlib.crc32(p.item_id.encode())]).normal(size=dimensions) for p in products]
    shared = [np.random.default_rng([2, zlib.crc32(p.creator.encode())]).normal(size=dimensions) for p in products]
    return (np.sqrt(0.5) * (np.array(own) + np.array(shared))).astype(np.float32)


def year_before(ends_at: datetime) -> tuple[int, int]:
    """(start, end) in Unix seconds of the 365 days before a moment."""
    end = int(ends_at.astimezone(UTC).timestamp())
    return end - 365 * 86_400, end


def _weights(text: str) -> dict[str, float]:
    tokens = text.split()
    return {word: float(weight) for word, weight in zip(tokens[::2], tokens[1::2], strict=True)}
