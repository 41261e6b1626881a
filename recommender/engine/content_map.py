"""What a model would score items that nobody took yet, learned from what items say of themselves.

Ridge regression over the items that the model knows. With contents c_i (F,), each with a constant behind it, targets
t_i and the trust q_i = n_i^beta in an item that n_i users took,

    W = argmin  sum_i q_i |t_i - W' c_i|^2 + lambda |W|^2 = (C' Q C + lambda I)^-1 C' Q T

Where a score is the inner product of two vectors, the targets are the items' vectors, and W (F+1, D) makes a vector of
a new item's content (Gantner et al. 2010, "Learning Attribute-to-Feature Mappings for Cold-Start Recommendations").
Where it is not, the targets are the scores that all known items have for whoever asks, s (N,): then W = M s with
M = (C' Q C + lambda I)^-1 C' Q (F+1, N), and a new item's score is a mean of what the model scores items like it,
weighted by c' M.

Both are settled by items that are known but treated as new, a fold at a time: lambda and beta by how early their takers
find them among each other (NDCG); and scale and offset, by least squares of what the model scores them on what the map
does, so that new items can stand between known ones. Users are asked without what they took of the fold, and only the
highest of each by the map count: there a page is decided. What can be expected of an item varies less than what
becomes of it, so that few new items get the very high scores that pages are made of. A second pair of numbers therefore
fits the map's highest scores to the model's highest, rank by rank; `hope` goes from the first to the second.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.vectors import unit
from recommender.engine.index.exact import top_k
from recommender.engine.metrics import ndcg, recall
from recommender.engine.options import Options
from recommender.engine.trainers import Arrays, Query

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

LAMBDAS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)  # q has mean 1 and contents have length 1: in items
BETAS = (0.0, 0.5)
FOLDS = 5
K = 20  # length of the lists that decide
USERS = 500  # asked in each fold, at most
SCORES_BYTES = 64 * 2**20  # of scores that are held at once, which may mean fewer users
HELD = 2_000  # of a fold's items looked at, at most
FEWEST = 10  # items with content that were taken, below which nothing can be learned or judged
MOST = 200_000  # items learned from: those that most users took
MEAN = 10.0  # behind each content: large, so that lambda hardly pulls the mean towards 0
BLOCK = 8_192  # items added up at once, in float64
TOP_SHARE = 0.1  # of a user's items, the highest: what scale and offset are fitted to
TOP_FEWEST = 5  # items
SURE = 2.0  # standard errors by which a useful map is better than chance


@dataclass(frozen=True)
class Placed:
    """New items, where the map puts them."""

    vectors: NDArray[np.float32] | None
    """(C, D), beside the model's own; None where it has none."""
    contents: NDArray[np.float32]
    """(C, F+1)."""
    shares: NDArray[np.float32] | None
    """(C, N): c' M, where new items are so few that it is smaller than M, and there are no vectors."""
    map: "ContentMap"

    def scores(self, query: Query, histories: Histories) -> NDArray[np.float32]:
        """(B, C): comparable with the model's own. O(C D) each, or O(min(C, F) N + C F) for a model without vectors."""
        if self.vectors is not None:
            told = query.vectors(histories) @ self.vectors.T
        elif self.shares is not None:
            told = query.scores(histories) @ self.shares.T
        else:
            told = (query.scores(histories) @ self.map.weights.T) @ self.contents.T
        return np.asarray(self.map.scale * told + self.map.offset, dtype=np.float32)


@dataclass(frozen=True)
class ContentMap:
    weights: NDArray[np.float32]
    """W (F+1, D) for a model with vectors, M (F+1, N) for one without."""
    scale: float
    offset: float

    @classmethod
    def open(cls, arrays: Arrays, hope: float = 0.0) -> "ContentMap":
        """`hope` from 0, for scores as they are to be expected, to 1, for as many high ones as known items have."""
        expected, even = arrays["calibration"].astype(np.float64)
        scale, offset = ((1 - hope) * expected + hope * even).tolist()
        return cls(arrays["weights"], scale, offset)

    @property
    def width(self) -> int:
        """F."""
        return len(self.weights) - 1

    def place(self, query: Query, contents: NDArray[np.float32]) -> Placed:
        """`contents` float32 (C, F), of the kind that it was learned from; `query` is the model's it belongs to."""
        told = _with_one(contents)
        if query.item_vectors is not None:
            return Placed(_shaped(told @ self.weights, query.item_vectors), told, None, self)
        return Placed(None, told, told @ self.weights if len(told) < len(self.weights) else None, self)


@dataclass(frozen=True)
class Learned:
    arrays: Arrays
    """`weights` (see ContentMap) and `calibration` (2, 2): scale and offset by pairs, and by ranks. Empty where the map
    finds new items no better than chance."""
    figures: Mapping[str, Any]
    """On known items treated as new, as JSON: `ndcg@20` and `recall@20`, of it and of `chance`; `items` learned from;
    `lambda`, `beta`, `scale`, `offset`; whether it is `useful`."""


def learn(data: Interactions, query: Query, contents: NDArray[np.float32], options: Options) -> Learned | None:
    """`query` learned from `data`; `contents` float32 (N, F), 0 where nothing is known of an item.

    None where too few items were taken, or too few users took several, to learn or judge anything. O(N F^2 + F^3).
    Raises whatever `options.progress` raises.
    """
    from threadpoolctl import threadpool_limits

    liked = data.where(data.weights > 0)
    takers = np.bincount(np.unique(liked.user_rows * np.int64(len(data.items)) + liked.item_rows) % len(data.items),
                         minlength=len(data.items))  # fmt: skip
    known = np.flatnonzero((takers > 0) & contents.any(axis=1))
    known = np.sort(known[np.argsort(-takers[known], kind="stable")[:MOST]])
    if len(known) < FEWEST:
        return None
    world = _World(query, _with_one(contents), takers, known, np.random.default_rng(options.seed).permutation(known))
    with threadpool_limits(limits=options.threads):
        asked = list(_asked(liked, world, options.seed))
        if not asked:
            return None
        chosen, figures = _choose(world, asked, options)
        lambda_, beta = chosen
        calibration = _calibration(world, asked, lambda_, beta)
        scale, offset = calibration[0].tolist()
        useful = bool(figures.pop("sure")) and scale > 0
        figures |= {"items": len(known), "lambda": lambda_, "beta": beta, "scale": scale, "offset": offset}
        figures["useful"] = useful
        if not useful:
            return Learned({}, figures)
        weights = world.learned(lambda_, beta)
    return Learned({"weights": weights, "calibration": calibration.astype(np.float32)}, figures)


@dataclass(frozen=True)
class _World:
    query: Query
    contents: NDArray[np.float32]
    """(N, F+1)."""
    takers: NDArray[np.int64]
    """n, (N,)."""
    known: NDArray[np.int64]
    """Rows of the items that can be learned from, ascending."""
    shuffled: NDArray[np.int64]

    def fold(self, number: int) -> NDArray[np.int64]:
        return self.shuffled[number::FOLDS]

    def trust(self, rows: NDArray[np.int64], beta: float) -> NDArray[np.float64]:
        """q of these items, of mean 1 over all known ones."""
        mean = float((self.takers[self.known].astype(np.float64) ** beta).mean())
        return self.takers[rows].astype(np.float64) ** beta / mean

    def weights(
        self, rows: NDArray[np.int64], targets: NDArray[np.float32] | None, beta: float, lambdas: Sequence[float]
    ) -> Iterator[NDArray[np.float32]]:
        """W (F+1, T) for targets (N, T), learned from these items, by each lambda; M (F+1, len(rows)) without targets.

        O(n F^2 + F^3) for n items, or O(n^2 F + n^3) where they are fewer than F.
        """
        from scipy.linalg import cho_factor, cho_solve

        width, sure = self.contents.shape[1], np.sqrt(self.trust(rows, beta))
        if len(rows) < width:  # W = A' (A A' + lambda I)^-1 Q^(1/2) T with A = Q^(1/2) C, which is the same
            content = self.contents[rows] * sure[:, None]
            gram = content @ content.T
            right = np.diag(sure) if targets is None else targets[rows] * sure[:, None]
        else:
            gram = np.zeros((width, width))
            right = np.zeros((width, len(rows) if targets is None else targets.shape[1]))
            for start in range(0, len(rows), BLOCK):
                some = slice(start, start + BLOCK)
                content = self.contents[rows[some]] * sure[some, None]
                gram += content.T @ content
                if targets is None:
                    right[:, some] = content.T * sure[some]
                else:
                    right += content.T @ (targets[rows[some]] * sure[some, None])
        for lambda_ in lambdas:
            found = cho_solve(cho_factor(gram + lambda_ * np.eye(len(gram))), right)
            yield np.asarray(content.T @ found if len(rows) < width else found, dtype=np.float32)

    def learned(self, lambda_: float, beta: float) -> NDArray[np.float32]:
        """W or M from all known items, see the module."""
        [weights] = self.weights(self.known, self.query.item_vectors, beta, [lambda_])
        if self.query.item_vectors is not None:
            return weights
        spread = np.zeros((len(weights), len(self.contents)), dtype=np.float32)
        spread[:, self.known] = weights
        return spread


@dataclass(frozen=True)
class _Fold:
    """Known items treated as new, and users who took some of them beside others."""

    rest: NDArray[np.int64]
    """Rows of the known items that are not in the fold."""
    held: NDArray[np.int64]
    """Rows (H,) of the fold's items that are looked at."""
    histories: Histories
    """Of the users (B,), without the fold's items."""
    truth: NDArray[np.bool_]
    """(B, H): who took what."""
    targets: NDArray[np.float32]
    """(N, D) item vectors, or (N, B) what all items score for the users."""
    vectors: NDArray[np.float32] | None
    """(B, D) the users', or None where targets are scores."""

    def scores(self, world: _World, weights: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, H), by the map that `weights` (F+1, T) make of the targets; neither scaled nor moved."""
        placed = world.contents[self.held] @ weights
        if self.vectors is None:
            return placed.T
        return self.vectors @ _shaped(placed, self.targets).T

    def by_model(self) -> NDArray[np.float32]:
        """(B, H): what the model itself scores them."""
        own = self.targets[self.held]
        return own.T if self.vectors is None else self.vectors @ own.T


def _asked(liked: Interactions, world: _World, seed: int) -> Iterator[_Fold]:
    random = np.random.default_rng(seed)
    several = np.flatnonzero(np.diff(liked.indptr) > 1)
    several = random.permutation(several)[: FOLDS * USERS]
    sample = liked.where(np.isin(liked.user_rows, several))
    taken: csr_matrix = sample.matrix > 0
    most = max(1, min(USERS, SCORES_BYTES // (4 * len(world.contents))))
    for number in range(FOLDS):
        fold = world.fold(number)
        held = np.sort(fold[:HELD])
        kept = sample.where(~np.isin(sample.item_rows, fold))
        users = several[
            (np.asarray(taken[several][:, held].sum(axis=1)).ravel() > 0) & (np.diff(kept.indptr)[several] > 0)
        ]
        users = users[:most]
        if not len(users):
            continue
        histories = kept.histories(users)
        query, vectors = world.query, None
        if query.item_vectors is not None:
            targets, vectors = query.item_vectors, query.vectors(histories)
        else:
            targets = np.ascontiguousarray(query.scores(histories).T)
        rest = np.setdiff1d(world.known, fold)
        yield _Fold(rest, held, histories, taken[users][:, held].toarray(), targets, vectors)


def _choose(world: _World, asked: list[_Fold], options: Options) -> tuple[tuple[float, float], dict[str, Any]]:
    """lambda and beta, and how well they do; `sure` says whether better than chance."""
    tried: dict[tuple[float, float], list[NDArray[np.float64]]] = {pair: [] for pair in product(LAMBDAS, BETAS)}
    found: dict[tuple[float, float], list[NDArray[np.float64]]] = {pair: [] for pair in tried}
    chance: list[NDArray[np.float64]] = []
    chance_found: list[NDArray[np.float64]] = []
    random = np.random.default_rng(options.seed)
    for number, fold in enumerate(asked):
        for beta in BETAS:
            options.progress((number + beta) / len(asked), f"known items as if new, fold {number + 1}")
            found_by = world.weights(fold.rest, fold.targets, beta, LAMBDAS)
            for lambda_, weights in zip(LAMBDAS, found_by, strict=True):
                early, caught = _judged(fold.scores(world, weights), fold.truth)
                tried[lambda_, beta].append(early)
                found[lambda_, beta].append(caught)
        early, caught = _judged(random.random(fold.truth.shape, dtype=np.float32), fold.truth)
        chance.append(early)
        chance_found.append(caught)
    best = max(tried, key=lambda pair: float(np.concatenate(tried[pair]).mean()))
    mine, theirs = np.concatenate(tried[best]), np.concatenate(chance)
    gained = mine - theirs
    error = float(gained.std() / np.sqrt(len(gained)))
    return best, {
        f"ndcg@{K}": float(mine.mean()),
        f"recall@{K}": float(np.concatenate(found[best]).mean()),
        "chance": {f"ndcg@{K}": float(theirs.mean()), f"recall@{K}": float(np.concatenate(chance_found).mean())},
        "sure": float(gained.mean()) > SURE * error,
    }


def _judged(scores: NDArray[np.float32], truth: NDArray[np.bool_]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """NDCG and recall of each user, (B,)."""
    best, _ = top_k(scores, K)
    hits, wanted = np.take_along_axis(truth, best, axis=1), truth.sum(axis=1)
    return ndcg(hits, wanted, K), recall(hits, wanted, K)


def _calibration(world: _World, asked: list[_Fold], lambda_: float, beta: float) -> NDArray[np.float64]:
    """Scale and offset that make of the map's score the model's, pair by pair and rank by rank, (2, 2); see the
    module."""
    mapped, real, ranked = [], [], []
    for fold in asked:
        [weights] = world.weights(fold.rest, fold.targets, beta, [lambda_])
        own, highest = fold.by_model(), max(TOP_FEWEST, round(TOP_SHARE * len(fold.held)))
        best, top = top_k(fold.scores(world, weights), highest)
        mapped.append(top.ravel())
        real.append(np.take_along_axis(own, best, axis=1).ravel())
        ranked.append(top_k(own, highest)[1].ravel())
    x = np.concatenate(mapped).astype(np.float64)
    return np.array([_line(x, np.concatenate(parts).astype(np.float64)) for parts in (real, ranked)])


def _line(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """a and b of y = a x + b by least squares; a is 0 where all x are alike."""
    spread = float(((x - x.mean()) ** 2).mean())
    a = float(((x - x.mean()) * (y - y.mean())).mean()) / spread if spread > 0 else 0.0
    return a, float(y.mean() - a * x.mean())


def _with_one(contents: NDArray[np.float32]) -> NDArray[np.float32]:
    """Contents (N, F) of length 1, with the same number behind each: (N, F+1)."""
    behind = np.full((len(contents), 1), MEAN, dtype=np.float32)
    return np.hstack((unit(np.asarray(contents, dtype=np.float32)), behind))


def _shaped(vectors: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of length 1 where all that are known are, or nothing."""
    lengths = np.linalg.norm(known[:: max(1, len(known) // 1000)], axis=1)
    return unit(vectors) if np.all((np.abs(lengths - 1) < 1e-3) | (lengths == 0)) else vectors
