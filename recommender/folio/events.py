"""The simulated events as columns, before they become rows of a table."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

KINDS = ("view", "like", "dislike", "cart", "purchase", "rating")
VIEW, LIKE, DISLIKE, CART, PURCHASE, RATING = range(len(KINDS))
NO_VISIT = -1


@dataclass(frozen=True)
class Events:
    """Columns (E,)."""

    kind: NDArray[np.int64]
    """Row of KINDS."""
    shopper: NDArray[np.int64]
    item: NDArray[np.int64]
    value: NDArray[np.float64]
    """Stars of a rating, pieces of a cart or purchase, NaN otherwise."""
    time_s: NDArray[np.int64]
    """Unix seconds."""
    visit: NDArray[np.int64]
    """Number of the visit; NO_VISIT for ratings, which come by mail days later."""

    @classmethod
    def of(
        cls, kind: int, shopper: ArrayLike, item: ArrayLike, value: ArrayLike, time_s: ArrayLike, visit: ArrayLike
    ) -> "Events":
        """Events of one kind."""
        rows = np.asarray(shopper, dtype=np.int64)
        return cls(
            np.full(len(rows), kind, dtype=np.int64),
            rows,
            np.asarray(item, dtype=np.int64),
            np.asarray(value, dtype=np.float64),
            np.asarray(time_s, dtype=np.int64),
            np.asarray(visit, dtype=np.int64),
        )

    @classmethod
    def joined(cls, parts: Sequence["Events"]) -> "Events":
        names = ("kind", "shopper", "item", "value", "time_s", "visit")
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def __len__(self) -> int:
        return len(self.kind)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "Events":
        """Some events, by row or by mask."""
        return Events(
            self.kind[rows], self.shopper[rows], self.item[rows], self.value[rows], self.time_s[rows], self.visit[rows]
        )

    def within(self, start_s: int, end_s: int) -> "Events":
        return self.take((self.time_s >= start_s) & (self.time_s < end_s))

    def in_time_order(self) -> "Events":
        """By time; the same moment keeps shoppers together and a view before what follows from it."""
        return self.take(np.lexsort((self.kind, self.item, self.shopper, self.time_s)))

    def renumbered(self, first: int) -> "Events":
        """The same events with visits numbered from `first`."""
        return replace(self, visit=np.where(self.visit == NO_VISIT, NO_VISIT, self.visit + first))


def no_value(count: int) -> NDArray[np.float64]:
    return np.full(count, np.nan)
