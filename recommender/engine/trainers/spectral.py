"""Spectral: a graph filter on the normalised users x items matrix, in closed form.

With R the likes (U, N), d_u and d_i its row and column sums, and

    B = D_U^-a R D_I^-b,   S = B'B / s_1^2 = V diag(x) V' with 1 = x_1 >= x_2 >= ... >= 0

a history h (N,) is answered with h F,

    F = D_I^-q (offdiag(S) + V_D diag(low_pass x^sharpness - x) V_D') D_I^q + regression max(W, 0)

S is one step over the graph, the linear filter; it keeps what is particular to an item. In the D smoothest directions
its response x is replaced by a flatter one, which fills in what few users have in common and keeps the best sellers'
direction, x_1, from drowning the rest. D_I^q gives popular items more. The diagonal is left out: it would recommend
what the history holds already. W predicts each item from some others by ridge regression (EASE as sparse_inverse has
it): S counts what goes together, W what still does once the other items of a history are known, so they err apart.

The family: GF-CF (Shen et al. 2021, "How Powerful is Graph Convolution for Recommendation?", section 4) adds an ideal
low-pass filter, the same response for all D, to S at a = b = 1/2, with q = 0 for S and 1/2 for the filter. ChebyCF (Kim
et al. 2025, "Graph Spectral Filtering with Chebyshev Interpolation for Recommendation", section 4) adds it to a
polynomial in S with one q for both; what that does to the small x beyond D is close to linear. Here a, b, q and the
response are free; there is no Chebyshev recursion and no ODE (BSPM, Choi et al. 2023). On a validation part of Gowalla
what counts most is a below 1/2: Recall@20 is .228 at a = .35, .220 at .42.

Served is the low-pass part as it was learned, and of each row of offdiag(S) D_I^q the K largest entries: there K = 3000
gives .2283, 1000 .2274, 200 .2260.

On 20 % of each user's items of Gowalla's training part, .1 W^+ raises Recall@20 from .2161 to .2192 and NDCG@20 from
.1541 to .1573; all of W gives .2175 and .1571.

Time: O(nnz D + N D^2) a sweep for V (subspace iteration from a random start: Halko, Martinsson, Tropp 2011, algorithm
4.4) and the sum of the users' squared counts for S; W's is sparse_inverse's. Memory: see `memory_mib`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN, Histories, Interactions
from recommender.engine.errors import NoData, NotFinite, TooLarge
from recommender.engine.trainers import Arrays, Options, neighbours, sparse_inverse
from recommender.engine.trainers.neighbours import BATCH_CELLS, NeighboursQuery, Told, check, strengths

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SWEEPS = 5  # of subspace iteration; 10 change Recall@20 on Gowalla by .0001, 2 by .001
OVERSAMPLING = 64  # directions iterated beyond D, so that the last of the D is clean too
REGRESSION_USER_POWER = 0.25  # users weigh (items they took) ** -this in W, as they do in ease
NULL = 1e-7  # of the largest: eigenvalues below it are rounding, in float32
BLOCK_PAIRS = 8_000_000  # products summed at once for S; bounds a block to about 12 bytes each
MIB = 2**20


@dataclass(frozen=True)
class SpectralConfig:
    factors: int = field(default=256, metadata={"tune": (32, 64, 128, 256, 512)})
    """D, the smoothest directions, whose response is replaced; fewer where the data has fewer. 0: the linear filter."""
    low_pass: float = field(default=0.4, metadata={"tune": (0.2, 0.3, 0.4, 0.5, 0.7, 1.0)})
    """The response of the smoothest direction, which the linear filter answers with 1."""
    sharpness: float = field(default=0.25, metadata={"tune": (0.0, 0.15, 0.25, 0.4, 0.6)})
    """How the response falls with x: 0, an ideal low-pass filter, keeps all D directions alike; 1 is linear."""
    user_power: float = field(default=0.25, metadata={"tune": (0.0, 0.15, 0.25, 0.35, 0.5)})
    """a. Higher: users of many items say less about each pair of their items."""
    item_power: float = field(default=0.35, metadata={"tune": (0.2, 0.3, 0.35, 0.4, 0.45, 0.5)})
    """b. Higher: popular items say less, and are recommended less."""
    popularity: float = field(default=0.15, metadata={"tune": (0.0, 0.1, 0.15, 0.2, 0.3, 0.4)})
    """q. Higher: popular items are recommended more, and say less."""
    power: float = field(default=0.0, metadata={"tune": (0.0, 0.25, 0.5)})
    """Strength of an item: |summed weight| ** power with the weight's sign. 0 makes all likes alike."""
    half_life_items: float = field(default=50.0, metadata={"tune": (0.0, 2.0, 5.0, 15.0, 50.0, 100.0)})
    """Later distinct items after which an item of a history counts half when asked; 0 turns that off."""
    regression: float = field(default=0.0, metadata={"tune": (0.0, 0.05, 0.1, 0.2)})
    """The weight of W; 0 leaves it out."""
    ridge: float = field(default=2.0, metadata={"tune": (1.0, 2.0, 4.0, 8.0)})
    """W's lambda, in parts of the average item's weight."""
    predictors: int = 200
    """Items that W predicts one from; its time grows with their square or more."""
    neighbours: int = 500
    """K, the entries of each row of S and W together that are kept to serve with."""
    memory_mib: int = 4096
    """What training may take, by its own estimate."""

    def __post_init__(self) -> None:
        check("factors", self.factors, 0, 4096, whole=True)
        check("neighbours", self.neighbours, 1, 100_000, whole=True)
        check("predictors", self.predictors, 1, 10_000, whole=True)
        check("low_pass", self.low_pass, 0)
        check("regression", self.regression, 0)
        check("ridge", self.ridge, 1e-3)
        for name in ("sharpness", "user_power", "item_power", "popularity"):
            check(name, getattr(self, name), 0, 2)
        check("power", self.power, 0, 2)
        check("half_life_items", self.half_life_items, 0)
        check("memory_mib", self.memory_mib, 1, whole=True)


@dataclass(frozen=True, kw_only=True)
class SpectralQuery(NeighboursQuery):
    """h F: `rows` and `weights` are the linear filter's, and what h is stands there. A dislike takes away what a like
    would have added."""

    basis: NDArray[np.float32]
    """(N, D): V_D."""
    response: NDArray[np.float32]
    """(D,): low_pass x^sharpness - x."""
    scale: NDArray[np.float32]
    """(N,): D_I^q."""

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        result = super().scores(histories)
        for users, batch in histories.batches(max(1, BATCH_CELLS // len(self.scale))):
            told, h = self._told(batch)
            bounds = np.searchsorted(told.user_rows, np.arange(len(batch) + 1))
            smooth = np.zeros((len(batch), len(self.response)), dtype=np.float32)
            for row, (low, high) in enumerate(pairwise(bounds)):
                smooth[row] = h[low:high] @ self.basis[told.item_rows[low:high]]
            result[users] += (smooth * self.response) @ self.basis.T * self.scale
        return result

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Exact: F is linear in h. Repeats of an item share what it adds, by weight."""
        told, h = self._told(histories)
        per_item = (h[:, None] * self.basis[told.item_rows] * self.response) @ self.basis[item_rows].T
        sums = told.sums[told.event_places]
        share = np.divide(histories.weights, sums, out=np.zeros_like(sums), where=sums != 0)
        smooth = (per_item * self.scale[item_rows])[told.event_places] * share[:, None]
        return np.asarray(super().contributions(histories, item_rows) + smooth, dtype=np.float32)

    def neighbours(self, item_row: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Up to K other items that are near this one, without the lead of the popular: by F's row over D_I^q, where it
        is above 0. rows int32 (K,), float32 (K,), best first."""
        near = self.scores(Histories.single([item_row]))[0] / self.scale
        near[item_row] = 0
        order = np.argsort(-near, kind="stable")[:k].astype(np.int32)
        order = order[near[order] > 0]
        return order, near[order]

    def _told(self, histories: Histories) -> tuple[Told, NDArray[np.float32]]:
        """The distinct items and h D_I^-q, (M,)."""
        told = Told.of(histories, len(self.scale))
        return told, self._said(told) / self.scale[told.item_rows]


class SpectralTrainer:
    Config = SpectralConfig

    @staticmethod
    def fit(data: Interactions, config: SpectralConfig, options: Options) -> Arrays:
        """`rows`, `weights`, `basis`, `response` and `scale`, as SpectralQuery has them.

        Dislikes are left out of R: that few like two things together is no reason to count against either. Raises
        NoData, NotFinite, TooLarge.
        """
        from threadpoolctl import threadpool_limits

        liked = data.matrix.maximum(0)
        liked.eliminate_zeros()
        if not liked.nnz:
            raise NoData()
        needed = memory_mib(data, config)
        if needed > config.memory_mib:
            raise TooLarge(
                f"This takes about {needed} MiB, {config.memory_mib} are allowed (memory_mib); fewer factors or "
                "neighbours take less."
            )
        liked.data = strengths(liked.data, config.power)
        with np.errstate(over="ignore", invalid="ignore"), threadpool_limits(options.threads, user_api="blas"):
            degrees = [np.asarray(liked.sum(axis=axis, dtype=np.float64)).ravel() for axis in (1, 0)]
            d_u, d_i = (np.where(degree > 0, degree, 1) for degree in degrees)
            b = _scaled(liked, d_u**-config.user_power, d_i**-config.item_power)
            options.progress(0.0, "factors")
            basis, values = _leading(b, config.factors, options)
            x = values[: basis.shape[1]] / values[0]
            scale = (d_i**config.popularity).astype(np.float32)
            w = _regression(liked, config, options) if config.regression else None
            rows, weights = _linear(b, float(values[0]), scale, w, config.neighbours, options)
        response = (config.low_pass * x**config.sharpness - x).astype(np.float32)
        learned = {"rows": rows, "weights": weights, "basis": basis, "response": response, "scale": scale}
        if not all(np.isfinite(array).all() for array in learned.values()):
            raise NotFinite("Weights this far apart cannot be summed; lower power.")
        return learned

    @staticmethod
    def query(arrays: Arrays, config: SpectralConfig) -> SpectralQuery:
        return SpectralQuery(
            rows=arrays["rows"],
            weights=arrays["weights"],
            power=config.power,
            half_life_items=config.half_life_items,
            basis=arrays["basis"],
            response=arrays["response"],
            scale=arrays["scale"],
        )


def memory_mib(data: Interactions, config: SpectralConfig) -> int:
    """About what `fit` holds at most beside the data: B twice, three panels over items and one over users, S's best
    entries and one block of it; what W takes."""
    users, items = data.shape
    width = min(config.factors + OVERSAMPLING, users, items) if config.factors else 1
    kept = min(config.neighbours, max(items - 1, 0))
    regression = sparse_inverse.memory_bytes(data.matrix, items, config.predictors) if config.regression else 0
    own = 16 * data.matrix.nnz + 4 * width * (3 * items + users) + 8 * items * kept + 24 * BLOCK_PAIRS
    return (own + regression) // MIB


def _leading(b: "csr_matrix", factors: int, options: Options) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Eigenvectors (N, D) of B'B, largest eigenvalue first, and those eigenvalues (>= D,)."""
    width = min(max(factors, 1) + OVERSAMPLING, *b.shape)
    back = b.T.tocsr()
    random = np.random.default_rng(options.seed)
    q = _orthonormal(back @ random.standard_normal((b.shape[0], width), dtype=np.float32))
    for sweep in range(SWEEPS):
        options.progress(0.3 * (sweep + 1) / (SWEEPS + 1), f"sweep {sweep + 1} of {SWEEPS}")
        q = _orthonormal(back @ (b @ q))
    values, turns = _eigen(b @ q)
    keep = values[:factors] > NULL * values[0]
    basis = q @ turns[:, :factors][:, keep].astype(np.float32)
    signs = np.sign(basis[np.abs(basis).argmax(axis=0), np.arange(basis.shape[1])])
    return np.ascontiguousarray(basis * signs), values


def _orthonormal(panel: NDArray[np.float32]) -> NDArray[np.float32]:
    """An orthonormal basis (N, <= D) of the columns' span, from their products' eigenvectors: a tenth of QR's time."""
    values, turns = _eigen(panel)
    keep = values > NULL * values[0]
    return panel @ (turns[:, keep] / np.sqrt(values[keep])).astype(np.float32)


def _eigen(panel: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues (D,) of panel' panel, largest first, and eigenvectors (D, D)."""
    products = (panel.T @ panel).astype(np.float64)
    if not np.isfinite(products).all():
        raise NotFinite("Weights this far apart cannot be summed; lower power.")
    values, turns = np.linalg.eigh(products)
    return values[::-1], turns[:, ::-1]


def _regression(liked: "csr_matrix", config: SpectralConfig, options: Options) -> "csr_matrix":
    """regression max(W, 0), float32 CSR (N, N): row i holds what item i says for others."""
    from scipy.sparse import csr_matrix

    active = np.flatnonzero(np.bincount(liked.indices, minlength=liked.shape[1]))
    lengths = np.diff(liked.indptr)
    users = (np.maximum(lengths, 1) / lengths.mean()) ** (-REGRESSION_USER_POWER / 2)
    weighed = _scaled(liked, users, np.ones(liked.shape[1]))[:, active]
    ridge = config.ridge * float(weighed.power(2).sum()) / len(active)
    found = sparse_inverse.columns(
        weighed, ridge, config.predictors, lambda share, message: options.progress(0.3 + 0.4 * share, message)
    ).T.tocoo()
    found.data = config.regression * np.maximum(found.data, 0)
    whole = csr_matrix((found.data, (active[found.row], active[found.col])), shape=(liked.shape[1], liked.shape[1]))
    whole.eliminate_zeros()
    return whole


def _linear(
    b: "csr_matrix",
    largest: float,
    scale: NDArray[np.float32],
    w: "csr_matrix | None",
    k: int,
    options: Options,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """offdiag(D_I^-q S D_I^q) + w, the K largest of each row: rows int32 and weights float32 (N, K)."""
    n = b.shape[1]
    k = max(1, min(k, n - 1))
    rows, weights = np.full((n, k), UNKNOWN, np.int32), np.zeros((n, k), np.float32)
    back = _scaled(b.T.tocsr(), 1 / (scale * largest), np.ones(b.shape[0]))
    ahead = _scaled(b, np.ones(b.shape[0]), scale)
    lengths = np.diff(b.indptr)
    pairs = np.bincount(b.indices, weights=np.repeat(lengths, lengths), minlength=n)  # products in each row of S
    for start, stop in _blocks(pairs):
        options.progress(0.7 + 0.3 * start / n, f"item {start} of {n}")
        block = back[start:stop] @ ahead
        if w is not None:
            block = block + w[start:stop]
        for row, low, high in zip(range(start, stop), block.indptr[:-1], block.indptr[1:], strict=True):
            others, values = block.indices[low:high], block.data[low:high]
            values[others == row] = 0
            rows[row], weights[row] = neighbours.best(others, values, k)
    options.progress(1.0, f"{n} items")
    return rows, weights


def _blocks(pairs: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of items whose `pairs` (N,) sum to about BLOCK_PAIRS."""
    block = np.cumsum(pairs) // BLOCK_PAIRS
    edges = np.flatnonzero(np.diff(block)) + 1
    bounds = [0, *edges.tolist(), len(pairs)]
    yield from ((start, stop) for start, stop in pairwise(bounds) if start < stop)


def _scaled(matrix: "csr_matrix", left: NDArray[np.floating], right: NDArray[np.floating]) -> "csr_matrix":
    """diag(left) matrix diag(right), float32."""
    result = matrix.copy()
    result.data = (matrix.data * np.repeat(left, np.diff(matrix.indptr)) * right[matrix.indices]).astype(np.float32)
    return result
