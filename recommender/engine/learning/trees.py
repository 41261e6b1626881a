"""Boosted trees that order candidates: LightGBM grows them, NumPy answers with them.

They are taught by LambdaMART (Burges 2010, "From RankNet to LambdaRank to LambdaMART"): the gradient of a pair is what
swapping it would change in NDCG. Serving knows no LightGBM: trees are arrays, walked for all candidates at once in
O(trees levels) per candidate.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import InvalidConfig
from recommender.engine.options import Progress

K = 10  # places of a list that count
TREES, LEAVES, LEVELS, RATE = 60, 7, 5, 0.05
FEWEST_ROWS = 300  # in a leaf
BLOCK = 4096  # rows walked at once: 100 trees times these fit a cache


@dataclass(frozen=True)
class Trees:
    """T trees of up to S nodes, the first the root; a leaf leads to itself. Each array is (T, S)."""

    features: NDArray[np.int32]
    thresholds: NDArray[np.float64]
    """Up to these, inclusive, a row goes left."""
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    values: NDArray[np.float64]

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The sum of the leaves that each row (R, F) falls into, (R,)."""
        result = np.zeros(len(rows), dtype=np.float32)
        trees = np.arange(len(self.features))[:, None]
        for start in range(0, len(rows), BLOCK):
            block = rows[start : start + BLOCK]
            places, nodes = np.arange(len(block)), np.zeros((len(trees), len(block)), dtype=np.int32)
            for _ in range(LEVELS):
                goes_left = block[places, self.features[trees, nodes]] <= self.thresholds[trees, nodes]
                nodes = np.where(goes_left, self.left[trees, nodes], self.right[trees, nodes])
            result[start : start + BLOCK] = self.values[trees, nodes].sum(axis=0)
        return result

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        return {f"trees/{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]]) -> "Trees":
        return cls(*(arrays[f"trees/{field.name}"] for field in fields(cls)))


def grown(
    told: NDArray[np.float32], hits: NDArray[np.bool_], groups: NDArray[np.int64], seed: int, progress: Progress
) -> Trees:
    """Trees taught by candidates (R, F), which of them are right (R,), and how many each user in turn has (V,).

    Raises InvalidConfig where LightGBM is not installed, and whatever `progress` raises.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise InvalidConfig("lambdamart needs LightGBM: pip install -r requirements-extras.txt.") from error
    data = lightgbm.Dataset(told, hits, group=groups)
    settings = {
        "objective": "lambdarank",
        "num_leaves": LEAVES,
        "max_depth": LEVELS,
        "learning_rate": RATE,
        "min_data_in_leaf": FEWEST_ROWS,
        "lambdarank_truncation_level": 2 * K,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
        "seed": seed,
        "verbosity": -1,
    }

    def heard(environment: Any) -> None:
        progress(0.0, f"tree {environment.iteration + 1} of {TREES}")

    return exported(lightgbm.train(settings, data, TREES, callbacks=[heard]).dump_model())


def exported(model: dict[str, Any]) -> Trees:
    """Arrays of what LightGBM's `dump_model` says."""
    trees = [list(_nodes(one["tree_structure"])) for one in model["tree_info"]]
    shape = (len(trees), max(map(len, trees)))
    kinds = (np.int32, np.float64, np.int32, np.int32, np.float64)
    result = Trees(*(np.zeros(shape, kind) for kind in kinds))
    for tree, nodes in enumerate(trees):
        for place, (feature, threshold, left, right, value) in enumerate(nodes):
            result.features[tree, place], result.thresholds[tree, place] = feature, threshold
            result.left[tree, place], result.right[tree, place], result.values[tree, place] = left, right, value
    return result


def _nodes(root: dict[str, Any]) -> Iterator[tuple[int, float, int, int, float]]:
    """Feature, threshold, left, right and value of each node, in the order in which they are numbered."""
    queue, known = [root], 1
    for place, node in enumerate(queue):
        if "left_child" in node:
            yield node["split_feature"], node["threshold"], known, known + 1, 0.0
            queue += [node["left_child"], node["right_child"]]
            known += 2
        else:
            yield 0, 0.0, place, place, node["leaf_value"]
