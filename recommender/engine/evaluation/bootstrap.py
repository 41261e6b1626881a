"""Confidence intervals by resampling users (Efron's percentile bootstrap)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAMPLES = 1000
CONFIDENCE = 0.95
SEED = 42
BLOCK_BYTES = 32 * 2**20  # of resampling counts held at once


@dataclass(frozen=True)
class Interval:
    """A mean over users and the interval that holds 95 % of its resampled values. All NaN where there are no users."""

    value: float
    low: float
    high: float

    def as_json(self) -> dict[str, float | None]:
        return {key: None if np.isnan(number) else float(number) for key, number in vars(self).items()}


def intervals(values: NDArray[np.float64], samples: int = SAMPLES, seed: int = SEED) -> list[Interval]:
    """One interval for each column of `values` float64 (V, M), V users by M metrics; users are resampled as a whole.

    Time O(samples V M); the same seed gives the same intervals.
    """
    v, m = values.shape
    if not v:
        return [Interval(np.nan, np.nan, np.nan)] * m
    random = np.random.default_rng(seed)
    block = max(1, BLOCK_BYTES // (8 * v))
    means = np.empty((samples, m))
    for start in range(0, samples, block):
        size = min(block, samples - start)
        drawn = random.integers(0, v, (size, v)) + np.arange(size)[:, None] * v
        counts = np.bincount(drawn.ravel(), minlength=size * v).reshape(size, v)
        means[start : start + size] = counts @ values / v
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return [
        Interval(float(value), float(left), float(right))
        for value, left, right in zip(values.mean(axis=0), low, high, strict=True)
    ]
