"""A shop as its attacker knows it: what is popular, how it is rated, what goes together."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.activity import KINDS, RATING, Activity
from recommender.engine.errors import InvalidConfig

IMPRESSION, VIEW, DISLIKE = KINDS.index("impression"), KINDS.index("view"), KINDS.index("dislike")
FAVOURS = tuple(KINDS.index(kind) for kind in ("like", "purchase", "cart", "click", "view"))
"""What speaks for an item, what costs an attacker least first of what counts most."""
RATED_SHARE = 0.5  # of the events, from which on a shop's visitors rate rather than take
HELD_SHARE = 0.001  # of the events, from which on a kind is used in the shop
MOST_STARS = 20  # distinct values up to which ratings are steps of a scale
RIVALS = 3  # for each target
SHRINK = 5  # ratings at the overall mean that an item's own are mixed with


@dataclass(frozen=True)
class Shop:
    activity: Activity
    acts: NDArray[np.int64]
    """Places of the events that visitors chose to do: all but impressions."""

    @classmethod
    def of(cls, activity: Activity) -> "Shop":
        size = len(activity)
        columns = (activity.item_rows, activity.kinds, activity.values, activity.times, activity.sessions)
        if any(len(column) != size for column in columns):
            raise InvalidConfig("The columns of the activity differ in length: give one value for each event.")
        if size and not (
            0 <= activity.visitor_rows.min() <= activity.visitor_rows.max() < len(activity.visitors)
            and 0 <= activity.item_rows.min() <= activity.item_rows.max() < len(activity.items)
            and 0 <= activity.kinds.min() <= activity.kinds.max() < len(KINDS)
        ):
            raise InvalidConfig("The activity has rows beyond its visitors, its items or the kinds of events.")
        return cls(activity, np.flatnonzero(activity.kinds != IMPRESSION))

    @property
    def items(self) -> int:
        return len(self.activity.items)

    @cached_property
    def visitors(self) -> int:
        """How many did something."""
        return len(np.unique(self.visitor_rows))

    @property
    def known_items(self) -> int:
        return int((self.fame > 0).sum())

    @cached_property
    def visitor_rows(self) -> NDArray[np.int32]:
        return self.activity.visitor_rows[self.acts]

    @cached_property
    def item_rows(self) -> NDArray[np.int32]:
        return self.activity.item_rows[self.acts]

    @cached_property
    def pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Each visitor and item that met, once: rows, sorted by visitor."""
        keys = np.unique(self.visitor_rows.astype(np.int64) * self.items + self.item_rows)
        return keys // self.items, keys % self.items

    @cached_property
    def fame(self) -> NDArray[np.int64]:
        """(N,): how many visitors took each item."""
        return np.bincount(self.pairs[1], minlength=self.items)

    @cached_property
    def _counts(self) -> NDArray[np.int64]:
        return np.bincount(self.activity.kinds[self.acts], minlength=len(KINDS))

    @cached_property
    def rated(self) -> bool:
        """Whether visitors rate rather than take."""
        return bool(len(self.stars)) and bool(self._counts[RATING] >= RATED_SHARE * len(self.acts))

    @cached_property
    def favour(self) -> tuple[int, ...]:
        """Kinds of the events, in order, that speak for an item as loudly as the shop lets."""
        if self.rated:
            return (RATING,)
        best = next((kind for kind in FAVOURS if self._held(kind)), FAVOURS[-1])
        kinds = ([VIEW] if self._held(VIEW) else []) + [best] + ([RATING] if self._held(RATING) else [])
        return tuple(dict.fromkeys(kinds))

    @cached_property
    def against(self) -> tuple[int, ...]:
        """Those that speak against it; empty where none can."""
        if self.rated or self._held(RATING):
            return (RATING,)
        return (DISLIKE,) if self._counts[DISLIKE] else ()

    def _held(self, kind: int) -> bool:
        if kind == RATING and not len(self.stars):
            return False
        return bool(self._counts[kind] and self._counts[kind] >= HELD_SHARE * len(self.acts))

    @cached_property
    def ratings(self) -> NDArray[np.int64]:
        """Places of the ratings that have stars."""
        return np.flatnonzero((self.activity.kinds == RATING) & np.isfinite(self.activity.values))

    @cached_property
    def stars(self) -> NDArray[np.float64]:
        """The scale's steps, rising; its ends where it has none."""
        found = np.unique(self.activity.values[self.ratings]).astype(np.float64)
        return found if len(found) <= MOST_STARS else found[[0, -1]]

    def rounded(self, stars: NDArray[np.float64]) -> NDArray[np.float32]:
        """To the scale's nearest step."""
        scale = self.stars
        if len(scale) < 3:
            return np.clip(stars, scale[0], scale[-1]).astype(np.float32)
        return scale[np.searchsorted((scale[1:] + scale[:-1]) / 2, stars)].astype(np.float32)

    @cached_property
    def opinion(self) -> tuple[float, float]:
        """Mean and deviation of all ratings."""
        stars = self.activity.values[self.ratings].astype(np.float64)
        return float(stars.mean()), float(stars.std())

    @cached_property
    def opinions(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and deviation of each item's ratings, (N,) each, shrunk to all ratings' where there are few."""
        stars, rows = self.activity.values[self.ratings].astype(np.float64), self.activity.item_rows[self.ratings]
        mean, deviation = self.opinion
        count = np.bincount(rows, minlength=self.items) + SHRINK
        own = (np.bincount(rows, stars, self.items) + SHRINK * mean) / count
        squares = (np.bincount(rows, (stars - own[rows]) ** 2, self.items) + SHRINK * deviation**2) / count
        return own, np.sqrt(squares)

    def popular(self, count: int) -> NDArray[np.int64]:
        return np.argsort(-self.fame, kind="stable")[:count]

    def disliked(self, count: int) -> NDArray[np.int64]:
        """Of the better known half the items that are rated worst; without ratings the least taken of all."""
        known = np.flatnonzero(self.fame > 0)
        if not self.rated:
            return known[np.argsort(self.fame[known], kind="stable")[:count]]
        known = known[self.fame[known] >= np.median(self.fame[known])]
        return known[np.argsort(self.opinions[0][known], kind="stable")[:count]]

    def taken_with(self, item: int, among: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
        """What the item's visitors take, beside how popular it is anyway: cosine of the columns of visitors."""
        users, items = self.pairs
        own = np.zeros(len(self.activity.visitors), dtype=np.bool_)
        own[users[items == item]] = True
        together = np.bincount(items[own[users]], minlength=self.items) / np.sqrt(np.maximum(self.fame, 1))
        together[~among] = -1
        together[item] = -1
        best = np.argsort(-together, kind="stable")[:count]
        return best[together[best] > 0]

    def rivals(self, targets: NDArray[np.int32]) -> NDArray[np.int32]:
        """The items that compete with the targets. Raises InvalidConfig where there are none."""
        others = np.ones(self.items, dtype=np.bool_)
        others[targets] = False
        found = [self.taken_with(int(target), others, RIVALS) for target in targets]
        rivals = np.unique(np.concatenate(found)).astype(np.int32)
        if not len(rivals):
            raise InvalidConfig(
                "Nothing in this shop speaks against an item, and nobody who took the targets took anything else: "
                "take other targets, or the intent push."
            )
        return rivals
