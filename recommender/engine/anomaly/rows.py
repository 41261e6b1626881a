"""Rows of numbers as detectors take them in: missing values filled, infinities made extremes, columns made comparable.

What is needed is learned in `Scaling.learn` and kept as arrays, so that a row is prepared the same whoever comes with
it. Shapes: R rows, F features (columns).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import InvalidConfig, Misfit, NoData

Arrays = Mapping[str, NDArray[Any]]

SCALES = ("none", "standard", "minmax", "robust")
NORMAL_IQR = 1.3489795003921634  # of a normal distribution, in standard deviations
FARTHEST = 1e4  # widths from the centre; beyond it rows are equally far, and squares stay finite
BLOCK_BYTES = 32 * 2**20  # of work on rows at once
COLUMNS = ("low", "high", "fill", "centre", "width")


@dataclass(frozen=True)
class Scaling:
    """What was learned of each column; float64 (F,) each."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    """The finite extremes, which infinities become."""
    fill: NDArray[np.float64]
    """The median, which missing values become; 0 where a column has no value at all."""
    centre: NDArray[np.float64]
    width: NDArray[np.float64]
    """0 for a constant column: it says nothing, but a row that differs in it lies as far out as the scale tells."""

    @classmethod
    def learn(cls, rows: NDArray[Any], scale: str = "standard") -> "Scaling":
        """Of `rows` (R, F), one column at a time. Raises NoData where there is no row or column."""
        shape(rows)
        learned = [_column(np.asarray(rows[:, f], dtype=np.float64), scale) for f in range(rows.shape[1])]
        return cls(*(np.array(values) for values in zip(*learned, strict=True)))

    @classmethod
    def of(cls, arrays: Arrays) -> "Scaling":
        return cls(*(np.asarray(line, dtype=np.float64) for line in arrays["columns"]))

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        return {"columns": np.stack([getattr(self, name) for name in COLUMNS])}

    def finite(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Rows (R, F) without NaN and infinities, in their own units; float32. Raises Misfit."""
        self.check(rows)
        clean = np.array(rows, dtype=np.float32, order="C")
        low, high = self.low.astype(np.float32), self.high.astype(np.float32)
        for mask, value in ((np.isnan(clean), self.fill), (clean == np.inf, high), (clean == -np.inf, low)):
            if mask.any():
                clean[mask] = np.broadcast_to(value.astype(np.float32), clean.shape)[mask]
        return clean

    def scaled(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """Rows (R, F) in widths from the centre, float32, up to FARTHEST. Raises Misfit."""
        away = self.finite(rows).astype(np.float64)
        away -= self.centre
        # A constant column has no width of its own: its size is taken, so that rounding is not a deviation.
        away /= np.where(self.width > 0, self.width, np.maximum(np.abs(self.centre), 1.0))
        return np.clip(away, -FARTHEST, FARTHEST).astype(np.float32)

    def check(self, rows: NDArray[Any]) -> None:
        if rows.ndim != 2 or rows.shape[1] != len(self.low):
            width = rows.shape[1] if rows.ndim == 2 else f"no ({rows.ndim} axes)"
            raise Misfit(f"They have {width} columns; {len(self.low)} were learned.")


def shape(rows: NDArray[Any]) -> tuple[int, int]:
    """R and F of rows to learn from. Raises NoData, Misfit."""
    if rows.ndim != 2:
        raise Misfit(f"Rows to learn from have two axes, not {rows.ndim}.")
    if not rows.shape[0] or not rows.shape[1]:
        raise NoData(f"{rows.shape[0]} rows of {rows.shape[1]} features teach nothing.")
    return rows.shape[0], rows.shape[1]


def sample(rows: NDArray[Any], most: int, seed: int) -> NDArray[Any]:
    """`rows`, or `most` of them by chance, in their order."""
    if len(rows) <= most:
        return rows
    return rows[np.sort(np.random.default_rng(seed).choice(len(rows), most, replace=False))]


def blocks(count: int, bytes_each: int) -> Iterator[slice]:
    """Slices of `count` rows, so that what each needs stays within BLOCK_BYTES."""
    size = max(1, BLOCK_BYTES // max(1, bytes_each))
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def check_number(name: str, value: Any, low: float, high: float = float("inf"), *, whole: bool = False) -> None:
    """Raises InvalidConfig unless low <= value <= high."""
    fits = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if not (fits and low <= value <= high):
        kind = "a whole number" if whole else "a number"
        raise InvalidConfig(f"{name} must be {kind} from {low:g}{'' if high == float('inf') else f' to {high:g}'}.")


def check_scale(scale: str) -> None:
    if scale not in SCALES:
        raise InvalidConfig(f"scale must be one of {', '.join(SCALES)}.")


def _column(values: NDArray[np.float64], scale: str) -> tuple[float, float, float, float, float]:
    """low, high, fill, centre and width of one column (R,)."""
    finite = values[np.isfinite(values)]
    if not len(finite):  # only infinities are left of some columns: they still tell one side from the other
        sides = np.unique(np.sign(values[~np.isnan(values)])) if len(values) else np.zeros(0)
        low, high = (float(sides[0]), float(sides[-1])) if len(sides) else (0.0, 0.0)
        return low, high, (low + high) / 2, (low + high) / 2, (high - low) / 2
    low, high, median = float(finite.min()), float(finite.max()), float(np.median(finite))
    if high <= low or scale == "none":
        return low, high, median, low if high <= low else 0.0, 0.0 if high <= low else 1.0
    if scale == "minmax":
        return low, high, median, low, high - low
    spread = float(finite.std())
    if scale == "robust":
        quarter, three = (float(q) for q in np.quantile(finite, (0.25, 0.75)))
        return low, high, median, median, (three - quarter) / NORMAL_IQR or spread
    return low, high, median, float(finite.mean()), spread
