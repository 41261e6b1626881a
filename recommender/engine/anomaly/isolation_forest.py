"""Isolation forest: what few random cuts set apart from the rest is anomalous (Liu, Ting and Zhou 2008).

scikit-learn grows the trees; they are kept as plain arrays and walked with NumPy. The score is the paper's 2^(-E(h)/c),
scikit-learn's `score_samples` with the sign turned round.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import Arrays
from recommender.engine.anomaly.rows import Scaling, blocks, check_number, shape
from recommender.engine.options import Options

LEAF = -1
EULER = 0.5772156649015329
STEPS = 10  # in which trees are grown, between which the fit may be cancelled


@dataclass(frozen=True)
class IsolationForestConfig:
    trees: int = 100
    """The paper's number; time to score grows with them. 300 are no better on half of ADBench's sets (AUROC 73.2, 73.3
    with 100), only steadier from seed to seed."""
    sample: int = 256
    """Rows that each tree is grown from: more would hide anomalies behind each other (the paper's 256)."""

    def __post_init__(self) -> None:
        check_number("trees", self.trees, 1, 10_000, whole=True)
        check_number("sample", self.sample, 2, 100_000, whole=True)


class IsolationForestDetector:
    Config = IsolationForestConfig

    @staticmethod
    def fit(rows: NDArray[np.float32], config: IsolationForestConfig, options: Options) -> Arrays:
        """Nodes of all trees one after the other, G in all: `left`, `right` int32 (LEAF at leaves), `feature` int32,
        `threshold` float64, `depth` float64 (the mean path length of what reaches a node), `roots` int32 (T,).

        Memory: one copy of the rows as float32. Raises NoData, Misfit.
        """
        from sklearn.ensemble import IsolationForest

        count, _ = shape(rows)
        options.progress(0.0, f"{config.trees} trees")
        scaling = Scaling.learn(rows, "none")
        clean = scaling.finite(rows)
        sample = min(config.sample, count)
        forest = IsolationForest(
            n_estimators=1, max_samples=sample, n_jobs=options.threads, random_state=options.seed, warm_start=True
        )
        for step in range(1, STEPS + 1):
            trees = config.trees * step // STEPS
            if trees > len(getattr(forest, "estimators_", ())):
                forest.set_params(n_estimators=trees).fit(clean)
                options.progress(step / STEPS, f"{trees} of {config.trees} trees")
        parts = [_grown(tree.tree_) for tree in forest.estimators_]
        starts = np.cumsum([0] + [len(part["left"]) for part in parts])
        joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        shift = np.repeat(starts[:-1], np.diff(starts)).astype(np.int32)
        for name in ("left", "right"):
            joined[name] = np.where(joined[name] == LEAF, LEAF, joined[name] + shift).astype(np.int32)
        options.progress(1.0, "done")
        usual = np.array([_usual_depth(np.array([sample]))[0]])
        return {**joined, **scaling.arrays, "roots": starts[:-1].astype(np.int32), "usual_depth": usual}

    @staticmethod
    def open(arrays: Arrays, config: IsolationForestConfig) -> "OpenedForest":
        return OpenedForest(arrays)


class OpenedForest:
    def __init__(self, arrays: Arrays) -> None:
        self.scaling = Scaling.of(arrays)
        self.left, self.right = arrays["left"], arrays["right"]
        self.feature, self.threshold, self.depth = arrays["feature"], arrays["threshold"], arrays["depth"]
        self.roots, self.usual_depth = arrays["roots"], float(arrays["usual_depth"][0])

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float64]:
        self.scaling.check(rows)
        found = np.empty(len(rows), dtype=np.float64)
        for block in blocks(len(rows), 64 * len(self.roots)):
            depth = self.depth[self._leaves(self.scaling.finite(rows[block]))].sum(axis=0)
            usual = len(self.roots) * self.usual_depth
            # Trees of one row have no depth to compare with; scikit-learn calls that 1 as well.
            found[block] = 2.0 ** -(depth / usual if usual > 0 else np.ones_like(depth))
        return found

    def contributions(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """How much shorter than usual the cuts on each feature make a row's paths, mean over trees: what the mean
        path length falls by, from a node to the child that the row goes to. They sum to the mean path length of the
        rows learned from, less the row's own."""
        self.scaling.check(rows)
        found = np.zeros(rows.shape, dtype=np.float32)
        for block in blocks(len(rows), 64 + 8 * rows.shape[1]):
            clean = self.scaling.finite(rows[block])
            everyone, summed = np.arange(len(clean)), np.zeros(clean.shape)
            for root in self.roots:
                node = np.full(len(clean), root)
                inside = everyone[self.left[node] != LEAF]
                while len(inside):
                    at = node[inside]
                    feature = self.feature[at]
                    child = np.where(clean[inside, feature] <= self.threshold[at], self.left[at], self.right[at])
                    summed[inside, feature] += self.depth[at] - self.depth[child]
                    node[inside] = child
                    inside = inside[self.left[child] != LEAF]
            found[block] = summed / len(self.roots)
        return found

    def _leaves(self, clean: NDArray[np.float32]) -> NDArray[np.int32]:
        """The leaf that each row (R, F) ends in, int32 (T, R)."""
        node = np.repeat(self.roots[:, None], len(clean), axis=1)
        everyone = np.broadcast_to(np.arange(len(clean)), node.shape).ravel()
        flat = node.ravel()
        inside = np.flatnonzero(self.left[flat] != LEAF)
        while len(inside):
            at = flat[inside]
            low = clean[everyone[inside], self.feature[at]] <= self.threshold[at]
            child = np.where(low, self.left[at], self.right[at])
            flat[inside] = child
            inside = inside[self.left[child] != LEAF]
        return flat.reshape(node.shape)


def _grown(tree: object) -> dict[str, NDArray[np.generic]]:
    """One tree's nodes; `depth` of a leaf is its level and what its rows would still be told apart by."""
    left, right = (np.asarray(getattr(tree, f"children_{side}"), dtype=np.int32) for side in ("left", "right"))
    rows = np.asarray(tree.n_node_samples, dtype=np.int64)  # type: ignore[attr-defined]
    level = np.zeros(len(left))
    for node in range(len(left)):  # parents come before their children
        if left[node] != LEAF:
            level[left[node]] = level[right[node]] = level[node] + 1
    depth = level + _usual_depth(rows)
    for node in range(len(left) - 1, -1, -1):
        if left[node] != LEAF:
            a, b = left[node], right[node]
            depth[node] = (rows[a] * depth[a] + rows[b] * depth[b]) / rows[node]
    feature = np.maximum(np.asarray(tree.feature, dtype=np.int32), 0)  # type: ignore[attr-defined]
    threshold = np.asarray(tree.threshold, dtype=np.float64)  # type: ignore[attr-defined]
    return {"left": left, "right": right, "feature": feature, "threshold": threshold, "depth": depth}


def _usual_depth(rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """c(n): the mean path length of a failed search in a tree of n rows (the paper's equation 1)."""
    n = np.maximum(rows, 3).astype(np.float64)
    large = 2 * (np.log(n - 1) + EULER) - 2 * (n - 1) / n
    return np.where(rows <= 1, 0.0, np.where(rows == 2, 1.0, large))
