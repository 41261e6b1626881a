"""The learned rows nearest to a row, by Euclidean distance over scaled columns; what `knn` and `dte` have in common.

Up to `references` rows are kept, drawn by chance, so that a million rows cost a million times a fixed number. A row
that was learned from finds itself: one neighbour that is equal to the row is not counted, whoever asks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import Arrays
from recommender.engine.anomaly.rows import Scaling, blocks, check_number, check_scale, sample, shape
from recommender.engine.options import Options


@dataclass(frozen=True)
class NeighboursConfig:
    neighbours: int = 50
    """K: more than the anomalies that may stand in one heap, for these vouch for each other. 5 where what is learned
    from is known to be usual."""
    references: int = 10_000
    """Rows kept at most. Time to score grows with them, and memory: 4 bytes for each of their features."""
    scale: str = "standard"
    """What makes columns comparable: "standard" (mean and deviation), "robust" (median and quartiles), "minmax" or
    "none"."""

    def __post_init__(self) -> None:
        check_number("neighbours", self.neighbours, 1, 10_000, whole=True)
        check_number("references", self.references, 2, 10_000_000, whole=True)
        check_scale(self.scale)


def learn(rows: NDArray[np.float32], config: NeighboursConfig, options: Options) -> dict[str, NDArray[np.generic]]:
    """`references` float32 (M, F) and what scales rows. Raises NoData, Misfit."""
    shape(rows)
    options.progress(0.0, f"{len(rows)} rows")
    scaling = Scaling.learn(rows, config.scale)
    references = scaling.scaled(sample(rows, config.references, options.seed))
    options.progress(0.9, f"{len(references)} references")
    return {"references": references, **scaling.arrays}


class Neighbours:
    """The K nearest references of rows; fewer where fewer were learned."""

    def __init__(self, arrays: Arrays, k: int) -> None:
        import faiss

        self.scaling = Scaling.of(arrays)
        self.references = arrays["references"]
        self.index = faiss.IndexFlatL2(self.references.shape[1])
        self.index.add(np.ascontiguousarray(self.references, dtype=np.float32))
        self.k = max(1, min(k, len(self.references) - 1))

    def found(self, rows: NDArray[np.float32]) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.float64]]]:
        """Block by block: which of `rows`, their squared distances to each neighbour by feature float32 (B, K, F), and
        over all features float64 (B, K), rising. Raises Misfit."""
        self.scaling.check(rows)
        asked = min(self.k + 1, len(self.references))
        for block in blocks(len(rows), 12 * asked * rows.shape[1] + 64 * asked):
            scaled = self.scaling.scaled(rows[block])
            places = self.index.search(scaled, asked)[1]
            # faiss's distances are differences of large products; these are exact, so that equal rows are 0 apart.
            apart = self.references[places]
            apart -= scaled[:, None, :]
            np.square(apart, out=apart)
            distances = apart.sum(axis=2, dtype=np.float64)
            order = np.argsort(distances, axis=1, kind="stable")
            if asked > self.k:
                itself = np.take_along_axis(distances, order[:, :1], axis=1) == 0
                order = np.where(itself, order[:, 1:], order[:, : self.k])
            yield (
                block,
                np.take_along_axis(apart, order[:, :, None], axis=1),
                np.take_along_axis(distances, order, axis=1),
            )


@contextmanager
def searching(threads: int) -> Iterator[None]:
    """While within, neighbours are looked for on so many threads."""
    import faiss

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(threads)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)
