"""Diversity: reorder candidates so that a shelf does not show the same thing ten times.

Maximal marginal relevance (Carbonell and Goldstein 1998): the next item is the one that maximises
balance * relevance - (1 - balance) * its largest similarity to what was taken already.
"""

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.vectors import unit

WORTH = 0.5  # share of the best candidate's relevance that one of another group needs to take its place


def diversify(
    scores: NDArray[np.float32],
    k: int,
    *,
    balance: float = 0.7,
    vectors: NDArray[np.float32] | None = None,
    groups: NDArray[np.int32] | None = None,
    most: int | None = None,
) -> NDArray[np.int64]:
    """Which K = min(k, C) of C candidates to show, in order: positions int64 (K,) in `scores`.

    `scores` float32 (C,), finite, are scaled to [0, 1]; `vectors` float32 (C, D) are compared by cosine, and without
    them nothing is similar. `balance` in [0, 1] is Carbonell and Goldstein's lambda: 1 is by score alone, 0 by novelty
    alone. Of one of `groups` int32 (C,), where those below 0 are none, `most` are shown while another group has
    something at least half as relevant. Ties by earlier candidate. Raises ValueError for a balance outside [0, 1].
    O(K C D).
    """
    if not 0 <= balance <= 1:
        raise ValueError("balance must be from 0 to 1.")
    count = len(scores)
    span = float(np.ptp(scores)) if count else 0.0
    relevance = (scores - scores.min()) / span if span else np.ones(count, dtype=np.float32)
    units = None if vectors is None else unit(vectors)
    nearest = np.zeros(count, dtype=np.float32)  # similarity to the most similar item taken
    free = np.ones(count, dtype=np.bool_)
    full = np.zeros(count, dtype=np.bool_)  # those whose group has had its share
    taken: list[int] = []
    while len(taken) < min(k, count):
        other = free & ~full
        capped = relevance[other].max(initial=-1) >= WORTH * relevance[free].max()
        open_now = other if capped else free
        gain = np.where(open_now, balance * relevance - (1 - balance) * nearest, -np.inf)
        best = int(gain.argmax())
        taken.append(best)
        free[best] = False
        if groups is not None and most is not None and groups[best] >= 0:
            own = groups == groups[best]
            full |= own & (np.count_nonzero(groups[taken] == groups[best]) >= most)
        if units is not None:
            similarity = units @ units[best]
            nearest = similarity if len(taken) == 1 else np.maximum(nearest, similarity)
    return np.array(taken, dtype=np.int64)
