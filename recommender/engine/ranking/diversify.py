"""Diversity: reorder candidates so that a shelf does not show the same thing ten times."""

import numpy as np
from numpy.typing import NDArray

from recommender.engine.ranking.rerank import rerank

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
    """Which K = min(k, C) of C candidates to show, in order: positions int64 (K,) in `scores`; see `rerank`.

    Of one of `groups` int32 (C,), where those below 0 are none, `most` are shown while another group has something at
    least half as relevant. Raises ValueError for a balance outside [0, 1].
    """
    share = 1.0 if most is None else most / max(k, 1)
    return rerank(scores, k, vectors=vectors, categories=groups, balance=balance, per_category=share, worth=WORTH)
