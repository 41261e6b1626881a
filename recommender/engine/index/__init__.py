"""Indexes: which items have the largest inner product with a query vector.

Built once in a worker, opened read-only in every web process. `exact` is the oracle; `faiss` looks at a part of the
catalogue only. NumPy alone is imported here; faiss on first use.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from recommender.engine.errors import InvalidConfig
from recommender.engine.loading import load

INDEXES = {
    "exact": "recommender.engine.index.exact.ExactIndex",
    "faiss": "recommender.engine.index.faiss.FaissIndex",
}
EXACT_UP_TO = 50_000  # items; a full scan of 40 thousand 64-d vectors takes .2 ms on one core, of a million 11


@dataclass(frozen=True)
class IndexOptions:
    """How an index is built. The exact one needs none of it."""

    nlist: int = 0
    """Parts the catalogue is cut into; 0 takes 4 sqrt(N)."""
    nprobe: int = 0
    """Parts looked at per query: more finds more and takes longer; nlist of them is exact. 0 takes as many as `recall`
    needs."""
    recall: float = 0.98
    """Share of the `k` best that is to be found, in the mean over queries that are made of the vectors themselves. With
    the margin that is added, real histories find .99 at the default."""
    k: int = 100
    sums: bool = True
    """Whether queries lie between the vectors, as a shopper's does between those of some items; otherwise they are like
    the vectors, which is easier."""
    seed: int = 42
    threads: int = 1

    def __post_init__(self) -> None:
        if self.nlist < 0 or self.nprobe < 0 or self.threads < 1 or self.k < 1:
            raise InvalidConfig("nlist and nprobe must be 0 or more; threads and k 1 or more.")
        if not 0 < self.recall <= 1:
            raise InvalidConfig("recall must be above 0, at most 1.")


class Index(Protocol):
    """An opened index. Thread-safe; nothing in it changes."""

    @staticmethod
    def build(vectors: NDArray[np.float32], directory: Path, options: IndexOptions) -> None:
        """Write what `open` needs into an existing, empty directory; `vectors` float32 (N, D). Raises NoData."""

    @classmethod
    def open(cls, directory: Path, vectors: NDArray[np.float32]) -> "Index":
        """Open what `build` wrote from the same vectors. Raises ArtifactMissing, ArtifactDamaged."""

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Rows int32 (B, K) and inner products float32 (B, K), best first, ties by lower row; K = min(k, N).

        `queries` float32 (B, D).
        """


def choose(n_items: int) -> str:
    """The name of the index that suits a catalogue of this size."""
    return "exact" if n_items <= EXACT_UP_TO else "faiss"


def index_kind(name: str) -> type[Index]:
    """The index registered under `name`. Raises UnknownName."""
    kind: type[Index] = load(INDEXES, name)
    return kind
