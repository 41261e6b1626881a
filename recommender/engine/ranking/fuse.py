"""Several rankings of the same things made one."""

from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import InvalidConfig

Thing = TypeVar("Thing", bound=Hashable)
METHODS = ("convex", "reciprocal")
RANK_CONSTANT = 60.0  # Cormack et al. 2009; how slowly a place in a list loses its worth


def fuse(
    lists: Sequence[tuple[Sequence[Thing], NDArray[np.float64]]],
    weights: Sequence[float],
    *,
    method: str = "convex",
    rank_constant: float = RANK_CONSTANT,
    floors: Sequence[float | None] | None = None,
) -> list[tuple[Thing, float]]:
    """All things of the lists with one score each, best first; ties in the order in which they are first met.

    Each list holds distinct things and their scores (K,), best first. `convex` adds up the weighed scores, each list's
    scaled from its floor to its best to the range 0 to 1 (Bruch, Gai, Ingber 2023: an analysis of fusion functions);
    `floors` are the least scores that are possible, or None for the least of the list. `reciprocal` looks at places
    alone: weight / (rank_constant + place) (Cormack, Clarke, Büttcher 2009). What a list does not hold gets nothing
    from it. Raises InvalidConfig for another method, or weights that do not fit the lists.
    """
    if method not in METHODS:
        raise InvalidConfig(f"{method!r} is none of: {', '.join(METHODS)}.")
    floors = [None] * len(lists) if floors is None else floors
    if not len(lists) == len(weights) == len(floors):
        raise InvalidConfig("Each list needs one weight, and one floor if any is given.")
    total: dict[Thing, float] = {}
    for (things, scores), weight, floor in zip(lists, weights, floors, strict=True):
        if method == "convex":
            worth = scaled(np.asarray(scores, dtype=np.float64), floor)
        else:
            worth = 1 / (rank_constant + np.arange(1, len(things) + 1))
        for thing, share in zip(things, (weight * worth).tolist(), strict=True):
            total[thing] = total.get(thing, 0.0) + share
    return sorted(total.items(), key=lambda pair: -pair[1])


def scaled(scores: NDArray[np.float64], floor: float | None = None) -> NDArray[np.float64]:
    """(K,) from 0, the floor, to 1, the best; all 1 where all are alike."""
    if not len(scores):
        return scores
    least, most = scores.min() if floor is None else floor, scores.max()
    if most <= least:
        return np.ones_like(scores)
    return np.clip((scores - least) / (most - least), 0, 1)
