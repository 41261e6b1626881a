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
and 55 MB at 3,700 items, 30 s and 560 MB at 12,100 on two cores. Where those bytes exceed `memory_mib`, every item is
predicted from `predictors` others only (see sparse_inverse), in time and memory that grow with the items that are:
154 s of CPU and 1.3 GiB beside the events at 100,000 items and 10 million events.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN, Interactions
from recommender.engine.errors import InvalidConfig, NoData, NotFinite, TooLarge
from recommender.engine.trainers import Arrays, Options, Progress, neighbours, sparse_inverse
from recommender.engine.trainers.neighbours import NeighboursQuery, check, strengths

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK = 256  # rows eliminated at once: products large enough to be fast, steps short enough to be cancelled
METHODS = ("auto", "exact", "sparse")
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
    method: str = "auto"
    """`exact`: the inverse of the full matrix. `sparse`: each item predicted from some others only, for large
    catalogues. `auto`: exact where that fits in memory_mib."""
    predictors: int = 200
    """S, the items that one is predicted from by the sparse method. Time grows with its square or more."""
    memory_mib: int = 4096
    """What learning may take at most, by its own estimate; 4096 is enough for the exact inverse over 32 thousand
    items."""

    def __post_init__(self) -> None:
        check("regularization", self.regularization, 1e-3)
        check("power", self.power, 0, 2)
        check("user_power", self.user_power, 0, 2)
        check("half_life_items", self.half_life_items, 0)
        check("neighbours", self.neighbours, 1, 100_000, whole=True)
        if self.method not in METHODS:
            raise InvalidConfig(f"method must be one of {', '.join(METHODS)}.")
        check("predictors", self.predictors, 1, 10_000, whole=True)
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
        method = _method(taken, len(active), config)
        k = max(1, min(config.neighbours, len(active) - 1))
        with threadpool_limits(limits=options.threads), np.errstate(over="ignore", invalid="ignore"):
            lines = (_exact if method == "exact" else _sparse)(taken[:, active], config, options)
            rows, weights = np.full((taken.shape[1], k), UNKNOWN, np.int32), np.zeros((taken.shape[1], k), np.float32)
            for row, (targets, line) in enumerate(lines):
                if row % BLOCK == 0:
                    options.progress(0.9 + 0.1 * row / len(active), "keeping the largest weights")
                found, weights[active[row]] = neighbours.best(targets, line, k)
                rows[active[row]] = np.where(found == UNKNOWN, UNKNOWN, active[found])
        if not np.isfinite(weights).all():
            raise NotFinite("Raise regularization or lower power.")
        options.progress(1.0, "done")
        return {"rows": rows, "weights": weights}

    @staticmethod
    def query(arrays: Arrays, config: EaseConfig) -> NeighboursQuery:
        return neighbours.query(arrays, config.power, config.half_life_items)


Line = tuple[NDArray[np.int32], NDArray[np.float32]]  # items an item speaks for, ascending, and its weights there


def _method(taken: "csr_matrix", items: int, config: EaseConfig) -> str:
    """Which of exact and sparse `config` wants and memory holds. Raises TooLarge."""
    exact = 4 * items**2 // MIB
    if config.method != "sparse" and exact <= config.memory_mib:
        return "exact"
    sparse = sparse_inverse.memory_bytes(taken, items, config.predictors) // MIB
    if config.method != "exact" and sparse <= config.memory_mib:
        return "sparse"
    raise TooLarge(
        f"EASE over {items} items takes {exact} MiB by the exact method and {sparse} by the sparse one, "
        f"{config.memory_mib} are allowed (memory_mib). Fewer predictors take less; "
        "item_knn and als need no such matrix."
    )


def _exact(taken: "csr_matrix", config: EaseConfig, options: Options) -> Iterator[Line]:
    """Each row of W, whole: every taken column with something in it, (U, M)."""
    m, weighed = taken.shape[1], _weighed(taken, config.user_power)
    matrix = np.empty((m, m), dtype=np.float32)  # the sparse product of all at once would take three times as much
    by_item = weighed.T.tocsr()
    for start in range(0, m, BLOCK):
        matrix[start : start + BLOCK] = (by_item[start : start + BLOCK] @ weighed).toarray()
    options.progress(0.05, f"{m} items")
    matrix[np.diag_indices(m)] += config.regularization * np.diag(matrix).mean()
    _invert_negative(matrix, lambda share, message: options.progress(0.05 + 0.85 * share, message))
    scale, everyone = -np.diag(matrix).copy(), np.arange(m, dtype=np.int32)
    for row in range(m):
        line = matrix[row] / scale
        line[row] = 0
        yield everyone, line


def _sparse(taken: "csr_matrix", config: EaseConfig, options: Options) -> Iterator[Line]:
    """Each row of the approximate W."""
    m, weighed = taken.shape[1], _weighed(taken, config.user_power)
    ridge = config.regularization * float(weighed.power(2).sum()) / m
    full, others = 4 * m**2 // MIB, min(config.predictors, m - 1)
    options.progress(0.0, f"{m} items, each from {others} others; the exact inverse would take {full} MiB")
    by_target = sparse_inverse.columns(
        weighed, ridge, config.predictors, lambda share, message: options.progress(0.9 * share, message)
    )
    w = by_target.T.tocsr()
    del by_target
    for low, high in pairwise(w.indptr):
        yield w.indices[low:high], w.data[low:high]


def _weighed(taken: "csr_matrix", user_power: float) -> "csr_matrix":
    """D^(1/2) X, float32 (U, M)."""
    lengths = np.maximum(np.diff(taken.indptr), 1).astype(np.float32)
    result = taken.copy()
    result.data *= np.repeat((lengths / lengths.mean()) ** np.float32(-user_power / 2), np.diff(taken.indptr))
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
