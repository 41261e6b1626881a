"""Answers from item-item weights: the query that `item_knn` and `ease` share.

A score is a weighted sum over the distinct items of a history: score_j = sum_i x_i w_ij, with w (N, N) kept as the K
largest weights of each row, so that an answer costs O(L K) and a model 8 N K bytes. What item i adds to j is x_i w_ij,
no more and no less, so every score explains itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.interactions import UNKNOWN, Histories
from recommender.engine.errors import InvalidConfig
from recommender.engine.trainers import Arrays

BATCH_CELLS = 32 * 2**20  # scores worked out at once: 128 MiB
CHUNK_CELLS = 2**20  # weights gathered at once, so that what is added stays in the processor's cache


@dataclass(frozen=True)
class Told:
    """Distinct items of B histories: by user, then by the last event of each item. All but `event_places` are (M,)."""

    user_rows: NDArray[np.int64]
    item_rows: NDArray[np.int32]
    sums: NDArray[np.float32]
    """Each item's weights, added up; 0 where likes and dislikes cancel out."""
    ages: NDArray[np.int64]
    """How many of the user's distinct items came later; 0 for the last."""
    event_places: NDArray[np.int64]
    """(E,): where each event went."""

    @classmethod
    def of(cls, histories: Histories, n: int) -> "Told":
        """`n` is N. O(E log E)."""
        pairs, places = np.unique(histories.user_rows * np.int64(n) + histories.item_rows, return_inverse=True)
        last = np.empty(len(pairs), dtype=np.int64)
        last[places] = np.arange(len(places))  # the last of equal places stays
        order = np.argsort(last)  # by user as well: events are
        new = np.empty_like(order)
        new[order] = np.arange(len(order))
        users, items = np.divmod(pairs[order], n)
        sums = np.bincount(places, weights=histories.weights, minlength=len(pairs))[order].astype(np.float32)
        ages = np.searchsorted(users, users, side="right") - 1 - np.arange(len(users))
        return cls(users, items.astype(np.int32), sums, ages, new[places])


def strengths(sums: NDArray[np.float32], power: float) -> NDArray[np.float32]:
    """x = sign(w) |w| ** power, float32: with power 0, liked is 1, disliked -1, both alike 0."""
    return (np.sign(sums) * np.abs(sums) ** np.float32(power)).astype(np.float32)


@dataclass(frozen=True)
class NeighboursQuery:
    rows: NDArray[np.int32]
    """(N, K): for each item the items it speaks for, largest weight (in size) first; UNKNOWN where there are fewer."""
    weights: NDArray[np.float32]
    """(N, K): w_ij; 0 where there is none."""
    power: float
    half_life_items: float
    """Distinct later items after which an item counts half; 0 turns that off."""
    item_vectors: None = None

    def vectors(self, histories: Histories) -> NDArray[np.float32]:
        raise NotImplementedError("Neighbours have no vectors.")

    def scores(self, histories: Histories) -> NDArray[np.float32]:
        n = len(self.rows)
        result = np.zeros((len(histories), n), dtype=np.float32)
        for users, batch in histories.batches(max(1, BATCH_CELLS // n)):
            self._add_up(Told.of(batch, n), result[users].reshape(-1))
        return result

    def contributions(self, histories: Histories, item_rows: NDArray[np.int32]) -> NDArray[np.float32]:
        """Exact: x_i w_ik; repeats share theirs by weight."""
        told = Told.of(histories, len(self.rows))
        rows, weights = self.rows[told.item_rows], self._said(told)[:, None] * self.weights[told.item_rows]
        per_item = np.zeros((len(told.item_rows), len(item_rows)), dtype=np.float32)
        for k, item_row in enumerate(item_rows):
            per_item[:, k] = np.where(rows == item_row, weights, 0).sum(axis=1)
        sums = told.sums[told.event_places]
        share = np.divide(histories.weights, sums, out=np.zeros_like(sums), where=sums != 0)
        return per_item[told.event_places] * share[:, None]

    def neighbours(self, item_row: int, k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Up to K items that this one speaks for most, with their weights, above 0: rows int32 (K,), float32 (K,)."""
        speaks = self.weights[item_row] > 0
        return np.asarray(self.rows[item_row][speaks][:k]), np.asarray(self.weights[item_row][speaks][:k])

    def _said(self, told: Told) -> NDArray[np.float32]:
        """x (M,)."""
        x = strengths(told.sums, self.power)
        return x * np.exp2(-told.ages / self.half_life_items).astype(np.float32) if self.half_life_items else x

    def _add_up(self, told: Told, flat: NDArray[np.float32]) -> None:
        """Add every weight in its place of `flat` (B N,): O(M K), some 3 ns each, which beats a matrix product."""
        n, x = len(self.rows), self._said(told)
        step = max(1, CHUNK_CELLS // self.rows.shape[1])
        for start in range(0, len(x), step):
            items, users = told.item_rows[start : start + step], told.user_rows[start : start + step]
            cells = np.maximum(self.rows[items], 0) + (users * n)[:, None]  # UNKNOWN adds its weight of 0 to row 0
            np.add.at(flat, cells.ravel(), (x[start : start + step, None] * self.weights[items]).ravel())


def best(
    rows: NDArray[np.int32], weights: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The K largest in size of one item's weights (M,) that are not 0, largest first, filled up with UNKNOWN and 0.

    Equal ones in the order of `rows`, which ascend, except where a tie straddles the cut.
    """
    if np.count_nonzero(weights) < len(weights):
        rows, weights = rows[weights != 0], weights[weights != 0]
    size = np.abs(weights)
    if len(size) > k:
        taken = np.sort(np.argpartition(-size, k - 1)[:k])
        rows, weights, size = rows[taken], weights[taken], size[taken]
    order = np.argsort(-size, kind="stable")
    found, values = np.full(k, UNKNOWN, np.int32), np.zeros(k, np.float32)
    found[: len(order)], values[: len(order)] = rows[order], weights[order]
    return found, values


def query(arrays: Arrays, power: float, half_life_items: float) -> NeighboursQuery:
    return NeighboursQuery(arrays["rows"], arrays["weights"], power, half_life_items)


def check(name: str, value: float, low: float, high: float = np.inf, whole: bool = False) -> None:
    """Raises InvalidConfig where the setting is not a number within [low, high]."""
    if not (isinstance(value, int) if whole else np.isfinite(value)) or not low <= value <= high:
        limits = f"from {low} to {high}" if np.isfinite(high) else f"of {low} or more"
        raise InvalidConfig(f"{name} must be a {'whole ' if whole else ''}number {limits}.")
