"""Ranking metrics, per user and over the catalogue.

Every per-user metric takes `hits`, bool (B, K'): whether the item at each place of a user's list is one of the test
items; `relevant`, int64 (B,): how many test items the user has, at least 1; and K <= K'. It gives float64 (B,) in
[0, 1]. Below, rel(r) is hits[:, r - 1] and R is relevant.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Hits = NDArray[np.bool_]
Counts = NDArray[np.int64]
PerUser = NDArray[np.float64]


def hit_rate(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """1 where any of the first K places is a test item, else 0."""
    return np.asarray(hits[:, :k].any(axis=1), dtype=np.float64)


def recall(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """sum_{r<=K} rel(r) / R: the denominator is the number of test items, not min(R, K), as LightGCN has it."""
    return np.asarray(hits[:, :k].sum(axis=1) / relevant, dtype=np.float64)


def ndcg(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """DCG / IDCG with DCG = sum_{r<=K} rel(r) / log2(r + 1) and IDCG that of min(R, K) hits in the first places.

    Jarvelin and Kekalainen 2002 with binary gains.
    """
    discounts = 1 / np.log2(np.arange(2, k + 2))
    gained = hits[:, :k] @ discounts[: hits.shape[1]]
    return np.asarray(gained / np.cumsum(discounts)[np.minimum(relevant, k) - 1], dtype=np.float64)


def mrr(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """1 / (place of the first test item), 0 where it is beyond K."""
    found = hits[:, :k]
    return np.where(found.any(axis=1), 1 / (found.argmax(axis=1) + 1), 0.0)


def average_precision(hits: Hits, relevant: Counts, k: int) -> PerUser:
    """sum_{r<=K} rel(r) precision(r) / min(R, K) with precision(r) = sum_{s<=r} rel(s) / r; its mean is MAP@K."""
    found = hits[:, :k]
    precision = np.cumsum(found, axis=1) / np.arange(1, found.shape[1] + 1)
    return np.asarray((precision * found).sum(axis=1) / np.minimum(relevant, k), dtype=np.float64)


PER_USER: Mapping[str, Callable[[Hits, Counts, int], PerUser]] = {
    "recall": recall,
    "ndcg": ndcg,
    "hit_rate": hit_rate,
    "mrr": mrr,
    "map": average_precision,
}


def coverage(shown: Counts) -> float:
    """Share of the catalogue recommended to anyone; `shown` int64 (N,), how often each item was recommended."""
    return float((shown > 0).mean())


def novelty(shown: Counts, known: Counts, users: int) -> float:
    """Mean self-information of what was recommended, in bits: -log2(n_i / U), averaged over all places.

    Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender systems".
    `known` int64 (N,): n_i, the users who have item i in training; an item nobody has counts as if one user had it.
    """
    bits = np.log2(users / np.maximum(known, 1))
    return float(bits @ shown / shown.sum()) if shown.any() else 0.0


def gini(shown: Counts) -> float:
    """Inequality of exposure: 0 where all N items are recommended equally often, near 1 where one item takes all.

    sum_i (2 i - N - 1) x_i / (N sum x) with x ascending and i from 1.
    """
    n, total = len(shown), shown.sum()
    if not total:
        return 0.0
    return float((2 * np.arange(1, n + 1) - n - 1) @ np.sort(shown) / (n * total))
