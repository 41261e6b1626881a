"""How much of each event is learned, after what was found: 0 is left out, 1 counts in full.

What is surely not honest (`quarantine_at` and above) is left out, what may not be (`weigh_down_at` and above) counts by
the probability that it is; what a suspect seems to push or sink is not learned from them at all, because that is what
their events would be for, and because not every trainer knows weights. An event that several findings taint counts as
the worst of them says.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommender.engine.anomaly.found import Found
from recommender.engine.data.activity import Activity
from recommender.engine.data.ids import UNKNOWN

QUARANTINE_AT, WEIGH_DOWN_AT = 0.9, 0.5  # probabilities, where nobody says others
WHOLE_VISITOR = "profile"  # the subject that taints all that its visitor did


def shares(
    probabilities: ArrayLike, quarantine_at: float = QUARANTINE_AT, weigh_down_at: float = WEIGH_DOWN_AT
) -> NDArray[np.float32]:
    """What is left of a weight, float32 (R,), for probabilities (R,) that something is not honest; NaN counts as 0."""
    p = np.nan_to_num(np.asarray(probabilities, dtype=np.float64), nan=0.0)
    return np.select([p >= quarantine_at, p >= weigh_down_at], [0.0, 1.0 - p], 1.0).astype(np.float32)


def trust(
    activity: Activity,
    found: Mapping[str, Found],
    quarantine_at: float = QUARANTINE_AT,
    weigh_down_at: float = WEIGH_DOWN_AT,
) -> NDArray[np.float32]:
    """Trust in each event, float32 (E,), for what was found by subject.

    A profile taints all events of its visitor, those on its targets wholly; other subjects taint what they name by its
    places in `activity`, and nothing where they name none.
    """
    left = np.ones(len(activity), dtype=np.float32)
    for subject, one in found.items():
        keep = shares(one.probabilities, quarantine_at, weigh_down_at)
        rows = np.flatnonzero(keep < 1)
        if one.events is not None:
            for row in rows.tolist():
                places = one.events.get(row, ())
                left[places] = np.minimum(left[places], keep[row])
        elif subject == WHOLE_VISITOR and len(rows):
            ids = one.features.ids
            visitors = activity.visitors.rows([ids[row] for row in rows.tolist()])
            by_visitor = np.ones(len(activity.visitors), dtype=np.float32)
            there = visitors != UNKNOWN
            np.minimum.at(by_visitor, visitors[there], keep[rows[there]])
            left = np.minimum(left, by_visitor[activity.visitor_rows])
            left[_aimed_at(activity, one, rows[there], visitors[there])] = 0
    return left


def _aimed_at(
    activity: Activity, one: Found, rows: NDArray[np.int64], visitors: NDArray[np.int32]
) -> NDArray[np.bool_]:
    """(E,): what suspects did with their own targets."""
    pairs = [
        visitor * len(activity.items) + item
        for row, visitor in zip(rows.tolist(), visitors.tolist(), strict=True)
        for item in activity.items.rows(one.targets.get(row, ())).tolist()
        if item != UNKNOWN
    ]
    return np.isin(activity.visitor_rows.astype(np.int64) * len(activity.items) + activity.item_rows, pairs)
