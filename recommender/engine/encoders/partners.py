"""How well a vector finds what it goes with: what fine-tuning is judged by."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def hits(
    vectors: NDArray[np.float32],
    held: NDArray[np.int64],
    candidates: NDArray[np.int64],
    partners: Sequence[NDArray[np.int64]],
    k: int,
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Which of each held row's K nearest candidates, itself left out, are its partners, bool (H, K'), and how many it
    has, int64 (H,); as metrics takes them. K' = min(k, C).

    `vectors` (N, D) of length 1; `held` (H,) and `candidates` (C,) are rows of it; `partners`: H arrays of rows. Ties
    by earlier candidate.
    """
    cosines = vectors[held] @ vectors[candidates].T
    cosines[held[:, None] == candidates] = -np.inf
    best = candidates[np.argsort(-cosines, axis=1, kind="stable")[:, :k]]
    found = np.stack([np.isin(row, wanted) for row, wanted in zip(best, partners, strict=True)])
    return found, np.array([len(wanted) for wanted in partners], dtype=np.int64)
