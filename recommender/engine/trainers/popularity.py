"""Popularity: the same list for everyone. The floor that every other trainer must clear."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import Histories, Interactions
from recommender.engine.errors import NoData
from recommender.engine.trainers import Arrays, Options


@dataclass(frozen=True)
class PopularityConfig:
    count_users: bool = True
    """Count each user once per item, however often they came back; otherwise sum the weights."""


@dataclass(frozen=True)
class PopularityQuery:
    popularity: NDArray[np.float32]
    item_vectors: None = None

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        raise NotImplementedError("Popularity has no vectors.")

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        return np.broadcast_to(self.popularity, (len(histories), len(self.popularity)))

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Nothing a user did moves these scores."""
        return np.zeros((len(histories.item_rows), len(item_rows)), dtype=np.float32)


class PopularityTrainer:
    Config = PopularityConfig

    @staticmethod
    def fit(data: Interactions, config: PopularityConfig, options: Options) -> Arrays:
        """`popularity` float32 (N,). O(E) time, O(U + N + E) memory. Raises NoData."""
        positive = data.matrix.maximum(0)
        positive.eliminate_zeros()
        if not positive.nnz:
            raise NoData()
        options.progress(0.5, "counting")
        if config.count_users:
            counts = np.bincount(positive.indices, minlength=positive.shape[1])
        else:
            counts = np.asarray(positive.sum(axis=0)).ravel()
        return {"popularity": counts.astype(np.float32)}

    @staticmethod
    def query(arrays: Arrays, config: PopularityConfig) -> PopularityQuery:
        return PopularityQuery(arrays["popularity"])
