"""One search: words, their corrections, meaning and the shopper's taste in one ranked list.

All is computed over the best CANDIDATES matches: what is counted, narrowed down and sorted is these.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from recommender.engine.ranking.fuse import fuse
from recommender.models import Item
from recommender.services import catalogue, histories, serving
from recommender.services.search import filters as narrowing
from recommender.services.search import lexical, meaning, spelling, taste
from recommender.services.search.filters import NO_FILTERS, Facet, Filters, Row, Shelves
from recommender.services.search.lexical import NO_MATCHES, Matches
from recommender.services.search.words import clean, fold, is_unspaced, split, words

CANDIDATES = 1_000  # matches that are looked at; nobody turns to the fortieth page
FEW = 6  # matches that hold all words; where there are fewer, meaning may bring what is merely near as well
EVERY_UP_TO = 4  # words that must all occur; of a longer query, which is a sentence, any
WORDS_WEIGHT = 0.5  # share of words against meaning; chosen on training claims of SciFact, see docs/search.md
FLOORS = (0.0, 0.0)  # the least BM25 and cosine that count as something
TASTE = 0.25  # how far a shopper's taste moves an item, as a share of the best match's score
EXACT = 2.0  # what an item gets whose title is the query: more than taste and meaning together could give
TITLE = 0.6  # what a title gets that holds the query's words as they stand; less, to a half, as it holds others besides
SORTS = {"relevance": "Relevance", "price": "Price, low first", "price-down": "Price, high first", "newest": "Newest"}


@dataclass(frozen=True)
class Answer:
    query: str
    """What was looked at of it."""
    tier: str
    """words: every word occurs in each; some: some words do; meaning: none does, but these are near; none: nothing."""
    rows: list[Row]
    """What was found, narrowed down, best first or as sorted."""
    facets: list[Facet] = field(default_factory=list)
    filters: Filters = NO_FILTERS
    sort: str = "relevance"
    found: int = 0
    """Items before they were narrowed down."""
    corrected: dict[str, str] = field(default_factory=dict)
    """Words that occur nowhere, and what was searched for in their stead."""
    dropped: list[str] = field(default_factory=list)
    """Words that occur nowhere, and are like no other."""
    did_you_mean: str = ""
    """The query with frequent words in place of rare ones that are near to them; empty where none is doubted."""
    personal: bool = False
    run_id: int | None = None
    """The run whose model had a say in the order."""
    names: dict[str, str] = field(default_factory=dict)
    """Of categories, by slug."""
    rec_id: uuid.UUID = field(default_factory=uuid.uuid4)

    @property
    def is_cut(self) -> bool:
        return self.found >= CANDIDATES

    def items(self, offset: int, limit: int) -> list[Item]:
        """A page of the rows, with what a card shows."""
        return catalogue.some([row.item_id for row in self.rows[offset : offset + limit]])


@dataclass(frozen=True)
class _Found:
    matches: Matches
    tier: str
    corrected: dict[str, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)


def search(
    query: str,
    filters: Filters = NO_FILTERS,
    sort: str = "relevance",
    *,
    visitor_id: str | None = None,
    past: histories.History | None = None,
) -> Answer:
    """Active items for a query as it was typed; any text will do. `past` is for callers that have it already."""
    query = clean(query)
    asked = words(query)
    if not asked:
        return Answer(query, "none", [], filters=filters, sort=sort)
    found = by_words(asked)
    near = meaning.ask(" ".join([found.corrected.get(word, word) for word in split(query)]) or query)
    scores = blend(found.matches, near, sure=found.tier == "words" and len(found.matches) >= FEW)
    rows = facts(dict(scores))
    tier = found.tier if len(found.matches) else "meaning" if rows else "none"
    rows, run_id = _ordered(query, rows, visitor_id, past)
    shelves = Shelves(row.category for row in rows if row.category)
    kept, facets = narrowing.narrow(rows, filters, shelves)
    return Answer(
        query,
        tier,
        _sorted(kept, sort),
        facets,
        filters,
        sort,
        len(rows),
        found.corrected,
        found.dropped,
        _doubted(asked) if tier == "words" and not found.corrected else "",
        run_id is not None,
        run_id,
        shelves.names,
    )


def by_words(asked: Sequence[str]) -> _Found:
    """What holds the words, as far as any does. The last word may be the beginning of one, where it is no word itself
    or few were typed."""
    terms = [[word] for word in asked]
    every = len(asked) <= EVERY_UP_TO
    if every and len(matches := _find(terms, every=True, prefix=True)):
        return _Found(matches, "words")
    known = spelling.words()
    corrected, dropped, prefix = {}, [], False
    for word in asked:
        if lexical.occurs(word):
            prefix = every
        elif word == asked[-1] and lexical.occurs(word, prefix=True):
            prefix = True
        elif best := known.nearest(word):
            corrected[word] = best[0]
            prefix = False
        else:
            dropped.append(word)
            prefix = False
    terms = [[corrected.get(word, word)] for word in asked if word not in dropped]
    if every and len(matches := _find(terms, every=True, prefix=prefix)):
        return _Found(matches, "some" if dropped else "words", corrected, dropped)
    if len(matches := _find(terms, every=False, prefix=prefix)):
        return _Found(matches, "some" if every or dropped else "words", corrected, dropped)
    if len(matches := _within(asked)):
        return _Found(matches, "words")
    return _Found(NO_MATCHES, "none", corrected, dropped)


def _find(terms: lexical.Terms, *, every: bool, prefix: bool) -> Matches:
    worths = None
    if not lexical.knows_rarity() and len(terms) > 1:
        known = spelling.words()
        worths = [min(known.rarity(word) for word in term) for term in terms]
    return lexical.find(terms, CANDIDATES, every=every, prefix=prefix, worths=worths)


def _within(asked: Sequence[str]) -> Matches:
    """Titles that hold a word of a script without spaces, which the index takes for part of a longer one."""
    held = [word for word in asked if is_unspaced(word)]
    if not held:
        return NO_MATCHES
    items = catalogue.active_items()
    for word in held:
        items = items.filter(title__contains=word)
    item_ids = list(items.order_by("title", "id").values_list("id", flat=True)[:CANDIDATES])
    return Matches(item_ids, np.ones(len(item_ids)))


def blend(
    matches: Matches,
    near: meaning.Near | None,
    words_weight: float = WORDS_WEIGHT,
    method: str = "convex",
    sure: bool = True,
) -> list[tuple[str, float]]:
    """(item id, score) of what words and meaning found, best first, scores from 0 to 1.

    Meaning alone brings what is surely meant or, where words found nothing or not `sure` enough, what is nearest.
    """
    if near is None:
        return fuse([(matches.item_ids, matches.scores)], [1.0], floors=[FLOORS[0]])
    nearest = near.nearest()
    least = meaning.SURE if sure and len(matches) else meaning.FLOOR
    known = set(matches.item_ids)
    brought = [
        item_id
        for item_id, cosine in zip(nearest.item_ids, nearest.scores, strict=True)
        if cosine >= least and item_id not in known
    ]
    item_ids = [*matches.item_ids, *brought]
    cosines = near.cosines(item_ids)
    order = np.argsort(-cosines, kind="stable")
    lists = [(matches.item_ids, matches.scores), ([item_ids[row] for row in order], cosines[order])]
    return fuse(lists, [words_weight, 1 - words_weight], method=method, floors=FLOORS)


def facts(scores: dict[str, float]) -> list[Row]:
    """The active items of these, with their scores."""
    columns = ("id", "title", "creator", "category_id", "price", "stock", "attributes", "added_at")
    found = catalogue.active_items().filter(id__in=list(scores)).values_list(*columns)
    return [
        Row(item_id, title, creator, category, price, stock, attributes if isinstance(attributes, dict) else {}, added,
            scores[item_id])
        for item_id, title, creator, category, price, stock, attributes, added in found
    ]  # fmt: skip


def _ordered(
    query: str, rows: list[Row], visitor_id: str | None, past: histories.History | None
) -> tuple[list[Row], int | None]:
    """The rows by relevance and taste, and the run whose model knew the shopper."""
    run_id = None
    liked = None
    if rows and (visitor_id or past):
        past = histories.read(visitor_id) if past is None else past
        current = serving.live() if past else serving.Live(None, None)
        liked = taste.likings([row.item_id for row in rows], past, current)
        run_id = current.run_id if liked is not None else None
    moved = np.zeros(len(rows)) if liked is None else TASTE * (liked - 0.5)
    scored = [
        replace(row, score=row.score + move + title)
        for row, move, title in zip(rows, moved.tolist(), _by_title(query, rows), strict=True)
    ]
    return sorted(scored, key=lambda row: (-row.score, row.title, row.item_id)), run_id


def _by_title(query: str, rows: Sequence[Row]) -> list[float]:
    """What each title says besides what the index counts: that it is the query, or little more."""
    typed = [fold(word) for word in split(query)]
    asked = {fold(word) for word in words(query)}
    worth = []
    for row in rows:
        own = [fold(word) for word in split(row.title)]
        if own == typed:
            worth.append(EXACT)
        else:
            worth.append(TITLE * (1 + len(asked) / len(own)) / 2 if own and asked <= set(own) else 0.0)
    return worth


def _sorted(rows: list[Row], sort: str) -> list[Row]:
    """By relevance they are already, which also orders what is alike otherwise."""
    if sort == "newest":
        return sorted(rows, key=lambda row: row.added_at, reverse=True)
    if sort in ("price", "price-down"):
        sign = 1 if sort == "price" else -1
        return sorted(rows, key=lambda row: (row.price is None, 0 if row.price is None else sign * row.price))
    return rows


def _doubted(asked: Sequence[str]) -> str:
    """The query with what rare words may have been meant to be."""
    known = spelling.words()
    better = list(asked)
    for place, word in enumerate(asked):
        count = known.count(word)
        if 0 < count <= spelling.RARE and (best := known.nearest(word)):
            form, often, distance = best
            if distance == 1 and often >= max(spelling.FREQUENT, spelling.OFTENER * count):
                better[place] = form
    return " ".join(better) if better != list(asked) else ""
