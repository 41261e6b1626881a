"""What a visitor did lately, as arrays: what a recommendation is computed from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.conf import conf
from recommender.engine.data.weighting import weigh
from recommender.models import Event
from recommender.services import events


@dataclass(frozen=True)
class History:
    """A visitor's latest events, oldest first."""

    item_ids: list[str]
    kinds: list[str]
    weights: NDArray[np.float32]
    """(L,), see engine/data/weighting."""
    times: NDArray[np.int64]
    """(L,), Unix seconds."""
    older: frozenset[str] = frozenset()
    """Items of events before these: known to the visitor, so not to be recommended."""

    def __bool__(self) -> bool:
        return bool(self.item_ids)

    @property
    def known(self) -> set[str]:
        return {*self.item_ids, *self.older}


NO_HISTORY = History([], [], np.zeros(0, np.float32), np.zeros(0, np.int64))


def read(visitor_id: str | None) -> History:
    """The events that say something about a visitor's taste: the latest, weighed by kind and age."""
    if not visitor_id:
        return NO_HISTORY
    mine = events.history_of(visitor_id)
    rows = list(mine.values_list("item_id", "kind", "value", "occurred_at")[: conf().history_length])
    if not rows:
        return NO_HISTORY
    full = len(rows) == conf().history_length
    older = frozenset(mine.order_by().values_list("item_id", flat=True).distinct()) if full else frozenset()
    item_ids, kinds, values, moments = zip(*_without_replaced(rows)[::-1], strict=True)
    times = np.array([int(moment.timestamp()) for moment in moments], dtype=np.int64)
    # Age counts from the visitor's own latest event: a shopper who returns after a year is not a stranger.
    weights = weigh(
        np.array(kinds),
        np.array([np.nan if value is None else value for value in values], dtype=np.float64),
        times,
        int(times[-1]),
        conf().weights,
    )
    return History(list(item_ids), list(kinds), weights, times, older)


def _without_replaced(rows: Sequence[tuple[str, str, Any, Any]]) -> list[tuple[str, str, Any, Any]]:
    """Events, latest first, without the ratings that a later one of the same item replaced; as in training."""
    rated: set[str] = set()
    kept = []
    for row in rows:
        item_id, kind = row[:2]
        if kind != Event.Kind.RATING or item_id not in rated:
            kept.append(row)
        if kind == Event.Kind.RATING:
            rated.add(item_id)
    return kept
