"""BPR: Bayesian personalised ranking from implicit feedback (Rendle et al. 2009), fitted by `implicit`.

Maximises sum over (u, i, j) of ln sigma(x_ui - x_uj) - lambda |Theta|^2 by stochastic gradient ascent, where u took i
and not j and x_ui = x_u . y_i + b_i (their section 4). i is drawn from all likes and j from the items of all
likes, so what is popular is asked about more often: x_ui comes to say how much more u likes i than its popularity
tells, which is why `fold_in.choose` may weigh what a history lacks by popularity.
Fitting costs O(iterations nnz D), one random place in memory at a time; memory 4 (U + N) D bytes and three copies of
the matrix. Asked, a history is folded in: see `fold_in`.
"""

from dataclasses import dataclass, field

import numpy as np

from recommender.engine.data.interactions import Interactions
from recommender.engine.errors import NoData
from recommender.engine.trainers import Arrays, Options, fold_in, implicit_fit
from recommender.engine.trainers.fold_in import FoldInQuery
from recommender.engine.trainers.neighbours import check


@dataclass(frozen=True)
class BprConfig:
    factors: int = field(default=64, metadata={"tune": (32, 64, 128)})
    """D - 1, the length of a vector without the bias."""
    learning_rate: float = field(default=0.05, metadata={"tune": (0.01, 0.02, 0.05, 0.1)})
    """Of a step of gradient ascent."""
    regularization: float = field(default=0.01, metadata={"tune": (0.001, 0.003, 0.01, 0.03)})
    """lambda: what each step takes off the vectors it touches, in parts of them and of the learning rate."""
    iterations: int = field(default=50, metadata={"tune": (25, 50, 100)})
    """Passes; one draws as many pairs as there are distinct liked ones."""

    def __post_init__(self) -> None:
        check("factors", self.factors, 1, 2048, whole=True)
        check("learning_rate", self.learning_rate, 1e-6, 10)
        check("regularization", self.regularization, 0, 10)
        check("iterations", self.iterations, 1, 10_000, whole=True)


class BprTrainer:
    Config = BprConfig

    @staticmethod
    def fit(data: Interactions, config: BprConfig, options: Options) -> Arrays:
        """`item_vectors` float32 (N, D) with the bias last, `user_vectors` float32 (U, D), `lambda` and `alpha`
        float32 (), `unseen` float32 (N,).

        Runs in one thread, whatever is allowed: implicit's threads write over one another (Hogwild), and what comes of
        it is never the same twice. Raises NoData, NotFinite.
        """
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        train, held = fold_in.cut(data, options)
        liked = train.matrix.copy()
        liked.data = (liked.data > 0).astype(np.float32)
        liked.eliminate_zeros()
        if not liked.nnz:
            raise NoData()
        model = BayesianPersonalizedRanking(
            factors=config.factors,
            learning_rate=config.learning_rate,
            regularization=config.regularization,
            iterations=config.iterations,
            num_threads=1,
            random_state=options.seed,
        )
        implicit_fit.learn(model, liked, config.iterations, options, word="pass", mend="Lower learning_rate.", done=0.9)
        chosen = fold_in.choose(model.item_factors, train, held, options)
        return {"item_vectors": model.item_factors, "user_vectors": model.user_factors, **chosen}

    @staticmethod
    def query(arrays: Arrays, config: BprConfig) -> FoldInQuery:
        return fold_in.query(arrays)
