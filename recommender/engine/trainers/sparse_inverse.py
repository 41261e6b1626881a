"""A sparse approximate inverse for EASE where M x M numbers do not fit in memory.

EASE's column j predicts item j from all others: with G = X' D X + lambda I and P = G^-1, w_ij = -p_ij / p_jj solves

    min_w |D^(1/2) (x_j - X w)|^2 + lambda |w|^2,  w_j = 0

Here w may only use the S items that alone would explain most of x_j, by g_ij^2 / g_ii:

    G_SS w_S = G_Sj

Solving G restricted to S and j for column j of P is the factorised sparse approximate inverse of Kolotilina and Yeremin
(1993), each column with a pattern of its own; in recommenders the idea is SLIM with chosen features (Ning and Karypis
2011). SANSA (Spisak et al. 2023, "Scalable Approximate NonSymmetric Autoencoder") inverts approximately by a sparse
Cholesky factor instead, which needs a library of its own (CHOLMOD) and cannot be split by items. With S = M - 1 the
answer is exact.

Most predictors are popular, so G between the most popular items, the core, is worked out once and looked up. Lines of G
that belong to rarer items are worked out again for each block of targets, which share them. Targets come in the order
of Cuthill and McKee (1969) over their best predictors, so that those of one kind share a block.

Time: sum_u n_u^2 to choose and for the core, a part of it for each block; then M S^2 look-ups and M S^3 / 3. Memory:
about 36 M S bytes and four copies of X; G is never held.
"""

from collections.abc import Callable, Iterator
from functools import partial
from math import isqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN
from recommender.engine.errors import NotFinite
from recommender.engine.trainers import Progress, neighbours

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK_PAIRS = 8_000_000  # products summed at once to choose by; bounds a block to about 12 bytes each
HELD = 3  # times M S: entries of G in the core, and as many for a block of targets
NEAR = 5  # best predictors of each item to order targets by: 40 % fewer products on Gowalla
LINES = 16  # of G, made dense at once: few enough to stay in the processor's cache
CHOOSING = 0.15  # its share of the time, about
REPORT_EVERY = 64  # items, or parts of LINES


def memory_bytes(taken: "csr_matrix", items: int, size: int) -> int:
    """About what `columns` and turning its answer round hold at most, beside X: four copies of X (U, M), a block of
    pairs, the S predictors of `items` M with their weights, the core and a block's lines (or, later, the answer twice),
    LINES, one item's equations."""
    users, size = taken.shape[0], min(size, items)
    pairs = min(BLOCK_PAIRS, int((np.diff(taken.indptr).astype(np.int64) ** 2).sum()))
    return (12 + 8 * HELD) * items * size + 32 * taken.nnz + 24 * pairs + 16 * users + 16 * LINES * items + 24 * size**2


def columns(weighed: "csr_matrix", ridge: float, size: int, progress: Progress) -> "csr_matrix":
    """W', float32 CSR (M, M): row j holds the weights that items have for j, at most `size` of them.

    weighed: D^(1/2) X, float32 (U, M), every column with something in it. Raises NotFinite.
    """
    from scipy.linalg.lapack import sposv
    from scipy.sparse import csr_matrix

    m = weighed.shape[1]

    def report(done: int) -> None:
        progress(CHOOSING + (1 - CHOOSING) * done / m, f"item {done} of {m}")

    chosen, counts = _chosen(weighed, ridge, size, lambda share, said: progress(CHOOSING * share, said))
    weights = np.zeros(chosen.shape, np.float32)
    for done, (item, gram) in enumerate(_grams(weighed, chosen, counts, report)):
        if done % REPORT_EVERY == 0:
            report(done)
        if not counts[item]:
            continue
        gram[np.diag_indices(len(gram))] += np.float32(ridge)
        _, solved, failed = sposv(gram[1:, 1:], gram[1:, 0], lower=1)
        if failed:
            raise NotFinite("Raise regularization or lower power.")
        weights[item, : counts[item]] = solved
    taken = np.arange(chosen.shape[1]) < counts[:, None]
    indptr = np.concatenate(([0], np.cumsum(counts)))
    return csr_matrix((weights[taken], chosen[taken], indptr), shape=(m, m))


def _chosen(
    weighed: "csr_matrix", ridge: float, size: int, progress: Progress
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Each item's S predictors, best first, int32 (M, S), UNKNOWN where fewer share a user with it; how many, (M,)."""
    by_item = weighed.T.tocsr()
    m = by_item.shape[0]
    size = max(1, min(size, m - 1))
    chosen = np.full((m, size), UNKNOWN, np.int32)
    norms = np.asarray(by_item.multiply(by_item).sum(axis=1)).ravel() + ridge
    scale = (1 / np.sqrt(norms)).astype(np.float32)
    for start, stop in _blocks(_pairs(by_item, weighed), BLOCK_PAIRS):
        progress(start / m, f"choosing, item {start} of {m}")
        block = by_item[start:stop] @ weighed
        for row, low, high in zip(range(start, stop), block.indptr[:-1], block.indptr[1:], strict=True):
            others, values = block.indices[low:high], block.data[low:high] * scale[block.indices[low:high]]
            values[others == row] = 0
            chosen[row], _ = neighbours.best(others, values, size)
    return chosen, (chosen != UNKNOWN).sum(axis=1)


def _grams(
    weighed: "csr_matrix", chosen: NDArray[np.int32], counts: NDArray[np.int64], report: Callable[[int], None]
) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Each item, in no order, and G between itself, first, and its predictors, float32 (1 + count, 1 + count)."""
    m, size = chosen.shape
    popular = np.argsort(-np.bincount(weighed.indices, minlength=m), kind="stable")
    rank = np.empty(m, np.int32)
    rank[popular] = np.arange(m)
    ranked = weighed[:, popular]  # sums for popular items, which are most, lie side by side in the processor's cache
    by_rank = ranked.T.tocsr()
    core = np.empty((min(m, isqrt(HELD * m * size)),) * 2, np.float32)
    for part, lines in _products(by_rank, np.arange(len(core)), ranked[:, : len(core)]):
        core[part] = lines
    order = _order(chosen)
    cells = (1 + ((chosen != UNKNOWN) & (rank[chosen] >= len(core))).sum(axis=1)) * (1 + size)
    for start, stop in _blocks(cells[order], HELD * m * size):
        targets = order[start:stop]
        sets = rank[np.column_stack((targets, chosen[targets]))]
        rare = (sets >= len(core)) & (np.arange(1 + size) <= counts[targets, None])
        rows, places = np.nonzero(rare)
        lines = _lines(by_rank, ranked, sets, rows, places, partial(report, start))
        ends = np.searchsorted(rows, np.arange(stop - start + 1))
        for item, own, low, high in zip(targets, sets, ends[:-1], ends[1:], strict=True):
            count = counts[item]
            near = np.minimum(own[: 1 + count], len(core) - 1)
            gram = core.take(near[:, None] * np.int64(len(core)) + near)
            gram[places[low:high]] = lines[low:high, : 1 + count]
            gram[:, places[low:high]] = lines[low:high, : 1 + count].T
            yield item, gram
        del lines  # before the next block's are made


def _order(chosen: NDArray[np.int32]) -> NDArray[np.int32]:
    """Items (M,) such that those with the same best predictors are near each other."""
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import reverse_cuthill_mckee

    m, near = len(chosen), chosen[:, :NEAR]
    ends = np.concatenate(([0], np.cumsum((near != UNKNOWN).sum(axis=1))))
    linked = csr_matrix((np.ones(ends[-1], np.float32), near[near != UNKNOWN], ends), shape=(m, m))
    return np.asarray(reverse_cuthill_mckee((linked + linked.T).tocsr(), symmetric_mode=True))


def _lines(
    by_item: "csr_matrix",
    weighed: "csr_matrix",
    sets: NDArray[np.int32],
    rows: NDArray[np.int64],
    places: NDArray[np.int64],
    report: Callable[[], None],
) -> NDArray[np.float32]:
    """G between the item at each of P places of sets (B, 1 + S) and all items of that set, float32 (P, 1 + S)."""
    items, which = np.unique(sets[rows, places], return_inverse=True)
    order = np.argsort(which, kind="stable")
    ends = np.searchsorted(which[order], np.arange(len(items) + 1))
    result = np.empty((len(rows), sets.shape[1]), np.float32)
    for number, (part, lines) in enumerate(_products(by_item, items, weighed)):
        if number % REPORT_EVERY == 0:
            report()
        asking = order[ends[part.start] : ends[part.stop]]
        for some in np.array_split(asking, 1 + asking.size * sets.shape[1] // BLOCK_PAIRS):
            result[some] = lines.take((which[some, None] - part.start) * lines.shape[1] + sets[rows[some]])
    return result


def _products(
    by_item: "csr_matrix", items: NDArray[Any], weighed: "csr_matrix"
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Lines of G for consecutive parts of `items`, each with all columns of `weighed`, float32 (LINES or fewer, M)."""
    pairs = _pairs(by_item, weighed)[items]
    for start, stop in _blocks(pairs, BLOCK_PAIRS):
        block = by_item[items[start:stop]] @ weighed
        for low in range(start, stop, LINES):
            part = slice(low, min(low + LINES, stop))
            yield part, block[part.start - start : part.stop - start].toarray()


def _pairs(by_item: "csr_matrix", weighed: "csr_matrix") -> NDArray[np.int64]:
    """How many products each line of by_item @ weighed is the sum of; none of by_item is empty."""
    return np.add.reduceat(np.diff(weighed.indptr)[by_item.indices], by_item.indptr[:-1], dtype=np.int64)


def _blocks(costs: NDArray[Any], most: int) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of items that cost about `most` together, or of one item."""
    ends = np.cumsum(costs)
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + most, side="right")))
        yield start, stop
        start = stop
