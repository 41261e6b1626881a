"""Events as columns with all they say: what profiles and sessions are judged by, and simulated attacks add to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.ids import Ids

KINDS = ("impression", "view", "click", "like", "dislike", "cart", "purchase", "rating")
"""A kind's number is its place here."""
RATING = KINDS.index("rating")


@dataclass(frozen=True)
class Activity:
    """E events of U visitors with N items, in order of time."""

    visitors: Ids
    items: Ids
    visitor_rows: NDArray[np.int32]
    item_rows: NDArray[np.int32]
    kinds: NDArray[np.int8]
    """(E,): places in KINDS."""
    values: NDArray[np.float32]
    """(E,): stars of a rating, pieces of a purchase; NaN where there is none."""
    times: NDArray[np.int64]
    """(E,): Unix seconds; all equal where times are not known."""
    sessions: NDArray[np.int64]
    """(E,): the same number for what one visitor did in one visit, or bought at once; -1 where not known."""
    item_vectors: NDArray[np.float32] | None = None
    """(N, D): learned vectors of the items, rows of length 1 or 0; None where nothing was learned yet."""

    def __len__(self) -> int:
        return len(self.visitor_rows)
