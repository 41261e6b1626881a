"""A random forest for two classes, kept as arrays and walked with NumPy (Breiman 2001).

Trees share their arrays, one node after the other: `feature` int16 (M,), -1 in a leaf; `threshold` float64 (M,), rows
at or below it go `left`, the others `right`, int32 (M,); `value` float32 (M,), the share of positives. `roots`
int32 (T,) are where trees begin.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.options import Options

Arrays = Mapping[str, NDArray[Any]]
LEAF = -1
ROWS_AT_ONCE = 2**14  # walked through a tree together: about what a cache holds


def fit(
    rows: NDArray[np.float32],
    told: NDArray[np.bool_],
    weights: NDArray[np.float64],
    options: Options,
    trees: int,
    leaf: int,
) -> dict[str, NDArray[Any]]:
    """Learn `told` bool (R,), both classes present, from finite `rows` (R, F); a leaf holds `leaf` rows at least."""
    from sklearn.ensemble import RandomForestClassifier

    found = RandomForestClassifier(
        n_estimators=trees, min_samples_leaf=leaf, random_state=options.seed, n_jobs=options.threads
    ).fit(rows, told, weights)
    parts, roots, at = [], [], 0
    for tree in (one.tree_ for one in found.estimators_):
        inner = tree.children_left >= 0
        share = tree.value[:, 0, :] / tree.value[:, 0, :].sum(axis=1, keepdims=True)
        parts.append(
            (
                np.where(inner, tree.feature, LEAF).astype(np.int16),
                np.where(inner, tree.threshold, 0.0),
                np.where(inner, tree.children_left + at, 0).astype(np.int32),
                np.where(inner, tree.children_right + at, 0).astype(np.int32),
                share[:, 1].astype(np.float32),
            )
        )
        roots.append(at)
        at += tree.node_count
    names = ("feature", "threshold", "left", "right", "value")
    arrays = {name: np.concatenate(column) for name, column in zip(names, zip(*parts, strict=True), strict=True)}
    return arrays | {"roots": np.array(roots, dtype=np.int32)}


def shares(arrays: Arrays, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """(R,): the trees' mean share of positives, 0 to 1."""
    return _walked(arrays, rows, None)


def contributions(arrays: Arrays, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(R, F): by how much each feature moved the share on the way from root to leaf (Palczewska et al. 2014).

    A row's sum, with the roots' mean value, is its share.
    """
    moved = np.zeros(rows.shape, dtype=np.float64)
    _walked(arrays, rows, moved)
    return moved.astype(np.float32)


def _walked(arrays: Arrays, rows: NDArray[np.float32], moved: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Tree by tree, so that its nodes stay in the processor's cache; rows that have come to a leaf are dropped."""
    feature, threshold, left, right, value, roots = (
        np.asarray(arrays[name]) for name in ("feature", "threshold", "left", "right", "value", "roots")
    )
    children = np.stack([left, right], axis=1).ravel()
    ends, width = np.append(roots[1:], len(feature)), rows.shape[1]
    found = np.zeros(len(rows))
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = np.ascontiguousarray(rows[start : start + ROWS_AT_ONCE])
        flat, count = part.ravel(), len(part)
        for root, end in zip(roots.tolist(), ends.tolist(), strict=True):
            if end - root == 1:
                found[start : start + count] += value[root]
                continue
            row, node = np.arange(count), np.full(count, root, dtype=np.int64)
            while len(row):
                split = feature[node].astype(np.int64)
                after = children[2 * node + (flat[row * width + split] > threshold[node])].astype(np.int64)
                if moved is not None:
                    moved[start + row, split] += value[after].astype(np.float64) - value[node]
                at_leaf = feature[after] == LEAF
                found[start + row[at_leaf]] += value[after[at_leaf]]
                row, node = row[~at_leaf], after[~at_leaf]
    if moved is not None:
        moved /= len(roots)
    return found / len(roots)
