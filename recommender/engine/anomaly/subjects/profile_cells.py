"""Who did what with which item, once each: what profiles are judged by."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.activity import KINDS, RATING, Activity

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SEEN, BOUGHT, MIDDLING, PRAISED, BLAMED = range(5)
"""What a visitor made of an item: the most that is known of it."""
IMPRESSION, DISLIKE, LIKE, PURCHASE = (KINDS.index(kind) for kind in ("impression", "dislike", "like", "purchase"))
HIGH, LOW = 4.5, 1.5  # stars from which a rating praises, and up to which it blames


@dataclass(frozen=True)
class Cells:
    """C pairs of a visitor and an item, sorted by visitor, then item. Impressions are the shop's doing: left out."""

    visitors: int
    items: int
    visitor_rows: NDArray[np.int32]
    item_rows: NDArray[np.int32]
    stars: NDArray[np.float32]
    """(C,): the last rating, NaN where there is none."""
    acts: NDArray[np.int8]
    """(C,): SEEN to BLAMED."""
    deeds: NDArray[np.int32]
    """(C,): events."""
    times: NDArray[np.int64]
    """(C,): when it was rated, or else bought, or else first touched; Unix seconds."""
    lasts: NDArray[np.int64]
    """(C,): the last touch."""
    timed: bool
    """Whether times say anything."""

    def __len__(self) -> int:
        return len(self.visitor_rows)

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(U,): distinct items of each visitor."""
        return np.bincount(self.visitor_rows, minlength=self.visitors)

    @cached_property
    def takers(self) -> NDArray[np.int64]:
        """(N,): distinct visitors of each item."""
        return np.bincount(self.item_rows, minlength=self.items)

    @cached_property
    def rated(self) -> NDArray[np.bool_]:
        """(C,)"""
        return np.isfinite(self.stars)

    def matrix(self, values: NDArray[Any] | None = None) -> "csr_matrix":
        """(U, N) float32, ones or `values` (C,)."""
        from scipy.sparse import csr_matrix

        data = np.ones(len(self), np.float32) if values is None else values.astype(np.float32)
        starts = np.concatenate(([0], np.cumsum(self.sizes)))
        return csr_matrix((data, self.item_rows, starts), shape=(self.visitors, self.items))


@dataclass(frozen=True)
class Deeds:
    """D events that visitors chose to do: all but impressions. In order of time within each visitor and item."""

    visitors: int
    items: int
    visitor_rows: NDArray[np.int64]
    item_rows: NDArray[np.int64]
    kinds: NDArray[np.int8]
    values: NDArray[np.float32]
    times: NDArray[np.int64]

    @classmethod
    def of(cls, activity: Activity) -> "Deeds":
        chosen = np.flatnonzero(activity.kinds != IMPRESSION)
        return cls(
            len(activity.visitors),
            max(len(activity.items), 1),
            activity.visitor_rows[chosen].astype(np.int64),
            activity.item_rows[chosen].astype(np.int64),
            activity.kinds[chosen],
            activity.values[chosen],
            activity.times[chosen].astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.visitor_rows)


def cells_of(deeds: Deeds) -> Cells:
    """One cell for everything that a visitor did with an item."""
    visitors, items, kinds, values, times = deeds.visitors, deeds.items, deeds.kinds, deeds.values, deeds.times
    keys = deeds.visitor_rows * items + deeds.item_rows
    distinct, places = np.unique(keys, return_inverse=True)
    count = len(distinct)

    rating = (kinds == RATING) & np.isfinite(values)
    stars = np.full(count, np.nan, np.float32)
    stars[places[rating]] = np.clip(values[rating], 1, 5)  # events come in order of time: the last one stays
    acts = np.zeros(count, np.int8)
    acts[places[kinds == PURCHASE]] = BOUGHT
    acts[places[kinds == LIKE]] = PRAISED
    acts[places[kinds == DISLIKE]] = BLAMED
    known = np.isfinite(stars)
    acts[known] = np.where(stars >= HIGH, PRAISED, np.where(stars <= LOW, BLAMED, MIDDLING))[known].astype(np.int8)

    when = np.full(count, 2**62, np.int64)
    last = np.full(count, -(2**62), np.int64)
    np.minimum.at(when, places, times)
    np.maximum.at(last, places, times)
    for telling in (kinds == PURCHASE, rating):
        when[places[telling]] = times[telling]
    return Cells(
        visitors,
        items,
        (distinct // items).astype(np.int32),
        (distinct % items).astype(np.int32),
        stars,
        acts,
        np.bincount(places, minlength=count).astype(np.int32),
        when,
        last,
        bool(len(times)) and bool(times.min() < times.max()),
    )
