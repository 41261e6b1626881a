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

Time: sum_u n_u^2 to choose, then for every item the pairs that users have among its S items, and S^3 / 3. Memory:
about 24 M S bytes and two copies of X; G is never held.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN
from recommender.engine.errors import NotFinite
from recommender.engine.trainers import Progress, neighbours

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK_PAIRS = 8_000_000  # products summed at once to choose by; bounds a block to about 12 bytes each
CHOOSING = 0.1  # its share of the time, about: 1.4 s of 36 on Gowalla, more where users have many items
REPORT_EVERY = 64  # items


def memory_bytes(taken: "csr_matrix", items: int, size: int) -> int:
    """About what `columns` and turning its answer round hold at most, beside X: two copies of X (U, M), a block of
    pairs, the S predictors of `items` M with their weights twice, one item's equations."""
    users, size = taken.shape[0], min(size, items)
    pairs = min(BLOCK_PAIRS, int((np.diff(taken.indptr).astype(np.int64) ** 2).sum()))
    return 24 * items * size + 24 * taken.nnz + 24 * pairs + 16 * users + 16 * size**2


def columns(weighed: "csr_matrix", ridge: float, size: int, progress: Progress) -> "csr_matrix":
    """W', float32 CSR (M, M): row j holds the weights that items have for j, at most `size` of them.

    weighed: D^(1/2) X, float32 (U, M), every column with something in it. Raises NotFinite.
    """
    from scipy.linalg.lapack import sposv
    from scipy.sparse import csr_matrix

    m = weighed.shape[1]
    by_item = weighed.T.tocsr()
    chosen, counts = _chosen(weighed, by_item, ridge, size, lambda share, said: progress(CHOOSING * share, said))
    weights = np.zeros(chosen.shape, np.float32)
    for item in range(m):
        if item % REPORT_EVERY == 0:
            progress(CHOOSING + (1 - CHOOSING) * item / m, f"item {item} of {m}")
        count = int(counts[item])
        if not count:
            continue
        near = by_item[np.append(chosen[item, :count], item)]
        gram = (near @ near.T).toarray()
        target = gram[:count, count].copy()
        gram = gram[:count, :count]
        gram[np.diag_indices(count)] += np.float32(ridge)
        _, solved, failed = sposv(gram, target, lower=1, overwrite_a=1, overwrite_b=1)
        if failed:
            raise NotFinite("Raise regularization or lower power.")
        weights[item, :count] = solved
    taken = np.arange(chosen.shape[1]) < counts[:, None]
    indptr = np.concatenate(([0], np.cumsum(counts)))
    return csr_matrix((weights[taken], chosen[taken], indptr), shape=(m, m))


def _chosen(
    weighed: "csr_matrix", by_item: "csr_matrix", ridge: float, size: int, progress: Progress
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Each item's S predictors, best first, int32 (M, S), UNKNOWN where fewer share a user with it; how many, (M,)."""
    m = by_item.shape[0]
    size = max(1, min(size, m - 1))
    chosen = np.full((m, size), UNKNOWN, np.int32)
    norms = np.asarray(by_item.multiply(by_item).sum(axis=1)).ravel() + ridge
    scale = (1 / np.sqrt(norms)).astype(np.float32)
    for start, stop in _blocks(weighed):
        progress(start / m, f"choosing, item {start} of {m}")
        block = by_item[start:stop] @ weighed
        for row, low, high in zip(range(start, stop), block.indptr[:-1], block.indptr[1:], strict=True):
            others, values = block.indices[low:high], block.data[low:high] * scale[block.indices[low:high]]
            values[others == row] = 0
            chosen[row], _ = neighbours.best(others, values, size)
    return chosen, (chosen != UNKNOWN).sum(axis=1)


def _blocks(taken: "csr_matrix") -> Iterator[tuple[int, int]]:
    """Consecutive ranges of items whose products with all others are about BLOCK_PAIRS, or of one item."""
    lengths = np.diff(taken.indptr)
    pairs = np.bincount(taken.indices, weights=np.repeat(lengths, lengths), minlength=taken.shape[1])
    ends = np.cumsum(pairs)
    start = 0
    while start < len(pairs):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BLOCK_PAIRS, side="right")))
        yield start, stop
        start = stop
