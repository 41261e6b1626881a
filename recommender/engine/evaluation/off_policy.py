"""What another way of choosing would have brought, estimated from choices by chance whose chances were kept.

Each of R times something was drawn with chance p and had a reward r; the other way would have taken it with chance w.
Inverse propensity scoring (IPS; Horvitz and Thompson, J. Am. Stat. Assoc. 47, 1952) averages r w / p, which is right on
average whatever the rewards are. The self-normalised form (SNIPS; Swaminathan and Joachims, NeurIPS 2015) divides by
the average of w / p: a little biased, much steadier, and within the range of rewards.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z = 1.959964  # of a 95 % interval
EXACT = 3.688879  # -ln(0.025): the exact upper bound of a rate that never showed in n draws is about this over n
CLIP = 100.0  # the most that one choice may weigh; a chance below a hundredth hardly tells anything


@dataclass(frozen=True)
class Estimate:
    """A mean reward with its 95 % interval. NaN where nothing was drawn that the other way would have taken."""

    value: float
    low: float
    high: float
    effective: float
    """Effective sample size, (sum of weights)^2 / sum of squared weights: as many even draws would tell as much."""
    clipped: float
    """Share of the matching choices whose weight was cut to the clip, which biases the estimate towards 0."""


NOTHING = Estimate(np.nan, np.nan, np.nan, 0.0, 0.0)


def ips(
    rewards: NDArray[np.float64],
    chances: NDArray[np.float64],
    wanted: NDArray[np.float64],
    groups: NDArray[np.int64] | None = None,
    clip: float = CLIP,
) -> Estimate:
    """The mean of r w / p, weights cut at `clip`.

    All (R,): `rewards`; `chances` in (0, 1] of what was drawn; `wanted` in [0, 1], how likely the other way takes the
    same. `groups` says what belongs together, such as one visitor's: the interval then varies groups as a whole. Raises
    ValueError for chances outside of (0, 1].
    """
    weights, effective, clipped = _weights(chances, wanted, clip)
    if not effective:
        return NOTHING
    each = weights * rewards
    value = float(each.mean())
    half = max(Z * _error(each - value, groups) / len(each), _least(rewards, weights, effective))
    return Estimate(value, value - half, value + half, effective, clipped)


def snips(
    rewards: NDArray[np.float64],
    chances: NDArray[np.float64],
    wanted: NDArray[np.float64],
    groups: NDArray[np.int64] | None = None,
    clip: float = CLIP,
) -> Estimate:
    """The weighted mean of rewards, weights w / p cut at `clip`, its interval by the delta method; else as `ips`."""
    weights, effective, clipped = _weights(chances, wanted, clip)
    if not effective:
        return NOTHING
    total = float(weights.sum())
    value = float((weights * rewards).sum()) / total
    half = max(Z * _error(weights * (rewards - value), groups) / total, _least(rewards, weights, effective))
    return Estimate(value, value - half, value + half, effective, clipped)


def mean(rewards: NDArray[np.float64], groups: NDArray[np.int64] | None = None) -> Estimate:
    """What was really had: every choice counts alike."""
    even = np.ones(len(rewards))
    return snips(rewards, even, even, groups)


def _weights(
    chances: NDArray[np.float64], wanted: NDArray[np.float64], clip: float
) -> tuple[NDArray[np.float64], float, float]:
    """float64 (R,), the effective sample size, and the share of weights above 0 that were cut."""
    if len(chances) and not (np.all(chances > 0) and np.all(chances <= 1 + 1e-9)):
        raise ValueError("Chances must be above 0 and at most 1.")
    whole = wanted / chances
    weights = np.minimum(whole, clip)
    matching = whole > 0
    if not matching.any():
        return weights, 0.0, 0.0
    effective = float(weights.sum() ** 2 / (weights**2).sum())
    return weights, effective, float((whole[matching] > clip).mean())


def _least(rewards: NDArray[np.float64], weights: NDArray[np.float64], effective: float) -> float:
    """The half width where all that count had the same reward, of rewards in [0, 1]: their spread would say none."""
    counting = rewards[weights > 0]
    return EXACT / effective if counting.min() == counting.max() else 0.0


def _error(deviations: NDArray[np.float64], groups: NDArray[np.int64] | None) -> float:
    """The standard error of a sum, over groups as a whole, with the usual correction for few of them."""
    if groups is not None:
        _, places = np.unique(groups, return_inverse=True)
        deviations = np.bincount(places, weights=deviations).astype(np.float64)
    count = len(deviations)
    return float(np.sqrt((deviations**2).sum() * count / max(count - 1, 1)))
