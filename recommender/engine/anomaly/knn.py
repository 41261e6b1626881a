"""k nearest neighbours: rows far from all others are anomalous (Ramaswamy, Rastogi and Shim 2000; Angiulli and Pizzuti
2002 for the mean distance). Its reasons are the coordinates of that distance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import Arrays, neighbours
from recommender.engine.anomaly.neighbours import Neighbours, NeighboursConfig
from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Options

DISTANCES = ("mean", "largest")


@dataclass(frozen=True)
class KnnConfig(NeighboursConfig):
    distance: str = "mean"
    """To the K neighbours on average, or to the "largest", the K-th."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.distance not in DISTANCES:
            raise InvalidConfig(f"distance must be one of {', '.join(DISTANCES)}.")


class KnnDetector:
    Config = KnnConfig

    @staticmethod
    def fit(rows: NDArray[np.float32], config: KnnConfig, options: Options) -> Arrays:
        """See neighbours.learn; nothing else is learned."""
        arrays = neighbours.learn(rows, config, options)
        options.progress(1.0, "done")
        return arrays

    @staticmethod
    def open(arrays: Arrays, config: KnnConfig) -> "OpenedKnn":
        return OpenedKnn(arrays, config)


class OpenedKnn:
    def __init__(self, arrays: Arrays, config: KnnConfig) -> None:
        self.neighbours = Neighbours(arrays, config.neighbours)
        self.first = 0 if config.distance == "mean" else -1

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        found = np.empty(len(rows), dtype=np.float64)
        for block, _, distances in self.neighbours.found(rows):
            found[block] = np.sqrt(distances[:, self.first :]).mean(axis=1)
        return found

    def contributions(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """A row's squared distance from its neighbours, mean over them, by feature."""
        found = np.empty(rows.shape, dtype=np.float32)
        for block, apart, _ in self.neighbours.found(rows):
            found[block] = apart[:, self.first :].mean(axis=1)
        return found
