"""The validation users that trials are judged by: a random part of them first, the others where it is worth while.

A trial whose part is worse than the best trial's, by a paired interval that leaves out zero, is not asked further
("racing": Maron and Moore 1994, Hoeffding races, here with bootstrap intervals). Asking often costs more than fitting.
"""

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Interactions
from recommender.engine.data.split import without_known_pairs
from recommender.engine.errors import NoData
from recommender.engine.evaluation.bootstrap import Interval, intervals
from recommender.engine.evaluation.protocol import evaluate
from recommender.engine.trainers import Progress, Query

PART = 0.25  # share of the users asked first
MIN_PART = 250  # users; a smaller part would tell nothing apart, so that all are asked at once


class Panel:
    """Users with a history in `train` and something new in `validation`, V of them, in an order that `seed` decides.

    Raises NoData where there are none.
    """

    def __init__(self, train: Interactions, validation: Interactions, metric: str, k: int, seed: int) -> None:
        asked = without_known_pairs(validation.where(validation.weights > 0), train)
        warm = np.diff(train.indptr) > 0
        asked = asked.where(warm[asked.user_rows])
        users = np.unique(asked.user_rows)
        if not len(users):
            raise NoData("Nobody in the validation part has a history to be asked about and something new to find.")
        first = int(PART * len(users))
        drawn = np.random.default_rng(seed).permutation(users)[: first if first >= MIN_PART else 0]
        in_part = np.isin(asked.user_rows, drawn)
        self.train = train
        self.size, self.part_size = len(users), len(drawn)
        self.metric, self.k = metric, k
        self._part, self._rest = asked.where(in_part), asked.where(~in_part)

    @property
    def name(self) -> str:
        """The metric and the length of the lists, such as ndcg@10."""
        return f"{self.metric}@{self.k}"

    def part(self, query: Query, progress: Progress) -> NDArray[np.float64]:
        """The metric of each user of the part, float64 (part_size,)."""
        return self._values(query, self._part, progress)

    def rest(self, query: Query, progress: Progress) -> NDArray[np.float64]:
        """The metric of every other user, float64 (V - part_size,)."""
        return self._values(query, self._rest, progress)

    def _values(self, query: Query, asked: Interactions, progress: Progress) -> NDArray[np.float64]:
        if not len(asked):
            return np.empty(0)
        return evaluate(query, self.train, asked, (self.k,), samples=1, progress=progress).per_user[self.name]


def difference(a: NDArray[np.float64], b: NDArray[np.float64]) -> Interval:
    """How much better `a` is than `b`, both (V,) over the same users, as `protocol.paired_difference` has it."""
    [interval] = intervals((a - b)[:, None])
    return interval


def mean(values: NDArray[np.float64]) -> Interval:
    """The mean over users (V,) with its 95 % interval."""
    [interval] = intervals(values[:, None])
    return interval
