"""How sources are mixed, learned from pools of users whose next items are known.

Weights are those under which the items that came next are likeliest, if each user picks from the pool with chances by
softmax of its scores (a multinomial logit; convex, with an L2 penalty, weights >= 0), then drawn towards the model's
own order as far as that ranks better. They are learned FOLDS times without a part of the users and judged on those, by
NDCG@10 user by user against the model's list alone. Only where that gain is above chance are they served; otherwise
the model's list stands first and the others fill up behind it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import InvalidConfig
from recommender.engine.learning.trees import Trees, grown
from recommender.engine.metrics import ndcg
from recommender.engine.options import Progress, no_progress
from recommender.engine.ranking.mixer import TERMS, Arrays, terms
from recommender.engine.ranking.sources import SOURCES, Pool, among

K = 10  # NDCG@10 decides
LEARNED = ("weights", "lambdamart")
FEW_USERS = 100  # of whom something came next; of fewer, nothing is learned
FOLDS = 3
SURE = 1.64  # standard errors that the gain must be above 0: 95 %, one-sided
NEGATIVES = 40  # of one user's candidates that did not come next, those that weights learn from
PENALTY = 1e-3  # of squared weights
LEAST_SHARE = 0.01  # of the weights: a source with less is not worth asking
STEPS = 60  # of the search for weights
TOWARDS = (0.25, 0.5, 0.75, 1.0)  # shares of learned weights against the model's own


@dataclass(frozen=True)
class Learned:
    arrays: Arrays
    """`weights` (3, S) and, for lambdamart, `trees/...`; nothing for "first"."""
    facts: dict[str, Any]
    """JSON: `kind`, `sources`, and figures: `users`, `model` and `mixed` (NDCG@10), `gain` with its `low` and `high`,
    and `weights`, the most that each source can add."""


@dataclass(frozen=True)
class Panel:
    """M candidates of V users."""

    told: NDArray[np.float32]
    """(V, M, 3 S)."""
    valid: NDArray[np.bool_]
    """(V, M)."""
    hits: NDArray[np.bool_]
    """(V, M): what came next."""
    relevant: NDArray[np.int64]
    """(V,): all that came next, in the pool or not."""

    @classmethod
    def of(cls, pools: Sequence[Pool], targets: Sequence[NDArray[np.int32]]) -> "Panel":
        """Of users with pools; `targets` are distinct rows, at least one each."""
        users, most = len(pools), max(len(pool) for pool in pools)
        told = np.zeros((users, most, TERMS * len(SOURCES)), dtype=np.float32)
        valid, hits = np.zeros((users, most), dtype=np.bool_), np.zeros((users, most), dtype=np.bool_)
        for user, (pool, wanted) in enumerate(zip(pools, targets, strict=True)):
            told[user, : len(pool)] = terms(pool)
            valid[user, : len(pool)] = True
            hits[user, : len(pool)] = among(pool.rows, wanted)
        return cls(told, valid, hits, np.array([len(wanted) for wanted in targets]))

    def where(self, users: NDArray[np.bool_]) -> "Panel":
        return Panel(self.told[users], self.valid[users], self.hits[users], self.relevant[users])

    def ndcg(self, scores: NDArray[np.float32], shown: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """NDCG@10 of each user with candidates by `scores` (V, M); of those `shown`, where it is not all."""
        shown = self.valid if shown is None else shown
        worth = np.where(shown, scores, -np.inf)
        k = min(K, worth.shape[1])
        top = np.sort(np.argpartition(-worth, k - 1, axis=1)[:, :k], axis=1)
        order = np.argsort(-np.take_along_axis(worth, top, 1), axis=1, kind="stable")
        rows = np.take_along_axis(top, order, 1)
        return ndcg(np.take_along_axis(self.hits & shown, rows, 1), self.relevant, K)

    def alone(self) -> NDArray[np.float64]:
        """NDCG@10 of each user by the model's list."""
        place = self.told[:, :, len(SOURCES) + SOURCES.index("model")]
        return self.ndcg(place, self.valid & (place > 0))

    def by_weights(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.ndcg(self.told @ weights.astype(np.float32).ravel())

    def by_trees(self, trees: Trees) -> NDArray[np.float64]:
        scores = np.zeros(self.valid.shape, dtype=np.float32)
        scores[self.valid] = trees.scores(self.told[self.valid])
        return self.ndcg(scores)


def learn(
    pools: Sequence[Pool],
    targets: Sequence[NDArray[np.int32]],
    *,
    kind: str = "weights",
    seed: int = 42,
    progress: Progress = no_progress,
) -> Learned | None:
    """What mixes V users' pools best, given the rows that each took next; None where too few users can be asked.

    Users without targets are left out. For "lambdamart", trees where they rank better than weights, else those.
    Raises InvalidConfig for another `kind`, or where LightGBM is wanted and not installed.
    """
    if kind not in LEARNED:
        raise InvalidConfig(f"{kind!r} is none of: {', '.join(LEARNED)}.")
    asked = [(pool, np.unique(rows)) for pool, rows in zip(pools, targets, strict=True) if len(rows)]
    if len(asked) < FEW_USERS or not any(len(pool) for pool, _ in asked):
        return None
    panel = Panel.of(*zip(*asked, strict=True))
    alone = panel.alone()
    fold = np.random.default_rng(seed).permutation(len(asked)) % FOLDS
    values = {name: np.zeros(len(asked)) for name in LEARNED[: 1 + LEARNED.index(kind)]}
    for number in range(FOLDS):
        progress(number / (FOLDS + 1), f"judged by part {number + 1} of {FOLDS} of the users")
        rest, own = panel.where(fold != number), panel.where(fold == number)
        values["weights"][fold == number] = own.by_weights(weigh(rest, seed))
        if kind == "lambdamart":
            values[kind][fold == number] = own.by_trees(grow(rest, seed, progress))
    chosen = max(values, key=lambda name: float(values[name].mean()))
    gains = values[chosen] - alone
    error = SURE * float(gains.std() / np.sqrt(len(gains)))
    gain = float(gains.mean())
    figures: dict[str, Any] = {
        "users": len(asked),
        "model": float(alone.mean()),
        "mixed": float(values[chosen].mean()),
        "gain": {"value": gain, "low": gain - error, "high": gain + error},
    }
    if gain <= error:
        return Learned({}, {"kind": "first", "sources": list(SOURCES), "tried": chosen, **figures, "weights": {}})
    weights = weigh(panel, seed)
    weights /= weights.sum()
    arrays = {"weights": weights.astype(np.float32)}
    if chosen == "lambdamart":
        arrays |= grow(panel, seed, progress).as_arrays()
    most = dict(zip(SOURCES, weights.sum(axis=0).round(4).tolist(), strict=True))
    return Learned(arrays, {"kind": chosen, "sources": list(SOURCES), **figures, "weights": most})


def grow(panel: Panel, seed: int, progress: Progress) -> Trees:
    users = panel.hits.any(axis=1)
    valid = panel.valid[users]
    return grown(panel.told[users][valid], panel.hits[users][valid], valid.sum(axis=1), seed, progress)


def weigh(panel: Panel, seed: int) -> NDArray[np.float64]:
    """(3, S) weights for these users; those of the model's list alone where nothing that came next is in any pool."""
    model = np.zeros((TERMS, len(SOURCES)))
    model[:2, SOURCES.index("model")] = 0.5
    found = np.asarray(panel.hits.any(axis=1))
    if not found.any():
        return model
    learned = _logit(panel.where(found), seed)
    learned[:, learned.sum(axis=0) < LEAST_SHARE * learned.sum()] = 0
    if not learned.any():
        return model
    learned /= learned.sum()
    # Their order is the model's own at 0; what is best for the likelihood need not be for the first ten places.
    tried = [learned * share + model * (1 - share) for share in TOWARDS]
    return max([model, *tried], key=lambda weights: float(panel.by_weights(weights).mean()))


def _logit(panel: Panel, seed: int) -> NDArray[np.float64]:
    """Weights (3, S) >= 0 that minimise, over users, the mean of -log softmax of what came next, plus PENALTY |w|^2."""
    from scipy.optimize import minimize  # not at the top: web processes open mixers, only workers learn them

    chance = np.where(panel.valid, np.random.default_rng(seed).random(panel.valid.shape), np.inf)
    chance[panel.hits] = -1  # what came next is always among those kept
    kept = np.sort(np.argsort(chance, axis=1)[:, : NEGATIVES + int(panel.hits.sum(axis=1).max())], axis=1)
    told = np.take_along_axis(panel.told, kept[:, :, None], 1)
    valid = np.take_along_axis(panel.valid, kept, 1)
    hits = np.take_along_axis(panel.hits, kept, 1)
    wanted = hits / hits.sum(axis=1, keepdims=True)
    flat = told.reshape(-1, told.shape[2])

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scores = np.where(valid, (flat @ weights.astype(np.float32)).reshape(valid.shape), -np.inf)
        scores -= scores.max(axis=1, keepdims=True)
        chances = np.exp(scores)
        total = chances.sum(axis=1, keepdims=True)
        chances /= total
        likelihood = np.where(hits, scores - np.log(total), 0) * wanted
        slope = ((chances - wanted).astype(np.float32).ravel() @ flat) / len(hits)
        penalty = PENALTY * weights
        return float(-likelihood.sum() / len(hits) + penalty @ weights), slope.astype(np.float64) + 2 * penalty

    begin = np.full(flat.shape[1], 0.1)
    found = minimize(
        loss, begin, jac=True, method="L-BFGS-B", bounds=[(0, None)] * len(begin), options={"maxiter": STEPS}
    )
    return np.asarray(found.x, dtype=np.float64).reshape(TERMS, len(SOURCES))
