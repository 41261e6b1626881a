"""Candidates from several sources, made one pool.

Every source names some items, best first, in a unit of its own: cosines, counts, log-likelihood ratios. A pool holds
each item once, with the place and the scaled score that each source gave it. Rows are whatever the caller counts items
by; in serving they are a model's rows, and what the model does not know comes after them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.ids import UNKNOWN
from recommender.engine.data.interactions import Histories

SOURCES = ("model", "similar", "together", "content", "trending", "new", "cluster", "popular")
"""In the order in which they stand in where nothing was learned of their worth."""
DEPTHS: Mapping[str, int] = {
    "model": 60, "similar": 30, "together": 30, "content": 20, "trending": 20, "new": 10, "cluster": 30, "popular": 30,
}  # fmt: skip
"""Items asked of each for a page of ten: about 150 distinct ones. Mixers are learned at these depths."""
RECENT = 5  # latest liked items that neighbours are looked up for
DECAY = 0.7  # what each counts against the one after it
MOST_PLACES = 32_000  # of one list: places are int16
FEW_PAIRS = 40_000

Ranked = tuple[NDArray[np.int32], NDArray[np.float32]]  # rows and scores (K,), best first
# For R items, K others of each with their scores, (R, K) each; UNKNOWN and 0 where there are fewer.
Neighbours = Callable[[NDArray[np.int32], int], Ranked]


@dataclass(frozen=True)
class Pool:
    """C candidates of S sources."""

    rows: NDArray[np.int32]
    """(C,), distinct, ascending."""
    places: NDArray[np.int16]
    """(C, S): 0 for the best of a list, -1 for what is not in it."""
    scores: NDArray[np.float32]
    """(C, S): 0 for the last of a list to 1 for its best; 0 too for what is not in it."""

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, kept: NDArray[np.bool_] | NDArray[np.int64]) -> "Pool":
        """Some of the candidates, (C,) bool or indices. Places and scores stay those of the whole lists."""
        return Pool(self.rows[kept], self.places[kept], self.scores[kept])


def merge(lists: Mapping[str, Ranked]) -> Pool:
    """One pool of lists by source, each of distinct rows >= 0, best first; empty and missing ones add nothing.

    A list's scores are scaled from its least to its best; where all are alike, they are 1. What is not finite counts
    as its list's least. Raises KeyError for a source that is none of SOURCES.
    """
    named = [(SOURCES_AT[name], rows, scores) for name, (rows, scores) in lists.items() if len(rows)]
    if not named:
        empty = np.zeros((0, len(SOURCES)))
        return Pool(np.zeros(0, np.int32), empty.astype(np.int16), empty.astype(np.float32))
    lengths = [len(rows) for _, rows, _ in named]
    rows = np.concatenate([rows for _, rows, _ in named])
    scores = np.concatenate([scores for _, _, scores in named]).astype(np.float32, copy=False)
    total = len(rows)
    starts = np.zeros(len(named), dtype=np.int64)
    np.cumsum(lengths[:-1], out=starts[1:])
    of_list = np.repeat(np.arange(len(named)), lengths)
    if not np.isfinite(scores).all():
        scores = _with_least(scores, of_list, len(named))
    least = np.minimum.reduceat(scores, starts)
    span = np.maximum.reduceat(scores, starts) - least
    alike = span <= 0
    scaled = (scores - (least - alike)[of_list]) / (span + alike)[of_list]

    order = rows.argsort(kind="stable")
    ordered = rows[order]
    first = np.empty(total, dtype=bool)
    first[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    place = np.empty(total, dtype=np.int64)
    place[order] = first.cumsum() - 1
    distinct = ordered[first].astype(np.int32, copy=False)
    sources = np.array([source for source, _, _ in named])[of_list]
    places = np.full((len(distinct), len(SOURCES)), -1, dtype=np.int16)
    places[place, sources] = np.minimum(np.arange(total) - starts[of_list], MOST_PLACES)
    worth = np.zeros((len(distinct), len(SOURCES)), dtype=np.float32)
    worth[place, sources] = scaled
    return Pool(distinct, places, worth)


SOURCES_AT = {name: place for place, name in enumerate(SOURCES)}


def recent(told: Histories, most: int = RECENT, decay: float = DECAY) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The latest distinct items, at most `most`, that one history speaks for, the last first; with the weights of their
    latest liked events (R,), each place further back counting `decay` times as much."""
    liked = np.flatnonzero(told.weights > 0)[::-1][: 20 * most]  # looks at the same few items again and again are rare
    _, first = np.unique(told.item_rows[liked], return_index=True)
    first.sort()
    chosen = liked[first[:most]]
    return told.item_rows[chosen], told.weights[chosen] * np.float32(decay) ** np.arange(len(chosen), dtype=np.float32)


def added_up(rows: NDArray[np.int32], scores: NDArray[np.float32], weights: NDArray[np.float32], k: int) -> Ranked:
    """Up to K rows by the sum over lists of weight times score, best first; ties by lower row.

    `rows` int32 and `scores` (R, M) are R lists, in which UNKNOWN and scores of 0 or less are nothing; `weights` (R,).
    """
    named = (rows != UNKNOWN) & (scores > 0)
    distinct, place = np.unique(rows[named], return_inverse=True)
    total = np.bincount(place, weights=(scores * weights[:, None])[named], minlength=len(distinct))
    order = np.argsort(-total, kind="stable")[:k]
    return distinct[order], total[order].astype(np.float32)


def among(rows: NDArray[np.int32], others: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which of K rows are among L others, (K,): compared one with each where they are few, which NumPy's own way to do
    it takes ten times as long for."""
    if len(rows) * len(others) <= FEW_PAIRS:
        return np.asarray((rows[:, None] == others).any(axis=1))
    return np.isin(rows, others)


def without(found: Ranked, rows: NDArray[np.int32]) -> Ranked:
    """What is left of a list without some rows."""
    kept = ~among(found[0], rows)
    return found[0][kept], found[1][kept]


def similar_to_recent(told: Histories, k: int, neighbours: Neighbours) -> Ranked:
    """Up to K items close to the latest liked ones of one history, none of which is in it."""
    rows, weights = recent(told)
    if not len(rows):
        return NOTHING
    found, scores = neighbours(rows, k + len(rows))
    return _first(without(added_up(found, scores, weights, k + len(told.item_rows)), told.item_rows), k)


def one_by_one(neighbours: Callable[[int, int], Ranked]) -> Neighbours:
    """Neighbours as `neighbours(row, k)` names them, each list's scores scaled so that its best is 1."""

    def asked(rows: NDArray[np.int32], k: int) -> Ranked:
        found = np.full((len(rows), k), UNKNOWN, dtype=np.int32)
        scores = np.zeros((len(rows), k), dtype=np.float32)
        for line, row in enumerate(rows.tolist()):
            named, worth = neighbours(row, k)
            if len(named):
                found[line, : len(named)], scores[line, : len(named)] = named, worth / max(worth[0], 1e-30)
        return found, scores

    return asked


def together_with_recent(told: Histories, k: int, rows: NDArray[np.int32], scores: NDArray[np.float32]) -> Ranked:
    """Up to K companions of the latest liked items of one history, none of which is in it.

    `rows` and `scores` (N, M) are each item's companions, UNKNOWN where there are fewer, as `together.Together` has
    them.
    """
    own, weights = recent(told)
    if not len(own):
        return NOTHING
    # A log-likelihood ratio grows with the shop; its root grows as a surprise does, in standard deviations.
    found, worth = np.asarray(rows[own]), np.sqrt(np.asarray(scores[own]))
    return _first(without(added_up(found, worth, weights, k + len(told.item_rows)), told.item_rows), k)


def per_category(scores: NDArray[np.float32], categories: NDArray[np.int32], k: int) -> dict[int, NDArray[np.int64]]:
    """The K best of each category, by category: their places in `scores` (E,), best first; ties by earlier place.

    `categories` int32 (E,): those below 0 are none. What stands in two categories is passed twice.
    """
    order = np.lexsort((-scores, categories))
    ordered = categories[order]
    starts = np.searchsorted(ordered, ordered)
    kept = (np.arange(len(order)) - starts < k) & (ordered >= 0)
    order, ordered = order[kept], ordered[kept]
    names, begins = np.unique(ordered, return_index=True)
    return dict(zip(names.tolist(), np.split(order, begins[1:]), strict=True)) if len(names) else {}


NOTHING: Ranked = (np.zeros(0, np.int32), np.zeros(0, np.float32))


def _first(found: Ranked, k: int) -> Ranked:
    return found[0][:k], found[1][:k]


def _with_least(scores: NDArray[np.float32], of_list: NDArray[np.int64], lists: int) -> NDArray[np.float32]:
    """Each list's least finite score in place of what is not finite; 0 in lists without any."""
    finite = np.isfinite(scores)
    least = np.full(lists, np.inf, dtype=np.float32)
    np.minimum.at(least, of_list[finite], scores[finite])
    return np.where(finite, scores, np.where(np.isfinite(least), least, 0)[of_list]).astype(np.float32)
