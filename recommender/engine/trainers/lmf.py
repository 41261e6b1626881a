"""LMF: logistic matrix factorization for implicit feedback (Johnson 2014), fitted by `implicit`.

Maximises sum_ui (c_ui x_ui - (1 + c_ui) ln(1 + exp x_ui)) - lambda/2 (|x|^2 + |y|^2) with x_ui = x_u . y_i + b_u + b_i
and c_ui = alpha w_ui (his section 3), by alternating steps of AdaGrad over users and items. Instead of every item that
a user does not have, some are drawn by popularity; of a user's own bias, which ranks nothing, nothing is kept.
Fitting costs O(iterations (nnz + U D + N D) D), since implicit draws at most D + 2 items a user, whatever `negatives`
says beyond; memory 16 (U + N) D bytes and two copies of the matrix. Asked, a history is folded in: see `fold_in`.
"""

from dataclasses import dataclass, field

import numpy as np

from recommender.engine.data.interactions import Interactions
from recommender.engine.errors import NoData, NotFinite
from recommender.engine.trainers import Arrays, Options, fold_in, implicit_fit
from recommender.engine.trainers.fold_in import FoldInQuery
from recommender.engine.trainers.neighbours import check


@dataclass(frozen=True)
class LmfConfig:
    factors: int = field(default=64, metadata={"tune": (16, 32, 64, 128)})
    """D - 1, the length of a vector without the bias."""
    learning_rate: float = field(default=1.0, metadata={"tune": (0.3, 1.0)})
    """Of AdaGrad's first step; later ones shrink."""
    regularization: float = field(default=0.6, metadata={"tune": (0.3, 0.6, 1.0, 3.0, 10.0)})
    """lambda."""
    alpha: float = field(default=1.0, metadata={"tune": (1.0, 3.0, 10.0)})
    """Confidence per unit of weight."""
    negatives: int = field(default=30, metadata={"tune": (5, 30)})
    """Items drawn against each that a user has."""
    iterations: int = field(default=30, metadata={"tune": (15, 30, 60)})
    """Steps over all users and then all items."""

    def __post_init__(self) -> None:
        check("factors", self.factors, 1, 2048, whole=True)
        check("learning_rate", self.learning_rate, 1e-6, 100)
        check("regularization", self.regularization, 0, 1e6)
        check("alpha", self.alpha, 1e-6, 1e6)
        check("negatives", self.negatives, 1, 10_000, whole=True)
        check("iterations", self.iterations, 1, 10_000, whole=True)


class LmfTrainer:
    Config = LmfConfig

    @staticmethod
    def fit(data: Interactions, config: LmfConfig, options: Options) -> Arrays:
        """`item_vectors` float32 (N, D) with the bias last, `user_vectors` float32 (U, D), `lambda` and `alpha` float32
        (), `unseen` float32 (N,).

        Every thread draws for users of its own, so the same seed gives the same arrays for the same number of threads.
        Raises NoData, NotFinite.
        """
        from implicit.cpu.lmf import LogisticMatrixFactorization

        train, held = fold_in.cut(data, options)
        liked = train.matrix.copy()
        liked.data = np.maximum(liked.data * np.float32(config.alpha), 0)
        liked.eliminate_zeros()
        if not liked.nnz:
            raise NoData()
        if not np.isfinite(liked.data).all():
            raise NotFinite("Lower alpha.")
        model = LogisticMatrixFactorization(
            factors=config.factors,
            learning_rate=config.learning_rate,
            regularization=config.regularization,
            iterations=config.iterations,
            neg_prop=config.negatives,
            num_threads=options.threads,
            random_state=options.seed,
        )
        implicit_fit.learn(
            model,
            liked,
            config.iterations,
            options,
            word="sweep",
            mend="Lower learning_rate or raise regularization.",
            done=0.9,
        )
        item_vectors = np.ascontiguousarray(model.item_factors[:, :-1])  # without the ones that carry a user's bias
        chosen = fold_in.choose(item_vectors, train, held, options)
        return {"item_vectors": item_vectors, "user_vectors": model.user_factors[:, :-1].copy(), **chosen}

    @staticmethod
    def query(arrays: Arrays, config: LmfConfig) -> FoldInQuery:
        return fold_in.query(arrays)
