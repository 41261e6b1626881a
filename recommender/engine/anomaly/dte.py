"""Diffusion time estimation without a network (DTE-NP, Livernoche, Jain, Hezaveh and Ravanbakhsh, ICLR 2024).

Rows are thought of as usual ones, y, to which a diffusion added noise for some time t. What time is likely, given x?

    p(t | x)  ~  sum over y of  s_t^-D exp(-|x - y|^2 / (2 s_t^2))

with the noise's deviation s_t (the paper's non-parametric estimate, summed over the K nearest y, since others hardly
add to it). The score is the mean of that posterior: the farther from all that is usual, the longer the diffusion must
have run. D are the columns that vary. Times are a grid on which ln s_t^2 rises evenly, over the distances that were
seen and far beyond, and the score is the mean of ln s_t^2, so that no column's unit decides what is early.

The nearest y decide nearly alone. Among unlabelled rows these may be anomalies of the same heap, which is why by
default the nearest `skip` are not asked; the paper's setting, for rows known to be usual, is none skipped and K = 5
(CLEAN).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import Arrays, neighbours
from recommender.engine.anomaly.neighbours import Neighbours, NeighboursConfig, searching
from recommender.engine.anomaly.rows import blocks, check_number, sample
from recommender.engine.options import Options

PROBES = 1000  # learned rows whose distances say where the grid begins
BEYOND = 1e6  # times the largest squared distance seen that the grid reaches
LEAST = 1e-6  # of the median squared distance: the first time, that of a row equal to its neighbours


@dataclass(frozen=True)
class DteConfig(NeighboursConfig):
    skip: int = 20
    """The nearest of the K that are not asked, as they may be of the same heap; the others' times are what counts. 0
    where what is learned from is known to be usual."""
    times: int = 200
    """T, points of the grid."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("skip", self.skip, 0, self.neighbours - 1, whole=True)
        check_number("times", self.times, 2, 10_000, whole=True)

    def first(self, k: int) -> int:
        """The first neighbour that is asked, of K that were found: where there are fewer, fewer are skipped."""
        return self.skip * k // self.neighbours


class DteDetector:
    Config = DteConfig

    @staticmethod
    def fit(rows: NDArray[np.float32], config: DteConfig, options: Options) -> Arrays:
        """What neighbours.learn gives, and `variances` float64 (T,), the noise's at each time.

        Raises NoData, Misfit.
        """
        arrays = neighbours.learn(rows, config, options)
        opened = Neighbours(arrays, config.neighbours)
        with searching(options.threads):
            probes = sample(rows, PROBES, options.seed)
            seen = np.concatenate([distances[:, config.first(opened.k) :] for _, _, distances in opened.found(probes)])
        dimensions = max(1, int((opened.scaling.width > 0).sum()))
        positive = seen[seen > 0] / dimensions
        middle, most = (float(np.median(positive)), float(positive.max())) if len(positive) else (1.0, 1.0)
        variances = np.geomspace(LEAST * middle, BEYOND * most, config.times)
        options.progress(1.0, "done")
        return {**arrays, "variances": variances, "dimensions": np.array([dimensions])}

    @staticmethod
    def open(arrays: Arrays, config: DteConfig) -> "OpenedDte":
        return OpenedDte(arrays, config)


class OpenedDte:
    def __init__(self, arrays: Arrays, config: DteConfig) -> None:
        self.neighbours = Neighbours(arrays, config.neighbours)
        self.variances, self.dimensions = arrays["variances"], int(arrays["dimensions"][0])
        self.first = config.first(self.neighbours.k)

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        found = np.empty(len(rows), dtype=np.float64)
        for block, _, distances in self.neighbours.found(rows):
            for part in blocks(len(distances), 24 * distances.shape[1] * len(self.variances)):
                found[block][part] = self._times(distances[part, self.first :])
        return found

    def contributions(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """A row's squared distance from its neighbours by feature, each neighbour weighing as much as the posterior's
        sum owes to it."""
        found = np.empty(rows.shape, dtype=np.float32)
        for block, apart, distances in self.neighbours.found(rows):
            apart, distances = apart[:, self.first :], distances[:, self.first :]
            likely = np.exp(-distances / (2 * self._noise(distances)[:, None]))
            likely /= np.maximum(likely.sum(axis=1, keepdims=True), 1e-300)
            found[block] = np.einsum("bkf,bk->bf", apart, likely)
        return found

    def _times(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B,): the mean of ln s^2 under p(t | x), by squared distances (B, K)."""
        logs = np.log(self.variances)
        likely = -distances[:, :, None] / (2 * self.variances)
        top = likely.max(axis=1)
        posterior = top + np.log(np.exp(likely - top[:, None]).mean(axis=1)) - self.dimensions / 2 * logs
        posterior = np.exp(posterior - posterior.max(axis=1, keepdims=True))
        return np.asarray((posterior @ logs) / posterior.sum(axis=1))

    def _noise(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B,): the variance at the time that is most likely of a row's mean distance."""
        return np.maximum(distances.mean(axis=1) / self.dimensions, self.variances[0])
