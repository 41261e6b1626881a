"""Learners that tell two classes apart, as arrays: log odds and contributions by NumPy alone.

logistic   logistic regression over each value's place among all values: holds out with few labels
forest     a random forest: finds what only some features together say, with many labels
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.anomaly import forest
from recommender.engine.errors import UnknownName
from recommender.engine.options import Options

Arrays = Mapping[str, NDArray[Any]]
LEARNERS = {"logistic": 0, "forest": 1}  # numbers in the arrays
PLACES = 33  # quantiles that a value's place is read off
STRENGTH = 0.3  # inverse of the logistic regression's regularisation, over places from -1 to 1
EDGE = 1e-6  # probabilities are kept so far from 0 and 1: log odds within 13.8


def fit(
    name: str,
    rows: NDArray[np.float32],
    positive: NDArray[np.bool_],
    weights: NDArray[np.float64],
    options: Options,
    trees: int,
    leaf: int,
) -> dict[str, NDArray[Any]]:
    """Learn `positive` (R,), both classes present, from finite `rows` (R, F). Raises UnknownName."""
    if name not in LEARNERS:
        raise UnknownName(f"{name!r} is none of: {', '.join(LEARNERS)}.")
    number = np.array(LEARNERS[name], dtype=np.int8)
    if name == "forest":
        return {"learner": number, **forest.fit(rows, positive, weights, options, trees, leaf)}
    from sklearn.linear_model import LogisticRegression

    quantiles = np.quantile(rows, np.linspace(0, 1, PLACES), axis=0).astype(np.float32)
    model = LogisticRegression(C=STRENGTH, max_iter=1000).fit(_places(quantiles, rows), positive, weights)
    return {"learner": number, "quantiles": quantiles, "weights": np.append(model.coef_[0], model.intercept_[0])}


def log_odds(arrays: Arrays, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """(R,): above 0 for the positive class."""
    if int(arrays["learner"]) == LEARNERS["forest"]:
        half = 0.5 / len(arrays["roots"])  # of a tree: none said so, or all did
        return logit(np.clip(forest.shares(arrays, rows), half, 1 - half))
    weights = np.asarray(arrays["weights"])
    return np.asarray(_places(np.asarray(arrays["quantiles"]), rows) @ weights[:-1] + weights[-1])


def contributions(arrays: Arrays, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(R, F): how much each feature speaks for the positive class, above 0, or against it."""
    if int(arrays["learner"]) == LEARNERS["forest"]:
        return forest.contributions(arrays, rows)
    places = _places(np.asarray(arrays["quantiles"]), rows)
    return (places * np.asarray(arrays["weights"])[:-1]).astype(np.float32)


def _places(quantiles: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """(R, F), -1 to 1: each value's place among those of `quantiles` (PLACES, F); ties take the middle of theirs."""
    found = np.empty(rows.shape)
    for column in range(rows.shape[1]):
        known, asked = quantiles[:, column], rows[:, column]
        low, high = (np.searchsorted(known, asked, side) for side in ("left", "right"))
        inside = np.interp(asked, known, np.arange(PLACES))
        found[:, column] = np.where(high > low, (low + high - 1) / 2, inside)
    return 2 * found / (PLACES - 1) - 1


def logit(sure: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds of probabilities."""
    sure = np.clip(sure, EDGE, 1 - EDGE)
    return np.asarray(np.log(sure) - np.log1p(-sure))
