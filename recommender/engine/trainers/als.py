"""ALS: alternating least squares for implicit feedback (Hu, Koren, Volinsky 2008), fitted by `implicit`.

Minimises sum_ui c_ui (p_ui - x_u . y_i)^2 + lambda (|x|^2 + |y|^2) with p = 1 and c = 1 + alpha w where the weight w is
positive, p = 0 and c = 1 + alpha |w| where it is negative, p = 0 and c = 1 elsewhere (their equations 1 to 3).
Fitting costs O(nnz D^2 + (U + N) D^3) per sweep at worst; conjugate gradients (Takacs, Pilaszy, Tikk 2011) bring it
to O(nnz D). Memory: 4 (U + N) D bytes and the matrix, its transpose and a copy of its values.
"""

from dataclasses import dataclass, field
from math import sqrt

import numpy as np

from recommender.engine.data.interactions import Interactions
from recommender.engine.errors import InvalidConfig, NoData
from recommender.engine.trainers import Arrays, Options, implicit_fit
from recommender.engine.trainers.fold_in import FoldInQuery


@dataclass(frozen=True)
class AlsConfig:
    factors: int = field(default=64, metadata={"tune": (16, 32, 64, 128, 256, 512)})
    """D, the length of a vector."""
    regularization: float = field(default=0.3, metadata={"tune": (0.01, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 2.0)})
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


class AlsTrainer:
    Config = AlsConfig

    @staticmethod
    def fit(data: Interactions, config: AlsConfig, options: Options) -> Arrays:
        """`item_vectors` float32 (N, D), `user_vectors` float32 (U, D), `lambda` float32 ().

        Raises NoData, NotFinite.
        """
        from implicit.cpu.als import AlternatingLeastSquares
        from scipy.sparse import csr_matrix
        from threadpoolctl import threadpool_limits

        told = data.matrix
        liked = told.data > 0
        if not liked.any():
            raise NoData()
        starts = told.indptr[:-1][np.diff(told.indptr) > 0]
        users = np.count_nonzero(np.logical_or.reduceat(liked, starts))
        items = np.count_nonzero(np.bincount(told.indices[liked]))
        lambda_ = config.regularization * np.count_nonzero(liked) / sqrt(users * items)
        sure = np.copysign(1 + config.alpha * np.abs(told.data), told.data)
        confidence = csr_matrix((sure, told.indices, told.indptr), told.shape)  # which shares its places with `told`
        # implicit runs its own threads and asks that BLAS keeps to one, or the two fight over the cores.
        with threadpool_limits(limits=1, user_api="blas"):
            model = AlternatingLeastSquares(
                factors=config.factors,
                regularization=lambda_,
                iterations=config.iterations,
                num_threads=options.threads,
                random_state=options.seed,
            )
            implicit_fit.learn(
                model, confidence, config.iterations, options, word="sweep", mend="Lower alpha or raise regularization."
            )
        return {
            "item_vectors": model.item_factors,
            "user_vectors": model.user_factors,
            "lambda": np.array(lambda_, dtype=np.float32),
        }

    @staticmethod
    def query(arrays: Arrays, config: AlsConfig) -> FoldInQuery:
        return FoldInQuery(arrays["item_vectors"], float(arrays["lambda"]), config.alpha)
