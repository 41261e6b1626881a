"""ALS: alternating least squares for implicit feedback (Hu, Koren, Volinsky 2008), fitted by `implicit`.

Minimises sum_ui c_ui (p_ui - x_u . y_i)^2 + lambda (|x|^2 + |y|^2) with p = 1 and c = 1 + alpha w where the weight w is
positive, p = 0 and c = 1 + alpha |w| where it is negative, p = 0 and c = 1 elsewhere (their equations 1 to 3).
Fitting costs O(nnz D^2 + (U + N) D^3) per sweep at worst; conjugate gradients (Takacs, Pilaszy, Tikk 2011) bring it
to O(nnz D). Memory: 4 (U + N) D bytes and two copies of the matrix.
"""

from dataclasses import dataclass, field
from functools import cached_property
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import InvalidConfig, NoData, NotFinite
from recommender.engine.trainers import Arrays, Options

BATCH = 512  # histories solved at once; bounds the (B, D, D) systems to 512 * 256^2 * 4 bytes = 128 MiB


@dataclass(frozen=True)
class AlsConfig:
    factors: int = field(default=64, metadata={"tune": (16, 32, 64, 128)})
    """D, the length of a vector."""
    regularization: float = field(default=0.3, metadata={"tune": (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)})
    """lambda, in parts of events / sqrt(users * items), what the largest singular value of the matrix of likes would be
    if they were spread evenly. lambda cuts about that much off every singular value, so a fixed one that suits a large
    shop would leave a small one with zeros only; below 1, something is always left."""
    alpha: float = field(default=0.5, metadata={"tune": (0.2, 0.5, 1.0, 3.0, 10.0, 30.0)})
    """Confidence gained per unit of weight: a purchase of half a year ago, at weight 2.5, counts 2.25 times."""
    iterations: int = field(default=15, metadata={"tune": (8, 15, 30)})
    """Sweeps over users and items."""

    def __post_init__(self) -> None:
        if not (isinstance(self.factors, int) and 1 <= self.factors <= 2048):
            raise InvalidConfig("factors must be a whole number from 1 to 2048.")
        if not (isinstance(self.iterations, int) and 1 <= self.iterations <= 1000):
            raise InvalidConfig("iterations must be a whole number from 1 to 1000.")
        if not (np.isfinite(self.regularization) and self.regularization > 0):
            raise InvalidConfig("regularization must be above 0.")
        if not (np.isfinite(self.alpha) and self.alpha > 0):
            raise InvalidConfig("alpha must be above 0.")


@dataclass(frozen=True)
class AlsQuery:
    """Fold-in: a history's vector is the least-squares solution against the fixed item vectors.

    x = A^-1 b with A = Y'Y + lambda I + sum_i (c_i - 1) y_i y_i' and b = sum_{i: p_i = 1} c_i y_i (their equation 4),
    which is what a sweep of training computes for a user.
    """

    item_vectors: NDArray[np.float32]
    lambda_: float
    alpha: float

    @cached_property
    def gram(self) -> NDArray[np.float32]:
        """Y'Y + lambda I, float32 (D, D)."""
        y = self.item_vectors
        return (y.T @ y + self.lambda_ * np.eye(y.shape[1])).astype(np.float32)

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        result = np.zeros((len(histories), self.item_vectors.shape[1]), dtype=np.float32)
        for users, batch in histories.batches(BATCH):
            systems = np.repeat(self.gram[None], len(batch), axis=0)
            targets = np.zeros((len(batch), len(self.gram), 1), dtype=np.float32)
            for b, (rows, weights, _) in enumerate(batch):
                rows, weights = _summed(rows, weights)
                y, confidence = self.item_vectors[rows], 1 + self.alpha * np.abs(weights)
                systems[b] += (y.T * (confidence - 1)) @ y
                targets[b, :, 0] = (confidence * (weights > 0)) @ y
            result[users] = np.linalg.solve(systems, targets)[:, :, 0]
        return result

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        return self.vectors(histories) @ self.item_vectors.T

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Exact (their section 5): score_k = sum_i c_i y_k' A^-1 y_i over liked i; repeats share theirs by weight."""
        rows, weights = histories.item_rows, histories.weights
        unique, summed = _summed(rows, weights)
        y, confidence = self.item_vectors[unique], 1 + self.alpha * np.abs(summed)
        system = self.gram + (y.T * (confidence - 1)) @ y
        per_item = (y * (confidence * (summed > 0))[:, None]) @ np.linalg.solve(system, self.item_vectors[item_rows].T)
        place = np.searchsorted(unique, rows)
        share = np.divide(weights, summed[place], out=np.zeros_like(weights), where=summed[place] > 0)
        return (per_item[place] * share[:, None]).astype(np.float32)


class AlsTrainer:
    Config = AlsConfig

    @staticmethod
    def fit(data: Interactions, config: AlsConfig, options: Options) -> Arrays:
        """`item_vectors` float32 (N, D), `user_vectors` float32 (U, D), `lambda` float32 ().

        Raises NoData, NotFinite.
        """
        from implicit.cpu.als import AlternatingLeastSquares
        from implicit.recommender_base import ModelFitError
        from threadpoolctl import threadpool_limits

        confidence = data.matrix.copy()
        liked = confidence.data > 0
        if not liked.any():
            raise NoData()
        users, items = (len(np.unique(axis[liked])) for axis in confidence.nonzero())
        lambda_ = config.regularization * liked.sum() / sqrt(users * items)
        confidence.data = np.sign(confidence.data) * (1 + config.alpha * np.abs(confidence.data))
        # implicit runs its own threads and asks that BLAS keeps to one, or the two fight over the cores.
        with threadpool_limits(limits=1, user_api="blas"):
            model = AlternatingLeastSquares(
                factors=config.factors,
                regularization=lambda_,
                iterations=config.iterations,
                num_threads=options.threads,
                random_state=options.seed,
            )
            try:
                model.fit(
                    confidence,
                    show_progress=False,
                    callback=lambda iteration, seconds, loss: options.progress(
                        (iteration + 1) / config.iterations, f"sweep {iteration + 1} of {config.iterations}"
                    ),
                )
            except ModelFitError as error:
                raise NotFinite("Lower alpha or raise regularization.") from error
        if not (np.isfinite(model.item_factors).all() and np.isfinite(model.user_factors).all()):
            raise NotFinite("Lower alpha or raise regularization.")
        return {
            "item_vectors": model.item_factors,
            "user_vectors": model.user_factors,
            "lambda": np.array(lambda_, dtype=np.float32),
        }

    @staticmethod
    def query(arrays: Arrays, config: AlsConfig) -> AlsQuery:
        return AlsQuery(arrays["item_vectors"], float(arrays["lambda"]), config.alpha)


def _summed(rows: NDArray[np.int32], weights: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Distinct rows, sorted, with the sum of their weights; rows that sum to zero are kept out of every sum by it."""
    unique, place = np.unique(rows, return_inverse=True)
    return unique, np.bincount(place, weights=weights, minlength=len(unique)).astype(np.float32)
