"""The people of the simulated year: what each of them likes, how that drifts, when they come and what they spend."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.folio import interests

DAY_S = 86_400
HIDDEN = 6  # dimensions of taste that no word of an item tells
MEMBERS = (0.36, 0.44, 0.2)  # share of shoppers with one, two, three interests
DRIFT_SHARE = 0.35  # of shoppers, whose strongest interest gives way to another during the year
DRIFT_S = 12 * DAY_S  # how gradually: the scale of a logistic curve
SPECIALIST_SHARE = 0.18  # of shoppers, who keep nearly to one department
FROM_THE_START = 0.7  # share of shoppers who came before the year began
ACTIVITY_SPREAD = 0.85  # sigma of the lognormal number of visits
# (hour, spread in hours, share of visits): evenings, lunch breaks, afternoons, mornings, the small hours
HOURS = ((20.3, 2.0, 0.44), (12.7, 1.5, 0.2), (16.2, 1.6, 0.12), (8.6, 1.5, 0.14), (23.4, 1.6, 0.1))

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Crowd:
    """U shoppers and their K interests."""

    early: Floats
    """(U, K): interests at the start of the year, rows sum to 1."""
    late: Floats
    """(U, K): interests after the drift; equal to `early` for those who do not change."""
    turns_s: NDArray[np.int64]
    """(U,): when a shopper's interests change, Unix seconds."""
    departments: Floats
    """(U, 3): leaning towards books, prints and records, in nats."""
    hidden: Floats
    """(U, HIDDEN): leaning along what items have beyond words."""
    thrift: Floats
    """(U,), at least 0: how much a price a standard deviation above its department's mean puts off, in nats."""
    activity: NDArray[np.float64]
    """(U,): share of all visits, sums to 1."""
    since_s: NDArray[np.int64]
    """(U,): first moment in the shop, Unix seconds."""
    habits: NDArray[np.int64]
    """(U,): row of HOURS that most of a shopper's visits keep to."""
    candour: Floats
    """(U,), 0 to 1: chance of rating what was bought."""
    kindness: Floats
    """(U,): how generous with stars, standard normal."""

    def __len__(self) -> int:
        return len(self.activity)

    def taste(self, rows: NDArray[np.int64], times_s: NDArray[np.int64]) -> Floats:
        """(T, K): the interests of these shoppers at these moments."""
        ago = np.clip((times_s - self.turns_s[rows]) / DRIFT_S, -30, 30)
        moved = (1 / (1 + np.exp(-ago)))[:, None]
        return ((1 - moved) * self.early[rows] + moved * self.late[rows]).astype(np.float32)


def gather(rng: np.random.Generator, count: int, affinity: Floats, start_s: int, end_s: int) -> Crowd:
    """Draw `count` shoppers for a shop whose items answer to interests as `affinity` (N, K) says."""
    k = affinity.shape[1]
    fame = (np.arange(k) + 2.0) ** -0.45  # some interests are commoner than others, none is rare
    fame = rng.permutation(fame / fame.sum())
    near = affinity.T @ affinity
    near = near / np.sqrt(np.outer(np.diag(near), np.diag(near)) + 1e-9)  # cosine: interests that share items
    early = np.zeros((count, k))
    late = np.zeros((count, k))
    sizes = rng.choice(3, count, p=MEMBERS) + 1
    drifts = rng.random(count) < DRIFT_SHARE
    for u in range(count):
        chosen = [int(rng.choice(k, p=fame))]
        while len(chosen) < sizes[u] + 1:  # one more than held: what the strongest gives way to
            pull = fame * (0.25 + near[chosen[0]])
            pull[chosen] = 0
            chosen.append(int(rng.choice(k, p=pull / pull.sum())))
        shares = np.sort(rng.dirichlet(np.full(sizes[u], 2.5)))[::-1]
        early[u, chosen[:-1]] = shares
        late[u] = early[u]
        if drifts[u]:
            late[u, chosen[0]] *= 0.2
            late[u, chosen[-1]] = 0.8 * shares[0]
    span = end_s - start_s
    departments = rng.normal(0, 0.55, (count, 3))
    special = rng.random(count) < SPECIALIST_SHARE
    departments[special, rng.choice(3, int(special.sum()), p=(0.5, 0.28, 0.22))] += 2.2
    came = np.where(rng.random(count) < FROM_THE_START, 0.0, rng.random(count) ** 0.9 * 0.97)
    activity = np.exp(rng.normal(0, ACTIVITY_SPREAD, count)) * (0.12 + 0.88 * (1 - came))
    return Crowd(
        early=early.astype(np.float32),
        late=late.astype(np.float32),
        turns_s=start_s + (rng.uniform(0.2, 0.9, count) * span).astype(np.int64),
        departments=departments.astype(np.float32),
        hidden=rng.normal(0, 1, (count, HIDDEN)).astype(np.float32),
        thrift=rng.gamma(1.5, 0.2, count).astype(np.float32),
        activity=activity / activity.sum(),
        since_s=start_s + (came * span).astype(np.int64),
        habits=rng.choice(len(HOURS), count, p=[share for _, _, share in HOURS]),
        candour=rng.beta(2.2, 1.5, count).astype(np.float32),
        kindness=rng.normal(0, 1, count).astype(np.float32),
    )


def visit_times(
    rng: np.random.Generator, crowd: Crowd, shoppers: NDArray[np.int64], start_s: int, end_s: int
) -> NDArray[np.int64]:
    """(V,): when each visit of these shoppers (V,) begins: busy weekends and Decembers, at the hours they keep."""
    midnights = np.arange(start_s // DAY_S, end_s // DAY_S + 1) * DAY_S
    busy = np.concatenate(([0.0], np.cumsum(interests.shopping_level(midnights))))
    first = busy[(crowd.since_s[shoppers] - midnights[0]) // DAY_S]
    # A uniform draw over what is left of the year, measured in business rather than in days.
    drawn = first + rng.random(len(shoppers)) * (busy[-1] - first)
    days = midnights[np.clip(np.searchsorted(busy, drawn, side="right") - 1, 0, len(midnights) - 1)]
    times = days + moments(rng, crowd, shoppers)
    times = np.maximum(times, crowd.since_s[shoppers])
    # What the clock puts before the first or after the last moment is folded back by whole days.
    times = np.where(times >= end_s, times - DAY_S * (1 + (times - end_s) // DAY_S), times)
    return np.clip(times, start_s, end_s - 1).astype(np.int64)


def moments(rng: np.random.Generator, crowd: Crowd, shoppers: NDArray[np.int64]) -> NDArray[np.int64]:
    """(V,): seconds after midnight; two thirds of a shopper's visits keep to the hour of habit."""
    any_hour = rng.choice(len(HOURS), len(shoppers), p=[share for _, _, share in HOURS])
    rows = np.where(rng.random(len(shoppers)) < 0.67, crowd.habits[shoppers], any_hour)
    middles = np.array([hour for hour, _, _ in HOURS])[rows]
    spreads = np.array([spread for _, spread, _ in HOURS])[rows]
    return (np.mod(rng.normal(middles, spreads), 24) * 3600).astype(np.int64)
