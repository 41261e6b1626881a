"""Fusion: an item's modalities in one vector, whichever of them it has.

For each modality, vectors are centred and turned to at most d principal components, each divided by (its variance) to
the power of whiten / 2, and made of length 1; z_m is 0 where an item lacks the modality. The fused vector is
(sqrt(w_1) z_1, ..., sqrt(w_M) z_M), scaled to length 1. So the cosine of two items is the mean, weighted by w, of their
cosines in the modalities they have, where both have the same ones; where one has more, it is that sum over what both
have, divided by the geometric mean of what each has: what cannot be compared counts as no likeness.

Weights and whitening are chosen by how near items that are taken together come to be, where such pairs are known.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recommender.engine.data.vectors import unit
from recommender.engine.errors import InvalidConfig, NoData

Vectors = NDArray[np.float32]

SAMPLE = 50_000  # items that principal components are computed from
MIN_PAIRS = 100  # fewer say nothing of weights
MAX_PAIRS = 2_000  # looked at when choosing
NEGATIVES = 200  # items that each pair's second one is ranked among
WHITENS = (0.0, 0.5, 1.0)
STEPS = 4  # weights tried are the shares k / STEPS of a whole
GAIN = 0.002  # of the mean reciprocal rank that a choice must bring over equal weights; less is chance


@dataclass(frozen=True)
class FusionConfig:
    dimension: int = 128
    """d, for each modality."""
    whiten: float = 0.0
    """0 keeps the variances of the principal components, 1 makes them equal; where no pairs say which is better."""

    def __post_init__(self) -> None:
        if not 1 <= self.dimension <= 4096 or not 0 <= self.whiten <= 1:
            raise InvalidConfig("dimension must be from 1 to 4096, whiten from 0 to 1.")


@dataclass(frozen=True)
class Fusion:
    """What was learned. `arrays` for each modality m: m/mean (D,), m/turn (D, d) with the whitening in it."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]
    """JSON: modalities in order, weights, whitens, and how well pairs were found by it."""

    @property
    def modalities(self) -> Sequence[str]:
        return list(self.facts["modalities"])

    @property
    def dimension(self) -> int:
        """F."""
        return sum(self.arrays[f"{modality}/turn"].shape[1] for modality in self.modalities)

    def fuse(self, parts: Mapping[str, Vectors]) -> Vectors:
        """float32 (B, F), of length 1; 0 for an item without any modality.

        `parts` by modality: (B, D), rows of 0 where an item lacks it; a modality left out is lacked by all.
        """
        if not parts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        weights = self.facts["weights"]
        size = len(next(iter(parts.values())))
        turned = [
            np.float32(np.sqrt(weights[m])) * self._turned(m, parts[m])
            if m in parts
            else np.zeros((size, self.arrays[f"{m}/turn"].shape[1]), dtype=np.float32)
            for m in self.modalities
        ]
        return unit(np.concatenate(turned, axis=1))

    def _turned(self, modality: str, vectors: Vectors) -> Vectors:
        return turn(vectors, self.arrays[f"{modality}/mean"], self.arrays[f"{modality}/turn"])


def turn(vectors: Vectors, mean: Vectors, matrix: Vectors) -> Vectors:
    """float32 (B, d) of length 1; rows of 0 stay 0: they are no vectors but the lack of one."""
    return unit(np.where(vectors.any(axis=1, keepdims=True), (vectors - mean) @ matrix, np.float32(0)))


def fit(
    parts: Mapping[str, Vectors],
    pairs: NDArray[np.int32] | None = None,
    config: FusionConfig | None = None,
    seed: int = 42,
) -> Fusion:
    """Learn to fuse. `parts` by modality: float32 (N, D_m), rows of 0 where an item lacks it, all over the same items.

    `pairs` int32 (P, 2): rows of items that are taken together. The same input and seed give the same bytes. Raises
    NoData where no modality has two vectors.
    """
    config = config or FusionConfig()
    rng = np.random.default_rng(seed)
    learned = {m: found for m in sorted(parts) if (found := _components(parts[m], config.dimension, rng)) is not None}
    if not learned:
        raise NoData("No modality has two vectors to fuse.")
    whitens = dict.fromkeys(learned, config.whiten)
    weights = dict.fromkeys(learned, 1 / len(learned))
    facts: dict[str, Any] = {}
    if pairs is not None and len(pairs) >= MIN_PAIRS:
        judge = _Judge({m: parts[m] for m in learned}, pairs, rng)
        turned = {m: {w: judge.cosines(m, mean, _matrix(axes, spread, w)) for w in {*WHITENS, config.whiten}}
                 for m, (mean, axes, spread) in learned.items()}  # fmt: skip
        for m in learned:
            alone = {w: judge.rank({m: turned[m][w]}, {m: 1.0}) for w in sorted(turned[m])}
            best = max(alone, key=lambda w: (alone[w], -w))
            if alone[best] > alone[config.whiten] + GAIN:
                whitens[m] = best
        chosen = {m: turned[m][whitens[m]] for m in learned}
        equal = judge.rank(chosen, weights)
        tried = {
            shares: judge.rank(chosen, dict(zip(learned, shares, strict=True))) for shares in _shares(len(learned))
        }
        best_shares = max(tried, key=lambda shares: tried[shares])
        if tried[best_shares] > equal + GAIN:
            weights = dict(zip(learned, best_shares, strict=True))
        facts = {
            "pairs": len(judge.pairs),
            "mrr": {**{m: judge.rank({m: chosen[m]}, {m: 1.0}) for m in learned}, "equal": equal,
                    "chosen": max(equal, judge.rank(chosen, weights))},
        }  # fmt: skip
    arrays: dict[str, NDArray[Any]] = {}
    for m, (mean, axes, spread) in learned.items():
        arrays |= {f"{m}/mean": mean, f"{m}/turn": _matrix(axes, spread, whitens[m])}
    about = {"modalities": list(learned), "weights": weights, "whitens": whitens, "config": asdict(config), **facts}
    return Fusion(arrays, about)


def _components(
    vectors: Vectors, dimension: int, rng: np.random.Generator
) -> tuple[Vectors, Vectors, NDArray[np.float64]] | None:
    """Mean (D,), principal axes (D, d) and standard deviations (d,); None where fewer than two items have a vector."""
    rows = np.flatnonzero(vectors.any(axis=1))
    if len(rows) < 2:
        return None
    if len(rows) > SAMPLE:
        rows = np.sort(rng.choice(rows, SAMPLE, replace=False))
    sample = vectors[rows].astype(np.float64)
    mean = sample.mean(axis=0)
    values, axes = np.linalg.eigh(np.cov(sample - mean, rowvar=False).reshape(sample.shape[1], -1))
    order = np.argsort(-values, kind="stable")[: min(dimension, len(rows))]
    spread = np.sqrt(np.maximum(values[order], 0))
    kept = spread > 1e-6 * max(spread[0], 1e-12)  # what does not vary is noise that whitening would blow up
    if not kept.any() or spread[0] <= 1e-12:
        return None
    axes, spread = axes[:, order][:, kept], spread[kept]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])  # so that a sign is never chance
    return mean.astype(np.float32), axes.astype(np.float32), spread


def _matrix(axes: Vectors, spread: NDArray[np.float64], whiten: float) -> Vectors:
    matrix: Vectors = (axes * (spread / spread[0]) ** -whiten).astype(np.float32)
    return matrix


def _shares(n: int) -> list[tuple[float, ...]]:
    """Weights that sum to 1, in steps, none of them 0: no modality is thrown away for a sample's sake."""
    low = 1 / (2 * STEPS)
    grid = product(range(STEPS + 1), repeat=n)
    raw = [tuple(max(k / STEPS, low) for k in one) for one in grid if sum(one) == STEPS]
    return sorted({tuple(share / sum(one) for share in one) for one in raw})


class _Judge:
    """How high the second item of a pair stands among others, by their cosine to the first."""

    def __init__(self, parts: Mapping[str, Vectors], pairs: NDArray[np.int32], rng: np.random.Generator) -> None:
        known = np.zeros(len(next(iter(parts.values()))), dtype=bool)
        for vectors in parts.values():
            known |= vectors.any(axis=1)
        pairs = pairs[known[pairs].all(axis=1)]
        if len(pairs) > MAX_PAIRS:
            pairs = pairs[np.sort(rng.choice(len(pairs), MAX_PAIRS, replace=False))]
        self.pairs = pairs
        self._parts = parts
        others = rng.choice(np.flatnonzero(known), (len(pairs), NEGATIVES))
        self._candidates = np.concatenate((pairs[:, 1:], others), axis=1)  # (P, 1 + NEGATIVES), the right one first
        self._has: dict[str, NDArray[np.bool_]] = {m: np.asarray(one.any(axis=1)) for m, one in parts.items()}

    def cosines(self, modality: str, mean: Vectors, matrix: Vectors) -> Vectors:
        """(P, 1 + NEGATIVES): of the first item and each candidate, in one modality."""
        vectors = self._parts[modality]
        found = np.empty(self._candidates.shape, dtype=np.float32)
        for start in range(0, len(found), 128):
            rows = slice(start, start + 128)
            first = turn(vectors[self.pairs[rows, 0]], mean, matrix)
            wanted, place = np.unique(self._candidates[rows], return_inverse=True)
            cosines = first @ turn(vectors[wanted], mean, matrix).T
            found[rows] = np.take_along_axis(cosines, place.reshape(self._candidates[rows].shape), axis=1)
        return found

    def rank(self, cosines: Mapping[str, Vectors], weights: Mapping[str, float]) -> float:
        """The mean reciprocal rank of the right one; ties count half."""
        if not len(self.pairs):
            return 0.0
        first = self.pairs[:, 0]
        scores: NDArray[np.float64] = np.zeros(self._candidates.shape)
        mine: NDArray[np.float64] = np.zeros((len(first), 1))
        theirs: NDArray[np.float64] = np.zeros(self._candidates.shape)
        for m, cosine in cosines.items():
            scores += weights[m] * cosine
            mine += weights[m] * self._has[m][first][:, None]
            theirs += weights[m] * self._has[m][self._candidates]
        scores /= np.sqrt(np.maximum(mine * theirs, 1e-12))
        others: NDArray[np.float64] = scores[:, 1:]
        right: NDArray[np.float64] = np.broadcast_to(scores[:, :1], others.shape)
        real = self._candidates[:, 1:] != self.pairs[:, 1:]
        above = (np.greater(others, right) & real).sum(axis=1) + 0.5 * (np.equal(others, right) & real).sum(axis=1)
        return round(float((1 / (1 + above)).mean()), 4)
