"""From features to log odds: what tells decoys from what is real, by a straight line in standardised features.

Some of the real rows may be fake, and nobody knows which (learning from positive and unlabelled rows). A learner that
can bend learns by heart where the fakes among the real ones are, and calls them real; a line cannot.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS, BIN_ROWS = 16, 60  # by size: at most so many, of at least so many rows
REACH = 6.0  # standard deviations, beyond which all is the same
RIDGE = 1.0
STEPS = 30  # of Newton's method
FLAT = 1e-6


@dataclass(frozen=True)
class Scale:
    """What is usual, by size of profile."""

    edges: NDArray[np.float64]
    middles: NDArray[np.float64]
    """(B, F)"""
    widths: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float32], sizes: NDArray[np.float64]) -> "Scale":
        count = int(np.clip(len(values) // BIN_ROWS, 1, BINS))
        edges = np.unique(np.quantile(sizes, np.linspace(0, 1, count + 1)[1:-1])) if count > 1 else np.zeros(0)
        place = np.searchsorted(edges, sizes, side="right")
        overall = _middle_width(values)
        found = [
            _middle_width(values[place == one], overall) if (place == one).any() else overall
            for one in range(len(edges) + 1)
        ]
        return cls(edges, np.stack([middle for middle, _ in found]), np.stack([width for _, width in found]))

    def z(self, values: NDArray[np.float32], sizes: NDArray[np.float64], reach: float = REACH) -> NDArray[np.float64]:
        """(R, F): standard deviations from the usual, 0 where unknown."""
        place = np.searchsorted(self.edges, sizes, side="right")
        z = (values - self.middles[place]) / self.widths[place]
        return np.clip(np.nan_to_num(z, nan=0.0, posinf=1e9, neginf=-1e9), -reach, reach)


def _middle_width(
    values: NDArray[np.float32], overall: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and 1.4826 times the median deviation of each column; without a spread, a wider measure."""
    known = np.where(np.isfinite(values), values, np.nan).astype(np.float64)
    empty = np.isnan(known).all(axis=0)
    known[:, empty] = 0.0
    middle = np.nanmedian(known, axis=0)
    away = np.abs(known - middle)
    width = 1.4826 * np.nanmedian(away, axis=0)
    width = np.where(width > FLAT, width, np.nanmean(away, axis=0))
    floor = 0.25 * overall[1] if overall is not None else 0.0
    width = np.maximum(np.where(width > FLAT, width, 1.0), floor)
    if overall is not None:
        middle, width = np.where(empty, overall[0], middle), np.where(empty, overall[1], width)
    return middle, width


def line(z: NDArray[np.float64], fake: NDArray[np.bool_], ridge: float = RIDGE) -> NDArray[np.float64]:
    """(F+1,): logistic regression, both sides of equal weight in all; the constant is last."""
    rows = np.column_stack((z, np.ones(len(z))))
    weight = np.where(fake, 0.5 / max(fake.sum(), 1), 0.5 / max((~fake).sum(), 1)) * len(z)
    penalty = np.diag([ridge] * z.shape[1] + [1e-3])
    found = np.zeros(rows.shape[1])
    for _ in range(STEPS):
        chance = 1 / (1 + np.exp(-np.clip(rows @ found, -30, 30)))
        slope = rows.T @ (weight * (fake - chance)) - penalty @ found
        curve = (rows * (weight * np.maximum(chance * (1 - chance), 1e-6))[:, None]).T @ rows + penalty
        step = np.linalg.solve(curve, slope)
        found += step * min(1.0, 3.0 / max(float(np.abs(step).max()), 1e-12))
        if np.abs(step).max() < 1e-5:
            break
    return found


def odds(z: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    return z @ weights[:-1] + weights[-1]
