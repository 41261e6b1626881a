"""Everything Folio sells as one list: real books, invented prints and records, and the categories they stand in."""

import json
import re
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from recommender.folio import prints, records
from recommender.folio.prints import Print
from recommender.folio.records import Record

SEED = 2026
PUBLIC_DOMAIN_BEFORE = 1930  # year of publication; later books are not free everywhere, so they are left out
YEAR_DAYS = 365
NEW_SHARE = 0.14  # of the items came into the shop during the simulated year
OLDEST_DAYS = 1200  # days before the end of the year that the first items came in
LONGEST_SLUG = 48  # characters of a title in an item's id; longer titles lose whole words
FRESH_DAYS = 6  # no item is younger: one without any visitor yet is rare, not absent

BOOKS, PRINTS, RECORDS = DEPARTMENTS = ("books", "prints", "records")
DEPARTMENT_NAMES = {BOOKS: "Books", PRINTS: "Prints", RECORDS: "Records"}
CATEGORY_NAMES = {  # where capitalising the slug would not do
    "children": "Children’s classics",
    "gothic-horror": "Gothic and horror",
    "history-lives": "History and lives",
    "myth-folklore": "Myth and folklore",
    "mystery": "Mystery and crime",
    "romance-society": "Romance and society",
    "science": "Science and nature",
    "science-fiction": "Science fiction",
    "travel": "Travel and exploration",
    "neoplastic": "Neoplastic grids",
    "bauhaus": "Bauhaus",
    "art-deco": "Art Deco",
    "op-art": "Op art",
    "flow-field": "Flow fields",
    "colour-field": "Colour fields",
    "ukiyo-e": "Ukiyo-e waves",
    "topographic": "Maps and contours",
    "nocturne": "Nocturnes",
    "star-chart": "Star charts",
    "bossa-nova": "Bossa nova",
    "drum-and-bass": "Drum and bass",
    "waltz": "Waltzes",
}
PLACES = "america china france greece india italy japan london paris rome russia"
READABLE = {name: name.capitalize() for name in PLACES.split()} | {  # subjects, where the word itself would not do
    "fairy-tale": "fairy tales",
    "polar": "the polar regions",
}
PAPERBACK = (7.99, 12.99)  # pounds, the usual range
PRICES = {  # pounds, where a category is dearer or cheaper than the usual
    "poetry": (6.99, 11.99),
    "drama": (6.99, 9.99),
    "children": (6.99, 11.99),
    "philosophy": (8.99, 16.99),
    "science": (9.99, 18.99),
    "history-lives": (10.99, 19.99),
    "travel": (9.99, 16.99),
}
HARDBACK_SHARE, HARDBACK_EXTRA = 0.14, 6.0  # of the books; pounds on top, up to HIGHEST
HIGHEST = 24.99


@dataclass(frozen=True)
class Book:
    """A public-domain book: title, author, year and subjects are facts, the blurb is this project's."""

    title: str
    author: str
    year: int  # negative: before the common era
    category: str
    subjects: tuple[str, ...]
    blurb: str


@dataclass(frozen=True)
class Category:
    """A part of the shop; one without a parent is a department."""

    slug: str
    name: str
    parent: str | None
    position: int


@dataclass(frozen=True)
class Product:
    """One thing for sale, whatever its department."""

    item_id: str
    department: str
    title: str
    creator: str
    description: str
    category: str
    price: Decimal
    stock: int | None
    """Pieces in the house; None is made to order and never runs out."""
    attributes: dict[str, Any]
    added_days: float
    """Days before the end of the simulated year that it came into the shop; below 365 it is new that year."""
    source: Book | Print | Record
    """What its picture and its sound are made from."""

    @property
    def subjects(self) -> tuple[str, ...]:
        """The words that the crowd, reviewers and covers go by; the attributes hold them as shoppers read them."""
        return self.source.subjects


def products() -> list[Product]:
    """The whole catalogue, always the same: books in the order of their files, then prints, then records."""
    return [*_books(), *map(_print, prints.catalogue()), *map(_record, records.catalogue())]


def categories(listed: list[Product]) -> list[Category]:
    """The category tree of some products: each department, followed by its own categories by name."""
    found: list[Category] = []
    for department in DEPARTMENTS:
        slugs = {product.category for product in listed if product.department == department}
        if slugs:
            found.append(Category(department, DEPARTMENT_NAMES[department], None, len(found)))
        names = {slug: CATEGORY_NAMES.get(slug, slug.replace("-", " ").capitalize()) for slug in slugs}
        for name, slug in sorted((name, slug) for slug, name in names.items()):
            found.append(Category(slug, name, department, len(found)))
    return found


def _books() -> Iterator[Product]:
    taken: set[str] = set()
    for path in sorted(Path(__file__).parent.glob("books_*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            facts = json.loads(line)
            if facts["year"] >= PUBLIC_DOMAIN_BEFORE:
                continue
            book = Book(**{**facts, "subjects": tuple(facts["subjects"])})
            item_id = f"book-{_slug(book.title)}"
            if item_id in taken:
                item_id = f"{item_id}-{_slug(book.author.split()[-1])}"
            taken.add(item_id)
            yield _book(item_id, book)


def _book(item_id: str, book: Book) -> Product:
    rng = _chance(item_id)
    low, high = PRICES.get(book.category, PAPERBACK)
    pounds = rng.uniform(low, high) + (HARDBACK_EXTRA if (hardback := rng.random() < HARDBACK_SHARE) else 0)
    return Product(
        item_id=item_id,
        department=BOOKS,
        title=book.title,
        creator=book.author,
        description=book.blurb,
        category=book.category,
        price=_priced(pounds),
        stock=_stock(rng, made_to_order=0.0),
        attributes={
            **({"year": book.year} if book.year > 0 else {"written": f"about {-book.year} BC"}),
            "subjects": _readable(book.subjects),
            "binding": "hardback" if hardback else "paperback",
        },
        added_days=_added(rng),
        source=book,
    )


def _print(entry: Print) -> Product:
    rng = _chance(entry.item_id)
    return Product(
        item_id=entry.item_id,
        department=PRINTS,
        title=entry.title,
        creator=entry.artist,
        description=entry.description,
        category=entry.style,
        price=entry.price.quantize(Decimal("0.01")),
        stock=_stock(rng, made_to_order=0.3),
        attributes={
            "year": entry.year,
            "subjects": _readable(entry.subjects),
            "style": entry.style,
            "palette": entry.palette,
            "orientation": entry.orientation,
        },
        added_days=_added(rng),
        source=entry,
    )


def _record(entry: Record) -> Product:
    rng = _chance(entry.item_id)
    return Product(
        item_id=entry.item_id,
        department=RECORDS,
        title=entry.title,
        creator=entry.artist,
        description=entry.description,
        category=entry.genre,
        price=entry.price,
        stock=_stock(rng, made_to_order=0.0),
        attributes={
            "year": entry.year,
            "subjects": _readable(entry.subjects),
            "genre": entry.genre,
            "tempo": f"{entry.tempo_bpm} beats a minute",
            "key": entry.key,
            "mood": entry.mood,
        },
        added_days=_added(rng),
        source=entry,
    )


def _readable(subjects: Iterable[str]) -> list[str]:
    return [READABLE.get(subject, subject.replace("-", " ")) for subject in subjects]


def _chance(item_id: str) -> np.random.Generator:
    """An item's own generator, so that adding a book changes nothing about the others."""
    return np.random.default_rng([SEED, zlib.crc32(item_id.encode())])


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower().replace("'", "")
    whole = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return whole if len(whole) <= LONGEST_SLUG else whole[: LONGEST_SLUG + 1].rsplit("-", 1)[0]


def _priced(pounds: float) -> Decimal:
    """A shop's price: whole pounds less a penny."""
    return Decimal(str(round(min(max(np.ceil(pounds) - 0.01, 6.99), HIGHEST), 2)))


def _stock(rng: np.random.Generator, made_to_order: float) -> int | None:
    """Mostly enough, sometimes a last few, rarely none."""
    draw = rng.random()
    if draw < 0.02:
        return 0
    if draw < 0.1:
        return int(rng.integers(1, 5))
    if draw < 0.1 + made_to_order:
        return None
    return int(rng.integers(6, 61))


def _added(rng: np.random.Generator) -> float:
    if rng.random() < NEW_SHARE:
        return float(rng.uniform(FRESH_DAYS, YEAR_DAYS))
    return float(rng.uniform(YEAR_DAYS, OLDEST_DAYS))
