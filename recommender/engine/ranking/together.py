"""Bought together: which items share more baskets than chance would have them share.

Scored by the log-likelihood ratio of the 2 x 2 table of baskets with and without either item (Dunning 1993, "Accurate
Methods for the Statistics of Surprise and Coincidence", section 4), which, unlike a ratio of frequencies, does not
put pairs that met once by accident on top.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN, Interactions

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

MAX_BASKET = 300  # distinct items; a basket of m adds m^2 pairs, and a stock order of thousands says nothing of taste
BLOCK_PAIRS = 20_000_000  # pairs counted at once: at most 400 MB
MIN_COUNT = 2  # baskets a pair must share; once is an accident


@dataclass(frozen=True)
class Together:
    rows: NDArray[np.int32]
    """(N, K): each item's companions, best first; UNKNOWN where there are fewer."""
    scores: NDArray[np.float32]
    """(N, K): their log-likelihood ratios, above 0; 0 where there are fewer."""


def bought_together(data: Interactions, k: int = 20) -> Together:
    """The K best companions of each item over the baskets of `data`; users stand for baskets where it has none.

    Events of weight 0 or less are left out; the caller chooses which kinds (purchases) to pass. Baskets of more than
    MAX_BASKET items are skipped. Ties by lower row.
    """
    n = data.shape[1]
    result = Together(np.full((n, k), UNKNOWN, np.int32), np.zeros((n, k), np.float32))
    baskets = _baskets(data)
    if not baskets.nnz:
        return result
    counts = np.bincount(baskets.indices, minlength=n).astype(np.int64)
    by_item = baskets.T.tocsr()
    for start, stop in _blocks(by_item @ np.diff(baskets.indptr)):
        shared = (by_item[start:stop] @ baskets).tocoo()
        keep = (shared.data >= MIN_COUNT) & (shared.row + start != shared.col)
        both, left, right = shared.data[keep].astype(np.int64), shared.row[keep] + start, shared.col[keep]
        # Only pairs that meet more often than chance; the ratio is as high for those that avoid each other.
        attract = both * baskets.shape[0] > counts[left] * counts[right]
        both, left, right = both[attract], left[attract], right[attract]
        scores = log_likelihood_ratio(both, counts[left], counts[right], baskets.shape[0])
        order = np.lexsort((right, -scores, left))
        left, right, scores = left[order], right[order], scores[order]
        place = np.arange(len(left)) - np.searchsorted(left, left)  # 0 for an item's best companion
        best = place < k
        result.rows[left[best], place[best]] = right[best]
        result.scores[left[best], place[best]] = scores[best]
    return result


def log_likelihood_ratio(
    both: NDArray[np.int64], left: NDArray[np.int64], right: NDArray[np.int64], total: int
) -> NDArray[np.float32]:
    """Dunning's -2 log lambda, float32 (E,): `both` of `total` baskets hold both items, `left` and `right` hold each.

    2 sum_cells k log k - 2 sum_margins m log m + 2 T log T, where 0 log 0 = 0.
    """
    cells = (both, left - both, right - both, total - left - right + both)
    margins = (left, total - left, right, total - right)
    ratio = 2 * (sum(map(_x_log_x, cells)) - sum(map(_x_log_x, margins)) + _x_log_x(np.array(total)))
    return np.asarray(np.maximum(ratio, 0), dtype=np.float32)


def _x_log_x(x: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.asarray(x * np.log(np.maximum(x, 1)))


def _baskets(data: Interactions) -> "csr_matrix":
    """int32 (baskets, N): 1 where a basket holds an item; only baskets of up to MAX_BASKET items."""
    from scipy.sparse import csr_matrix

    wanted = data.weights > 0
    keys = data.user_rows if data.baskets is None else data.baskets
    _, basket_rows = np.unique(keys[wanted], return_inverse=True)
    shape = (int(basket_rows.max(initial=-1)) + 1, data.shape[1])
    held = csr_matrix((np.ones(len(basket_rows), np.int32), (basket_rows, data.item_rows[wanted])), shape=shape)
    held.sum_duplicates()
    held.data[:] = 1
    return held[np.diff(held.indptr) <= MAX_BASKET]


def _blocks(pairs: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of items whose `pairs` (N,) sum to BLOCK_PAIRS at most, or of one item."""
    start, total = 0, 0
    for row, count in enumerate(pairs.tolist()):
        if total and total + count > BLOCK_PAIRS:
            yield start, row
            start, total = row, 0
        total += count
    yield start, len(pairs)
