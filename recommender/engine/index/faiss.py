"""Approximate search: faiss's inverted file (Jegou, Douze, Schmid 2011), cut for vectors that differ in length.

Learned vectors differ in length, popular items being long, and most of the best inner products are with long ones:
direction alone looks for them in the wrong parts. So the catalogue is first cut into bands of like lengths (Yan, Li,
Dai, Chen, Cheng 2018, "Norm-Ranging LSH for Maximum Inner Product Search"), each band by direction into parts. Of a
part is known how long its longest vector is, m, and within which angle phi of its centre the nearer half of its vectors
lies, so that for a query at the angle theta from the centre the part promises

    |q| m cos(max(0, theta - phi)),

and the nprobe parts that promise most are looked at (the bound that ball trees prune by: Ram and Gray 2012, "Maximum
Inner-Product Search Using Tree Data-Structures"). O((nlist + N nprobe / nlist) D) per query. The file is memory-mapped:
all web processes share one copy of it.

On a million vectors of tests/benchmarks/serving_world.py, 64-d, 128 parts of 5,000 find recall@100 .992 in .2 ms of one
core; without bands, all vectors made equally long by one more number (Bachrach et al. 2014, "Speeding Up the Xbox
Recommender System"), 192 of 4,000 find .71 in .3 ms. On ALS's of Gowalla (40,981 x 64), 128 of 1,000 find .998 in
.07 ms.
"""

from dataclasses import dataclass
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import ArtifactDamaged, ArtifactMissing, NoData
from recommender.engine.index import IndexOptions
from recommender.engine.index.exact import ExactIndex

FILE, PARTS = "ivf.faiss", "parts.npy"
KMEANS_SWEEPS, KMEANS_SAMPLE = 8, 64  # sweeps, and vectors of each part that it learns from
BAND = 1.4  # how much longer the longest vector of a band may be than its shortest
LEAST_PARTS = 4  # of a band
NEARER = 0.5  # share of a part's vectors that lie within its angle
SAMPLE, SUMMED = 256, 6  # queries that nprobe is chosen by, vectors added up for one
USUAL_K = 100
LEAST_PROBED = 32  # parts: fewer save nothing
SPARE = 1.5  # times the parts that those need: histories are more varied
BLOCK = 512  # queries at once, whose promises take BLOCK nlist cells
TINY = np.float32(1e-30)


@dataclass(frozen=True)
class FaissIndex:
    index: Any  # faiss.IndexIVFFlat; faiss publishes no types
    centres: NDArray[np.float32]
    """(nlist, D), of length 1."""
    longest: NDArray[np.float32]
    """(nlist,): m; 0 of an empty part."""
    cosines: NDArray[np.float32]
    """(nlist,): of phi."""
    sines: NDArray[np.float32]

    @staticmethod
    def build(vectors: NDArray[np.float32], directory: Path, options: IndexOptions) -> None:
        """The same vectors, options and seed give the same file. Raises NoData."""
        import faiss

        if not len(vectors):
            raise NoData("An index needs at least one vector.")
        vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        n, d = vectors.shape
        nlist = min(options.nlist or round(4 * sqrt(n)), n)
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(options.threads)
        try:
            parts, of = _cut(vectors, nlist, options.seed)
            quantizer = faiss.IndexFlatIP(d)
            quantizer.add(np.ascontiguousarray(parts[:, :d]))
            index = faiss.IndexIVFFlat(quantizer, d, len(parts), faiss.METRIC_INNER_PRODUCT)
            index.is_trained = True
            ids = np.arange(n, dtype=np.int64)
            index.add_core(n, faiss.swig_ptr(vectors), faiss.swig_ptr(ids), faiss.swig_ptr(of))
            index.nprobe = min(options.nprobe or _enough(index, parts, vectors, options), len(parts))
        finally:
            faiss.omp_set_num_threads(threads)
        faiss.write_index(index, str(directory / FILE))
        np.save(directory / PARTS, parts)

    @classmethod
    def open(cls, directory: Path, vectors: NDArray[np.float32]) -> "FaissIndex":
        import faiss

        for name in (FILE, PARTS):
            if not (directory / name).is_file():
                raise ArtifactMissing(f"{name} is not there.")
        try:
            index: Any = faiss.read_index(str(directory / FILE), faiss.IO_FLAG_MMAP_IFC)
            parts = np.asarray(np.load(directory / PARTS, mmap_mode="r", allow_pickle=False))
        except (RuntimeError, ValueError) as error:
            raise ArtifactDamaged(f"{FILE} or {PARTS} cannot be read.") from error
        if (index.ntotal, index.d) != vectors.shape:
            raise ArtifactDamaged(f"{FILE} holds {index.ntotal} x {index.d} vectors, not {vectors.shape}.")
        if parts.shape != (index.nlist, index.d + 2):
            raise ArtifactDamaged(f"{PARTS} does not belong to {FILE}.")
        return _of(index, parts)

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Where the parts looked at hold fewer than K items, all parts are looked at, so that K always come back."""
        k = min(k, self.index.ntotal)
        if k < 1 or not len(queries):
            return np.empty((len(queries), max(k, 0)), np.int32), np.empty((len(queries), max(k, 0)), np.float32)
        queries = np.ascontiguousarray(queries, dtype=np.float32)
        found = [self._search(queries[start : start + BLOCK], k) for start in range(0, len(queries), BLOCK)]
        rows, scores = found[0] if len(found) == 1 else tuple(map(np.concatenate, zip(*found, strict=True)))
        if (scores[:, 1:] == scores[:, :-1]).any():  # best first already; only ties are in no order
            order = np.lexsort((rows, -scores), axis=1)
            rows, scores = np.take_along_axis(rows, order, axis=1), np.take_along_axis(scores, order, axis=1)
        return rows.astype(np.int32), scores

    def _search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        import faiss

        # More results than usual lie in more parts.
        nprobe = min(self.index.nlist, round(self.index.nprobe * max(1.0, k / USUAL_K) ** 0.5))
        if nprobe == self.index.nlist:
            scores, rows = self.index.search(queries, k, params=_looking_at(nprobe))
            return rows, scores
        promises = self._promises(queries)
        parts = np.ascontiguousarray(np.argpartition(promises, -nprobe, axis=1)[:, -nprobe:], dtype=np.int64)
        given = np.take_along_axis(promises, parts, axis=1)
        rows = np.empty((len(queries), k), dtype=np.int64)
        scores = np.empty((len(queries), k), dtype=np.float32)
        pointers = [faiss.swig_ptr(array) for array in (parts, given, scores, rows)]
        # Through faiss's own interface: what it lays over it for Python takes no number of parts.
        self.index.search_preassigned_c(len(queries), faiss.swig_ptr(queries), k, *pointers, False, _looking_at(nprobe))
        short = rows[:, -1] < 0
        if short.any():
            scores[short], rows[short] = self.index.search(queries[short], k, params=_looking_at(self.index.nlist))
        return rows, scores

    def _promises(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """(B, nlist), in units of the query's length."""
        lengths = np.sqrt(np.einsum("bd,bd->b", queries, queries))
        cosines = (queries / np.maximum(lengths, TINY)[:, None]) @ self.centres.T
        turned = cosines * self.cosines + np.sqrt(np.maximum(1 - cosines * cosines, 0)) * self.sines
        return np.asarray(self.longest * np.where(cosines >= self.cosines, np.float32(1), turned))


@cache
def _looking_at(nprobe: int) -> Any:
    import faiss

    return faiss.SearchParametersIVF(nprobe=nprobe)  # type: ignore[call-arg]  # faiss patches it in


def _of(index: Any, parts: NDArray[np.float32]) -> FaissIndex:
    cosines = np.array(parts[:, -1])
    sines = np.sqrt(np.maximum(1 - cosines * cosines, 0))
    return FaissIndex(index, parts[:, :-2], np.array(parts[:, -2]), cosines, sines)


def _cut(vectors: NDArray[np.float32], nlist: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """About `nlist` parts, float32 (nlist, D + 2): centre, length of the longest, cosine of the angle; and the part of
    each vector, int64 (N,)."""
    import faiss

    n, d = vectors.shape
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors))
    order = np.argsort(-lengths, kind="stable")
    of, parts, done = np.zeros(n, dtype=np.int64), list[NDArray[np.float32]](), 0
    for band in _bands(lengths[order], max(1, LEAST_PARTS * n // nlist)):
        rows = order[band]
        directions = vectors[rows] / np.maximum(lengths[rows], TINY)[:, None]
        k = max(1, round(len(rows) * nlist / n))
        sample = {"max_points_per_centroid": KMEANS_SAMPLE, "min_points_per_centroid": 1}
        means = faiss.Kmeans(d, k, niter=KMEANS_SWEEPS, spherical=True, seed=seed, **sample)
        means.train(directions)
        centres = np.asarray(means.centroids, dtype=np.float32).reshape(k, d)
        near = faiss.IndexFlatIP(d)
        near.add(centres)
        cosines, own = near.search(directions, 1)
        parts.append(np.concatenate((centres, _facts(lengths[rows], cosines[:, 0], own[:, 0], k)), axis=1))
        of[rows] = done + own[:, 0]
        done += k
    return np.concatenate(parts), of


def _bands(lengths: NDArray[np.float32], least: int) -> list[slice]:
    """Cuts of falling lengths (N,): each of `least` vectors or more, and of like lengths where that leaves enough."""
    found, start, n = list[slice](), 0, len(lengths)
    while start < n:
        stop = int(np.searchsorted(-lengths, -lengths[start] / BAND, side="right"))
        stop = max(stop, start + least)
        if n - stop < least:
            stop = n
        found.append(slice(start, stop))
        start = stop
    return found


def _facts(
    lengths: NDArray[np.float32], cosines: NDArray[np.float32], own: NDArray[np.int64], k: int
) -> NDArray[np.float32]:
    """(k, 2): of each part, the length of its longest vector and the cosine of the angle; 0 and 1 of an empty one."""
    longest = np.zeros(k, dtype=np.float32)
    np.maximum.at(longest, own, lengths)
    counts = np.bincount(own, minlength=k)
    starts = np.cumsum(counts) - counts
    ordered = cosines[np.lexsort((-cosines, own))]  # the nearest of each part first
    places = starts + np.minimum((counts * NEARER).astype(np.int64), np.maximum(counts - 1, 0))
    angle = np.where(counts > 0, ordered[np.minimum(places, len(ordered) - 1)], 1)
    return np.stack((longest, np.clip(angle, -1, 1)), axis=1).astype(np.float32)


def _enough(index: Any, parts: NDArray[np.float32], vectors: NDArray[np.float32], options: IndexOptions) -> int:
    """How many parts to look at for the recall that is wanted, by queries as they will come: vectors, the longer
    the likelier, and for half of them, where that is asked for, sums of several."""
    rng = np.random.default_rng(options.seed)
    lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors)) + TINY
    size = min(SAMPLE, len(vectors))
    rows = rng.choice(len(vectors), (size, SUMMED), p=lengths / lengths.sum(dtype=np.float64))
    queries = vectors[rows]
    if options.sums:
        queries = np.concatenate((queries[: size // 2, 0], queries[size // 2 :].sum(axis=1)))
    else:
        queries = queries[:, 0]
    k = min(options.k, len(vectors))
    oracle, _ = ExactIndex(vectors).search(queries, k)
    opened = _of(index, parts)
    nprobe = LEAST_PROBED
    while nprobe < len(parts):
        index.nprobe = nprobe
        found, _ = opened.search(queries, k)
        if np.mean([len(np.intersect1d(a, b)) for a, b in zip(found, oracle, strict=True)]) >= options.recall * k:
            return round(nprobe * SPARE)
        nprobe = nprobe * 5 // 4
    return len(parts)
