"""EASE: a linear autoencoder with a closed form (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data").

Minimises |D^(1/2) (X - X W)|^2 + lambda |W|^2 over all W with a diagonal of 0, where x_ui is the strength of an item
(1 for a like, -1 for a dislike, unless `power` tells strong ones from weak) and D weighs users. Its answer is
w_ij = -p_ij / p_jj, j != i, with P = (X' D X + lambda I)^-1 (his equation 8). Scores are X W.

W is dense; the K weights of each row that are largest in size, of either sign, are kept to serve with. NDCG@10 on
validation parts: ml-1m .2418 with K = 500, .2399 with 200, .2372 with 100, .2418 with all 3,700; online-retail .1291
with 100 to 500 and .1274 with all 3,500.

Dislikes are learned from: two items disliked by the same users go together, one liked and one disliked do not. Asked
with a dislike, what the item would have raised falls.

Fitting costs O(M^3) for the M items that anyone took, and 4 M^2 bytes for the one matrix that is inverted in place: 4 s
and 55 MB at 3,700 items, 30 s and 560 MB at 12,100 on two cores. A catalogue beyond `memory_mib` is refused.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN, Interactions
from recommender.engine.errors import NoData, NotFinite, TooLarge
from recommender.engine.trainers import Arrays, Options, Progress, neighbours
from recommender.engine.trainers.neighbours import NeighboursQuery, check, strengths

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK = 256  # rows eliminated at once: products large enough to be fast, steps short enough to be cancelled
MIB = 2**20


@dataclass(frozen=True)
class EaseConfig:
    regularization: float = field(default=8.0, metadata={"tune": (1.0, 2.0, 4.0, 6.0, 8.0, 12.0, 20.0)})
    """lambda, in parts of the average diagonal entry of X' D X (how many took an item), so that it suits shops of all
    sizes."""
    power: float = field(default=0.0, metadata={"tune": (0.0, 0.25, 0.5)})
    """Strength of an item in a history: |summed weight| ** power with the weight's sign. 0 makes all likes alike."""
    user_power: float = field(default=0.25, metadata={"tune": (0.0, 0.25, 0.5)})
    """Users weigh (items they took) ** -user_power, so that a few who took thousands do not decide for all."""
    half_life_items: float = field(default=100.0, metadata={"tune": (0.0, 30.0, 100.0)})
    """Later distinct items after which an item of a history counts half when asked; 0 turns that off, as it should be
    where times mean nothing."""
    neighbours: int = 500
    """K, weights kept per item."""
    memory_mib: int = 4096
    """What the matrix may take at most; 4096 is enough for 32 thousand items."""

    def __post_init__(self) -> None:
        check("regularization", self.regularization, 1e-3)
        check("power", self.power, 0, 2)
        check("user_power", self.user_power, 0, 2)
        check("half_life_items", self.half_life_items, 0)
        check("neighbours", self.neighbours, 1, 100_000, whole=True)
        check("memory_mib", self.memory_mib, 1, whole=True)


class EaseTrainer:
    Config = EaseConfig

    @staticmethod
    def fit(data: Interactions, config: EaseConfig, options: Options) -> Arrays:
        """`rows` int32 (N, K), UNKNOWN where an item has fewer weights; `weights` float32 (N, K), 0 there.

        Raises NoData, TooLarge, NotFinite.
        """
        from threadpoolctl import threadpool_limits

        taken = data.matrix.copy()
        if not (taken.data > 0).any():
            raise NoData()
        taken.data = strengths(taken.data, config.power)
        active = np.flatnonzero(np.bincount(taken.indices, minlength=taken.shape[1])).astype(np.int32)
        needed = 4 * len(active) ** 2 // MIB
        if needed > config.memory_mib:
            raise TooLarge(
                f"EASE over {len(active)} items takes {needed} MiB, {config.memory_mib} are allowed (memory_mib). "
                "item_knn and als need no such matrix."
            )
        n, k = taken.shape[1], max(1, min(config.neighbours, len(active) - 1))
        rows, weights = np.full((n, k), UNKNOWN, np.int32), np.zeros((n, k), np.float32)
        with threadpool_limits(limits=options.threads), np.errstate(over="ignore", invalid="ignore"):
            matrix = _gram(taken[:, active], config.user_power)
            options.progress(0.05, f"{len(active)} items")
            matrix[np.diag_indices(len(active))] += config.regularization * np.diag(matrix).mean()
            _invert_negative(matrix, lambda share, message: options.progress(0.05 + 0.85 * share, message))
        scale = -np.diag(matrix).copy()
        for row, item in enumerate(active):
            if row % BLOCK == 0:
                options.progress(0.9 + 0.1 * row / len(active), "keeping the largest weights")
            line = matrix[row] / scale
            line[row] = 0
            found, weights[item] = neighbours.best(np.arange(len(active), dtype=np.int32), line, k)
            rows[item] = np.where(found == UNKNOWN, UNKNOWN, active[found])
        if not np.isfinite(weights).all():
            raise NotFinite("Raise regularization or lower power.")
        options.progress(1.0, "done")
        return {"rows": rows, "weights": weights}

    @staticmethod
    def query(arrays: Arrays, config: EaseConfig) -> NeighboursQuery:
        return neighbours.query(arrays, config.power, config.half_life_items)


def _gram(taken: "csr_matrix", user_power: float) -> NDArray[np.float32]:
    """X' D X, float32 (M, M), a block of rows at a time: the sparse product of all would take three times as much."""
    m = taken.shape[1]
    lengths = np.maximum(np.diff(taken.indptr), 1).astype(np.float32)
    weighed = taken.multiply((lengths / lengths.mean())[:, None] ** -user_power).T.tocsr()
    result = np.empty((m, m), dtype=np.float32)
    for start in range(0, m, BLOCK):
        result[start : start + BLOCK] = (weighed[start : start + BLOCK] @ taken).toarray()
    return result


def _invert_negative(a: NDArray[np.float32], progress: Progress) -> None:
    """Turn `a`, symmetric and positive definite (M, M), into -a^-1 in place. About M^3 operations, as LAPACK's
    potrf and potri need, which cannot be cancelled on the way.

    The sweep operator (Goodnight 1979) on blocks: with c = a[:, k] and d = c[k]^-1, a -= c d c', a[:, k] = c d,
    a[k, k] = -d. It keeps `a` symmetric, so the lower half is enough until the end. Raises NotFinite.
    """
    blocks = [slice(start, min(start + BLOCK, len(a))) for start in range(0, len(a), BLOCK)]
    for number, k in enumerate(blocks):
        column = np.concatenate((a[k, : k.start].T, a[k.start :, k]))
        try:
            np.linalg.cholesky(column[k].astype(np.float64))
            pivot = np.linalg.inv(column[k].astype(np.float64)).astype(np.float32)
        except np.linalg.LinAlgError as error:
            raise NotFinite("Raise regularization or lower power.") from error
        panel = column @ pivot
        for i in blocks:
            a[i, : i.stop] -= panel[i] @ column[: i.stop].T
        a[k.start :, k], a[k, : k.start], a[k, k] = panel[k.start :], panel[: k.start].T, -pivot
        progress((number + 1) / len(blocks), f"inverting, {k.stop} of {len(a)} items")
    for i in blocks:
        a[i, i.stop :] = a[i.stop :, i].T
