"""Fold-in: a history's vector by regularised least squares against fixed item vectors, for whoever asks.

The query that `als` and every other model of free user vectors share: a user is not looked up but solved for, so that
newcomers get answers, a click counts at once, and nothing of a person needs to be kept.

    minimise over x   sum_i c_i (p_i - x . y_i)^2 + lambda |x|^2   over all N items,

with c_i = q_i + alpha |w_i|, where w_i is the summed weight of item i in the history, and p_i = 1 where w_i > 0, else
0. With q = 1 this is equation 4 of Hu, Koren, Volinsky 2008. A model that learned to tell what was taken from items
drawn by popularity wants q_i ~ n_i^beta, the users who took i: for it, what is rare and was not taken says nothing.

It is solved in the eigenbasis of Y' diag(q) Y = Q S Q', where all but the history is diagonal: with
d = 1 / (S + lambda), Z (L, D) the history's item vectors times Q, a = alpha |w| and M = Z diag(d) Z',

    x = Q diag(d) Z' t,   (diag(1/c) + diag(a/c) M) t = p,

an L x L system (Woodbury) instead of a D x D one: O(L D^2 + L^2 D + L^3). Histories longer than D solve the latter.
x is linear in p, so a score is a sum over the liked items of a history, which explains it.

A model with item biases keeps them as one more column of its item vectors. Its users have 1 there; here the history
says how much that column counts, as it does for any other, so that a score stays one inner product, what nobody told
adds nothing, and contributions are complete.

`cut` and `choose` settle lambda, alpha and beta for a model that was fitted by another loss, by what they find.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.data.split import hold_out_last, without_known_pairs
from recommender.engine.metrics import ndcg
from recommender.engine.trainers import Arrays, Options
from recommender.engine.trainers.neighbours import Told

BATCH_EVENTS = 2**17  # whose item vectors are turned at once: 128 MiB at D = 256
BATCH = 4096  # histories at most
HELD_USERS = 500  # whose last events the settings are chosen by
HELD_SHARE = 0.05  # of all events at most; a small shop has none to spare
FEWEST_HELD = 20  # below which figures mean nothing
ASKED = 128  # users asked at once, which bounds what (B, N) scores take
K = 10  # length of the lists that decide
LAMBDAS = (0.1, 1.0, 10.0, 100.0)  # in parts of the mean eigenvalue of Y' diag(q) Y
ALPHAS = (0.1, 1.0, 10.0)
BETAS = (0.0, 0.5, 1.0)
MIDDLE = (0.5, 1.0, 1.0)  # beta, lambda, alpha where there is nothing to choose by


@dataclass(frozen=True)
class FoldInQuery:
    item_vectors: NDArray[np.float32]
    lambda_: float
    alpha: float
    unseen: NDArray[np.float32] | None = None
    """q, float32 (N,), above 0: the confidence that an item says something by being absent; None where it is 1."""

    @cached_property
    def _turned(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Q float32 (D, D), in columns, and d float32 (D,)."""
        y = self.item_vectors
        weighted = y if self.unseen is None else y * self.unseen[:, None]
        values, basis = np.linalg.eigh((y.T @ weighted).astype(np.float64))
        return basis.astype(np.float32), (1 / (np.maximum(values, 0) + self.lambda_)).astype(np.float32)

    def _told(self, told: Told) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """a, c and p of what was told, each float32 (M,)."""
        gained = np.float32(self.alpha) * np.abs(told.sums)
        unseen = np.float32(1) if self.unseen is None else self.unseen[told.item_rows]
        return gained, unseen + gained, (told.sums > 0).astype(np.float32)

    def _known(self, histories: Histories) -> tuple[Told, NDArray[np.float32]]:
        """What was told, and Z. Of a single history it is kept with it: an answer asks for its vector, then for what
        stands behind it."""
        kept: tuple[FoldInQuery, Told, NDArray[np.float32]] | None = histories.__dict__.get("_folded_in")
        if kept is not None and kept[0] is self:
            return kept[1:]
        told = Told.of(histories, len(self.item_vectors))
        z = self.item_vectors[told.item_rows] @ self._turned[0]
        if len(histories) == 1:
            histories.__dict__["_folded_in"] = self, told, z
        return told, z

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        basis, d = self._turned
        result = np.zeros((len(histories), len(d)), dtype=np.float32)
        for users, batch in _batches(histories):
            told, z = self._known(histories if len(histories) == 1 else batch)
            bounds = np.searchsorted(told.user_rows, np.arange(len(batch) + 1))
            gained, confidence, liked = self._told(told)
            turned = result[users]
            for b, (start, stop) in enumerate(pairwise(bounds)):
                if start < stop:
                    own = slice(start, stop)
                    turned[b] = _solved(z[own], d, gained[own], confidence[own], liked[own])
            result[users] = turned @ basis.T
        return result

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        return self.vectors(histories) @ self.item_vectors.T

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Exact (section 5 of the paper): score_k = sum_i c_i y_k' A^-1 y_i over liked i; repeats share by weight."""
        basis, d = self._turned
        told, z = self._known(histories)
        asked = self.item_vectors[item_rows] @ basis
        gained, confidence, liked = self._told(told)
        system = (z.T * gained) @ z + np.diag(1 / d)
        per_item = (z * (confidence * liked)[:, None]) @ np.linalg.solve(system, asked.T)
        sums = told.sums[told.event_places]
        share = np.divide(histories.weights, sums, out=np.zeros_like(sums), where=sums > 0)
        return (per_item[told.event_places] * share[:, None]).astype(np.float32)


def _solved(
    z: NDArray[np.float32],
    d: NDArray[np.float32],
    gained: NDArray[np.float32],
    confidence: NDArray[np.float32],
    liked: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Q'x, float32 (D,), for one history: `z` (L, D), `d` (D,), and a, c and p (L,)."""
    if len(z) > len(d):
        system = (z.T * gained) @ z
        system[np.diag_indices(len(d))] += 1 / d
        return np.asarray(np.linalg.solve(system, (confidence * liked) @ z), dtype=np.float32)
    brought = z * d
    system = (brought @ z.T) * (gained / confidence)[:, None]
    system[np.diag_indices(len(z))] += 1 / confidence
    return np.asarray(np.linalg.solve(system, liked) @ brought, dtype=np.float32)


def _batches(histories: Histories) -> Iterator[tuple[slice, Histories]]:
    mean = len(histories.item_rows) // max(1, len(histories))
    return histories.batches(min(BATCH, max(1, BATCH_EVENTS // max(1, mean))))


def cut(data: Interactions, options: Options) -> tuple[Interactions, Interactions]:
    """What to learn from, and the events to `choose` by: `options.held`, or some users' last, cut from `data`.

    A small shop's are none, for it has none to spare.
    """
    if options.held is not None:
        return data, without_known_pairs(options.held.where(options.held.weights > 0), data)
    return hold_out_last(data, min(HELD_USERS, int(HELD_SHARE * len(data))), options.seed)


def choose(
    item_vectors: NDArray[np.float32],
    known: Interactions,
    held: Interactions,
    options: Options,
    done: float = 0.9,
) -> dict[str, NDArray[np.float32]]:
    """What of LAMBDAS, ALPHAS and BETAS finds the events `held` best, by NDCG@10, given what is `known`.

    `lambda` and `alpha` float32 (), `unseen` float32 (N,), as `query` wants them beside `item_vectors`. The middle ones
    where hardly anything is held. At most HELD_USERS users are asked, once per setting. Progress goes from `done` to 1.
    """
    n = len(item_vectors)
    users = np.unique(held.user_rows)
    if len(users) > HELD_USERS:
        users = np.sort(np.random.default_rng(options.seed).permutation(users)[:HELD_USERS])
    taken = np.maximum(np.bincount(known.matrix.indices[known.matrix.data > 0], minlength=n), 1)
    squares = np.square(item_vectors, dtype=np.float64).mean(axis=1)
    enough = len(users) >= FEWEST_HELD
    settings = list(product(BETAS, LAMBDAS, ALPHAS)) if enough else [MIDDLE]
    tried, values = [], []
    for number, (beta, relative, alpha) in enumerate(settings):
        options.progress(done + (1 - done) * number / len(settings), "choosing the fold-in")
        unseen = taken**beta / np.mean(taken**beta)
        lambda_ = relative * float(squares @ unseen) or 1.0
        tried.append(FoldInQuery(item_vectors, lambda_, alpha, unseen.astype(np.float32)))
        values.append(_value(tried[-1], known, held, users) if enough else 0.0)
    best = tried[int(np.argmax(values))]
    options.progress(1.0, "the fold-in is chosen")
    return {
        "lambda": np.array(best.lambda_, dtype=np.float32),
        "alpha": np.array(best.alpha, dtype=np.float32),
        "unseen": np.ones(n, np.float32) if best.unseen is None else best.unseen,
    }


def query(arrays: Arrays) -> FoldInQuery:
    """Answers from `item_vectors` and what `choose` gave."""
    return FoldInQuery(arrays["item_vectors"], float(arrays["lambda"]), float(arrays["alpha"]), arrays["unseen"])


def _value(asked: FoldInQuery, known: Interactions, held: Interactions, users: NDArray[np.int32]) -> float:
    """Mean NDCG@10 over `users`, hiding what is known of them. Of items that score alike, the one held comes last."""
    total = 0.0
    for start in range(0, len(users), ASKED):
        batch = users[start : start + ASKED]
        histories, wanted = known.histories(batch), Told.of(held.histories(batch), len(asked.item_vectors))
        scores = asked.scores(histories)
        scores[histories.user_rows, histories.item_rows] = -np.inf
        hits = np.zeros((len(batch), K), dtype=np.bool_)
        for user, item in zip(wanted.user_rows, wanted.item_rows, strict=True):
            place = int((scores[user] >= scores[user, item]).sum()) - 1
            if 0 <= place < K:
                hits[user, place] = True
        total += float(ndcg(hits, np.bincount(wanted.user_rows, minlength=len(batch)), K).sum())
    return total / len(users)
