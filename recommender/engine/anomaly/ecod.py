"""ECOD: how far out in the tails of each feature's empirical distribution a row lies (Li et al. 2022).

A row's score is the sum over features of the larger of -ln P(X <= x), -ln P(X >= x) and the one of the two that the
feature's skewness speaks for. Fast, without settings to speak of, and its reasons are its tails. Unseen rows are judged
by the distributions that were learned; a value beyond all of them counts as half a row in the tail.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import Arrays
from recommender.engine.anomaly.rows import Scaling, blocks, check_number, shape
from recommender.engine.options import Options

TAIL = 0.25  # of the values kept of a feature, at each end: what matters most, kept without gaps


@dataclass(frozen=True)
class EcodConfig:
    values: int = 8192
    """Different values kept of each feature at most. Where there are more, all of the tails' are kept and some of the
    middle, where a share is then wrong by 2 in `values` at most."""

    def __post_init__(self) -> None:
        check_number("values", self.values, 16, 1_000_000, whole=True)


class EcodDetector:
    Config = EcodConfig

    @staticmethod
    def fit(rows: NDArray[np.float32], config: EcodConfig, options: Options) -> Arrays:
        """`values` float32 (V,), those of each feature one after the other, rising; `below` and `above` float64 (V,),
        the shares of rows at or below and at or above each; `starts` int64 (F + 1,), `skew` int8 (F,), -1, 0 or 1.

        Memory: one column at a time. Raises NoData, Misfit.
        """
        count, features = shape(rows)
        scaling = Scaling.learn(rows, "none")
        kept = [_distribution(rows[:, f], scaling, f, config.values, options, features) for f in range(features)]
        options.progress(1.0, "done")
        joined = {name: np.concatenate([one[name] for one in kept]) for name in ("values", "below", "above")}
        starts = np.cumsum([0] + [len(one["values"]) for one in kept])
        skew = np.array([one["skew"] for one in kept], dtype=np.int8)
        return {**joined, **scaling.arrays, "starts": starts, "skew": skew, "rows": np.array([count])}

    @staticmethod
    def open(arrays: Arrays, config: EcodConfig) -> "OpenedEcod":
        return OpenedEcod(arrays)


class OpenedEcod:
    def __init__(self, arrays: Arrays) -> None:
        self.scaling = Scaling.of(arrays)
        self.values, self.below, self.above = arrays["values"], arrays["below"], arrays["above"]
        self.starts, self.skew = arrays["starts"], arrays["skew"]
        self.least = 0.5 / float(arrays["rows"][0])

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        self.scaling.check(rows)
        found = np.empty(len(rows), dtype=np.float64)
        for block in blocks(len(rows), 64 * rows.shape[1]):
            found[block] = self._tails(rows[block]).sum(axis=1)
        return found

    def contributions(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Each feature's share of the sum; 0 where the value is missing."""
        self.scaling.check(rows)
        found = np.empty(rows.shape, dtype=np.float32)
        for block in blocks(len(rows), 64 * rows.shape[1]):
            found[block] = self._tails(rows[block])
        return found

    def _tails(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        """(R, F): the dimensional outlier scores."""
        clean, tails = self.scaling.finite(rows), np.empty(rows.shape, dtype=np.float64)
        for f in range(rows.shape[1]):
            own = slice(self.starts[f], self.starts[f + 1])
            values, column = self.values[own], clean[:, f]
            below = -np.log(np.maximum(_share(values, self.below[own], column), self.least))
            above = -np.log(np.maximum(_share(-values[::-1], self.above[own][::-1], -column), self.least))
            # A symmetric feature's tails are added, as in the authors' own code.
            tails[:, f] = below + above if self.skew[f] == 0 else np.maximum(below, above)
        tails[np.isnan(rows)] = 0.0
        return tails


def _share(
    values: NDArray[np.float32], shares: NDArray[np.float64], column: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Share of rows at or below each of `column` (R,), by the shares at `values` (V,), rising: a step function."""
    place = np.searchsorted(values, column, side="right")
    return np.where(place > 0, shares[np.maximum(place - 1, 0)], 0.0)


def _distribution(
    column: NDArray[np.float32], scaling: Scaling, f: int, most: int, options: Options, features: int
) -> dict[str, NDArray[np.generic]]:
    """The values kept of one feature (R,), with the shares of rows at or below and at or above them."""
    options.progress(f / features, f"{f} of {features} features")
    own = Scaling(*(getattr(scaling, name)[f : f + 1] for name in ("low", "high", "fill", "centre", "width")))
    clean = own.finite(column[:, None])[:, 0]
    values, counts = np.unique(clean, return_counts=True)
    upto = np.cumsum(counts)
    below, above = upto / len(clean), (len(clean) - upto + counts) / len(clean)
    if len(values) > most:
        tail = int(TAIL * most)
        middle = np.linspace(tail, len(values) - tail - 1, most - 2 * tail).round().astype(np.int64)
        kept = np.concatenate((np.arange(tail), middle, np.arange(len(values) - tail, len(values))))
        values, below, above = values[kept], below[kept], above[kept]
    away = clean.astype(np.float64) - clean.mean(dtype=np.float64)
    lean = np.sign((away**3).mean()) if values[0] < values[-1] else 0.0
    return {"values": values, "below": below, "above": above, "skew": np.array(lean)}
