"""Groups of shoppers: where they lie among the items, and what most of each chose."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.ids import UNKNOWN
from recommender.engine.data.interactions import Interactions
from recommender.engine.data.vectors import unit
from recommender.engine.grouping import clusters

FEWEST = 8  # shoppers; of fewer there is nothing to group
SEGMENTS = 12  # groups, at most
SHOPPERS = 100_000  # that groups are learned from
FAVOURITES = 200  # popular items kept for each group


def segmented(
    data: Interactions, units: NDArray[np.float32], seed: int, most: int = SHOPPERS
) -> tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]:
    """Groups by the mean of each shopper's items, whose vectors (N, D) are of length 1; learned from up to `most`
    shoppers. Where the groups lie (S, D), the group of each shopper who can be placed, int32, and how many of each
    group chose each item, int32 (S, N)."""
    likes = (data.matrix > 0).astype(np.float32)
    means = unit(np.asarray(data.matrix.maximum(0) @ units, dtype=np.float32))
    told = np.flatnonzero(means.any(axis=1))
    sample = told if len(told) <= most else np.random.default_rng(seed).choice(told, most, replace=False)
    centres = np.zeros((0, units.shape[1]), dtype=np.float32)
    if len(sample) >= FEWEST:
        _, centres = clusters.by_means(means[sample], min(SEGMENTS, clusters.how_many(len(sample))), seed)
    members = clusters.closest(means[told], centres) if len(centres) else np.zeros(0, dtype=np.int32)
    return centres, members, _takers(likes[told], members, len(centres))


def favourites(takers: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The items that most of each group chose, int32 (S, K), UNKNOWN where there are fewer; and how many did."""
    order = np.argsort(-takers, axis=1, kind="stable")[:, :FAVOURITES].astype(np.int32)
    counts = np.take_along_axis(takers, order, axis=1)
    return np.where(counts > 0, order, UNKNOWN).astype(np.int32), counts


def _takers(likes: Any, members: NDArray[np.int32], segments: int) -> NDArray[np.int32]:
    from scipy import sparse

    shape = (segments, len(members))
    joined = sparse.csr_array((np.ones(len(members), np.float32), (members, np.arange(len(members)))), shape=shape)
    return np.asarray((joined @ likes).todense(), dtype=np.int32).reshape(segments, likes.shape[1])
