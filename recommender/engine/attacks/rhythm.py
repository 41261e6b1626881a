"""When fake visitors come: their visits are as long, as quick and at such hours as real ones, within the campaign."""

import numpy as np
from numpy.typing import NDArray

from recommender.engine.attacks.profiles import Plan
from recommender.engine.attacks.shop import Shop

DAY_S = 86_400
VISIT_S = 1800  # without a name of its own, a visit ends after half an hour without an event
SHIFT_S = 900  # by which a fake visit begins earlier or later than the real one it is modelled on
SLOW = 4  # a sybil group takes so many times as long
UNKNOWN_SESSION = -1

Times = NDArray[np.int64]


def lived(shop: Shop, plan: Plan, days: float, slow: bool, random: np.random.Generator) -> tuple[Times, Times]:
    """Each event's time and session, int64 (A,); sessions count from 0, or are -1 where the shop knows none.

    A fake visit is modelled on a real one, pause by pause, and begins about when some real visit of the campaign's days
    began. Where the shop knows no times, all are the same as everybody's.
    """
    activity = shop.activity
    times = activity.times[shop.acts]
    sessions = activity.sessions[shop.acts]
    named = bool((sessions != UNKNOWN_SESSION).any())
    size = len(plan.profiles)
    order = np.lexsort((np.arange(len(times)), times, sessions, shop.visitor_rows))
    starts, lengths = _real_visits(shop.visitor_rows[order], sessions[order], times[order])
    models = random.integers(len(starts), size=size)  # more than enough: every visit has an event or more
    ends = np.cumsum(lengths[models])
    models = models[: int(np.searchsorted(ends, size)) + 1]
    visit, place = _cut(plan.profiles, lengths[models])
    template = models[np.searchsorted(ends, np.arange(size), side="right")]
    first = starts[template]
    within = np.minimum(place, lengths[template] - 1)
    offsets = times[order][first + within] - times[order][first]
    begins = _begins(plan, visit, times[order][starts], days * (SLOW if slow else 1), random)
    when = np.minimum(begins[visit] + offsets, times.max())
    # A profile's visits follow one another, and its events are in the plan's order.
    by_time = np.lexsort((when, plan.profiles))
    ordered_when, ordered_visit = when[by_time], visit[by_time]
    return ordered_when, ordered_visit if named else np.full(size, UNKNOWN_SESSION, dtype=np.int64)


def _real_visits(visitors: NDArray[np.int32], sessions: Times, times: Times) -> tuple[Times, Times]:
    """Where each real visit begins among the events in order of visitor, session and time; and how long it is."""
    new = np.ones(len(times), dtype=np.bool_)
    new[1:] = (np.diff(visitors) != 0) | (np.diff(sessions) != 0)
    nameless = sessions[1:] == UNKNOWN_SESSION
    new[1:] |= nameless & (np.diff(times) > VISIT_S)
    starts = np.flatnonzero(new)
    return starts, np.diff(np.append(starts, len(times)))


def _cut(profiles: Times, lengths: Times) -> tuple[Times, Times]:
    """The visit and the place in it of each event, when visits of these lengths follow one another; a profile's last
    visit ends with the profile."""
    size = len(profiles)
    new = np.zeros(size, dtype=np.bool_)
    ends = np.cumsum(lengths)
    new[ends[ends < size]] = True
    new[0] = True
    new[1:] |= np.diff(profiles) != 0
    visit = np.cumsum(new) - 1
    return visit, np.arange(size) - np.flatnonzero(new)[visit]


def _begins(plan: Plan, visit: Times, real: Times, days: float, random: np.random.Generator) -> Times:
    """When each fake visit begins: about when a real one did, in the days of its group."""
    real = np.sort(real)
    span_s = min(int(days * DAY_S), max(int(real[-1] - real[0]), 1))
    groups = int(plan.groups.max()) + 1
    # All groups of an attack work within one campaign, each for a quarter of it or more.
    opens = int(random.integers(real[0], max(real[-1] - span_s, real[0]) + 1))
    own_s = span_s if groups == 1 else max(span_s // 4, 1)
    low = opens + random.integers(0, span_s - own_s + 1, groups)
    group = plan.groups[plan.profiles[np.unique(visit, return_index=True)[1]]]
    first, last = np.searchsorted(real, low), np.searchsorted(real, low + own_s, side="right")
    width = (last - first)[group]
    model = real[np.minimum(first[group] + (random.random(len(group)) * width).astype(np.int64), len(real) - 1)]
    anywhen = low[group] + (random.random(len(group)) * own_s).astype(np.int64)  # days in which the shop was closed
    begins = np.where(width > 0, model, anywhen) + random.integers(-SHIFT_S, SHIFT_S + 1, len(group))
    return np.clip(begins, real[0], None)
