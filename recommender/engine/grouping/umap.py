"""A map of vectors: points of the plane that keep near what is near (UMAP, McInnes, Healy and Melville 2018).

As in the paper: k nearest neighbours, a scale for each point so that its neighbourhood weighs log2 k, the fuzzy union
of both directions, a spectral start, and gradient descent that pulls edges together and pushes random pairs apart. The
descent moves all the points of a step at once, which is what makes it quick without compiled code.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 15
A, B = 1.577, 0.895  # 1 / (1 + A d^2B): the curve of the paper's min_dist = 0.1 and spread = 1
NEGATIVES = 5  # random pairs pushed apart for each edge pulled together
STEPS = 4  # parts of an epoch: the points that a crowd of edges moves would overshoot in one
SMALL, LONG, SHORT = 10_000, 400, 200  # points up to which so many epochs are made, and epochs beyond
LARGEST_STEP = 4.0  # of a point, by one edge
MAX_POINTS = 20_000  # laid out together; others are put among their neighbours of these
FEWEST = 16  # points; fewer have no neighbourhoods to speak of, and their main axes tell as much
BISECTIONS = 40
EXTENT = 10.0  # half the width of the start

Points = NDArray[np.float32]


def lay_out(vectors: NDArray[np.float32], seed: int = 42, limit: int = MAX_POINTS) -> Points:
    """(N, 2) float32, centred, for vectors float32 (N, D) compared by Euclidean distance.

    The same vectors and seed give the same map. Beyond `limit` vectors a random part is laid out, and each other is put
    where its nearest ones of that part are. O(N limit D) for the neighbours.
    """
    count = len(vectors)
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    if count < FEWEST:
        return _main_axes(vectors)
    random = np.random.default_rng(seed)
    if count <= limit:
        return _centred(_laid_out(vectors, random))
    chosen = np.sort(random.choice(count, limit, replace=False))
    points = np.zeros((count, 2), dtype=np.float32)
    points[chosen] = _laid_out(vectors[chosen], random)
    others = np.setdiff1d(np.arange(count), chosen)
    rows, distances = nearest(vectors[chosen], vectors[others], 3)
    weights = 1 / (distances + 1e-6)
    weights /= weights.sum(axis=1, keepdims=True)
    points[others] = (points[chosen][rows] * weights[:, :, None]).sum(axis=1)
    return _centred(points)


def nearest(
    vectors: NDArray[np.float32], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The exact K nearest of `vectors` to each query: rows (B, K) and Euclidean distances float32 (B, K)."""
    import faiss

    index = faiss.IndexFlatL2(vectors.shape[1])
    index.add(np.ascontiguousarray(vectors))
    squares, rows = index.search(np.ascontiguousarray(queries), min(k, len(vectors)))
    return rows, np.sqrt(np.maximum(squares, 0))


def _laid_out(vectors: NDArray[np.float32], random: np.random.Generator) -> Points:
    graph = _fuzzy_graph(vectors, min(NEIGHBOURS, len(vectors) - 1))
    spectral = _spectral(graph, random)
    start = _main_axes(vectors).astype(np.float64) if spectral is None else spectral
    spread = np.abs(start).max() or 1.0
    start = start * (EXTENT / spread) + random.normal(0, 1e-3, start.shape)
    epochs = LONG if len(vectors) <= SMALL else SHORT
    return _descend(start.astype(np.float32), graph.tocoo(), epochs, random)


def _fuzzy_graph(vectors: NDArray[np.float32], k: int) -> Any:
    """(N, N) sparse, symmetric: how surely two points are neighbours, 0 to 1. Equations 1 to 3 of the paper."""
    from scipy import sparse

    count = len(vectors)
    rows, distances = nearest(vectors, vectors, k + 1)
    # Of duplicates any may come before the point itself, and it may be missing altogether.
    own = rows == np.arange(count)[:, None]
    own[~own.any(axis=1), -1] = True
    rows, distances = rows[~own].reshape(count, k), distances[~own].reshape(count, k)
    nearer = np.where(distances > 0, distances, np.inf).min(axis=1)
    beyond = np.maximum(distances - np.where(np.isfinite(nearer), nearer, 0)[:, None], 0)
    low, high = np.zeros(count), np.full(count, np.inf)
    scale, target = np.ones(count), np.log2(k) if k > 1 else 1.0
    for _ in range(BISECTIONS):
        heavy = np.exp(-beyond / scale[:, None]).sum(axis=1) > target
        high, low = np.where(heavy, scale, high), np.where(heavy, low, scale)
        scale = np.where(np.isfinite(high), (low + np.where(np.isfinite(high), high, 0)) / 2, scale * 2)
    scale = np.clip(scale, 1e-3 * max(float(distances.mean()), 1e-12), 1e12)
    sure = np.exp(-beyond / scale[:, None])
    directed = sparse.csr_array((sure.ravel(), (np.repeat(np.arange(count), k), rows.ravel())), shape=(count, count))
    both = directed.multiply(directed.T)
    return (directed + directed.T - both).tocsr()


def _spectral(graph: Any, random: np.random.Generator) -> NDArray[np.float64] | None:
    """(N, 2): the two smoothest functions on the graph; None where it falls into parts, which these cannot arrange."""
    from scipy import sparse
    from scipy.sparse.linalg import ArpackError, eigsh

    if sparse.csgraph.connected_components(graph, directed=False)[0] > 1:
        return None
    scale = sparse.diags_array(1 / np.sqrt(np.asarray(graph.sum(axis=1)).ravel()))
    try:
        values, functions = eigsh(
            scale @ graph @ scale, k=3, which="LA", v0=random.random(graph.shape[0]), tol=1e-4, maxiter=1000
        )
    except ArpackError:
        return None
    found: NDArray[np.float64] = functions[:, np.argsort(-values)[1:]]
    return found * np.where(found[np.abs(found).argmax(axis=0), [0, 1]] < 0, -1, 1)  # one of the two signs, always


def _descend(points: Points, graph: Any, epochs: int, random: np.random.Generator) -> Points:
    """Algorithm 5 of the paper: each edge is drawn in proportion to its weight."""
    strong = graph.data >= graph.data.max() / epochs  # others would not be drawn once
    heads, tails = graph.row[strong].astype(np.int64), graph.col[strong].astype(np.int64)
    every = graph.data.max() / graph.data[strong]  # epochs from one draw to the next
    due = every.copy()
    count = len(points)
    for epoch in range(epochs):
        rate = np.float32(1 - epoch / epochs)
        drawn = np.flatnonzero(due <= epoch + 1)
        due[drawn] += every[drawn]
        for part in np.array_split(random.permutation(drawn), STEPS):
            head, tail = heads[part], tails[part]
            difference = points[head] - points[tail]
            square = np.maximum((difference**2).sum(axis=1), 1e-12)
            power = square ** np.float32(B - 1)
            pull = -2 * A * B * power / (1 + A * power * square)
            together = np.clip(pull[:, None] * difference, -LARGEST_STEP, LARGEST_STEP)
            pushed = np.repeat(head, NEGATIVES)
            difference = points[pushed] - points[random.integers(0, count, len(pushed))]
            square = (difference**2).sum(axis=1)
            push = 2 * B / ((0.001 + square) * (1 + A * square ** np.float32(B)))
            apart = np.clip(push[:, None] * difference, -LARGEST_STEP, LARGEST_STEP)
            for axis in (0, 1):
                moved = np.bincount(head, together[:, axis], count) - np.bincount(tail, together[:, axis], count)
                moved += np.bincount(head, apart[:, axis].reshape(-1, NEGATIVES).sum(axis=1), count)
                points[:, axis] += rate * moved.astype(np.float32)
    return points


def _main_axes(vectors: NDArray[np.float32]) -> Points:
    """(N, 2): the two principal components; 0 where there is no second, or no first."""
    points = np.zeros((len(vectors), 2), dtype=np.float32)
    if len(vectors) > 1:
        centred = vectors.astype(np.float64) - vectors.mean(axis=0)
        _, values, axes = np.linalg.svd(centred, full_matrices=False)
        axes = axes[:2] * np.where(values[:2] > 1e-9 * max(values[0], 1e-12), 1, 0)[:, None]
        axes *= np.where(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], 1) < 0, -1, 1)
        points[:, : len(axes)] = centred @ axes.T
    return points


def _centred(points: Points) -> Points:
    return points - points.mean(axis=0)
