"""Names of shoppers and the words of their reviews, put together from phrases that fit the stars and the item."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from recommender.folio.catalogue import BOOKS, Product
from recommender.folio.events import RATING, Events

SIGNATURES = (0.5, 0.26, 0.1, 0.14)  # "Ravi Oakley", "Ravi O.", "R. Oakley", "Ravi"

PLANS: dict[int, tuple[tuple[str, float], ...]] = {  # parts after the verdict, each with its chance
    5: (("good", 0.85), ("good", 0.4), ("end5", 0.6)),
    4: (("good", 0.8), ("but", 0.5), ("end4", 0.5)),
    3: (("good", 0.25), ("but", 0.9), ("but", 0.25), ("end3", 0.55)),
    2: (("poor", 0.9), ("poor", 0.35), ("end2", 0.55)),
    1: (("poor", 0.85), ("poor", 0.4), ("end1", 0.6)),
}
BLUNT = 0.22  # share of reviews without a verdict before the reasons
OWN_TITLE = 0.3  # share of titles that only fit the department
NOW = 2026  # for the age of a book in round years
NOT_PEOPLE = {"Anonymous": "the author", "Various": "the authors"}
SENIOR = {"Jr.", "Sr."}
PARTICLES = {"Le", "La", "Du", "Van", "De", "Da"}  # with a capital they belong to the surname
GRAVE = {"slavery"}  # subjects that a phrase made for any subject would make light of


@dataclass(frozen=True)
class Review:
    shopper: int
    item: int
    stars: int
    title: str
    body: str
    time_s: int


def names(rng: np.random.Generator, count: int) -> list[str]:
    """`count` different full names, none of anybody in particular."""
    first, last = (phrases()["names"][part].split() for part in ("first", "last"))
    codes = rng.choice(len(first) * len(last), count, replace=False)
    return [f"{first[code % len(first)]} {last[code // len(first)]}" for code in codes.tolist()]


def signature(name: str, shopper: int) -> str:
    """How a shopper signs: always the same way, most with the full name, some with less of it."""
    first, last = name.split(" ", 1)
    style = int(np.searchsorted(np.cumsum(SIGNATURES), (shopper * 0.6180339887) % 1))
    return (name, f"{first} {last[0]}.", f"{first[0]}. {last}", first)[min(style, 3)]


def write_all(
    rng: np.random.Generator,
    products: Sequence[Product],
    events: Events,
    tones: Mapping[tuple[int, int], str],
    share: float,
) -> list[Review]:
    """Words for `share` of the ratings and for every one that `tones` names, in time order.

    They are written item by item from shuffled decks of phrases, so that the reviews of one page differ most.
    """
    ratings = events.take(events.kind == RATING)
    paid = np.array([pair in tones for pair in zip(ratings.shopper.tolist(), ratings.item.tolist(), strict=True)])
    ratings = ratings.take(paid | (rng.random(len(ratings)) < share))
    writer = Writer(rng)
    reviews = []
    for row in np.lexsort((ratings.time_s, ratings.item)).tolist():
        shopper, item = int(ratings.shopper[row]), int(ratings.item[row])
        stars = int(ratings.value[row])
        title, body = writer.write(products[item], stars, tones.get((shopper, item)))
        reviews.append(Review(shopper, item, stars, title, body, int(ratings.time_s[row])))
    return sorted(reviews, key=lambda review: (review.time_s, review.shopper, review.item))


class Writer:
    """Draws phrases from decks, so that all are used before one comes again, and never the same body twice."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.phrases = phrases()
        self.decks: dict[tuple[str, str], list[str]] = {}
        self.written: set[str] = set()

    def write(self, product: Product, stars: int, tone: str | None = None) -> tuple[str, str]:
        """A title and a body for one review; `tone` names the words that a ring of cheats shares."""
        if tone:
            parts = [self.draw(tone, part) for part in ("open", "middle", "close")]
            return self.draw(tone, "titles"), " ".join(parts[: int(self.rng.integers(2, 4))])
        department = product.department
        own = self.rng.random() < OWN_TITLE
        title = self.fill(product, self.draw(department if own else "any", f"titles{stars}"))
        while True:
            plan = [part for part, chance in PLANS[stars] if self.rng.random() < chance]
            # Some come straight to their reasons.
            lines = [] if len(plan) > 1 and self.rng.random() < BLUNT else [self.draw(department, f"v{stars}")]
            lines += [self.draw("any" if part.startswith("end") else department, part) for part in plan]
            body = " ".join(self.fill(product, line) for line in lines)
            if len(plan) and body not in self.written:
                self.written.add(body)
                return title, body

    def draw(self, department: str, part: str) -> str:
        deck = self.decks.setdefault((department, part), [])
        if not deck:
            choices = self.phrases[department][part]
            deck.extend(choices[i] for i in self.rng.permutation(len(choices)))
        return deck.pop()

    def fill(self, product: Product, phrase: str) -> str:
        """The phrase with its slots filled for this product, its first letter a capital."""
        if "{" in phrase:
            phrase = phrase.format_map(_Slots(self, product))
        return phrase[0].upper() + phrase[1:]

    def choose(self, options: Sequence[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def slot(self, product: Product, name: str) -> str:
        """What fills the slot of this name."""
        if name == "title":
            return product.title
        if name == "maker":
            return maker(product)
        if name == "subject":
            subject = self.choose([subject for subject in product.subjects if subject not in GRAVE])
            return str(self.phrases["subject"].get(subject, subject))
        if name == "thing":
            return self.choose(self.phrases["thing"].get(product.category, ["the whole of it"]))
        if name == "kind":
            return str(self.phrases["kind"].get(product.category, product.category.replace("-", " ")))
        if name == "pieces":
            return str(self.phrases["pieces"].get(product.category, self.phrases["pieces"]["default"]))
        if name == "mood":
            return str(product.attributes.get("mood", "lovely"))
        if name == "years":
            return round_years(NOW - product.source.year)
        if name == "when":
            return self.draw("slots", "when_books" if product.department == BOOKS else "when_records")
        return self.draw("slots", name)


class _Slots(dict[str, str]):
    """Fills slots on demand: most phrases have one of the dozen."""

    def __init__(self, writer: Writer, product: Product) -> None:
        super().__init__()
        self.writer, self.product = writer, product

    def __missing__(self, name: str) -> str:
        return self.writer.slot(self.product, name)


def maker(product: Product) -> str:
    """The creator as a reviewer would say it: an author's surname, an artist's or a band's whole name."""
    if product.department != BOOKS:
        return product.creator
    if product.creator in NOT_PEOPLE:
        return NOT_PEOPLE[product.creator]
    parts = [part for part in product.creator.replace(",", "").split() if part not in SENIOR]
    return " ".join(parts[-2:]) if len(parts) > 1 and parts[-2] in PARTICLES else parts[-1]


def round_years(years: int) -> str:
    """An age as people say it: to the ten, above three hundred to the hundred."""
    step = 100 if years > 300 else 10
    return f"{max(round(years / step), 1) * step:,}"


@cache
def phrases() -> dict[str, dict[str, Any]]:
    """All that reviewers can say, from review_phrases.toml."""
    return tomllib.loads((Path(__file__).parent / "review_phrases.toml").read_text(encoding="utf-8"))
