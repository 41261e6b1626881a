"""Item-item nearest neighbours: what else did those take who took this, or what did they take next?

Two ways of counting pairs, over users u and their distinct liked items i with strength x_ui:

    together  c_ij = sum_u x_ui x_uj                                    (Sarwar, Karypis, Konstan, Riedl 2001)
    sequence  c_ij = sum_u sum_{j at most `window` after i} x_ui x_uj / gap,  plus `backward` times c_ji
                                                                        (sequential rules: Kamehkhosh et al. 2017)

and one similarity, w_ij = (c_ij / ((n_i + s)^a (n_j + s)^b)) ** q with n_i = sum_u x_ui^2, which is the cosine at
a = b = 1/2, q = 1, s = 0. Less than 1/2 for b leaves popular items some of their lead; q below 1 dampens frequent
pairs as a logarithm would, above 1 trusts the nearest. The K largest of each row are kept (Deshpande, Karypis 2004).
A score is sum_i x_i 2^(-age_i / half life) w_ij, age counted in distinct items that came later.

Dislikes teach nothing here, for two who dislike the same have not said that it belongs together; asked with one,
its neighbours lose what a like would have given them.
Fitting costs O(sum_u n_u^2) together or O(E window) in sequence; memory 8 N K bytes, one copy of the events and blocks.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN, Interactions
from recommender.engine.errors import InvalidConfig, NoData, NotFinite
from recommender.engine.trainers import Arrays, Options, neighbours
from recommender.engine.trainers.neighbours import NeighboursQuery, Told, check, strengths

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK_PAIRS = 4_000_000  # pairs counted at once: at most 250 MB
BM25_K1, BM25_B = 1.2, 0.75  # saturation and share of length normalisation, as text retrieval has them
COUNTING = ("together", "sequence")
WEIGHTING = ("cosine", "tfidf", "bm25")


@dataclass(frozen=True)
class ItemKnnConfig:
    counting: str = field(default="together", metadata={"tune": COUNTING})
    """Which pairs count: `together`, all that one user has; `sequence`, those that follow one another. `sequence` reads
    the order of events, so it wants times that mean something."""
    weighting: str = field(default="bm25", metadata={"tune": WEIGHTING})
    """What a user's item says: `cosine`, the same whoever says it; `tfidf`, times log(1 + N / n_u), so that those who
    took few items say more; `bm25`, the same and saturating sooner for those who took many."""
    power: float = field(default=0.0, metadata={"tune": (0.0, 0.5)})
    """Strength of an item in a history: |summed weight| ** power. 0 makes all likes alike."""
    neighbours: int = field(default=200, metadata={"tune": (50, 200, 500)})
    """K, neighbours kept per item."""
    half_life_items: float = field(default=50.0, metadata={"tune": (0.0, 2.0, 10.0, 50.0, 100.0)})
    """Later distinct items after which an item of a history counts half; 0 turns that off, as it should be where times
    mean nothing. `sequence` wants about 2."""
    source_power: float = field(default=0.5, metadata={"tune": (0.3, 0.5, 0.75)})
    """a: how much a popular item of the history says less."""
    target_power: float = field(default=0.5, metadata={"tune": (0.1, 0.3, 0.5)})
    """b: how much a popular item is recommended less."""
    sharpness: float = field(default=1.5, metadata={"tune": (0.4, 0.7, 1.0, 1.5)})
    """q: what similarities are raised to. `sequence` wants less, about 0.4 to 0.7, with b at 0.1 to 0.3."""
    shrinkage: float = field(default=0.0, metadata={"tune": (0.0, 0.1, 1.5)})
    """s, in parts of the average item's n: pairs of rare items, which may have met by chance, count less."""
    window: int = field(default=10, metadata={"tune": (5, 10, 20)})
    """Distinct items that follow an item and count as its next; for `sequence`."""
    backward: float = field(default=0.1, metadata={"tune": (0.0, 0.1, 0.5)})
    """What a pair counts against its order, 0 to 1; for `sequence`."""

    def __post_init__(self) -> None:
        for name, known in (("counting", COUNTING), ("weighting", WEIGHTING)):
            if getattr(self, name) not in known:
                raise InvalidConfig(f"{name} must be one of {', '.join(known)}.")
        for name in ("power", "source_power", "target_power"):
            check(name, getattr(self, name), 0, 2)
        check("neighbours", self.neighbours, 1, 10_000, whole=True)
        check("window", self.window, 1, 1000, whole=True)
        check("backward", self.backward, 0, 1)
        check("sharpness", self.sharpness, 0.01, 10)
        check("half_life_items", self.half_life_items, 0)
        check("shrinkage", self.shrinkage, 0)


class ItemKnnTrainer:
    Config = ItemKnnConfig

    @staticmethod
    @np.errstate(over="ignore", invalid="ignore")  # what comes of it is looked at in the end
    def fit(data: Interactions, config: ItemKnnConfig, options: Options) -> Arrays:
        """`rows` int32 (N, K), UNKNOWN where an item has fewer neighbours; `weights` float32 (N, K), 0 there.

        Runs in one thread, whatever is allowed. Raises NoData, NotFinite.
        """
        n = data.shape[1]
        users, items, x = _likes(data, config)
        norms = np.bincount(items, weights=x.astype(np.float64) ** 2, minlength=n)
        norms = norms + config.shrinkage * norms[norms > 0].mean()
        safe = np.where(norms > 0, norms, 1.0)
        source, target = safe**-config.source_power, safe**-config.target_power
        k = max(1, min(config.neighbours, n - 1))
        rows, weights = np.full((n, k), UNKNOWN, np.int32), np.zeros((n, k), np.float32)
        count = _together if config.counting == "together" else _sequence
        for first, pairs in count(users, items, x, n, config):
            options.progress(first / n, f"item {first + 1} of {n}")
            for row in range(pairs.shape[0]):
                part = slice(pairs.indptr[row], pairs.indptr[row + 1])
                others, item = pairs.indices[part], first + row
                similar = pairs.data[part] * source[item] * target[others]
                similar[others == item] = 0
                rows[item], weights[item] = neighbours.best(others, (similar**config.sharpness).astype(np.float32), k)
        if not np.isfinite(weights).all():
            raise NotFinite("Lower power or sharpness.")
        options.progress(1.0, "all items")
        return {"rows": rows, "weights": weights}

    @staticmethod
    def query(arrays: Arrays, config: ItemKnnConfig) -> NeighboursQuery:
        return neighbours.query(arrays, config.power, config.half_life_items)


def _likes(
    data: Interactions, config: ItemKnnConfig
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32]]:
    """user_rows, item_rows and strengths x of all liked pairs (M,), by user and then in order. Raises NoData."""
    told = Told.of(data.histories(), max(1, data.shape[1]))
    liked = told.sums > 0
    if not liked.any():
        raise NoData()
    users, items, x = told.user_rows[liked], told.item_rows[liked], strengths(told.sums[liked], config.power)
    if config.weighting != "cosine":
        lengths = np.bincount(users)
        if config.weighting == "bm25":
            relative = lengths / lengths[lengths > 0].mean()
            x = x * (BM25_K1 + 1) / (x + BM25_K1 * (1 - BM25_B + BM25_B * relative[users]))
        x = x * np.log1p(data.shape[1] / lengths[users])
    return users, items, x.astype(np.float32)


def _together(
    users: NDArray[np.int64], items: NDArray[np.int32], x: NDArray[np.float32], n: int, config: ItemKnnConfig
) -> Iterator[tuple[int, "csr_matrix"]]:
    """(first item of a block, c of the block's items with all others), over blocks of bounded memory."""
    from scipy.sparse import csr_matrix

    taken = csr_matrix((x, (users, items)), shape=(int(users[-1]) + 1, n))
    by_item = taken.T.tocsr()
    met = csr_matrix((np.ones_like(x), by_item.indices, by_item.indptr), by_item.shape) @ np.diff(taken.indptr)
    for start, stop in _blocks(np.minimum(met, n)):
        pairs = (by_item[start:stop] @ taken).tocsr()
        pairs.sort_indices()
        yield start, pairs


def _sequence(
    users: NDArray[np.int64], items: NDArray[np.int32], x: NDArray[np.float32], n: int, config: ItemKnnConfig
) -> Iterator[tuple[int, "csr_matrix"]]:
    """The same for items that follow one another."""
    from scipy.sparse import csr_matrix

    gaps = np.arange(1, config.window + 1)
    steps, factors = gaps, 1 / gaps
    if config.backward:
        steps, factors = np.concatenate((gaps, -gaps)), np.concatenate((factors, config.backward * factors))
    order = np.argsort(items, kind="stable")
    bounds = np.searchsorted(items[order], np.arange(n + 1))
    for start, stop in _blocks(np.diff(bounds) * len(steps)):
        events = order[bounds[start] : bounds[stop]]
        later = events[:, None] + steps
        inside = np.clip(later, 0, len(items) - 1)
        event, step = np.nonzero((later == inside) & (users[inside] == users[events][:, None]))
        here, there = events[event], later[event, step]
        values = (x[here] * x[there] * factors[step]).astype(np.float32)
        pairs = csr_matrix((values, (items[here] - start, items[there])), shape=(stop - start, n))
        pairs.sort_indices()
        yield start, pairs


def _blocks(pairs: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Consecutive ranges of items whose `pairs` (N,) sum to BLOCK_PAIRS at most, or of one item."""
    ends = np.cumsum(pairs)
    start = 0
    while start < len(pairs):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + BLOCK_PAIRS, side="right")))
        yield start, stop
        start = stop
