"""Do a profile's items belong together? Who fills a profile by lot takes items that nobody takes together.

How often two items are taken by the same visitors is compared with chance, given how popular they are and how unequal
visitors are: the log of that ratio, drawn towards 0 where little is known, is a pair's *bond*. A profile's coherence is
the mean bond of its pairs, learned from everybody else: what a visitor did itself is taken out of its own bonds.
The same is done with stars: who likes this, likes that.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly.subjects.profile_cells import Cells

MOST_ITEMS = 2048  # the most taken, whose pairs are counted: tables of 16 MiB each; rarer ones share too few visitors
MOST_LEARNED = 20_000  # visitors: what is usual needs no more
MOST_EACH = 1500  # items: who took more says nothing of what belongs together, and is judged but not learned from
BLOCK = 4096  # visitors at a time: 32 MiB
SPARSE_COST = 50.0  # of one product in a sparse table, in products of a dense one
PULL = 2.0  # visitors that every pair is taken to have beyond those counted, in line with chance
PULL_STARS = 5.0


@dataclass(frozen=True)
class Taste:
    """What is usually taken and liked together, of M items."""

    places: NDArray[np.int32]
    """(N,): an item's place among the M, -1 where its pairs were not counted."""
    learned_from: NDArray[np.bool_]
    """(U,)"""
    bonds: NDArray[np.float32]
    """(M, M), as others see it; 0 on the diagonal."""
    own_bonds: NDArray[np.float32]
    """(M, M), less one visitor who has both."""
    likings: NDArray[np.float32]
    """(M, M): sums of products of stars above what was expected."""
    weights: NDArray[np.float32]
    """(M, M): what the sums are divided by."""


@dataclass(frozen=True)
class Fit:
    """How well a profile's items go together."""

    coherence: NDArray[np.float32]
    """(U,): the mean bond of its pairs; NaN below two items."""
    liking: NDArray[np.float32]
    """(U,): how much its stars agree with those of others who rated the same pairs; NaN where it rated none."""
    cells: NDArray[np.float32]
    """(C,): each item's mean bond with the profile's others; NaN where unknown."""


def learn(cells: Cells, off: NDArray[np.float32], takers: NDArray[np.int64], trusted: NDArray[np.bool_]) -> Taste:
    """`off` (C,): stars above what item and visitor led to expect, 0 where there are none; `takers` (N,) and `trusted`
    (U,): whom to learn from."""
    kept = np.argsort(-takers, kind="stable")[: min(MOST_ITEMS, cells.items)]
    places = np.full(cells.items, -1, np.int32)
    places[kept] = np.arange(len(kept), dtype=np.int32)
    told = _sampled(trusted & (cells.sizes <= MOST_EACH))
    width = len(kept)
    together = np.zeros((width, width), np.float32)
    likings = np.zeros((width, width), np.float32)
    rated_together = np.zeros((width, width), np.float32)
    for block in _blocks(cells, places, off, told):
        together += block.pairs(block.taken)
        if block.stars is not None:
            likings += block.pairs(block.stars)
            rated_together += block.pairs(block.rated)
    takers = np.diagonal(together).astype(np.float64)
    sizes = np.bincount(cells.visitor_rows[places[cells.item_rows] >= 0], minlength=cells.visitors)[told].astype(
        np.float64
    )
    pairs = (sizes * (sizes - 1)).sum()
    scale = pairs / max(takers.sum() ** 2 - (takers**2).sum(), 1.0)
    chance = (np.outer(takers, takers) * scale).astype(np.float32) + PULL
    bonds = np.log((together + PULL) / chance)
    own_bonds = np.log((np.maximum(together - 1, 0) + PULL) / chance)
    for table in (bonds, own_bonds, likings):
        np.fill_diagonal(table, 0)
    return Taste(places, told, bonds, own_bonds, likings, (1 / (rated_together + PULL_STARS)).astype(np.float32))


def fit(taste: Taste, cells: Cells, off: NDArray[np.float32]) -> Fit:
    """Of all visitors; what those who were learned from did is taken out of their own bonds."""
    coherence = np.full(cells.visitors, np.nan, np.float32)
    liking = np.full(cells.visitors, np.nan, np.float32)
    each = np.full(len(cells), np.nan, np.float32)
    weighed = taste.likings * taste.weights
    diagonal = np.diagonal(taste.weights)
    for own in (True, False):
        bonds = taste.own_bonds if own else taste.bonds
        for block in _blocks(cells, taste.places, off, taste.learned_from == own):
            at, columns, count = block.at, block.columns, np.bincount(block.at, minlength=len(block.rows))
            with np.errstate(invalid="ignore", divide="ignore"):
                found = (block.table(block.taken) @ bonds)[at, columns] / (count - 1)[at]
                each[block.mine] = np.where(count[at] > 1, found, np.nan)
                coherence[block.rows] = np.where(count > 1, block.total(found) / count, np.nan)
            if block.stars is not None:
                squares = block.stars**2
                agreed = block.total((block.table(block.stars) @ weighed)[at, columns] * block.stars)
                size = block.total((block.table(squares) @ taste.weights)[at, columns] * squares)
                size -= block.total(squares**2 * diagonal[columns])
                agreed -= size if own else 0
                fair = agreed / np.sqrt(np.maximum(size, 1e-6))
                liking[block.rows] = np.where(size > 1e-6, fair, np.nan)
    return Fit(coherence, liking, each)


@dataclass(frozen=True)
class _Block:
    """B visitors' cells of the M items: tables (B, M) that hold little, so that only what they hold is multiplied."""

    rows: NDArray[np.int64]
    """(B,)."""
    mine: NDArray[np.int64]
    """(c,): places of the cells."""
    at: NDArray[np.int64]
    """(c,): whose each is, from 0 to B."""
    columns: NDArray[np.int32]
    """(c,): each one's item among the M."""
    width: int
    taken: NDArray[np.float32]
    """(c,): 1."""
    stars: NDArray[np.float32] | None
    """(c,): above expectation; None where nobody rated."""
    rated: NDArray[np.float32]
    """(c,): 1 where it was."""

    def table(self, values: NDArray[np.float32]) -> Any:
        """Sparse (B, M)."""
        from scipy.sparse import csr_matrix

        return csr_matrix((values, (self.at, self.columns)), shape=(len(self.rows), self.width))

    def pairs(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(M, M): the sums of products over visitors."""
        sizes = np.bincount(self.at, minlength=len(self.rows)).astype(np.float64)
        table = self.table(values)
        if (sizes**2).sum() * SPARSE_COST < float(len(self.rows)) * self.width**2:
            found: NDArray[np.float32] = (table.T @ table).toarray()
            return found
        dense = table.toarray()
        return np.asarray(dense.T @ dense)

    def total(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """(B,): the sum of each visitor's."""
        return np.bincount(self.at, values, len(self.rows)).astype(np.float64)


def _sampled(chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The same, or MOST_LEARNED of them, evenly spread."""
    rows = np.flatnonzero(chosen)
    if len(rows) <= MOST_LEARNED:
        return chosen
    found = np.zeros(len(chosen), np.bool_)
    found[rows[np.linspace(0, len(rows) - 1, MOST_LEARNED).astype(np.int64)]] = True
    return found


def _blocks(
    cells: Cells, places: NDArray[np.int32], off: NDArray[np.float32], chosen: NDArray[np.bool_]
) -> Iterator[_Block]:
    """Parts of the chosen visitors."""
    width = int(places.max()) + 1
    any_rated = bool(cells.rated.any())
    all_rows = np.flatnonzero(chosen & (cells.sizes > 0))
    starts = np.cumsum(cells.sizes) - cells.sizes
    for low in range(0, len(all_rows), BLOCK):
        rows = all_rows[low : low + BLOCK]
        sizes = cells.sizes[rows]
        at = np.repeat(np.arange(len(rows)), sizes)
        mine = np.arange(len(at)) + np.repeat(starts[rows] - (np.cumsum(sizes) - sizes), sizes)
        kept = places[cells.item_rows[mine]] >= 0
        at, mine = at[kept], mine[kept]
        yield _Block(
            rows,
            mine,
            at,
            places[cells.item_rows[mine]],
            width,
            np.ones(len(mine), np.float32),
            off[mine].astype(np.float32) if any_rated else None,
            cells.rated[mine].astype(np.float32),
        )
