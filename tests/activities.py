"""A shop's events whose structure is known: what attacks are tried on."""

import numpy as np

from recommender.engine.data.activity import KINDS, RATING, Activity
from tests.worlds import numbered

VISITORS, ITEMS, DAY_S = 300, 200, 86_400
STARTS_S = 1_600_000_000
VIEW, LIKE, DISLIKE, PURCHASE = (KINDS.index(kind) for kind in ("view", "like", "dislike", "purchase"))


def shop(kinds: tuple[int, ...] = (RATING,), timed: bool = True, seed: int = 0) -> Activity:
    """Two circles, of even and of odd items, the lower the better known; item i is rated about 1 + 4 i / ITEMS.

    Visits are in the evening, half a minute between events, over half a year.
    """
    random = np.random.default_rng(seed)
    visits = 6 * VISITORS
    visitor = np.repeat(random.permutation(np.tile(np.arange(VISITORS), 6)), 5)
    item = ((ITEMS // 2) * random.random(len(visitor)) ** 2).astype(int) * 2 + visitor % 2
    day = np.sort(random.integers(0, 180, visits))
    begins = STARTS_S + day * DAY_S + 18 * 3600 + random.integers(0, 4 * 3600, visits)
    times = np.repeat(begins, 5) + np.tile(np.arange(5) * 30, visits)
    kind = random.choice(kinds, len(visitor)).astype(np.int8)
    stars = np.clip(np.rint(1 + 4 * item / ITEMS + random.normal(0, 0.7, len(item))), 1, 5)
    values = np.where(kind == RATING, stars, np.where(kind == PURCHASE, 2.0, np.nan)).astype(np.float32)
    order = np.argsort(times, kind="stable")
    return Activity(
        numbered(VISITORS, "u"),
        numbered(ITEMS, "i"),
        visitor[order].astype(np.int32),
        item[order].astype(np.int32),
        kind[order],
        values[order],
        times[order] if timed else np.zeros(len(order), np.int64),
        np.repeat(np.arange(visits), 5)[order] if timed else np.full(len(order), -1, np.int64),
    )
