"""Groups of vectors: k-means on the sphere for a group of everything, HDBSCAN for what lies close together."""

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.vectors import unit

MOST = 40  # groups; more than anyone reads through
PER_CENTROID = 512  # vectors that a centroid is learned from, at most
ROUNDS, TRIES = 25, 3
NO_GROUP = -1


def how_many(count: int) -> int:
    """Groups for so many vectors: the square root of half of them, up to MOST."""
    return max(1, min(MOST, round((count / 2) ** 0.5)))


def by_means(
    vectors: NDArray[np.float32], groups: int, seed: int = 42
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Spherical k-means (Dhillon and Modha 2001): labels int32 (N,) and centroids float32 (C, D) of length 1.

    Vectors float32 (N, D) are compared by cosine; those of length 0 say nothing and get NO_GROUP. Labels count from 0,
    the largest group first; groups that would be empty are left out, so that C <= `groups`.
    """
    import faiss

    units = unit(np.asarray(vectors, dtype=np.float32))
    labels = np.full(len(units), NO_GROUP, dtype=np.int32)
    told = np.flatnonzero(units.any(axis=1))
    distinct = len(np.unique(units[told], axis=0)) if len(told) <= MOST * PER_CENTROID else groups
    if not len(told):
        return labels, np.zeros((0, units.shape[1]), dtype=np.float32)
    means = faiss.Kmeans(
        units.shape[1],
        min(groups, distinct),
        niter=ROUNDS,
        nredo=TRIES,
        spherical=True,
        seed=seed,
        min_points_per_centroid=1,
        max_points_per_centroid=PER_CENTROID,
    )
    means.train(units[told])
    centroids = unit(np.asarray(means.centroids, dtype=np.float32))
    found = closest(units[told], centroids)
    sizes = np.bincount(found, minlength=len(centroids))
    order = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
    renamed = np.full(len(centroids), NO_GROUP, dtype=np.int32)
    renamed[order] = np.arange(len(order))
    labels[told] = renamed[found]
    return labels, centroids[order]


def closest(vectors: NDArray[np.float32], centroids: NDArray[np.float32], batch: int = 65_536) -> NDArray[np.int32]:
    """The centroid of largest inner product, int32 (N,)."""
    parts = [(vectors[at : at + batch] @ centroids.T).argmax(axis=1) for at in range(0, len(vectors), batch)]
    return np.concatenate(parts).astype(np.int32) if parts else np.zeros(0, dtype=np.int32)


def by_density(points: NDArray[np.float32], least: int = 0, limit: int = 20_000, seed: int = 42) -> NDArray[np.int32]:
    """HDBSCAN (Campello, Moulavi and Sander 2013): labels int32 (N,), the largest group 0; NO_GROUP in thin air.

    `least` members make a group; 0 for one in fifty, from 5 to 100. Points float32 (N, D) are compared by Euclidean
    distance; D should be small: in many dimensions nothing is dense. Beyond `limit` points a random part is grouped and
    the others join their nearest of it.
    """
    from sklearn.cluster import HDBSCAN

    from recommender.engine.grouping.umap import nearest

    count = len(points)
    members = least or int(np.clip(min(count, limit) / 50, 5, 100))
    if count < 2 * members:
        return np.full(count, NO_GROUP, dtype=np.int32)
    chosen = np.arange(count)
    if count > limit:
        chosen = np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))
    found = HDBSCAN(min_cluster_size=members, min_samples=min(5, members), copy=True).fit_predict(points[chosen])
    if count > limit:
        rows, _ = nearest(points[chosen], points, 1)
        found = found[rows[:, 0]]
    sizes = np.bincount(found[found >= 0], minlength=1)
    renamed = np.empty(len(sizes) + 1, dtype=np.int32)
    renamed[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    renamed[NO_GROUP] = NO_GROUP
    return renamed[found]
