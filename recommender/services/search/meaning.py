"""What is near to a query by meaning: the text vectors of items, where the shop has them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recommender.services.content import vectors
from recommender.services.search.lexical import NO_MATCHES, Matches

log = logging.getLogger(__name__)

FLOOR = 0.30  # cosine below which nothing is near; see docs/search.md for where it comes from
SAMPLE = 200  # items that say how near everything is to everything, which is very in some encoders
SPREADS = 2.0  # standard deviations above the sample's mean below which nothing is near either
SHARE_OF_BEST = 0.75  # of the best cosine: what is farther away than that is another subject
LIMIT = 100  # items by meaning alone: what is near to nothing in particular would fill pages
SURE = 0.45  # cosine from which an item is offered though no word of the query is in it


class Space(Protocol):
    """What is asked of services/content/vectors here."""

    def vectors(self, item_ids: Sequence[str], /) -> NDArray[np.float32]: ...

    def sample(self, n: int, /) -> list[str]: ...

    def nearest(self, query: NDArray[np.float32], k: int, /) -> tuple[list[str], NDArray[np.float32]]: ...


@dataclass(frozen=True)
class Near:
    """One query among the vectors."""

    space: Space
    vector: NDArray[np.float32]
    """(D,)"""

    def nearest(self, limit: int = LIMIT) -> Matches:
        """What is near, by cosine, best first, active or not."""
        item_ids, cosines = self.space.nearest(self.vector, limit)
        if not item_ids or cosines[0] < FLOOR:
            return NO_MATCHES
        any_of_them = self.cosines(self.space.sample(SAMPLE))
        usual = float(any_of_them.mean() + SPREADS * any_of_them.std()) if len(any_of_them) >= SAMPLE else FLOOR
        kept = cosines >= max(FLOOR, usual, SHARE_OF_BEST * float(cosines[0]))
        return Matches(
            [item_id for item_id, keep in zip(item_ids, kept, strict=True) if keep], cosines[kept].astype(np.float64)
        )

    def cosines(self, item_ids: Sequence[str]) -> NDArray[np.float64]:
        """(K,): 0 for what has no vector."""
        return np.asarray(self.space.vectors(item_ids) @ self.vector, dtype=np.float64)


def ask(query: str) -> Near | None:
    """The query as a vector; None where nothing is encoded, or the query says nothing to the encoder."""
    try:
        space = vectors.space("text")
        if space is None:
            return None
        vector = space.encode([query])[0]
    except Exception:
        log.exception("A query could not be encoded; words alone answer.")
        return None
    return Near(space, vector) if vector.any() else None
