"""What `blend` does with `lambdamart`: parts' scores put into one order by boosted trees instead of a weighted sum.

Trees learn from users with held-out items, whose candidates are the DEPTH best of every part; they are told each part's
score in units of its spread, 1 / (60 + rank) up to rank DEPTH, how many took the item (log) and how long the history is
(log), and are taught by LambdaMART (Burges 2010, "From RankNet to LambdaRank to LambdaMART"): the gradient of a pair is
what swapping it would change in NDCG.

Serving knows no LightGBM: trees are arrays, walked for all candidates at once in O(trees levels) per candidate. What is
no candidate of any part, or had already, stands below them in the order of the weighted sum.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories
from recommender.engine.errors import InvalidConfig
from recommender.engine.metrics import ndcg
from recommender.engine.options import Progress
from recommender.engine.trainers import Arrays, Query
from recommender.engine.trainers.parts import FEW_USERS, Judge, K, Scale, best, hidden

if TYPE_CHECKING:
    from recommender.engine.trainers.blend import BlendQuery

DEPTH = 50  # best items by each part that trees learn to order, and the last rank that they are told
SERVED = 200  # best items by each part that they order when asked
RANK_OFFSET = 60
TREES, LEAVES, LEVELS, RATE = 60, 7, 5, 0.05
FEWEST_ROWS = 300  # in a leaf
FOLDS = 3  # each costs as much as learning does
BLOCK = 4096  # rows walked at once: 100 trees times these fit a cache


@dataclass(frozen=True)
class Trees:
    """T trees of up to S nodes, the first the root; a leaf leads to itself. Each array is (T, S)."""

    features: NDArray[np.int32]
    thresholds: NDArray[np.float64]
    """Up to these, inclusive, a row goes left."""
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    values: NDArray[np.float64]

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The sum of the leaves that each row (R, F) falls into, (R,)."""
        result = np.zeros(len(rows), dtype=np.float32)
        trees = np.arange(len(self.features))[:, None]
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            places, nodes = np.arange(len(block)), np.zeros((len(trees), len(block)), dtype=np.int32)
            for _ in range(LEVELS):
                goes_left = block[places, self.features[trees, nodes]] <= self.thresholds[trees, nodes]
                nodes = np.where(goes_left, self.left[trees, nodes], self.right[trees, nodes])
            result[start : start + BLOCK] = self.values[trees, nodes].sum(axis=0)
        return result

    def as_arrays(self) -> Arrays:
        return {f"trees/{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, arrays: Arrays) -> "Trees":
        return cls(*(arrays[f"trees/{field.name}"] for field in fields(cls)))


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
    try:
        import lightgbm
    except ImportError as error:
        raise InvalidConfig("lambdamart needs LightGBM: pip install -r requirements-extras.txt.") from error
    users = users & panel.hits.any(axis=1)
    if not users.any():
        return None
    valid = panel.valid[users]
    data = lightgbm.Dataset(panel.told[users][valid], panel.hits[users][valid], group=valid.sum(axis=1))
    settings = {
        "objective": "lambdarank",
        "num_leaves": LEAVES,
        "max_depth": LEVELS,
        "learning_rate": RATE,
        "min_data_in_leaf": FEWEST_ROWS,
        "lambdarank_truncation_level": 2 * K,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbosity": -1,
    }

    def told(environment: Any) -> None:
        progress(0.0, f"tree {environment.iteration + 1} of {TREES}")

    return exported(lightgbm.train(settings, data, TREES, callbacks=[told]).dump_model())


def exported(model: dict[str, Any]) -> Trees:
    """Arrays of what LightGBM's `dump_model` says."""
    trees = [list(_nodes(one["tree_structure"])) for one in model["tree_info"]]
    shape = (len(trees), max(map(len, trees)))
    kinds = (np.int32, np.float64, np.int32, np.int32, np.float64)
    result = Trees(*(np.zeros(shape, kind) for kind in kinds))
    for tree, nodes in enumerate(trees):
        for place, (feature, threshold, left, right, value) in enumerate(nodes):
            result.features[tree, place], result.thresholds[tree, place] = feature, threshold
            result.left[tree, place], result.right[tree, place], result.values[tree, place] = left, right, value
    return result


def _nodes(root: dict[str, Any]) -> Iterator[tuple[int, float, int, int, float]]:
    """Feature, threshold, left, right and value of each node, in the order in which they are numbered."""
    queue, known = [root], 1
    for place, node in enumerate(queue):
        if "left_child" in node:
            yield node["split_feature"], node["threshold"], known, known + 1, 0.0
            queue += [node["left_child"], node["right_child"]]
            known += 2
        else:
            yield 0, 0.0, place, place, node["leaf_value"]
