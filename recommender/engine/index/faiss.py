"""Approximate search: faiss's inverted file (Jegou, Douze, Schmid 2011) over uncompressed vectors.

Vectors are clustered by direction into nlist parts and a query looks into the nprobe nearest ones, which costs
O((nlist + N nprobe / nlist) D). The file is memory-mapped: all web processes share one copy of it.
"""

from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import ArtifactDamaged, ArtifactMissing, NoData
from recommender.engine.index import IndexOptions

FILE = "ivf.faiss"
KMEANS_SWEEPS = 20


@dataclass(frozen=True)
class FaissIndex:
    index: Any  # faiss.IndexIVFFlat; faiss publishes no types

    @staticmethod
    def build(vectors: NDArray[np.float32], directory: Path, options: IndexOptions) -> None:
        """The same vectors, options and seed give the same file. Raises NoData."""
        import faiss

        n, d = vectors.shape
        if not n:
            raise NoData("An index needs at least one vector.")
        nlist = min(options.nlist or round(4 * sqrt(n)), n)
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(d), d, nlist, faiss.METRIC_INNER_PRODUCT)
        index.cp.seed = options.seed
        index.cp.niter = KMEANS_SWEEPS
        index.cp.min_points_per_centroid = 1  # small catalogues are fine: without this, faiss warns on standard error
        index.nprobe = min(options.nprobe, nlist)
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(options.threads)
        try:
            contiguous = np.ascontiguousarray(vectors, dtype=np.float32)
            index.train(contiguous)
            index.add(contiguous)
        finally:
            faiss.omp_set_num_threads(threads)
        faiss.write_index(index, str(directory / FILE))

    @classmethod
    def open(cls, directory: Path, vectors: NDArray[np.float32]) -> "FaissIndex":
        import faiss

        path = directory / FILE
        if not path.is_file():
            raise ArtifactMissing(f"{path} is not there.")
        try:
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        except RuntimeError as error:
            raise ArtifactDamaged(f"faiss cannot read {path}.") from error
        if (index.ntotal, index.d) != vectors.shape:
            raise ArtifactDamaged(f"{path} holds {index.ntotal} x {index.d} vectors, not {vectors.shape}.")
        return cls(index)

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Where the parts looked at hold fewer than K items, all parts are looked at, so that K always come back."""
        import faiss

        k = min(k, self.index.ntotal)
        if k < 1 or not len(queries):
            return np.empty((len(queries), max(k, 0)), np.int32), np.empty((len(queries), max(k, 0)), np.float32)
        contiguous = np.ascontiguousarray(queries, dtype=np.float32)
        scores, rows = self.index.search(contiguous, k)
        short = (rows < 0).any(axis=1)
        if short.any():
            everywhere: Any = faiss.SearchParametersIVF(nprobe=self.index.nlist)  # type: ignore[call-arg]
            scores[short], rows[short] = self.index.search(contiguous[short], k, params=everywhere)
        order = np.lexsort((rows, -scores), axis=1)
        return np.take_along_axis(rows, order, axis=1).astype(np.int32), np.take_along_axis(scores, order, axis=1)
