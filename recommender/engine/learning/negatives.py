"""What was not chosen: items drawn to be told from those that were.

Negatives are shared by a whole batch, so that scoring them is one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Sampler:
    """Draws items, each as often as its chance says, with replacement."""

    cumulated: NDArray[np.float64]
    """(N,): the chances, summed up; the last is 1."""
    log_q: NDArray[np.float32]
    """(N,): the logs of the chances; -inf for an item that is never drawn."""

    @classmethod
    def uniform(cls, items: int) -> Sampler:
        return cls.weighted(np.ones(items))

    @classmethod
    def popular(cls, item_rows: NDArray[np.integer], items: int, power: float = 1.0) -> Sampler:
        """By events ** power, of events with `item_rows`, integers (E,). power 1 is what drawing from the batch itself
        comes to (in-batch negatives); 0 is uniform over all items, those without events among them."""
        return cls.weighted(np.bincount(item_rows, minlength=items).astype(np.float64) ** power)

    @classmethod
    def weighted(cls, weights: ArrayLike) -> Sampler:
        """By `weights` (N,), 0 or more and not all 0."""
        chances = np.asarray(weights, dtype=np.float64)
        chances = chances / chances.sum()
        cumulated = np.cumsum(chances)
        with np.errstate(divide="ignore"):
            return cls(cumulated / cumulated[-1], np.log(chances).astype(np.float32))

    def draw(self, random: np.random.Generator, count: int) -> NDArray[np.int64]:
        """int64 (count,). O(count log N)."""
        return np.searchsorted(self.cumulated, random.random(count), side="right")

    def distinct(self, random: np.random.Generator, count: int) -> NDArray[np.int64]:
        """What `count` draws come to, each item once, ascending: int64 (at most count,)."""
        return np.unique(self.draw(random, count))

    def log_included(self, count: int) -> NDArray[np.float32]:
        """Log of each item's chance to be among `distinct` ones of `count` draws, log(1 - (1 - q)^count), (N,).

        Taking it off makes a sum over these an estimate without bias of the sum over all (Horvitz and Thompson 1952).
        """
        chances = np.diff(self.cumulated, prepend=0)
        with np.errstate(divide="ignore"):
            return np.log(-np.expm1(count * np.log1p(-chances))).astype(np.float32)


def masked(scores: Tensor, negatives: Tensor, positives: Tensor) -> Tensor:
    """`scores` (B, M) with -inf where the negative is what was chosen.

    int64: negatives (M,), shared by all, or (B, M); positives (B,).
    """
    return scores.masked_fill(negatives == positives[:, None], -float("inf"))


def hardest(scores: Tensor, count: int) -> Tensor:
    """The `count` highest of each row's `scores` (B, M), or all: hard negatives out of a larger sample."""
    return scores.topk(min(count, scores.shape[1]), dim=1, sorted=False).values
