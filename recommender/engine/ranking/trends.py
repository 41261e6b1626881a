"""What is taken up now: events counted with a half-life of days, each visitor once a day."""

import numpy as np
from numpy.typing import NDArray

DAY_S = 86_400
HALF_LIFE_DAYS = 2.0
WINDOW_DAYS = 14  # older events count less than 1 %


def trending(
    item_rows: NDArray[np.integer],
    visitor_rows: NDArray[np.integer],
    kind_rows: NDArray[np.integer],
    weights: NDArray[np.float32],
    times: NDArray[np.int64],
    now: int,
    items: int,
    half_life_days: float = HALF_LIFE_DAYS,
) -> NDArray[np.float32]:
    """Each item's score (N,): the sum of its events' weights, halved for every `half_life_days` of their age.

    Columns (E,), `times` and `now` in Unix seconds. However often a visitor does the same with an item in one day (UTC)
    counts once, the latest time, so that no one lifts an item alone; events of weight 0 or less, or of after `now`,
    count nothing.
    """
    kept = np.flatnonzero((weights > 0) & (times <= now))
    order = kept[np.lexsort((-times[kept], times[kept] // DAY_S, kind_rows[kept], visitor_rows[kept], item_rows[kept]))]
    again = np.ones(max(len(order) - 1, 0), dtype=bool)
    for column in (item_rows, visitor_rows, kind_rows, times // DAY_S):
        again &= column[order[1:]] == column[order[:-1]]
    order = order[np.append(True, ~again)] if len(order) else order
    worth = weights[order] * 0.5 ** ((now - times[order]) / (half_life_days * DAY_S))
    return np.bincount(item_rows[order], weights=worth, minlength=items).astype(np.float32)
