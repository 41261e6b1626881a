"""One place of a list drawn by chance, so that what nobody was shown can still be learned about, and how likely it was.

The chances are kept with the answer: with them, what another model would have brought can be estimated from what this
one showed (inverse propensity scoring; Swaminathan and Joachims 2015, "The Self-Normalized Estimator").
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

TEMPERATURE = 0.2  # of the scores' spread: the best candidate is e^5 times as likely as the worst
WIDTH = 20  # candidates beyond the page that are drawn from


def explore(
    order: NDArray[np.int64],
    scores: NDArray[np.float32],
    n: int,
    rng: np.random.Generator,
    fixed: Collection[int] = (),
) -> tuple[NDArray[np.int64], int | None, dict[int, float]]:
    """A page with one place in its lower half drawn by chance: (order, place, chances).

    `order` int64 (K,) are candidates, of which the first n are the page and what follows may take a place on it;
    `scores` float32 (C,) are theirs. The place, from 1, is drawn first, each of the lower half (of `fixed` ones none)
    alike; then the candidate, by a softmax over the scores of what stood there and up to WIDTH of those beyond.
    `chances`: given the place, how likely each of these was; they sum to 1. Returned is the page alone, (min(n, K),).
    Without anything beyond the page, or with a page of one: the page as it is, None and no chances.
    """
    page, beyond = order[:n], order[n : n + WIDTH]
    places = [place for place in range(n // 2, n) if place + 1 not in fixed] if n > 1 else []
    if not len(beyond) or not places:
        return page, None, {}
    place = places[int(rng.integers(len(places)))]
    drawn = np.append(page[place], beyond)
    chances = softmax(scores[drawn])
    # By the cumulated sum, so that what is drawn has exactly the chance that is told.
    chosen = min(int(np.searchsorted(np.cumsum(chances), rng.random(), side="right")), len(drawn) - 1)
    page = page.copy()
    page[place] = drawn[chosen]
    return page, place + 1, dict(zip(drawn.tolist(), chances.tolist(), strict=True))


def softmax(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """(C,), which sums to 1: e to each score in units of TEMPERATURE times their spread; all alike where they are."""
    best = scores.max()
    span = float(best - scores.min())
    if span <= 0:
        return np.full(len(scores), 1 / len(scores))
    weights = np.exp((scores.astype(np.float64) - best) / (TEMPERATURE * span))
    return np.asarray(weights / weights.sum())
