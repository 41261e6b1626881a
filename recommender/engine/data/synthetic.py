"""Interactions of any size, to measure how trainers grow: a long tail, uneven visitors, and tastes to learn.

Per E events there are E / 50 users and E / 100 items, 1,000 to 100,000 of them. A user's share of the events is
log-normal (sigma 1), an item's base popularity is Zipf's, 1 / rank. Users and items have one of TASTES tastes each; a
share LOYALTY of a user's events goes to items of their taste, by popularity within it, the rest to all. So popularity
is a fair guess and knowing the taste a better one. Users take an item more than once, as shoppers do.
"""

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.ids import Ids
from recommender.engine.data.interactions import Interactions

EVENTS_PER_USER = 50
EVENTS_PER_ITEM = 100
ITEMS = (1_000, 100_000)  # fewest and most
SIGMA = 1.0  # of the logarithm of a user's activity
TASTES = 20
LOYALTY = 0.5
CHUNK = 2_000_000  # events drawn at once
SPAN_S = 365 * 86_400  # over which they are spread


def sizes(events: int) -> tuple[int, int]:
    """How many users and items come with so many events."""
    users = max(1, events // EVENTS_PER_USER)
    return users, int(np.clip(events // EVENTS_PER_ITEM, *ITEMS))


def interactions(events: int, seed: int = 42) -> Interactions:
    """`events` events in order of user and time; the same seed gives the same.

    Time O(E log N); memory 20 E bytes and a chunk's.
    """
    random = np.random.default_rng(seed)
    users, items = sizes(events)
    activity = np.cumsum(random.lognormal(0, SIGMA, users))
    user_rows = np.sort(np.searchsorted(activity, random.random(events) * activity[-1]).astype(np.int32))
    np.minimum(user_rows, users - 1, out=user_rows)
    tastes = random.integers(0, TASTES, users).astype(np.int32)
    popularity = random.permutation(1 / np.arange(1, items + 1))
    # Item j's taste is j % TASTES, so that the items of one taste are every TASTES-th: its own cumulative line.
    everything = np.cumsum(popularity)
    own = [np.cumsum(popularity[taste::TASTES]) for taste in range(TASTES)]
    item_rows = np.empty(events, dtype=np.int32)
    for start in range(0, events, CHUNK):
        part = slice(start, min(start + CHUNK, events))
        item_rows[part] = _drawn(tastes[user_rows[part]], everything, own, random)
    times = random.integers(0, SPAN_S, events, dtype=np.int64)
    times += user_rows.astype(np.int64) * SPAN_S  # one sort puts each user's in order
    times.sort()
    times -= user_rows.astype(np.int64) * SPAN_S
    weights = np.ones(events, dtype=np.float32)
    return Interactions(_numbered(users), _numbered(items), user_rows, item_rows, weights, times)


def taste_of_items(items: int) -> NDArray[np.int32]:
    """Each item's taste, int32 (N,)."""
    return np.arange(items, dtype=np.int32) % TASTES


def _drawn(
    tastes: NDArray[np.int32],
    everything: NDArray[np.float64],
    own: list[NDArray[np.float64]],
    random: np.random.Generator,
) -> NDArray[np.int32]:
    chance = random.random(len(tastes))
    rows = np.searchsorted(everything, chance * everything[-1]).astype(np.int32)
    loyal = random.random(len(tastes)) < LOYALTY
    for taste, cumulated in enumerate(own):
        mine = np.flatnonzero(loyal & (tastes == taste))
        places = np.searchsorted(cumulated, random.random(len(mine)) * cumulated[-1])
        rows[mine] = np.minimum(places, len(cumulated) - 1) * TASTES + taste
    return np.minimum(rows, len(everything) - 1)


def _numbered(count: int) -> Ids:
    """Ids in row order, made without a Python object for each."""
    digits = len(str(max(count - 1, 0)))
    return Ids(np.char.zfill(np.arange(count).astype(f"S{digits}"), digits))
