"""Users x items, sparse and timed: what every trainer learns from and every query answers to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recommender.engine.data.ids import UNKNOWN, Ids

if TYPE_CHECKING:  # SciPy takes a third of a second to import; a web process folds in single histories without it
    from scipy.sparse import csr_matrix


@dataclass(frozen=True)
class Histories:
    """B users' events, ragged, each user's in time order: what a query function is asked about.

    indptr int64 (B+1,); item_rows int32, weights float32, times int64 (Unix seconds), each (E,).
    User b's events are [indptr[b]:indptr[b+1]].
    """

    indptr: NDArray[np.int64]
    item_rows: NDArray[np.int32]
    weights: NDArray[np.float32]
    times: NDArray[np.int64]

    @classmethod
    def single(
        cls, item_rows: ArrayLike, weights: ArrayLike | None = None, times: ArrayLike | None = None
    ) -> Histories:
        """One user's history, oldest first; weights default to 1, times to 0."""
        rows = np.asarray(item_rows, dtype=np.int32)
        return cls(
            np.array([0, len(rows)], dtype=np.int64),
            rows,
            np.ones(len(rows), np.float32) if weights is None else np.asarray(weights, dtype=np.float32),
            np.zeros(len(rows), np.int64) if times is None else np.asarray(times, dtype=np.int64),
        )

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def __iter__(self) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int64]]]:
        """Each user's (item_rows, weights, times)."""
        for start, stop in zip(self.indptr[:-1], self.indptr[1:], strict=True):
            yield self.item_rows[start:stop], self.weights[start:stop], self.times[start:stop]

    @cached_property
    def user_rows(self) -> NDArray[np.int32]:
        """Each event's position in the batch, int32 (E,)."""
        return np.repeat(np.arange(len(self), dtype=np.int32), np.diff(self.indptr))

    def batches(self, size: int) -> Iterator[tuple[slice, Histories]]:
        """Consecutive parts of at most `size` users, with the slice of users each one holds."""
        for start in range(0, len(self), size):
            users = slice(start, min(start + size, len(self)))
            low, high = int(self.indptr[users.start]), int(self.indptr[users.stop])
            yield (
                users,
                Histories(
                    self.indptr[users.start : users.stop + 1] - low,
                    self.item_rows[low:high],
                    self.weights[low:high],
                    self.times[low:high],
                ),
            )


@dataclass(frozen=True)
class Interactions:
    """Weighted events of U users with N items, sorted by user and then time.

    user_rows, item_rows int32 (E,); weights float32 (E,), negative for dislike; times int64 (E,), Unix seconds;
    baskets int64 (E,), the same number for things done together, or None.
    """

    users: Ids
    items: Ids
    user_rows: NDArray[np.int32]
    item_rows: NDArray[np.int32]
    weights: NDArray[np.float32]
    times: NDArray[np.int64]
    baskets: NDArray[np.int64] | None = None
    item_features: NDArray[np.float32] | None = None
    """float32 (N, F): what is known of each item beside who took it; None where nothing is."""

    @classmethod
    def build(
        cls,
        users: Ids,
        items: Ids,
        user_rows: ArrayLike,
        item_rows: ArrayLike,
        weights: ArrayLike | None = None,
        times: ArrayLike | None = None,
        baskets: ArrayLike | None = None,
        item_features: NDArray[np.float32] | None = None,
    ) -> Interactions:
        """Sort columns (E,) into place; weights default to 1 and times to the order given."""
        user = np.asarray(user_rows, dtype=np.int32)
        time = np.arange(len(user), dtype=np.int64) if times is None else np.asarray(times, dtype=np.int64)
        order = np.lexsort((time, user))
        weight = np.ones(len(user), np.float32) if weights is None else np.asarray(weights, dtype=np.float32)
        return cls(
            users,
            items,
            user[order],
            np.asarray(item_rows, dtype=np.int32)[order],
            weight[order],
            time[order],
            None if baskets is None else np.asarray(baskets, dtype=np.int64)[order],
            item_features,
        )

    def __len__(self) -> int:
        return len(self.user_rows)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.users), len(self.items)

    @cached_property
    def timed(self) -> bool:
        """Whether times tell what came first; where all are equal, they do not."""
        return bool(len(self)) and bool(self.times.min() < self.times.max())

    def where(self, mask: NDArray[np.bool_]) -> Interactions:
        """The events that `mask`, bool (E,), keeps; rows keep their meaning."""
        return replace(
            self,
            user_rows=self.user_rows[mask],
            item_rows=self.item_rows[mask],
            weights=self.weights[mask],
            times=self.times[mask],
            baskets=None if self.baskets is None else self.baskets[mask],
        )

    @cached_property
    def indptr(self) -> NDArray[np.int64]:
        """Where each user's events begin, int64 (U+1,)."""
        return np.searchsorted(self.user_rows, np.arange(len(self.users) + 1)).astype(np.int64)

    def histories(self, user_rows: ArrayLike | None = None) -> Histories:
        """The histories of some users (B,), or of all."""
        if user_rows is None:
            return Histories(self.indptr, self.item_rows, self.weights, self.times)
        rows = np.asarray(user_rows, dtype=np.int64)
        starts, lengths = self.indptr[rows], self.indptr[rows + 1] - self.indptr[rows]
        indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        take = np.arange(indptr[-1]) + np.repeat(starts - indptr[:-1], lengths)
        return Histories(indptr, self.item_rows[take], self.weights[take], self.times[take])

    @cached_property
    def matrix(self) -> csr_matrix:
        """float32 (U, N): the sum of each pair's weights; pairs that sum to zero are absent."""
        from scipy.sparse import csr_matrix

        summed = csr_matrix((self.weights, (self.user_rows, self.item_rows)), shape=self.shape, dtype=np.float32)
        summed.sum_duplicates()
        summed.eliminate_zeros()
        return summed


__all__ = ["UNKNOWN", "Histories", "Ids", "Interactions"]
