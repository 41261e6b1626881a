"""What `blend` does with `lambdamart`: parts' scores put into one order by boosted trees instead of a weighted sum.

Trees learn from users with held-out items, whose candidates are the DEPTH best of every part; they are told each part's
score in units of its spread, 1 / (60 + rank) up to rank DEPTH, how many took the item (log) and how long the history is
(log), and are taught by LambdaMART (`learning/trees.py`). What is no candidate of any part, or had already, stands
below them in the order of the weighted sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories
from recommender.engine.learning.trees import Trees, grown
from recommender.engine.metrics import ndcg
from recommender.engine.options import Progress
from recommender.engine.trainers import Query
from recommender.engine.trainers.parts import FEW_USERS, Judge, K, Scale, best, hidden

if TYPE_CHECKING:
    from recommender.engine.trainers.blend import BlendQuery

DEPTH = 50  # best items by each part that trees learn to order, and the last rank that they are told
SERVED = 200  # best items by each part that they order when asked
RANK_OFFSET = 60
FOLDS = 3  # each costs as much as learning does


@dataclass(frozen=True)
class Panel:
    """M candidates of V users."""

    told: NDArray[np.float32]
    """(V, M, F)."""
    valid: NDArray[np.bool_]
    """(V, M)."""
    hits: NDArray[np.bool_]
    """(V, M)."""
    relevant: NDArray[np.int64]
    """(V,): held-out items, among the candidates or not."""

    @classmethod
    def of(
        cls, judge: Judge, queries: Sequence[Query], scale: Scale, popularity: NDArray[np.float32], progress: Progress
    ) -> "Panel":
        told, valid, hits = [], [], []
        for users, batch, truth in judge.batches(len(queries)):
            progress(users.start / len(judge), "candidates")
            scores = [scale(np.asarray(query.scores(batch), dtype=np.float32)) for query in queries]
            rows, shown = candidates(scores, batch, DEPTH)
            told.append(tell(scores, rows, shown, popularity, batch))
            valid.append(shown)
            hits.append(np.take_along_axis(truth, rows, 1) & shown)
        return cls(np.concatenate(told), np.concatenate(valid), np.concatenate(hits), np.diff(judge.indptr))

    def ndcg(self, trees: Trees, users: NDArray[np.bool_]) -> NDArray[np.float64]:
        """NDCG@10 of some users with the trees' order."""
        scores = np.full(self.valid[users].shape, -np.inf, dtype=np.float32)
        scores[self.valid[users]] = trees.scores(self.told[users][self.valid[users]])
        return ndcg(np.take_along_axis(self.hits[users], best(scores, K), 1), self.relevant[users], K)


@dataclass(frozen=True)
class LambdamartQuery:
    parts: tuple[Query, ...]
    linear: "BlendQuery"
    """Their weighted sum."""
    trees: Trees
    popularity: NDArray[np.float32]
    scale: Scale
    item_vectors: None = None

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        raise NotImplementedError("A blend has no vectors.")

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        result = np.array(self.linear.scores(histories), dtype=np.float32)
        scores = [self.scale(np.asarray(part.scores(histories), dtype=np.float32)) for part in self.parts]
        rows, shown = candidates(scores, histories, SERVED)
        told = tell(scores, rows, shown, self.popularity, histories)
        for line, own, valid, facts in zip(result, rows, shown, told, strict=True):
            ordered = self.trees.scores(facts[valid])
            line -= line.max(initial=0) + 1 - ordered.min(initial=0)  # so that all others are below
            line[own[valid]] = ordered
        return result

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """An attribution: the weighted sum's own contributions, and what the trees change about their sum shared out in
        proportion to them, for trees do not say which event they heed."""
        own = np.array(self.linear.contributions(histories, item_rows), dtype=np.float32)
        if not len(own):
            return own
        missing = self.scores(histories)[0, item_rows] - own.sum(axis=0)
        size = np.abs(own)
        total = size.sum(axis=0)
        share = np.divide(size, total, out=np.full_like(size, 1 / len(own)), where=total > 0)
        return np.asarray(own + missing * share)

    def neighbours(self, item_row: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """As the weighted sum has them: trees order for a person, and say nothing of how near two items are."""
        return self.linear.neighbours(item_row, k)


def candidates(
    scores: Sequence[NDArray[np.float32]], histories: Histories, depth: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The items (B, M) that are among the `depth` best of any part and new to the user, by row; and which of them are
    no repeats."""
    tops = [best(hidden(part.copy(), histories), depth) for part in scores]
    rows = np.sort(np.concatenate(tops, axis=1), axis=1)
    shown = np.concatenate((np.ones((len(rows), 1), np.bool_), rows[:, 1:] != rows[:, :-1]), axis=1)
    known = np.zeros(scores[0].shape, dtype=np.bool_)
    known[histories.user_rows, histories.item_rows] = True
    return rows, shown & ~np.take_along_axis(known, rows, 1)


def tell(
    scores: Sequence[NDArray[np.float32]],
    rows: NDArray[np.int64],
    shown: NDArray[np.bool_],
    popularity: NDArray[np.float32],
    histories: Histories,
) -> NDArray[np.float32]:
    """What trees are told of each candidate, (B, M, F)."""
    told = []
    for part in scores:
        own = np.take_along_axis(part, rows, 1)
        order = np.argsort(np.where(shown, -own, np.inf), axis=1, kind="stable")
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), 1)
        told += [own, np.where(rank < DEPTH, 1 / (RANK_OFFSET + 1 + rank), 0)]
    lengths = np.log1p(np.diff(histories.indptr))[:, None]
    told += [popularity[rows], np.broadcast_to(lengths, rows.shape)]
    return np.stack(told, axis=-1).astype(np.float32)


def learn(panel: Panel, linear: float, seed: int, progress: Progress) -> Trees | None:
    """Trees, where their order gains over `linear`, a mean NDCG@10, on users they were not learned from; else None.

    Raises InvalidConfig where LightGBM is not installed.
    """
    users = len(panel.relevant)
    if users < FEW_USERS:
        return None
    fold = np.random.default_rng(seed).permutation(users) % FOLDS
    values = np.zeros(users)
    for number in range(FOLDS):
        progress(number / (FOLDS + 1), f"trees, judged by part {number + 1} of {FOLDS} of the users")
        trees = grow(panel, fold != number, seed, progress)
        if trees is None:
            return None
        values[fold == number] = panel.ndcg(trees, fold == number)
    progress(FOLDS / (FOLDS + 1), f"trees: NDCG@10 {values.mean():.4f}, weights {linear:.4f}")
    return grow(panel, np.ones(users, np.bool_), seed, progress) if values.mean() > linear else None


def grow(panel: Panel, users: NDArray[np.bool_], seed: int, progress: Progress) -> Trees | None:
    """Trees that some users teach; None where no user's candidates hold what was held out."""
    users = users & panel.hits.any(axis=1)
    if not users.any():
        return None
    valid = panel.valid[users]
    return grown(panel.told[users][valid], panel.hits[users][valid], valid.sum(axis=1), seed, progress)
