"""Which sounds say the same in different recordings, as far as that can be told without anybody's help.

Near each other a sound has, first of all, others of the same recording: the same voice, room and microphone. Those
teach a network nothing about what stays when these change. What a recording sounds like where nothing is said tells
recordings apart, whatever is said in them: among the sounds that differ most in that, those nearest in their cepstra
are mostly the same word, or the same melody. Where each of two is among the other's nearest, that is a bridge.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.sounds import Sound
from recommender.engine.data.vectors import unit
from recommender.engine.encoders.audio import features

QUIET = 8  # one of so many frames, the quietest, tells the background
FAR = 0.4  # share of all sounds, those of the least like backgrounds, that bridges lead to
NEAREST = 5
SAME = 1e-4  # of the mean squared length: backgrounds less apart are one
ENOUGH = 100  # bridges, from which what changes across them can be told
RIDGE = 0.3  # of the mean variance across bridges, added to each direction's
DIRECTIONS = 8  # main ones of the backgrounds
BLOCK = 512  # rows compared at once: (BLOCK, N) float32 takes 39 MiB at 20,000 sounds


def background(sound: Sound) -> NDArray[np.float32]:
    """(BANDS,): mean spectrum of the quietest frames, in decibels below the loudest band of all."""
    bands = features.log_mel(sound)
    quietest = np.argsort(bands.mean(axis=1), kind="stable")[: max(3, len(bands) // QUIET)]
    return np.asarray(bands[quietest].mean(axis=0) - bands.max(), dtype=np.float32)


def bridges(told: NDArray[np.float32], rooms: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """For each sound the rows of those bridged to it, nearest first; mostly a few, often none.

    told (N, D): what sounds say; rooms (N, R): their backgrounds. O(N^2 (D + R)).
    """
    count = len(told)
    near = unit(np.asarray(told, dtype=np.float32))
    centred = np.asarray(rooms - rooms.mean(axis=0), dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    places = (centred @ directions[:, ::-1][:, :DIRECTIONS]).astype(np.float32)
    lengths = (places**2).sum(axis=1)
    least = SAME * lengths.mean()
    # Squared distance from which another's background is far, for each.
    limits = np.empty(count, dtype=np.float32)
    for start in range(0, count, BLOCK):
        limits[start : start + BLOCK] = np.quantile(_apart(places, lengths, start), 1 - FAR, axis=1)
    kept = min(NEAREST, count)
    nearest = np.empty((count, kept), dtype=np.int64)
    reached = np.empty((count, kept), dtype=bool)
    for start in range(0, count, BLOCK):
        apart = _apart(places, lengths, start)
        far = (apart >= limits[start : start + BLOCK, None]) & (apart >= limits[None, :]) & (apart > least)
        cosines = np.where(far, near[start : start + BLOCK] @ near.T, -2)
        best = np.argsort(-cosines, axis=1, kind="stable")[:, :kept]
        nearest[start : start + BLOCK] = best
        reached[start : start + BLOCK] = np.take_along_axis(cosines, best, axis=1) > -2
    sets = [set(rows[there].tolist()) for rows, there in zip(nearest, reached, strict=True)]
    return [
        np.array([other for other in rows[there].tolist() if row in sets[other]], dtype=np.int64)
        for row, (rows, there) in enumerate(zip(nearest, reached, strict=True))
    ]


def kin(near: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """(N,): for each of the vectors (N, D) of length 1 the cosine above which its nearest `share` of all are."""
    found = np.empty(len(near), dtype=np.float32)
    for start in range(0, len(near), BLOCK):
        found[start : start + BLOCK] = np.quantile(near[start : start + BLOCK] @ near.T, 1 - share, axis=1)
    return found


def steady(
    values: NDArray[np.float32], across: Sequence[NDArray[np.int64]], strength: float = 0.5
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The mean (F,) of values (N, F), and directions (F, F) in which what changes across bridges counts less: divided
    by their deviation there to the power of `strength` (like within-class covariance normalisation, Hatch et al. 2006,
    with bridges for classes). Where there are fewer than ENOUGH, by their deviation among all."""
    mean = values.mean(axis=0, dtype=np.float64)
    ends = np.repeat(np.arange(len(across)), [len(others) for others in across])
    changes = values - mean
    if len(ends) >= ENOUGH:
        changes = values[ends].astype(np.float64) - values[np.concatenate(across)]
    variances, directions = np.linalg.eigh(changes.T @ changes / len(changes))
    variances = np.maximum(variances, 0) + RIDGE * variances.mean() + 1e-12
    return mean.astype(np.float32), (directions * variances ** (-strength / 2)).astype(np.float32)


def _apart(places: NDArray[np.float32], lengths: NDArray[np.float32], start: int) -> NDArray[np.float32]:
    """Squared distances (BLOCK, N) between some rows' backgrounds and all."""
    some = slice(start, start + BLOCK)
    found: NDArray[np.float32] = lengths[some, None] + lengths[None, :] - 2 * places[some] @ places.T
    return found
