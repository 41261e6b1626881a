"""Copies of a shop's events in memory, as a training would learn from them: nothing is read or written here, and
no Django is needed."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.activity import KINDS, RATING, Activity
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.weighting import EventWeights, weigh

PURCHASE = KINDS.index("purchase")


def interactions(
    activity: Activity, weights: EventWeights, repeat_s: int, trusted: NDArray[np.float32] | None = None
) -> Interactions:
    """What a training learns from these events, over all their visitors and items: repeats counted once, weighed by
    kind, by age, and by trust (E,). Where no times are known, what comes first is older."""
    learned = np.array([bool(weights.by_kind.get(kind)) for kind in KINDS])
    kept = np.flatnonzero(learned[activity.kinds] & ~repeated(activity, repeat_s))
    times = activity.times[kept]
    values = activity.values[kept].astype(np.float64)
    now = int(activity.times.max(initial=0))
    weight = weigh(np.array(KINDS)[activity.kinds[kept]], values, times, now, weights)
    if trusted is not None:
        weight = weight * trusted[kept]
    baskets = activity.sessions[kept] if (activity.sessions >= 0).any() else None
    order = times if timed(activity) else order_of(activity)[kept]
    rows = (activity.visitor_rows[kept], activity.item_rows[kept])
    return Interactions.build(activity.visitors, activity.items, *rows, weight, order, baskets)


def repeated(activity: Activity, repeat_s: int) -> NDArray[np.bool_]:
    """As `event_log.without_repeats` has it: the same again within `repeat_s`, and ratings that were replaced."""
    columns = (activity.kinds, activity.item_rows, activity.visitor_rows)
    order = np.lexsort((np.arange(len(activity)), *columns))
    same = np.ones(max(len(activity) - 1, 0), dtype=np.bool_)
    for column in columns:
        same &= np.diff(column[order]) == 0
    kinds, soon = activity.kinds[order[1:]], np.diff(activity.times[order]) < repeat_s
    repeated = np.zeros(len(activity), dtype=np.bool_)
    repeated[order[1:]] = same & soon & (kinds != PURCHASE) & (kinds != RATING)
    repeated[order[:-1]] |= same & (kinds == RATING)
    return repeated


def timed(activity: Activity) -> bool:
    return bool(len(activity)) and bool(activity.times.min() < activity.times.max())


def order_of(activity: Activity) -> NDArray[np.int64]:
    return np.arange(len(activity), dtype=np.int64)


def where(activity: Activity, places: NDArray[np.bool_]) -> Activity:
    columns = ("visitor_rows", "item_rows", "kinds", "values", "times", "sessions")
    return replace(activity, **{name: getattr(activity, name)[places] for name in columns})
