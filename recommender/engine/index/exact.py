"""Exact search: every inner product, then the K largest. The oracle that other indexes are measured against."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recommender.engine.index import IndexOptions

BLOCK_BYTES = 64 * 2**20  # of scores held at once, so that a large batch over a large catalogue stays within memory


def top_k(scores: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The K = min(k, N) largest of each row of `scores` float32 (B, N), best first: rows int32, scores (B, K).

    Equal scores are ordered by lower row, also where a tie straddles the cut, so the answer never depends on chance.
    NaN counts as lowest. O(N + K log K) per row.
    """
    k = min(k, scores.shape[1])
    if k < 1 or not len(scores):
        return np.empty((len(scores), max(k, 0)), np.int32), np.empty((len(scores), max(k, 0)), np.float32)
    negated = -scores
    rows = np.argpartition(negated, k - 1, axis=1)[:, :k].astype(np.int32)
    found = np.take_along_axis(negated, rows, axis=1)
    cut = found.max(axis=1, keepdims=True)
    straddled = (negated == cut).sum(axis=1) > (found == cut).sum(axis=1)
    for b in np.flatnonzero(straddled):
        better = np.flatnonzero(negated[b] < cut[b])
        equal = np.flatnonzero(negated[b] == cut[b])[: k - len(better)]
        rows[b] = np.concatenate((better, equal))
    rows.sort(axis=1)  # so that the stable sort below leaves ties in row order
    found = np.take_along_axis(negated, rows, axis=1)
    order = np.argsort(found, axis=1, kind="stable")
    return np.take_along_axis(rows, order, axis=1), -np.take_along_axis(found, order, axis=1)


@dataclass(frozen=True)
class ExactIndex:
    vectors: NDArray[np.float32]

    @staticmethod
    def build(vectors: NDArray[np.float32], directory: Path, options: IndexOptions) -> None:
        """Nothing to write: the vectors themselves are the index."""

    @classmethod
    def open(cls, directory: Path, vectors: NDArray[np.float32]) -> "ExactIndex":
        return cls(vectors)

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """O(N D) per query."""
        block = max(1, BLOCK_BYTES // (4 * max(1, len(self.vectors))))
        parts = [
            top_k(queries[start : start + block] @ self.vectors.T, k) for start in range(0, max(1, len(queries)), block)
        ]
        return np.concatenate([rows for rows, _ in parts]), np.concatenate([scores for _, scores in parts])
